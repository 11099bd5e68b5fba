//! CreateVpcEndpoint, ModifyVpcEndpoint, DescribeVpcEndpoints, DeleteVpcEndpoints.

use std::{str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    audit::ResourceEntry,
    kms::{Call, CallError, Outcome},
    model::{AccountId, ErrorCode, ParseError, Region, Timestamp, VpcEndpointId, VpcId},
    policy::{Action, Authorized, Policy, PolicyKind},
    services::{
        iam::{PolicyText, time},
        query::{Answer, ParameterValue, Shape, operations},
    },
    world::{Change, DEFAULT_ENDPOINT_POLICY, VpcEndpoint},
};

/// The most endpoints in one VPC (VPC quotas, "Interface endpoints per VPC").
pub const ENDPOINTS_PER_VPC_MAX: usize = 50;

operations! { in "ec2";
    /// Makes an endpoint through which calls from a VPC come to KMS.
    CreateVpcEndpoint writes -> VpcEndpointDetail as "VpcEndpoint" {
        /// The VPC. There are no networks here, so any id will do.
        vpc_id "VpcId": VpcId,
        /// The service: `com.amazonaws.REGION.kms`, which is the default.
        service_name "ServiceName": Option<EndpointServiceName>,
        /// What may pass; everything when left out.
        policy_document "PolicyDocument": Option<PolicyText>,
        /// An id of one's own; random when left out. AWS chooses it.
        vpc_endpoint_id "VpcEndpointId": Option<VpcEndpointId>,
    }

    /// Changes what may pass through an endpoint.
    ModifyVpcEndpoint writes -> () as "" {
        /// The endpoint.
        vpc_endpoint_id "VpcEndpointId": VpcEndpointId,
        /// Whether to let everything pass again.
        reset_policy "ResetPolicy": Option<bool>,
        /// What may pass from now on.
        policy_document "PolicyDocument": Option<PolicyText>,
    }

    /// Describes the account's endpoints.
    DescribeVpcEndpoints reads -> Vec<VpcEndpointDetail> as "VpcEndpoints" {
        /// Which ones; all when left out.
        vpc_endpoint_ids "VpcEndpointIds": Option<Vec<VpcEndpointId>>,
    }

    /// Deletes endpoints; who says that it comes through one that is gone gets nowhere.
    DeleteVpcEndpoints writes -> () as "" {
        /// The endpoints.
        vpc_endpoint_ids "VpcEndpointIds": Vec<VpcEndpointId>,
    }
}

/// The name of a service as endpoints have it: `com.amazonaws.REGION.kms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointServiceName {
    region: Region,
}

/// The one service that has endpoints here.
const SERVICE: &str = "kms";

impl EndpointServiceName {
    /// KMS in this Region.
    #[must_use]
    pub fn kms(region: Region) -> Self {
        Self { region }
    }
}

impl std::fmt::Display for EndpointServiceName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "com.amazonaws.{}.{SERVICE}", self.region)
    }
}

impl FromStr for EndpointServiceName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rest = text.strip_prefix("com.amazonaws.").and_then(|rest| rest.split_once('.'));
        let region = rest.filter(|(_, service)| *service == SERVICE).map(|(region, _)| region.parse());
        match region {
            Some(Ok(region)) => Ok(Self { region }),
            _ => Err(ParseError::new(format!(
                "`{text}` is not a service that has endpoints here: `com.amazonaws.REGION.{SERVICE}`"
            ))),
        }
    }
}

impl TryFrom<String> for EndpointServiceName {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<EndpointServiceName> for String {
    fn from(name: EndpointServiceName) -> Self {
        name.to_string()
    }
}

impl ParameterValue for EndpointServiceName {}

impl ParameterValue for VpcEndpointId {}

impl ParameterValue for VpcId {}

impl ParameterValue for Vec<VpcEndpointId> {
    const SHAPE: Shape = Shape::List;
}

/// An endpoint.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VpcEndpointDetail {
    /// Its id.
    pub vpc_endpoint_id: VpcEndpointId,
    /// `Interface`.
    pub vpc_endpoint_type: &'static str,
    /// The private network that it stands in.
    pub vpc_id: VpcId,
    /// The service that it leads to.
    pub service_name: String,
    /// `available`.
    pub state: &'static str,
    /// What may pass.
    pub policy_document: String,
    /// The account that it belongs to.
    pub owner_id: AccountId,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub creation_timestamp: Timestamp,
}

impl VpcEndpointDetail {
    fn of(endpoint: &VpcEndpoint, region: &Region) -> Self {
        Self {
            vpc_endpoint_id: endpoint.id.clone(),
            vpc_endpoint_type: "Interface",
            vpc_id: endpoint.vpc.clone(),
            service_name: EndpointServiceName::kms(region.clone()).to_string(),
            state: "available",
            policy_document: endpoint.policy.text().to_owned(),
            owner_id: endpoint.account.clone(),
            creation_timestamp: endpoint.created,
        }
    }
}

impl Answer for VpcEndpointDetail {}

impl CreateVpcEndpoint {
    /// An endpoint to KMS in this VPC, through which everything passes.
    #[must_use]
    pub fn new(vpc_id: VpcId) -> Self {
        Self { vpc_id, service_name: None, policy_document: None, vpc_endpoint_id: None }
    }

    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        // Before it is there it has no name that a policy could tell.
        let permitted = permit(call, "*")?;
        let region = call.world().settings().region.clone();
        if self.service_name.as_ref().is_some_and(|name| name.region != region) {
            let message = format!("The VPC endpoint service does not exist in {region}.");
            return Err(CallError::new(ErrorCode::InvalidServiceName, message));
        }
        let id = match &self.vpc_endpoint_id {
            Some(id) => id.clone(),
            None => VpcEndpointId::from_random(call.random().array()?),
        };
        if call.world().vpc_endpoint(&id).is_some() {
            let message = format!("There is a VPC endpoint {id} already.");
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        let in_vpc = call.world().vpc_endpoints().filter(|endpoint| endpoint.vpc == self.vpc_id);
        if in_vpc.count() >= ENDPOINTS_PER_VPC_MAX {
            let message = format!("The VPC {} has {ENDPOINTS_PER_VPC_MAX} endpoints already.", self.vpc_id);
            return Err(CallError::new(ErrorCode::VpcEndpointLimitExceeded, message));
        }
        let endpoint = VpcEndpoint {
            id,
            vpc: self.vpc_id.clone(),
            account: call.account(),
            service: SERVICE.into(),
            created: call.now(),
            policy: parse(self.policy_document.as_ref().map(PolicyText::as_str))?,
        };
        note(call, &endpoint);
        let answer = VpcEndpointDetail::of(&endpoint, &region);
        let elements = json!({"CreateVpcEndpointResponse": {"vpcEndpoint": {
            "vpcEndpointId": endpoint.id, "vpcId": endpoint.vpc, "serviceName": answer.service_name}}});
        let change = Change::PutVpcEndpoint(Box::new(endpoint));
        Ok(Outcome::answer(permitted, answer).changing(vec![change], elements))
    }
}

impl ModifyVpcEndpoint {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = permit(call, self.vpc_endpoint_id.as_str())?;
        let mut endpoint = VpcEndpoint::clone(&*find(call, &self.vpc_endpoint_id)?);
        let reset = self.reset_policy.unwrap_or_default();
        endpoint.policy = match &self.policy_document {
            Some(_) if reset => {
                let message = "You cannot give a policy and reset it in one request.";
                return Err(CallError::new(ErrorCode::Ec2InvalidParameter, message));
            }
            Some(text) => parse(Some(text.as_str()))?,
            None if reset => parse(None)?,
            None => endpoint.policy,
        };
        note(call, &endpoint);
        let change = Change::PutVpcEndpoint(Box::new(endpoint));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl DescribeVpcEndpoints {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        let (account, region) = (call.account(), &call.world().settings().region);
        let described = match &self.vpc_endpoint_ids {
            Some(ids) => ids
                .iter()
                .map(|id| Ok(VpcEndpointDetail::of(&*find(call, id)?, region)))
                .collect::<Result<Vec<_>, CallError>>()?,
            None => {
                let own = call.world().vpc_endpoints().filter(|endpoint| endpoint.account == account);
                own.map(|endpoint| VpcEndpointDetail::of(endpoint, region)).collect()
            }
        };
        Ok(Outcome::answer(permitted, described))
    }
}

impl DeleteVpcEndpoints {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let mut permitted = None;
        for id in &self.vpc_endpoint_ids {
            permitted = Some(permit(call, id.as_str())?);
        }
        let permitted = permitted.ok_or_else(|| {
            CallError::new(ErrorCode::Ec2InvalidParameter, "The request must name an endpoint.")
        })?;
        let mut changes = Vec::new();
        for id in &self.vpc_endpoint_ids {
            let endpoint = find(call, id)?;
            note(call, &endpoint);
            changes.push(Change::DeleteVpcEndpoint(id.clone()));
        }
        Ok(Outcome::answer(permitted, ()).changing(changes, Value::Null))
    }
}

/// Asks whether the caller may do `A` to an endpoint of its account.
fn permit<A: Action>(call: &Call<'_>, id: &str) -> Result<Authorized<A>, CallError> {
    let account = call.account();
    let arn = format!("arn:aws:ec2:{}:{account}:vpc-endpoint/{id}", call.world().settings().region);
    call.authorize_on::<A>(&arn, account)
}

/// The endpoint of the caller's account with this id.
fn find(call: &Call<'_>, id: &VpcEndpointId) -> Result<Arc<VpcEndpoint>, CallError> {
    let account = call.account();
    let found = call.world().vpc_endpoint(id).filter(|endpoint| endpoint.account == account);
    found.cloned().ok_or_else(|| {
        let message = format!("The Vpc Endpoint Id '{id}' does not exist");
        CallError::new(ErrorCode::VpcEndpointNotFound, message)
    })
}

fn parse(text: Option<&str>) -> Result<Arc<Policy>, CallError> {
    Policy::parse(text.unwrap_or(DEFAULT_ENDPOINT_POLICY), PolicyKind::VpcEndpoint).map(Arc::new).map_err(
        |error| {
            CallError::new(ErrorCode::Ec2InvalidPolicyDocument, "Invalid policy document")
                .explained(error.to_string())
        },
    )
}

fn note(call: &mut Call<'_>, endpoint: &VpcEndpoint) {
    let region = call.world().settings().region.clone();
    call.note(ResourceEntry {
        account_id: endpoint.account.clone(),
        resource_type: "AWS::EC2::VPCEndpoint".into(),
        arn: format!("arn:aws:ec2:{region}:{}:vpc-endpoint/{}", endpoint.account, endpoint.id),
    });
}
