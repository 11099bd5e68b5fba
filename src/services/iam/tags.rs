//! Tags of users, roles and managed policies: Tag, Untag and List.

use serde_json::Value;

use super::{
    access::{self, Asked},
    managed_policies,
    value::TagList,
};
use crate::{
    iam::{ManagedPolicy, PolicyArn, Role, RoleName, User, UserName},
    kms::{Call, CallError, Outcome},
    model::{ErrorCode, TAGS_MAX, Tags},
    policy::{Action, Authorized},
    services::query::operations,
    world::{Change, IdentityChange},
};

/// Declares the three operations of one kind of things that have tags. `$find` finds one, and `$put` is the change that
/// writes it.
macro_rules! tagging {
    (
        $what:literal, $id_type:ty, $field:ident $wire:literal, $tag:ident $untag:ident $list:ident,
        $find:path, $noun:ident, $put:path
    ) => {
        operations! {
            #[doc = concat!("Puts tags on a ", $what, ".")]
            $tag writes -> () as "" {
                #[doc = concat!("The ", $what, ".")]
                $field $wire: $id_type,
                /// The tags.
                tags "Tags": TagList,
            }

            #[doc = concat!("Takes tags off a ", $what, ".")]
            $untag writes -> () as "" {
                #[doc = concat!("The ", $what, ".")]
                $field $wire: $id_type,
                /// The keys of the tags.
                tag_keys "TagKeys": Vec<String>,
            }

            #[doc = concat!("Lists the tags of a ", $what, ".")]
            $list reads -> TagList as "Tags" {
                #[doc = concat!("The ", $what, ".")]
                $field $wire: $id_type,
            }
        }

        impl $tag {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let asked = Asked { request_tags: Some(self.tags.tags()), ..Asked::default() };
                let (permitted, found) = $find(call, &self.$field, asked)?;
                let tags = with(&found.tags, self.tags.tags())?;
                let mut tagged = $noun::clone(&found);
                tagged.tags = tags;
                let change = $put(Box::new(tagged));
                Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
            }
        }

        impl $untag {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let asked = Asked { tag_keys: Some(&self.tag_keys), ..Asked::default() };
                let (permitted, found) = $find(call, &self.$field, asked)?;
                let mut tags = found.tags.clone();
                for key in &self.tag_keys {
                    tags.remove(key);
                }
                let mut tagged = $noun::clone(&found);
                tagged.tags = tags;
                let change = $put(Box::new(tagged));
                Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
            }
        }

        impl $list {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let (permitted, found) = $find(call, &self.$field, Asked::default())?;
                Ok(Outcome::answer(permitted, found.tags.clone().into()))
            }
        }
    };
}

tagging!("user", UserName, user_name "UserName", TagUser UntagUser ListUserTags,
    access::user, User, IdentityChange::PutUser);
tagging!("role", RoleName, role_name "RoleName", TagRole UntagRole ListRoleTags,
    access::role, Role, IdentityChange::PutRole);

tagging!("managed policy", PolicyArn, policy_arn "PolicyArn", TagPolicy UntagPolicy ListPolicyTags,
    find_policy, ManagedPolicy, IdentityChange::PutManagedPolicy);

/// Finds a managed policy whose tags are meant; those of AWS have none to change.
fn find_policy<A: Action>(
    call: &mut Call<'_>,
    arn: &PolicyArn,
    asked: Asked<'_>,
) -> Result<(Authorized<A>, ManagedPolicy), CallError> {
    managed_policies::find_own(call, arn, asked)
}

/// These tags with others over them.
fn with(tags: &Tags, more: &Tags) -> Result<Tags, CallError> {
    let mut tags = tags.clone();
    for (key, value) in more.iter() {
        tags.set(key, value).map_err(|_| {
            let message = format!("The number of tags has reached the maximum limit of {TAGS_MAX}.");
            CallError::new(ErrorCode::IamLimitExceeded, message)
        })?;
    }
    Ok(tags)
}
