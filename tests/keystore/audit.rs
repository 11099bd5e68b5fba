//! The audit log of a keystore on disk: checkpoints kept elsewhere, proofs, witnesses, pruning.

use keystead::{
    audit::{Finding, LogError, LogPosition, cosignature::Witness, tlog_proof::InclusionProof},
    crypto::signature::SigningKey,
    keystore::{Keystore, KeystoreError},
    model::Timestamp,
    secret::SecretKey,
    testing::Lab,
};

fn finding<T: std::fmt::Debug>(result: Result<T, KeystoreError>) -> Finding {
    match result.unwrap_err() {
        KeystoreError::Audit(LogError::Fault(fault)) => fault.finding(),
        other => panic!("{other}"),
    }
}

fn witness(seed: u8) -> (SigningKey, Witness) {
    let key = SigningKey::from_seed(&SecretKey::from_slice(&[seed; 32]).unwrap());
    let witness = Witness::new("witness.example/one", key.public_key()).unwrap();
    (key, witness)
}

fn cosigned(keystore: &Keystore, seed: u8) -> String {
    let checkpoint = keystore.audit_checkpoint().unwrap();
    let (key, witness) = witness(seed);
    let line = witness.cosign(&checkpoint, &key, Timestamp::from_millis(1_795_000_000_000)).unwrap();
    checkpoint + &line
}

#[test]
fn a_checkpoint_kept_elsewhere_is_recognised_and_another_logs_is_not() {
    let (lab, other) = (Lab::new().unwrap(), Lab::new().unwrap());
    let kept = lab.keystore().audit_checkpoint().unwrap();
    lab.key().unwrap();
    let verified = lab.keystore().audit_verify_against(Some(&kept)).unwrap();
    assert!(verified.records > 2 && verified.first_kept == 0);
    let foreign = other.keystore().audit_verify_against(Some(&kept));
    assert!(matches!(foreign, Err(KeystoreError::ForeignCheckpoint)));
    let grown = lab.keystore().audit_prove_growth(Some(&kept)).unwrap();
    let key = lab.keystore().audit_key().unwrap();
    let old = keystead::audit::checkpoint::Checkpoint::open(&kept, &key).unwrap().position;
    assert!(grown.verify(&old, &key).is_ok());
}

#[test]
fn a_record_is_proved_with_the_public_key_alone_and_to_those_who_may_see_it() {
    let lab = Lab::new().unwrap();
    let bob = lab.user("bob", &["kms:*"]).unwrap();
    let key = lab.keystore().audit_key().unwrap();
    let text = lab.keystore().audit_prove(&lab.admin(), "0").unwrap().to_text();
    let proof = InclusionProof::parse(&text).unwrap();
    assert!(proof.verify(&key).is_ok() && proof.index == 0);
    assert!(lab.keystore().audit_prove(&bob, "0").is_err(), "bob may not look events up");
    assert!(lab.keystore().audit_prove(&lab.admin(), "9999").is_err());
}

/// The newest checkpoint is of the call that proves, so no witness has signed it.
#[test]
fn a_record_is_proved_against_a_checkpoint_that_a_witness_has_signed() {
    let lab = Lab::new().unwrap();
    let (keystore, admin, key) = (lab.keystore(), lab.admin(), lab.keystore().audit_key().unwrap());
    let first = keystore.audit_prove_growth(None).unwrap();
    assert_eq!((first.old, first.path.len()), (0, 0));
    let note = cosigned(keystore, 5);
    let size = first.verify(&LogPosition::empty(), &key).unwrap().size;
    lab.key().unwrap();
    let proof = keystore.audit_prove_in(&admin, "1", &note).unwrap();
    assert_eq!(proof.verify(&key).unwrap().size, size);
    assert!(witness(5).1.verify(&proof.checkpoint).is_ok());
    let newest = keystore.audit_prove(&admin, "1").unwrap();
    assert!(newest.verify(&key).is_ok() && witness(5).1.verify(&newest.checkpoint).is_err());
    // What came after the checkpoint is not in it, and another log's proves nothing here.
    let later = keystore.audit_prove_in(&admin, &size.to_string(), &note);
    assert!(matches!(later, Err(KeystoreError::NotCovered { .. })), "{later:?}");
    let foreign = Lab::new().unwrap().keystore().audit_checkpoint().unwrap();
    let refused = keystore.audit_prove_in(&admin, "1", &foreign);
    assert!(matches!(refused, Err(KeystoreError::ForeignCheckpoint)));
    let bob = lab.user("bob", &["kms:*"]).unwrap();
    assert!(keystore.audit_prove_in(&bob, "1", &note).is_err(), "bob may not look events up");
}

#[test]
fn a_required_witness_must_have_signed_and_what_it_signed_must_hold() {
    let lab = Lab::new().unwrap();
    let (keystore, admin) = (lab.keystore(), lab.admin());
    let bob = lab.user("bob", &["kms:*"]).unwrap();
    assert!(keystore.add_witness(&bob, &witness(5).1, true).is_err());
    keystore.add_witness(&admin, &witness(5).1, true).unwrap();
    assert_eq!(finding(keystore.audit_verify()), Finding::Unwitnessed);
    // Somebody else's signature under the witness's name, and none at all.
    let forged = keystore.take_cosigned(&admin, &cosigned(keystore, 6));
    assert!(matches!(&forged, Err(KeystoreError::NotCosigned(known)) if *known == ["witness.example/one"]));
    let bare = keystore.audit_checkpoint().unwrap();
    assert!(matches!(keystore.take_cosigned(&admin, &bare), Err(KeystoreError::NotCosigned(_))));
    assert_eq!(finding(keystore.audit_verify()), Finding::Unwitnessed);
    assert!(keystore.take_cosigned(&bob, &cosigned(keystore, 5)).is_err());

    let older = cosigned(keystore, 5);
    lab.key().unwrap();
    let signed = keystore.take_cosigned(&admin, &cosigned(keystore, 5)).unwrap();
    assert_eq!(signed, [witness(5).1]);
    assert!(keystore.audit_verify().is_ok());
    let size = |keystore: &Keystore| keystore.witnesses().unwrap()[0].vouched.unwrap().0.size;
    let before = size(keystore);
    let refused = keystore.take_cosigned(&admin, &older);
    assert!(matches!(refused, Err(KeystoreError::CosignedBefore { .. })), "a newer one is known");
    assert_eq!(size(keystore), before);
}

#[test]
fn pruning_asks_for_leave_and_keeps_the_open_segment() {
    let lab = Lab::new().unwrap();
    let (keystore, admin) = (lab.keystore(), lab.admin());
    let bob = lab.user("bob", &["kms:*"]).unwrap();
    let future = Timestamp::from_millis(4_000_000_000_000);
    assert!(keystore.audit_prune(&bob, future).is_err());
    assert_eq!(keystore.audit_prune(&admin, future).unwrap(), None);
    assert_eq!(keystore.audit_verify().unwrap().first_kept, 0);
}
