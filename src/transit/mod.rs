//! TLS between two processes, in which certificates name principals.
//!
//! [`Server`] and [`Client`] are configurations of `rustls`: TLS 1.3 alone unless [`Versions::Tls12Too`] is asked for, the
//! post-quantum hybrid X25519MLKEM768 preferred, both sides authenticated, sessions resumed. A certificate names the
//! principal that its holder acts as by a URI name, its ARN: so the receiving side can ask the KMS's policies whether
//! this very peer may use a key. Validity is judged by a clock that is handed in, the keystore's.
//!
//! What cannot happen here, although it has happened elsewhere:
//!
//! - *A revoked peer comes back by resumption.* A resumed handshake shows no certificate; the one of the session's
//!   beginning is judged again, by the newest list and clock.
//! - *Early data is replayed.* It is never taken or sent. Sessions are kept by the server, and each resumes once.
//! - *A list that nobody renewed is believed.* One that is missing or out of date refuses every certificate.
//! - *A slow peer holds a place.* The handshake has one deadline as a whole, however many bytes trickle in.
//! - *A cut stream passes for a whole one.* Its end without `close_notify` is [`TransitError::CutOff`].
//!
//! Source: RFC 8446 (TLS 1.3), RFC 5280 (certificates), draft-ietf-tls-ecdhe-mlkem (the hybrid).

mod client;
mod error;
mod frame;
mod identity;
mod options;
mod peer;
pub mod pem;
mod serve;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod trust;
pub mod x509;

// The public interface is:
pub use client::{Client, ClientStream};
pub use error::{TransitError, alert_name};
pub use frame::{read_frame, write_frame};
pub use identity::{HolderKey, Identity};
pub use options::{Ciphers, Now, Options, Resumption, SESSIONS_MAX, Versions};
pub use peer::{Negotiated, Peer};
pub use serve::serve;
pub use server::{Callers, Server, ServerStream};
pub use stream::{Bounded, Duplex, Gate, Limits, Pass, reason};
pub use trust::Trust;
