//! `keystead exec`

use std::{
    env,
    ffi::OsString,
    io::Write,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::Arc,
};

use clap::Args;
use tempfile::NamedTempFile;

use super::{
    endpoint::{InMemory, Running, authority_pem, bind, endpoints},
    error::CommandError,
    exit,
    global::Global,
};
use crate::{
    api::server::{Authentication, Hosts, Options, ServerKey, ServerKeys, TlsOptions},
    keystore::{Keystore, NewKeystore},
    kms::SystemClock,
    model::{AccountId, Region},
};

/// What would lead an AWS client elsewhere, or to other credentials.
const FORGOTTEN: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_CLOUDTRAIL",
    "AWS_CA_BUNDLE",
];

/// Run a command with an endpoint of its own
///
/// Example: keystead exec -- pytest
///
/// The command finds AWS_ENDPOINT_URL, an access key and a Region in its environment, with `--tls` AWS_CA_BUNDLE too. The endpoint serves a keystore in
/// memory that is gone afterwards. The exit code is the command's.
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Make in the keystore what this file describes
    #[arg(long, value_name = "FILE.toml")]
    from: Option<PathBuf>,
    /// Speak TLS, and let the command trust the endpoint's certificate by AWS_CA_BUNDLE
    #[arg(long)]
    tls: bool,
    /// The account of the keystore
    #[arg(long, default_value = "111122223333", value_name = "12 DIGITS")]
    account: AccountId,
    /// The Region of the keystore
    #[arg(long, default_value = "us-east-1", value_name = "REGION")]
    region: Region,
    /// The command and what it is given
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Exec {
    pub(super) fn run(&self, global: &Global) -> Result<exit::Exit, CommandError> {
        if global.has_passphrase_fd() {
            return Err(CommandError::usage("there is no passphrase to read: the keystore is made anew"));
        }
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = if self.tls { bind(None, Some(free)) } else { bind(Some(free), None) }?;
        let endpoint = endpoints(&server).concat();
        let new = NewKeystore { account: self.account.clone(), region: self.region.clone() };
        let keystore = InMemory::read(new, self.from.as_deref())?.make()?;
        let bundle = self.tls.then(|| bundle(&keystore)).transpose()?;
        let mut keys = ServerKeys::default();
        let key = key_of(&keystore, global.caller()?.as_deref(), &mut keys)?;
        let running = Running::start(
            server,
            keystore,
            Options {
                authentication: Authentication::SigV4(keys),
                hosts: Hosts::default(),
                clock: Arc::new(SystemClock),
                renew: None,
                tls: TlsOptions::default(),
                lender: None,
            },
        )?;
        let bundle = bundle.as_ref().map(NamedTempFile::path);
        let ended = self.spawn(&endpoint, &key, bundle).and_then(wait);
        running.stop()?;
        let status = ended?;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ok(exit::Exit::OfCommand(u8::try_from(code).unwrap_or(1)))
    }

    fn spawn(&self, endpoint: &str, key: &ServerKey, bundle: Option<&Path>) -> Result<Child, CommandError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(CommandError::usage("there is no command to run"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        for name in FORGOTTEN {
            command.env_remove(name);
        }
        let secret = String::from_utf8_lossy(key.secret_access_key.expose_secret());
        command
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &*secret)
            .env("AWS_REGION", self.region.as_str())
            .env("AWS_DEFAULT_REGION", self.region.as_str())
            .env("AWS_EC2_METADATA_DISABLED", "true");
        if let Some(path) = bundle {
            command.env("AWS_CA_BUNDLE", path);
        }
        // A proxy for the network beyond is in the way to this machine.
        for name in ["NO_PROXY", "no_proxy"] {
            let mut hosts = env::var_os(name).unwrap_or_default();
            if !hosts.is_empty() {
                hosts.push(",");
            }
            hosts.push("127.0.0.1");
            command.env(name, hosts);
        }
        command.spawn().map_err(|error| CommandError::cannot_run(program, &error))
    }
}

/// What the command is to trust: the authority of this keystore and no other.
fn bundle(keystore: &Keystore) -> Result<NamedTempFile, CommandError> {
    let mut file = NamedTempFile::with_prefix("keystead-ca-")?;
    file.write_all(authority_pem(keystore)?.as_bytes())?;
    Ok(file)
}

/// An access key of whoever is to call.
fn key_of(keystore: &Keystore, name: Option<&str>, keys: &mut ServerKeys) -> Result<ServerKey, CommandError> {
    let caller = match name {
        Some(name) => keystore.caller(name)?,
        None => keystore.administrator(),
    };
    let Some(arn) = caller.arn() else { return Err(CommandError::usage("a service has no access key")) };
    keys.make(arn.clone()).map_err(|error| CommandError::new(exit::Exit::Failed, error))
}

/// Waits for the command. An interrupt at the terminal reaches the command by itself; a request to end is passed on.
fn wait(mut child: Child) -> Result<ExitStatus, CommandError> {
    let failed =
        |error: std::io::Error| CommandError::new(exit::Exit::Failed, format!("cannot wait: {error}"));
    let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let ended = runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut ended = tokio::task::spawn_blocking(move || child.wait());
        loop {
            tokio::select! {
                ended = &mut ended => return ended.map_err(std::io::Error::other)?,
                _ = terminate.recv() => {
                    if let Some(id) = id {
                        // When it has just ended there is nobody to tell.
                        let _told = rustix::process::kill_process(id, rustix::process::Signal::TERM);
                    }
                }
                _ = interrupt.recv() => {}
            }
        }
    });
    ended.map_err(failed)
}
