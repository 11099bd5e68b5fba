//! A client that hands a sealed model to `transit_server` and asks for tensors of it, over mutual TLS.
//!
//! ```text
//! keystead encrypt model.safetensors --key alias/models --as user/alice
//! cargo run --example transit_client -- 127.0.0.1:7443 model.safetensors.sealed --tensor output.bias \
//!     --ca ca.pem --crl crl.pem --identity alice
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use keystead::{
    model::Days,
    services::inference::{InferenceError, Wish, ask},
    transit::{Bounded, Client as Tls, Duplex, Identity, Limits, Now, Options, Trust},
};

/// Ask a server for tensors of a sealed model
#[derive(Debug, Parser)]
pub(crate) struct Client {
    /// The server's address
    #[arg(value_name = "ADDRESS")]
    server: SocketAddr,
    /// The sealed model
    #[arg(value_name = "FILE")]
    model: PathBuf,
    /// A tensor to ask for; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    tensor: Vec<String>,
    /// What the model is asked
    #[arg(long, value_name = "TEXT", default_value = "")]
    prompt: String,
    /// The name that the server's certificate must have
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,
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
            eprintln!("error: {}", error.to_string().escape_debug());
            ExitCode::FAILURE
        }
    }
}

impl Client {
    /// Asks, and says what came.
    pub(crate) fn run(&self) -> Result<(), InferenceError> {
        let mut model = File::open(&self.model)?;
        let bytes = model.metadata()?.len();
        let wish = Wish {
            tensors: self.tensor.clone(),
            prompt: self.prompt.clone(),
            principal: self.plaintext.clone(),
        };
        let mut stream = self.connect()?;
        for tensor in ask(stream.as_mut(), &wish, &mut model, bytes)? {
            let (name, dtype) = (tensor.name.escape_debug(), tensor.dtype.escape_debug());
            println!("{name} {dtype} {:?}: {} bytes", tensor.shape, tensor.bytes.len());
        }
        Ok(())
    }

    fn connect(&self) -> Result<Box<dyn Duplex>, InferenceError> {
        let (socket, limits) = (TcpStream::connect(self.server)?, Limits::default());
        let (Some(ca), Some(crl), None) = (&self.ca, &self.crl, &self.plaintext) else {
            return Ok(Box::new(Bounded::new(socket, &limits)));
        };
        let trust = Trust::read(ca, crl)?;
        let identity = self.identity.as_deref().map(read_identity).transpose()?;
        let ahead = Days::new(self.days_ahead);
        let now = Now::new(move || Now::system().now().plus(ahead));
        let tls = Tls::new(identity.as_ref(), &trust, now, &Options::default())?;
        let stream = tls.connect(socket, &self.host, &limits)?;
        let agreed = tls.negotiated(&stream.conn)?;
        println!("{} {} {}", agreed.version, agreed.cipher_suite, agreed.group.unwrap_or_default());
        Ok(Box::new(stream))
    }
}

fn read_identity(out: &Path) -> Result<Identity, InferenceError> {
    Ok(Identity::read(&out.with_extension("crt"), &out.with_extension("key"))?)
}
