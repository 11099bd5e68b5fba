//! Managed policies, users and groups, and what is the same for users, groups and roles.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{
    super::{
        Contents, SeedError,
        people::{GroupSeed, UserSeed},
        policy::PolicyText,
        reference::PolicyRef,
    },
    BoxedCall, Planner, StepKind, same_json, tag_changes,
};
use crate::{
    iam::{
        GroupName, IamPath, ManagedPolicy, POLICY_VERSIONS_MAX, Permissions, PolicyArn, PolicyName, RoleName,
        UserName,
    },
    model::Tags,
    services::iam::{
        AddUserToGroup, AttachGroupPolicy, AttachRolePolicy, AttachUserPolicy, CreateGroup, CreatePolicy,
        CreatePolicyVersion, CreateUser, DeletePolicyVersion, PutGroupPolicy, PutRolePermissionsBoundary,
        PutRolePolicy, PutUserPermissionsBoundary, PutUserPolicy, TagRole, TagUser, UntagRole, UntagUser,
    },
};

/// Whom policies hang on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'a> {
    User(&'a UserName),
    Group(&'a GroupName),
    Role(&'a RoleName),
}

/// What there is of a holder already.
pub(super) struct Standing<'a> {
    pub(super) path: &'a IamPath,
    pub(super) tags: &'a Tags,
    pub(super) boundary: Option<&'a PolicyArn>,
}

impl Holder<'_> {
    /// As the plan names it.
    pub(super) fn what(self) -> String {
        match self {
            Self::User(name) => format!("user {name}"),
            Self::Group(name) => format!("group {name}"),
            Self::Role(name) => format!("role {name}"),
        }
    }

    fn put_policy(self, policy_name: PolicyName, text: String) -> BoxedCall {
        let policy_document = text.into();
        match self {
            Self::User(name) => {
                Box::new(PutUserPolicy { user_name: name.clone(), policy_name, policy_document })
            }
            Self::Group(name) => {
                Box::new(PutGroupPolicy { group_name: name.clone(), policy_name, policy_document })
            }
            Self::Role(name) => {
                Box::new(PutRolePolicy { role_name: name.clone(), policy_name, policy_document })
            }
        }
    }

    fn attach(self, policy_arn: PolicyArn) -> BoxedCall {
        match self {
            Self::User(name) => Box::new(AttachUserPolicy { user_name: name.clone(), policy_arn }),
            Self::Group(name) => Box::new(AttachGroupPolicy { group_name: name.clone(), policy_arn }),
            Self::Role(name) => Box::new(AttachRolePolicy { role_name: name.clone(), policy_arn }),
        }
    }

    /// Groups have no boundary.
    fn bound(self, permissions_boundary: PolicyArn) -> Option<BoxedCall> {
        match self {
            Self::User(name) => {
                Some(Box::new(PutUserPermissionsBoundary { user_name: name.clone(), permissions_boundary }))
            }
            Self::Role(name) => {
                Some(Box::new(PutRolePermissionsBoundary { role_name: name.clone(), permissions_boundary }))
            }
            Self::Group(_) => None,
        }
    }

    /// Groups have no tags.
    fn untag(self, tag_keys: Vec<String>) -> Option<BoxedCall> {
        match self {
            Self::User(name) => Some(Box::new(UntagUser { user_name: name.clone(), tag_keys })),
            Self::Role(name) => Some(Box::new(UntagRole { role_name: name.clone(), tag_keys })),
            Self::Group(_) => None,
        }
    }

    fn tag(self, tags: Tags) -> Option<BoxedCall> {
        let tags = tags.into();
        match self {
            Self::User(name) => Some(Box::new(TagUser { user_name: name.clone(), tags })),
            Self::Role(name) => Some(Box::new(TagRole { role_name: name.clone(), tags })),
            Self::Group(_) => None,
        }
    }
}

impl Planner<'_> {
    pub(super) fn managed_policies(&mut self, contents: &Contents<'_>) {
        for (name, text) in contents.managed_policies {
            self.at(name.span());
            let name = name.get_ref();
            let (what, document) = (format!("managed policy {name}"), text.resolve(self.filling()));
            let arn = PolicyArn::new(Some(self.account.clone()), IamPath::default(), name.clone());
            let before = self.steps.len();
            match self.world.identities().policy(&arn) {
                None => self.create(
                    what.clone(),
                    CreatePolicy {
                        policy_name: name.clone(),
                        policy_document: document.into(),
                        path: None,
                        description: None,
                        tags: None,
                    },
                ),
                Some(there) if !same_json(there.default_version().document.text(), &document) => {
                    self.new_version(&what, there, document);
                }
                Some(_) => {}
            }
            self.unchanged_since(before, what);
        }
    }

    /// A policy has five versions at most, so the oldest goes.
    fn new_version(&mut self, what: &str, there: &ManagedPolicy, document: String) {
        let (versions, in_force) = (there.versions(), there.default_version().id);
        if versions.len() >= POLICY_VERSIONS_MAX
            && let Some(oldest) = versions.iter().rev().find(|version| version.id != in_force)
        {
            let (policy_arn, version_id) = (there.arn.clone(), oldest.id);
            let call = DeletePolicyVersion { policy_arn, version_id };
            self.update(format!("{what}: delete its version {version_id}"), call);
        }
        let policy_arn = there.arn.clone();
        let call =
            CreatePolicyVersion { policy_arn, policy_document: document.into(), set_as_default: Some(true) };
        self.update(format!("{what}: a new version"), call);
    }

    pub(super) fn users(&mut self, contents: &Contents<'_>) -> Result<(), SeedError> {
        for (name, user) in contents.users {
            self.at(name.span());
            self.user(name.get_ref(), user)?;
        }
        Ok(())
    }

    fn user(&mut self, name: &UserName, seed: &UserSeed) -> Result<(), SeedError> {
        let (before, holder, world) = (self.steps.len(), Holder::User(name), self.world);
        let boundary = seed.permissions_boundary.as_ref().map(|named| self.policy_arn(named)).transpose()?;
        let there = world.identities().user(self.account, name);
        match there {
            None => {
                let tags = seed.tags.clone().map(Into::into);
                let (user_name, path) = (name.clone(), seed.path.clone());
                self.create(
                    holder.what(),
                    CreateUser { user_name, path, permissions_boundary: boundary, tags },
                );
            }
            Some(user) => {
                let standing =
                    Standing { path: &user.path, tags: &user.tags, boundary: user.boundary.as_ref() };
                self.existing(holder, &standing, seed.path.as_ref(), seed.tags.as_ref(), boundary);
            }
        }
        let permissions = there.map(|user| &user.permissions);
        self.permissions(holder, permissions, &seed.managed_policies, &seed.policies)?;
        self.credentials(name, seed);
        self.unchanged_since(before, holder.what());
        Ok(())
    }

    pub(super) fn groups(&mut self, contents: &Contents<'_>) -> Result<(), SeedError> {
        for (name, group) in contents.groups {
            self.at(name.span());
            self.group(name.get_ref(), group, contents)?;
        }
        Ok(())
    }

    fn group(
        &mut self,
        name: &GroupName,
        seed: &GroupSeed,
        contents: &Contents<'_>,
    ) -> Result<(), SeedError> {
        let (before, holder, world) = (self.steps.len(), Holder::Group(name), self.world);
        let there = world.identities().group(self.account, name);
        match there {
            None => {
                self.create(holder.what(), CreateGroup { group_name: name.clone(), path: seed.path.clone() })
            }
            Some(group) => self.path(holder, &group.path, seed.path.as_ref()),
        }
        let permissions = there.map(|group| &group.permissions);
        self.permissions(holder, permissions, &seed.managed_policies, &seed.policies)?;
        let of_the_group = self.place;
        for member in &seed.members {
            self.at(member.span());
            let user_name = member.get_ref();
            let user = world.identities().user(self.account, user_name);
            if user.is_none() && !contents.users.keys().any(|seeded| seeded.get_ref() == user_name) {
                return Err(SeedError::Unknown {
                    place: self.place,
                    what: format!("user `{user_name}` in the account {}", self.account),
                    hint: format!("write `[users.{user_name}]`, or take the name out of `members`"),
                });
            }
            if !user.is_some_and(|user| user.groups.contains(name)) {
                let call = AddUserToGroup { group_name: name.clone(), user_name: user_name.clone() };
                self.create(format!("{}: member {user_name}", holder.what()), call);
            }
        }
        self.place = of_the_group;
        self.unchanged_since(before, holder.what());
        Ok(())
    }

    /// What can be changed of a user or role that is there.
    pub(super) fn existing(
        &mut self,
        holder: Holder<'_>,
        there: &Standing<'_>,
        path: Option<&IamPath>,
        tags: Option<&Tags>,
        boundary: Option<PolicyArn>,
    ) {
        let what = holder.what();
        self.path(holder, there.path, path);
        if let Some(tags) = tags {
            let (surplus, missing) = tag_changes(there.tags, tags);
            if !surplus.is_empty() {
                self.push(StepKind::Update, format!("{what}: take off tags"), holder.untag(surplus));
            }
            if !missing.is_empty() {
                self.push(StepKind::Update, format!("{what}: tags"), holder.tag(missing));
            }
        }
        if let Some(boundary) = boundary.filter(|boundary| there.boundary != Some(boundary)) {
            self.push(StepKind::Update, format!("{what}: permissions boundary"), holder.bound(boundary));
        }
    }

    fn path(&mut self, holder: Holder<'_>, there: &IamPath, wanted: Option<&IamPath>) {
        if let Some(path) = wanted.filter(|path| *path != there) {
            self.kept(format!("{}: its path is `{there}` and not `{path}`", holder.what()));
        }
    }

    /// The managed and inline policies that do not hang on it yet.
    pub(super) fn permissions<K>(
        &mut self,
        holder: Holder<'_>,
        there: Option<&Permissions>,
        managed: &[Spanned<PolicyRef>],
        inline: &BTreeMap<PolicyName, PolicyText<K>>,
    ) -> Result<(), SeedError> {
        let of_the_holder = self.place;
        for named in managed {
            let arn = self.policy_arn(named)?;
            if !there.is_some_and(|there| there.attached.contains(&arn)) {
                self.at(named.span());
                let what = format!("{}: managed policy {}", holder.what(), arn.name());
                self.push(StepKind::Create, what, Some(holder.attach(arn)));
            }
        }
        self.place = of_the_holder;
        for (name, text) in inline {
            let policy = text.resolve(self.filling());
            let put = there.and_then(|there| there.inline.get(name));
            if put.is_some_and(|put| same_json(put.text(), &policy)) {
                continue;
            }
            let kind = if put.is_some() { StepKind::Update } else { StepKind::Create };
            let what = format!("{}: policy {name}", holder.what());
            self.push(kind, what, Some(holder.put_policy(name.clone(), policy)));
        }
        Ok(())
    }

    /// The managed policy that is named, which must be there or be made.
    pub(super) fn policy_arn(&self, named: &Spanned<PolicyRef>) -> Result<PolicyArn, SeedError> {
        let place = self.seed.text.place(named.span().start);
        let arn = named.get_ref().resolve(self.filling());
        let arn = arn.map_err(|error| SeedError::Text { place, message: error.to_string() })?;
        let accounts = self.seed.accounts(&self.world.settings().account);
        let is_seeded = arn.path() == &IamPath::default()
            && accounts.iter().any(|(account, contents)| {
                arn.owner() == Some(account)
                    && contents.managed_policies.keys().any(|name| name.get_ref() == arn.name())
            });
        if is_seeded || self.world.identities().policy(&arn).is_some() {
            return Ok(arn);
        }
        Err(SeedError::Unknown {
            place,
            what: format!("managed policy `{arn}`"),
            hint: format!(
                "write `[managed_policies.{}]`, or the ARN of one of AWS's: `keystead iam list-policies --scope AWS` \
                 shows which there are",
                arn.name()
            ),
        })
    }
}
