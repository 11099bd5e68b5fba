//! Seeds: what they make, that they make it once, and what they say when they are wrong.

mod organization;
mod people;

use super::*;
use crate::{
    envelope::{DataKeys, KmsKeyring},
    kms::{Caller, Decrypt, DescribeKey, Encrypt, ScheduleKeyDeletion},
    model::{EncryptionContext, ErrorCode, KeyRef, KeyState},
    testing::Lab,
};

fn apply(lab: &Lab, text: &str) -> Plan {
    let plan = Seed::parse(text).unwrap().plan(lab.keystore()).unwrap();
    plan.apply(lab.keystore(), &lab.admin(), &mut Vec::new()).unwrap();
    plan
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.steps().iter().map(ToString::to_string).collect()
}

fn encrypt(lab: &Lab, caller: &Caller, key: &str) -> Result<Vec<u8>, ErrorCode> {
    let encryption_context = EncryptionContext::new();
    let operation =
        Encrypt { key_id: key.parse().unwrap(), plaintext: b"x".as_slice().into(), encryption_context };
    lab.kms().encrypt(caller, operation).map(|sealed| sealed.ciphertext_blob).map_err(|error| error.code())
}

fn decrypt(lab: &Lab, caller: &Caller, blob: &[u8]) -> Result<(), ErrorCode> {
    let encryption_context = EncryptionContext::new();
    let operation = Decrypt { ciphertext_blob: blob.to_vec(), key_id: None, encryption_context };
    lab.kms().decrypt(caller, operation).map(drop).map_err(|error| error.code())
}

#[test]
fn the_lab_applies_twice_and_the_second_time_makes_no_call() {
    let lab = Lab::new().unwrap();
    let first = apply(&lab, LAB);
    assert!(first.steps().iter().all(|step| matches!(step.kind(), StepKind::Create | StepKind::Update)));
    let records = lab.keystore().audit_verify().unwrap().records;
    let second = apply(&lab, LAB);
    assert!(second.changes_nothing());
    assert!(second.steps().iter().all(|step| step.kind() == StepKind::Unchanged), "{second}");
    assert_eq!(lab.keystore().audit_verify().unwrap().records, records);
}

#[test]
fn every_call_of_a_seed_leaves_its_record() {
    let lab = Lab::new().unwrap();
    let before = lab.keystore().audit_verify().unwrap().records;
    let plan = apply(&lab, LAB);
    let calls = plan.steps().len() as u64;
    // Two more: the administrator became the root user of the partner's account, once, and an MFA device is made and enabled.
    assert_eq!(lab.keystore().audit_verify().unwrap().records, before + calls + 2);
    let events = lab.keystore().audit_tail(&lab.admin(), 1000).unwrap();
    assert_eq!(events.iter().filter(|event| event.event_name == "AssumeRoot").count(), 1);
}

#[test]
fn a_seed_is_applied_with_the_callers_permissions_alone() {
    let lab = Lab::new().unwrap();
    apply(&lab, LAB);
    let caller = |name: &str| lab.keystore().caller(name).unwrap();
    let denied = |seed: &str, who: &Caller| {
        let plan = Seed::parse(seed).unwrap().plan(lab.keystore()).unwrap();
        let records = lab.keystore().audit_verify().unwrap().records;
        match plan.apply(lab.keystore(), who, &mut Vec::new()) {
            Err(SeedError::Call { source, .. }) => {
                assert_eq!(source.code(), ErrorCode::AccessDenied, "{source}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(lab.keystore().audit_verify().unwrap().records, records + 1, "the denial is recorded");
    };
    let more = "policies.more = { allow = [\"*\"], resources = \"*\" }\n";
    // Nobody becomes the partner's root who may not, and the partner's people never become ours.
    denied(
        &format!("[accounts.444455556666]\nname = \"partner\"\n[accounts.444455556666.users.pat]\n{more}"),
        &caller("user/bob"),
    );
    denied(&format!("[users.bob]\n{more}"), &caller("user/bob"));
    denied(&format!("[users.bob]\n{more}"), &caller("arn:aws:iam::444455556666:user/pat"));
    denied(&format!("[users.bob]\n{more}"), &caller("arn:aws:iam::444455556666:root"));
}

#[test]
fn in_the_lab_each_may_do_what_its_comments_say_and_no_more() {
    let lab = Lab::new().unwrap();
    apply(&lab, LAB);
    let caller = |name: &str| lab.keystore().caller(name).unwrap();
    let (alice, bob, admin) = (caller("user/alice"), caller("user/bob"), lab.admin());
    let (mlops, trainer) = (caller("role/mlops"), caller("role/trainer"));
    let pat = caller("arn:aws:iam::444455556666:user/pat");

    let model = encrypt(&lab, &alice, "alias/models").unwrap();
    for (who, allowed) in
        [(&alice, true), (&bob, false), (&admin, true), (&mlops, false), (&trainer, false), (&pat, true)]
    {
        let expected = if allowed { Ok(()) } else { Err(ErrorCode::AccessDenied) };
        assert_eq!(decrypt(&lab, who, &model), expected, "{who:?}");
    }
    assert!(encrypt(&lab, &trainer, "alias/models").is_ok());
    let models = "arn:aws:kms:us-east-1:111122223333:alias/models";
    assert_eq!(encrypt(&lab, &pat, models), Err(ErrorCode::AccessDenied));

    let archived = encrypt(&lab, &alice, "alias/archive").unwrap();
    assert_eq!(decrypt(&lab, &alice, &archived), Ok(()));
    assert_eq!(decrypt(&lab, &admin, &archived), Err(ErrorCode::AccessDenied));
    assert_eq!(encrypt(&lab, &admin, "alias/retired"), Err(ErrorCode::Disabled));
}

#[test]
fn what_differs_is_updated_and_what_a_seed_does_not_say_is_left_alone() {
    let lab = Lab::new().unwrap();
    let seed = |key: &str| format!("[[keys]]\naliases = [\"alias/m\"]\n{key}");
    apply(&lab, &seed("description = \"one\"\ntags = { a = \"1\", b = \"2\" }\nrotation = 90"));
    apply(&lab, "[users.u.policies.p]\nallow = \"s3:*\"\n");
    let plan = apply(
        &lab,
        &seed("description = \"two\"\ntags = { b = \"3\" }\nrotation = false\nstate = \"disabled\""),
    );
    let expected = [
        "update     key alias/m: description",
        "update     key alias/m: take off tags",
        "update     key alias/m: tags",
        "update     key alias/m: rotate no more",
        "update     key alias/m: disable",
    ];
    assert_eq!(lines(&plan), expected);

    // Rotation of a disabled key: enabled for it, and disabled again.
    let plan = apply(&lab, &seed("rotation = 100"));
    let expected = [
        "update     key alias/m: enable",
        "update     key alias/m: rotate every 100 days",
        "update     key alias/m: disable",
    ];
    assert_eq!(lines(&plan), expected);
    assert_eq!(lines(&apply(&lab, &seed(""))), ["unchanged  key alias/m"]);

    let plan = apply(&lab, "[users.u.policies.p]\nallow = \"s3:*\"\ndeny = \"s3:PutObject\"\n");
    assert_eq!(lines(&plan), ["update     user u: policy p"]);
    let key = KeyRef::Alias("alias/m".parse().unwrap());
    let described = lab.kms().describe_key(&lab.admin(), DescribeKey { key_id: key }).unwrap();
    assert_eq!((described.description.as_str(), described.key_state), ("two", KeyState::Disabled));
}

#[test]
fn a_key_pending_deletion_comes_back_only_when_the_seed_says_its_state() {
    let lab = Lab::new().unwrap();
    let seed = "[[keys]]\naliases = [\"alias/m\"]\n";
    apply(&lab, seed);
    let key_id: KeyRef = "alias/m".parse().unwrap();
    let arn = lab.kms().describe_key(&lab.admin(), DescribeKey { key_id }).unwrap().arn;
    let schedule = ScheduleKeyDeletion { key_id: arn.into(), pending_window: None };
    lab.kms().schedule_key_deletion(&lab.admin(), schedule).unwrap();
    assert_eq!(lines(&apply(&lab, seed)), ["unchanged  key alias/m"]);
    let plan = apply(&lab, &format!("{seed}state = \"enabled\"\nrotation = 365\n"));
    assert_eq!(plan.steps().len(), 3, "{plan}");
    assert!(encrypt(&lab, &lab.admin(), "alias/m").is_ok());
}

#[test]
fn a_test_material_opens_elsewhere_and_is_never_replaced() {
    let seed = format!(
        "[[keys]]\nid = \"1234abcd-12ab-34cd-56ef-1234567890ab\"\ntest_only_material = \"{}\"\n",
        "07".repeat(32)
    );
    let lab = Lab::new().unwrap();
    apply(&lab, &seed);
    let again = apply(&lab, &seed);
    assert!(again.changes_nothing());
    assert_eq!(again.steps().first().map(Step::kind), Some(StepKind::CannotChange), "{again}");
    assert!(!format!("{:?}", Seed::parse(&seed).unwrap()).contains("0707"));
}

#[test]
fn an_alias_moves_to_the_key_that_the_seed_names() {
    let lab = Lab::new().unwrap();
    let seed = |id: &str| format!("[[keys]]\nid = \"{id}\"\naliases = [\"alias/m\"]\n");
    let (one, two) = ("1234abcd-12ab-34cd-56ef-1234567890ab", "0987dcba-09fe-87dc-65ba-ab0987654321");
    apply(&lab, &seed(one));
    assert_eq!(lines(&apply(&lab, &seed(two))), ["create     key alias/m", "update     alias alias/m"]);
    let kms = lab.kms();
    let data_keys = kms.data_keys(lab.admin());
    let _keyring = KmsKeyring::new(&data_keys, "alias/m".parse().unwrap());
    let generated =
        data_keys.generate_data_key(&"alias/m".parse().unwrap(), &EncryptionContext::new()).unwrap();
    assert_eq!(generated.key_arn.key_id().as_str(), two);
}

#[test]
fn buckets_of_others_and_refused_calls_are_told() {
    let lab = Lab::new().unwrap();
    apply(&lab, "[accounts.444455556666]\nname = \"partner\"\nbuckets = [\"theirs\"]\n");
    let plan = apply(&lab, "buckets = [\"theirs\"]\n");
    assert_eq!(lines(&plan), ["kept       bucket theirs: it belongs to the account 444455556666"]);

    let locked_out = r#"
        [[keys]]
        aliases = ["alias/m"]
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::{account}:user/nobody"}, "Action": "kms:*", "Resource": "*"}]}'
    "#;
    let plan = Seed::parse(locked_out).unwrap().plan(lab.keystore()).unwrap();
    let error = plan.apply(lab.keystore(), &lab.admin(), &mut Vec::new()).unwrap_err();
    assert!(
        error.to_string().starts_with("line 2, column 9: `create     key alias/m` failed: MalformedPolicy"),
        "{error}"
    );
    assert!(error.hints()[0].contains("user/nobody"), "{:?}", error.hints());
}

#[test]
fn errors_say_where_and_what_to_write_instead() {
    for (text, position, words) in [
        (
            "[user.alice]",
            (1, 2),
            "unknown field `user`, expected one of `accounts`, `organization`, `vpc_endpoints`",
        ),
        ("buckets = [\n  \"B\"\n]", (1, 11), "`B` is not a bucket name"),
        ("[users.a]\ntags = { \"aws:x\" = \"1\" }\n", (2, 8), "begins with `aws:`"),
        ("[[keys]]\ndescription = \"x\"\n", (1, 1), "write `aliases = [\"alias/NAME\"]`"),
        ("[[keys]]\naliases = [\"alias/aws/s3\"]\n", (1, 1), "kept for AWS's own keys"),
        ("[[keys]]\naliases = [\"alias/a\"]\nrotation = 5\n", (3, 12), "90 to 2560, or `false`"),
        ("[users.a.policies.p]\nallw = \"*\"\n", (1, 1), "write `allow`, `deny` and `resources`"),
        ("[users.a.policies]\np = '{'\n", (2, 5), ""),
        (
            "[[keys]]\naliases = [\"alias/a\"]\ntest_only_material = \"07\"\n",
            (3, 22),
            "64 hexadecimal digits",
        ),
        ("buckets = [", (1, 12), ""),
    ] {
        let error = Seed::parse(text).unwrap_err();
        let SeedError::Text { place, message } = &error else { panic!("{error}") };
        assert_eq!((place.line, place.column), position, "{text}\n{error}");
        assert!(message.contains(words), "{text}\n{error}");
    }
    let twice = "[[keys]]\naliases = [\"alias/a\"]\n[[keys]]\naliases = [\"alias/a\"]\n";
    assert!(
        matches!(Seed::parse(twice), Err(SeedError::Twice { name, place }) if name == "alias/a" && place.line == 3)
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,120}") {
        let _either_way = Seed::parse(&text);
    }

    #[test]
    fn no_piece_of_a_seed_makes_the_parser_panic(from in 0..LAB.len(), length in 0..400_usize, junk in "\\PC{0,6}") {
        let piece: String = LAB.chars().skip(from).take(length).collect();
        let _either_way = Seed::parse(&format!("{piece}{junk}"));
    }
}
