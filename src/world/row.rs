//! How the world looks to storage: rows of bytes under a table and an id.
//!
//! Storage knows nothing of keys and policies; the world knows nothing of SQL. This is what they share.

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    /// The table: one of a few fixed names, such as `key` or `user`.
    pub table: &'static str,
    /// The row's id in that table.
    pub id: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub id: RowId,
    /// What it says: JSON.
    pub body: Vec<u8>,
}
