//! Certificate authorities and the certificates that they issued, as the world holds them.
//!
//! INVARIANT: an authority's private key is here only wrapped, and the private keys of issued certificates are not here
//! at all: whoever asks for a certificate makes the key and hands in its public half.

use serde::{Deserialize, Serialize};

use crate::{
    iam::UniqueId,
    model::{
        AccountId, AuthorityArn, CertificateNames, CertificateSerial, PrincipalArn, RevocationReason,
        Timestamp,
    },
};

/// The certificate authority of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Its ARN.
    pub arn: AuthorityArn,
    /// The account whose authority it is; it has one.
    pub account: AccountId,
    /// When it was made, and its certificate begins to be valid.
    pub not_before: Timestamp,
    /// When its certificate ends.
    pub not_after: Timestamp,
    /// Its own certificate, DER.
    #[serde(with = "hex::serde")]
    pub certificate: Vec<u8>,
    /// Its private key (PKCS #8), wrapped under a key that derives from the root key.
    #[serde(with = "hex::serde")]
    pub wrapped_key: Vec<u8>,
}

/// A certificate that an authority issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its serial number.
    pub serial: CertificateSerial,
    /// The authority that issued it.
    pub authority: AuthorityArn,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Whom it speaks for.
    pub names: CertificateNames,
    /// The unique id of the user or role that it names: whoever comes later under the same name is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_id: Option<UniqueId>,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// Who asked for it.
    pub issued_to: Option<PrincipalArn>,
    /// The certificate, DER.
    #[serde(with = "hex::serde")]
    pub certificate: Vec<u8>,
    /// Whether it was revoked before its end.
    pub revoked: Option<Revocation>,
}

/// That a certificate is not good any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStatus {
    /// It is good.
    Valid,
    /// It was revoked.
    Revoked,
    /// It has ended.
    Expired,
}

impl CertificateStatus {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
        }
    }
}

impl Certificate {
    /// How it stands at this time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> CertificateStatus {
        match self.revoked {
            Some(_) => CertificateStatus::Revoked,
            None if now > self.not_after => CertificateStatus::Expired,
            None => CertificateStatus::Valid,
        }
    }
}
