//! The endpoint: one port on which AWS's clients find KMS, IAM, STS and CloudTrail.
//!
//! With TLS it is two ports: one for clients that encrypt, and one for those that do not, or either alone.
//!
//! A request goes listener → `tls` (on its port) → `connection` (limits, time-outs) → `guard` (is it from this machine's programs, and not
//! from a web page?) → `dispatch` (which service and operation) → `authenticate` (who) → the door. The door's answer
//! is waited for without a thread.

mod authenticate;
mod body;
mod connection;
mod control;
mod dispatch;
mod guard;
mod lend;
mod metrics;
mod reply;
mod tls;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

use self::{authenticate::Gatekeeper, body::Bodies, metrics::Metrics};
pub use self::{
    authenticate::{Authentication, ServerKey, ServerKeys},
    body::BODY_BYTES_MAX,
    control::Renew,
    guard::Hosts,
    lend::{Lender, Reopen},
    tls::TlsOptions,
};
use crate::{keystore::Keystore, kms::Clock, model::Timestamp};

/// How a server shall be.
pub struct Options {
    /// Who may call.
    pub authentication: Authentication,
    /// The names by which clients may reach it, beside addresses and `localhost`.
    pub hosts: Hosts,
    /// The real clock, by which clients sign.
    pub clock: Arc<dyn Clock>,
    /// Makes a new keystore in the place of the old one, when `/_keystead/reset` asks; there is no such path without it,
    /// nor where requests are signed.
    pub renew: Option<Renew>,
    /// How TLS is spoken, by a server that has a port for it.
    pub tls: TlsOptions,
    /// Lends the keystore to commands on this machine.
    pub lender: Option<Lender>,
}

/// How long a request waits for a keystore that is lent.
const LENT_TIMEOUT: Duration = Duration::from_secs(50);

/// A server that listens and does not answer yet.
pub struct Server {
    plain: Option<Listening>,
    tls: Option<Listening>,
}

/// A socket that listens.
struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    fn at(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }
}

/// What all connections share.
pub(super) struct Shared {
    /// None while it is lent.
    keystore: RwLock<Option<Arc<Keystore>>>,
    returned: watch::Sender<()>,
    /// By how far the keystore's clock is ahead of the real one.
    ahead_millis: AtomicI64,
    gatekeeper: Gatekeeper,
    hosts: Hosts,
    bodies: Bodies,
    metrics: Metrics,
    renew: Option<Renew>,
}

impl Shared {
    /// The keystore; none while it is lent.
    pub(super) fn keystore(&self) -> Option<Arc<Keystore>> {
        self.keystore.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keystore, when it is back if it is lent; none when that takes too long.
    pub(super) async fn keystore_when_back(&self) -> Option<Arc<Keystore>> {
        if let Some(keystore) = self.keystore() {
            return Some(keystore);
        }
        let mut returned = self.returned.subscribe();
        let back = async {
            loop {
                if let Some(keystore) = self.keystore() {
                    return Some(keystore);
                }
                returned.changed().await.ok()?;
            }
        };
        tokio::time::timeout(LENT_TIMEOUT, back).await.ok().flatten()
    }

    /// What time it is in the keystore; while that is lent, by how far its clock was ahead when it was last asked.
    pub(super) fn time(&self) -> Timestamp {
        let now = self.gatekeeper.now();
        match self.keystore() {
            None => now.plus_millis(self.ahead_millis.load(Ordering::Relaxed)),
            Some(keystore) => {
                let time = keystore.time();
                self.ahead_millis.store(time.as_millis() - now.as_millis(), Ordering::Relaxed);
                time
            }
        }
    }

    fn take(&self) -> Option<Arc<Keystore>> {
        self.keystore.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn replace(&self, keystore: Keystore) {
        *self.keystore.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keystore));
        self.gatekeeper.forget();
        self.returned.send_replace(());
    }
}

impl Server {
    /// Takes the address; port 0 takes one that is free.
    ///
    /// # Errors
    ///
    /// When somebody else has it, or it is not this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { plain: Some(Listening::at(address)?), tls: None })
    }

    /// The same, for clients that speak TLS and no others.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn bind_tls(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { plain: None, tls: Some(Listening::at(address)?) })
    }

    /// With another address at which TLS is spoken.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn and_tls(mut self, address: SocketAddr) -> io::Result<Self> {
        self.tls = Some(Listening::at(address)?);
        Ok(self)
    }

    /// The address that it has taken for clients that do not speak TLS.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.plain.as_ref().map(|one| one.address)
    }

    /// The address that it has taken for TLS.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|one| one.address)
    }

    /// Answers until `stop` says so or is gone; then lets the calls under way finish and closes the keystore.
    ///
    /// # Errors
    ///
    /// When a listener cannot be used, there is no randomness, or no certificate can be issued.
    pub async fn run(
        self,
        keystore: Keystore,
        options: Options,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        raise_file_limit();
        let shared = Arc::new(Shared {
            keystore: RwLock::new(Some(Arc::new(keystore))),
            returned: watch::Sender::new(()),
            ahead_millis: AtomicI64::new(0),
            gatekeeper: Gatekeeper::new(options.authentication, options.clock)?,
            hosts: options.hosts,
            bodies: Bodies::new(),
            metrics: Metrics::new(),
            renew: options.renew,
        });
        let lender = options.lender;
        // Both ports have a share in the same places.
        let room = Arc::new(Semaphore::new(connection::CONNECTIONS_MAX));
        let (plain, tls) = (self.plain, self.tls);
        let accept_plain = async {
            let Some(Listening { listener, .. }) = plain else { return Ok(()) };
            let listener = tokio::net::TcpListener::from_std(listener)?;
            connection::accept(listener, None, &shared, &room, stop.clone()).await;
            Ok(())
        };
        let accept_tls = async {
            let Some(Listening { listener, address }) = tls else { return Ok(()) };
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let door = Arc::new(tls::TlsDoor::open(&shared, address, &options.tls)?);
            connection::accept(listener, Some(door), &shared, &room, stop.clone()).await;
            Ok(())
        };
        let serving = async {
            let (plain, tls): (io::Result<()>, io::Result<()>) = tokio::join!(accept_plain, accept_tls);
            connection::finish(&room).await;
            plain.and(tls)
        };
        let lending = async {
            if let Some(lender) = lender {
                lend::lend(lender, &shared, stop.clone()).await?;
            }
            // Nothing is lent, or no longer; the connections are to finish what they have begun.
            std::future::pending().await
        };
        tokio::select! {
            served = serving => served,
            ended = lending => ended,
        }
    }
}

/// Each connection is an open file, and shells allow 1,024 of them unless asked.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(connection::CONNECTIONS_MAX as u64 + 1024);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        let _as_it_was = setrlimit(Resource::Nofile, limit);
    }
}
