//! The kinds of policies, what each may hold and how large it may be; and what is wrong with one that is refused.
//!
//! Source: "IAM and AWS STS quotas", "Resource quotas" of KMS, S3 and Organizations, and "IAM JSON policy elements".

use thiserror::Error;

/// The most bytes of a key policy, white space included (KMS, "Resource quotas").
pub const KEY_POLICY_BYTES_MAX: usize = 32_768;
/// The most bytes of a bucket policy (S3, "Bucket policies").
pub const RESOURCE_POLICY_BYTES_MAX: usize = 20_480;
/// The most characters of a managed policy, white space not counted (IAM quotas).
pub const MANAGED_POLICY_CHARS_MAX: usize = 6_144;
/// The most characters of a user's inline policy, white space not counted.
pub const INLINE_USER_POLICY_CHARS_MAX: usize = 2_048;
/// The most characters of a group's inline policy, white space not counted.
pub const INLINE_GROUP_POLICY_CHARS_MAX: usize = 5_120;
/// The most characters of a role's inline policy, white space not counted.
pub const INLINE_ROLE_POLICY_CHARS_MAX: usize = 10_240;
/// The most characters of a role's trust policy, white space not counted.
pub const TRUST_POLICY_CHARS_MAX: usize = 2_048;
/// The most characters of a session policy, white space not counted.
pub const SESSION_POLICY_CHARS_MAX: usize = 2_048;
/// The most characters of a service or resource control policy (Organizations quotas), white space not counted.
pub const CONTROL_POLICY_CHARS_MAX: usize = 5_120;
/// The most characters of a VPC endpoint's policy, white space included.
pub const VPC_ENDPOINT_POLICY_CHARS_MAX: usize = 20_480;
/// The most bytes of any policy's text, where white space is not counted (IAM API, `PolicyDocument`).
pub const POLICY_TEXT_BYTES_MAX: usize = 131_072;

/// The kinds of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyKind {
    /// The policy of a KMS key.
    Key,
    /// The policy of a user, group or role. See [`PolicyKind::MANAGED`] and its neighbours.
    Identity {
        /// The most characters, white space not counted.
        chars_max: usize,
    },
    /// The policy of another resource, such as a bucket.
    Resource,
    /// The trust policy of a role.
    Trust,
    /// A permissions boundary.
    Boundary,
    /// A policy handed in when a session is made.
    Session,
    /// A service control policy.
    Scp,
    /// A resource control policy.
    Rcp,
    /// The policy of a VPC endpoint.
    VpcEndpoint,
}

/// How a size is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SizeLimit {
    Bytes(usize),
    CharsWithoutSpace(usize),
}

impl PolicyKind {
    /// A managed identity policy.
    pub const MANAGED: Self = Self::Identity { chars_max: MANAGED_POLICY_CHARS_MAX };
    /// A user's inline policy.
    pub const INLINE_USER: Self = Self::Identity { chars_max: INLINE_USER_POLICY_CHARS_MAX };
    /// A group's inline policy.
    pub const INLINE_GROUP: Self = Self::Identity { chars_max: INLINE_GROUP_POLICY_CHARS_MAX };
    /// A role's inline policy.
    pub const INLINE_ROLE: Self = Self::Identity { chars_max: INLINE_ROLE_POLICY_CHARS_MAX };

    /// Whether statements name principals; the others belong to one.
    #[must_use]
    pub fn has_principals(self) -> bool {
        matches!(self, Self::Key | Self::Resource | Self::Trust | Self::Rcp | Self::VpcEndpoint)
    }

    pub(super) fn size_limit(self) -> SizeLimit {
        match self {
            Self::Key => SizeLimit::Bytes(KEY_POLICY_BYTES_MAX),
            Self::Resource => SizeLimit::Bytes(RESOURCE_POLICY_BYTES_MAX),
            Self::VpcEndpoint => SizeLimit::Bytes(VPC_ENDPOINT_POLICY_CHARS_MAX),
            Self::Identity { chars_max } => SizeLimit::CharsWithoutSpace(chars_max),
            Self::Trust => SizeLimit::CharsWithoutSpace(TRUST_POLICY_CHARS_MAX),
            Self::Boundary => SizeLimit::CharsWithoutSpace(MANAGED_POLICY_CHARS_MAX),
            Self::Session => SizeLimit::CharsWithoutSpace(SESSION_POLICY_CHARS_MAX),
            Self::Scp | Self::Rcp => SizeLimit::CharsWithoutSpace(CONTROL_POLICY_CHARS_MAX),
        }
    }

    /// Whether a `Sid` is of letters and digits alone and used once; elsewhere it is free text.
    pub(super) fn has_strict_sids(self) -> bool {
        matches!(self, Self::Identity { .. } | Self::Boundary | Self::Session | Self::Trust)
    }
}

/// Why a policy is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (line {line}, column {column})")]
pub struct PolicyError {
    message: String,
    line: usize,
    column: usize,
}

impl PolicyError {
    pub(super) fn new(message: impl Into<String>, at: super::Position) -> Self {
        Self { message: message.into(), line: at.line, column: at.column }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}
