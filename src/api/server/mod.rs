//! The endpoint: one port on which AWS's clients find KMS, IAM, STS and CloudTrail.
//!
//! A request goes listener → `connection` (limits, time-outs) → `guard` (is it from this machine's programs, and not
//! from a web page?) → `dispatch` (which service and operation) → `authenticate` (who) → the door. The door's answer
//! is waited for without a thread.

mod authenticate;
mod connection;
mod control;
mod dispatch;
mod guard;
mod metrics;
mod reply;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use self::{authenticate::Gatekeeper, metrics::Metrics};
pub use self::{
    authenticate::{Authentication, ServerKey, ServerKeys},
    control::Renew,
    dispatch::BODY_BYTES_MAX,
    guard::Hosts,
};
use crate::{keystore::Keystore, kms::Clock};

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
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// What all connections share.
pub(super) struct Shared {
    keystore: RwLock<Arc<Keystore>>,
    gatekeeper: Gatekeeper,
    hosts: Hosts,
    metrics: Metrics,
    renew: Option<Renew>,
}

impl Shared {
    pub(super) fn keystore(&self) -> Arc<Keystore> {
        Arc::clone(&self.keystore.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, keystore: Keystore) {
        *self.keystore.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keystore);
        self.gatekeeper.forget();
    }
}

impl Server {
    /// Takes the address; port 0 takes one that is free.
    ///
    /// # Errors
    ///
    /// When somebody else has it, or it is not this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address it has taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` says so or is gone; then lets the calls under way finish and closes the keystore.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used or there is no randomness.
    pub async fn run(
        self,
        keystore: Keystore,
        options: Options,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        raise_file_limit();
        let shared = Arc::new(Shared {
            keystore: RwLock::new(Arc::new(keystore)),
            gatekeeper: Gatekeeper::new(options.authentication, options.clock)?,
            hosts: options.hosts,
            metrics: Metrics::new(),
            renew: options.renew,
        });
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        connection::accept(listener, &shared, stop).await;
        Ok(())
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
