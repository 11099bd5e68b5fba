//! The life of a grant, each allowed thing beside its denied twin.

use crate::{
    kms::*,
    model::{AccountId, EncryptionContext, ErrorCode, GrantId, GrantToken, KeyArn, KeyRef, PrincipalArn},
    policy::{GrantConstraint, GrantOperation},
    testing::Lab,
};
use GrantOperation::{
    CreateGrant as MakeGrants, Decrypt as Opening, DescribeKey as Describing, Encrypt as Sealing,
};

fn code<T>(result: Result<T, CallError>) -> ErrorCode {
    result.err().expect("the call should have failed").code()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::from_pairs(pairs.iter().copied()).unwrap()
}

fn arn(caller: &Caller) -> PrincipalArn {
    caller.arn().unwrap().clone()
}

fn encrypt_with(
    lab: &Lab,
    caller: &Caller,
    key: &KeyArn,
    pairs: &[(&str, &str)],
) -> Result<Vec<u8>, CallError> {
    let operation = Encrypt {
        key_id: key.clone().into(),
        plaintext: b"plain".as_slice().into(),
        encryption_context: context(pairs),
    };
    lab.kms().encrypt(caller, operation).map(|encrypted| encrypted.ciphertext_blob)
}

fn decrypt(lab: &Lab, caller: &Caller, blob: &[u8]) -> Result<Decrypted, CallError> {
    let ciphertext_blob = blob.to_vec();
    lab.kms().decrypt(caller, Decrypt { ciphertext_blob, key_id: None, encryption_context: context(&[]) })
}

fn grant(lab: &Lab, key: &KeyArn, to: &Caller, operations: &[GrantOperation]) -> CreatedGrant {
    let operation = CreateGrant::new(key.clone(), arn(to), operations.iter().copied());
    lab.kms().create_grant(&lab.admin(), operation).unwrap()
}

fn revoke(lab: &Lab, caller: &Caller, key: &KeyArn, grant_id: &GrantId) -> Result<(), CallError> {
    lab.kms().revoke_grant(caller, RevokeGrant { key_id: key.clone().into(), grant_id: grant_id.clone() })
}

fn retire(lab: &Lab, caller: &Caller, key: &KeyArn, grant_id: &GrantId) -> Result<(), CallError> {
    let grant = WhichGrant::Id { key_id: key.clone().into(), grant_id: grant_id.clone() };
    lab.kms().retire_grant(caller, RetireGrant { grant })
}

fn list(lab: &Lab, key: &KeyArn) -> Vec<GrantListEntry> {
    lab.kms().list_grants(&lab.admin(), ListGrants::new(key.clone())).unwrap().grants
}

/// A policy by which nobody but the administrator may do anything, and nothing is left to identity policies.
const ADMIN_ALONE: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
    "Principal": {"AWS": "arn:aws:iam::111122223333:user/admin"}, "Action": "kms:*"}]}"#;

fn closed_key(lab: &Lab) -> KeyArn {
    lab.kms().create_key(&lab.admin(), CreateKey::default().policy(ADMIN_ALONE)).unwrap().arn
}

#[test]
fn a_grant_lets_in_for_its_operations_and_its_grantee_alone_until_it_is_revoked() {
    let lab = Lab::new().unwrap();
    let (alice, bob) = (lab.user("alice", &[]).unwrap(), lab.user("bob", &["kms:*"]).unwrap());
    let key = closed_key(&lab);
    let sealed = encrypt_with(&lab, &lab.admin(), &key, &[]).unwrap();
    assert_eq!(code(decrypt(&lab, &alice, &sealed)), ErrorCode::AccessDenied);
    let made = grant(&lab, &key, &alice, &[Opening]);
    assert!(decrypt(&lab, &alice, &sealed).is_ok());
    assert_eq!(code(encrypt_with(&lab, &alice, &key, &[])), ErrorCode::AccessDenied);
    assert_eq!(code(decrypt(&lab, &bob, &sealed)), ErrorCode::AccessDenied);
    assert_eq!(code(revoke(&lab, &alice, &key, &made.grant_id)), ErrorCode::AccessDenied);
    revoke(&lab, &lab.admin(), &key, &made.grant_id).unwrap();
    assert_eq!(code(decrypt(&lab, &alice, &sealed)), ErrorCode::AccessDenied);
    assert_eq!(code(revoke(&lab, &lab.admin(), &key, &made.grant_id)), ErrorCode::NotFound);
}

#[test]
fn a_deny_beats_a_grant() {
    let lab = Lab::new().unwrap();
    let deny = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]}"#;
    let (alice, key) = (lab.user_with_policy("alice", deny).unwrap(), closed_key(&lab));
    let sealed = encrypt_with(&lab, &lab.admin(), &key, &[]).unwrap();
    grant(&lab, &key, &alice, &[Opening, Sealing]);
    assert!(encrypt_with(&lab, &alice, &key, &[]).is_ok());
    let denied = decrypt(&lab, &alice, &sealed).unwrap_err();
    assert!(denied.message().ends_with("with an explicit deny in an identity-based policy"), "{denied}");
}

#[test]
fn a_constraint_holds_for_cryptography_and_not_for_describing() {
    let lab = Lab::new().unwrap();
    let (alice, key) = (lab.user("alice", &[]).unwrap(), closed_key(&lab));
    let mut create = CreateGrant::new(key.clone(), arn(&alice), [Sealing, Describing]);
    create.constraint = Some(GrantConstraint::EncryptionContextSubset(context(&[("App", "chat")])));
    lab.kms().create_grant(&lab.admin(), create.clone()).unwrap();
    assert!(encrypt_with(&lab, &alice, &key, &[("app", "chat"), ("more", "x")]).is_ok());
    for pairs in [&[][..], &[("app", "Chat")], &[("other", "chat")]] {
        assert_eq!(code(encrypt_with(&lab, &alice, &key, pairs)), ErrorCode::AccessDenied, "{pairs:?}");
    }
    let describe = DescribeKey { key_id: key.clone().into() };
    assert!(lab.kms().describe_key(&alice, describe).is_ok());

    let pairs: Vec<_> = (0..=CONSTRAINT_PAIRS_MAX).map(|n| (format!("k{n}"), "v".to_owned())).collect();
    let long = EncryptionContext::from_pairs([("k", "v".repeat(CONSTRAINT_VALUE_CHARS_MAX + 1))]).unwrap();
    for wrong in [EncryptionContext::from_pairs(pairs).unwrap(), long] {
        create.constraint = Some(GrantConstraint::EncryptionContextEquals(wrong));
        assert_eq!(code(lab.kms().create_grant(&lab.admin(), create.clone())), ErrorCode::Validation);
    }
}

#[test]
fn the_same_request_with_a_name_answers_the_same_grant_with_a_fresh_token() {
    let lab = Lab::new().unwrap();
    let (alice, bob, key) =
        (lab.user("alice", &[]).unwrap(), lab.user("bob", &[]).unwrap(), closed_key(&lab));
    let mut create = CreateGrant::new(key.clone(), arn(&alice), [Opening]);
    let make = |create: &CreateGrant| lab.kms().create_grant(&lab.admin(), create.clone()).unwrap();
    let (one, two) = (make(&create), make(&create));
    assert_ne!(one.grant_id, two.grant_id, "without a name each request makes a grant");
    create.name = Some("train".parse().unwrap());
    let (first, second) = (make(&create), make(&create));
    assert_eq!(first.grant_id, second.grant_id);
    assert_ne!(first.grant_token, second.grant_token);
    for changed in [
        CreateGrant { operations: [Opening, Sealing].into_iter().collect(), ..create.clone() },
        CreateGrant { grantee_principal: arn(&bob), ..create.clone() },
        CreateGrant { retiring_principal: Some(arn(&bob)), ..create.clone() },
        CreateGrant {
            constraint: Some(GrantConstraint::EncryptionContextSubset(context(&[("a", "1")]))),
            ..create
        },
    ] {
        assert_ne!(make(&changed).grant_id, first.grant_id, "{changed:?}");
    }
    // Both tokens are the grant's.
    for token in [first.grant_token, second.grant_token] {
        let options = CallOptions { grant_tokens: vec![token], dry_run: false };
        let describe = DescribeKey { key_id: key.clone().into() };
        assert!(lab.kms().call_with(&lab.admin(), &describe, &options).is_ok());
    }
}

#[test]
fn a_token_is_dead_with_its_grant_and_no_token_opens_anything_by_itself() {
    let lab = Lab::new().unwrap();
    let (alice, bob, key) =
        (lab.user("alice", &[]).unwrap(), lab.user("bob", &[]).unwrap(), closed_key(&lab));
    let made = grant(&lab, &key, &alice, &[Describing]);
    let with = |caller: &Caller, tokens: &[&GrantToken]| {
        let options =
            CallOptions { grant_tokens: tokens.iter().map(|t| (*t).clone()).collect(), dry_run: false };
        lab.kms().call_with(caller, &DescribeKey { key_id: key.clone().into() }, &options)
    };
    let token = &made.grant_token;
    assert!(with(&alice, &[token]).is_ok());
    assert_eq!(code(with(&bob, &[token])), ErrorCode::AccessDenied);
    let unknown = "nonsense".parse().unwrap();
    assert_eq!(code(with(&alice, &[token, &unknown])), ErrorCode::InvalidGrantToken);
    assert_eq!(code(with(&alice, &[token; GRANT_TOKENS_MAX + 1])), ErrorCode::Validation);
    let options = CallOptions { grant_tokens: vec![token.clone()], dry_run: false };
    let policy = GetKeyPolicy { key_id: key.clone().into() };
    assert_eq!(code(lab.kms().call_with(&lab.admin(), &policy, &options)), ErrorCode::Validation);

    let retire = RetireGrant { grant: WhichGrant::Token(token.clone()) };
    assert_eq!(code(lab.kms().retire_grant(&bob, retire.clone())), ErrorCode::AccessDenied);
    lab.kms().retire_grant(&lab.admin(), retire.clone()).unwrap();
    assert_eq!(code(with(&alice, &[token])), ErrorCode::InvalidGrantToken);
    assert_eq!(code(lab.kms().retire_grant(&lab.admin(), retire)), ErrorCode::InvalidGrantToken);
}

#[test]
fn the_retiring_principal_the_grantee_who_may_and_the_creating_account_retire() {
    let lab = Lab::new().unwrap();
    // An Allow of kms:RetireGrant in the key policy has no effect.
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::111122223333:user/admin"}, "Action": "kms:*"},
        {"Effect": "Allow", "Resource": "*", "Principal": "*", "Action": "kms:RetireGrant"}]}"#;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| lab.user(name, &[]).unwrap());
    let key = lab.kms().create_key(&lab.admin(), CreateKey::default().policy(policy)).unwrap().arn;
    let make = |operations: &[GrantOperation]| {
        let mut create = CreateGrant::new(key.clone(), arn(&alice), operations.iter().copied());
        create.retiring_principal = Some(arn(&bob));
        lab.kms().create_grant(&lab.admin(), create).unwrap().grant_id
    };
    let (plain, retirable) = (make(&[Opening]), make(&[Opening, GrantOperation::RetireGrant]));
    assert_eq!(code(retire(&lab, &carol, &key, &plain)), ErrorCode::AccessDenied);
    assert_eq!(code(retire(&lab, &alice, &key, &plain)), ErrorCode::AccessDenied);
    retire(&lab, &alice, &key, &retirable).unwrap();
    retire(&lab, &bob, &key, &plain).unwrap();
    assert_eq!(code(retire(&lab, &bob, &key, &plain)), ErrorCode::NotFound);
    // Of the creating account, whoever its identity policies let.
    let dave = lab.user("dave", &["kms:RetireGrant"]).unwrap();
    retire(&lab, &dave, &key, &make(&[Opening])).unwrap();
    assert!(list(&lab, &key).is_empty());
}

#[test]
fn a_grant_made_by_grant_is_no_wider_than_that_one() {
    let lab = Lab::new().unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| lab.user(name, &[]).unwrap());
    let key = closed_key(&lab);
    let mut parent = CreateGrant::new(key.clone(), arn(&alice), [Opening, MakeGrants]);
    let subset = |pairs| Some(GrantConstraint::EncryptionContextSubset(context(pairs)));
    parent.constraint = subset(&[("team", "ml")]);
    lab.kms().create_grant(&lab.admin(), parent).unwrap();
    let child = |operations: &[GrantOperation], constraint| {
        let mut create = CreateGrant::new(key.clone(), arn(&bob), operations.iter().copied());
        create.constraint = constraint;
        lab.kms().create_grant(&alice, create)
    };
    assert!(child(&[Opening], subset(&[("team", "ml"), ("run", "7")])).is_ok());
    assert_eq!(code(child(&[Opening], None)), ErrorCode::AccessDenied);
    assert_eq!(code(child(&[Opening], subset(&[("run", "7")]))), ErrorCode::AccessDenied);
    assert_eq!(code(child(&[Opening, Sealing], subset(&[("team", "ml")]))), ErrorCode::AccessDenied);
}

#[test]
fn condition_keys_of_grants_limit_who_may_make_which() {
    let lab = Lab::new().unwrap();
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["kms:CreateGrant", "kms:ListGrants"],
        "Resource": "*", "Condition": {
            "ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "DescribeKey"]},
            "StringEqualsIfExists": {"kms:GranteePrincipal": "arn:aws:iam::111122223333:user/bob",
                                     "kms:GrantConstraintType": "EncryptionContextSubset",
                                     "kms:RetiringPrincipal": "arn:aws:iam::111122223333:user/bob",
                                     "kms:EncryptionContext:team": "ml"},
            "Bool": {"kms:GrantIsForAWSResource": "false"}}}]}"#;
    let (alice, bob) = (lab.user_with_policy("alice", policy).unwrap(), lab.user("bob", &[]).unwrap());
    let key = lab.key().unwrap();
    let allowed = CreateGrant {
        retiring_principal: Some(arn(&bob)),
        constraint: Some(GrantConstraint::EncryptionContextSubset(context(&[("team", "ml")]))),
        ..CreateGrant::new(key.clone(), arn(&bob), [Opening])
    };
    let make = |create: CreateGrant| lab.kms().create_grant(&alice, create);
    make(allowed.clone()).unwrap();
    assert!(lab.kms().list_grants(&alice, ListGrants::new(key.clone())).is_ok());
    let equals = Some(GrantConstraint::EncryptionContextEquals(context(&[("team", "ml")])));
    let other = Some(GrantConstraint::EncryptionContextSubset(context(&[("team", "ops")])));
    for denied in [
        CreateGrant { operations: [Opening, Sealing].into_iter().collect(), ..allowed.clone() },
        CreateGrant { grantee_principal: arn(&alice), ..allowed.clone() },
        CreateGrant { retiring_principal: Some(arn(&alice)), ..allowed.clone() },
        CreateGrant { constraint: equals, ..allowed.clone() },
        CreateGrant { constraint: other, ..allowed.clone() },
    ] {
        assert_eq!(code(make(denied.clone())), ErrorCode::AccessDenied, "{denied:?}");
    }
    let for_services = policy.replace("\"false\"", "\"true\"");
    let carol = lab.user_with_policy("carol", &for_services).unwrap();
    assert_eq!(code(lab.kms().create_grant(&carol, allowed.clone())), ErrorCode::AccessDenied);
    let revoker = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": "*",
        "Condition": {"Bool": {"kms:GrantIsForAWSResource": true}}}]}"#;
    let dave = lab.user_with_policy("dave", revoker).unwrap();
    assert_eq!(code(lab.kms().create_grant(&dave, allowed.clone())), ErrorCode::AccessDenied);
    assert!(lab.kms().create_grant(&dave.through(Service::S3), allowed).is_ok());
}

#[test]
fn what_cannot_be_granted_is_refused() {
    let lab = Lab::new().unwrap();
    let (alice, key) = (lab.user("alice", &[]).unwrap(), lab.key().unwrap());
    let make = |create: CreateGrant| lab.kms().create_grant(&lab.admin(), create);
    let create = |to: &str, operations: &[GrantOperation]| {
        CreateGrant::new(key.clone(), to.parse().unwrap(), operations.iter().copied())
    };
    let home = "arn:aws:iam::111122223333:";
    for nobody in [
        format!("{home}user/nobody"),
        format!("{home}role/nobody"),
        "arn:aws:sts::111122223333:assumed-role/nobody/x".into(),
        "arn:aws:iam::444455556666:root".into(),
    ] {
        assert_eq!(code(make(create(&nobody, &[Opening]))), ErrorCode::InvalidArn, "{nobody}");
        let mut retired_by_nobody = CreateGrant::new(key.clone(), arn(&alice), [Opening]);
        retired_by_nobody.retiring_principal = Some(nobody.parse().unwrap());
        assert_eq!(code(make(retired_by_nobody)), ErrorCode::InvalidArn, "{nobody}");
    }
    assert!(make(create(&format!("{home}root"), &[Opening])).is_ok());
    for wrong in [&[][..], &[GrantOperation::Sign], &[Opening, GrantOperation::GenerateMac]] {
        assert_eq!(
            code(make(CreateGrant::new(key.clone(), arn(&alice), wrong.iter().copied()))),
            ErrorCode::Validation
        );
    }
    let key_id: KeyRef = key.clone().into();
    lab.kms().disable_key(&lab.admin(), DisableKey { key_id: key_id.clone() }).unwrap();
    assert_eq!(code(make(create(&format!("{home}root"), &[Opening]))), ErrorCode::Disabled);
    lab.kms()
        .schedule_key_deletion(&lab.admin(), ScheduleKeyDeletion { key_id, pending_window: None })
        .unwrap();
    assert_eq!(code(make(create(&format!("{home}root"), &[Opening]))), ErrorCode::KmsInvalidState);
    let made = list(&lab, &key).remove(0);
    retire(&lab, &lab.admin(), &key, &made.grant_id).unwrap();
}

#[test]
fn a_role_is_granted_for_its_sessions_and_a_session_for_itself() {
    let lab = Lab::new().unwrap();
    let nothing = r#"{"Version": "2012-10-17", "Statement": []}"#;
    let (ops, key) = (lab.role_with_policy("ops", nothing).unwrap(), closed_key(&lab));
    let other: PrincipalArn = "arn:aws:sts::111122223333:assumed-role/ops/other".parse().unwrap();
    let sealed = encrypt_with(&lab, &lab.admin(), &key, &[]).unwrap();
    let made = grant(&lab, &key, &ops, &[Opening]);
    assert!(decrypt(&lab, &ops, &sealed).is_ok());
    assert_eq!(code(decrypt(&lab, &Caller::local(other.clone()), &sealed)), ErrorCode::AccessDenied);
    revoke(&lab, &lab.admin(), &key, &made.grant_id).unwrap();
    let role = "arn:aws:iam::111122223333:role/ops".parse().unwrap();
    lab.kms().create_grant(&lab.admin(), CreateGrant::new(key, role, [Opening])).unwrap();
    assert!(decrypt(&lab, &Caller::local(other), &sealed).is_ok());
}

#[test]
fn a_grant_reaches_across_accounts_and_its_account_may_retire_what_it_made() {
    let lab = Lab::new().unwrap();
    let partner: AccountId = "444455556666".parse().unwrap();
    lab.keystore().organizations().create_account(&lab.admin(), partner.clone(), "partner").unwrap();
    let (root, key) = (Caller::local(PrincipalArn::root(&partner)), closed_key(&lab));
    let sealed = encrypt_with(&lab, &lab.admin(), &key, &[]).unwrap();
    assert_eq!(code(decrypt(&lab, &root, &sealed)), ErrorCode::AccessDenied);
    let made = grant(&lab, &key, &root, &[Opening, MakeGrants]);
    assert!(decrypt(&lab, &root, &sealed).is_ok());
    assert_eq!(code(encrypt_with(&lab, &root, &key, &[])), ErrorCode::AccessDenied);
    // Neither what is on the key nor whether it is there is the partner's to know.
    assert_eq!(code(lab.kms().list_grants(&root, ListGrants::new(key.clone()))), ErrorCode::AccessDenied);
    let missing = "no-such-grant".parse().unwrap();
    assert_eq!(code(retire(&lab, &root, &key, &missing)), ErrorCode::AccessDenied);
    assert_eq!(code(retire(&lab, &lab.admin(), &key, &missing)), ErrorCode::NotFound);
    assert_eq!(code(retire(&lab, &root, &key, &made.grant_id)), ErrorCode::AccessDenied);
    let theirs = lab.kms().create_grant(&root, CreateGrant::new(key.clone(), arn(&root), [Opening])).unwrap();
    let entry = list(&lab, &key).into_iter().find(|entry| entry.grant_id == theirs.grant_id).unwrap();
    assert_eq!(entry.issuing_account, arn(&root));
    retire(&lab, &root, &key, &theirs.grant_id).unwrap();
}

#[test]
fn grants_are_listed_by_page_by_grantee_and_by_who_may_retire_them() {
    let lab = Lab::new().unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| lab.user(name, &["kms:ListRetirableGrants"]).unwrap());
    let (key, other) = (lab.key().unwrap(), lab.key().unwrap());
    for number in 0..7 {
        let on = if number < 5 { &key } else { &other };
        let mut create =
            CreateGrant::new(on.clone(), arn(if number == 0 { &bob } else { &alice }), [Opening]);
        create.retiring_principal = Some(arn(&bob));
        lab.kms().create_grant(&lab.admin(), create).unwrap();
    }
    let mut ask = ListGrants { limit: Some(2), ..ListGrants::new(key.clone()) };
    let mut pages = Vec::new();
    loop {
        let page = lab.kms().list_grants(&lab.admin(), ask.clone()).unwrap();
        assert_eq!(page.truncated, page.next_marker.is_some());
        pages.push(page.grants.len());
        ask.marker = page.next_marker;
        if ask.marker.is_none() {
            break;
        }
    }
    assert_eq!(pages, [2, 2, 1]);
    let of_bob = ListGrants { grantee_principal: Some(arn(&bob)), ..ListGrants::new(key.clone()) };
    let of_bob = lab.kms().list_grants(&lab.admin(), of_bob).unwrap().grants;
    assert_eq!(of_bob.len(), 1);
    let one = ListGrants { grant_id: Some(of_bob[0].grant_id.clone()), ..ListGrants::new(key.clone()) };
    assert_eq!(lab.kms().list_grants(&lab.admin(), one).unwrap().grants, of_bob);
    for wrong in [Some(0), Some(LIST_LIMIT_MAX + 1)] {
        let ask = ListGrants { limit: wrong, ..ListGrants::new(key.clone()) };
        assert_eq!(code(lab.kms().list_grants(&lab.admin(), ask)), ErrorCode::Validation);
    }
    let ask = ListGrants { marker: Some("no marker".into()), ..ListGrants::new(key) };
    assert_eq!(code(lab.kms().list_grants(&lab.admin(), ask)), ErrorCode::InvalidMarker);

    let mut ask = ListRetirableGrants { limit: Some(6), ..ListRetirableGrants::new(arn(&bob)) };
    let first = lab.kms().list_retirable_grants(&bob, ask.clone()).unwrap();
    ask.marker = first.next_marker;
    let second = lab.kms().list_retirable_grants(&bob, ask).unwrap();
    assert_eq!((first.grants.len(), second.grants.len(), second.truncated), (6, 1, false));
    assert!(
        lab.kms()
            .list_retirable_grants(&alice, ListRetirableGrants::new(arn(&alice)))
            .unwrap()
            .grants
            .is_empty()
    );
    let carol = lab.user("carol", &[]).unwrap();
    let denied = lab.kms().list_retirable_grants(&carol, ListRetirableGrants::new(arn(&carol)));
    assert_eq!(code(denied), ErrorCode::AccessDenied);
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let lab = Lab::new().unwrap();
    let (alice, key) = (lab.user("alice", &[]).unwrap(), lab.key().unwrap());
    let dry = CallOptions { dry_run: true, ..CallOptions::default() };
    let create = CreateGrant::new(key.clone(), arn(&alice), [Opening]);
    assert_eq!(code(lab.kms().call_with(&lab.admin(), &create, &dry)), ErrorCode::DryRunOperation);
    assert!(list(&lab, &key).is_empty());
    assert_eq!(code(lab.kms().call_with(&alice, &create, &dry)), ErrorCode::AccessDenied);
    let made = grant(&lab, &key, &alice, &[Opening]);
    let revoke = RevokeGrant { key_id: key.clone().into(), grant_id: made.grant_id };
    assert_eq!(code(lab.kms().call_with(&lab.admin(), &revoke, &dry)), ErrorCode::DryRunOperation);
    assert_eq!(list(&lab, &key).len(), 1);
    let sealed = encrypt_with(&lab, &lab.admin(), &key, &[]).unwrap();
    let decrypt = Decrypt { ciphertext_blob: sealed, key_id: None, encryption_context: context(&[]) };
    assert_eq!(code(lab.kms().call_with(&alice, &decrypt, &dry)), ErrorCode::DryRunOperation);
    let describe = DescribeKey { key_id: key.into() };
    assert_eq!(code(lab.kms().call_with(&lab.admin(), &describe, &dry)), ErrorCode::Validation);
    let records = lab.keystore().audit_tail(&lab.admin(), 3).unwrap();
    let tried = records.iter().find(|record| record.event_name == "Decrypt").unwrap();
    assert_eq!(tried.error_code.as_deref(), Some("DryRunOperationException"));
    assert_eq!(tried.request_parameters["dryRun"], true);
}

#[test]
fn the_audit_log_names_grants_and_no_tokens() {
    let lab = Lab::new().unwrap();
    let (alice, key) = (lab.user("alice", &[]).unwrap(), lab.key().unwrap());
    let mut create = CreateGrant::new(key.clone(), arn(&alice), [Opening]);
    create.constraint = Some(GrantConstraint::EncryptionContextEquals(context(&[("a", "1")])));
    let made = lab.kms().create_grant(&lab.admin(), create).unwrap();
    let options = CallOptions { grant_tokens: vec![made.grant_token.clone()], dry_run: false };
    lab.kms().call_with(&lab.admin(), &DescribeKey { key_id: key.clone().into() }, &options).unwrap();
    let retire = RetireGrant { grant: WhichGrant::Token(made.grant_token.clone()) };
    lab.kms().retire_grant(&lab.admin(), retire).unwrap();
    let records = lab.keystore().audit_tail(&lab.admin(), 3).unwrap();
    let [created, _, retired] = &records[..] else { panic!("three calls") };
    assert_eq!(created.response_elements["grantId"], made.grant_id.as_str());
    assert_eq!(created.request_parameters["constraints"]["encryptionContextEquals"]["a"], "1");
    assert_eq!(created.request_parameters["operations"][0], "Decrypt");
    assert_eq!(retired.additional_event_data.as_ref().unwrap()["grantId"], made.grant_id.as_str());
    for record in &records {
        let text = String::from_utf8(record.to_canonical_bytes()).unwrap();
        assert!(!text.contains(made.grant_token.as_str()), "{text}");
    }
}

#[test]
fn grants_vanish_with_their_key() {
    let lab = Lab::new().unwrap();
    let (alice, key) = (lab.user("alice", &[]).unwrap(), lab.key().unwrap());
    let made = grant(&lab, &key, &alice, &[Describing]);
    let schedule =
        ScheduleKeyDeletion { key_id: key.clone().into(), pending_window: Some(PENDING_WINDOW_MIN) };
    lab.kms().schedule_key_deletion(&lab.admin(), schedule).unwrap();
    assert!(lab.kms().describe_key(&alice, DescribeKey { key_id: key.clone().into() }).is_ok());
    lab.advance(7);
    let world = lab.keystore().world().unwrap();
    assert!(world.grant(&key, &made.grant_id).is_none() && world.grant_of_token(&made.grant_token).is_none());
    assert!(world.to_rows().iter().all(|row| row.id.table != "grant"));
}
