//! What encryption in transit costs: throughput and processor time, and handshakes with and without resumption.
//!
//! Both sides are threads of this process, so the processor's time is that of both together; they talk over loopback, where
//! nothing but the processor is in the way.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::{
    model::{CertificateNames, CertificateSerial, Days, ParseError, Timestamp},
    secret::SecretBytes,
    transit::{
        Bounded, Callers, Ciphers, Client, Duplex, HolderKey, Identity, Limits, Now, Options, Resumption,
        Server, TransitError, Trust,
        x509::{SigningAuthority, Validity, new_authority_key, self_signed},
    },
};

/// How much is written at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of a gigabyte.
const GB: f64 = 1e9;

/// How the bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Wire {
    /// As they are.
    Plaintext,
    /// TLS 1.3 with AES-256-GCM.
    Aes256Gcm,
    /// TLS 1.3 with ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

impl Wire {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plaintext, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// For a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Aes256Gcm => "TLS 1.3 AES-256-GCM",
            Self::ChaCha20Poly1305 => "TLS 1.3 ChaCha20-Poly1305",
        }
    }

    fn ciphers(self) -> Ciphers {
        match self {
            Self::Plaintext => Ciphers::Safe,
            Self::Aes256Gcm => Ciphers::Aes256Gcm,
            Self::ChaCha20Poly1305 => Ciphers::ChaCha20Poly1305,
        }
    }
}

/// How fast bytes go, and at what cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// Gigabytes a second.
    pub gb_per_second: f64,
    /// Seconds of processor time for a gigabyte, of both sides together.
    pub cpu_seconds_per_gb: f64,
}

/// How fast handshakes are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshakes {
    /// How many a second, of all callers together.
    pub per_second: f64,
    /// What half of them take no longer than: a connection made, the handshake, and a byte there and back.
    pub median: Duration,
}

/// An authority and two certificates, for measurements alone.
pub struct Parties {
    server: Identity,
    client: Identity,
    trust: Trust,
}

impl Parties {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn new() -> Result<Self, TransitError> {
        let at = Now::system().now();
        let validity = Validity { not_before: at.plus_millis(-60_000), not_after: at.plus(Days::new(1)) };
        let key = new_authority_key()?;
        let authority = self_signed(&key, "measure", &serial(1), validity)?;
        let host = CertificateNames::of_host(named("localhost")?);
        let alice = CertificateNames::of_principal(named("arn:aws:iam::111122223333:user/alice")?);
        let trust = Trust::new(std::slice::from_ref(&authority), &[list(&authority, &key, at)?])?;
        let issue = |number, names: &CertificateNames| {
            let holder = HolderKey::generate()?;
            let signing = SigningAuthority::new(&authority, &key)?;
            let certificate = signing.issue(holder.request(), names, &serial(number), validity)?;
            Ok::<_, TransitError>(holder.with_certificate(certificate))
        };
        Ok(Self { server: issue(2, &host)?, client: issue(3, &alice)?, trust })
    }

    fn sides(&self, options: &Options) -> Result<(Server, Client), TransitError> {
        let callers = Callers::Certified(self.trust.clone());
        let server = Server::new(&self.server, &callers, Now::system(), options)?;
        Ok((server, Client::new(Some(&self.client), &self.trust, Now::system(), options)?))
    }

    /// Sends that many bytes from one thread to another.
    ///
    /// # Errors
    ///
    /// When the stream breaks.
    pub fn throughput(&self, wire: Wire, bytes: u64) -> Result<Throughput, TransitError> {
        let (server, client) = self.sides(&Options { ciphers: wire.ciphers(), ..Options::default() })?;
        let limits = Limits::default();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::scope(|scope| {
            let receiving = scope.spawn(|| -> Result<u64, TransitError> {
                let socket = listener.accept()?.0;
                match wire {
                    Wire::Plaintext => drain(&mut Bounded::new(socket, &limits)),
                    _ => drain(&mut server.accept(socket, &limits)?.0),
                }
            });
            let socket = TcpStream::connect(address)?;
            let mut stream: Box<dyn Duplex> = match wire {
                Wire::Plaintext => Box::new(Bounded::new(socket, &limits)),
                _ => Box::new(client.connect(socket, "localhost", &limits)?),
            };
            let (began, cpu) = (Instant::now(), cpu_time());
            let chunk = vec![7; CHUNK_BYTES];
            let mut left = bytes;
            while left > 0 {
                let now = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
                stream.write_all(chunk.get(..now).unwrap_or_default())?;
                left -= now as u64;
            }
            stream.flush()?;
            stream.finish()?;
            let received = receiving.join().map_err(|_| TransitError::CutOff)??;
            if received != bytes {
                return Err(TransitError::CutOff);
            }
            let gb = gigabytes(bytes);
            Ok(Throughput {
                gb_per_second: gb / began.elapsed().as_secs_f64(),
                cpu_seconds_per_gb: (cpu_time() - cpu).as_secs_f64() / gb,
            })
        })
    }

    /// Makes that many handshakes in all, by so many callers at once.
    ///
    /// # Errors
    ///
    /// When one fails.
    pub fn handshakes(
        &self,
        resumption: Resumption,
        count: usize,
        callers: usize,
    ) -> Result<Handshakes, TransitError> {
        let (server, client) = self.sides(&Options { resumption, ..Options::default() })?;
        let (server, client, limits) = (Arc::new(server), Arc::new(client), Limits::default());
        let each = count.div_ceil(callers.max(1));
        let began = Instant::now();
        let mut taken = thread::scope(|scope| {
            let pairs: Vec<_> = (0..callers)
                .map(|_| {
                    let (server, client) = (&server, &client);
                    scope.spawn(move || pair(server, client, &limits, each))
                })
                .collect();
            let mut taken = Vec::new();
            for pair in pairs {
                taken.extend(pair.join().map_err(|_| TransitError::CutOff)??);
            }
            Ok::<_, TransitError>(taken)
        })?;
        taken.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "a number of handshakes fits 53 bits")]
        let per_second = taken.len() as f64 / began.elapsed().as_secs_f64();
        Ok(Handshakes { per_second, median: taken.get(taken.len() / 2).copied().unwrap_or_default() })
    }
}

/// Handshakes one after the other, and how long each took.
fn pair(
    server: &Server,
    client: &Client,
    limits: &Limits,
    count: usize,
) -> Result<Vec<Duration>, TransitError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| -> Result<(), TransitError> {
            for _ in 0..count {
                let (mut stream, _) = server.accept(listener.accept()?.0, limits)?;
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                stream.write_all(&byte)?;
                stream.flush()?;
            }
            Ok(())
        });
        let taken: Result<Vec<_>, _> = (0..count).map(|_| handshake(client, address, limits)).collect();
        serving.join().map_err(|_| TransitError::CutOff)??;
        taken
    })
}

fn handshake(client: &Client, address: SocketAddr, limits: &Limits) -> Result<Duration, TransitError> {
    let began = Instant::now();
    let mut stream = client.connect(TcpStream::connect(address)?, "localhost", limits)?;
    stream.write_all(&[7])?;
    stream.read_exact(&mut [0])?;
    Ok(began.elapsed())
}

fn drain(stream: &mut dyn Duplex) -> Result<u64, TransitError> {
    let mut all = 0;
    loop {
        match stream.fill_buf().map(<[u8]>::len) {
            Ok(0) => return Ok(all),
            Ok(bytes) => {
                stream.consume(bytes);
                all += bytes as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn list(authority: &[u8], key: &SecretBytes, at: Timestamp) -> Result<Vec<u8>, TransitError> {
    SigningAuthority::new(authority, key)?.revocation_list(
        &[],
        1,
        at.plus_millis(-60_000),
        at.plus(Days::new(1)),
    )
}

fn serial(number: u8) -> CertificateSerial {
    CertificateSerial::from_random([number; 16])
}

fn named<T: std::str::FromStr<Err = ParseError>>(text: &str) -> Result<T, TransitError> {
    text.parse().map_err(|error: ParseError| TransitError::Configuration(error.to_string()))
}

/// The processor time that this process has used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "what is sent fits 53 bits")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / GB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_measured() {
        let parties = Parties::new().unwrap();
        for wire in Wire::ALL {
            let measured = parties.throughput(wire, 1_000_000).unwrap();
            assert!(measured.gb_per_second > 0.0 && measured.cpu_seconds_per_gb > 0.0, "{measured:?}");
        }
        for resumption in [Resumption::On, Resumption::Off] {
            let measured = parties.handshakes(resumption, 4, 2).unwrap();
            assert!(measured.per_second > 0.0 && measured.median > Duration::ZERO);
        }
    }
}
