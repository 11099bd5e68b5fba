//! CreateCertificateAuthority, GetCertificateAuthorityCertificate, and the revocation list.

use serde_json::{Value, json};

use super::{EVENT_SOURCE, find_authority, new_serial, unmade};
use crate::{
    audit::ResourceEntry,
    kms::{Call, CallError, Operation, Outcome, actions},
    model::{AuthorityArn, Days, ErrorCode},
    secret::SecretBytes,
    transit::x509::{self, CLOCK_SKEW_MILLIS_MAX, RevokedCertificate, SigningAuthority, Validity},
    world::{Authority, Change},
};

/// How long an authority is valid when nobody says otherwise: ten years.
pub const AUTHORITY_DAYS: Days = Days::new(3650);
/// How long an authority can be valid: a hundred years.
const AUTHORITY_DAYS_MAX: Days = Days::new(36_525);
/// How long a revocation list is good.
pub const LIST_DAYS: Days = Days::new(7);

actions! {
    /// `acm-pca:CreateCertificateAuthority`.
    CreateAuthorityPermission = "acm-pca:CreateCertificateAuthority",
    /// `acm-pca:GetCertificateAuthorityCertificate`.
    GetAuthorityPermission = "acm-pca:GetCertificateAuthorityCertificate",
    /// `keystead:GetRevocationList`. AWS Private CA puts the list in a bucket instead.
    GetRevocationListPermission = "keystead:GetRevocationList",
}

/// Makes the certificate authority of the caller's account.
#[derive(Debug)]
pub struct CreateCertificateAuthority {
    /// Its private key, PKCS #8.
    key: SecretBytes,
    /// How long its certificate is valid.
    validity: Days,
}

impl CreateCertificateAuthority {
    pub(super) fn new(key: SecretBytes, validity: Days) -> Self {
        Self { key, validity }
    }
}

impl Operation for CreateCertificateAuthority {
    type Permission = CreateAuthorityPermission;
    type Answer = Authority;
    const NAME: &'static str = "CreateCertificateAuthority";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"validity": {"type": "DAYS", "value": self.validity}})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        if self.validity.get() == 0 || self.validity > AUTHORITY_DAYS_MAX {
            return Err(CallError::validation(format!(
                "an authority is valid for 1 to {} days",
                AUTHORITY_DAYS_MAX.get()
            )));
        }
        let (account, now) = (call.account(), call.now());
        if call.world().authority(&account).is_some() {
            return Err(CallError::new(
                ErrorCode::AlreadyExists,
                "There is a certificate authority in this account already.",
            ));
        }
        let id = call.random().array()?;
        let arn = AuthorityArn::new(&call.world().settings().region.clone(), &account, id);
        let serial = new_serial(call.random())?;
        let (not_before, not_after) = (now.plus_millis(-CLOCK_SKEW_MILLIS_MAX), now.plus(self.validity));
        // Two authorities of one name could be taken for each other by whoever looks for an issuer.
        let name = format!("keystead {account} {}", arn.id().get(..8).unwrap_or_default());
        let validity = Validity { not_before, not_after };
        let certificate = x509::self_signed(&self.key, &name, &serial, validity).map_err(unmade)?;
        let wrapped_key = call.wrap_authority_key(&arn, &self.key)?;
        call.note(ResourceEntry {
            account_id: account.clone(),
            resource_type: "AWS::ACMPCA::CertificateAuthority".into(),
            arn: arn.to_string(),
        });
        let elements = json!({"certificateAuthorityArn": arn});
        let authority = Authority { arn, account, not_before, not_after, certificate, wrapped_key };
        let changes = vec![Change::PutAuthority(Box::new(authority.clone()))];
        Ok(Outcome::answer(permitted, authority).changing(changes, elements))
    }
}

/// Gets the certificate authority of the caller's account. Its private key stays wrapped.
#[derive(Debug)]
pub struct GetCertificateAuthority {}

impl Operation for GetCertificateAuthority {
    type Permission = GetAuthorityPermission;
    type Answer = Authority;
    const NAME: &'static str = "GetCertificateAuthorityCertificate";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let authority = find_authority(call)?;
        let permitted = call.authorize_on::<Self::Permission>(authority.arn.as_str(), call.account())?;
        Ok(Outcome::answer(permitted, authority))
    }
}

/// Makes and signs the revocation list as it is now.
#[derive(Debug)]
pub struct GetRevocationList {}

impl Operation for GetRevocationList {
    type Permission = GetRevocationListPermission;
    type Answer = Vec<u8>;
    const NAME: &'static str = "GetRevocationList";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let authority = find_authority(call)?;
        let permitted = call.authorize_on::<Self::Permission>(authority.arn.as_str(), call.account())?;
        let key = call.open_authority_key(&permitted, &authority)?;
        let of_this = call.world().certificates().filter(|one| one.authority == authority.arn);
        let revoked: Vec<RevokedCertificate> = of_this
            .filter_map(|one| one.revoked.map(|revoked| (one, revoked)))
            .map(|(one, revoked)| RevokedCertificate {
                serial: one.serial.clone(),
                at: revoked.at,
                reason: revoked.reason,
            })
            .collect();
        let now = call.now();
        // The number has to grow from list to list (RFC 5280, section 5.2.3), and time does.
        let number = u64::try_from(now.as_millis()).unwrap_or_default();
        let from = now.plus_millis(-CLOCK_SKEW_MILLIS_MAX);
        let signing = SigningAuthority::new(&authority.certificate, &key).map_err(unmade)?;
        let list = signing.revocation_list(&revoked, number, from, now.plus(LIST_DAYS)).map_err(unmade)?;
        Ok(Outcome::answer(permitted, list).noting("revokedCertificates", revoked.len()))
    }
}
