//! The index of grants against a plain walk through all of them.

use proptest::prelude::*;

use super::*;
use crate::policy::{
    ChildGrant, ConditionContext, DecisionEffect, Policy, PolicyKind, Request, Resource, decide,
};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k";
const PRINCIPALS: &[(&str, Option<&str>)] = &[
    ("arn:aws:iam::111122223333:user/alice", Some("AIDA1")),
    ("arn:aws:iam::111122223333:user/alice", Some("AIDA2")),
    ("arn:aws:iam::111122223333:role/ops", Some("AROA1")),
    ("arn:aws:sts::111122223333:assumed-role/ops/me", Some("AROA1")),
    ("arn:aws:iam::111122223333:root", None),
    ("arn:aws:iam::444455556666:root", None),
];

fn principal(number: usize) -> GrantPrincipal {
    let (arn, id) = PRINCIPALS[number % PRINCIPALS.len()];
    GrantPrincipal { arn: arn.parse().unwrap(), unique_id: id.map(Into::into) }
}

fn caller(number: usize) -> PrincipalFacts {
    let GrantPrincipal { arn, unique_id } = principal(number);
    let facts = PrincipalFacts::new(arn);
    unique_id.iter().fold(facts, |facts, id| facts.with_unique_id(id))
}

fn context() -> impl Strategy<Value = EncryptionContext> {
    let pair = (prop_oneof!["[abAB]", "[c-j]"], "[xX]");
    proptest::collection::btree_map(pair.0, pair.1, 0..9)
        .prop_map(|pairs| EncryptionContext::from_pairs(pairs).unwrap())
}

fn constraint() -> impl Strategy<Value = Option<GrantConstraint>> {
    prop_oneof![
        Just(None),
        context().prop_map(|pairs| Some(GrantConstraint::EncryptionContextEquals(pairs))),
        context().prop_map(|pairs| Some(GrantConstraint::EncryptionContextSubset(pairs))),
    ]
}

const OPERATIONS: &[GrantOperation] = &[
    GrantOperation::Decrypt,
    GrantOperation::Encrypt,
    GrantOperation::DescribeKey,
    GrantOperation::CreateGrant,
];

fn operations() -> impl Strategy<Value = GrantOperations> {
    proptest::sample::subsequence(OPERATIONS, 1..=OPERATIONS.len())
        .prop_map(|operations| operations.into_iter().collect())
}

fn grant() -> impl Strategy<Value = Grant> {
    (0..40_u32, 0..PRINCIPALS.len(), 0..PRINCIPALS.len(), operations(), constraint()).prop_map(
        |(id, grantee, retiring, operations, constraint)| Grant {
            id: format!("g{id}").parse().unwrap(),
            key: KEY.parse().unwrap(),
            name: (id % 3 == 0).then(|| "named".parse().unwrap()),
            created: Timestamp::default(),
            issuing_account: "111122223333".parse().unwrap(),
            grantee: principal(grantee),
            retiring: (id % 2 == 0).then(|| principal(retiring)),
            operations,
            constraint,
            tokens: vec![format!("token-{id}").parse().unwrap()],
        },
    )
}

/// What the decision says when it is given these grants.
fn decided(
    grants: &[GrantFacts<'_>],
    caller: &PrincipalFacts,
    operation: GrantOperation,
    context: &EncryptionContext,
    child: Option<ChildGrant<'_>>,
) -> DecisionEffect {
    let nothing = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let policy = Policy::parse(nothing, PolicyKind::Key).unwrap();
    let resource = Resource::key(&KEY.parse().unwrap());
    let (conditions, action) = (ConditionContext::new(), format!("kms:{operation}"));
    let mut request = Request::new(caller, &action, &resource, &conditions);
    request.layers.resource = Some(&policy);
    request.encryption_context = Some(context);
    request.child_grant = child;
    request.grants = grants;
    decide(&request).effect()
}

proptest! {
    #[test]
    fn a_decision_on_the_candidates_is_one_on_all_grants(
        grants in proptest::collection::vec(grant(), 0..40),
        removed in proptest::collection::vec(0..40_u32, 0..10),
        who in 0..PRINCIPALS.len(),
        operation in proptest::sample::select(OPERATIONS),
        context in context(),
        child in constraint(),
    ) {
        let key: KeyArn = KEY.parse().unwrap();
        let mut index = Grants::default();
        for grant in grants {
            index.put(&Arc::new(grant));
        }
        for id in removed {
            index.remove(&key, &format!("g{id}").parse().unwrap());
        }
        let caller = caller(who);
        let child = Some(ChildGrant {
            operations: [GrantOperation::Decrypt].into_iter().collect(),
            constraint: child.as_ref(),
        });
        // Of a grant to be made, its constraint's pairs count.
        let pairs = match operation {
            GrantOperation::CreateGrant => child.and_then(|child| child.constraint).map(GrantConstraint::pairs),
            _ => Some(&context),
        };
        let facts = |grants: Vec<&Arc<Grant>>| decided(
            &grants.iter().map(|grant| grant.facts()).collect::<Vec<_>>(), &caller, operation, &context, child,
        );
        let found = index.candidates(&key, &caller, operation, pairs);
        prop_assert_eq!(facts(found), facts(index.all().collect()));
        let named = index.naming(&key, &caller).count();
        let all = index.all().filter(|grant| grantees(&caller).contains(&grant.grantee)).count();
        prop_assert_eq!(named, all);
    }

    #[test]
    fn what_is_put_is_found_and_what_is_removed_leaves_nothing(
        grants in proptest::collection::vec(grant(), 0..40)
    ) {
        let key: KeyArn = KEY.parse().unwrap();
        let mut index = Grants::default();
        for grant in &grants {
            index.put(&Arc::new(grant.clone()));
            prop_assert_eq!(index.of_token(&grant.tokens[0]).map(|found| &found.id), Some(&grant.id));
        }
        let last: Vec<_> = index.all().cloned().collect();
        prop_assert_eq!(index.count(&key), last.len());
        for grant in &last {
            if let Some(name) = &grant.name {
                prop_assert!(index.named(&key, name).any(|found| found.id == grant.id));
            }
            if let Some(retiring) = &grant.retiring {
                prop_assert!(index.retired_by(&retiring.arn, None).any(|found| found.id == grant.id));
            }
        }
        let half = last.len() / 2;
        if let Some(middle) = last.get(half) {
            prop_assert_eq!(index.on_key(&key, Some(&middle.id)).count(), last.len() - half - 1);
        }
        index.remove_all_on(&key);
        prop_assert!(index.by_key.is_empty() && index.by_token.is_empty() && index.by_retiring.is_empty());
    }
}
