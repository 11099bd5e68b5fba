//! What must hold of every decision, on random requests and policies.
//!
//! Adding a Deny never allows; adding a grant never denies; removing a boundary never reduces; consistent renaming changes
//! nothing; the trace recomputes to the decision; a second evaluator agrees; no text makes the parser panic.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking"
)]

mod naive;

use keystead::policy::{Policy, PolicyKind, simulate, simulate_text};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k1";
const CALLERS: &[&str] = &[
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:user/bob",
    "arn:aws:iam::111122223333:root",
    "arn:aws:sts::111122223333:assumed-role/ops/me",
    "arn:aws:sts::111122223333:assumed-role/ops/you",
    "arn:aws:iam::444455556666:user/alice",
    "arn:aws:iam::444455556666:root",
];
const NAMED: &[&str] = &[
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:role/ops",
    "arn:aws:sts::111122223333:assumed-role/ops/me",
    "arn:aws:iam::444455556666:user/alice",
    "arn:aws:iam::444455556666:root",
];
const ACTIONS: &[&str] = &["kms:Decrypt", "kms:Encrypt", "kms:DisableKey", "kms:CreateKey"];

fn list_of(items: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        select(items).prop_map(|item| json!(item)),
        prop::collection::vec(select(items), 1..3).prop_map(|items| json!(items)),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let value = list_of(&["x", "x*", "*", "alice", "${aws:username}", "y"]);
    let operator = select(&[
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "StringEqualsIfExists",
        "StringNotEqualsIfExists",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringEquals",
        "ForAnyValue:StringNotLike",
        "ForAllValues:StringNotEquals",
        "ForAnyValue:StringLikeIfExists",
    ]);
    let key = select(&[
        "kms:EncryptionContext:App",
        "kms:encryptioncontextkeys",
        "aws:username",
        "aws:ResourceTag/team",
        "aws:SourceIdentity",
    ]);
    prop_oneof![
        3 => Just(Value::Null),
        3 => (operator, key, value).prop_map(|(operator, key, value)| json!({ operator: { key: value } })),
        1 => (any::<bool>(), select(&["aws:username", "kms:EncryptionContext:App"]))
            .prop_map(|(missing, key)| json!({ "Null": { key: missing } })),
        1 => select(&["arn:aws:iam::111122223333:role/ops", "arn:aws:iam::111122223333:user/alice"])
            .prop_map(|arn| json!({ "StringEquals": { "aws:PrincipalArn": arn } })),
        1 => (0..3).prop_map(|limit| json!({ "NumericLessThan": { "kms:RotationPeriodInDays": limit } })),
    ]
}

fn statement(with_principal: bool) -> impl Strategy<Value = Value> {
    let actions = list_of(&["kms:*", "*", "kms:Decrypt", "KMS:enc*", "kms:D*", "kms:Create*", "s3:*"]);
    let resources = list_of(&[
        "*",
        KEY,
        "arn:aws:kms:*:*:key/*",
        "arn:aws:kms",
        "arn:aws:kms:us-east-1:444455556666:key/k1",
    ]);
    let principals = prop_oneof![Just(json!("*")), list_of(NAMED).prop_map(|names| json!({ "AWS": names })),];
    (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.15),
        actions,
        resources,
        principals,
        condition(),
    )
        .prop_map(move |(deny, not_action, not_resource, actions, resources, principals, condition)| {
            let mut statement = json!({ "Effect": if deny { "Deny" } else { "Allow" } });
            statement[if not_action { "NotAction" } else { "Action" }] = actions;
            statement[if not_resource { "NotResource" } else { "Resource" }] = resources;
            if with_principal {
                statement["Principal"] = principals;
            }
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            statement
        })
}

fn policy(with_principal: bool) -> impl Strategy<Value = Value> {
    let version = prop::bool::weighted(0.8).prop_map(|new| if new { "2012-10-17" } else { "2008-10-17" });
    (version, prop::collection::vec(statement(with_principal), 1..4))
        .prop_map(|(version, statements)| json!({ "Version": version, "Statement": statements }))
}

fn grant() -> impl Strategy<Value = Value> {
    let grantees = select(&[
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:role/ops",
        "arn:aws:iam::444455556666:user/alice",
    ]);
    let operations = list_of(&["Decrypt", "Encrypt"]).prop_map(|v| if v.is_array() { v } else { json!([v]) });
    (grantees, operations, any::<bool>()).prop_map(|(grantee, operations, constrained)| {
        let mut grant = json!({ "GranteePrincipal": grantee, "Operations": operations });
        if constrained {
            grant["Constraints"] = json!({ "EncryptionContextSubset": { "APP": "x" } });
        }
        grant
    })
}

fn request() -> impl Strategy<Value = Value> {
    let maybe = |weight| prop::bool::weighted(weight);
    let context = (maybe(0.5), maybe(0.4), maybe(0.3)).prop_map(|(app, keys, rotation)| {
        let mut context = json!({});
        if app {
            context["kms:EncryptionContext:app"] = json!("x");
        }
        if keys {
            context["kms:EncryptionContextKeys"] = json!(["x", "y"]);
        }
        if rotation {
            context["kms:RotationPeriodInDays"] = json!("1");
        }
        context
    });
    let layers = (
        prop::option::weighted(0.9, policy(true)),
        prop::collection::vec(policy(false), 0..3),
        prop::option::weighted(0.3, policy(false)),
        prop::collection::vec(policy(false), 0..2),
        prop::collection::vec(prop::collection::vec(policy(false), 1..3), 0..2),
    );
    let rest = (prop::collection::vec(grant(), 0..2), maybe(0.85), maybe(0.5));
    (select(CALLERS), select(ACTIONS), context, layers, rest).prop_map(
        |(caller, action, context, (resource, identity, boundary, session, scp), (grants, on_key, tagged))| {
            json!({
                "principal": { "arn": caller }, "action": action,
                "resource": { "arn": if on_key { KEY } else { "*" }, "tags": if tagged { json!({ "team": "x" }) } else { json!({}) } },
                "context": context,
                "policies": { "resource": resource.filter(|_| on_key), "identity": identity, "boundary": boundary,
                              "session": session, "scp": scp },
                "grants": grants,
            })
        },
    )
}

fn decision(request: &Value) -> String {
    let result =
        serde_json::to_value(simulate(request).unwrap_or_else(|error| panic!("{error}: {request}"))).unwrap();
    result["decision"].as_str().unwrap().to_owned()
}

fn add_deny(request: &mut Value, layer: &str, mut statement: Value) {
    statement["Effect"] = json!("Deny");
    if layer == "resource" {
        statement["Principal"] = json!("*");
    } else if let Some(fields) = statement.as_object_mut() {
        fields.remove("Principal");
    }
    let policies = &mut request["policies"];
    match layer {
        "resource" if policies["resource"].is_null() => {}
        "resource" => policies["resource"]["Statement"].as_array_mut().unwrap().push(statement),
        _ => policies["identity"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "Version": "2012-10-17", "Statement": statement })),
    }
}

/// Makes a suggested change to a request that is written down.
fn make(request: &mut Value, change: &Value) {
    if let Some(change) = change.get("request") {
        let (key, value) = (change["key"].as_str().unwrap(), change["value"].clone());
        let context = request["context"].as_object_mut().unwrap();
        context.retain(|name, _| !name.eq_ignore_ascii_case(key));
        context.insert(key.into(), value);
        if key.to_lowercase().starts_with("kms:encryptioncontext:") {
            let name = &key["kms:encryptioncontext:".len()..];
            let names = context.entry("kms:EncryptionContextKeys").or_insert_with(|| json!([]));
            let names = names.as_array_mut().unwrap();
            if !names.iter().any(|one| one.as_str().unwrap().eq_ignore_ascii_case(name)) {
                names.push(json!(name));
            }
        }
        return;
    }
    let (extend, change) = match change.get("extend") {
        Some(change) => (true, change),
        None => (false, &change["add"]),
    };
    let layer = match change["type"].as_str().unwrap() {
        "RESOURCE" => "resource",
        "PRINCIPAL" => "identity",
        "PERMISSIONS_BOUNDARY" => "boundary",
        "SESSION" => "session",
        "SERVICE_CONTROL_POLICY" => "scp",
        other => panic!("{other}"),
    };
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let mut policies = &mut request["policies"][layer];
    if layer == "scp" {
        let level = if extend { &change["place"]["level"] } else { &change["level"] };
        policies = &mut policies[number(level)];
    }
    if !extend {
        let statement = change["statement"].clone();
        match policies {
            Value::Array(list) => list.push(json!({ "Version": "2012-10-17", "Statement": [statement] })),
            Value::Null => *policies = json!({ "Version": "2012-10-17", "Statement": [statement] }),
            policy => policy["Statement"].as_array_mut().unwrap().push(statement),
        }
        return;
    }
    let place = &change["place"];
    let policy = match policies {
        Value::Array(list) => &mut list[number(&place["policy"])],
        policy => policy,
    };
    let statement = &mut policy["Statement"][number(&place["statement"])];
    let element = &mut statement[change["element"].as_str().unwrap()];
    if !element.is_array() {
        *element = json!([element.clone()]);
    }
    element.as_array_mut().unwrap().push(change["pattern"].clone());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_second_evaluator_agrees(request in request()) {
        let ours = serde_json::to_value(simulate(&request).unwrap()).unwrap();
        prop_assert_eq!(ours["decision"].as_str().unwrap(), naive::decide(&request), "{:#}\n{:#}", request, ours);
    }

    #[test]
    fn adding_a_deny_never_allows(
        before in request(), statement in statement(true), layer in select(&["resource", "identity"]),
    ) {
        let mut after = before.clone();
        add_deny(&mut after, layer, statement);
        if decision(&before) != "allowed" {
            prop_assert_ne!(decision(&after), "allowed");
        }
    }

    #[test]
    fn adding_a_grant_never_denies(before in request(), grant in grant()) {
        let mut after = before.clone();
        after["grants"].as_array_mut().unwrap().push(grant);
        let (before, after) = (decision(&before), decision(&after));
        prop_assert!(before == after || (before == "implicitDeny" && after == "allowed"));
    }

    #[test]
    fn removing_a_boundary_never_reduces(before in request()) {
        let mut after = before.clone();
        after["policies"]["boundary"] = Value::Null;
        if decision(&before) == "allowed" {
            prop_assert_eq!(decision(&after), "allowed");
        }
    }

    #[test]
    fn renaming_principals_consistently_changes_nothing(before in request()) {
        let renamed = before.to_string().replace("alice", "zelda").replace("role/ops", "role/dev")
            .replace("111122223333", "999988887777");
        let after: Value = serde_json::from_str(&renamed).unwrap();
        prop_assert_eq!(decision(&before), decision(&after));
    }

    #[test]
    fn the_trace_recomputes_to_the_decision(request in request()) {
        let result = serde_json::to_value(simulate(&request).unwrap()).unwrap();
        let (trace, pair) = (&result["trace"], &result["trace"]["pairs"][0]);
        prop_assert_eq!(&trace["effect"], &result["decision"]);
        prop_assert_eq!(&trace["deciding"], &result["deciding"]);
        let checks = pair["checks"].as_array().unwrap();
        let mut denied = false;
        for check in checks {
            for statement in check["statements"].as_array().unwrap() {
                let elements = statement["principalMatch"] != "None" && statement["actionMatch"] == true
                    && statement["resourceMatch"] == true
                    && statement["conditions"].as_array().unwrap().iter().all(|condition| condition["result"] == true);
                prop_assert_eq!(statement["applies"].as_bool().unwrap(), elements);
                denied |= elements && statement["effect"] == "Deny";
            }
            let denies = check["statements"].as_array().unwrap().iter().any(|s| s["applies"] == true && s["effect"] == "Deny");
            prop_assert_eq!(check["effect"] == "EXPLICIT_DENY", denies);
        }
        prop_assert_eq!(denied, result["decision"] == "explicitDeny");
        prop_assert_eq!(result["decision"] != "allowed", result["message"].is_string());
    }

    #[test]
    fn a_suggested_fix_allows_when_it_is_made_and_none_is_suggested_against_a_deny(before in request()) {
        let result = serde_json::to_value(simulate(&before).unwrap()).unwrap();
        let fix = &result["trace"]["smallestFix"];
        match result["decision"].as_str().unwrap() {
            "allowed" => prop_assert!(fix.is_null()),
            "explicitDeny" => prop_assert!(fix["withheld"].is_string()),
            _ => if let Some(changes) = fix["changes"].as_array() {
                let mut after = before.clone();
                for change in changes {
                    make(&mut after, change);
                }
                prop_assert_eq!(decision(&after), "allowed", "{:#}\n{:#}", before, fix);
                // And less is not enough.
                for left_out in 0..changes.len() {
                    let mut less = before.clone();
                    changes.iter().enumerate().filter(|(n, _)| *n != left_out).for_each(|(_, c)| make(&mut less, c));
                    prop_assert_ne!(decision(&less), "allowed", "{:#}\n{:#}", before, fix);
                }
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", kind in select(&[
        PolicyKind::Key, PolicyKind::MANAGED, PolicyKind::Resource, PolicyKind::Trust, PolicyKind::Scp, PolicyKind::Rcp,
    ])) {
        let _ = Policy::parse(&text, kind);
        let _ = simulate_text(&text);
    }

    #[test]
    fn no_damaged_request_makes_the_simulation_panic(
        request in request(), at in any::<prop::sample::Index>(), with in "[\\PC\"{}\\[\\]:,$*]{0,3}",
    ) {
        let mut characters: Vec<char> = request.to_string().chars().collect();
        let at = at.index(characters.len());
        characters.splice(at..=at, with.chars());
        let _ = simulate_text(&characters.into_iter().collect::<String>());
    }
}
