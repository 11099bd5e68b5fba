//! IssueCertificate, GetCertificate, RevokeCertificate, and the list of what was issued.

use serde_json::{Value, json};

use super::{EVENT_SOURCE, find_authority, find_certificate, new_serial, unmade};
use crate::{
    iam::UniqueId,
    kms::{Call, CallError, Operation, Outcome, actions},
    model::{
        CertificateNames, CertificateSerial, Days, ErrorCode, PrincipalArn, PrincipalKind, RevocationReason,
    },
    transit::x509::{CLOCK_SKEW_MILLIS_MAX, SigningAuthority, Validity},
    world::{Certificate, Change, Revocation},
};

/// How long a certificate is valid when nobody says otherwise.
pub const CERTIFICATE_DAYS: Days = Days::new(30);
/// How long a certificate can be valid (the CA/Browser Forum's limit for servers, in days).
pub const CERTIFICATE_DAYS_MAX: Days = Days::new(398);

actions! {
    /// `acm-pca:IssueCertificate`.
    IssuePermission = "acm-pca:IssueCertificate",
    /// `acm-pca:GetCertificate`.
    GetPermission = "acm-pca:GetCertificate",
    /// `acm-pca:RevokeCertificate`.
    RevokePermission = "acm-pca:RevokeCertificate",
    /// `keystead:ListCertificates`. AWS Private CA writes an audit report instead.
    ListPermission = "keystead:ListCertificates",
}

/// Issues a certificate.
#[derive(Debug)]
pub struct IssueCertificate {
    /// The request of whoever has the private key (PKCS #10, DER).
    pub request: Vec<u8>,
    /// Whom the certificate shall speak for.
    pub names: CertificateNames,
    /// How long.
    pub validity: Days,
}

impl Operation for IssueCertificate {
    type Permission = IssuePermission;
    type Answer = Certificate;
    const NAME: &'static str = "IssueCertificate";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"names": self.names, "validity": {"type": "DAYS", "value": self.validity}})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let authority = find_authority(call)?;
        let permitted = call.authorize_on::<Self::Permission>(authority.arn.as_str(), call.account())?;
        self.names.check()?;
        if self.validity.get() == 0 || self.validity > CERTIFICATE_DAYS_MAX {
            return Err(CallError::validation(format!(
                "a certificate is valid for 1 to {} days",
                CERTIFICATE_DAYS_MAX.get()
            )));
        }
        let holder_id = match &self.names.principal {
            Some(principal) => holder_id(call, principal)?,
            None => None,
        };
        let now = call.now();
        let (not_before, not_after) = (now.plus_millis(-CLOCK_SKEW_MILLIS_MAX), now.plus(self.validity));
        if not_after > authority.not_after {
            return Err(CallError::validation(format!(
                "the authority's own certificate ends before that, at {}",
                authority.not_after
            )));
        }
        let serial = new_serial(call.random())?;
        let key = call.open_authority_key(&permitted, &authority)?;
        let signing = SigningAuthority::new(&authority.certificate, &key).map_err(unmade)?;
        let validity = Validity { not_before, not_after };
        let der = signing.issue(&self.request, &self.names, &serial, validity).map_err(unmade)?;
        let certificate = Certificate {
            serial,
            authority: authority.arn,
            account: call.account(),
            names: self.names.clone(),
            holder_id,
            not_before,
            not_after,
            issued_to: call.arn().cloned(),
            certificate: der,
            revoked: None,
        };
        let elements = json!({"serial": certificate.serial, "notAfter": not_after.to_rfc3339()});
        let changes = vec![Change::PutCertificate(Box::new(certificate.clone()))];
        Ok(Outcome::answer(permitted, certificate).changing(changes, elements))
    }
}

/// A certificate names somebody who exists, in the authority's own account. A root user has no unique id.
fn holder_id(call: &Call<'_>, principal: &PrincipalArn) -> Result<Option<UniqueId>, CallError> {
    let nobody = |why: &str| {
        let message = format!("The principal {principal} cannot be certified: {why}.");
        CallError::new(ErrorCode::NoSuchEntity, message)
    };
    if *principal.account() != call.account() {
        return Err(nobody("it is another account's"));
    }
    match call.world().identity(principal) {
        Some(identity) => Ok(Some(identity.id().clone())),
        None if principal.kind() == PrincipalKind::Root && call.world().has_account(principal.account()) => {
            Ok(None)
        }
        None => Err(nobody("it does not exist")),
    }
}

/// Gets a certificate.
#[derive(Debug)]
pub struct GetCertificate {
    /// Which.
    pub serial: CertificateSerial,
}

impl Operation for GetCertificate {
    type Permission = GetPermission;
    type Answer = Certificate;
    const NAME: &'static str = "GetCertificate";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"certificateSerial": self.serial})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let authority = find_authority(call)?;
        let permitted = call.authorize_on::<Self::Permission>(authority.arn.as_str(), call.account())?;
        Ok(Outcome::answer(permitted, find_certificate(call, &self.serial)?))
    }
}

/// Lists the certificates of the caller's account, the first issued first.
#[derive(Debug)]
pub struct ListCertificates {}

impl Operation for ListCertificates {
    type Permission = ListPermission;
    type Answer = Vec<Certificate>;
    const NAME: &'static str = "ListCertificates";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        let account = call.account();
        let certificates = call.world().certificates().filter(|one| one.account == account);
        let mut certificates: Vec<Certificate> = certificates.map(|one| Certificate::clone(one)).collect();
        certificates.sort_by_key(|one| one.not_before);
        Ok(Outcome::answer(permitted, certificates))
    }
}

/// Revokes a certificate.
#[derive(Debug)]
pub struct RevokeCertificate {
    /// Which.
    pub serial: CertificateSerial,
    /// Why.
    pub reason: RevocationReason,
}

impl Operation for RevokeCertificate {
    type Permission = RevokePermission;
    type Answer = Certificate;
    const NAME: &'static str = "RevokeCertificate";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"certificateSerial": self.serial, "revocationReason": self.reason})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let authority = find_authority(call)?;
        let permitted = call.authorize_on::<Self::Permission>(authority.arn.as_str(), call.account())?;
        let mut certificate = find_certificate(call, &self.serial)?;
        if certificate.revoked.is_some() {
            let message = format!("The certificate {} is revoked already.", self.serial);
            return Err(CallError::new(ErrorCode::RequestAlreadyProcessed, message));
        }
        certificate.revoked = Some(Revocation { at: call.now(), reason: self.reason });
        let changes = vec![Change::PutCertificate(Box::new(certificate.clone()))];
        Ok(Outcome::answer(permitted, certificate).changing(changes, Value::Null))
    }
}
