//! The certificate authority of a keystore, by way of the door: CreateCertificateAuthority, IssueCertificate,
//! RevokeCertificate and their like.
//!
//! Names and permissions are AWS Private CA's where it has them. The authority's private key is wrapped like all other
//! keys and opens for one call at a time, for who was allowed it on that authority. The holders' private keys never come
//! here.

mod authority;
mod certificates;
mod kept;
#[cfg(test)]
mod tests;

use crate::{
    audit::ResourceEntry,
    crypto::random::Random,
    kms::{Call, CallError, Caller, Door},
    model::{AccountId, CertificateNames, CertificateSerial, Days, ErrorCode, RevocationReason},
    transit::{HolderKey, Identity, Peer, TransitError, Trust, x509},
    world::{Authority, Certificate},
};

pub use authority::{
    AUTHORITY_DAYS, CreateCertificateAuthority, GetCertificateAuthority, GetRevocationList, LIST_DAYS,
};
pub use certificates::{
    CERTIFICATE_DAYS, CERTIFICATE_DAYS_MAX, GetCertificate, IssueCertificate, ListCertificates,
    RevokeCertificate,
};
pub use kept::{KeptServer, Mutual, SERVER_CERTIFICATE_DAYS};

const EVENT_SOURCE: &str = "acm-pca.amazonaws.com";

/// The certificate authority of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct Tls<'k> {
    door: &'k Door,
}

impl<'k> Tls<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Makes the certificate authority of the caller's account.
    ///
    /// # Errors
    ///
    /// When the account has one already, or the caller may not.
    pub fn create_authority(&self, caller: &Caller, validity: Days) -> Result<Authority, CallError> {
        let key = x509::new_authority_key().map_err(unmade)?;
        self.door.call(caller, &CreateCertificateAuthority::new(key, validity))
    }

    /// The certificate authority of the caller's account.
    ///
    /// # Errors
    ///
    /// When there is none, or the caller may not.
    pub fn authority(&self, caller: &Caller) -> Result<Authority, CallError> {
        self.door.call(caller, &GetCertificateAuthority {})
    }

    /// The same, made now when there is none; and whether it was.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn ensure_authority(&self, caller: &Caller, validity: Days) -> Result<(Authority, bool), CallError> {
        match self.authority(caller) {
            Err(error) if error.code() == ErrorCode::ResourceNotFound => {
                self.create_authority(caller, validity).map(|authority| (authority, true))
            }
            other => other.map(|authority| (authority, false)),
        }
    }

    /// The authority's newest revocation list, DER. It is good for [`LIST_DAYS`].
    ///
    /// # Errors
    ///
    /// When there is no authority, or the caller may not.
    pub fn revocation_list(&self, caller: &Caller) -> Result<Vec<u8>, CallError> {
        self.door.call(caller, &GetRevocationList {})
    }

    /// Issues a certificate to whoever made a request.
    ///
    /// # Errors
    ///
    /// When the request is not one, a principal does not exist, or the caller may not.
    pub fn issue(&self, caller: &Caller, issue: IssueCertificate) -> Result<Certificate, CallError> {
        self.door.call(caller, &issue)
    }

    /// All certificates of the caller's account.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn list(&self, caller: &Caller) -> Result<Vec<Certificate>, CallError> {
        self.door.call(caller, &ListCertificates {})
    }

    /// One certificate.
    ///
    /// # Errors
    ///
    /// When there is none with this serial number, or the caller may not.
    pub fn certificate(&self, caller: &Caller, serial: CertificateSerial) -> Result<Certificate, CallError> {
        self.door.call(caller, &GetCertificate { serial })
    }

    /// Revokes a certificate, for ever.
    ///
    /// # Errors
    ///
    /// When there is none with this serial number, it is revoked already, or the caller may not.
    pub fn revoke(
        &self,
        caller: &Caller,
        serial: CertificateSerial,
        reason: RevocationReason,
    ) -> Result<Certificate, CallError> {
        self.door.call(caller, &RevokeCertificate { serial, reason })
    }

    /// A new private key with a certificate for it, for a process that has the keystore open: the key is nowhere else.
    ///
    /// # Errors
    ///
    /// As [`Tls::issue`].
    pub fn identity(
        &self,
        caller: &Caller,
        names: CertificateNames,
        validity: Days,
    ) -> Result<(Identity, Certificate), CallError> {
        let key = HolderKey::generate().map_err(unmade)?;
        let issue = IssueCertificate { request: key.request().to_vec(), names, validity };
        let issued = self.issue(caller, issue)?;
        Ok((key.with_certificate(issued.certificate.clone()), issued))
    }

    /// The caller that a peer acts as: the principal in its certificate, which must still exist. A role acts in a session.
    ///
    /// # Errors
    ///
    /// When the certificate names no principal, or one that is not there any more: somebody who was made later under the
    /// same name is not who it was issued for.
    pub fn caller(&self, peer: &Peer) -> Result<Caller, CallError> {
        let principal = peer.principal().map_err(|error| {
            CallError::new(ErrorCode::AccessDenied, "The client's certificate names no principal.")
                .explained(error.to_string())
        })?;
        let caller = Caller::parse(principal.as_str(), principal.account())?;
        self.door.check_exists(&caller)?;
        let world = self.door.world()?;
        let issued = world.certificate(peer.serial());
        let holder_id = world.identity(principal).map(|identity| identity.id().clone());
        if issued.is_none_or(|certificate| certificate.holder_id != holder_id) {
            let message = "The security token included in the request is invalid.";
            let why =
                format!("the certificate was issued for another {principal}, who is gone: issue a new one");
            return Err(CallError::new(ErrorCode::InvalidClientTokenId, message).explained(why));
        }
        Ok(caller)
    }

    /// Whom to believe: the authority of the caller's account, but nothing on its newest revocation list.
    ///
    /// # Errors
    ///
    /// When there is no authority, or the caller may not ask.
    pub fn trust(&self, caller: &Caller) -> Result<Trust, CallError> {
        let authority = self.authority(caller)?;
        let list = self.revocation_list(caller)?;
        Trust::new(&[authority.certificate], &[list]).map_err(unmade)
    }
}

/// The authority of the caller's account.
fn find_authority(call: &mut Call<'_>) -> Result<Authority, CallError> {
    let account = call.account();
    let authority = call.world().authority(&account).map(|authority| Authority::clone(authority));
    let authority = authority.ok_or_else(|| {
        CallError::new(ErrorCode::ResourceNotFound, "There is no certificate authority in this account.")
    })?;
    call.note(ResourceEntry {
        account_id: account,
        resource_type: "AWS::ACMPCA::CertificateAuthority".into(),
        arn: authority.arn.to_string(),
    });
    Ok(authority)
}

/// A certificate of the caller's account.
fn find_certificate(call: &Call<'_>, serial: &CertificateSerial) -> Result<Certificate, CallError> {
    let account: AccountId = call.account();
    let found = call.world().certificate(serial).filter(|found| found.account == account);
    found.map(|found| Certificate::clone(found)).ok_or_else(|| {
        let message = format!("Could not find a certificate with the serial number {serial}.");
        CallError::new(ErrorCode::ResourceNotFound, message)
    })
}

fn unmade(error: TransitError) -> CallError {
    match error {
        TransitError::NotPem(why) => CallError::new(ErrorCode::MalformedCsr, why),
        TransitError::Time(_) => CallError::validation(error.to_string()),
        _ => CallError::internal(error.to_string()),
    }
}

fn new_serial(random: &mut dyn Random) -> Result<CertificateSerial, CallError> {
    Ok(CertificateSerial::from_random(random.array()?))
}
