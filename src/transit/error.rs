//! What goes wrong between two processes, each with a name of its own.

use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};
use thiserror::Error;

use crate::model::Timestamp;

/// Why a connection was not made, or did not last.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransitError {
    /// No authority that is trusted here issued the peer's certificate.
    #[error("the peer's certificate was issued by no authority that is trusted here")]
    UnknownAuthority,
    /// The server's certificate does not name the host that was meant.
    #[error("the server's certificate is not for the host that was called")]
    WrongHost,
    /// The certificate has ended, by the keystore's clock.
    #[error("the peer's certificate has expired")]
    Expired,
    /// The certificate is not valid yet, by the keystore's clock.
    #[error("the peer's certificate is not valid yet")]
    NotYetValid,
    /// The certificate is on the revocation list.
    #[error("the peer's certificate was revoked")]
    Revoked,
    /// There is no revocation list for the certificate, or it is too old to be believed.
    #[error(
        "it is not known whether the peer's certificate was revoked: the revocation list is missing or too old"
    )]
    RevocationUnknown,
    /// The certificate is for something else: a server's, or a client's.
    #[error("the peer's certificate is not for this purpose")]
    WrongPurpose,
    /// The certificate is otherwise not good.
    #[error("the peer's certificate is not good: {0}")]
    BadCertificate(String),
    /// The peer must show a certificate and showed none.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The peer's certificate names no principal.
    #[error("the peer's certificate names no principal")]
    NoPrincipal,
    /// The peer speaks only versions of TLS that are not spoken here.
    #[error("the peer speaks no version of TLS that is spoken here")]
    ProtocolVersion,
    /// The two have no cipher, group, signature or application protocol in common.
    #[error("the two sides have nothing in common: {0}")]
    NothingInCommon(String),
    /// A record does not authenticate: it was changed, moved, repeated or made by somebody else.
    #[error("a record is not authentic: it was changed, repeated or made by somebody else")]
    ForgedRecord,
    /// What came is not TLS.
    #[error("the peer does not speak TLS as it should: {0}")]
    Protocol(String),
    /// The peer refused this side, with an alert of RFC 8446, section 6.
    #[error("the peer refused: {}", alert_name(*.0))]
    PeerRefused(AlertDescription),
    /// The stream ended without saying that this is its end: perhaps somebody cut it off.
    #[error("the stream was cut off before its end")]
    CutOff,
    /// The peer took longer than it may.
    #[error("the peer took longer than it may")]
    TimedOut,
    /// The peer announces more than is taken at once.
    #[error("the peer sends {0} bytes at once, and {1} are the most that is taken")]
    FrameTooLong(u64, usize),
    /// The peer speaks TLS where none is spoken.
    #[error("the peer speaks TLS, and this side does not")]
    SpeaksTls,
    /// As many peers as may be are connected already.
    #[error("{0} peers are connected already, which is as many as may be")]
    TooManyPeers(usize),
    /// A file with a certificate, a key or a list holds something else.
    #[error("{0}")]
    NotPem(String),
    /// A certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Making(String),
    /// A time that a certificate cannot say.
    #[error("`{0}` is not a time that a certificate can say")]
    Time(Timestamp),
    /// What was to be configured does not fit together.
    #[error("this cannot be configured: {0}")]
    Configuration(String),
    /// The network or the file system failed.
    #[error("{0}")]
    Io(#[source] io::Error),
}

impl TransitError {
    /// The error's name: what a program or a lesson tells apart.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownAuthority => "UnknownAuthority",
            Self::WrongHost => "WrongHost",
            Self::Expired => "Expired",
            Self::NotYetValid => "NotYetValid",
            Self::Revoked => "Revoked",
            Self::RevocationUnknown => "RevocationUnknown",
            Self::WrongPurpose => "WrongPurpose",
            Self::BadCertificate(_) => "BadCertificate",
            Self::NoCertificate => "NoCertificate",
            Self::NoPrincipal => "NoPrincipal",
            Self::ProtocolVersion => "ProtocolVersion",
            Self::NothingInCommon(_) => "NothingInCommon",
            Self::ForgedRecord => "ForgedRecord",
            Self::Protocol(_) => "Protocol",
            Self::PeerRefused(_) => "PeerRefused",
            Self::CutOff => "CutOff",
            Self::TimedOut => "TimedOut",
            Self::FrameTooLong(..) => "FrameTooLong",
            Self::SpeaksTls => "SpeaksTls",
            Self::TooManyPeers(_) => "TooManyPeers",
            Self::NotPem(_) => "NotPem",
            Self::Making(_) => "Making",
            Self::Time(_) => "Time",
            Self::Configuration(_) => "Configuration",
            Self::Io(_) => "Io",
        }
    }
}

impl TransitError {
    /// Whether nobody is there any more who could be told.
    pub(crate) fn is_of_nobody(&self) -> bool {
        matches!(self, Self::TimedOut | Self::CutOff | Self::Io(_))
    }
}

impl From<rustls::Error> for TransitError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => why.into(),
            rustls::Error::InvalidCertRevocationList(_) => Self::RevocationUnknown,
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::DecryptError => Self::ForgedRecord,
            rustls::Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => Self::ProtocolVersion,
            rustls::Error::PeerIncompatible(why) => why.into(),
            rustls::Error::NoApplicationProtocol => {
                Self::NothingInCommon("the application's protocol".into())
            }
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::ProtocolVersion,
            rustls::Error::AlertReceived(alert) => Self::PeerRefused(alert),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl From<CertificateError> for TransitError {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongHost
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::RevocationUnknown,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            other => Self::BadCertificate(other.to_string()),
        }
    }
}

impl From<PeerIncompatible> for TransitError {
    fn from(error: PeerIncompatible) -> Self {
        match error {
            // A client without this extension knows nothing newer than TLS 1.1, or 1.2 with SHA-1 alone.
            PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic => Self::ProtocolVersion,
            other => Self::NothingInCommon(format!("{other:?}")),
        }
    }
}

impl From<io::Error> for TransitError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => inner.clone().into(),
            None => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected
                | io::ErrorKind::BrokenPipe => Self::CutOff,
                _ => Self::Io(error),
            },
        }
    }
}

/// An alert's name as RFC 8446 writes it, such as `certificate_expired`.
#[must_use]
pub fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for character in format!("{alert:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    // The one name in which capitals stand together.
    name.replace("_c_a", "_ca")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_rfc() {
        for (alert, name) in [
            (AlertDescription::CertificateExpired, "certificate_expired"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::CertificateRequired, "certificate_required"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }

    #[test]
    fn what_tls_says_keeps_its_name_on_the_way_through_io() {
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert!(matches!(TransitError::from(wrapped), TransitError::ForgedRecord));
        let timed_out = io::Error::from(io::ErrorKind::WouldBlock);
        assert!(matches!(TransitError::from(timed_out), TransitError::TimedOut));
        for cut in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset] {
            assert!(matches!(TransitError::from(io::Error::from(cut)), TransitError::CutOff));
        }
    }
}
