//! Callers who say nothing, half of it, or who are too many: let go, while others are served.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use keystead::lab::{
    in_transit::{Calling, PATIENCE, ServerProcess, Stage, call},
    wiretap::client_hello_of_tls_11,
};

use crate::processes::launcher;

/// Calls with these bytes and reads to the end, which has to come.
fn call_and_wait(server: &ServerProcess, said: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(said).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    socket
}

#[test]
fn who_is_silent_slow_or_half_open_is_let_go() {
    let stage = Stage::set().unwrap();
    let bounds = ["--handshake-ms", "100", "--idle-ms", "100"];
    let server = ServerProcess::start(&launcher(), &stage, &bounds).unwrap();
    let half = client_hello_of_tls_11("localhost");
    for said in [&b""[..], &half[..half.len() / 2]] {
        // Kept open on this side: it is the server that lets go.
        let _open = call_and_wait(&server, said);
        assert_eq!(server.next_outcome().unwrap(), "TimedOut");
    }
    let mut trickling = TcpStream::connect(server.address()).unwrap();
    trickling.set_read_timeout(Some(PATIENCE)).unwrap();
    // As many bytes as it likes, each at once, do not prolong the handshake.
    let trickled = (0..).map_while(|at| trickling.write_all(&[half.get(at).copied().unwrap_or(0)]).ok());
    assert!(trickled.take(half.len() - 1).count() > 0);
    assert_eq!(server.next_outcome().unwrap(), "TimedOut");

    drop(server);
    let plain = ServerProcess::start(&launcher(), &stage, &["--plaintext", "--idle-ms", "100"]).unwrap();
    let _open = call_and_wait(&plain, &[0, 0, 0, 9, b'{']);
    assert_eq!(plain.next_outcome().unwrap(), "TimedOut");
    let _open = call_and_wait(&plain, &[0xff; 4]);
    assert_eq!(plain.next_outcome().unwrap(), "FrameTooLong");
}

#[test]
fn one_too_many_is_turned_away_and_a_place_is_free_again() {
    let stage = Stage::set().unwrap();
    let bounds = ["--peers-max", "1", "--handshake-ms", "30000"];
    let server = ServerProcess::start(&launcher(), &stage, &bounds).unwrap();
    let first = TcpStream::connect(server.address()).unwrap();
    let second = call(&launcher(), &stage, server.address(), &Calling::default()).unwrap();
    assert_eq!(second.outcome, "CutOff", "{}", second.said);
    assert_eq!(server.next_outcome().unwrap(), "TooManyPeers");
    drop(first);
    assert_eq!(server.next_outcome().unwrap(), "CutOff");
    let third = call(&launcher(), &stage, server.address(), &Calling::default()).unwrap();
    assert_eq!((third.outcome, server.next_outcome().unwrap()), ("served".into(), "served".into()));
}
