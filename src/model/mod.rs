//! The nouns of the project as pure data, each made only by parsing.
//!
//! AWS's terms throughout: key id, ARN, alias, principal, encryption context. Nothing here does I/O, reads a
//! clock or holds a secret.

mod arn;
mod certificate;
mod context;
mod error;
mod grant;
mod id;
mod key;
mod organization;
mod principal;
mod tag;
mod time;
mod vpc;

pub use arn::{AliasName, Arn, KeyArn, KeyRef};
pub use certificate::{
    AuthorityArn, CERTIFICATE_NAMES_MAX, CertificateNames, CertificateSerial, HostName, RevocationReason,
    SERIAL_BYTES,
};
pub use context::{CONTEXT_BYTES_MAX, EncryptionContext};
pub use error::{ErrorCode, ParseError};
pub use grant::{GrantId, GrantName, GrantToken};
pub(crate) use id::text_identifier;
pub use id::{AccountId, KeyId, MaterialId, Region};
pub use key::{EncryptionAlgorithm, KeyManager, KeyOrigin, KeySpec, KeyState, KeyUsage, RotationType, Tier};
pub use organization::{
    ChildId, ControlPolicyId, ControlPolicyType, OrganizationId, ParentId, RootId, TargetId, UnitId,
};
pub use principal::{PrincipalArn, PrincipalKind};
pub use tag::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX, Tags, is_reserved_tag_key};
pub use time::{Days, Timestamp};
pub use vpc::{VpcEndpointId, VpcId};
