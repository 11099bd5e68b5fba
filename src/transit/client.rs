//! The side that calls: its configuration, and whom it has reached.

use std::{
    net::TcpStream,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ClientConfig, ClientConnection, SignatureScheme, StreamOwned,
    client::{ResolvesClientCert, Resumption as Sessions},
    pki_types::ServerName,
    sign::CertifiedKey,
};

use super::{
    Bounded, Identity, Limits, Negotiated, Now, Options, Resumption, TransitError, Trust,
    options::{RECORD_BYTES_MAX, SESSIONS_MAX},
    stream::OUTPUT_BYTES,
    trust::ServerJudge,
};

/// A stream that a client has opened.
pub type ClientStream = StreamOwned<ClientConnection, Bounded>;

/// The side that calls.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    shown: Arc<ShownCertificate>,
    judge: Arc<ServerJudge>,
    now: Now,
}

impl Client {
    /// A client that shows this identity, or none, and judges servers by this clock.
    ///
    /// # Errors
    ///
    /// When the key is not the certificate's, or nobody could be trusted.
    pub fn new(
        identity: Option<&Identity>,
        trust: &Trust,
        now: Now,
        options: &Options,
    ) -> Result<Self, TransitError> {
        let provider = options.provider();
        let shown = identity.map(Identity::certified).transpose()?;
        let shown = Arc::new(ShownCertificate(RwLock::new(shown)));
        let judge = Arc::new(ServerJudge::new(trust, &provider)?);
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(now.clone()))
            .with_protocol_versions(options.versions.supported())?
            .dangerous()
            // The judge asks `rustls`'s own verifier; it can only be replaced as a whole.
            .with_custom_certificate_verifier(Arc::clone(&judge) as _)
            .with_client_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols.clone_from(&options.protocols);
        config.max_fragment_size = Some(RECORD_BYTES_MAX);
        config.resumption = match options.resumption {
            Resumption::On => Sessions::in_memory_sessions(SESSIONS_MAX),
            Resumption::Off => Sessions::disabled(),
        };
        Ok(Self { config: Arc::new(config), shown, judge, now })
    }

    /// The configuration, for whoever drives connections by other means. After the handshake, ask [`Client::check`].
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    ///
    /// When the key is not the certificate's; the old one stays then.
    pub fn replace_identity(&self, identity: &Identity) -> Result<(), TransitError> {
        let newer = identity.certified()?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Some(newer);
        Ok(())
    }

    /// Believes other authorities or revocation lists from the next handshake on, resumed ones too.
    ///
    /// # Errors
    ///
    /// When the trust is not usable; the old one stays then.
    pub fn replace_trust(&self, trust: &Trust) -> Result<(), TransitError> {
        self.judge.replace(trust)
    }

    /// Makes the handshake with the server that is meant by `host`, a name or an address.
    ///
    /// In TLS 1.3 a client is done before the server has judged its certificate: a refusal shows at the first read.
    ///
    /// # Errors
    ///
    /// Why the server was refused, or refused.
    pub fn connect(
        &self,
        socket: TcpStream,
        host: &str,
        limits: &Limits,
    ) -> Result<ClientStream, TransitError> {
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TransitError::Configuration(format!("`{host}` is not the name of a host")))?;
        let mut socket = Bounded::new(socket, limits).within(limits.handshake);
        let mut connection = ClientConnection::new(self.config(), name.clone())?;
        if let Err(refused) = self.shake_hands(&mut connection, &mut socket, &name) {
            socket.hang_up_unless_gone(&refused);
            return Err(refused);
        }
        socket.settle();
        connection.set_buffer_limit(Some(OUTPUT_BYTES));
        Ok(StreamOwned::new(connection, socket))
    }

    fn shake_hands(
        &self,
        connection: &mut ClientConnection,
        socket: &mut Bounded,
        host: &ServerName<'_>,
    ) -> Result<(), TransitError> {
        while connection.is_handshaking() {
            connection.complete_io(socket)?;
        }
        self.check(connection, host)
    }

    /// Judges the server's certificate anew, once the handshake is over: a resumed session shows it only at its beginning.
    ///
    /// # Errors
    ///
    /// When the certificate is not good any more.
    pub fn check(&self, connection: &ClientConnection, host: &ServerName<'_>) -> Result<(), TransitError> {
        let chain = connection.peer_certificates().unwrap_or_default();
        self.judge.judge(chain, host, self.now.unix())
    }

    /// What the two sides agreed on.
    ///
    /// # Errors
    ///
    /// When the handshake is not over.
    pub fn negotiated(&self, connection: &ClientConnection) -> Result<Negotiated, TransitError> {
        Negotiated::of(connection, None)
    }
}

/// The certificate that is shown, which another can take the place of.
#[derive(Debug)]
struct ShownCertificate(RwLock<Option<Arc<CertifiedKey>>>);

impl ResolvesClientCert for ShownCertificate {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        shown.key.choose_scheme(schemes).map(|_| shown)
    }

    fn has_certs(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}
