//! A server that gives tensors of sealed models to whoever may use their key, over mutual TLS.
//!
//! ```text
//! keystead init --from keystore/lab.toml && keystead tls ca > ca.pem && keystead tls ca --crl > crl.pem
//! keystead tls issue --principal user/alice --out alice
//! cargo run --example transit_server -- --keystore DIR
//! ```
//!
//! Then call it with `transit_client`. It says `ready: ADDRESS`, and a line for each caller.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use std::{
    error::Error,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use keystead::{
    keystore::{Keystore, WithoutAsking},
    model::CertificateNames,
    services::{
        inference::{InferenceError, Served, one_line},
        tls::{KeptServer, Mutual, SERVER_CERTIFICATE_DAYS},
    },
    transit::{Bounded, Limits, Now, Options, Versions, serve},
};

/// Give tensors of sealed models to whoever may use their key
#[derive(Debug, Parser)]
pub(crate) struct Server {
    /// The keystore's directory; nobody else can have it open meanwhile
    #[arg(long, value_name = "DIR")]
    keystore: PathBuf,
    /// Where to listen; port 0 is one that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Speak without TLS: whoever listens sees all, and everybody is who they say they are
    #[arg(long)]
    plaintext: bool,
    /// Also speak TLS 1.2
    #[arg(long)]
    tls12: bool,
    /// How long a caller may take for the handshake, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    handshake_ms: u64,
    /// How long a caller may say nothing, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    idle_ms: u64,
    /// How many callers there may be at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    peers_max: usize,
}

#[allow(dead_code, reason = "`keystead demo transit` runs this program from within")]
fn main() -> ExitCode {
    match Server::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Server {
    /// Serves until the process is ended.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let keystore = Arc::new(Keystore::open(&self.keystore, &mut WithoutAsking, "transit_server")?);
        let limits = Limits {
            handshake: Duration::from_millis(self.handshake_ms),
            idle: Duration::from_millis(self.idle_ms),
            peers_max: self.peers_max,
            ..Limits::default()
        };
        let tls = if self.plaintext { None } else { Some(self.tls(&keystore)?) };
        let listener = TcpListener::bind(self.listen)?;
        println!("ready: {}", listener.local_addr()?);
        serve(&listener, &limits, |caller| {
            let answered = caller.map_err(InferenceError::from).and_then(|socket| match &tls {
                Some(tls) => over_tls(&keystore, tls, socket, &limits),
                None => in_plaintext(&keystore, socket, &limits),
            });
            match answered {
                Ok((who, served)) => {
                    println!("served {who}: {} ({} bytes)", served.tensors.join(" "), served.bytes)
                }
                Err(error) => println!("refused {}", one_line(&error.to_string())),
            }
        })?;
        Ok(())
    }

    /// A certificate of the keystore's own authority, whose private key is nowhere but in this process, and the
    /// keystore's clock to judge callers by.
    fn tls(&self, keystore: &Arc<Keystore>) -> Result<KeptServer, Box<dyn Error>> {
        let names = CertificateNames::of_host("localhost".parse()?).and_address(self.listen.ip());
        let clock = Arc::clone(keystore);
        let options = Options {
            versions: if self.tls12 { Versions::Tls12Too } else { Versions::Tls13 },
            ..Options::default()
        };
        Ok(KeptServer::new(
            keystore.tls(),
            &keystore.administrator(),
            names,
            SERVER_CERTIFICATE_DAYS,
            Mutual::Yes,
            Now::new(move || clock.time()),
            &options,
        )?)
    }
}

/// The caller is who its certificate says, and the KMS decides what that principal may.
fn over_tls(
    keystore: &Keystore,
    tls: &KeptServer,
    socket: TcpStream,
    limits: &Limits,
) -> Result<(String, Served), InferenceError> {
    // The certificate and the revocation list of this server get old; what is due is made anew here.
    let renewed = tls.renew_if_due(keystore.tls(), &keystore.administrator(), keystore.time());
    renewed.map_err(|error| InferenceError::Refused((&error).into()))?;
    let (mut stream, peer) = tls.server().accept(socket, limits)?;
    let Some(peer) = peer else { return Err(keystead::transit::TransitError::NoCertificate.into()) };
    let agreed = tls.server().negotiated(&stream.conn)?;
    let served = keystore.inference().answer(&mut stream, |_| keystore.tls().caller(&peer))?;
    let group = agreed.group.unwrap_or_else(|| "no new key".into());
    let who = format!("{} by {} {} {group}", peer.principal()?, agreed.version, agreed.cipher_suite);
    Ok((who, served))
}

/// Without TLS there is only the caller's word for who it is.
fn in_plaintext(
    keystore: &Keystore,
    socket: TcpStream,
    limits: &Limits,
) -> Result<(String, Served), InferenceError> {
    let mut stream = Bounded::new(socket, limits);
    let mut claimed = String::new();
    let served = keystore.inference().answer(&mut stream, |wish| {
        claimed = wish.principal.clone().unwrap_or_default();
        keystore.caller(&claimed)
    })?;
    Ok((format!("{claimed}, as it says"), served))
}
