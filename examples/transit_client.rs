//! A client that hands a sealed model to `transit_server` and asks for tensors of it, over mutual TLS.
//!
//! ```text
//! keystead encrypt model.safetensors --key alias/models --as user/alice
//! cargo run --example transit_client -- localhost:7443 model.safetensors.sealed --tensor output.bias \
//!     --ca ca.pem --crl crl.pem --identity alice
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use std::{
    fs::File,
    io,
    net::{IpAddr, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use keystead::{
    model::Days,
    services::inference::{InferenceError, Wish, ask, one_line},
    transit::{Bounded, Client as Tls, Duplex, Identity, Limits, Now, Options, Trust},
};

/// Ask a server for tensors of a sealed model
#[derive(Debug, Parser)]
pub(crate) struct Client {
    /// The server: an address or a name, with its port
    #[arg(value_name = "HOST:PORT")]
    server: String,
    /// The sealed model
    #[arg(value_name = "FILE")]
    model: PathBuf,
    /// A tensor to ask for; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    tensor: Vec<String>,
    /// What the model is asked
    #[arg(long, value_name = "TEXT", default_value = "")]
    prompt: String,
    /// The name that the server's certificate must have [default: the HOST that is called; of an address localhost]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The certificate of the authority that is trusted: `keystead tls ca`
    #[arg(long, value_name = "FILE", required_unless_present = "plaintext")]
    ca: Option<PathBuf>,
    /// Its revocation list: `keystead tls ca --crl`
    #[arg(long, value_name = "FILE", required_unless_present = "plaintext")]
    crl: Option<PathBuf>,
    /// Who this is: OUT of `keystead tls issue`, so that OUT.crt and OUT.key are read
    #[arg(long, value_name = "OUT")]
    identity: Option<PathBuf>,
    /// How many days the keystore's clock is ahead of this machine's
    #[arg(long, value_name = "N", default_value_t = 0)]
    days_ahead: u32,
    /// Speak without TLS, and claim to be this principal
    #[arg(long, value_name = "WHO")]
    plaintext: Option<String>,
}

#[allow(dead_code, reason = "`keystead demo transit` runs this program from within")]
fn main() -> ExitCode {
    match Client::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

impl Client {
    /// Asks, and says what came.
    pub(crate) fn run(&self) -> Result<(), InferenceError> {
        let mut model = File::open(&self.model).map_err(|error| about(&self.model.display(), &error))?;
        let bytes = model.metadata()?.len();
        let wish = Wish {
            tensors: self.tensor.clone(),
            prompt: self.prompt.clone(),
            principal: self.plaintext.clone(),
        };
        let (mut stream, agreed) = self.connect()?;
        let answered = ask(stream.as_mut(), &wish, &mut model, bytes);
        // In TLS 1.3 a client has all it needs before the server has judged its certificate: only an answer tells that the
        // two have come together.
        if !matches!(answered, Err(InferenceError::Transit(_))) {
            println!("{agreed}");
        }
        for tensor in answered? {
            let (name, dtype) = (one_line(&tensor.name), one_line(&tensor.dtype));
            println!("{name} {dtype} {:?}: {} bytes", tensor.shape, tensor.bytes.len());
        }
        Ok(())
    }

    /// The stream, and what the two sides agreed on.
    fn connect(&self) -> Result<(Box<dyn Duplex>, String), InferenceError> {
        let limits = Limits::default();
        let socket = || TcpStream::connect(&self.server).map_err(|error| about(&self.server, &error));
        let (Some(ca), Some(crl), None) = (&self.ca, &self.crl, &self.plaintext) else {
            return Ok((Box::new(Bounded::new(socket()?, &limits)), "no TLS".into()));
        };
        let trust = Trust::read(ca, crl)?;
        let identity = self.identity.as_deref().map(read_identity).transpose()?;
        let ahead = Days::new(self.days_ahead);
        let now = Now::new(move || Now::system().now().plus(ahead));
        let tls = Tls::new(identity.as_ref(), &trust, now, &Options::default())?;
        let stream = tls.connect(socket()?, self.host(), &limits)?;
        let agreed = tls.negotiated(&stream.conn)?;
        let group = agreed.group.unwrap_or_default();
        Ok((Box::new(stream), format!("{} {} {group}", agreed.version, agreed.cipher_suite)))
    }

    fn host(&self) -> &str {
        let called = self.server.rsplit_once(':').map_or(self.server.as_str(), |(host, _)| host);
        let is_address = called.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        self.host.as_deref().unwrap_or(if is_address { "localhost" } else { called })
    }
}

/// An error that says which file or address it is about.
fn about(what: &dyn std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{what}`: {error}"))
}

fn read_identity(out: &Path) -> Result<Identity, InferenceError> {
    Ok(Identity::read(&out.with_extension("crt"), &out.with_extension("key"))?)
}
