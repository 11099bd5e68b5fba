//! What both sides choose alike: versions, ciphers, groups, protocols, and whose clock it is.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    CipherSuite, SupportedProtocolVersion, crypto::CryptoProvider, pki_types::UnixTime,
    time_provider::TimeProvider,
};

use crate::model::Timestamp;

/// Which versions of TLS are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.3 alone (RFC 8446).
    #[default]
    Tls13,
    /// Also TLS 1.2 (RFC 5246), for clients that know nothing newer; still with ephemeral keys and AEAD ciphers alone.
    Tls12Too,
}

impl Versions {
    pub(super) fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        static NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Self::Tls13 => NEWEST,
            Self::Tls12Too => BOTH,
        }
    }
}

/// Which ciphers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ciphers {
    /// All that are safe, AES-256-GCM first.
    #[default]
    Safe,
    /// AES-256-GCM alone.
    Aes256Gcm,
    /// ChaCha20-Poly1305 alone.
    ChaCha20Poly1305,
}

/// What both sides choose alike.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which versions of TLS are spoken.
    pub versions: Versions,
    /// Which ciphers are taken.
    pub ciphers: Ciphers,
    /// The protocols spoken inside, best first, as ALPN names them (RFC 7301): `h2`, `http/1.1`. None: none is asked for.
    pub protocols: Vec<Vec<u8>>,
    /// Whether a client that was here may go on where it left off, without certificates being shown again.
    pub resumption: Resumption,
}

/// Whether sessions are resumed (RFC 8446, section 2.2). Early data is never taken: it can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resumption {
    /// For as many sessions as this side remembers. Whether the peer's certificate is still good is asked each time.
    #[default]
    On,
    /// Never.
    Off,
}

/// How long a record that is sent may be, its header included.
///
/// Half of what TLS allows (RFC 8446, section 5.1), which was measured to be the quickest: a record is copied at both ends,
/// and two copies of 16 KiB fill the nearest cache of most processors.
pub(super) const RECORD_BYTES_MAX: usize = 8 * 1024;

/// How many sessions a side remembers.
pub const SESSIONS_MAX: usize = 4096;

impl Options {
    /// The cryptography: AWS-LC's, with the post-quantum hybrid X25519MLKEM768 preferred.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let wanted: Option<&[CipherSuite]> = match self.ciphers {
            Ciphers::Safe => None,
            Ciphers::Aes256Gcm => Some(&[
                CipherSuite::TLS13_AES_256_GCM_SHA384,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            ]),
            Ciphers::ChaCha20Poly1305 => Some(&[
                CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            ]),
        };
        if let Some(wanted) = wanted {
            provider.cipher_suites.retain(|suite| wanted.contains(&suite.suite()));
        }
        Arc::new(provider)
    }
}

/// The clock by which certificates are judged: the keystore's, which may be ahead of the machine's.
#[derive(Clone)]
pub struct Now(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Now {
    /// Asks this function what time it is.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    pub(super) fn unix(&self) -> UnixTime {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or_default();
        UnixTime::since_unix_epoch(Duration::from_millis(millis))
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Now({})", self.now())
    }
}

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.unix())
    }
}
