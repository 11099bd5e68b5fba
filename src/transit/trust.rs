//! Whom one side believes: authorities with their revocation lists, put in place of others without a restart.
//!
//! INVARIANT: a certificate of an authority whose list is missing or out of date is refused, unless the trust was made
//! [without lists](Trust::without_revocation) by name.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{TransitError, pem};

/// Whom one side believes.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    lists: Option<Vec<CertificateRevocationListDer<'static>>>,
}

impl Trust {
    /// Believes these authorities (DER), but no certificate on their revocation lists (DER). Each needs a list.
    ///
    /// # Errors
    ///
    /// When one of them is no certificate.
    pub fn new(authorities: &[Vec<u8>], lists: &[Vec<u8>]) -> Result<Self, TransitError> {
        let lists = lists.iter().map(|list| CertificateRevocationListDer::from(list.clone())).collect();
        Ok(Self { lists: Some(lists), ..Self::without_revocation(authorities)? })
    }

    /// Believes the authorities in one PEM file, but no certificate on the revocation list in the other.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or holds something else.
    pub fn read(authorities: &Path, list: &Path) -> Result<Self, TransitError> {
        Self::new(&pem::read_certificates(authorities)?, &[pem::read_revocation_list(list)?])
    }

    /// Believes these authorities (DER) and does not learn what they revoke.
    ///
    /// # Errors
    ///
    /// When one of them is no certificate.
    pub fn without_revocation(authorities: &[Vec<u8>]) -> Result<Self, TransitError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(CertificateDer::from(authority.as_slice()))?;
        }
        Ok(Self { roots: Arc::new(roots), lists: None })
    }

    fn of_clients(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TransitError> {
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(provider));
        let builder = match &self.lists {
            Some(lists) => builder.with_crls(lists.iter().cloned()).enforce_revocation_expiration(),
            None => builder,
        };
        builder.build().map_err(|error| self.unfit(&error))
    }

    fn of_servers(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, TransitError> {
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(provider));
        let builder = match &self.lists {
            Some(lists) => builder.with_crls(lists.iter().cloned()).enforce_revocation_expiration(),
            None => builder,
        };
        builder.build().map_err(|error| self.unfit(&error))
    }

    fn unfit(&self, error: &VerifierBuilderError) -> TransitError {
        TransitError::Configuration(format!("{error} ({} authorities)", self.roots.len()))
    }

    fn check(&self) -> Result<(), TransitError> {
        // `rustls` takes no list at all for the wish to look at none.
        match &self.lists {
            Some(lists) if lists.is_empty() => {
                Err(TransitError::Configuration("there is no revocation list".into()))
            }
            _ => Ok(()),
        }
    }
}

/// Judges the clients of a server.
#[derive(Debug)]
pub(super) struct ClientJudge {
    current: RwLock<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
    mandatory: bool,
}

impl ClientJudge {
    pub(super) fn new(
        trust: &Trust,
        provider: &Arc<CryptoProvider>,
        mandatory: bool,
    ) -> Result<Self, TransitError> {
        trust.check()?;
        let current = RwLock::new(trust.of_clients(provider)?);
        Ok(Self { current, provider: Arc::clone(provider), mandatory })
    }

    pub(super) fn replace(&self, trust: &Trust) -> Result<(), TransitError> {
        trust.check()?;
        let newer = trust.of_clients(&self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = newer;
        Ok(())
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a chain is good now.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), TransitError> {
        let (holder, more) = chain.split_first().ok_or(TransitError::NoCertificate)?;
        self.verify_client_cert(holder, more, now)?;
        Ok(())
    }
}

impl ClientCertVerifier for ClientJudge {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: which authorities are believed may change, and is not for everybody to know.
        &[]
    }

    fn verify_client_cert(
        &self,
        holder: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current().verify_client_cert(holder, more, now).map_err(without_list)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}

/// Judges the server of a client.
#[derive(Debug)]
pub(super) struct ServerJudge {
    current: RwLock<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerJudge {
    pub(super) fn new(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Self, TransitError> {
        trust.check()?;
        Ok(Self { current: RwLock::new(trust.of_servers(provider)?), provider: Arc::clone(provider) })
    }

    pub(super) fn replace(&self, trust: &Trust) -> Result<(), TransitError> {
        trust.check()?;
        let newer = trust.of_servers(&self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = newer;
        Ok(())
    }

    fn current(&self) -> Arc<WebPkiServerVerifier> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a chain is good now, for this host.
    pub(super) fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), TransitError> {
        let (holder, more) = chain.split_first().ok_or(TransitError::NoCertificate)?;
        self.verify_server_cert(holder, more, host, &[], now)?;
        Ok(())
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        holder: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.current().verify_server_cert(holder, more, host, ocsp, now).map_err(without_list)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}

/// A list that cannot be used leaves the certificate's standing unknown.
fn without_list(error: rustls::Error) -> rustls::Error {
    match error {
        rustls::Error::InvalidCertRevocationList(_) => {
            rustls::Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)
        }
        other => other,
    }
}
