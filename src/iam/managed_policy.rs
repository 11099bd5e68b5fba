//! A managed policy: one text that hangs on many identities, with its versions.
//!
//! Source: "Managed policies and inline policies" and "Versioning IAM policies" (IAM user guide).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{IamPath, IdentityPolicy, PolicyName, UniqueId};
use crate::model::{AccountId, Arn, ParseError, Tags, Timestamp};

/// The most versions of one managed policy (IAM quotas).
pub const POLICY_VERSIONS_MAX: usize = 5;

/// The ARN of a managed policy: `arn:aws:iam::ACCOUNT:policy/PATH/NAME`, or with `aws` in place of the account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyArn {
    owner: Option<AccountId>,
    path: IamPath,
    name: PolicyName,
}

impl PolicyArn {
    /// The ARN of a policy of this account, or of AWS.
    #[must_use]
    pub fn new(owner: Option<AccountId>, path: IamPath, name: PolicyName) -> Self {
        Self { owner, path, name }
    }

    /// The account that it belongs to; none for AWS managed policies.
    #[must_use]
    pub fn owner(&self) -> Option<&AccountId> {
        self.owner.as_ref()
    }

    /// The policy's path.
    #[must_use]
    pub fn path(&self) -> &IamPath {
        &self.path
    }

    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.name
    }
}

impl fmt::Display for PolicyArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_ref().map_or("aws", AccountId::as_str);
        write!(formatter, "arn:aws:iam::{owner}:policy/{}", self.path.with(&self.name))
    }
}

impl FromStr for PolicyArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let not_one = || {
            ParseError::new(format!(
                "`{text}` is not the ARN of a managed policy: `arn:aws:iam::ACCOUNT:policy/NAME`, or \
                 `arn:aws:iam::aws:policy/NAME`"
            ))
        };
        let arn: Arn = text.parse().map_err(|_| not_one())?;
        let place = (arn.partition(), arn.service(), arn.region());
        let path_and_name = arn.resource().strip_prefix("policy/").filter(|_| place == ("aws", "iam", ""));
        let owner = match arn.account() {
            "aws" => None,
            account => Some(account.parse().map_err(|_| not_one())?),
        };
        let (path, name) = IamPath::split(path_and_name.ok_or_else(not_one)?).map_err(|_| not_one())?;
        Ok(Self { owner, path, name: name.parse().map_err(|_| not_one())? })
    }
}

impl TryFrom<String> for PolicyArn {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<PolicyArn> for String {
    fn from(arn: PolicyArn) -> Self {
        arn.to_string()
    }
}

/// The number of a policy's version, written `v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionId(u32);

impl VersionId {
    /// The version that a policy is made with.
    pub const FIRST: Self = Self(1);

    /// The version of this number.
    pub(super) const fn from_number(number: u32) -> Self {
        Self(number)
    }

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{}", self.0)
    }
}

impl FromStr for VersionId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits =
            text.strip_prefix('v').filter(|digits| digits.starts_with(|c: char| ('1'..='9').contains(&c)));
        let number = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        number.and_then(|digits| digits.parse().ok()).map(Self).ok_or_else(|| {
            ParseError::new(format!("`{text}` is not a version of a policy: `v` and a number, such as `v2`"))
        })
    }
}

impl TryFrom<String> for VersionId {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<VersionId> for String {
    fn from(id: VersionId) -> Self {
        id.to_string()
    }
}

/// One version of a managed policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Its number.
    pub id: VersionId,
    /// What it says.
    pub document: IdentityPolicy,
    /// When it was made.
    pub created: Timestamp,
}

/// A managed policy. One of its versions, the default one, is in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// Its ARN: owner, path and name.
    pub arn: PolicyArn,
    /// Its unique id.
    pub id: UniqueId,
    /// When it was made.
    pub created: Timestamp,
    /// When its versions last changed.
    pub updated: Timestamp,
    /// What its owner says it is for.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    default: PolicyVersion,
    /// The versions that are not in force.
    others: Vec<PolicyVersion>,
    /// The highest number that a version ever had: numbers are not used again.
    latest: VersionId,
}

impl ManagedPolicy {
    /// A new policy with one version.
    #[must_use]
    pub fn new(arn: PolicyArn, id: UniqueId, created: Timestamp, document: IdentityPolicy) -> Self {
        Self {
            arn,
            id,
            created,
            updated: created,
            description: String::new(),
            tags: Tags::new(),
            default: PolicyVersion { id: VersionId::FIRST, document, created },
            others: Vec::new(),
            latest: VersionId::FIRST,
        }
    }

    /// The same, whose one version has this number and was made at this time: AWS deletes the older ones of its own.
    pub(super) fn at_version(mut self, id: VersionId, updated: Timestamp) -> Self {
        self.updated = updated;
        self.latest = id;
        self.default = PolicyVersion { id, created: updated, ..self.default };
        self
    }

    /// The version in force.
    #[must_use]
    pub fn default_version(&self) -> &PolicyVersion {
        &self.default
    }

    /// All versions, newest first.
    #[must_use]
    pub fn versions(&self) -> Vec<&PolicyVersion> {
        let mut versions: Vec<_> = std::iter::once(&self.default).chain(&self.others).collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.id));
        versions
    }

    /// Adds a version and answers its number; none when there are [`POLICY_VERSIONS_MAX`] already.
    pub fn add_version(
        &mut self,
        document: IdentityPolicy,
        created: Timestamp,
        as_default: bool,
    ) -> Option<VersionId> {
        if self.others.len() + 1 >= POLICY_VERSIONS_MAX {
            return None;
        }
        let id = self.latest.next();
        self.latest = id;
        self.updated = created;
        self.others.push(PolicyVersion { id, document, created });
        if as_default {
            self.set_default(id);
        }
        Some(id)
    }

    /// Puts a version in force; whether there is one of this number.
    pub fn set_default(&mut self, id: VersionId) -> bool {
        if let Some(chosen) = self.others.iter_mut().find(|version| version.id == id) {
            std::mem::swap(chosen, &mut self.default);
        }
        self.default.id == id
    }

    /// Removes a version that is not in force; whether there was one of this number.
    pub fn remove_version(&mut self, id: VersionId) -> bool {
        let before = self.others.len();
        self.others.retain(|version| version.id != id);
        self.others.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::UniqueIdKind;

    fn document(action: &str) -> IdentityPolicy {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
        )
        .try_into()
        .unwrap()
    }

    #[test]
    fn arns_parse_and_print_alike() {
        for text in [
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
            "arn:aws:iam::111122223333:policy/team/a/seal",
        ] {
            assert_eq!(text.parse::<PolicyArn>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "arn:aws:iam::111122223333:user/a",
            "arn:aws:iam::1:policy/a",
            "arn:aws:iam:us-east-1:111122223333:policy/a",
            "arn:aws:iam::111122223333:policy/",
            "arn:aws:iam::111122223333:policy//a",
        ] {
            assert!(bad.parse::<PolicyArn>().is_err(), "{bad}");
        }
        assert_eq!("v12".parse::<VersionId>().unwrap().to_string(), "v12");
        for bad in ["", "v", "v0", "v01", "1", "v+1", "v99999999999"] {
            assert!(bad.parse::<VersionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_version_is_in_force_and_numbers_do_not_come_again() {
        let id = UniqueId::from_random(UniqueIdKind::ManagedPolicy, [0; 17]);
        let arn = "arn:aws:iam::111122223333:policy/p".parse().unwrap();
        let mut policy = ManagedPolicy::new(arn, id, Timestamp::default(), document("a:One"));
        for number in 2..=5 {
            let id = policy.add_version(document("a:More"), Timestamp::default(), number == 3).unwrap();
            assert_eq!(id.to_string(), format!("v{number}"));
        }
        assert!(policy.add_version(document("a:Six"), Timestamp::default(), false).is_none());
        assert_eq!(policy.default_version().id, VersionId(3));
        assert!(!policy.remove_version(VersionId(3)), "the one in force stays");
        assert!(policy.remove_version(VersionId(5)) && !policy.remove_version(VersionId(5)));
        let again = policy.add_version(document("a:Seven"), Timestamp::default(), false);
        assert_eq!(again, Some(VersionId(6)));
        assert!(policy.set_default(VersionId(1)) && !policy.set_default(VersionId(9)));
        assert_eq!(policy.default_version().document, document("a:One"));
        let stored = serde_json::to_string(&policy).unwrap();
        let back: ManagedPolicy = serde_json::from_str(&stored).unwrap();
        let numbers: Vec<_> = back.versions().iter().map(|version| version.id.0).collect();
        assert_eq!((numbers, back.default_version().id), (vec![6, 4, 3, 2, 1], VersionId(1)));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_what_parses_prints_as_it_was(text in "(arn:aws:iam::aws:policy/)?\\PC{0,40}") {
            if let Ok(arn) = text.parse::<PolicyArn>() { proptest::prop_assert_eq!(arn.to_string(), text.clone()); }
            if let Ok(id) = text.parse::<VersionId>() { proptest::prop_assert_eq!(id.to_string(), text); }
        }
    }
}
