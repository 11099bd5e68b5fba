//! What a private network's parts are called.
//!
//! Source: EC2 API reference, `VpcEndpointId` and `VpcId`; "Interface VPC endpoints" (AWS PrivateLink guide) for host names.

use std::str::FromStr;

use serde::Deserialize;

use super::{ParseError, text_identifier};

/// How many hexadecimal digits an id of EC2 has: 8 of old, 17 now.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=17;

/// The id of a VPC endpoint: `vpce-` and 8–17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct VpcEndpointId(String);

text_identifier!(VpcEndpointId);

impl VpcEndpointId {
    /// A new id made of these bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 9]) -> Self {
        let mut digits = hex::encode(bytes);
        digits.truncate(*DIGITS.end());
        Self(format!("vpce-{digits}"))
    }

    /// The endpoint that a host name leads to: its first label is the id, with or without what AWS adds to it, and its
    /// second to last is `vpce`, as in `vpce-1a2b3c4d-5e6f.kms.us-east-1.vpce.localhost`.
    #[must_use]
    pub fn of_host(host: &str) -> Option<Self> {
        let mut labels = host.split('.');
        let first = labels.next()?;
        labels.find(|label| label.eq_ignore_ascii_case("vpce"))?;
        let rest =
            first.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("vpce-")).and(first.get(5..))?;
        let digits = rest.split('-').next()?.to_ascii_lowercase();
        format!("vpce-{digits}").parse().ok()
    }
}

impl FromStr for VpcEndpointId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.strip_prefix("vpce-").is_some_and(is_id) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not the id of a VPC endpoint: `vpce-` and 8 to 17 hexadecimal digits"
            )))
        }
    }
}

/// The id of a VPC: `vpc-` and 8–17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct VpcId(String);

text_identifier!(VpcId);

impl FromStr for VpcId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.strip_prefix("vpc-").is_some_and(is_id) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not the id of a VPC: `vpc-` and 8 to 17 hexadecimal digits"
            )))
        }
    }
}

fn is_id(text: &str) -> bool {
    DIGITS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_parses_and_what_is_not_an_id_does_not() {
        let id = VpcEndpointId::from_random([0xab; 9]);
        assert_eq!((id.as_str().len(), id.as_str().parse()), (22, Ok(id.clone())));
        for bad in ["", "vpce-", "vpce-1a2b3c4", "vpce-1A2B3C4D", "vpc-1a2b3c4d", "vpce-xxxxxxxx"] {
            assert!(bad.parse::<VpcEndpointId>().is_err(), "{bad}");
        }
        assert!("vpc-1a2b3c4d".parse::<VpcId>().is_ok() && "vpce-1a2b3c4d".parse::<VpcId>().is_err());
    }

    #[test]
    fn a_host_name_leads_to_an_endpoint() {
        let id: VpcEndpointId = "vpce-1a2b3c4d".parse().unwrap();
        for host in [
            "vpce-1a2b3c4d.kms.us-east-1.vpce.localhost",
            "vpce-1a2b3c4d-5e6f7a.kms.us-east-1.vpce.localhost",
            "VPCE-1A2B3C4D.kms.us-east-1.VPCE.localhost",
        ] {
            assert_eq!(VpcEndpointId::of_host(host).as_ref(), Some(&id), "{host}");
        }
        for host in ["localhost", "127.0.0.1", "vpce-1a2b3c4d.localhost", "kms.us-east-1.vpce.localhost", "ü"]
        {
            assert_eq!(VpcEndpointId::of_host(host), None, "{host}");
        }
    }
}
