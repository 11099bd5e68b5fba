//! Later.
/// SQLite's `application_id` of a keystore's database: `KSTD`.
pub const APPLICATION_ID: u32 = 0x4b53_5444;
/// The database's format, in SQLite's `user_version`.
pub const FORMAT_VERSION: u32 = 1;
