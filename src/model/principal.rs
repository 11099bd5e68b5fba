//! Who calls: the ARN of a principal, taken apart.
//!
//! Source: "AWS JSON policy elements: Principal" and "IAM identifiers" (IAM user guide).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

use super::{AccountId, Arn, ParseError};

/// What sort of principal an ARN names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PrincipalKind {
    /// The account itself, or its root user: `arn:aws:iam::ACCOUNT:root`.
    Root,
    /// An IAM user: `arn:aws:iam::ACCOUNT:user/PATH/NAME`.
    User,
    /// An IAM role: `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    Role,
    /// A session of a role: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    AssumedRole,
    /// A session of a federated user: `arn:aws:sts::ACCOUNT:federated-user/NAME`.
    FederatedUser,
}

/// The ARN of a principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PrincipalArn {
    arn: Arn,
    account: AccountId,
    /// What sort it is, and where in the ARN the name begins.
    kind_and_name: (PrincipalKind, usize),
}

impl PrincipalArn {
    /// The root user of `account`.
    #[must_use]
    pub fn root(account: &AccountId) -> Self {
        Self::compose(account, PrincipalKind::Root, "iam", "", "root")
    }

    /// The role session `assumed-role/ROLE/SESSION` of `account`. Both names must be well formed already.
    #[must_use]
    pub fn assumed_role(account: &AccountId, role: &str, session: &str) -> Self {
        Self::compose(
            account,
            PrincipalKind::AssumedRole,
            "sts",
            "assumed-role/",
            &format!("{role}/{session}"),
        )
    }

    /// The user with this path and name, such as `team/alice`, of `account`. Both must be well formed already.
    #[must_use]
    pub fn user(account: &AccountId, path_and_name: &str) -> Self {
        Self::compose(account, PrincipalKind::User, "iam", "user/", path_and_name)
    }

    /// The federated user of this name. It must be well formed already.
    #[must_use]
    pub fn federated_user(account: &AccountId, name: &str) -> Self {
        Self::compose(account, PrincipalKind::FederatedUser, "sts", "federated-user/", name)
    }

    /// The role with this path and name, such as `team/trainer`, of `account`. Both must be well formed already.
    #[must_use]
    pub fn role(account: &AccountId, path_and_name: &str) -> Self {
        Self::compose(account, PrincipalKind::Role, "iam", "role/", path_and_name)
    }

    fn compose(account: &AccountId, kind: PrincipalKind, service: &str, prefix: &str, name: &str) -> Self {
        let text = format!("arn:aws:{service}::{account}:{prefix}{name}");
        let name_at = text.len() - name.len();
        Self { arn: Arn::from_trusted(text), account: account.clone(), kind_and_name: (kind, name_at) }
    }

    /// The principal as a person names it: `user/alice`, `role/ops` or `root` of `account`, or an ARN.
    ///
    /// # Errors
    ///
    /// When the text names no principal.
    pub fn named(text: &str, account: &AccountId) -> Result<Self, ParseError> {
        if text.starts_with("arn:") {
            return text.parse();
        }
        format!("arn:aws:iam::{account}:{text}").parse().map_err(|_| {
            ParseError::new(format!(
                "`{text}` names nobody: write `user/NAME`, `role/NAME`, `root` or an ARN"
            ))
        })
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.arn.as_str()
    }

    /// The account the principal belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// What sort of principal it is.
    #[must_use]
    pub fn kind(&self) -> PrincipalKind {
        self.kind_and_name.0
    }

    /// What follows the kind: `alice`, `path/alice`, `role/session`; `root` for the root user.
    #[must_use]
    pub fn path_and_name(&self) -> &str {
        self.as_str().get(self.kind_and_name.1..).unwrap_or_default()
    }

    /// The last part of the name: the user's, role's or session's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path_and_name().rsplit('/').next().unwrap_or_default()
    }

    /// For a role session, the name of its role.
    #[must_use]
    pub fn role_name(&self) -> Option<&str> {
        match self.kind() {
            PrincipalKind::AssumedRole => self.path_and_name().split('/').next(),
            PrincipalKind::Role => Some(self.name()),
            _ => None,
        }
    }
}

impl FromStr for PrincipalArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let not_one =
            || ParseError::new(format!("`{text}` is not the ARN of a user, role, role session or root"));
        let arn: Arn = text.parse().map_err(|_| not_one())?;
        if arn.partition() != "aws" || !arn.region().is_empty() {
            return Err(not_one());
        }
        let account: AccountId = arn.account().parse()?;
        let (service, resource) = (arn.service(), arn.resource());
        let (kind, prefix) = match (service, resource.split_once('/').map_or(resource, |(kind, _)| kind)) {
            ("iam", "root") if resource == "root" => (PrincipalKind::Root, ""),
            ("iam", "user") => (PrincipalKind::User, "user/"),
            ("iam", "role") => (PrincipalKind::Role, "role/"),
            ("sts", "assumed-role") => (PrincipalKind::AssumedRole, "assumed-role/"),
            ("sts", "federated-user") => (PrincipalKind::FederatedUser, "federated-user/"),
            _ => return Err(not_one()),
        };
        let name = resource.get(prefix.len()..).unwrap_or_default();
        let parts = name.split('/').count();
        let complete = !name.is_empty()
            && name.split('/').all(is_name)
            && (kind != PrincipalKind::AssumedRole || parts == 2)
            && (kind != PrincipalKind::FederatedUser || parts == 1);
        let name_at = text.len() - name.len();
        if complete { Ok(Self { account, kind_and_name: (kind, name_at), arn }) } else { Err(not_one()) }
    }
}

/// The characters of IAM names and paths.
fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 128
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arn.fmt(formatter)
    }
}

impl TryFrom<String> for PrincipalArn {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for PrincipalArn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_parses() {
        for (text, kind, name, role) in [
            ("arn:aws:iam::111122223333:root", PrincipalKind::Root, "root", None),
            ("arn:aws:iam::111122223333:user/alice", PrincipalKind::User, "alice", None),
            ("arn:aws:iam::111122223333:user/team/a/alice", PrincipalKind::User, "alice", None),
            ("arn:aws:iam::111122223333:role/ops", PrincipalKind::Role, "ops", Some("ops")),
            ("arn:aws:sts::111122223333:assumed-role/ops/me", PrincipalKind::AssumedRole, "me", Some("ops")),
            ("arn:aws:sts::111122223333:federated-user/bob", PrincipalKind::FederatedUser, "bob", None),
        ] {
            let arn: PrincipalArn = text.parse().unwrap();
            assert_eq!((arn.kind(), arn.name(), arn.role_name(), arn.as_str()), (kind, name, role, text));
        }
    }

    #[test]
    fn what_is_no_principal_is_refused() {
        for bad in [
            "arn:aws:iam::111122223333:group/g",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:user",
            "arn:aws:iam::111122223333:root/x",
            "arn:aws:iam::1:user/alice",
            "arn:aws:iam:us-east-1:111122223333:user/alice",
            "arn:aws:sts::111122223333:assumed-role/ops",
            "arn:aws:iam::111122223333:user/a*",
            "alice",
        ] {
            assert!(bad.parse::<PrincipalArn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn composed_arns_equal_parsed_ones() {
        let account: AccountId = "111122223333".parse().unwrap();
        assert_eq!(PrincipalArn::root(&account), "arn:aws:iam::111122223333:root".parse().unwrap());
        let session = PrincipalArn::assumed_role(&account, "ops", "me");
        assert_eq!(session, "arn:aws:sts::111122223333:assumed-role/ops/me".parse().unwrap());
        let user = PrincipalArn::user(&account, "team/alice");
        assert_eq!(user, "arn:aws:iam::111122223333:user/team/alice".parse().unwrap());
        assert_eq!(
            PrincipalArn::role(&account, "ops"),
            "arn:aws:iam::111122223333:role/ops".parse().unwrap()
        );
    }

    proptest::proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "(arn:aws:(iam|sts)::[0-9]{11,13}:)?\\PC{0,40}") {
            if let Ok(parsed) = text.parse::<PrincipalArn>() {
                proptest::prop_assert_eq!(parsed.as_str(), text);
            }
        }
    }
}
