//! What must fail, between the real processes: each with its own name on both sides.

use keystead::lab::{
    in_transit::{Calling, PATIENCE, Scene, ServerProcess, Stage, TRIALS, call},
    wiretap::{Meddling, Wiretap},
};

use crate::processes::launcher;

/// What each must be called: by the server, and by the client or to it.
const NAMES: &[(&str, &str, &str)] = &[
    ("a certificate of an unknown authority", "UnknownAuthority", "unknown_ca"),
    ("a server of an unknown authority", "unknown_ca", "UnknownAuthority"),
    ("a wrong host name", "bad_certificate", "WrongHost"),
    ("an expired certificate", "Expired", "certificate_expired"),
    ("a revoked certificate", "Revoked", "certificate_revoked"),
    ("no certificate", "NoCertificate", "certificate_required"),
    ("a principal without permission", "AccessDeniedException", "AccessDeniedException"),
    ("a client of TLS 1.1", "ProtocolVersion", "handshake_failure"),
    ("a record that was tampered with", "ForgedRecord", "bad_record_mac"),
    ("a stream that is replayed", "ForgedRecord", "nothing"),
];

#[test]
fn each_failure_has_its_name_on_both_sides() {
    let (launcher, stage) = (launcher(), Stage::set().unwrap());
    for more in [&[][..], &["--tls12"]] {
        let server = ServerProcess::start(&launcher, &stage, more).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let tap = Wiretap::start(any, server.address(), Meddling::None).unwrap();
        let good = call(&launcher, &stage, tap.address(), &Calling::default()).unwrap();
        assert_eq!((good.outcome, server.next_outcome().unwrap()), ("served".into(), "served".into()));
        let heard = tap.next(PATIENCE).unwrap();

        let scene = Scene { launcher: &launcher, stage: &stage, server: &server, heard: &heard };
        let outcomes: Vec<_> = TRIALS
            .iter()
            .map(|trial| {
                let outcome = trial.run(&scene).unwrap();
                assert!(trial.is_met_by(&outcome), "{}: {outcome:?}", trial.title);
                (trial.title, outcome.server, outcome.client)
            })
            .collect();
        let seen: Vec<_> = outcomes
            .iter()
            .map(|(title, server, client)| (*title, server.as_str(), client.as_str()))
            .collect();
        assert_eq!(seen, NAMES);

        // And who may is served after all of it.
        let again = call(&launcher, &stage, server.address(), &Calling::default()).unwrap();
        assert_eq!((again.outcome, server.next_outcome().unwrap()), ("served".into(), "served".into()));
    }
}
