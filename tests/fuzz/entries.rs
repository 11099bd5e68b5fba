//! What is fuzzed: each entry takes any bytes and must not panic. The fuzz targets and the smoke test share them.

use keystead::policy::{
    ConditionContext, DecisionEffect, NamedPolicy, Policy, PolicyKind, PrincipalFacts, Request, Resource,
    decide, explain, simulate_text,
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
