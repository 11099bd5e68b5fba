//! A server whose certificate is issued anew before its end, and whose revocation list before it is too old to be believed.
//!
//! Whoever serves asks [`KeptServer::renew_if_due`] with each connection; most times that is the comparison of two numbers.
//! No timer is needed, and a clock that is moved counts at once.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use super::{Tls, unmade};
use crate::{
    kms::{CallError, Caller},
    model::{CertificateNames, Days, Timestamp},
    transit::{Callers, Now, Options, Server},
    world::Certificate,
};

/// How long a server's certificate is valid that the server issues to itself.
pub const SERVER_CERTIFICATE_DAYS: Days = Days::new(30);
/// How old a revocation list gets.
const LIST_AGE: Days = Days::new(1);

/// Whether callers must show a certificate of the keystore's authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutual {
    /// They must.
    Yes,
    /// They are not asked for one.
    No,
}

/// A server with a certificate of a keystore's authority, kept valid.
#[derive(Debug)]
pub struct KeptServer {
    server: Server,
    names: CertificateNames,
    validity: Days,
    mutual: Mutual,
    /// When something has to be made anew, in milliseconds since the epoch: what each connection looks at.
    due: AtomicI64,
    dues: Mutex<Dues>,
}

#[derive(Debug, Clone, Copy)]
struct Dues {
    certificate: Timestamp,
    list: Option<Timestamp>,
}

impl Dues {
    fn first(self) -> i64 {
        self.list.map_or(self.certificate, |list| list.min(self.certificate)).as_millis()
    }
}

/// A third of a certificate's life is left when the next one is issued.
fn renewal(certificate: &Certificate) -> Timestamp {
    let life = certificate.not_after.as_millis().saturating_sub(certificate.not_before.as_millis());
    certificate.not_after.plus_millis(-life / 3)
}

impl KeptServer {
    /// A server with a new certificate for these names, valid that long.
    ///
    /// # Errors
    ///
    /// As [`Tls::identity`] and [`Tls::trust`].
    pub fn new(
        tls: Tls<'_>,
        caller: &Caller,
        names: CertificateNames,
        validity: Days,
        mutual: Mutual,
        now: Now,
        options: &Options,
    ) -> Result<Self, CallError> {
        let at = now.now();
        let (identity, certificate) = tls.identity(caller, names.clone(), validity)?;
        let callers = match mutual {
            Mutual::Yes => Callers::Certified(tls.trust(caller)?),
            Mutual::No => Callers::Anybody,
        };
        let server = Server::new(&identity, &callers, now, options).map_err(unmade)?;
        let list = (mutual == Mutual::Yes).then(|| at.plus(LIST_AGE));
        let dues = Dues { certificate: renewal(&certificate), list };
        let due = AtomicI64::new(dues.first());
        Ok(Self { server, names, validity, mutual, due, dues: Mutex::new(dues) })
    }

    /// The server as it is now.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Whether something has to be made anew.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.as_millis() >= self.due.load(Ordering::Acquire)
    }

    /// Makes anew what has to be; connections from now on see it. Answers whether there was anything.
    ///
    /// # Errors
    ///
    /// When the caller may not any more, or the keystore has failed. What there was stays.
    pub fn renew_if_due(&self, tls: Tls<'_>, caller: &Caller, now: Timestamp) -> Result<bool, CallError> {
        if !self.is_due(now) {
            return Ok(false);
        }
        // One does it; those who come meanwhile wait and find it done.
        let mut dues = self.dues.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_due(now) {
            return Ok(false);
        }
        if now >= dues.certificate {
            let (identity, certificate) = tls.identity(caller, self.names.clone(), self.validity)?;
            self.server.replace_identity(&identity).map_err(unmade)?;
            dues.certificate = renewal(&certificate);
        }
        if self.mutual == Mutual::Yes && dues.list.is_some_and(|list| now >= list) {
            self.server.replace_trust(&tls.trust(caller)?).map_err(unmade)?;
            dues.list = Some(now.plus(LIST_AGE));
        }
        self.due.store(dues.first(), Ordering::Release);
        Ok(true)
    }

    /// Believes the newest revocation list from now on: what was just revoked is refused at once.
    ///
    /// # Errors
    ///
    /// When callers are not asked for certificates, or this caller may not ask for the list.
    pub fn refresh_trust(&self, tls: Tls<'_>, caller: &Caller) -> Result<(), CallError> {
        self.server.replace_trust(&tls.trust(caller)?).map_err(unmade)
    }
}
