//! Looking events up, as the services' callers do.

use super::*;
use crate::{
    kms::{Decrypt, Encrypt, Encrypted, GetKeyLastUsage},
    model::{EncryptionContext, ErrorCode, KeyArn},
    testing::Lab,
};

fn encrypt(lab: &Lab, caller: &Caller, key: &KeyArn) -> Result<Encrypted, CallError> {
    let (plaintext, encryption_context) = (b"x".as_slice().into(), EncryptionContext::new());
    lab.kms().encrypt(caller, Encrypt { key_id: key.clone().into(), plaintext, encryption_context })
}

fn decrypt(lab: &Lab, caller: &Caller, ciphertext: &[u8]) -> Result<(), CallError> {
    let decrypt = Decrypt {
        ciphertext_blob: ciphertext.to_vec(),
        key_id: None,
        encryption_context: EncryptionContext::new(),
    };
    lab.kms().decrypt(caller, decrypt).map(drop)
}

fn search(attribute: Attribute, value: &str) -> Search {
    Search { filters: vec![Filter::new(attribute, value).unwrap()], ..Search::default() }
}

#[test]
fn a_decrypt_is_traced_to_the_call_that_made_its_ciphertext() {
    let lab = Lab::new().unwrap();
    let (admin, key) = (lab.admin(), lab.key().unwrap());
    let trail = lab.keystore().cloudtrail();
    let first = encrypt(&lab, &admin, &key).unwrap().ciphertext_blob;
    encrypt(&lab, &admin, &key).unwrap();
    decrypt(&lab, &admin, &first).unwrap();
    let made = trail.search(&admin, &search(Attribute::EventName, "Encrypt"), 9).unwrap();
    let opened = trail.search(&admin, &search(Attribute::EventName, "Decrypt"), 9).unwrap();
    let (found, origins) = trail.event(&admin, &opened[0].record.event_id).unwrap();
    assert_eq!(found, opened[0]);
    assert_eq!(origins, [made[1].clone()], "the older of the two, and it alone");
    let by_number = trail.event(&admin, &made[1].sequence.to_string()).unwrap();
    assert_eq!(by_number, (made[1].clone(), Vec::new()));
    let text = String::from_utf8(found.record.to_canonical_bytes()).unwrap();
    assert!(!text.contains(&hex::encode(&first)), "the ciphertext itself is not in the log");
    assert!(trail.event(&admin, "999999").is_err() && trail.event(&admin, "nothing").is_err());
}

#[test]
fn whoever_may_not_look_up_learns_nothing_and_is_recorded() {
    let lab = Lab::new().unwrap();
    let bob = lab.user("bob", &["kms:*"]).unwrap();
    let trail = lab.keystore().cloudtrail();
    let denied =
        |result: Result<(), CallError>| assert_eq!(result.unwrap_err().code(), ErrorCode::AccessDenied);
    denied(trail.search(&bob, &Search::default(), 9).map(drop));
    denied(trail.event(&bob, "0").map(drop));
    denied(trail.usage(&bob, None).map(drop));
    denied(trail.lookup_events(&bob, &LookupEvents::default()).map(drop));
    let denials = trail.search(&lab.admin(), &search(Attribute::Outcome, "denied"), 99).unwrap();
    let lookups = denials.iter().filter(|one| one.record.event_name == "LookupEvents").count();
    assert_eq!(lookups, 4);
}

#[test]
fn pages_hold_every_management_event_once() {
    let lab = Lab::new().unwrap();
    let (admin, key) = (lab.admin(), lab.key().unwrap());
    for _ in 0..7 {
        encrypt(&lab, &admin, &key).unwrap();
    }
    let trail = lab.keystore().cloudtrail();
    let mut request = LookupEvents {
        lookup_attributes: vec![LookupAttribute { key: "EventName".into(), value: "Encrypt".into() }],
        max_results: Some(3),
        ..LookupEvents::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = trail.lookup_events(&admin, &request).unwrap();
        assert!(page.events.len() <= 3);
        seen.extend(page.events.into_iter().map(|event| event.event_id));
        request.next_token = page.next_token;
        if request.next_token.is_none() {
            break;
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (7, 7));
    let page =
        trail.lookup_events(&admin, &LookupEvents { max_results: Some(3), ..request.clone() }).unwrap();
    let other =
        LookupEvents { lookup_attributes: Vec::new(), next_token: page.next_token, ..request.clone() };
    assert_eq!(trail.lookup_events(&admin, &other).unwrap_err().code(), ErrorCode::Validation);
    for wrong in [
        LookupEvents { max_results: Some(51), ..request.clone() },
        LookupEvents { max_results: Some(0), ..request.clone() },
        LookupEvents { next_token: Some("x".into()), ..request.clone() },
        LookupEvents {
            lookup_attributes: [request.lookup_attributes.clone(), request.lookup_attributes.clone()]
                .concat(),
            ..request.clone()
        },
    ] {
        assert_eq!(trail.lookup_events(&admin, &wrong).unwrap_err().code(), ErrorCode::Validation);
    }
    let event = serde_json::to_value(&page.events[0]).unwrap();
    assert_eq!((&event["ReadOnly"], &event["Username"]), (&json!("true"), &json!("admin")));
    assert!(event["EventTime"].is_i64() && event["CloudTrailEvent"].is_string());
}

#[test]
fn the_last_use_is_the_last_success_and_counts_are_right() {
    let lab = Lab::new().unwrap();
    let (admin, key) = (lab.admin(), lab.key().unwrap());
    let bob = lab.user("bob", &["kms:DescribeKey"]).unwrap();
    let trail = lab.keystore().cloudtrail();
    let ask = || trail.key_last_usage(&admin, &GetKeyLastUsage { key_id: key.clone().into() }).unwrap();
    let never = ask();
    assert_eq!(
        (never.key_last_usage, never.tracking_start_date),
        (KeyLastUsageData::default(), never.key_creation_date)
    );
    lab.advance(1);
    let blob = encrypt(&lab, &admin, &key).unwrap().ciphertext_blob;
    assert!(decrypt(&lab, &bob, &blob).is_err());
    let used = ask().key_last_usage;
    assert_eq!(used.operation.as_deref(), Some("Encrypt"), "the denied Decrypt is no use");
    assert!(used.timestamp.unwrap() > never.key_creation_date);
    let usage = trail.usage(&admin, None).unwrap();
    let counts = |who: &str| {
        let mine = usage.iter().filter(|one| one.who.ends_with(who) && one.key == key.to_string());
        mine.fold((0, 0), |(used, refused), one| (used + one.used, refused + one.refused))
    };
    assert_eq!((counts("user/admin"), counts("user/bob")), ((1, 0), (0, 1)));
    let refused = trail.key_last_usage(&bob, &GetKeyLastUsage { key_id: key.into() }).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AccessDenied);
    let alias = GetKeyLastUsage { key_id: "alias/models".parse().unwrap() };
    assert_eq!(trail.key_last_usage(&admin, &alias).unwrap_err().code(), ErrorCode::InvalidArn);
}
