//! The port for clients that speak TLS: a certificate of the keystore's own authority, and what was agreed on with each.
//!
//! Who calls is told by the signature on each request, as at AWS, and not by a certificate. `aws:SecureTransport` is true
//! for what comes in here and false for everything else.
//!
//! INVARIANT: a connection that is being let in holds a place no longer than [`TlsOptions::handshake`].

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, header};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Shared, control::header_text};
use crate::{
    audit::TlsDetails,
    kms::Caller,
    model::{CertificateNames, Days, HostName},
    services::tls::{AUTHORITY_DAYS, KeptServer, Mutual, SERVER_CERTIFICATE_DAYS},
    transit::{Negotiated, Now, Options, TransitError, Versions},
};

/// How long a client may take for the handshake when nobody says otherwise.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest `Host` header that is written into the audit log, in bytes.
const HOST_BYTES_MAX: usize = 256;

/// How TLS is spoken.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// Which versions.
    pub versions: Versions,
    /// The names that the certificate has beside `localhost` and the address.
    pub hosts: Vec<HostName>,
    /// How long a certificate is valid.
    pub validity: Days,
    /// How long a client may take for the handshake.
    pub handshake: Duration,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            versions: Versions::default(),
            hosts: Vec::new(),
            validity: SERVER_CERTIFICATE_DAYS,
            handshake: HANDSHAKE_TIMEOUT,
        }
    }
}

/// By which way requests come.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) peer: SocketAddr,
    /// What was agreed on, when the connection is TLS.
    pub(super) tls: Option<Negotiated>,
}

impl Arrival {
    /// The caller, with how it came.
    pub(super) fn mark(&self, caller: Caller, headers: &HeaderMap) -> Caller {
        let Some(agreed) = &self.tls else { return caller };
        let host = header_text(headers, header::HOST).unwrap_or_default();
        caller.by_tls(TlsDetails {
            tls_version: agreed.version.clone(),
            cipher_suite: agreed.cipher_suite.clone(),
            client_provided_host_header: host.chars().take(HOST_BYTES_MAX).collect(),
            key_exchange: agreed.group.clone(),
        })
    }
}

/// Lets clients in that speak TLS.
pub(super) struct TlsDoor {
    kept: KeptServer,
    handshake: Duration,
}

impl TlsDoor {
    /// Issues a certificate for these addresses and names, and makes the authority if the account has none.
    pub(super) fn open(shared: &Arc<Shared>, address: SocketAddr, options: &TlsOptions) -> io::Result<Self> {
        let Some(keystore) = shared.keystore() else { return Err(io::Error::other("the keystore is lent")) };
        let spoken = Options {
            versions: options.versions,
            protocols: vec![b"http/1.1".to_vec()],
            ..Options::default()
        };
        let clock = Arc::clone(shared);
        let now = Now::new(move || clock.time());
        let (names, caller) = (names(address.ip(), &options.hosts), keystore.administrator());
        keystore.tls().ensure_authority(&caller, AUTHORITY_DAYS).map_err(io::Error::other)?;
        let kept =
            KeptServer::new(keystore.tls(), &caller, names, options.validity, Mutual::No, now, &spoken);
        Ok(Self { kept: kept.map_err(io::Error::other)?, handshake: options.handshake })
    }

    /// Makes the handshake, in no more time than there is.
    pub(super) async fn let_in(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Negotiated), TransitError> {
        self.renew(shared).await;
        let server = self.kept.server();
        let handshake = TlsAcceptor::from(server.config()).accept(stream);
        let stream = tokio::time::timeout(self.handshake, handshake).await;
        let stream = stream.map_err(|_| TransitError::TimedOut)??;
        let agreed = server.negotiated(stream.get_ref().1)?;
        Ok((stream, agreed))
    }

    /// Has a new certificate issued when the old one will end soon. When that fails the old one is shown: clients refuse it
    /// once it has ended.
    async fn renew(self: &Arc<Self>, shared: &Arc<Shared>) {
        // One that is lent is back soon, and the old certificate good for a while.
        let Some(keystore) = shared.keystore() else { return };
        if !self.kept.is_due(keystore.time()) {
            return;
        }
        let door = Arc::clone(self);
        let renewed = tokio::task::spawn_blocking(move || {
            let (tls, caller) = (keystore.tls(), keystore.administrator());
            // A keystore that was put in the place of another has none yet.
            tls.ensure_authority(&caller, AUTHORITY_DAYS)?;
            door.kept.renew_if_due(tls, &caller, keystore.time())
        });
        match renewed.await {
            Ok(Ok(true)) => tracing::info!("the server has a new certificate"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the server's certificate could not be renewed"),
            Err(error) => tracing::error!(%error, "the server's certificate could not be renewed"),
        }
    }
}

/// The names that clients on this machine and, by this address, on others call.
fn names(address: IpAddr, hosts: &[HostName]) -> CertificateNames {
    let mut names = CertificateNames { hosts: hosts.to_vec(), ..CertificateNames::default() };
    names.hosts.extend("localhost".parse::<HostName>());
    names.addresses.extend([IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    if !address.is_unspecified() && !names.addresses.contains(&address) {
        names.addresses.push(address);
    }
    names
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        thread,
    };

    use tokio::sync::watch;

    use super::{
        super::{Authentication, Hosts, Options as ServerOptions, Server, ServerKeys},
        *,
    };
    use crate::{
        keystore::{Keystore, NewKeystore},
        kms::{Clock, ManualClock},
        model::{CertificateSerial, Timestamp},
        transit::{Client, Limits, Trust, x509},
    };

    /// 2026-01-01T00:00:00Z.
    const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// A server over TLS alone, which ends when the test does.
    struct Served {
        address: SocketAddr,
        authority: Vec<u8>,
        clock: Arc<ManualClock>,
        stop: watch::Sender<bool>,
        thread: Option<thread::JoinHandle<io::Result<()>>>,
    }

    impl Served {
        fn start(tls: TlsOptions) -> Self {
            let clock = Arc::new(ManualClock::at(START));
            let new = NewKeystore {
                account: "111122223333".parse().unwrap(),
                region: "us-east-1".parse().unwrap(),
            };
            let keystore = Keystore::in_memory(new, Arc::clone(&clock) as _).unwrap();
            let (authority, _) =
                keystore.tls().ensure_authority(&keystore.administrator(), AUTHORITY_DAYS).unwrap();
            let server = Server::bind_tls("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = server.tls_address().unwrap();
            let (stop, stopped) = watch::channel(false);
            let options = ServerOptions {
                authentication: Authentication::SigV4(ServerKeys::default()),
                hosts: Hosts::default(),
                clock: Arc::clone(&clock) as _,
                renew: None,
                lender: None,
                tls,
            };
            let thread = thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(server.run(keystore, options, stopped))
            });
            Self { address, authority: authority.certificate, clock, stop, thread: Some(thread) }
        }

        /// The serial number of the certificate that the server shows.
        fn serial(&self) -> CertificateSerial {
            let trust = Trust::without_revocation(std::slice::from_ref(&self.authority)).unwrap();
            let clock = Arc::clone(&self.clock);
            let now = Now::new(move || clock.now());
            let client = Client::new(None, &trust, now, &Options::default()).unwrap();
            let socket = std::net::TcpStream::connect(self.address).unwrap();
            let stream = client.connect(socket, "localhost", &Limits::default()).unwrap();
            x509::read_names(&stream.conn.peer_certificates().unwrap()[0]).unwrap().0
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            self.stop.send_replace(true);
            if let Some(thread) = self.thread.take() {
                let ended = thread.join();
                assert!(thread::panicking() || matches!(ended, Ok(Ok(()))), "{ended:?}");
            }
        }
    }

    #[test]
    fn a_certificate_is_renewed_before_its_end_and_without_a_restart() {
        let served = Served::start(TlsOptions { validity: Days::new(30), ..TlsOptions::default() });
        let first = served.serial();
        served.clock.advance(Days::new(19));
        assert_eq!(served.serial(), first);
        served.clock.advance(Days::new(1));
        let second = served.serial();
        assert_ne!(second, first);
        assert_eq!(served.serial(), second);
        // Long after its end the next one is there with the first who calls.
        served.clock.advance(Days::new(300));
        assert_ne!(served.serial(), second);
    }

    #[test]
    fn a_client_that_does_not_go_on_is_let_go() {
        let served =
            Served::start(TlsOptions { handshake: Duration::from_millis(50), ..TlsOptions::default() });
        for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
            let mut socket = std::net::TcpStream::connect(served.address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket.write_all(said).unwrap();
            // The server closes, or resets because of what it has not read; it does not wait.
            let ended = socket.read(&mut [0; 100]);
            assert!(!matches!(&ended, Err(error) if error.kind() == io::ErrorKind::WouldBlock), "{ended:?}");
        }
        served.serial();
    }

    #[test]
    fn a_certificate_names_this_machine_and_the_address_unless_it_is_all_of_them() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let of = |text: &str| names(address(text), &["kms.test".parse().unwrap()]);
        assert_eq!(of("127.0.0.1").addresses.len(), 2);
        assert_eq!(of("0.0.0.0").addresses.len(), 2);
        assert_eq!(of("192.0.2.7").addresses[2], address("192.0.2.7"));
        assert_eq!(of("127.0.0.1").to_string(), "kms.test localhost 127.0.0.1 ::1");
        assert!(of("192.0.2.7").check().is_ok());
    }
}
