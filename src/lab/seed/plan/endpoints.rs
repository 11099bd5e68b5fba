//! The VPC endpoints of a seed.

use super::{Planner, same_json};
use crate::{
    lab::seed::{Named, organization::EndpointSeed},
    model::VpcEndpointId,
    services::ec2::{CreateVpcEndpoint, ModifyVpcEndpoint},
};

impl Planner<'_> {
    pub(super) fn vpc_endpoints(&mut self, endpoints: &Named<VpcEndpointId, EndpointSeed>) {
        for (id, seed) in endpoints {
            self.at(id.span());
            let (id, before) = (id.get_ref(), self.steps.len());
            let what = format!("VPC endpoint {id}");
            let policy = seed.policy.as_ref().map(|policy| policy.resolve(self.filling()));
            match self.world.vpc_endpoint(id) {
                None => {
                    let call = CreateVpcEndpoint {
                        vpc_id: seed.vpc.clone(),
                        service_name: None,
                        policy_document: policy.map(Into::into),
                        vpc_endpoint_id: Some(id.clone()),
                    };
                    self.create(what.clone(), call);
                }
                Some(there) if there.account != *self.account || there.vpc != seed.vpc => {
                    self.kept(format!("{what}: it stands in {} of {}", there.vpc, there.account));
                }
                Some(there) => {
                    if let Some(policy) = policy.filter(|policy| !same_json(policy, there.policy.text())) {
                        let call = ModifyVpcEndpoint {
                            vpc_endpoint_id: id.clone(),
                            reset_policy: None,
                            policy_document: Some(policy.into()),
                        };
                        self.update(format!("{what}: policy"), call);
                    }
                }
            }
            self.unchanged_since(before, what);
        }
    }
}
