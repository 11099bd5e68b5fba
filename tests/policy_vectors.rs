//! Runs the policy vectors: each rule of AWS's authorisation with the page it comes from, and its denied twin.
//!
//! A file of `tests/vectors/policy/` is an array of requests in the public shape of the simulation, each with
//! `name`, `source` and `expect`: a decision and perhaps the check that decides, or that the request is refused.

use std::{fs, path::Path};

use keystead::policy::{Simulations, simulate, simulate_text};
use serde_json::{Value, json};

/// What a case came to, in the terms of its `expect`.
fn outcome(result: &Value, expect: &Value) -> Result<(), String> {
    if expect.get("error").is_some() {
        return if result.get("error").is_some() {
            Ok(())
        } else {
            Err(format!("was not refused: {result}"))
        };
    }
    for field in ["decision", "deciding"] {
        if let Some(wanted) = expect.get(field)
            && result.get(field) != Some(wanted)
        {
            let (decision, deciding) = (result.get("decision"), result.get("deciding"));
            let error = result.get("error");
            return Err(format!("expected {expect}, got {decision:?} {deciding:?} {error:?}"));
        }
    }
    Ok(())
}

#[test]
fn every_vector_comes_out_as_its_page_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/policy");
    let (mut count, mut failures) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        let results = serde_json::to_value(simulate_text(&text).unwrap()).unwrap();
        let results: Vec<Value> = serde_json::from_value(results).unwrap();
        assert_eq!(results.len(), cases.len());
        for (case, result) in cases.iter().zip(results) {
            count += 1;
            assert!(case["source"].as_str().is_some_and(|source| !source.is_empty()), "{}", case["name"]);
            if let Err(why) = outcome(&result, &case["expect"]) {
                failures.push(format!("{}: {}: {why}", path.display(), case["name"]));
            }
            // The same request by itself, as a value, is decided alike.
            if result.get("error").is_none() {
                let alone = serde_json::to_value(simulate(case).unwrap()).unwrap();
                assert_eq!(alone["decision"], result["decision"]);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 500, "only {count} vectors were found");
}

/// A case whose name begins with `…` belongs to the one before it. What is allowed in such a group has its twin there, which
/// is not.
#[test]
fn what_is_allowed_has_a_denied_twin() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/policy");
    let mut alone = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut groups: Vec<Vec<&Value>> = Vec::new();
        for case in &cases {
            match groups.last_mut() {
                Some(group) if case["name"].as_str().unwrap().starts_with('…') => group.push(case),
                _ => groups.push(vec![case]),
            }
        }
        for group in groups {
            let allowed = |case: &&&Value| case["expect"]["decision"] == "allowed";
            let count = group.iter().filter(allowed).count();
            if count > 0 && count == group.len() {
                alone.push(format!("{}: {}", path.display(), group[0]["name"]));
            }
        }
    }
    assert!(alone.is_empty(), "{}", alone.join("\n"));
}

#[test]
fn a_policy_that_names_a_key_twice_is_refused_in_its_place() {
    let text = r#"{"principal": {"arn": "arn:aws:iam::111122223333:user/alice"}, "action": "kms:ListKeys",
                   "resource": "*", "resource": "*"}"#;
    assert!(simulate_text(text).unwrap_err().to_string().contains("twice"));
}

#[test]
fn traces_name_lines_and_columns_of_the_whole_text() {
    let text =
        "{\"principal\": {\"arn\": \"arn:aws:iam::111122223333:user/alice\"},\n \"action\": \"kms:ListKeys\",
 \"resource\": {\"arn\": \"*\"},
 \"policies\": {\"identity\": [
   {\"Version\": \"2012-10-17\", \"Statement\": [{\"Sid\": \"Near\", \"Effect\": \"Allow\",
      \"Action\": \"kms:ListAliases\", \"Resource\": \"*\"}]}]}}";
    let Simulations::One(result) = simulate_text(text).unwrap() else { panic!("one request") };
    let trace = serde_json::to_value(result.unwrap().trace).unwrap();
    let near = &trace["nearMisses"][0];
    assert_eq!((near["sid"].as_str(), near["element"].as_str()), (Some("Near"), Some("action")));
    assert_eq!(
        (near["span"]["start"]["line"].as_u64(), near["span"]["start"]["column"].as_u64()),
        (Some(6), Some(17))
    );
    let statement = &trace["pairs"][0]["checks"][4]["statements"][0];
    assert_eq!(
        (statement["span"]["start"]["line"].as_u64(), statement["policy"].as_str()),
        (Some(5), Some("identity[0]"))
    );
}

/// The example of `docs/simulate.md` can be used as it is; and each thing that it shows decides.
#[test]
fn the_example_of_the_documentation_is_allowed_and_its_twins_are_not() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/simulate.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```json\n").unwrap();
    let example: Value = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
    let decision = |request: &Value| serde_json::to_value(simulate(request).unwrap().decision).unwrap();
    assert_eq!(decision(&example), "allowed");
    for (place, other, expected) in [
        ("/principal/tags/team", json!("operations"), "explicitDeny"),
        ("/policies/scp", json!([[]]), "implicitDeny"),
        ("/policies/identity", json!([]), "implicitDeny"),
        ("/policies/resource/Statement/0/Principal/AWS", json!("444455556666"), "implicitDeny"),
    ] {
        let mut twin = example.clone();
        *twin.pointer_mut(place).unwrap() = other;
        assert_eq!(decision(&twin), expected, "{place}");
    }
}

#[test]
fn an_action_that_kms_does_not_have_is_an_error() {
    let request = |action: &str| {
        json!({
            "principal": {"arn": "arn:aws:iam::111122223333:user/alice"}, "action": action, "resource": "*",
            "policies": {"identity": [{
                "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
            }]},
        })
    };
    for known in ["kms:ListKeys", "KMS:listkeys", "s3:NoSuchThing", "iam:PassRole"] {
        assert!(simulate(&request(known)).is_ok(), "{known}");
    }
    let said = simulate(&request("kms:ListKeis")).unwrap_err().to_string();
    assert!(said.contains("there is no action `kms:ListKeis`; did you mean `kms:ListKeys`?"), "{said}");
    let said = simulate(&request("kms:Foo")).unwrap_err().to_string();
    assert!(said.contains("there is no action `kms:Foo`") && !said.contains("did you mean"), "{said}");
}
