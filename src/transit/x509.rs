//! Certificates made and read: a self-signed authority, what it issues, its revocation list (RFC 5280), and the names in
//! a peer's certificate.
//!
//! `rcgen` writes and `x509-parser` reads; the keys are ECDSA on P-256 (FIPS 186-5), which every TLS client takes.
//! Everything is a function of its arguments, but for the random number in each ECDSA signature.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer, ParsedExtension},
};
use zeroize::Zeroize;

use super::TransitError;
use crate::{
    model::{CertificateNames, CertificateSerial, HostName, PrincipalArn, RevocationReason, Timestamp},
    secret::SecretBytes,
};

/// How long before its making a certificate is valid already: clocks of machines differ by this at most.
pub const CLOCK_SKEW_MILLIS_MAX: i64 = 5 * 60 * 1000;
/// The longest certificate signing request that is read, in bytes.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub not_before: Timestamp,
    /// Its last.
    pub not_after: Timestamp,
}

/// A revoked certificate, as a list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Which.
    pub serial: CertificateSerial,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// An authority that can sign: its certificate and, for as long as this lives, its private key.
pub struct SigningAuthority<'a> {
    certificate: &'a [u8],
    key: WipedKeyPair,
}

/// A key pair whose encoding is overwritten when it is dropped. AWS-LC does the same with its own copy.
pub(super) struct WipedKeyPair(KeyPair);

impl Drop for WipedKeyPair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl WipedKeyPair {
    pub(super) fn generate() -> Result<Self, TransitError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(making)
    }

    pub(super) fn read(key: &SecretBytes) -> Result<Self, TransitError> {
        let der = PrivatePkcs8KeyDer::from(key.expose_secret());
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|_| TransitError::NotPem("this is not a P-256 private key in PKCS #8".into()))
    }

    /// The private key, PKCS #8.
    pub(super) fn to_secret(&self) -> SecretBytes {
        SecretBytes::from(self.0.serialized_der())
    }

    /// A request for a certificate, which proves that whoever asks has the key (PKCS #10, RFC 2986).
    pub(super) fn request(&self) -> Result<Vec<u8>, TransitError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.0).map_err(making)?.der().to_vec())
    }
}

/// A new private key for an authority, PKCS #8.
///
/// # Errors
///
/// When there is no randomness.
pub fn new_authority_key() -> Result<SecretBytes, TransitError> {
    Ok(WipedKeyPair::generate()?.to_secret())
}

/// The certificate of a new authority, signed by itself. It may issue to holders alone, not to other authorities.
///
/// # Errors
///
/// When the key is none, or a time cannot be said.
pub fn self_signed(
    key: &SecretBytes,
    name: &str,
    serial: &CertificateSerial,
    validity: Validity,
) -> Result<Vec<u8>, TransitError> {
    let key = WipedKeyPair::read(key)?;
    let mut params = params(name, serial, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(&key.0).map_err(making)?.der().to_vec())
}

impl<'a> SigningAuthority<'a> {
    /// An authority with this certificate (DER) and private key (PKCS #8).
    ///
    /// # Errors
    ///
    /// When the key is none.
    pub fn new(certificate: &'a [u8], key: &SecretBytes) -> Result<Self, TransitError> {
        Ok(Self { certificate, key: WipedKeyPair::read(key)? })
    }

    /// Issues a certificate to whoever made the request (PKCS #10, DER). Of the request only the public key is taken, and
    /// that its signature holds: the names are the authority's to say.
    ///
    /// # Errors
    ///
    /// When the request is none, or is not signed with the key that it asks for.
    pub fn issue(
        self,
        request: &[u8],
        names: &CertificateNames,
        serial: &CertificateSerial,
        validity: Validity,
    ) -> Result<Vec<u8>, TransitError> {
        if request.len() > REQUEST_BYTES_MAX {
            return Err(TransitError::NotPem(format!(
                "the request is longer than {REQUEST_BYTES_MAX} bytes"
            )));
        }
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(|error| TransitError::NotPem(format!("this is not a certificate request: {error}")))?;
        let mut params = params(common_name(names), serial, validity)?;
        params.subject_alt_names = alternative_names(names)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        if names.are_of_a_server() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if names.principal.is_some() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        Ok(params.signed_by(&request.public_key, &self.issuer()?).map_err(making)?.der().to_vec())
    }

    /// Makes the revocation list (RFC 5280, section 5), numbered `number`.
    ///
    /// # Errors
    ///
    /// When a time cannot be said.
    pub fn revocation_list(
        self,
        revoked: &[RevokedCertificate],
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<Vec<u8>, TransitError> {
        let entry = |one: &RevokedCertificate| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&one.serial.to_bytes()),
                revocation_time: time(one.at)?,
                reason_code: reason_code(one.reason),
                invalidity_date: None,
            })
        };
        let list = CertificateRevocationListParams {
            this_update: time(this_update)?,
            next_update: time(next_update)?,
            crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, TransitError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer()?).map_err(making)?.der().to_vec())
    }

    fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, TransitError> {
        Issuer::from_ca_cert_der(&CertificateDer::from(self.certificate), &self.key.0).map_err(making)
    }
}

fn params(
    name: &str,
    serial: &CertificateSerial,
    validity: Validity,
) -> Result<CertificateParams, TransitError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&serial.to_bytes()));
    params.not_before = time(validity.not_before)?;
    params.not_after = time(validity.not_after)?;
    Ok(params)
}

/// The name for people; programs read the alternative names.
fn common_name(names: &CertificateNames) -> &str {
    let principal = names.principal.as_ref().map(PrincipalArn::name);
    // A common name has at most 64 characters (RFC 5280, appendix A.1).
    let name = principal.or_else(|| names.hosts.first().map(HostName::as_str));
    name.filter(|name| name.len() <= 64).unwrap_or("keystead")
}

fn alternative_names(names: &CertificateNames) -> Result<Vec<SanType>, TransitError> {
    let ascii = |text: &str| text.try_into().map_err(making);
    let mut alternative = Vec::new();
    if let Some(principal) = &names.principal {
        alternative.push(SanType::URI(ascii(principal.as_str())?));
    }
    for host in &names.hosts {
        alternative.push(SanType::DnsName(ascii(host.as_str())?));
    }
    alternative.extend(names.addresses.iter().copied().map(SanType::IpAddress));
    Ok(alternative)
}

fn time(at: Timestamp) -> Result<OffsetDateTime, TransitError> {
    // X.509 says years from 1950, and up to 9999 (RFC 5280, section 4.1.2.5); nothing here is older than the epoch.
    let time = OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1000));
    time.ok().filter(|time| (1970..=9999).contains(&time.year())).ok_or(TransitError::Time(at))
}

fn reason_code(reason: RevocationReason) -> Option<rcgen::RevocationReason> {
    match reason {
        // RFC 5280, section 5.3.1: better no code than this one.
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
        RevocationReason::Superseded => Some(rcgen::RevocationReason::Superseded),
        RevocationReason::CessationOfOperation => Some(rcgen::RevocationReason::CessationOfOperation),
        RevocationReason::PrivilegeWithdrawn => Some(rcgen::RevocationReason::PrivilegeWithdrawn),
    }
}

fn making(error: impl std::fmt::Display) -> TransitError {
    TransitError::Making(error.to_string())
}

/// The names in a certificate and its serial number.
///
/// A certificate speaks for a principal when exactly one of its URI names is the ARN of one; two would leave open who it
/// is.
///
/// # Errors
///
/// When it is no certificate, its serial number is no authority's of ours, or it names two principals.
pub fn read_names(certificate: &[u8]) -> Result<(CertificateSerial, CertificateNames), TransitError> {
    let bad = |why: &str| TransitError::BadCertificate(why.into());
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| bad("it does not parse"))?;
    if !rest.is_empty() {
        return Err(bad("something follows it"));
    }
    let serial = CertificateSerial::from_bytes(parsed.raw_serial());
    let serial = serial.map_err(|_| bad("its serial number is none that a keystore gives"))?;
    let mut names = CertificateNames::default();
    for extension in parsed.extensions() {
        let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() else {
            continue;
        };
        for name in &alternative.general_names {
            add_name(&mut names, name)?;
        }
    }
    Ok((serial, names))
}

fn add_name(names: &mut CertificateNames, name: &GeneralName<'_>) -> Result<(), TransitError> {
    match name {
        GeneralName::URI(uri) => {
            if let Ok(principal) = uri.parse()
                && names.principal.replace(principal).is_some()
            {
                return Err(TransitError::BadCertificate("it names two principals".into()));
            }
        }
        GeneralName::DNSName(host) => names.hosts.extend(host.parse::<HostName>()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            names.addresses.extend(four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)));
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = 1_767_225_600_000;

    fn validity(days: i64) -> Validity {
        let at = Timestamp::from_millis;
        Validity { not_before: at(NOW), not_after: at(NOW + days * DAY) }
    }

    fn serial(byte: u8) -> CertificateSerial {
        CertificateSerial::from_random([byte; 16])
    }

    fn authority() -> (Vec<u8>, SecretBytes) {
        let key = new_authority_key().unwrap();
        (self_signed(&key, "test", &serial(1), validity(3650)).unwrap(), key)
    }

    #[test]
    fn what_is_issued_has_the_names_that_the_authority_gave_and_no_others() {
        let (certificate, key) = authority();
        let holder = WipedKeyPair::generate().unwrap();
        let names = CertificateNames {
            principal: Some("arn:aws:iam::111122223333:user/alice".parse().unwrap()),
            hosts: vec!["localhost".parse().unwrap()],
            addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        };
        let issuer = SigningAuthority::new(&certificate, &key).unwrap();
        let issued = issuer.issue(&holder.request().unwrap(), &names, &serial(2), validity(1)).unwrap();
        assert_eq!(read_names(&issued).unwrap(), (serial(2), names));
        let (_, parsed) = X509Certificate::from_der(&issued).unwrap();
        assert_eq!(parsed.validity().not_after.timestamp(), (NOW + DAY) / 1000);
        assert!(!parsed.is_ca());
        let (_, issuer) = X509Certificate::from_der(&certificate).unwrap();
        assert!(parsed.verify_signature(Some(issuer.public_key())).is_ok());
        assert!(issuer.is_ca());
    }

    #[test]
    fn a_request_that_was_changed_is_refused() {
        let (certificate, key) = authority();
        let names = CertificateNames::of_host("localhost".parse().unwrap());
        let request = WipedKeyPair::generate().unwrap().request().unwrap();
        let mut changed = request.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bad in [changed, vec![0; REQUEST_BYTES_MAX + 1], Vec::new()] {
            let issuer = SigningAuthority::new(&certificate, &key).unwrap();
            let refused = issuer.issue(&bad, &names, &serial(2), validity(1));
            assert!(matches!(refused, Err(TransitError::NotPem(_))), "{refused:?}");
        }
        let issuer = SigningAuthority::new(&certificate, &key).unwrap();
        assert!(issuer.issue(&request, &names, &serial(2), validity(1)).is_ok());
    }

    #[test]
    fn times_that_a_certificate_cannot_say_are_refused() {
        let key = new_authority_key().unwrap();
        for millis in [-1, i64::MAX, 253_402_300_800_000] {
            let at = Timestamp::from_millis(millis);
            let validity = Validity { not_before: at, not_after: at };
            let refused = self_signed(&key, "test", &serial(1), validity);
            assert!(matches!(refused, Err(TransitError::Time(_))), "{millis}");
        }
    }

    #[test]
    fn a_certificate_of_two_principals_speaks_for_nobody() {
        let key = WipedKeyPair::generate().unwrap();
        let mut two = params("two", &serial(3), validity(1)).unwrap();
        for name in ["alice", "bob"] {
            let arn = format!("arn:aws:iam::111122223333:user/{name}");
            two.subject_alt_names.push(SanType::URI(arn.as_str().try_into().unwrap()));
        }
        let certificate = two.self_signed(&key.0).unwrap();
        let refused = read_names(certificate.der());
        assert!(matches!(refused, Err(TransitError::BadCertificate(_))), "{refused:?}");
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read_names(&bytes).is_err());
        }

        #[test]
        fn a_changed_byte_is_an_error_or_another_certificate(at in 0usize..400, with in any::<u8>()) {
            let (mut certificate, _) = authority();
            let at = at % certificate.len();
            certificate[at] = with;
            let _either = read_names(&certificate);
        }
    }
}
