//! What an eavesdropper gets: all of it without TLS, and with TLS nothing but who called and how much was said.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use keystead::lab::{
    in_transit::{Calling, PATIENCE, ServerProcess, Stage, TENSOR, call, replay, tensor_bytes},
    wiretap::{
        Conversation, Meddling, Wiretap,
        look::{entropy, find, records},
    },
};

use crate::processes::{example, launcher};

/// One conversation through an eavesdropper, and the server that held it.
fn overheard(stage: &Stage, server: &ServerProcess, calling: &Calling<'_>) -> (Conversation, String) {
    let any = "127.0.0.1:0".parse().unwrap();
    let tap = Wiretap::start(any, server.address(), Meddling::None).unwrap();
    let called = call(&launcher(), stage, tap.address(), calling).unwrap();
    assert_eq!(called.outcome, "served", "{}", called.said);
    assert!(called.said.contains(&format!("{TENSOR} F32 [16, 64]: 4096 bytes")), "{}", called.said);
    (tap.next(PATIENCE).unwrap(), called.said)
}

#[test]
fn without_tls_everything_is_there_and_anybody_is_alice() {
    let stage = Stage::set().unwrap();
    let server = ServerProcess::start(&launcher(), &stage, &["--plaintext"]).unwrap();
    let alice = Calling { plaintext: Some("user/alice"), ..Calling::default() };
    let (heard, _) = overheard(&stage, &server, &alice);
    assert!(find(&heard.to_server, stage.canary().as_bytes()).is_some());
    assert!(find(&heard.to_client, tensor_bytes()).is_some());
    assert!(records(&heard.to_server).is_empty());
    // What was sealed before it was sent is safe on any wire.
    assert!(find(&heard.to_server, tensor_bytes()).is_none());
    assert_eq!(server.next_line().unwrap(), "served user/alice, as it says: hidden.weight (4096 bytes)");

    let bob = Calling { plaintext: Some("user/bob"), ..Calling::default() };
    let denied = call(&launcher(), &stage, server.address(), &bob).unwrap();
    assert_eq!(
        (denied.outcome, server.next_outcome().unwrap()),
        ("AccessDeniedException".into(), "AccessDeniedException".into())
    );

    // Whoever heard it can say it again, and gets the tensor too.
    assert_eq!(replay(server.address(), &heard.to_server).unwrap(), "the tensor");
    assert_eq!(server.next_outcome().unwrap(), "served");
}

#[test]
fn over_tls_neither_the_canary_nor_a_tensor_is_there() {
    let stage = Stage::set().unwrap();
    let server = ServerProcess::start(&launcher(), &stage, &[]).unwrap();
    let (heard, said) = overheard(&stage, &server, &Calling::default());
    assert!(said.starts_with("TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768\n"), "{said}");
    let line = server.next_line().unwrap();
    assert_eq!(
        line,
        "served arn:aws:iam::111122223333:user/alice by TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768: \
         hidden.weight (4096 bytes)"
    );
    for said in [&heard.to_server, &heard.to_client] {
        assert_eq!(find(said, stage.canary().as_bytes()), None);
        // No 16 bytes of the tensor in a row, wherever they begin.
        assert!(tensor_bytes().windows(16).step_by(16).all(|part| find(said, part).is_none()));
        // Nor who it is: certificates are encrypted in TLS 1.3.
        assert_eq!(find(said, b"user/alice"), None);
        assert!(entropy(said) > 7.8, "{}", entropy(said));
    }
    let (up, down) = (records(&heard.to_server), records(&heard.to_client));
    assert_eq!(up[0].name, "ClientHello");
    for fact in [("versions offered", "TLS 1.3"), ("server's name", "localhost")] {
        assert!(up[0].facts.contains(&(fact.0, fact.1.into())), "{:?}", up[0].facts);
    }
    assert_eq!(down[0].name, "ServerHello");
    for fact in [("version", "TLS 1.3"), ("cipher suite", "AES_256_GCM"), ("group", "X25519MLKEM768")] {
        assert!(down[0].facts.contains(&(fact.0, fact.1.into())), "{:?}", down[0].facts);
    }
    // After the two hellos there is nothing to read, but for a message of no meaning.
    let open = |records: &[keystead::lab::wiretap::look::RecordSeen]| {
        records.iter().filter(|one| !one.is_encrypted && !one.name.starts_with("ChangeCipherSpec")).count()
    };
    assert_eq!((open(&up), open(&down)), (1, 1));
    let all: usize = up.iter().chain(&down).map(|record| record.bytes).sum();
    assert_eq!(all, heard.to_server.len() + heard.to_client.len());
}

#[test]
fn the_eavesdropper_is_a_program_too() {
    let stage = Stage::set().unwrap();
    let server = ServerProcess::start(&launcher(), &stage, &["--plaintext"]).unwrap();
    let mut child = Command::new(example("eavesdropper"))
        .args(["--listen", "127.0.0.1:0", "--connections", "1", "--canary", stage.canary()])
        .arg(server.address().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.next().unwrap().strip_prefix("ready: ").unwrap().parse().unwrap();
    let alice = Calling { plaintext: Some("user/alice"), ..Calling::default() };
    assert_eq!(call(&launcher(), &stage, address, &alice).unwrap().outcome, "served");
    let said: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success());
    assert!(said.iter().any(|line| line.starts_with("  the canary is there, at ")), "{said:#?}");
    assert!(said.iter().any(|line| line == "  no canary"), "{said:#?}");
}
