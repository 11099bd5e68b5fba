//! Who is at the other end, and what the two sides agreed on.

use rustls::{CommonState, HandshakeKind};
use serde::Serialize;

use super::{TransitError, x509};
use crate::model::{CertificateNames, CertificateSerial, PrincipalArn};

/// Who is at the other end, as an authority that is trusted here says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    serial: CertificateSerial,
    names: CertificateNames,
}

impl Peer {
    pub(crate) fn read(certificate: &[u8]) -> Result<Self, TransitError> {
        let (serial, names) = x509::read_names(certificate)?;
        Ok(Self { serial, names })
    }

    /// The certificate's serial number.
    #[must_use]
    pub fn serial(&self) -> &CertificateSerial {
        &self.serial
    }

    /// All that the certificate names.
    #[must_use]
    pub fn names(&self) -> &CertificateNames {
        &self.names
    }

    /// The principal that the peer acts as: whom to ask the KMS's policies about.
    ///
    /// # Errors
    ///
    /// [`TransitError::NoPrincipal`] when the certificate names none, as a server's does.
    pub fn principal(&self) -> Result<&PrincipalArn, TransitError> {
        self.names.principal.as_ref().ok_or(TransitError::NoPrincipal)
    }
}

/// What the two sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Negotiated {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The group of the key exchange, such as `X25519MLKEM768`.
    pub group: Option<String>,
    /// The protocol spoken inside, such as `h2`.
    pub protocol: Option<String>,
    /// The name that the client asked for.
    pub host: Option<String>,
    /// Whether it went on where an earlier connection left off.
    pub resumed: bool,
}

impl Negotiated {
    pub(super) fn of(connection: &CommonState, host: Option<String>) -> Result<Self, TransitError> {
        let unfinished = || TransitError::Protocol("the handshake is not over".into());
        let version = connection.protocol_version().ok_or_else(unfinished)?;
        let suite = connection.negotiated_cipher_suite().ok_or_else(unfinished)?;
        Ok(Self {
            version: format!("{version:?}").replace('_', "."),
            cipher_suite: format!("{:?}", suite.suite()).replace("TLS13_", "TLS_"),
            group: connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
            protocol: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            host,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}
