//! The condition keys of one request and their values.
//!
//! Source: "AWS global condition context keys" (IAM user guide) and "AWS KMS condition keys" (KMS developer guide).
//! A key that AWS leaves out of a request must be left out here too: much depends on absence, since negated
//! operators, `…IfExists` and `ForAllValues` hold when a key is missing. Names ignore case;
//! `kms:EncryptionContext:AppName` too.

use std::collections::BTreeMap;

use crate::model::{
    EncryptionContext, OrganizationId, PrincipalArn, PrincipalKind, Region, Timestamp, VpcEndpointId, VpcId,
};

use super::{PrincipalFacts, Resource, request::ResourceKind};

/// What a condition key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextValue {
    /// The value of a single-valued key. Policy variables may use it.
    One(String),
    /// The values of a multivalued key, such as `kms:EncryptionContextKeys`.
    Many(Vec<String>),
}

impl ContextValue {
    /// The values, one or many.
    #[must_use]
    pub fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    value: ContextValue,
    identity_only: bool,
}

/// The condition keys of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConditionContext(BTreeMap<String, Entry>);

/// Which policies look: some keys are not there for the resource's own policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Viewer {
    /// The key policy, bucket policy or trust policy.
    ResourcePolicy,
    /// Every other layer.
    Other,
}

impl ConditionContext {
    /// A context without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a single-valued key.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        self.put(key, ContextValue::One(value.into()), false)
    }

    /// Sets a Bool key.
    pub fn set_bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.set(key, if value { "true" } else { "false" })
    }

    /// Sets a multivalued key. Without values it counts as absent.
    pub fn set_many<V: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.put(key, ContextValue::Many(values.into_iter().map(Into::into).collect()), false)
    }

    /// Hides a key that is set from the resource's own policy, as KMS does with `kms:ResourceAliases` and
    /// `aws:ResourceTag`.
    pub fn hide_from_resource_policy(&mut self, key: &str) -> &mut Self {
        if let Some(entry) = self.0.get_mut(&key.to_lowercase()) {
            entry.identity_only = true;
        }
        self
    }

    /// The value of a key, whoever may see it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ContextValue> {
        self.0.get(&key.to_lowercase()).map(|entry| &entry.value)
    }

    /// The keys, in lower case and sorted, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ContextValue)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), &entry.value))
    }

    /// The value that `viewer` sees under a key in lower case; an empty list is as good as absent.
    pub(super) fn seen(&self, lower_key: &str, viewer: Viewer) -> Option<&ContextValue> {
        let entry = self.0.get(lower_key)?;
        let hidden = entry.identity_only && viewer == Viewer::ResourcePolicy;
        (!hidden && !entry.value.values().is_empty()).then_some(&entry.value)
    }

    /// Sets keys that begin alike and end in names that somebody chose. Names that differ in case alone are one condition
    /// key: it has several values then, and doubt counts against access.
    fn put_family<'t>(
        &mut self,
        family: &str,
        pairs: impl IntoIterator<Item = (&'t str, &'t str)>,
        identity_only: bool,
    ) -> &mut Self {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            by_name.entry(format!("{family}{}", name.to_lowercase())).or_default().push(value.into());
        }
        for (name, mut values) in by_name {
            let value = match values.len() {
                1 => ContextValue::One(values.remove(0)),
                _ => ContextValue::Many(values),
            };
            self.put(&name, value, identity_only);
        }
        self
    }

    fn put(&mut self, key: &str, value: ContextValue, identity_only: bool) -> &mut Self {
        self.0.insert(key.to_lowercase(), Entry { value, identity_only });
        self
    }
}

/// The global keys, each by its name, so that no caller spells one wrong.
///
/// Keys that AWS fills only in some requests have their own call; leave it out where AWS leaves the key out.
impl ConditionContext {
    /// What follows from who calls: `aws:PrincipalArn` (for a session its role's ARN), `aws:PrincipalAccount`,
    /// `aws:PrincipalType`, `aws:PrincipalIsAWSService`, for a user `aws:username`, for a service
    /// `aws:PrincipalServiceName`, and `aws:userid` when the unique id is known.
    pub fn principal(&mut self, principal: &PrincipalFacts) -> &mut Self {
        let Some(arn) = principal.arn() else {
            if let super::request::Caller::Service(name) = principal.caller() {
                self.set_bool("aws:PrincipalIsAWSService", true).set("aws:PrincipalServiceName", name);
                self.set("aws:PrincipalType", "Service");
            }
            return self;
        };
        self.set_bool("aws:PrincipalIsAWSService", false);
        self.set("aws:PrincipalAccount", arn.account().as_str());
        self.set("aws:PrincipalArn", principal.principal_arn().map_or("", PrincipalArn::as_str));
        let kind = match arn.kind() {
            PrincipalKind::Root => "Account",
            PrincipalKind::User => "User",
            PrincipalKind::FederatedUser => "FederatedUser",
            _ => "AssumedRole",
        };
        self.set("aws:PrincipalType", kind);
        if arn.kind() == PrincipalKind::User {
            self.set("aws:username", arn.name());
        }
        match (arn.kind(), principal.unique_id()) {
            (PrincipalKind::Root, _) => self.set("aws:userid", arn.account().as_str()),
            (PrincipalKind::AssumedRole, Some(id)) => self.set("aws:userid", format!("{id}:{}", arn.name())),
            (PrincipalKind::FederatedUser, _) => {
                self.set("aws:userid", format!("{}:{}", arn.account(), arn.name()))
            }
            (_, Some(id)) => self.set("aws:userid", id),
            (_, None) => self,
        }
    }

    /// What follows from the resource: `aws:ResourceAccount`; for a KMS key also `kms:CallerAccount`.
    pub fn resource(&mut self, resource: &Resource, principal: &PrincipalFacts) -> &mut Self {
        if let Some(owner) = resource.owner() {
            self.set("aws:ResourceAccount", owner.as_str());
        }
        if let (ResourceKind::Key, Some(account)) = (resource.kind(), principal.account()) {
            self.set("kms:CallerAccount", account.as_str());
        }
        self
    }

    /// `aws:PrincipalOrgID` and `aws:PrincipalOrgPaths`, of principals whose account belongs to an organization.
    pub fn principal_organization(&mut self, organization: &OrganizationId, path: &str) -> &mut Self {
        self.set("aws:PrincipalOrgID", organization.as_str());
        self.set_many("aws:PrincipalOrgPaths", [path])
    }

    /// `aws:ResourceOrgID` and `aws:ResourceOrgPaths`, of resources whose account belongs to an organization.
    pub fn resource_organization(&mut self, organization: &OrganizationId, path: &str) -> &mut Self {
        self.set("aws:ResourceOrgID", organization.as_str());
        self.set_many("aws:ResourceOrgPaths", [path])
    }

    /// `aws:CurrentTime` and `aws:EpochTime`.
    pub fn time(&mut self, now: Timestamp) -> &mut Self {
        self.set("aws:CurrentTime", now.to_rfc3339());
        self.set("aws:EpochTime", now.as_millis().div_euclid(1000).to_string())
    }

    /// `aws:RequestedRegion`.
    pub fn region(&mut self, region: &Region) -> &mut Self {
        self.set("aws:RequestedRegion", region.as_str())
    }

    /// `aws:SecureTransport`.
    pub fn secure_transport(&mut self, tls: bool) -> &mut Self {
        self.set_bool("aws:SecureTransport", tls)
    }

    /// `aws:UserAgent`.
    pub fn user_agent(&mut self, agent: impl Into<String>) -> &mut Self {
        self.set("aws:UserAgent", agent)
    }

    /// `aws:SourceIp`; not for requests that come through a VPC endpoint.
    pub fn source_ip(&mut self, address: impl Into<String>) -> &mut Self {
        self.set("aws:SourceIp", address)
    }

    /// `aws:SourceVpce`, `aws:SourceVpc` and `aws:VpcSourceIp`, of requests that come through a VPC endpoint.
    pub fn vpc_endpoint(&mut self, id: &VpcEndpointId, vpc: &VpcId, address: impl Into<String>) -> &mut Self {
        self.set("aws:SourceVpce", id.as_str()).set("aws:SourceVpc", vpc.as_str());
        self.set("aws:VpcSourceIp", address)
    }

    /// `aws:ViaAWSService`, and when the call came through services also `aws:CalledVia`, its first and its last.
    pub fn called_via(&mut self, services: &[&str]) -> &mut Self {
        self.set_bool("aws:ViaAWSService", !services.is_empty());
        if let (Some(first), Some(last)) = (services.first(), services.last()) {
            self.set_many("aws:CalledVia", services.iter().copied());
            self.set("aws:CalledViaFirst", *first).set("aws:CalledViaLast", *last);
        }
        self
    }

    /// `aws:TokenIssueTime` and `aws:MultiFactorAuthPresent`, of temporary credentials only.
    pub fn temporary_credentials(&mut self, issued: Timestamp, mfa: bool) -> &mut Self {
        self.set("aws:TokenIssueTime", issued.to_rfc3339());
        self.set_bool("aws:MultiFactorAuthPresent", mfa)
    }

    /// `aws:MultiFactorAuthAge` in seconds, of sessions with MFA only.
    pub fn mfa_age(&mut self, seconds: u64) -> &mut Self {
        self.set("aws:MultiFactorAuthAge", seconds.to_string())
    }

    /// `aws:PrincipalTag/…`.
    pub fn principal_tags<'t>(&mut self, tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> &mut Self {
        self.put_family("aws:PrincipalTag/", tags, false)
    }

    /// `aws:ResourceTag/…`; hidden from key policies.
    pub fn resource_tags<'t>(
        &mut self,
        resource: &Resource,
        tags: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> &mut Self {
        self.put_family("aws:ResourceTag/", tags, resource.kind() == ResourceKind::Key)
    }

    /// `aws:RequestTag/…` and `aws:TagKeys`, of requests that hand in tags.
    pub fn request_tags<'t>(&mut self, tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> &mut Self {
        let tags: Vec<(&str, &str)> = tags.into_iter().collect();
        self.put_family("aws:RequestTag/", tags.iter().copied(), false);
        self.set_many("aws:TagKeys", tags.iter().map(|(key, _)| *key))
    }

    /// `kms:ResourceAliases`; hidden from key policies.
    pub fn resource_aliases<V: Into<String>>(&mut self, aliases: impl IntoIterator<Item = V>) -> &mut Self {
        self.set_many("kms:ResourceAliases", aliases).hide_from_resource_policy("kms:ResourceAliases")
    }

    /// `kms:EncryptionContext:…` and `kms:EncryptionContextKeys`, of the operations that take a context.
    pub fn encryption_context(&mut self, context: &EncryptionContext) -> &mut Self {
        self.put_family("kms:EncryptionContext:", context.iter(), false);
        self.set_many("kms:EncryptionContextKeys", context.iter().map(|(key, _)| key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_values_do_not() {
        let mut context = ConditionContext::new();
        context.set("kms:EncryptionContext:AppName", "Chat");
        assert_eq!(context.get("KMS:encryptioncontext:appname"), Some(&ContextValue::One("Chat".into())));
    }

    #[test]
    fn aliases_and_tags_of_a_key_are_hidden_from_its_policy() {
        let key = "arn:aws:kms:us-east-1:111122223333:key/k".parse().unwrap();
        let mut context = ConditionContext::new();
        context.resource_aliases(["alias/a"]).resource_tags(&Resource::key(&key), [("team", "ml")]);
        for name in ["kms:resourcealiases", "aws:resourcetag/team"] {
            assert!(context.seen(name, Viewer::Other).is_some());
            assert!(context.seen(name, Viewer::ResourcePolicy).is_none());
        }
    }

    #[test]
    fn a_sessions_principal_arn_is_its_roles() {
        let session = PrincipalFacts::new("arn:aws:sts::111122223333:assumed-role/ops/me".parse().unwrap())
            .with_unique_id("AROAEXAMPLEID");
        let mut context = ConditionContext::new();
        context.principal(&session);
        let one = |text: &str| Some(ContextValue::One(text.into()));
        assert_eq!(context.get("aws:PrincipalArn").cloned(), one("arn:aws:iam::111122223333:role/ops"));
        assert_eq!(context.get("aws:userid").cloned(), one("AROAEXAMPLEID:me"));
        assert_eq!(context.get("aws:username"), None);
    }

    #[test]
    fn keys_that_differ_in_case_alone_keep_all_their_values() {
        let mut context = ConditionContext::new();
        context.encryption_context(&EncryptionContext::from_pairs([("App", "a"), ("app", "b")]).unwrap());
        assert_eq!(context.get("kms:EncryptionContext:app").unwrap().values(), ["a", "b"]);
    }

    #[test]
    fn tags_that_differ_in_case_alone_do_not_hide_one_another() {
        let key = "arn:aws:kms:us-east-1:111122223333:key/k".parse().unwrap();
        let mut context = ConditionContext::new();
        context.resource_tags(&Resource::key(&key), [("Env", "prod"), ("env", "dev")]);
        context.request_tags([("Team", "finance"), ("team", "ml")]).principal_tags([("a", "1")]);
        let many = |one: &str, other: &str| Some(ContextValue::Many(vec![one.into(), other.into()]));
        assert_eq!(context.get("aws:ResourceTag/env").cloned(), many("prod", "dev"));
        assert_eq!(context.get("aws:RequestTag/TEAM").cloned(), many("finance", "ml"));
        assert_eq!(context.get("aws:PrincipalTag/a").cloned(), Some(ContextValue::One("1".into())));
    }

    #[test]
    fn an_empty_list_counts_as_absent() {
        let mut context = ConditionContext::new();
        context.encryption_context(&EncryptionContext::new());
        assert!(context.seen("kms:encryptioncontextkeys", Viewer::Other).is_none());
    }
}
