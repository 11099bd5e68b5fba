//! Certificates as nouns: authorities, serial numbers, the names a certificate speaks for, why one is revoked.
//!
//! Source: RFC 5280 (X.509 for the Internet), RFC 6125 (names of services) and, for the words, the AWS Private CA API
//! reference: `CreateCertificateAuthority`, `IssueCertificate`, `RevokeCertificate`.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AccountId, ParseError, PrincipalArn, Region, text_identifier};

/// The length of a serial number in bytes (RFC 5280, section 4.1.2.2, allows 20).
pub const SERIAL_BYTES: usize = 16;
/// How many names a certificate can have of each kind.
pub const CERTIFICATE_NAMES_MAX: usize = 16;

/// A certificate's serial number: 32 hexadecimal digits, and the first bit is not set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CertificateSerial(String);

text_identifier!(CertificateSerial);

impl CertificateSerial {
    /// The serial number of these random bytes. A first bit would make it negative, and a leading zero shorter; both are
    /// mended.
    #[must_use]
    pub fn from_random(mut bytes: [u8; SERIAL_BYTES]) -> Self {
        if let Some(first) = bytes.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        Self(hex::encode(bytes))
    }

    /// Its bytes, most significant first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        hex::decode(&self.0).unwrap_or_default()
    }

    /// The serial number with these bytes, as a certificate has them.
    ///
    /// # Errors
    ///
    /// When no authority here gives such numbers.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        hex::encode(bytes).parse()
    }
}

impl FromStr for CertificateSerial {
    type Err = ParseError;

    /// Takes it as other programs print it too: in capitals, and with colons between the bytes (`openssl x509`).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: String| Err(ParseError::new(format!("`{text}` is not a serial number: {why}")));
        let pairs = text.split(':').all(|pair| pair.len() == 2) && text.contains(':');
        let digits = if pairs { text.replace(':', "") } else { text.to_owned() }.to_ascii_lowercase();
        if let Some(other) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return wrong(format!("`{}` is no hexadecimal digit", other.escape_debug()));
        }
        if digits.len() != 2 * SERIAL_BYTES {
            return wrong(format!("it has {} digits, and one of this keystore has 32", digits.len()));
        }
        if !digits.starts_with(['4', '5', '6', '7']) {
            return wrong("those of this keystore begin with 4 to 7".into());
        }
        Ok(Self(digits))
    }
}

/// The ARN of a certificate authority: `arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/UUID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AuthorityArn(String);

text_identifier!(AuthorityArn);

impl AuthorityArn {
    /// The ARN of the authority with these 16 random bytes as id.
    #[must_use]
    pub fn new(region: &Region, account: &AccountId, id: [u8; 16]) -> Self {
        let id = uuid::Builder::from_random_bytes(id).into_uuid();
        Self(format!("arn:aws:acm-pca:{region}:{account}:certificate-authority/{id}"))
    }

    /// The authority's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for AuthorityArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(format!("`{text}` is not the ARN of a certificate authority"));
        let arn: super::Arn = text.parse().map_err(|_| wrong())?;
        let (region, account): (Region, AccountId) = (arn.region().parse()?, arn.account().parse()?);
        let id = arn.resource().strip_prefix("certificate-authority/").ok_or_else(wrong)?;
        let id = uuid::Uuid::try_parse(id).map_err(|_| wrong())?;
        let parsed = Self(format!("arn:aws:acm-pca:{region}:{account}:certificate-authority/{id}"));
        if parsed.0 == text { Ok(parsed) } else { Err(wrong()) }
    }
}

/// The name of a host in a certificate: labels of letters, digits and `-` (RFC 1123), in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(String);

text_identifier!(HostName);

impl FromStr for HostName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_address = text.parse::<IpAddr>().is_ok();
        if text.len() <= 253 && !is_address && text.split('.').all(is_label) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not the name of a host: labels of lower-case letters, digits and `-`, between dots"
            )))
        }
    }
}

/// Whom a certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateNames {
    /// The principal that its holder acts as; a URI name in the certificate.
    pub principal: Option<PrincipalArn>,
    /// The hosts that its holder may serve as.
    #[serde(default)]
    pub hosts: Vec<HostName>,
    /// The addresses that its holder may serve at.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

impl CertificateNames {
    /// A principal's certificate.
    #[must_use]
    pub fn of_principal(principal: PrincipalArn) -> Self {
        Self { principal: Some(principal), ..Self::default() }
    }

    /// A server's certificate.
    #[must_use]
    pub fn of_host(host: HostName) -> Self {
        Self { hosts: vec![host], ..Self::default() }
    }

    /// The same, for one more address.
    #[must_use]
    pub fn and_address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// The same, for one more host.
    #[must_use]
    pub fn and_host(mut self, host: HostName) -> Self {
        self.hosts.push(host);
        self
    }

    /// Whether the holder may serve.
    #[must_use]
    pub fn are_of_a_server(&self) -> bool {
        !self.hosts.is_empty() || !self.addresses.is_empty()
    }

    /// Checks that there is a name and that there are not too many.
    ///
    /// # Errors
    ///
    /// When there is none, or there are more than [`CERTIFICATE_NAMES_MAX`] of a kind.
    pub fn check(&self) -> Result<(), ParseError> {
        if self.principal.is_none() && !self.are_of_a_server() {
            return Err(ParseError::new("a certificate needs a principal, a host name or an address"));
        }
        if self.hosts.len() > CERTIFICATE_NAMES_MAX || self.addresses.len() > CERTIFICATE_NAMES_MAX {
            return Err(ParseError::new(format!(
                "a certificate has at most {CERTIFICATE_NAMES_MAX} host names and as many addresses"
            )));
        }
        Ok(())
    }
}

impl fmt::Display for CertificateNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principal = self.principal.iter().map(ToString::to_string);
        let hosts = self.hosts.iter().map(ToString::to_string);
        let addresses = self.addresses.iter().map(ToString::to_string);
        formatter.write_str(&principal.chain(hosts).chain(addresses).collect::<Vec<_>>().join(" "))
    }
}

/// Why a certificate is revoked, by the names of AWS Private CA's `RevocationReason` that concern a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RevocationReason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// Somebody else may have the private key.
    KeyCompromise,
    /// The holder is no longer what the certificate says.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// The holder shall not do any more what it could.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::KeyCompromise => "KEY_COMPROMISE",
            Self::AffiliationChanged => "AFFILIATION_CHANGED",
            Self::Superseded => "SUPERSEDED",
            Self::CessationOfOperation => "CESSATION_OF_OPERATION",
            Self::PrivilegeWithdrawn => "PRIVILEGE_WITHDRAWN",
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for RevocationReason {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            ParseError::new(format!("`{text}` is not a reason to revoke a certificate: {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serial_numbers_are_positive_and_of_one_length() {
        for bytes in [[0; SERIAL_BYTES], [0xff; SERIAL_BYTES]] {
            let serial = CertificateSerial::from_random(bytes);
            assert_eq!(serial.as_str().parse::<CertificateSerial>().unwrap(), serial);
            assert_eq!(CertificateSerial::from_bytes(&serial.to_bytes()).unwrap(), serial);
            // As `openssl x509` prints it: `-serial` in capitals, `-text` with colons.
            let capitals = serial.as_str().to_ascii_uppercase();
            assert_eq!(capitals.parse::<CertificateSerial>().unwrap(), serial);
            let pairs: Vec<String> = serial.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(pairs.join(":").parse::<CertificateSerial>().unwrap(), serial);
        }
        for bad in ["", "4", &"0".repeat(32), &"8".repeat(32), &"4".repeat(33), &"4G".repeat(16)] {
            assert!(bad.parse::<CertificateSerial>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_have_names_and_addresses_are_none() {
        for good in ["localhost", "node-1.cluster.internal"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1", "::1", "a..b", "-a", "A", "*.example.com", "a b", &"x".repeat(64)] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_authoritys_arn_is_exactly_that() {
        let arn = AuthorityArn::new(&"us-east-1".parse().unwrap(), &"111122223333".parse().unwrap(), [7; 16]);
        assert_eq!(arn.as_str().parse::<AuthorityArn>().unwrap(), arn);
        assert!(arn.as_str().ends_with(arn.id()));
        for bad in ["", "arn:aws:kms:us-east-1:111122223333:key/x", &arn.as_str().to_uppercase()] {
            assert!(bad.parse::<AuthorityArn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_needed_and_bounded() {
        assert!(CertificateNames::default().check().is_err());
        let host: HostName = "localhost".parse().unwrap();
        assert!(CertificateNames::of_host(host.clone()).check().is_ok());
        let hosts = vec![host; CERTIFICATE_NAMES_MAX + 1];
        assert!(CertificateNames { hosts, ..CertificateNames::default() }.check().is_err());
    }

    #[test]
    fn reasons_have_aws_names() {
        for reason in RevocationReason::ALL {
            assert_eq!(reason.as_str().parse::<RevocationReason>().unwrap(), reason);
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert!("BOREDOM".parse::<RevocationReason>().is_err());
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "\\PC{0,60}") {
            if let Ok(parsed) = text.parse::<HostName>() { prop_assert_eq!(parsed.as_str(), &text); }
            if let Ok(parsed) = text.parse::<CertificateSerial>() { prop_assert_eq!(parsed.as_str(), &text); }
            if let Ok(parsed) = text.parse::<AuthorityArn>() { prop_assert_eq!(parsed.as_str(), &text); }
        }
    }
}
