//! Grants as the world holds them, and the ways to find one among very many.
//!
//! Source: "Grants in AWS KMS" (KMS developer guide). A key may have 50,000 grants and each call is decided anew, so a
//! decision must not look at all of them. It looks where a grant that fits would lie: under the key, the grantee with its
//! unique id, the set of operations, and the constraint. All grants of one such place fit the same requests, so one of
//! them is enough. What fits is the policy room's to say; the index only finds candidates, and never misses one.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::{
    model::{AccountId, EncryptionContext, GrantId, GrantName, GrantToken, KeyArn, PrincipalArn, Timestamp},
    policy::{GrantConstraint, GrantFacts, GrantOperation, GrantOperations, PrincipalFacts},
};

/// The most pairs of an encryption context whose subsets are looked up one by one; with more the constraints are walked
/// through. 2⁶ look-ups are still quick, and contexts rarely have more than three pairs.
const SUBSETS_OF_PAIRS_MAX: usize = 6;

/// A principal that a grant names, with the unique id that it had then: one that is deleted and made again under the
/// same name is somebody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantPrincipal {
    /// Its ARN.
    pub arn: PrincipalArn,
    /// The unique id of the user or role; accounts have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
}

/// A grant on a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The key.
    pub key: KeyArn,
    /// The name that makes CreateGrant safe to repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<GrantName>,
    /// When it was made.
    pub created: Timestamp,
    /// The account in which it was made.
    pub issuing_account: AccountId,
    /// Who may use it.
    pub grantee: GrantPrincipal,
    /// Who may retire it besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring: Option<GrantPrincipal>,
    /// What it allows.
    pub operations: GrantOperations,
    /// What it asks of the encryption context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<GrantConstraint>,
    /// The tokens that name it, oldest first.
    pub tokens: Vec<GrantToken>,
}

impl Grant {
    /// The grant as a decision sees it.
    #[must_use]
    pub fn facts(&self) -> GrantFacts<'_> {
        GrantFacts {
            id: self.id.as_str(),
            name: self.name.as_ref().map(GrantName::as_str),
            grantee: &self.grantee.arn,
            grantee_id: self.grantee.unique_id.as_deref(),
            retiring: self.retiring.as_ref().map(|one| &one.arn),
            retiring_id: self.retiring.as_ref().and_then(|one| one.unique_id.as_deref()),
            issuing_account: Some(&self.issuing_account),
            operations: self.operations,
            constraint: self.constraint.as_ref(),
        }
    }

    /// Whether both were asked for with the same parameters, so that a repeated CreateGrant means the older one.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let parameters = |grant: &Self| {
            let Self { key, name, issuing_account, grantee, retiring, operations, constraint, .. } =
                grant.clone();
            (key, name, issuing_account, grantee, retiring, operations, constraint)
        };
        parameters(self) == parameters(other)
    }
}

/// Pairs of an encryption context as constraints compare them: keys without case.
type Pairs = BTreeSet<(String, String)>;

fn pairs_of(context: &EncryptionContext) -> Pairs {
    context.iter().map(|(key, value)| (key.to_lowercase(), value.to_owned())).collect()
}

/// A constraint as the index sorts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Unconstrained,
    Equals(Pairs),
    Subset(Pairs),
}

impl Place {
    fn of(constraint: Option<&GrantConstraint>) -> Self {
        match constraint {
            None => Self::Unconstrained,
            Some(GrantConstraint::EncryptionContextEquals(pairs)) => Self::Equals(pairs_of(pairs)),
            Some(GrantConstraint::EncryptionContextSubset(pairs)) => Self::Subset(pairs_of(pairs)),
        }
    }
}

type ById = OrdMap<GrantId, Arc<Grant>>;
type ByPlace = OrdMap<Place, ById>;

/// The grants on one key.
#[derive(Debug, Clone, Default)]
struct OnKey {
    by_id: ById,
    by_grantee: OrdMap<GrantPrincipal, OrdMap<GrantOperations, ByPlace>>,
    by_name: OrdMap<GrantName, OrdSet<GrantId>>,
}

/// All grants.
#[derive(Debug, Clone, Default)]
pub(super) struct Grants {
    by_key: OrdMap<KeyArn, OnKey>,
    by_token: OrdMap<GrantToken, (KeyArn, GrantId)>,
    by_retiring: OrdMap<PrincipalArn, OrdSet<(KeyArn, GrantId)>>,
}

impl Grants {
    pub(super) fn get(&self, key: &KeyArn, id: &GrantId) -> Option<&Arc<Grant>> {
        self.by_key.get(key)?.by_id.get(id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.by_key.values().flat_map(|on_key| on_key.by_id.values())
    }

    pub(super) fn count(&self, key: &KeyArn) -> usize {
        self.by_key.get(key).map_or(0, |on_key| on_key.by_id.len())
    }

    /// The grants on `key` in the order of their ids, from the one after `after` on.
    pub(super) fn on_key(&self, key: &KeyArn, after: Option<&GrantId>) -> impl Iterator<Item = &Arc<Grant>> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone()));
        let on_key = self.by_key.get(key).into_iter();
        on_key
            .flat_map(move |on_key| on_key.by_id.range((from.clone(), Bound::Unbounded)))
            .map(|(_, grant)| grant)
    }

    pub(super) fn named<'a>(
        &'a self,
        key: &KeyArn,
        name: &GrantName,
    ) -> impl Iterator<Item = &'a Arc<Grant>> + use<'a> {
        let on_key = self.by_key.get(key);
        let ids = on_key.and_then(|on_key| on_key.by_name.get(name)).into_iter().flatten();
        ids.filter_map(move |id| on_key?.by_id.get(id))
    }

    pub(super) fn of_token(&self, token: &GrantToken) -> Option<&Arc<Grant>> {
        let (key, id) = self.by_token.get(token)?;
        self.get(key, id)
    }

    /// The grants that name this retiring principal, by key and id, from the one after `after` on.
    pub(super) fn retired_by(
        &self,
        retiring: &PrincipalArn,
        after: Option<&(KeyArn, GrantId)>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let from = after.map_or(Bound::Unbounded, |place| Bound::Excluded(place.clone()));
        let of_retiring = self.by_retiring.get(retiring).into_iter();
        of_retiring
            .flat_map(move |places| places.range((from.clone(), Bound::Unbounded)))
            .filter_map(|(key, id)| self.get(key, id))
    }

    /// The grants on `key` that name `caller`, its role or its account as grantee.
    pub(super) fn naming<'a>(
        &'a self,
        key: &KeyArn,
        caller: &PrincipalFacts,
    ) -> impl Iterator<Item = &'a Arc<Grant>> + use<'a> {
        let names = self.by_key.get(key).map(|on_key| (on_key, grantees(caller)));
        names.into_iter().flat_map(|(on_key, names)| {
            let sets = names.into_iter().filter_map(|name| on_key.by_grantee.get(&name));
            sets.flat_map(|sets| sets.values().flat_map(|places| places.values().flat_map(OrdMap::values)))
        })
    }

    /// Grants on `key` among which one lets `caller` do `operation`, if any does. `context` is the request's encryption
    /// context; for CreateGrant it is that of the constraint of the grant to be made.
    pub(super) fn candidates(
        &self,
        key: &KeyArn,
        caller: &PrincipalFacts,
        operation: GrantOperation,
        context: Option<&EncryptionContext>,
    ) -> Vec<&Arc<Grant>> {
        let mut found = Vec::new();
        let Some(on_key) = self.by_key.get(key) else { return found };
        let constrained = operation.takes_encryption_context() || operation == GrantOperation::CreateGrant;
        let pairs = context.map(pairs_of).unwrap_or_default();
        for name in grantees(caller) {
            let Some(sets) = on_key.by_grantee.get(&name) else { continue };
            for (_, places) in sets.iter().filter(|(operations, _)| operations.contains(operation)) {
                if constrained {
                    push_where_it_may_hold(places, &pairs, &mut found);
                } else {
                    // No constraint counts, so that each is as good as any.
                    found.extend(places.values().next().and_then(any_of));
                }
            }
        }
        found
    }

    pub(super) fn put(&mut self, grant: &Arc<Grant>) {
        self.remove(&grant.key, &grant.id);
        let id = || grant.id.clone();
        let on_key = self.by_key.entry(grant.key.clone()).or_default();
        on_key.by_id.insert(id(), Arc::clone(grant));
        let of_grantee = on_key.by_grantee.entry(grant.grantee.clone()).or_default();
        let place = Place::of(grant.constraint.as_ref());
        let places = of_grantee.entry(grant.operations).or_default();
        places.entry(place).or_default().insert(id(), Arc::clone(grant));
        if let Some(name) = &grant.name {
            on_key.by_name.entry(name.clone()).or_default().insert(id());
        }
        for token in &grant.tokens {
            self.by_token.insert(token.clone(), (grant.key.clone(), id()));
        }
        if let Some(retiring) = &grant.retiring {
            self.by_retiring.entry(retiring.arn.clone()).or_default().insert((grant.key.clone(), id()));
        }
    }

    pub(super) fn remove(&mut self, key: &KeyArn, id: &GrantId) {
        let Some(on_key) = self.by_key.get_mut(key) else { return };
        let Some(grant) = on_key.by_id.remove(id) else { return };
        if let Some(sets) = on_key.by_grantee.get_mut(&grant.grantee) {
            if let Some(places) = sets.get_mut(&grant.operations) {
                remove_inner(places, &Place::of(grant.constraint.as_ref()), |grants| {
                    grants.remove(id);
                    grants.is_empty()
                });
                if places.is_empty() {
                    sets.remove(&grant.operations);
                }
            }
            if sets.is_empty() {
                on_key.by_grantee.remove(&grant.grantee);
            }
        }
        if let Some(name) = &grant.name {
            remove_inner(&mut on_key.by_name, name, |ids| {
                ids.remove(id);
                ids.is_empty()
            });
        }
        if on_key.by_id.is_empty() {
            self.by_key.remove(key);
        }
        for token in &grant.tokens {
            self.by_token.remove(token);
        }
        if let Some(retiring) = &grant.retiring {
            remove_inner(&mut self.by_retiring, &retiring.arn, |places| {
                places.remove(&(key.clone(), id.clone()));
                places.is_empty()
            });
        }
    }

    pub(super) fn remove_all_on(&mut self, key: &KeyArn) {
        let ids: Vec<GrantId> = self.on_key(key, None).map(|grant| grant.id.clone()).collect();
        ids.iter().for_each(|id| self.remove(key, id));
    }
}

/// Changes what lies under `at`, and takes it away when nothing is left of it.
fn remove_inner<K: Ord + Clone, V: Clone>(
    map: &mut OrdMap<K, V>,
    at: &K,
    change: impl FnOnce(&mut V) -> bool,
) {
    if map.get_mut(at).is_some_and(change) {
        map.remove(at);
    }
}

fn any_of(grants: &ById) -> Option<&Arc<Grant>> {
    grants.values().next()
}

/// Every grantee that a grant may name to reach this caller, as the index knows it: with the caller's unique id, or with
/// none when the one named had none.
fn grantees(caller: &PrincipalFacts) -> Vec<GrantPrincipal> {
    let mut found = Vec::new();
    for arn in [caller.arn(), caller.issuer()].into_iter().flatten() {
        let with = |unique_id| GrantPrincipal { arn: arn.clone(), unique_id };
        found.extend(caller.unique_id().map(|id| with(Some(id.to_owned()))));
        found.push(with(None));
    }
    if let Some(account) = caller.account().filter(|_| !caller.is_root()) {
        found.push(GrantPrincipal { arn: PrincipalArn::root(account), unique_id: None });
    }
    found
}

/// One grant from each place whose constraint may hold for a context of these pairs.
fn push_where_it_may_hold<'a>(places: &'a ByPlace, pairs: &Pairs, found: &mut Vec<&'a Arc<Grant>>) {
    found.extend(places.get(&Place::Unconstrained).and_then(any_of));
    found.extend(places.get(&Place::Equals(pairs.clone())).and_then(any_of));
    if pairs.len() > SUBSETS_OF_PAIRS_MAX {
        let subsets = places.iter().filter(|(place, _)| match place {
            Place::Subset(least) => least.is_subset(pairs),
            Place::Unconstrained | Place::Equals(_) => false,
        });
        found.extend(subsets.filter_map(|(_, grants)| any_of(grants)));
        return;
    }
    for chosen in 0..1_usize << pairs.len() {
        let subset = pairs.iter().enumerate().filter(|(bit, _)| chosen & 1 << bit != 0);
        let subset = subset.map(|(_, pair)| pair.clone()).collect();
        found.extend(places.get(&Place::Subset(subset)).and_then(any_of));
    }
}

#[cfg(test)]
mod tests;
