//! Both sides over real sockets: what must go through and, beside each, what must not.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use super::{x509::*, *};
use crate::{
    model::{CertificateNames, CertificateSerial, RevocationReason, Timestamp},
    secret::SecretBytes,
};

const DAY: i64 = 86_400_000;
const START: i64 = 1_767_225_600_000;
const LIMITS: Limits = Limits {
    handshake: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    farewell: Duration::from_secs(20),
    peers_max: 8,
};

/// An authority and a clock.
struct World {
    certificate: Vec<u8>,
    key: SecretBytes,
    clock: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        Self::named("test")
    }

    fn named(name: &str) -> Self {
        let key = new_authority_key().unwrap();
        let certificate = self_signed(&key, name, &serial(1), days(3650)).unwrap();
        Self { certificate, key, clock: Arc::new(AtomicI64::new(START)) }
    }

    fn now(&self) -> Now {
        let clock = Arc::clone(&self.clock);
        Now::new(move || Timestamp::from_millis(clock.load(Ordering::Acquire)))
    }

    fn advance(&self, days: i64) {
        self.clock.fetch_add(days * DAY, Ordering::AcqRel);
    }

    fn issue(&self, number: u8, names: CertificateNames, validity: Validity) -> Identity {
        let key = HolderKey::generate().unwrap();
        let authority = SigningAuthority::new(&self.certificate, &self.key).unwrap();
        let certificate = authority.issue(key.request(), &names, &serial(number), validity).unwrap();
        key.with_certificate(certificate)
    }

    fn localhost(&self) -> Identity {
        self.issue(2, CertificateNames::of_host("localhost".parse().unwrap()), days(100))
    }

    fn alice(&self) -> Identity {
        self.issue(3, alice(), days(10))
    }

    fn list(&self, revoked: &[u8]) -> Vec<u8> {
        let now = self.now().now();
        let entry = |number: &u8| RevokedCertificate {
            serial: serial(*number),
            at: now,
            reason: RevocationReason::KeyCompromise,
        };
        let revoked: Vec<_> = revoked.iter().map(entry).collect();
        let authority = SigningAuthority::new(&self.certificate, &self.key).unwrap();
        authority.revocation_list(&revoked, 1, now, now.plus_millis(7 * DAY)).unwrap()
    }

    fn trust(&self, revoked: &[u8]) -> Trust {
        Trust::new(std::slice::from_ref(&self.certificate), &[self.list(revoked)]).unwrap()
    }

    fn server(&self) -> Server {
        self.server_with(&self.localhost(), &Options::default())
    }

    fn server_with(&self, identity: &Identity, options: &Options) -> Server {
        Server::new(identity, &Callers::Certified(self.trust(&[])), self.now(), options).unwrap()
    }

    fn client(&self, identity: Option<&Identity>) -> Client {
        Client::new(identity, &self.trust(&[]), self.now(), &Options::default()).unwrap()
    }
}

fn serial(number: u8) -> CertificateSerial {
    CertificateSerial::from_random([number; 16])
}

fn days(days: i64) -> Validity {
    let at = Timestamp::from_millis;
    Validity { not_before: at(START), not_after: at(START + days * DAY) }
}

fn alice() -> CertificateNames {
    CertificateNames::of_principal("arn:aws:iam::111122223333:user/alice".parse().unwrap())
}

/// What each side came to: the server's peer and agreement, and what the client read back.
type Met = (Result<(Option<Peer>, Negotiated), TransitError>, Result<Negotiated, TransitError>);

/// One connection: the client sends a word, and the server sends it back.
fn meet(server: &Server, client: &Client, host: &str) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let (mut stream, peer) = server.accept(listener.accept().unwrap().0, &LIMITS)?;
            let mut word = [0; 4];
            stream.read_exact(&mut word)?;
            stream.write_all(&word)?;
            let negotiated = server.negotiated(&stream.conn)?;
            stream.conn.send_close_notify();
            stream.flush()?;
            Ok((peer, negotiated))
        });
        let calling = || {
            let mut stream = client.connect(TcpStream::connect(address).unwrap(), host, &LIMITS)?;
            stream.write_all(b"ping")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            // Refused after a resumption, it hears an orderly end: rustls sends no other alert there.
            if answer.is_empty() {
                return Err(TransitError::CutOff);
            }
            assert_eq!(answer, b"ping");
            client.negotiated(&stream.conn)
        };
        let called = calling();
        (serving.join().unwrap(), called)
    })
}

/// The names of the errors that both sides come to.
fn refused(met: &Met) -> (&'static str, String) {
    let server = met.0.as_ref().map_or_else(TransitError::name, |_| "served");
    let client = match &met.1 {
        Err(TransitError::PeerRefused(alert)) => alert_name(*alert),
        Err(error) => error.name().into(),
        Ok(_) => "served".into(),
    };
    (server, client)
}

#[test]
fn both_sides_are_certain_of_each_other_over_tls_13_and_the_hybrid() {
    let world = World::new();
    let met = meet(&world.server(), &world.client(Some(&world.alice())), "localhost");
    let ((peer, seen), called) = (met.0.unwrap(), met.1.unwrap());
    let peer = peer.unwrap();
    assert_eq!((peer.names(), peer.serial()), (&alice(), &serial(3)));
    assert_eq!(peer.principal().unwrap().name(), "alice");
    assert_eq!(seen.version, "TLSv1.3");
    assert_eq!(seen.cipher_suite, "TLS_AES_256_GCM_SHA384");
    assert_eq!(seen.group.as_deref(), Some("X25519MLKEM768"));
    assert_eq!(seen.host.as_deref(), Some("localhost"));
    assert!(!seen.resumed);
    assert_eq!((called.version, called.group), (seen.version, seen.group));
}

#[test]
fn each_failure_has_its_name_on_both_sides() {
    let world = World::new();
    let (server, alice) = (world.server(), world.alice());
    let (other, namesake) = (World::named("other"), World::new());
    let meet_as = |client: &Client| refused(&meet(&server, client, "localhost"));

    let stranger = Client::new(Some(&other.alice()), &world.trust(&[]), world.now(), &Options::default());
    assert_eq!(meet_as(&stranger.unwrap()), ("UnknownAuthority", "unknown_ca".into()));

    // An authority that only has the name of ours is no more ours.
    let forger = Client::new(Some(&namesake.alice()), &world.trust(&[]), world.now(), &Options::default());
    assert_eq!(meet_as(&forger.unwrap()).0, "UnknownAuthority");

    let credulous = Client::new(Some(&alice), &other.trust(&[]), world.now(), &Options::default()).unwrap();
    assert_eq!(meet_as(&credulous), ("PeerRefused", "UnknownAuthority".into()));

    let met = meet(&server, &world.client(Some(&alice)), "elsewhere.example");
    assert_eq!(refused(&met), ("PeerRefused", "WrongHost".into()));

    assert_eq!(meet_as(&world.client(None)), ("NoCertificate", "certificate_required".into()));

    let serving = world.issue(9, CertificateNames::of_host("localhost".parse().unwrap()), days(10));
    assert_eq!(meet_as(&world.client(Some(&serving))).0, "WrongPurpose");

    server.replace_trust(&world.trust(&[3])).unwrap();
    assert_eq!(meet_as(&world.client(Some(&alice))), ("Revoked", "certificate_revoked".into()));
    server.replace_trust(&world.trust(&[])).unwrap();
    assert_eq!(meet_as(&world.client(Some(&alice))), ("served", "served".into()));
}

#[test]
fn validity_is_by_the_clock_that_was_handed_in() {
    let world = World::new();
    let (server, alice) = (world.server(), world.alice());
    let later = Validity { not_before: Timestamp::from_millis(START + DAY), ..days(10) };
    let early = world.issue(5, self::alice(), later);
    let met = meet(&server, &world.client(Some(&early)), "localhost");
    assert_eq!(refused(&met).0, "NotYetValid");

    world.advance(8);
    let met = meet(&server, &world.client(Some(&early)), "localhost");
    assert_eq!(met.0.unwrap_err().name(), "RevocationUnknown", "the list is older than seven days");

    world.advance(3);
    server.replace_trust(&world.trust(&[])).unwrap();
    let met = meet(&server, &world.client(Some(&alice)), "localhost");
    assert_eq!(refused(&met), ("Expired", "certificate_expired".into()));

    world.advance(100);
    let met = meet(&server, &world.client(Some(&alice)), "localhost");
    assert_eq!(refused(&met).1, "Expired", "the server's own has ended too");
}

#[test]
fn a_session_is_resumed_and_its_certificate_judged_again() {
    let world = World::new();
    let (server, client) = (world.server(), world.client(Some(&world.alice())));
    assert!(!meet(&server, &client, "localhost").0.unwrap().1.resumed);
    let (peer, seen) = meet(&server, &client, "localhost").0.unwrap();
    assert!(seen.resumed, "{seen:?}");
    assert_eq!(peer.unwrap().names(), &alice());

    server.replace_trust(&world.trust(&[3])).unwrap();
    let met = meet(&server, &client, "localhost");
    assert_eq!(met.0.unwrap_err().name(), "Revoked");

    server.replace_trust(&world.trust(&[])).unwrap();
    assert!(meet(&server, &client, "localhost").0.is_ok());
    world.advance(11);
    for one in [server.replace_trust(&world.trust(&[])), client.replace_trust(&world.trust(&[]))] {
        one.unwrap();
    }
    assert_eq!(meet(&server, &client, "localhost").0.unwrap_err().name(), "Expired");
}

#[test]
fn without_resumption_every_handshake_is_whole() {
    let world = World::new();
    let options = Options { resumption: Resumption::Off, ..Options::default() };
    let (server, alice) = (world.server_with(&world.localhost(), &options), world.alice());
    let client = world.client(Some(&alice));
    for _ in 0..2 {
        assert!(!meet(&server, &client, "localhost").0.unwrap().1.resumed);
    }
}

#[test]
fn a_certificate_is_replaced_without_a_restart() {
    let world = World::new();
    let (server, client) = (world.server(), world.client(Some(&world.alice())));
    let renamed = world.issue(7, CertificateNames::of_host("renamed".parse().unwrap()), days(10));
    assert_eq!(refused(&meet(&server, &client, "renamed")).1, "WrongHost");
    server.replace_identity(&renamed).unwrap();
    assert_eq!(refused(&meet(&server, &client, "renamed")).1, "served");
    assert_eq!(refused(&meet(&server, &world.client(Some(&world.alice())), "localhost")).1, "WrongHost");

    let bob = "arn:aws:iam::111122223333:user/bob".parse().unwrap();
    client.replace_identity(&world.issue(8, CertificateNames::of_principal(bob), days(10))).unwrap();
    let fresh = world.server_with(&renamed, &Options::default());
    let peer = meet(&fresh, &client, "renamed").0.unwrap().0.unwrap();
    assert_eq!(peer.principal().unwrap().name(), "bob");
}

#[test]
fn versions_older_than_asked_for_are_refused() {
    let world = World::new();
    let alice = world.alice();
    let old = Options { versions: Versions::Tls12Too, ..Options::default() };
    let mut only_12 = rustls::ClientConfig::builder_with_provider(old.provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots(&world))
        .with_client_auth_cert(
            vec![alice.certificate().to_vec().into()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(alice.key_for_test()).into(),
        )
        .unwrap();
    only_12.time_provider = Arc::new(world.now());
    let call = |server: &Server| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| {
                let (stream, _) = server.accept(listener.accept().unwrap().0, &LIMITS)?;
                server.negotiated(&stream.conn)
            });
            let mut connection =
                rustls::ClientConnection::new(Arc::new(only_12.clone()), "localhost".try_into().unwrap())
                    .unwrap();
            let mut socket = TcpStream::connect(address).unwrap();
            let _refused_or_not = connection.complete_io(&mut socket);
            serving.join().unwrap()
        })
    };
    assert_eq!(call(&world.server()).unwrap_err().name(), "ProtocolVersion");
    let both = world.server_with(&world.localhost(), &old);
    assert_eq!(call(&both).unwrap().version, "TLSv1.2");
}

fn roots(world: &World) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.certificate.clone().into()).unwrap();
    roots
}

#[test]
fn ciphers_and_protocols_are_those_asked_for() {
    let world = World::new();
    let alice = world.alice();
    let options = Options {
        ciphers: Ciphers::ChaCha20Poly1305,
        protocols: vec![b"keystead/1".to_vec()],
        ..Options::default()
    };
    let client = Client::new(Some(&alice), &world.trust(&[]), world.now(), &options).unwrap();
    let server = world.server_with(&world.localhost(), &options);
    let seen = meet(&server, &client, "localhost").0.unwrap().1;
    assert_eq!(seen.cipher_suite, "TLS_CHACHA20_POLY1305_SHA256");
    assert_eq!(seen.protocol.as_deref(), Some("keystead/1"));

    let other = Options { protocols: vec![b"other".to_vec()], ..options };
    let client = Client::new(Some(&alice), &world.trust(&[]), world.now(), &other).unwrap();
    assert_eq!(refused(&meet(&server, &client, "localhost")).0, "NothingInCommon");
    let aes = Options { ciphers: Ciphers::Aes256Gcm, ..Options::default() };
    let client = Client::new(Some(&alice), &world.trust(&[]), world.now(), &aes).unwrap();
    assert_eq!(refused(&meet(&server, &client, "localhost")).0, "NothingInCommon");
}

#[test]
fn what_does_not_fit_together_is_no_configuration() {
    let world = World::new();
    let nobody = Trust::new(&[], &[]);
    assert!(Client::new(None, &nobody.unwrap(), world.now(), &Options::default()).is_err());
    let without_list = Trust::new(std::slice::from_ref(&world.certificate), &[]).unwrap();
    assert!(Client::new(None, &without_list, world.now(), &Options::default()).is_err());
    let named = Trust::without_revocation(std::slice::from_ref(&world.certificate)).unwrap();
    assert!(Client::new(None, &named, world.now(), &Options::default()).is_ok());
    assert!(Trust::without_revocation(&[vec![0; 10]]).is_err());

    let (one, other) = (world.alice(), World::new().alice());
    let mixed = one.with_key_of_for_test(other);
    assert!(Client::new(Some(&mixed), &named, world.now(), &Options::default()).is_err());
}

#[test]
fn a_peer_that_says_nothing_or_half_of_it_is_let_go() {
    let world = World::new();
    let server = world.server();
    let short = Duration::from_millis(100);
    let limits = Limits { handshake: short, farewell: short, ..LIMITS };
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.write_all(said).unwrap();
        let error = server.accept(listener.accept().unwrap().0, &limits).unwrap_err();
        assert_eq!(error.name(), "TimedOut");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let error = server.accept(listener.accept().unwrap().0, &limits).unwrap_err();
    assert_eq!(error.name(), "Protocol");
}
