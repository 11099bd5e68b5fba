//! What a decision costs: `cargo bench --bench policy`.
//!
//! `kms:Decrypt` by a user: a key policy of ten statements, five identity policies of three, and 100 or 50,000 grants on
//! the key, each to somebody else but one. Policies are compiled before, as they are when they are written; finding the
//! grants that may fit is part of the decision. The median of batches, in microseconds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement prints what it measured"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use keystead::{
    model::{EncryptionContext, KeyArn, PrincipalArn, Timestamp},
    policy::{
        ConditionContext, DecisionEffect, GrantConstraint, GrantFacts, GrantOperation, Layers, NamedPolicy,
        Policy, PolicyKind, PrincipalFacts, Request, Resource, decide,
    },
    world::{Change, Grant, GrantPrincipal, Settings, World},
};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALICE: &str = "arn:aws:iam::111122223333:user/research/alice";
const ALICE_ID: &str = "AIDAALICEALICEALICEA";
const BATCHES: usize = 501;
const BATCH: u32 = 200;

fn main() {
    println!("{:<44} {:>8} {:>12}", "", "grants", "µs, median");
    for grants in [0, 100, 50_000] {
        let world = world(grants);
        for (title, identity, by_grant, effect) in [
            ("allowed by an identity policy", true, false, DecisionEffect::Allowed),
            ("allowed by a grant", false, true, DecisionEffect::Allowed),
            ("denied, since nothing allows", false, false, DecisionEffect::ImplicitDeny),
        ] {
            if grants > 0 || !by_grant {
                let micros = measure(&world, identity, by_grant, effect);
                println!("{title:<44} {grants:>8} {micros:>12.2}");
            }
        }
    }
}

/// The median time of a decision about one and the same call.
fn measure(world: &World, by_identity_policy: bool, by_grant: bool, effect: DecisionEffect) -> f64 {
    let key: KeyArn = KEY.parse().unwrap();
    let arn: PrincipalArn = ALICE.parse().unwrap();
    let alice = PrincipalFacts::new(arn).with_unique_id(ALICE_ID);
    let project = if by_grant { "granted" } else { "other" };
    let encryption_context = EncryptionContext::from_pairs([("project", project)]).unwrap();
    let resource = Resource::key(&key);
    let mut context = ConditionContext::new();
    context.principal(&alice).resource(&resource, &alice).time(Timestamp::from_millis(1_790_000_000_000));
    context.secure_transport(true).source_ip("10.1.2.3").encryption_context(&encryption_context);
    let key_policy = key_policy();
    let policies: Vec<Policy> = (0..5).map(|n| identity_policy(n, by_identity_policy && n == 4)).collect();
    let identity: Vec<NamedPolicy<'_>> =
        policies.iter().map(|policy| NamedPolicy { name: "inline", policy }).collect();
    let one = || {
        let found = world.grants_for(&key, &alice, GrantOperation::Decrypt, Some(&encryption_context));
        let grants: Vec<GrantFacts<'_>> = found.into_iter().map(|grant| grant.facts()).collect();
        let mut request = Request::new(&alice, "kms:Decrypt", &resource, &context);
        request.encryption_context = Some(&encryption_context);
        request.layers = Layers { resource: Some(&key_policy), identity: &identity, ..Layers::default() };
        request.grants = &grants;
        decide(black_box(&request))
    };
    assert_eq!(one().effect(), effect);
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..BATCH {
                let _decision = black_box(one());
            }
            begun.elapsed() / BATCH
        })
        .collect();
    batches.sort_unstable();
    batches[BATCHES / 2].as_secs_f64() * 1e6
}

/// Nine statements that do not fit, each by another element, and the one that leaves the key to the account.
fn key_policy() -> Policy {
    let mut statements: Vec<String> = (0..9)
        .map(|n| {
            let (effect, action) = if n % 3 == 0 { ("Deny", "kms:ScheduleKeyDeletion") } else { ("Allow", "kms:Decrypt") };
            format!(
                r#"{{"Sid": "Statement{n}", "Effect": "{effect}", "Action": ["kms:Describe*", "{action}"], "Resource": "*",
                    "Principal": {{"AWS": "arn:aws:iam::111122223333:role/team-{n}"}},
                    "Condition": {{"StringEquals": {{"kms:EncryptionContext:project": ["p{n}", "q{n}"]}},
                                  "IpAddress": {{"aws:SourceIp": "10.{n}.0.0/16"}}}}}}"#
            )
        })
        .collect();
    statements.push(
        r#"{"Sid": "Account", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}"#
            .into(),
    );
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
    Policy::parse(&text, PolicyKind::Key).unwrap()
}

/// Three statements, the last of which allows the call or does not.
fn identity_policy(number: usize, allows: bool) -> Policy {
    let last = if allows { KEY } else { "arn:aws:kms:us-east-1:111122223333:key/other" };
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": [
            {{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "arn:aws:s3:::models-{number}/*"}},
            {{"Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": {{"Bool": {{"aws:SecureTransport": "false"}}}}}},
            {{"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "{last}"}}]}}"#
    );
    Policy::parse(&text, PolicyKind::Identity { chars_max: 6144 }).unwrap()
}

/// A world with so many grants on the key, the one in the middle to the caller.
fn world(grants: usize) -> World {
    let mut world = World::new(Settings {
        account: "111122223333".parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        clock_offset_millis: 0,
        witnesses: Vec::new(),
        digest_key: None,
    });
    for n in 0..grants {
        let grantee = if n == grants / 2 {
            GrantPrincipal { arn: ALICE.parse().unwrap(), unique_id: Some(ALICE_ID.into()) }
        } else {
            let arn = format!("arn:aws:iam::111122223333:user/u{n}").parse().unwrap();
            GrantPrincipal { arn, unique_id: Some(format!("AIDA{n}")) }
        };
        let context = EncryptionContext::from_pairs([("project", "granted")]).unwrap();
        world.apply(&Change::PutGrant(Box::new(Grant {
            id: format!("{n:064x}").parse().unwrap(),
            key: KEY.parse().unwrap(),
            name: None,
            created: Timestamp::default(),
            issuing_account: "111122223333".parse().unwrap(),
            grantee,
            retiring: None,
            operations: [GrantOperation::Decrypt, GrantOperation::DescribeKey].into_iter().collect(),
            constraint: Some(GrantConstraint::EncryptionContextEquals(context)),
            tokens: vec![format!("token-{n}").parse().unwrap()],
        })));
    }
    world
}
