//! VPC endpoints: ways to a service from a private network, each with a policy on what may pass.
//!
//! Source: "Controlling access to AWS KMS through a VPC endpoint" (KMS developer guide), "Control access to VPC endpoints
//! using endpoint policies" (AWS PrivateLink guide).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    model::{AccountId, ParseError, Timestamp, VpcEndpointId, VpcId},
    policy::{Policy, PolicyKind},
};

/// The policy that an endpoint has unless it is given another: everything passes.
pub const DEFAULT_ENDPOINT_POLICY: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}"#;

/// A VPC endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct VpcEndpoint {
    /// Its id.
    pub id: VpcEndpointId,
    /// The private network that it stands in.
    pub vpc: VpcId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The short name of the service that it leads to, such as `kms`.
    pub service: String,
    /// When it was made.
    pub created: Timestamp,
    /// What may pass.
    pub policy: Arc<Policy>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: VpcEndpointId,
    vpc: VpcId,
    account: AccountId,
    service: String,
    created: Timestamp,
    policy: String,
}

impl VpcEndpoint {
    /// Whether it leads to the service of this action.
    #[must_use]
    pub fn leads_to(&self, action: &str) -> bool {
        action.split_once(':').is_some_and(|(service, _)| service.eq_ignore_ascii_case(&self.service))
    }
}

impl TryFrom<Stored> for VpcEndpoint {
    type Error = ParseError;

    fn try_from(stored: Stored) -> Result<Self, ParseError> {
        let Stored { id, vpc, account, service, created, policy } = stored;
        let policy = Policy::parse(&policy, PolicyKind::VpcEndpoint)
            .map_err(|error| ParseError::new(error.to_string()))?;
        Ok(Self { id, vpc, account, service, created, policy: Arc::new(policy) })
    }
}

impl From<VpcEndpoint> for Stored {
    fn from(endpoint: VpcEndpoint) -> Self {
        let VpcEndpoint { id, vpc, account, service, created, policy } = endpoint;
        Self { id, vpc, account, service, created, policy: policy.text().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_its_row_and_leads_to_its_service_alone() {
        let policy = Policy::parse(DEFAULT_ENDPOINT_POLICY, PolicyKind::VpcEndpoint).unwrap();
        let endpoint = VpcEndpoint {
            id: "vpce-1a2b3c4d".parse().unwrap(),
            vpc: "vpc-1a2b3c4d".parse().unwrap(),
            account: "111122223333".parse().unwrap(),
            service: "kms".into(),
            created: Timestamp::from_millis(0),
            policy: Arc::new(policy),
        };
        let text = serde_json::to_string(&endpoint).unwrap();
        let again: VpcEndpoint = serde_json::from_str(&text).unwrap();
        assert_eq!((&again.id, again.policy.text()), (&endpoint.id, DEFAULT_ENDPOINT_POLICY));
        assert!(endpoint.leads_to("KMS:Decrypt"));
        assert!(!endpoint.leads_to("s3:GetObject") && !endpoint.leads_to("kms"));
    }
}
