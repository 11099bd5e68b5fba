//! What a question of `keystead explain` is about: an action that exists, on what the call would be decided on.
//!
//! Source: the table of operations ([`OPERATIONS`]). A call is decided on exactly the resources that stand there; a question
//! on any other one would be answered with confidence and mean nothing, so it is refused, with what to name instead.

use super::error::CommandError;
use crate::{
    kms::{About, OPERATIONS, On, Pair},
    model::{AliasName, Arn, KeyRef},
    policy::{KMS_ACTIONS, check_action, needs_key},
    services::{iam, organizations, query::OperationEntry, sts},
};

/// What was named on the command line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) key: Option<&'a KeyRef>,
    pub(super) alias: Option<&'a AliasName>,
    pub(super) resource: Option<&'a Arn>,
}

/// What an action is to be asked on, all of it.
pub(super) fn topics(action: &str, named: Named<'_>) -> Result<Vec<About>, CommandError> {
    check(action)?;
    if action.to_ascii_lowercase().starts_with("kms:") {
        of_kms(action, named)
    } else {
        of_another_service(action, named)
    }
}

/// Refuses what is no action.
fn check(action: &str) -> Result<(), CommandError> {
    let is_word = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let Some((service, _)) = action
        .split_once(':')
        .filter(|(service, name)| is_word(service) && is_word(name) && !name.is_empty())
    else {
        return Err(CommandError::usage(format!("the action `{action}` must be SERVICE:ACTION")));
    };
    if let Some(needed) = actions_of_operation(action) {
        let first = needed.first().copied().unwrap_or_default();
        return Err(CommandError::usage(format!("`{action}` is an operation and no action")).hint(format!(
            "it needs {}: ask about each, such as `keystead explain {first}`",
            needed.join(" and ")
        )));
    }
    let service = service.to_ascii_lowercase();
    let Some(names) = actions_of(&service) else { return Ok(()) };
    let Err(unknown) = check_action(action, &names) else { return Ok(()) };
    // Of KMS every action is known, of the others those that a call here asks for.
    let (refused, otherwise) = if service == "kms" {
        (
            CommandError::usage(&unknown),
            "it is named as the operation is that asks for it, such as `kms:Decrypt`",
        )
    } else {
        (
            CommandError::usage(format!("no call here asks for `{action}`")),
            "what policies that are written down say of it, `keystead simulate` decides",
        )
    };
    Err(match unknown.meant() {
        Some(meant) => refused.hint(format!("did you mean `{meant}`?")),
        None => refused.hint(otherwise),
    })
}

/// The names of a service's actions; none of a service of which not all are known, such as S3.
fn actions_of(service: &str) -> Option<Vec<&'static str>> {
    let names = |table: &'static [OperationEntry]| table.iter().map(|entry| entry.name);
    Some(match service {
        "kms" => KMS_ACTIONS.to_vec(),
        "iam" => names(iam::OPERATIONS).collect(),
        "organizations" => names(organizations::OPERATIONS).collect(),
        "sts" => names(sts::OPERATIONS).chain(["AssumeRoot", "SetSourceIdentity", "TagSession"]).collect(),
        _ => return None,
    })
}

/// The actions that a KMS operation needs in place of one with its own name.
fn actions_of_operation(operation: &str) -> Option<Vec<&'static str>> {
    let is_own = |action: &str| action.eq_ignore_ascii_case(operation);
    let row = OPERATIONS.iter().find(|row| is_own(&format!("kms:{}", row.name)))?;
    let actions: Vec<&str> = row.pairs.iter().map(|pair| pair.action).collect();
    (!actions.is_empty() && !actions.iter().any(|action| is_own(action))).then_some(actions)
}

fn of_kms(action: &str, named: Named<'_>) -> Result<Vec<About>, CommandError> {
    let pairs: Vec<&Pair> = OPERATIONS
        .iter()
        .flat_map(|row| row.pairs)
        .filter(|pair| pair.action.eq_ignore_ascii_case(action))
        .collect();
    let on = |wanted: On| pairs.iter().any(|pair| pair.on == wanted);
    let refuse = |what: &str, next: &str| Err(CommandError::usage(format!("{action} {what}")).hint(next));
    if on(On::Alias) {
        return on_alias_and_keys(action, &pairs, named);
    }
    if named.alias.is_some() {
        return refuse("is not asked on an alias", "an alias that stands for its key is named with `--key`");
    }
    let on_key = on(On::Key) || on(On::SourceKey) || on(On::DestinationKey);
    // Operations that are not built have no row.
    let on_key = on_key || (pairs.is_empty() && needs_key(action));
    match (named.resource, named.key) {
        (Some(arn), None) if on(On::RetiringPrincipal) && ["iam", "sts"].contains(&arn.service()) => {
            Ok(vec![About::Resource(arn.clone())])
        }
        (_, _) if on(On::RetiringPrincipal) => refuse(
            "is asked on the retiring principal",
            "name it with `--resource`, such as `--resource arn:aws:iam::111122223333:user/alice`",
        ),
        (Some(_), _) if on_key => refuse(
            "is asked on a key",
            "name it with `--key`, which takes ARNs too, in place of `--resource`",
        ),
        (Some(_), _) => refuse("is asked on no resource", "leave out `--resource`: it is decided on `*`"),
        (None, Some(key)) if on_key => Ok(vec![About::Key(key.clone())]),
        (None, Some(_)) => refuse("is asked on no key", "leave out `--key`: it is decided on `*`"),
        (None, None) if on_key && needs_key(action) => refuse("is about a key", "name it with `--key KEY`"),
        (None, None) => Ok(vec![About::Nothing]),
    }
}

/// An action on an alias is asked on each key that it concerns too.
fn on_alias_and_keys(action: &str, pairs: &[&Pair], named: Named<'_>) -> Result<Vec<About>, CommandError> {
    let new_key = |pair: &&&Pair| pair.on == On::NewKey || action.eq_ignore_ascii_case("kms:CreateAlias");
    let takes_key = pairs.iter().any(|pair| new_key(&pair));
    let refuse = |what: &str| {
        let with_key = if takes_key { " --key KEY`, the key that it is to point to" } else { "`" };
        let hint = format!("`keystead explain {action} --alias alias/NAME{with_key}");
        Err(CommandError::usage(format!("{action} {what}")).hint(hint))
    };
    if named.resource.is_some() {
        return refuse("is asked on an alias and on its key, which `--alias` names and not `--resource`");
    }
    let Some(alias) = named.alias else {
        return refuse("is asked on an alias and on its key: name the alias with `--alias`");
    };
    let key = match (named.key, takes_key) {
        (None, true) => return refuse("is asked on the key too: name it with `--key`"),
        (Some(_), false) => return refuse("is asked on the key that the alias points to: leave out `--key`"),
        (key, _) => key,
    };
    let topic = |pair: &&Pair| match (pair.on, key) {
        (On::Alias, _) => About::Alias(alias.clone()),
        (_, Some(key)) if new_key(&pair) => About::Key(key.clone()),
        (_, _) => About::Key(KeyRef::Alias(alias.clone())),
    };
    Ok(pairs.iter().map(topic).collect())
}

fn of_another_service(action: &str, named: Named<'_>) -> Result<Vec<About>, CommandError> {
    let of_object = ["s3:GetObject", "s3:PutObject"].iter().any(|one| one.eq_ignore_ascii_case(action));
    if named.alias.is_some() || (named.key.is_some() && !(of_object && named.resource.is_some())) {
        return Err(CommandError::usage(format!("{action} is asked on no key")).hint(
            "`--resource` names what it is asked on; beside it `--key` names an object's key, of s3:GetObject and s3:PutObject",
        ));
    }
    Ok(vec![named.resource.map_or(About::Nothing, |arn| About::Resource(arn.clone()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(action: &str, key: Option<&str>, alias: Option<&str>, on: Option<&str>) -> Result<String, String> {
        let (key, alias) = (key.map(|key| key.parse().unwrap()), alias.map(|alias| alias.parse().unwrap()));
        let on = on.map(|arn| arn.parse().unwrap());
        let named = Named { key: key.as_ref(), alias: alias.as_ref(), resource: on.as_ref() };
        match topics(action, named) {
            Ok(topics) => Ok(topics.iter().map(in_short).collect::<Vec<_>>().join(" ")),
            Err(error) => Err(error.words().to_owned()),
        }
    }

    fn in_short(topic: &About) -> String {
        match topic {
            About::Key(key) => format!("key:{key}"),
            About::Alias(alias) => format!("alias:{alias}"),
            About::Resource(arn) => arn.to_string(),
            About::Nothing => "*".into(),
        }
    }

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-4222-8222-222222222222";
    const ALIAS: &str = "arn:aws:kms:us-east-1:111122223333:alias/m";
    const USER: &str = "arn:aws:iam::111122223333:user/alice";

    #[test]
    fn a_question_is_about_what_the_call_is_decided_on() {
        let (key, alias) = (Some("alias/m"), Some("alias/n"));
        for (action, key, alias, on, topics) in [
            ("kms:Decrypt", key, None, None, "key:alias/m"),
            ("kms:decrypt", Some(KEY), None, None, &*format!("key:{KEY}")),
            ("kms:ReEncryptFrom", key, None, None, "key:alias/m"),
            ("kms:Sign", key, None, None, "key:alias/m"),
            ("kms:TagResource", key, None, None, "key:alias/m"),
            ("kms:TagResource", None, None, None, "*"),
            ("kms:ListKeys", None, None, None, "*"),
            ("kms:CreateKey", None, None, None, "*"),
            ("kms:CreateCustomKeyStore", None, None, None, "*"),
            ("kms:CreateAlias", key, alias, None, "alias:alias/n key:alias/m"),
            ("kms:UpdateAlias", key, alias, None, "alias:alias/n key:alias/n key:alias/m"),
            ("kms:DeleteAlias", None, alias, None, "alias:alias/n key:alias/n"),
            ("kms:ListRetirableGrants", None, None, Some(USER), USER),
            ("s3:GetObject", key, None, Some("arn:aws:s3:::b/o"), "arn:aws:s3:::b/o"),
            ("s3:Anything", None, None, None, "*"),
            ("iam:GetUser", None, None, Some(USER), USER),
            ("sts:TagSession", None, None, Some(USER), USER),
        ] {
            assert_eq!(ask(action, key, alias, on), Ok(topics.to_owned()), "{action}");
        }
    }

    #[test]
    fn what_the_call_is_not_decided_on_is_refused() {
        let (key, alias) = (Some("alias/m"), Some("alias/n"));
        for (action, key, alias, on, why) in [
            ("kms:ListKeys", key, None, None, "is asked on no key"),
            ("kms:CreateKey", key, None, None, "is asked on no key"),
            ("kms:ListAliases", key, None, None, "is asked on no key"),
            ("kms:GenerateRandom", None, None, Some(USER), "is asked on no resource"),
            ("kms:Decrypt", None, None, None, "is about a key"),
            ("kms:Decrypt", None, None, Some(KEY), "is asked on a key"),
            ("kms:Decrypt", key, None, Some(ALIAS), "is asked on a key"),
            ("kms:Decrypt", None, alias, None, "is not asked on an alias"),
            ("kms:CreateAlias", key, None, None, "name the alias with `--alias`"),
            ("kms:CreateAlias", None, alias, None, "name it with `--key`"),
            ("kms:UpdateAlias", None, alias, None, "name it with `--key`"),
            ("kms:DeleteAlias", None, None, Some(ALIAS), "which `--alias` names"),
            ("kms:DeleteAlias", key, alias, None, "leave out `--key`"),
            ("kms:ListRetirableGrants", None, None, None, "is asked on the retiring principal"),
            ("s3:ListBucket", key, None, Some("arn:aws:s3:::b"), "is asked on no key"),
            ("s3:GetObject", key, None, None, "is asked on no key"),
            ("iam:GetUser", None, alias, Some(USER), "is asked on no key"),
            ("kms:Encrpyt", key, None, None, "there is no action `kms:Encrpyt`"),
            ("kms:Foo", key, None, None, "there is no action `kms:Foo`"),
            ("iam:PassRole", None, None, Some(USER), "no call here asks for `iam:PassRole`"),
            ("iam:GetUsr", None, None, Some(USER), "no call here asks for `iam:GetUsr`"),
            ("sts:AssumeRol", None, None, None, "no call here asks for `sts:AssumeRol`"),
            ("kms:ReEncrypt", key, None, None, "is an operation and no action"),
            ("Decrypt", key, None, None, "must be SERVICE:ACTION"),
            ("kms:*", key, None, None, "must be SERVICE:ACTION"),
        ] {
            let said = ask(action, key, alias, on).unwrap_err();
            assert!(said.contains(why), "{action}: {said}");
        }
    }
}
