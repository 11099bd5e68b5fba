//! What people get wrong about a decision, told where it is in play.
//!
//! Each note is one misunderstanding, found in the trace of the very case: which statement, which key, which value.
//! `docs/misunderstandings/` has a worked page for each.

use super::{
    Actual, CheckEffect, CheckType, ConditionReason, ConditionTrace, DecisionEffect, GranteeMatch, PairTrace,
    PrincipalMatch, Request, StatementTrace, actions::is_cross_account, document::Effect,
    request::ResourceKind,
};

/// The notes on one pair.
pub(super) fn on(request: &Request<'_>, pair: &PairTrace) -> Vec<String> {
    let case = Case {
        pair,
        of_key: request.resource.kind() == ResourceKind::Key,
        by_root: request.principal.is_root(),
        action: request.action.to_ascii_lowercase(),
        denied: pair.effect != DecisionEffect::Allowed,
    };
    let mut notes = Vec::new();
    notes.extend(case.key_policy_has_the_last_word());
    notes.extend(case.root_is_the_account());
    notes.extend(case.both_sides());
    notes.extend(case.statements().filter_map(|(_, one)| case.alias_in_resource(one)).next());
    notes.extend(case.statements().filter_map(|(_, one)| case.another_action(one)).next());
    notes.extend(case.statements().filter_map(|(_, one)| case.encryption_context(one)).next());
    notes.extend(case.statements().filter_map(|(_, one)| missing_key(one)).next());
    notes.extend(case.grants());
    notes.extend(case.raises_itself());
    notes.extend(case.statements().filter_map(|(_, one)| case.through_a_service(one)).next());
    notes
}

struct Case<'a> {
    pair: &'a PairTrace,
    of_key: bool,
    by_root: bool,
    /// In lower case.
    action: String,
    denied: bool,
}

impl<'a> Case<'a> {
    fn statements(&self) -> impl Iterator<Item = (CheckType, &'a StatementTrace)> {
        let checks = self.pair.checks.iter();
        checks.flat_map(|check| check.statements.iter().map(move |one| (check.check, one)))
    }

    fn allows(&self, check: CheckType) -> bool {
        self.pair.check(check).is_some_and(|trace| trace.effect == CheckEffect::Allow)
    }

    fn implicitly(&self) -> bool {
        self.pair.effect == DecisionEffect::ImplicitDeny
    }

    /// The first: an administrator's policy does nothing when the key policy does not delegate.
    fn key_policy_has_the_last_word(&self) -> Option<String> {
        let in_vain = self.of_key
            && self.implicitly()
            && !self.pair.cross_account
            && self.pair.deciding == CheckType::Resource
            && self.allows(CheckType::Principal);
        in_vain.then(|| {
            "The caller's identity policy allows this and counts for nothing: the key policy neither names the caller nor \
             leaves it to the account (principal arn:aws:iam::ACCOUNT:root), and it has the last word."
                .into()
        })
    }

    /// The second: `:root` is delegation, not the root user and not everyone.
    fn root_is_the_account(&self) -> Option<String> {
        if !self.of_key || !self.implicitly() {
            return None;
        }
        let delegates = self.statements().any(|(check, one)| {
            check == CheckType::Resource
                && one.applies
                && one.effect == Effect::Allow
                && one.principal_match == PrincipalMatch::Account
        });
        if delegates && self.pair.deciding == CheckType::Principal && !self.pair.cross_account {
            return Some(
                "The key policy's principal `:root` is the account, not its root user and not everyone in it: it only lets \
                 the account's identity policies decide, and none of the caller's allows this."
                    .into(),
            );
        }
        let unnamed = self.by_root && !delegates && self.pair.deciding == CheckType::Resource;
        unnamed.then(|| {
            "Not even the root user has a key by itself: the key policy must name the account.".to_owned()
        })
    }

    /// The third: across accounts both sides must allow.
    fn both_sides(&self) -> Option<String> {
        if !self.pair.cross_account || !self.implicitly() {
            return None;
        }
        if self.of_key && !is_cross_account(&self.action) {
            return Some(format!(
                "{} does not work across accounts: allowing it to another account has no effect.",
                self.pair.action
            ));
        }
        let (resource, identity) = (
            if self.allows(CheckType::Resource) { "does" } else { "does not" },
            if self.allows(CheckType::Principal) { "do" } else { "do not" },
        );
        Some(format!(
            "Across accounts both sides must allow: the resource's policy {resource}, and the caller's own identity \
             policies {identity}."
        ))
    }

    /// The fourth: an alias ARN in Resource authorises no key.
    fn alias_in_resource(&self, one: &StatementTrace) -> Option<String> {
        if !self.of_key || one.resource_match || !one.action_match || one.effect != Effect::Allow {
            return None;
        }
        let patterns = &one.resources.as_ref()?.patterns;
        let alias = patterns.iter().find(|pattern| pattern.contains(":alias/"))?;
        Some(format!(
            "`{alias}` names the alias and authorises no key: a call on a key is decided on the key's ARN. Write that, or a \
             condition on kms:ResourceAliases."
        ))
    }

    /// The fifth: GenerateDataKey is not Decrypt.
    fn another_action(&self, one: &StatementTrace) -> Option<String> {
        let otherwise = one.effect == Effect::Allow
            && !one.action_match
            && one.resource_match
            && one.principal_match != PrincipalMatch::None;
        if !self.denied || !otherwise {
            return None;
        }
        let lists = |action: &str| {
            let listed = one.actions.as_ref();
            listed.is_some_and(|listed| {
                !listed.not
                    && listed.patterns.iter().any(|pattern| pattern.to_lowercase().starts_with(action))
            })
        };
        if self.action == "kms:decrypt" && (lists("kms:generatedatakey") || lists("kms:encrypt")) {
            return Some(
                "Sealing and opening are two permissions: kms:GenerateDataKey and kms:Encrypt seal what kms:Decrypt opens."
                    .into(),
            );
        }
        let seals = self.action.starts_with("kms:generatedatakey") || self.action == "kms:encrypt";
        (seals && lists("kms:decrypt")).then(|| {
            format!("kms:Decrypt opens and does not seal: {} is a permission of its own.", self.pair.action)
        })
    }

    /// The seventh: a condition on the encryption context.
    fn encryption_context(&self, one: &StatementTrace) -> Option<String> {
        if !self.denied || one.effect != Effect::Allow || !one.action_match {
            return None;
        }
        let of_context = |condition: &&ConditionTrace| {
            !condition.result && condition.key.to_lowercase().starts_with("kms:encryptioncontext:")
        };
        let condition = one.conditions.iter().find(of_context)?;
        let (key, wanted) = (&condition.key, condition.expected.join("` or `"));
        Some(match &condition.actual {
            Actual::Missing => format!(
                "`{key}` is only there when the request brings that encryption context (`{wanted}`); who may not use the key \
                 hears AccessDenied, who may and brings another context InvalidCiphertext."
            ),
            Actual::Values(values) if values.iter().any(|value| same_but_for_case(value, condition)) => {
                format!("`{key}` differs from `{wanted}` in case alone: keys ignore case, values do not.")
            }
            Actual::Values(_) => format!(
                "The policy wants another encryption context than the request brings: `{key}` must be `{wanted}`."
            ),
        })
    }

    /// The ninth: grants are invisible in policies.
    fn grants(&self) -> Option<String> {
        if self.pair.deciding == CheckType::Grant && !self.denied {
            return Some(
                "No policy shows this: a grant allows it. Grants don't expire; revoke or retire one to end it.".into(),
            );
        }
        let near =
            self.pair.grants.iter().find(|one| !one.applies && one.grantee_match != GranteeMatch::None);
        near.filter(|_| self.implicitly()).map(|one| {
            let why = if one.operation_match {
                "its constraint on the encryption context does not hold"
            } else {
                "it does not carry this operation"
            };
            format!("The grant `{}` is for this caller, but {why}.", one.id)
        })
    }

    /// The ninth too: who administers a key can raise itself.
    fn raises_itself(&self) -> Option<String> {
        let raises = matches!(self.action.as_str(), "kms:putkeypolicy" | "kms:creategrant");
        (raises && !self.denied).then(|| {
            format!("Whoever may call {} can give itself or anybody every use of this key.", self.pair.action)
        })
    }

    /// The tenth: a call by way of a service has other condition keys than a direct one.
    fn through_a_service(&self, one: &StatementTrace) -> Option<String> {
        let missing = |condition: &&ConditionTrace| {
            !condition.result && condition.reason == ConditionReason::KeyMissing
        };
        let absent = one.conditions.iter().filter(missing).map(|condition| condition.key.to_lowercase());
        let mut absent = absent.filter(|_| self.denied && one.effect == Effect::Allow && one.action_match);
        absent.find_map(|key| match key.as_str() {
            "aws:sourceip" => Some(
                "A call by way of a service or a VPC endpoint has no aws:SourceIp: the address is the service's, and AWS \
                 leaves the key out."
                    .into(),
            ),
            "kms:viaservice" => Some(
                "kms:ViaService is only there when a service calls on the caller's behalf: this statement admits no direct \
                 call."
                    .into(),
            ),
            "aws:calledvia" | "aws:calledviafirst" | "aws:calledvialast" => {
                Some("aws:CalledVia is only there when a service calls on the caller's behalf.".into())
            }
            _ => None,
        })
    }
}

fn same_but_for_case(value: &str, condition: &ConditionTrace) -> bool {
    condition.expected.iter().any(|wanted| wanted != value && wanted.eq_ignore_ascii_case(value))
}

/// The eighth: what a condition does when its key is missing.
fn missing_key(one: &StatementTrace) -> Option<String> {
    let elements = one.principal_match != PrincipalMatch::None && one.action_match && one.resource_match;
    if !elements {
        return None;
    }
    let is_missing = |condition: &&ConditionTrace| condition.reason == ConditionReason::KeyMissing;
    if one.applies {
        let condition = one.conditions.iter().find(is_missing)?;
        let outcome =
            if one.effect == Effect::Allow { "so this Allow applies" } else { "so this Deny applies" };
        return Some(format!(
            "The request has no `{}`, and {} holds when its key is missing: {outcome}.",
            condition.key, condition.operator
        ));
    }
    let mut failed = one.conditions.iter().filter(|condition| !condition.result);
    let (first, more) = (failed.next()?, failed.next());
    if one.effect != Effect::Deny || more.is_some() || !is_missing(&first) {
        return None;
    }
    Some(format!(
        "{} does not deny this: the request has no `{}`, and {} does not hold when its key is missing. {}IfExists does.",
        one.sid.as_ref().map_or_else(|| "A Deny".to_owned(), |sid| format!("The Deny `{sid}`")),
        first.key,
        first.operator,
        first.operator
    ))
}
