//! `keystead serve`

use std::{
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use tokio::sync::watch;

use super::{
    endpoint::{InMemory, authority_pem, bind, endpoints, runtime, write_profile, write_whole},
    error::CommandError,
    exit::Exit,
    global::Global,
    output,
};
use crate::{
    api::server::{
        Authentication, Hosts, Lender, Options, Renew, Reopen, Server, ServerKey, ServerKeys, TlsOptions,
    },
    keystore::{Keystore, NewKeystore, lending::Lending},
    kms::SystemClock,
    model::{AccountId, HostName, ParseError, Region},
    transit::Versions,
    world::Settings,
};

/// The account of emulators that do not authenticate.
const EMULATORS_ACCOUNT: &str = "123456789012";
/// The account of a keystore in memory that authenticates.
const DEFAULT_ACCOUNT: &str = "111122223333";

/// Serve a keystore to AWS's clients
///
/// Example: keystead serve
///
/// Then `AWS_ENDPOINT_URL=http://127.0.0.1:4599` and an access key are all that an AWS client needs. With `--ephemeral`
/// the keystore lives in memory and is gone when the server stops. Other commands go on working on one that is on disk:
/// the server lends it to them, one at a time. The server listens on this machine alone, unless `--allow-remote` says
/// otherwise. With `--tls-listen` it speaks TLS too, with a certificate of the keystore's own authority that it renews by
/// itself; clients trust the file of `--ca-file` by `AWS_CA_BUNDLE`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address to listen on; port 0 is one that is free
    #[arg(long, default_value = "127.0.0.1:4599", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The address to speak TLS on
    #[arg(long, value_name = "ADDRESS")]
    tls_listen: Option<SocketAddr>,
    /// Speak TLS 1.2 too, for clients that know nothing newer
    #[arg(long, requires = "tls_listen")]
    tls12: bool,
    /// Write the authority's certificate to this file, for clients to trust
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    ca_file: Option<PathBuf>,
    /// Whether requests must be signed
    #[arg(long, value_enum, default_value_t = Auth::Sigv4, value_name = "HOW")]
    auth: Auth,
    /// Serve a keystore in memory
    #[arg(long)]
    ephemeral: bool,
    /// Make in it what this file describes
    #[arg(long, value_name = "FILE.toml", requires = "ephemeral")]
    from: Option<PathBuf>,
    /// The account of the keystore in memory
    #[arg(long, value_name = "12 DIGITS", requires = "ephemeral")]
    account: Option<AccountId>,
    /// The Region of the keystore in memory
    #[arg(long, default_value = "us-east-1", value_name = "REGION")]
    region: Region,
    /// Write an access key of the administrator to this file, as an AWS profile
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// Write the port to this file when ready, and in a second line that of TLS
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Write the endpoint, and that of TLS, to this open file descriptor when ready
    #[arg(long, value_name = "N")]
    ready_fd: Option<u32>,
    /// Listen on an address that other machines can reach
    #[arg(long)]
    allow_remote: bool,
    /// A name by which clients reach the server, beside addresses and localhost
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// How to write logs
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

/// Whether requests must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// Signature Version 4, with an access key
    Sigv4,
    /// Everybody is the account's root user
    None,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// How a served keystore comes back.
enum Again {
    /// A new one in the place of the one in memory.
    New(Renew),
    /// The one on disk, after it was lent.
    Same(Reopen),
}

/// Lends the keystore to other commands. Where that cannot be, they hear that it is served, and the server goes on.
fn lender(keystore: &Keystore, reopen: Reopen) -> Option<Lender> {
    match Lending::listen(keystore.path()?) {
        Ok(lending) => Some(Lender { lending, reopen }),
        Err(error) => {
            output::warn(&format!("other commands cannot use the keystore while it is served: {error}"));
            None
        }
    }
}

impl Serve {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        self.check()?;
        self.log();
        let server = bind(Some(self.listen), self.tls_listen)?;
        let endpoints = endpoints(&server);
        let all = endpoints.join(" ");
        let (keystore, again) = self.keystore(global, &all)?;
        let settings = keystore.settings()?;
        if let Some(path) = &self.ca_file {
            write_whole(path, &authority_pem(&keystore)?)?;
        }
        let mut keys = ServerKeys::default();
        if let Some(path) = &self.credentials_file {
            let key = self.make_key(&keystore, &mut keys)?;
            // The last is that of TLS; of use to whoever is told whom to trust.
            let used = if self.ca_file.is_some() { endpoints.last() } else { endpoints.first() };
            let endpoint = used.map_or("", String::as_str);
            write_profile(path, &key, settings.region.as_str(), endpoint, self.ca_file.as_deref())?;
        }
        let authentication = match self.auth {
            Auth::Sigv4 => Authentication::SigV4(keys),
            Auth::None => Authentication::None(settings.account.clone()),
        };
        self.banner(&settings, self.credentials_file.as_deref());
        let (renew, lender) = match again {
            Again::New(renew) => (Some(renew).filter(|_| self.auth == Auth::None), None),
            Again::Same(reopen) => (None, lender(&keystore, reopen)),
        };
        let options = Options {
            authentication,
            hosts: Hosts::new(self.allow_host.iter().cloned()),
            clock: Arc::new(SystemClock),
            renew,
            tls: self.tls()?,
            lender,
        };
        self.serve(server, keystore, options, &all)
    }

    fn tls(&self) -> Result<TlsOptions, CommandError> {
        if self.tls_listen.is_none() {
            return Ok(TlsOptions::default());
        }
        let hosts: Result<Vec<HostName>, ParseError> =
            self.allow_host.iter().map(|name| name.to_ascii_lowercase().parse()).collect();
        let versions = if self.tls12 { Versions::Tls12Too } else { Versions::Tls13 };
        Ok(TlsOptions { versions, hosts: hosts?, ..TlsOptions::default() })
    }

    /// What must not be served.
    fn check(&self) -> Result<(), CommandError> {
        let addresses = std::iter::once(self.listen).chain(self.tls_listen);
        let remote = addresses.into_iter().find(|address| !address.ip().is_loopback());
        if let Some(address) = remote.filter(|_| self.auth == Auth::None) {
            return Err(CommandError::usage(format!(
                "`{address}` can be reached from other machines, and without signatures everybody there would be root"
            ))
            .hint("leave `--auth none` out, or listen on 127.0.0.1"));
        }
        if let Some(address) = remote.filter(|_| !self.allow_remote) {
            let not_encrypted =
                if self.listen.ip().is_loopback() { "" } else { "; the connection is not encrypted" };
            return Err(CommandError::usage(format!("`{address}` can be reached from other machines"))
                .hint(format!("add `--allow-remote` if that is meant{not_encrypted}")));
        }
        if self.auth == Auth::None && self.credentials_file.is_some() {
            return Err(CommandError::usage("with `--auth none` there are no credentials to write"));
        }
        Ok(())
    }

    fn log(&self) {
        use tracing_subscriber::EnvFilter;
        let filter =
            EnvFilter::try_from_env("KEYSTEAD_LOG").unwrap_or_else(|_| EnvFilter::new("keystead=info"));
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // Only a program that has set up its own logs before is in the way.
        let _set = match self.log_format {
            LogFormat::Text => subscriber.with_ansi(false).try_init(),
            LogFormat::Json => subscriber.json().try_init(),
        };
    }

    fn keystore(&self, global: &Global, endpoint: &str) -> Result<(Keystore, Again), CommandError> {
        if !self.ephemeral {
            // Others who want the keystore hear where it is.
            let (keystore, reopen) = global.open_to_serve(&format!("keystead serve at {endpoint}"))?;
            return Ok((keystore, Again::Same(reopen)));
        }
        let default = if self.auth == Auth::None { EMULATORS_ACCOUNT } else { DEFAULT_ACCOUNT };
        let account = match &self.account {
            Some(account) => account.clone(),
            None => default.parse()?,
        };
        let new = NewKeystore { account, region: self.region.clone() };
        let in_memory = InMemory::read(new, self.from.as_deref())?;
        let keystore = in_memory.make()?;
        let renew: Renew = Box::new(move || in_memory.make().map_err(|error| error.words().to_owned()));
        Ok((keystore, Again::New(renew)))
    }

    fn make_key(&self, keystore: &Keystore, keys: &mut ServerKeys) -> Result<ServerKey, CommandError> {
        let administrator = keystore.administrator();
        let Some(arn) = administrator.arn() else {
            return Err(CommandError::new(Exit::Failed, "the administrator is nobody"));
        };
        keys.make(arn.clone()).map_err(|error| CommandError::new(Exit::Failed, error))
    }

    fn banner(&self, settings: &Settings, credentials: Option<&Path>) {
        let account = &settings.account;
        if self.auth == Auth::None {
            output::warn(&format!(
                "requests are not authenticated: every caller on this machine is root of {account}, or of the account \
                 whose 12 digits it gives as access key id"
            ));
        }
        if !self.listen.ip().is_loopback() {
            output::warn("other machines can reach this server, and the connection is not encrypted");
        }
        if self.tls_listen.is_some() && settings.clock_offset_millis != 0 {
            output::warn(
                "the keystore's clock is ahead of the real one, and so is the server's certificate: clients refuse it until \
                 their clocks are as far",
            );
        }
        if let Some(path) = credentials {
            output::say(&format!(
                "AWS_SHARED_CREDENTIALS_FILE={} is an access key of user/admin",
                path.display()
            ));
        }
    }

    fn serve(
        &self,
        server: Server,
        keystore: Keystore,
        options: Options,
        endpoint: &str,
    ) -> Result<(), CommandError> {
        let ports: Vec<String> = [server.address(), server.tls_address()]
            .into_iter()
            .flatten()
            .map(|address| format!("{}\n", address.port()))
            .collect();
        let failed =
            |error: std::io::Error| CommandError::new(Exit::Failed, format!("the server failed: {error}"));
        runtime()?.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            let (stop, stopped) = watch::channel(false);
            tokio::spawn(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                stop.send_replace(true);
                // Kept until the server has heard of it.
                stop.closed().await;
            });
            // The socket listens already: whoever comes from now on is answered.
            self.tell_ready(endpoint, &ports.concat())?;
            server.run(keystore, options, stopped).await.map_err(failed)
        })
    }

    fn tell_ready(&self, endpoint: &str, ports: &str) -> Result<(), CommandError> {
        if let Some(path) = &self.port_file {
            write_whole(path, ports)?;
        }
        if let Some(number) = self.ready_fd {
            let path = format!("/dev/fd/{number}");
            let written =
                OpenOptions::new().write(true).open(&path).and_then(|mut file| writeln!(file, "{endpoint}"));
            written.map_err(|error| {
                CommandError::new(
                    Exit::Failed,
                    format!("cannot write to the file descriptor {number}: {error}"),
                )
            })?;
        }
        Ok(output::line(&format!("ready: {endpoint}"))?)
    }
}
