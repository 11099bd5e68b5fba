//! What is fuzzed: each entry takes any bytes and must not panic. The fuzz targets and the smoke test share them.

use keystead::{
    artifact::{SealedTensors, folder::Manifest},
    audit::{
        AuditLog, LogOptions, LogPosition,
        checkpoint::Checkpoint,
        cosignature::Witness,
        directory::{LogDirectory, MemoryDirectory},
        note::VerifierKey,
        prune, read,
        tlog_proof::{GrowthProof, InclusionProof},
        verify,
    },
    crypto::{random::SystemRandom, signature::SigningKey},
    envelope::{
        CommitmentPolicy, OpenOptions, RawAesKeyring, SealOptions, SealedMessage, inspect, open, seal,
    },
    policy::{
        ConditionContext, DecisionEffect, NamedPolicy, Policy, PolicyKind, PrincipalFacts, Request, Resource,
        decide, explain, simulate_text,
    },
    secret::SecretKey,
};

const KINDS: [PolicyKind; 6] = [
    PolicyKind::Key,
    PolicyKind::INLINE_ROLE,
    PolicyKind::Resource,
    PolicyKind::Trust,
    PolicyKind::Scp,
    PolicyKind::Rcp,
];

/// The policy parser. What it takes it takes again, alike.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for kind in KINDS {
        if let Ok(policy) = Policy::parse(text, kind) {
            assert_eq!(policy.text(), text);
            assert!(Policy::parse(policy.text(), kind).is_ok());
        }
    }
}

/// The evaluation of any two policies; what explains it comes to the same decision.
pub(crate) fn decision(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (of_key, of_identity) = text.split_once('\0').unwrap_or((text, text));
    let of_key = Policy::parse(of_key, PolicyKind::Key).ok();
    let of_identity = Policy::parse(of_identity, PolicyKind::INLINE_ROLE).ok();
    let (Ok(alice), Ok(key)) =
        ("arn:aws:iam::111122223333:user/alice".parse(), "arn:aws:kms:us-east-1:111122223333:key/k1".parse())
    else {
        return;
    };
    let (alice, key) = (PrincipalFacts::new(alice), Resource::key(&key));
    let mut context = ConditionContext::new();
    context.principal(&alice).resource(&key, &alice).set("kms:EncryptionContext:app", "x");
    let identity: Vec<NamedPolicy<'_>> =
        of_identity.iter().map(|policy| NamedPolicy { name: "identity", policy }).collect();
    let mut request = Request::new(&alice, "kms:Decrypt", &key, &context);
    request.layers.resource = of_key.as_ref();
    request.layers.identity = &identity;
    let (decision, trace) = (decide(&request), explain(&request));
    assert_eq!((decision.effect(), decision.deciding()), (trace.effect, trace.deciding));
    assert!(of_key.is_some() || decision.effect() != DecisionEffect::Allowed);
}

/// A request that is written down; what comes out can be written as JSON.
pub(crate) fn request(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(simulations) = simulate_text(text) {
        assert!(serde_json::to_string(&simulations).is_ok());
    }
}

/// The name of the log that the corpus is of.
pub(crate) const ORIGIN: &str = "keystead/fuzz";
/// The name of a log's first segment.
pub(crate) const FIRST_SEGMENT: &str = "00000000000000000000.log";

/// How the log of the corpus is kept; none without a key, which there always is.
pub(crate) fn log_options() -> Option<LogOptions> {
    let key = SigningKey::from_seed(&SecretKey::from_slice(&[1; 32])?);
    Some(LogOptions { compress: false, ..LogOptions::new(key, ORIGIN) })
}

fn log_key() -> Option<VerifierKey> {
    VerifierKey::new(ORIGIN, log_options()?.signing_key.public_key()).ok()
}

/// The only segment of a log: read, verified, recovered. What verifies opens, and then reads as before; with a torn end it
/// may be refused, since who holds the key knows how the last checkpoint would have gone on.
pub(crate) fn segment(bytes: &[u8]) {
    let (directory, Some(options)) = (MemoryDirectory::new(), log_options()) else { return };
    let public_key = options.signing_key.public_key();
    if directory.create(FIRST_SEGMENT, bytes).is_err() {
        return;
    }
    let count = |directory: &MemoryDirectory| {
        read::records(directory, 0).map(|records| records.take_while(Result::is_ok).count()).ok()
    };
    let (before, verified) = (count(&directory), verify(&directory, &public_key, None));
    let _ = (read::tail(&directory, 3), read::last_checkpoint(&directory), prune::first_kept(&directory));
    let opened = AuditLog::open(Box::new(directory.clone()), options, None);
    if let Ok(verified) = verified {
        assert!(opened.is_ok() || verified.unacknowledged_bytes > 0);
        assert!(opened.is_err() || before == count(&directory));
        assert!(
            opened.is_ok_and(|log| log.position() == verified.position())
                || verified.unacknowledged_bytes > 0
        );
    }
}

/// A checkpoint, or the keys that sign one. What is signed says what it said without its signature.
pub(crate) fn checkpoint(bytes: &[u8]) {
    let (Ok(text), Some(key)) = (str::from_utf8(bytes), log_key()) else { return };
    let unverified = Checkpoint::parse_unverified(text);
    if let Ok(opened) = Checkpoint::open(text, &key) {
        assert!(unverified.is_ok_and(|one| one.position == opened.position));
    }
    let _ = text.parse::<VerifierKey>();
    if let Ok(witness) = text.parse::<Witness>() {
        assert!(witness.verify(text).is_err());
    }
}

/// A proof that a record is in a log, or that a log has only grown. What is taken is written again alike.
pub(crate) fn proof(bytes: &[u8]) {
    let (Ok(text), Some(key)) = (str::from_utf8(bytes), log_key()) else { return };
    if let Ok(proof) = InclusionProof::parse(text) {
        assert_eq!(InclusionProof::parse(&proof.to_text()), Ok(proof.clone()));
        let _ = proof.verify(&key);
    }
    if let Ok(proof) = GrowthProof::parse(text) {
        assert_eq!(GrowthProof::parse(&proof.to_text()), Ok(proof.clone()));
        let _ = proof.verify(&LogPosition { size: proof.old, root: [0; 32] }, &key);
    }
}

/// The raw key of the corpus's messages, which everybody knows.
fn known_key() -> Option<RawAesKeyring> {
    RawAesKeyring::new("fuzz", "key", SecretKey::from_slice(&[b'k'; 32])?).ok()
}

/// A sealed message. What opens as a stream opens the same at positions.
pub(crate) fn message(bytes: &[u8]) {
    let Some(keyring) = known_key() else { return };
    let commitment_policy = CommitmentPolicy::RequireEncryptAllowDecrypt;
    let options = OpenOptions { commitment_policy, ..OpenOptions::default() };
    let told = inspect(bytes, Some(bytes.len() as u64));
    let mut plaintext = Vec::new();
    let opened = open(bytes, &mut plaintext, &keyring, &options);
    assert!(opened.is_err() || told.is_ok());
    if let Ok(message) = SealedMessage::open(bytes, bytes.len() as u64, &keyring, &options) {
        let mut text = vec![0; usize::try_from(message.plaintext_bytes()).unwrap_or(0)];
        let read = message.read_exact_at(&mut text, 0);
        assert_eq!(read.is_ok(), opened.is_ok());
        assert!(read.is_err() || text == plaintext);
    }
}

/// The manifest of a sealed folder. What it says is written again as the same.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::from_bytes(bytes) {
        let again = manifest.to_bytes().map(|bytes| Manifest::from_bytes(&bytes));
        assert!(again.is_ok_and(|again| again.is_ok_and(|again| again == manifest)));
    }
}

/// The header of a model in a sealed file, safetensors or GGUF. What it lists lies in the file.
pub(crate) fn model(bytes: &[u8]) {
    let (Some(keyring), Ok(file)) = (known_key(), tempfile::NamedTempFile::new()) else { return };
    let (options, random) = (SealOptions::default(), &mut SystemRandom);
    if seal(bytes, file.as_file(), &keyring, &options, random).is_err() {
        return;
    }
    if let Ok(model) = SealedTensors::open(file.path(), &keyring) {
        for tensor in model.tensors() {
            let end = tensor.bytes.and_then(|length| tensor.offset.checked_add(length));
            assert!(tensor.bytes.is_none() || end.is_some_and(|end| end <= bytes.len() as u64), "{tensor:?}");
        }
    }
}
