//! The life of a key, each allowed thing beside its denied twin.

mod matrix;

use crate::{
    audit::EventType,
    kms::*,
    model::{Days, EncryptionContext, ErrorCode, KeyRef, KeyState, Tags},
    services::s3::Encryption,
    testing::Lab,
};

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::from_pairs(pairs.iter().copied()).unwrap()
}

fn encrypt(lab: &Lab, caller: &Caller, key: &KeyRef, plaintext: &[u8]) -> Result<Encrypted, CallError> {
    let key_id = key.clone();
    lab.kms().encrypt(
        caller,
        Encrypt { key_id, plaintext: plaintext.into(), encryption_context: context(&[("a", "1")]) },
    )
}

fn decrypt(lab: &Lab, caller: &Caller, blob: &[u8], key: Option<&KeyRef>) -> Result<Decrypted, CallError> {
    let encryption_context = context(&[("a", "1")]);
    lab.kms()
        .decrypt(caller, Decrypt { ciphertext_blob: blob.to_vec(), key_id: key.cloned(), encryption_context })
}

fn code<T>(result: Result<T, CallError>) -> ErrorCode {
    result.err().expect("the call should have failed").code()
}

#[test]
fn what_is_encrypted_opens_with_its_key_and_context_alone() {
    let lab = Lab::new().unwrap();
    let admin = lab.admin();
    let (key, other): (KeyRef, KeyRef) = (lab.key().unwrap().into(), lab.key().unwrap().into());
    let sealed = encrypt(&lab, &admin, &key, b"plain").unwrap();
    for named in [None, Some(&key)] {
        let opened = decrypt(&lab, &admin, &sealed.ciphertext_blob, named).unwrap();
        assert_eq!(opened.plaintext.expose_secret(), b"plain");
        assert_eq!(opened.key_id, sealed.key_id);
    }
    assert_eq!(code(decrypt(&lab, &admin, &sealed.ciphertext_blob, Some(&other))), ErrorCode::IncorrectKey);
    for pairs in [&[][..], &[("a", "2")], &[("A", "1")], &[("a", "1"), ("b", "2")]] {
        let operation = Decrypt {
            ciphertext_blob: sealed.ciphertext_blob.clone(),
            key_id: None,
            encryption_context: context(pairs),
        };
        assert_eq!(code(lab.kms().decrypt(&admin, operation)), ErrorCode::InvalidCiphertext, "{pairs:?}");
    }
    assert_eq!(code(decrypt(&lab, &admin, b"nonsense", None)), ErrorCode::InvalidCiphertext);
}

#[test]
fn lengths_are_those_of_aws() {
    let lab = Lab::new().unwrap();
    let key: KeyRef = lab.key().unwrap().into();
    assert!(encrypt(&lab, &lab.admin(), &key, &[0; PLAINTEXT_BYTES_MAX]).is_ok());
    for length in [0, PLAINTEXT_BYTES_MAX + 1] {
        assert_eq!(code(encrypt(&lab, &lab.admin(), &key, &vec![0; length])), ErrorCode::Validation);
    }
    assert_eq!(
        code(decrypt(&lab, &lab.admin(), &[0; CIPHERTEXT_BYTES_MAX + 1], None)),
        ErrorCode::Validation
    );
    let generate = |length| {
        let operation =
            GenerateDataKey { key_id: key.clone(), length, encryption_context: EncryptionContext::new() };
        lab.kms().generate_data_key(&lab.admin(), operation)
    };
    for (length, bytes) in
        [(DataKeyLength::Aes128, 16), (DataKeyLength::Aes256, 32), (DataKeyLength::Bytes(1024), 1024)]
    {
        assert_eq!(generate(length).unwrap().plaintext.len(), bytes);
    }
    for bytes in [0, 1025] {
        assert_eq!(code(generate(DataKeyLength::Bytes(bytes))), ErrorCode::Validation);
    }
}

#[test]
fn who_has_no_permission_neither_encrypts_nor_decrypts_nor_learns_of_a_missing_key() {
    let lab = Lab::new().unwrap();
    let key: KeyRef = lab.key().unwrap().into();
    let sealed = encrypt(&lab, &lab.admin(), &key, b"plain").unwrap();
    let alice = lab.user("alice", &["kms:Encrypt", "kms:Decrypt"]).unwrap();
    let bob = lab.user("bob", &["s3:*"]).unwrap();
    assert!(encrypt(&lab, &alice, &key, b"x").is_ok());
    assert!(decrypt(&lab, &alice, &sealed.ciphertext_blob, None).is_ok());
    assert_eq!(code(encrypt(&lab, &bob, &key, b"x")), ErrorCode::AccessDenied);
    let denied = decrypt(&lab, &bob, &sealed.ciphertext_blob, None).unwrap_err();
    assert_eq!(denied.code(), ErrorCode::AccessDenied);
    assert!(
        denied.message().ends_with("because no identity-based policy allows the kms:Decrypt action"),
        "{denied}"
    );
    let missing: KeyRef = "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    assert_eq!(code(encrypt(&lab, &alice, &missing, b"x")), ErrorCode::NotFound);
    let elsewhere: KeyRef =
        "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    assert_eq!(code(encrypt(&lab, &alice, &elsewhere, b"x")), ErrorCode::AccessDenied);
}

#[test]
fn an_explicit_deny_in_the_key_policy_stops_a_decrypt_that_names_no_key() {
    let lab = Lab::new().unwrap();
    let alice = lab.user("alice", &["kms:*"]).unwrap();
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}, "Action": "kms:Decrypt", "Resource": "*"}
    ]}"#;
    let key: KeyRef =
        lab.kms().create_key(&lab.admin(), CreateKey::default().policy(policy)).unwrap().arn.into();
    let sealed = encrypt(&lab, &alice, &key, b"plain").unwrap();
    let denied = decrypt(&lab, &alice, &sealed.ciphertext_blob, None).unwrap_err();
    assert!(denied.message().ends_with("with an explicit deny in a resource-based policy"), "{denied}");
    assert!(decrypt(&lab, &lab.admin(), &sealed.ciphertext_blob, None).is_ok());
}

#[test]
fn a_disabled_key_does_nothing_until_it_is_enabled() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let key: KeyRef = lab.key().unwrap().into();
    let sealed = encrypt(&lab, &admin, &key, b"plain").unwrap().ciphertext_blob;
    kms.disable_key(&admin, DisableKey { key_id: key.clone() }).unwrap();
    assert_eq!(
        kms.describe_key(&admin, DescribeKey { key_id: key.clone() }).unwrap().key_state,
        KeyState::Disabled
    );
    assert_eq!(code(encrypt(&lab, &admin, &key, b"x")), ErrorCode::Disabled);
    assert_eq!(code(decrypt(&lab, &admin, &sealed, None)), ErrorCode::Disabled);
    assert_eq!(
        code(kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: key.clone() })),
        ErrorCode::Disabled
    );
    let rotation = EnableKeyRotation { key_id: key.clone(), rotation_period: None };
    assert_eq!(code(kms.enable_key_rotation(&admin, rotation)), ErrorCode::Disabled);
    kms.enable_key(&admin, EnableKey { key_id: key.clone() }).unwrap();
    assert!(decrypt(&lab, &admin, &sealed, None).is_ok());
}

#[test]
fn old_materials_open_old_ciphertexts_and_new_ones_use_the_newest() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let key: KeyRef = lab.key().unwrap().into();
    let older = encrypt(&lab, &admin, &key, b"older").unwrap().ciphertext_blob;
    kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: key.clone() }).unwrap();
    let newer = encrypt(&lab, &admin, &key, b"newer").unwrap().ciphertext_blob;
    let (older, newer) =
        (decrypt(&lab, &admin, &older, None).unwrap(), decrypt(&lab, &admin, &newer, None).unwrap());
    assert_eq!(
        (older.plaintext.expose_secret(), newer.plaintext.expose_secret()),
        (&b"older"[..], &b"newer"[..])
    );
    let metadata = kms.describe_key(&admin, DescribeKey { key_id: key.clone() }).unwrap();
    assert_eq!(metadata.current_key_material_id, Some(newer.key_material_id));
    assert_ne!(older.key_material_id, newer.key_material_id);

    let list = ListKeyRotations { key_id: key.clone(), include_all_key_material: true };
    let states: Vec<_> = kms
        .list_key_rotations(&admin, list)
        .unwrap()
        .iter()
        .map(|rotation| rotation.key_material_state)
        .collect();
    assert_eq!(states, ["NON_CURRENT", "CURRENT"]);
    for _ in 1..ON_DEMAND_ROTATIONS_MAX {
        kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: key.clone() }).unwrap();
    }
    assert_eq!(
        code(kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: key })),
        ErrorCode::LimitExceeded
    );
}

#[test]
fn automatic_rotation_falls_due_by_the_clock_and_leaves_a_service_event() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let key: KeyRef = lab.key().unwrap().into();
    for days in [89, 2561] {
        let operation = EnableKeyRotation { key_id: key.clone(), rotation_period: Some(Days::new(days)) };
        assert_eq!(code(kms.enable_key_rotation(&admin, operation)), ErrorCode::Validation, "{days}");
    }
    let operation = EnableKeyRotation { key_id: key.clone(), rotation_period: Some(Days::new(90)) };
    kms.enable_key_rotation(&admin, operation).unwrap();
    let rotations = || {
        let list = ListKeyRotations { key_id: key.clone(), include_all_key_material: false };
        kms.list_key_rotations(&admin, list).unwrap().len()
    };
    lab.advance(89);
    assert_eq!(rotations(), 0);
    lab.advance(1);
    assert_eq!(rotations(), 1);
    lab.advance(180);
    assert_eq!(rotations(), 3);
    let events = lab.keystore().audit_tail(&admin, 100).unwrap();
    let rotated: Vec<_> = events.iter().filter(|event| event.event_name == "RotateKey").collect();
    assert_eq!(rotated.len(), 3);
    assert!(
        rotated
            .iter()
            .all(|event| event.event_type == EventType::AwsServiceEvent && event.request_id.is_none())
    );
    // While the key is disabled nothing rotates; what fell due happens once when it is enabled.
    kms.disable_key(&admin, DisableKey { key_id: key.clone() }).unwrap();
    lab.advance(400);
    assert_eq!(rotations(), 3);
    kms.enable_key(&admin, EnableKey { key_id: key.clone() }).unwrap();
    assert_eq!(rotations(), 4);
    lab.advance(89);
    assert_eq!(rotations(), 4);
    kms.disable_key_rotation(&admin, DisableKeyRotation { key_id: key.clone() }).unwrap();
    lab.advance(400);
    assert_eq!(rotations(), 4);
}

#[test]
fn deletion_waits_for_its_window_and_then_nothing_is_left() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let arn = lab.key().unwrap();
    let key: KeyRef = arn.clone().into();
    kms.create_alias(
        &admin,
        CreateAlias { alias_name: "alias/m".parse().unwrap(), target_key_id: key.clone() },
    )
    .unwrap();
    let sealed = encrypt(&lab, &admin, &key, b"plain").unwrap().ciphertext_blob;
    let schedule = |days| {
        let pending_window = Some(Days::new(days));
        kms.schedule_key_deletion(&admin, ScheduleKeyDeletion { key_id: key.clone(), pending_window })
    };
    for days in [6, 31] {
        assert_eq!(code(schedule(days)), ErrorCode::Validation);
    }
    assert_eq!(
        code(kms.cancel_key_deletion(&admin, CancelKeyDeletion { key_id: key.clone() })),
        ErrorCode::KmsInvalidState
    );
    schedule(7).unwrap();
    assert_eq!(code(schedule(7)), ErrorCode::KmsInvalidState);
    assert_eq!(code(decrypt(&lab, &admin, &sealed, None)), ErrorCode::KmsInvalidState);
    assert_eq!(code(kms.enable_key(&admin, EnableKey { key_id: key.clone() })), ErrorCode::KmsInvalidState);
    kms.cancel_key_deletion(&admin, CancelKeyDeletion { key_id: key.clone() }).unwrap();
    assert_eq!(
        kms.describe_key(&admin, DescribeKey { key_id: key.clone() }).unwrap().key_state,
        KeyState::Disabled
    );
    lab.advance(30);
    kms.enable_key(&admin, EnableKey { key_id: key.clone() }).unwrap();
    assert!(decrypt(&lab, &admin, &sealed, None).is_ok());

    schedule(7).unwrap();
    lab.advance(6);
    assert!(kms.describe_key(&admin, DescribeKey { key_id: key.clone() }).is_ok());
    lab.advance(1);
    assert_eq!(code(kms.describe_key(&admin, DescribeKey { key_id: key.clone() })), ErrorCode::NotFound);
    assert_eq!(code(decrypt(&lab, &admin, &sealed, None)), ErrorCode::AccessDenied);
    let world = lab.keystore().world().unwrap();
    assert!(world.key(&arn).is_none() && world.aliases().all(|alias| alias.target != arn));
    let events = lab.keystore().audit_tail(&admin, 10).unwrap();
    let deleted = events.iter().find(|event| event.event_name == "DeleteKey").unwrap();
    assert!(deleted.service_event_details.as_ref().unwrap().contains_key("erasedKeyMaterialIds"));
}

#[test]
fn aliases_name_keys_and_never_what_is_reserved_or_taken() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let (one, two): (KeyRef, KeyRef) = (lab.key().unwrap().into(), lab.key().unwrap().into());
    let create = |name: &str, target: &KeyRef| {
        kms.create_alias(
            &admin,
            CreateAlias { alias_name: name.parse().unwrap(), target_key_id: target.clone() },
        )
    };
    create("alias/models", &one).unwrap();
    assert_eq!(code(create("alias/models", &two)), ErrorCode::AlreadyExists);
    assert_eq!(code(create("alias/aws/mine", &one)), ErrorCode::InvalidAliasName);
    assert_eq!(code(create("alias/second", &"alias/models".parse().unwrap())), ErrorCode::Validation);
    let by_alias: KeyRef = "alias/models".parse().unwrap();
    let described = |key: &KeyRef| kms.describe_key(&admin, DescribeKey { key_id: key.clone() }).unwrap().arn;
    assert_eq!(KeyRef::from(described(&by_alias)), one);
    let update = UpdateAlias { alias_name: "alias/models".parse().unwrap(), target_key_id: two.clone() };
    kms.call(&admin, &update).unwrap();
    assert_eq!(KeyRef::from(described(&by_alias)), two);
    kms.delete_alias(&admin, DeleteAlias { alias_name: "alias/models".parse().unwrap() }).unwrap();
    assert_eq!(code(kms.describe_key(&admin, DescribeKey { key_id: by_alias })), ErrorCode::NotFound);
}

#[test]
fn a_key_policy_that_locks_its_writer_out_or_names_nobody_is_refused() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let key: KeyRef = lab.key().unwrap().into();
    let put = |policy: &str, bypass| {
        kms.put_key_policy(
            &admin,
            PutKeyPolicy {
                key_id: key.clone(),
                policy: policy.into(),
                bypass_policy_lockout_safety_check: bypass,
            },
        )
    };
    let for_alice = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":"kms:*","Resource":"*"}]}"#;
    let nobody = put(for_alice, false).unwrap_err();
    assert!(nobody.message().contains("invalid principals"), "{nobody}");
    lab.user("alice", &[]).unwrap();
    let locked_out = put(for_alice, false).unwrap_err();
    assert!(locked_out.message().contains("will not allow you to update the key policy"), "{locked_out}");
    assert_eq!(code(put("{", false)), ErrorCode::MalformedPolicyDocument);
    put(for_alice, true).unwrap();
    // AdministratorAccess does nothing once the key policy does not delegate.
    assert_eq!(
        code(kms.get_key_policy(&admin, GetKeyPolicy { key_id: key.clone() })),
        ErrorCode::AccessDenied
    );
    let alice = lab.keystore().caller("user/alice").unwrap();
    assert!(kms.get_key_policy(&alice, GetKeyPolicy { key_id: key.clone() }).is_ok());
}

#[test]
fn the_root_user_needs_the_key_policy_too() {
    let lab = Lab::new().unwrap();
    let root = lab.keystore().caller("root").unwrap();
    let key: KeyRef = lab.key().unwrap().into();
    assert!(lab.kms().describe_key(&root, DescribeKey { key_id: key.clone() }).is_ok());
    let admins_only = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Principal":{"AWS":"arn:aws:iam::111122223333:user/admin"},"Action":"kms:*","Resource":"*"}]}"#;
    let operation = PutKeyPolicy {
        key_id: key.clone(),
        policy: admins_only.into(),
        bypass_policy_lockout_safety_check: false,
    };
    lab.kms().put_key_policy(&lab.admin(), operation).unwrap();
    assert_eq!(code(lab.kms().describe_key(&root, DescribeKey { key_id: key })), ErrorCode::AccessDenied);
}

#[test]
fn the_three_tiers_are_used_as_their_table_says() {
    let lab = Lab::new().unwrap();
    let (kms, admin) = (lab.kms(), lab.admin());
    let alice = lab.user("alice", &["s3:*", "kms:*"]).unwrap();
    let bob = lab.user("bob", &["s3:*"]).unwrap();
    lab.put(&alice, "models", "owned", Encryption::Aes256, b"1").unwrap();
    assert!(
        kms.list_keys(&admin, ListKeys::default()).unwrap().is_empty(),
        "AWS owned keys are listed nowhere"
    );
    let quiet = lab.keystore().audit_tail(&admin, 100).unwrap();
    let uses_a_key = ["CreateKey", "GenerateDataKey", "Encrypt", "Decrypt"];
    assert!(quiet.iter().all(|event| !uses_a_key.contains(&&*event.event_name)), "{quiet:#?}");

    lab.put(&alice, "models", "managed", Encryption::AwsManagedKey, b"2").unwrap();
    let listed = kms.list_keys(&admin, ListKeys::default()).unwrap();
    let managed: KeyRef = listed.first().unwrap().key_arn.clone().into();
    assert_eq!(listed.len(), 1);
    assert_eq!(code(encrypt(&lab, &alice, &managed, b"x")), ErrorCode::AccessDenied);
    for refused in [
        code(kms.disable_key(&admin, DisableKey { key_id: managed.clone() })),
        code(kms.schedule_key_deletion(
            &admin,
            ScheduleKeyDeletion { key_id: managed.clone(), pending_window: None },
        )),
        code(kms.call(&admin, &TagResource { key_id: managed.clone(), tags: Tags::new() })),
    ] {
        assert_eq!(refused, ErrorCode::AccessDenied);
    }
    assert!(kms.get_key_policy(&admin, GetKeyPolicy { key_id: managed.clone() }).is_ok());
    let status = kms.get_key_rotation_status(&admin, GetKeyRotationStatus { key_id: managed }).unwrap();
    assert_eq!(status.rotation_period_in_days, Some(Days::new(365)));

    lab.put_under_new_key(&alice, "models", "mine", b"3").unwrap();
    for (object, bytes) in [("owned", b"1"), ("managed", b"2"), ("mine", b"3")] {
        assert_eq!(lab.get(&alice, "models", object).unwrap(), bytes);
    }
    // With the bucket's permission and no key's: AWS managed keys let everybody of the account in through the service.
    assert!(lab.get(&bob, "models", "owned").is_ok());
    assert!(lab.get(&bob, "models", "managed").is_ok());
    let denied = lab.get(&bob, "models", "mine").unwrap_err().to_string();
    assert!(denied.contains("not authorized to perform: kms:Decrypt"), "{denied}");
}

#[test]
fn every_call_leaves_one_record_allowed_or_denied() {
    let lab = Lab::new().unwrap();
    let key: KeyRef = lab.key().unwrap().into();
    let bob = lab.user("bob", &[]).unwrap();
    let before = lab.keystore().audit_verify().unwrap().records;
    encrypt(&lab, &lab.admin(), &key, b"very secret").unwrap();
    encrypt(&lab, &bob, &key, b"very secret").unwrap_err();
    assert_eq!(lab.keystore().audit_verify().unwrap().records, before + 2);
    let events = lab.keystore().audit_tail(&lab.admin(), 2).unwrap();
    let [allowed, denied] = events.as_slice() else { panic!("two events") };
    assert_eq!((&*allowed.event_name, allowed.error_code.as_deref()), ("Encrypt", None));
    assert_eq!((&*denied.event_name, denied.error_code.as_deref()), ("Encrypt", Some("AccessDenied")));
    assert_eq!(denied.user_identity.user_name.as_deref(), Some("bob"));
    let text =
        format!("{}{}", serde_json::to_string(allowed).unwrap(), serde_json::to_string(denied).unwrap());
    assert!(text.contains(r#""encryptionContext":{"a":"1"}"#) && !text.contains("secret"), "{text}");
}

#[test]
fn a_caller_that_does_not_exist_is_nobody() {
    let lab = Lab::new().unwrap();
    assert_eq!(code(lab.keystore().caller("user/mallory")), ErrorCode::InvalidClientTokenId);
    let mallory = Caller::parse("user/mallory", &"111122223333".parse().unwrap()).unwrap();
    assert_eq!(code(lab.kms().list_keys(&mallory, ListKeys::default())), ErrorCode::InvalidClientTokenId);
}

#[test]
fn a_denial_says_which_condition_or_which_statement_it_was() {
    let lab = Lab::new().unwrap();
    lab.user("alice", &[]).unwrap();
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
        {"Sid": "Tour", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}, "Action": "kms:Encrypt",
         "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:a": "2"}}},
        {"Sid": "NoOne", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"},
        {"Sid": "NobodyElse", "Effect": "Deny", "Principal": "*", "Action": "kms:DescribeKey", "Resource": "*",
         "Condition": {"StringNotEquals": {"aws:username": "alice"}}}
    ]}"#;
    let key: KeyRef =
        lab.kms().create_key(&lab.admin(), CreateKey::default().policy(policy)).unwrap().arn.into();
    let alice = lab.keystore().caller("user/alice").unwrap();
    let denied = encrypt(&lab, &alice, &key, b"x").unwrap_err();
    assert_eq!(
        denied.explanation(),
        Some(
            "the statement `Tour` of the key policy would allow it, but `kms:EncryptionContext:a` is `1` and StringEquals \
             wants it to be `2`"
        )
    );
    let sealed = encrypt(&lab, &lab.admin(), &key, b"x").unwrap();
    let denied = decrypt(&lab, &lab.admin(), &sealed.ciphertext_blob, None).unwrap_err();
    let expected = "the statement `NoOne` of the key policy denies it, and no Allow outweighs that";
    assert_eq!(denied.explanation(), Some(expected));
    let denied = lab.kms().describe_key(&lab.admin(), DescribeKey { key_id: key }).unwrap_err();
    let expected = "the statement `NobodyElse` of the key policy denies it, and no Allow outweighs that: StringNotEquals \
                    wants `aws:username` not to be `alice`, and it is `admin`";
    assert_eq!(denied.explanation(), Some(expected));
}

#[test]
fn the_lockout_check_sees_the_condition_keys_that_a_real_call_has() {
    let lab = Lab::new().unwrap();
    let with = |effect: &str, name: &str, spec: &str| {
        let statement = format!(
            r#"{{"Effect": "{effect}", "Principal": {{"AWS": "arn:aws:iam::111122223333:root"}}, "Action": "kms:PutKeyPolicy",
                "Resource": "*", "Condition": {{"StringEquals": {{"kms:{name}": "{spec}"}}}}}}"#
        );
        let all = r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}"#;
        let first = if effect == "Deny" { format!("{all},") } else { String::new() };
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{first}{statement}]}}"#);
        lab.kms().create_key(&lab.admin(), CreateKey::default().policy(policy)).map(|_| ())
    };
    for (name, is, is_not) in [
        ("KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
        ("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
        ("CustomerMasterKeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    ] {
        assert_eq!(code(with("Deny", name, is)), ErrorCode::MalformedPolicyDocument);
        assert!(with("Deny", name, is_not).is_ok());
        assert!(with("Allow", name, is).is_ok());
        assert_eq!(code(with("Allow", name, is_not)), ErrorCode::MalformedPolicyDocument);
    }
}

#[test]
fn a_request_too_long_to_be_logged_is_refused_and_the_keystore_goes_on() {
    let lab = Lab::new().unwrap();
    let key: KeyRef = lab.key().unwrap().into();
    let bob = lab.user("bob", &[]).unwrap();
    for caller in [&lab.admin(), &bob] {
        let tag_keys = vec!["x".repeat(1 << 20), "y".into()];
        let refused = lab.kms().call(caller, &UntagResource { key_id: key.clone(), tag_keys });
        assert_eq!(code(refused), ErrorCode::Validation);
    }
    let events = lab.keystore().audit_tail(&lab.admin(), 2).unwrap();
    assert!(events.iter().all(|event| event.event_name == "UntagResource" && event.error_code.is_some()));
    assert!(encrypt(&lab, &lab.admin(), &key, b"x").is_ok());
}

#[test]
fn an_object_may_have_a_space_in_its_name() {
    let lab = Lab::new().unwrap();
    lab.put(&lab.admin(), "models", "my model.bin", Encryption::Aes256, b"weights").unwrap();
    assert_eq!(lab.get(&lab.admin(), "models", "my model.bin").unwrap(), b"weights");
}
