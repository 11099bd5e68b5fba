//! What `serve` and `exec` share: a keystore in memory, a server on a runtime of its own, and access keys in files.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tempfile::NamedTempFile;
use tokio::{runtime::Runtime, sync::watch};

use super::{apply::read_seed, error::CommandError, exit::Exit, query::tell_made};
use crate::{
    api::server::{Options, Server, ServerKey},
    keystore::{Keystore, NewKeystore},
    kms::SystemClock,
    lab::seed::Seed,
    services::tls::AUTHORITY_DAYS,
    transit::pem,
};

/// What a keystore in memory is made of.
pub(super) struct InMemory {
    new: NewKeystore,
    seed: Option<(PathBuf, Seed)>,
}

impl InMemory {
    /// A keystore with nothing in it, or with what a file describes.
    pub(super) fn read(new: NewKeystore, from: Option<&Path>) -> Result<Self, CommandError> {
        let seed = from.map(|path| Ok::<_, CommandError>((path.to_path_buf(), read_seed(path)?)));
        Ok(Self { new, seed: seed.transpose()? })
    }

    /// Makes it.
    pub(super) fn make(&self) -> Result<Keystore, CommandError> {
        let keystore = Keystore::in_memory(self.new.clone(), Arc::new(SystemClock))?;
        if let Some((path, seed)) = &self.seed {
            let mut made = Vec::new();
            let plan = seed.plan(&keystore);
            let applied = plan.and_then(|plan| plan.apply(&keystore, &keystore.administrator(), &mut made));
            // Standard output belongs to the program that is run, or is read by one.
            tell_made(&mut std::io::stderr().lock(), &made)?;
            applied.map_err(|error| CommandError::from(error).about(path))?;
        }
        Ok(keystore)
    }
}

/// Takes the addresses to listen on.
pub(super) fn bind(plain: Option<SocketAddr>, tls: Option<SocketAddr>) -> Result<Server, CommandError> {
    let at =
        |address, flag, bound: std::io::Result<Server>| bound.map_err(|error| taken(address, flag, &error));
    match (plain, tls) {
        (Some(address), None) => at(address, "--listen", Server::bind(address)),
        (None, Some(address)) => at(address, "--tls-listen", Server::bind_tls(address)),
        (Some(address), Some(tls)) => {
            let server = at(address, "--listen", Server::bind(address))?;
            at(tls, "--tls-listen", server.and_tls(tls))
        }
        (None, None) => Err(CommandError::usage("there is no address to listen on")),
    }
}

fn taken(address: SocketAddr, flag: &str, error: &std::io::Error) -> CommandError {
    let failed = CommandError::new(Exit::Failed, format!("cannot listen on `{address}`: {error}"));
    if error.kind() == std::io::ErrorKind::AddrInUse {
        failed.hint(format!("choose another with `{flag} ADDRESS`; port 0 is one that is free"))
    } else {
        failed
    }
}

/// Where a server is reached: without TLS first.
pub(super) fn endpoints(server: &Server) -> Vec<String> {
    let plain = server.address().map(|address| format!("http://{address}"));
    let tls = server.tls_address().map(|address| format!("https://{address}"));
    plain.into_iter().chain(tls).collect()
}

/// The certificate of the keystore's authority, which clients of its server have to trust, as PEM.
pub(super) fn authority_pem(keystore: &Keystore) -> Result<String, CommandError> {
    let (authority, _) = keystore.tls().ensure_authority(&keystore.administrator(), AUTHORITY_DAYS)?;
    Ok(pem::certificate(&authority.certificate))
}

/// The threads that a server runs on.
pub(super) fn runtime() -> Result<Runtime, CommandError> {
    let made = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("keystead-http").build();
    made.map_err(|error| {
        CommandError::new(Exit::Failed, format!("cannot start the server's threads: {error}"))
    })
}

/// A server that answers on threads of its own until it is told to stop.
pub(super) struct Running {
    stop: watch::Sender<bool>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Starts a server.
    pub(super) fn start(server: Server, keystore: Keystore, options: Options) -> Result<Self, CommandError> {
        let runtime = runtime()?;
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("keystead-server".into())
            .spawn(move || runtime.block_on(server.run(keystore, options, stopped)))
            .map_err(|error| CommandError::new(Exit::Failed, format!("cannot start the server: {error}")))?;
        Ok(Self { stop, thread })
    }

    /// Lets calls under way finish, closes the keystore and ends the threads.
    pub(super) fn stop(self) -> Result<(), CommandError> {
        self.stop.send_replace(true);
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CommandError::new(Exit::Failed, format!("the server failed: {error}"))),
            Err(_) => Err(CommandError::new(Exit::Failed, "the server failed")),
        }
    }
}

/// Writes an access key as the profile `default`, in a file that nobody else can read.
pub(super) fn write_profile(
    path: &Path,
    key: &ServerKey,
    region: &str,
    endpoint: &str,
    authority: Option<&Path>,
) -> Result<(), CommandError> {
    let authority = authority.map(std::path::absolute).transpose()?;
    let write = || {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // Made with mode 0600, and in one step in the place of an older one.
        let mut file = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        write!(file, "[default]\naws_access_key_id = {}\naws_secret_access_key = ", key.access_key_id)?;
        file.write_all(key.secret_access_key.expose_secret())?;
        writeln!(file, "\nregion = {region}\nendpoint_url = {endpoint}")?;
        if let Some(path) = &authority {
            writeln!(file, "ca_bundle = {}", path.display())?;
        }
        file.persist(path)?;
        Ok::<(), std::io::Error>(())
    };
    write().map_err(|error| {
        CommandError::new(Exit::Failed, format!("cannot write the credentials: {error}")).about(path)
    })
}

/// Writes a small file in one step, so that whoever waits for it never reads half of it.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), CommandError> {
    let write = || {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok::<(), std::io::Error>(())
    };
    write().map_err(|error| CommandError::new(Exit::Failed, format!("cannot write it: {error}")).about(path))
}
