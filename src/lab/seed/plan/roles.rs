//! Roles, each after the roles that its trust policy names.

use super::{
    super::{Contents, SeedError, people::RoleSeed},
    Planner,
    people::{Holder, Standing},
    same_json,
};
use crate::{
    iam::{IamPath, RoleName},
    model::{AccountId, PrincipalArn},
    services::iam::{CreateRole, PolicyText, UpdateAssumeRolePolicy, UpdateRole},
};

/// A role that is to be planned.
struct Waiting<'a> {
    account: &'a AccountId,
    start: usize,
    name: &'a RoleName,
    seed: &'a RoleSeed,
    arn: PrincipalArn,
    /// The trust policy that the seed gives it.
    trust: Option<String>,
}

impl Waiting<'_> {
    fn trusts(&self, other: &Self) -> bool {
        let quoted = format!("\"{}\"", other.arn);
        self.arn != other.arn && self.trust.as_ref().is_some_and(|trust| trust.contains(&quoted))
    }
}

impl<'a> Planner<'a> {
    /// The roles of all accounts: a trust policy may name a role of another one, which must be there before.
    pub(super) fn roles(&mut self, accounts: &[(&'a AccountId, Contents<'a>)]) -> Result<(), SeedError> {
        let mut waiting = Vec::new();
        for (account, contents) in accounts {
            self.account = account;
            for (name, seed) in contents.roles {
                let path = seed.path.clone().unwrap_or_else(IamPath::default);
                let arn = PrincipalArn::role(account, &path.with(name.get_ref()));
                let trust = seed.trust.as_ref().map(|trust| trust.resolve(self.filling()));
                let (start, name) = (name.span().start, name.get_ref());
                waiting.push(Waiting { account, start, name, seed, arn, trust });
            }
        }
        while !waiting.is_empty() {
            let free = |role: &Waiting<'_>| !waiting.iter().any(|other| role.trusts(other));
            // Two roles that name each other can not be made; the keystore's answer says so.
            let next = waiting.remove(waiting.iter().position(free).unwrap_or_default());
            self.account = next.account;
            self.at(next.start..next.start);
            self.role(&next)?;
        }
        Ok(())
    }

    fn role(&mut self, role: &Waiting<'_>) -> Result<(), SeedError> {
        let (before, holder, world, seed) =
            (self.steps.len(), Holder::Role(role.name), self.world, role.seed);
        let boundary = seed.permissions_boundary.as_ref().map(|named| self.policy_arn(named)).transpose()?;
        let there = world.identities().role(self.account, role.name);
        let role_name = || role.name.clone();
        match there {
            None => {
                let trust = role.trust.clone().map(PolicyText::from);
                let create = CreateRole {
                    role_name: role_name(),
                    assume_role_policy_document: trust
                        .unwrap_or_else(|| PolicyText::trusting_account(self.account)),
                    path: seed.path.clone(),
                    description: seed.description.clone(),
                    max_session_duration: seed.max_session_duration,
                    permissions_boundary: boundary,
                    tags: seed.tags.clone().map(Into::into),
                };
                self.create(holder.what(), create);
            }
            Some(there) => {
                let standing =
                    Standing { path: &there.path, tags: &there.tags, boundary: there.boundary.as_ref() };
                self.existing(holder, &standing, seed.path.as_ref(), seed.tags.as_ref(), boundary);
                if let Some(trust) =
                    role.trust.as_ref().filter(|trust| !same_json(trust, there.trust.policy().text()))
                {
                    let call = UpdateAssumeRolePolicy {
                        role_name: role_name(),
                        policy_document: trust.as_str().into(),
                    };
                    self.update(format!("{}: trust policy", holder.what()), call);
                }
                let description = seed.description.clone();
                let description = description.filter(|text| String::from(text.clone()) != there.description);
                let duration = seed.max_session_duration.unwrap_or(there.max_session_duration);
                if description.is_some() || duration != there.max_session_duration {
                    // One that is left out would fall back to an hour.
                    let max_session_duration = Some(duration);
                    let call = UpdateRole { role_name: role_name(), description, max_session_duration };
                    self.update(format!("{}: description and session duration", holder.what()), call);
                }
            }
        }
        let permissions = there.map(|role| &role.permissions);
        self.permissions(holder, permissions, &seed.managed_policies, &seed.policies)?;
        self.unchanged_since(before, holder.what());
        Ok(())
    }
}
