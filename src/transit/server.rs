//! The side that is called: its configuration, which can change while it serves, and who has called.

use std::{
    net::TcpStream,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::CryptoProvider,
    pki_types::CertificateDer,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache},
    sign::CertifiedKey,
};

use super::{
    Bounded, Identity, Limits, Negotiated, Now, Options, Peer, Resumption, TransitError, Trust,
    options::{RECORD_BYTES_MAX, SESSIONS_MAX},
    stream::OUTPUT_BYTES,
    trust::ClientJudge,
};

/// A stream that a server has accepted.
pub type ServerStream = StreamOwned<ServerConnection, Bounded>;

/// Whether callers must show a certificate.
#[derive(Debug, Clone)]
pub enum Callers {
    /// They must, from an authority that is trusted: mutual authentication.
    Certified(Trust),
    /// They may; what they show must be good.
    CertifiedOrNot(Trust),
    /// They are not asked. Who they are shows otherwise, such as by a signature on each request.
    Anybody,
}

/// The side that is called.
#[derive(Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    shown: Arc<ShownCertificate>,
    judge: Option<Arc<ClientJudge>>,
    now: Now,
}

impl Server {
    /// A server that shows this identity and judges callers by this clock.
    ///
    /// # Errors
    ///
    /// When the key is not the certificate's, or nobody could be trusted.
    pub fn new(
        identity: &Identity,
        callers: &Callers,
        now: Now,
        options: &Options,
    ) -> Result<Self, TransitError> {
        let provider = options.provider();
        let shown = Arc::new(ShownCertificate(RwLock::new(identity.certified()?)));
        let judge = judge_of(callers, &provider)?;
        let builder = ServerConfig::builder_with_details(provider, Arc::new(now.clone()))
            .with_protocol_versions(options.versions.supported())?;
        let builder = match &judge {
            Some(judge) => builder.with_client_cert_verifier(Arc::clone(judge) as _),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols.clone_from(&options.protocols);
        config.max_fragment_size = Some(RECORD_BYTES_MAX);
        match options.resumption {
            // Kept here, not in tickets that the client holds: each is good once, and a replayed one for nothing.
            Resumption::On => config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX),
            Resumption::Off => {
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
            }
        }
        Ok(Self { config: Arc::new(config), shown, judge, now })
    }

    /// The configuration, for whoever drives connections by other means, such as `tokio-rustls`. After the handshake, ask
    /// [`Server::peer`] who called.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    ///
    /// When the key is not the certificate's; the old one stays then.
    pub fn replace_identity(&self, identity: &Identity) -> Result<(), TransitError> {
        let newer = identity.certified()?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = newer;
        Ok(())
    }

    /// Believes other authorities or revocation lists from the next handshake on, resumed ones too.
    ///
    /// # Errors
    ///
    /// When callers are not asked for certificates, or the trust is not usable; the old one stays then.
    pub fn replace_trust(&self, trust: &Trust) -> Result<(), TransitError> {
        match &self.judge {
            Some(judge) => judge.replace(trust),
            None => Err(TransitError::Configuration("callers are not asked for certificates".into())),
        }
    }

    /// Makes the handshake with whoever called, in no more time than the limits give.
    ///
    /// # Errors
    ///
    /// Why the caller was refused; it has been told by an alert.
    pub fn accept(
        &self,
        socket: TcpStream,
        limits: &Limits,
    ) -> Result<(ServerStream, Option<Peer>), TransitError> {
        socket.set_nodelay(true)?;
        let mut socket = Bounded::new(socket, limits).within(limits.handshake);
        let mut connection = ServerConnection::new(self.config())?;
        let peer = match self.shake_hands(&mut connection, &mut socket) {
            Ok(peer) => peer,
            Err(refused) => {
                socket.hang_up_unless_gone(&refused);
                return Err(refused);
            }
        };
        socket.settle();
        connection.set_buffer_limit(Some(OUTPUT_BYTES));
        Ok((StreamOwned::new(connection, socket), peer))
    }

    fn shake_hands(
        &self,
        connection: &mut ServerConnection,
        socket: &mut Bounded,
    ) -> Result<Option<Peer>, TransitError> {
        while connection.is_handshaking() {
            connection.complete_io(socket)?;
        }
        let peer = self.peer(connection);
        if peer.is_err() {
            connection.send_close_notify();
        }
        // What follows the handshake, such as tickets, goes out now.
        while connection.wants_write() {
            connection.write_tls(socket)?;
        }
        peer
    }

    /// Who has called, once the handshake is over: none when callers need no certificate and this one showed none.
    ///
    /// A resumed session shows no certificate again, so the one of its beginning is judged anew: a caller that was revoked
    /// or has expired meanwhile is refused here.
    ///
    /// # Errors
    ///
    /// When the certificate is not good any more, or does not say who its holder is.
    pub fn peer(&self, connection: &ServerConnection) -> Result<Option<Peer>, TransitError> {
        let Some(judge) = &self.judge else { return Ok(None) };
        let chain: &[CertificateDer<'_>] = connection.peer_certificates().unwrap_or_default();
        let Some(holder) = chain.first() else { return Ok(None) };
        judge.judge(chain, self.now.unix())?;
        Peer::read(holder).map(Some)
    }

    /// What the two sides agreed on.
    ///
    /// # Errors
    ///
    /// When the handshake is not over.
    pub fn negotiated(&self, connection: &ServerConnection) -> Result<Negotiated, TransitError> {
        let called = connection.server_name().map(str::to_owned);
        Negotiated::of(connection, called)
    }
}

fn judge_of(
    callers: &Callers,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<ClientJudge>>, TransitError> {
    let (trust, mandatory) = match callers {
        Callers::Certified(trust) => (trust, true),
        Callers::CertifiedOrNot(trust) => (trust, false),
        Callers::Anybody => return Ok(None),
    };
    Ok(Some(Arc::new(ClientJudge::new(trust, provider, mandatory)?)))
}

/// The certificate that is shown, which another can take the place of.
#[derive(Debug)]
struct ShownCertificate(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
