//! What must fail, each with the name that either side has for it.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use super::{
    process::{Called, Calling, Launcher, PATIENCE, ServerProcess, call},
    stage::Stage,
};
use crate::lab::wiretap::{Conversation, Meddling, Wiretap, client_hello_of_tls_11, look};

/// A record at least this long holds a part of the model, and is none of the handshake's.
const RECORD_BYTES_MIN: usize = 2048;
/// The alerts `handshake_failure` and `protocol_version` (RFC 8446, section 6).
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

/// Something that must fail.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// What it is.
    pub title: &'static str,
    /// What happens.
    pub prose: &'static str,
    /// What the server must call it.
    pub server: &'static str,
    /// What the client must: an alert is what it was told.
    pub client: &'static str,
    act: fn(&Scene<'_>) -> io::Result<String>,
}

/// Where trials are made: a server over TLS, and what was heard of a good conversation with it.
#[derive(Debug)]
pub struct Scene<'a> {
    /// How clients are started.
    pub launcher: &'a Launcher,
    /// The files.
    pub stage: &'a Stage,
    /// The server.
    pub server: &'a ServerProcess,
    /// What an eavesdropper heard earlier.
    pub heard: &'a Conversation,
}

/// What the two sides came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The server.
    pub server: String,
    /// The client.
    pub client: String,
}

impl Trial {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// When a process cannot be started, or the server says nothing.
    pub fn run(&self, scene: &Scene<'_>) -> io::Result<Outcome> {
        let client = (self.act)(scene)?;
        Ok(Outcome { server: scene.server.next_outcome()?, client })
    }

    /// Whether both sides came to what they must.
    #[must_use]
    pub fn is_met_by(&self, outcome: &Outcome) -> bool {
        (outcome.server.as_str(), outcome.client.as_str()) == (self.server, self.client)
    }
}

impl Scene<'_> {
    fn call(&self, calling: &Calling<'_>) -> io::Result<String> {
        Ok(call(self.launcher, self.stage, self.server.address(), calling)?.outcome)
    }

    fn call_as(&self, identity: Option<&str>) -> io::Result<String> {
        self.call(&Calling { identity, ..Calling::default() })
    }
}

/// All of them.
pub const TRIALS: &[Trial] = &[
    Trial {
        title: "a certificate of an unknown authority",
        prose: "The stranger's certificate says alice too. Who says so counts.",
        server: "UnknownAuthority",
        client: "unknown_ca",
        act: |scene| scene.call_as(Some("stranger")),
    },
    Trial {
        title: "a server of an unknown authority",
        prose: "The client trusts another authority, and sends nothing to this server.",
        server: "unknown_ca",
        client: "UnknownAuthority",
        act: |scene| scene.call(&Calling { authority: "other-", ..Calling::default() }),
    },
    Trial {
        title: "a wrong host name",
        prose: "The authority is right; the client meant to reach somebody else.",
        server: "bad_certificate",
        client: "WrongHost",
        act: |scene| scene.call(&Calling { host: "elsewhere.example", ..Calling::default() }),
    },
    Trial {
        title: "an expired certificate",
        prose: "It was good for one day, and the keystore's clock is two days on.",
        server: "Expired",
        client: "certificate_expired",
        act: |scene| scene.call_as(Some("former")),
    },
    Trial {
        title: "a revoked certificate",
        prose: "Its private key was stolen; it is on the authority's list.",
        server: "Revoked",
        client: "certificate_revoked",
        act: |scene| scene.call_as(Some("revoked")),
    },
    Trial {
        title: "no certificate",
        prose: "Both sides have to show one.",
        server: "NoCertificate",
        client: "certificate_required",
        act: |scene| scene.call_as(None),
    },
    Trial {
        title: "a principal without permission",
        prose: "Bob's certificate is good, and no policy lets him use the model's key.",
        server: "AccessDeniedException",
        client: "AccessDeniedException",
        act: |scene| scene.call_as(Some("bob")),
    },
    Trial {
        title: "a client of TLS 1.1",
        prose: "Versions before 1.3 are refused, 1.2 too unless it is asked for.",
        server: "ProtocolVersion",
        client: "handshake_failure",
        act: |scene| Ok(call_by_tls_11(scene.server.address())?.into()),
    },
    Trial {
        title: "a record that was tampered with",
        prose: "The proxy changes one bit on the way.",
        server: "ForgedRecord",
        client: "bad_record_mac",
        act: |scene| Ok(call_through_meddler(scene)?.outcome),
    },
    Trial {
        title: "a stream that is replayed",
        prose: "The proxy says once more what alice said. Without her keys it is noise.",
        server: "ForgedRecord",
        client: "nothing",
        act: |scene| replay(scene.server.address(), &scene.heard.to_server),
    },
];

/// Says hello as TLS 1.1 does, and answers what is said to that.
fn call_by_tls_11(server: SocketAddr) -> io::Result<&'static str> {
    let mut socket = TcpStream::connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&client_hello_of_tls_11("localhost"))?;
    let mut answer = Vec::new();
    socket.take(1024).read_to_end(&mut answer)?;
    Ok(match answer.get(..7) {
        Some([21, _, _, 0, 2, 2, HANDSHAKE_FAILURE]) => "handshake_failure",
        Some([21, _, _, 0, 2, 2, PROTOCOL_VERSION]) => "protocol_version",
        _ => "another answer",
    })
}

fn call_through_meddler(scene: &Scene<'_>) -> io::Result<Called> {
    let meddling = Meddling::FlipBit { record_bytes_min: RECORD_BYTES_MIN };
    let tap = Wiretap::start(([127, 0, 0, 1], 0).into(), scene.server.address(), meddling)?;
    call(scene.launcher, scene.stage, tap.address(), &Calling::default())
}

/// Says again what a client said earlier, and answers what can be read of the answer.
///
/// # Errors
///
/// When the server cannot be reached.
pub fn replay(server: SocketAddr, said: &[u8]) -> io::Result<String> {
    let mut socket = TcpStream::connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // A server that has seen enough may close before all is said.
    let _sent = socket.write_all(said).and_then(|()| socket.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let _read_or_reset = socket.read_to_end(&mut answer);
    let tensor = super::stage::tensor_bytes();
    Ok(if look::find(&answer, tensor).is_some() { "the tensor" } else { "nothing" }.into())
}
