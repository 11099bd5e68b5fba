//! Seeds: a world as text, made real by calls through the door.
//!
//! A seed says in TOML what there must be: accounts, people, roles, buckets, keys, grants. [`Seed::plan`] compares it with
//! a keystore and answers the calls that are missing; [`Plan::apply`] makes them, so each leaves its audit record and none
//! goes round a permission. Applied twice, the second time changes nothing.
//!
//! ```
//! use keystead::{lab::seed::Seed, testing::Lab};
//!
//! let seed = Seed::parse(r#"
//!     buckets = ["models"]
//!
//!     [users.alice.policies.storage]
//!     allow = ["s3:*"]
//!
//!     [[keys]]
//!     aliases = ["alias/models"]
//!     rotation = 365
//! "#)?;
//! let lab = Lab::new()?;
//! seed.plan(lab.keystore())?.apply(lab.keystore(), &lab.admin(), &mut Vec::new())?;
//! assert!(seed.plan(lab.keystore())?.changes_nothing());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a seed does not say, it does not touch: an unmentioned user stays, and so do a group's members, a user's policies
//! and a key's grants that it does not name. What it says is exact: a tag that is not among the `tags` is taken off.
//!
//! In policies and ARNs `{account}` stands for the account they belong to, `{region}` for the keystore's Region and
//! `{home}` for the keystore's own account.

mod error;
mod keys;
mod organization;
mod people;
mod place;
mod plan;
mod policy;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

pub use error::SeedError;
pub use place::Place;
pub use plan::{Plan, Step, StepKind};

use self::{
    keys::{KeySeed, no_two_keys_alike},
    organization::{EndpointSeed, OrganizationSeed},
    people::{GroupSeed, RoleSeed, UserSeed},
    place::SeedText,
    policy::ManagedPolicyText,
};
use crate::{
    iam::{GroupName, PolicyName, RoleName, UserName},
    model::{AccountId, VpcEndpointId},
    services::organizations::AccountName,
    world::BucketName,
};

/// The world that the demo and the tour begin with: `keystore/lab.toml`.
pub const LAB: &str = include_str!("../../../keystore/lab.toml");

/// Things by their names, each with its place in the text.
type Named<K, V> = BTreeMap<Spanned<K>, V>;

/// Declares a table that holds all that can be in an account, beside fields of its own.
macro_rules! account_table {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident { $($(#[$own:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        $visibility struct $name {
            $($(#[$own])* $field: $type,)*
            #[serde(default)]
            users: Named<UserName, UserSeed>,
            #[serde(default)]
            groups: Named<GroupName, GroupSeed>,
            #[serde(default)]
            roles: Named<RoleName, RoleSeed>,
            #[serde(default)]
            managed_policies: Named<PolicyName, ManagedPolicyText>,
            #[serde(default)]
            buckets: Vec<Spanned<BucketName>>,
            #[serde(default)]
            keys: Vec<Spanned<KeySeed>>,
        }

        impl $name {
            fn contents(&self) -> Contents<'_> {
                let Self { users, groups, roles, managed_policies, buckets, keys, .. } = self;
                Contents { users, groups, roles, managed_policies, buckets, keys }
            }
        }
    };
}

account_table! {
    /// A seed.
    pub struct Seed {
        /// The text, to tell places in it.
        #[serde(skip)]
        text: SeedText,
        #[serde(default)]
        accounts: Named<AccountId, AccountSeed>,
        /// The organization that the keystore's own account manages.
        organization: Option<Spanned<OrganizationSeed>>,
        #[serde(default)]
        vpc_endpoints: Named<VpcEndpointId, EndpointSeed>,
    }
}

account_table! {
    /// What shall be in an account beside the keystore's own.
    struct AccountSeed {
        name: AccountName,
    }
}

/// What shall be in an account.
#[derive(Debug, Clone, Copy)]
struct Contents<'s> {
    users: &'s Named<UserName, UserSeed>,
    groups: &'s Named<GroupName, GroupSeed>,
    roles: &'s Named<RoleName, RoleSeed>,
    managed_policies: &'s Named<PolicyName, ManagedPolicyText>,
    buckets: &'s [Spanned<BucketName>],
    keys: &'s [Spanned<KeySeed>],
}

impl Seed {
    /// Reads a seed.
    ///
    /// # Errors
    ///
    /// [`SeedError::Text`] with the line and column of what is not understood, and what to write there.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let places = SeedText::new(text);
        let mut seed: Self = toml::from_str(text).map_err(|error| SeedError::in_text(&places, &error))?;
        seed.text = places;
        for contents in
            std::iter::once(seed.contents()).chain(seed.accounts.values().map(AccountSeed::contents))
        {
            no_two_keys_alike(contents.keys, &seed.text)?;
        }
        Ok(seed)
    }

    /// All accounts of the seed with what shall be in them, the keystore's own first.
    fn accounts<'s>(&'s self, home: &'s AccountId) -> Vec<(&'s AccountId, Contents<'s>)> {
        let others = self.accounts.iter().map(|(id, account)| (id.get_ref(), account.contents()));
        std::iter::once((home, self.contents())).chain(others).collect()
    }
}
