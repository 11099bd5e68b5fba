//! The server and the client as processes of their own, and what they say.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use super::stage::{DAYS_AHEAD, Stage, TENSOR};

/// How long a process may take for what takes none.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How `transit_server` and `transit_client` are started: a program and its first arguments.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The server.
    pub server: Vec<OsString>,
    /// The client.
    pub client: Vec<OsString>,
}

fn command(program: &[OsString]) -> Command {
    let (name, first) =
        program.split_first().map_or((OsString::new(), &[][..]), |(name, first)| (name.clone(), first));
    let mut command = Command::new(name);
    command.args(first).stdin(Stdio::null());
    command
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    said: Receiver<String>,
}

impl ServerProcess {
    /// Starts a server on a free port, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it does not get ready; with what it said.
    pub fn start(launcher: &Launcher, stage: &Stage, more: &[&str]) -> io::Result<Self> {
        let mut command = command(&launcher.server);
        command.arg("--keystore").arg(stage.keystore()).args(["--listen", "127.0.0.1:0"]).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let Some(stdout) = child.stdout.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), said };
        let line = server.next_line()?;
        let address = line.strip_prefix("ready: ").and_then(|address| address.parse().ok());
        server.address =
            address.ok_or_else(|| io::Error::other(format!("the server is not ready: `{line}`")))?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next line that it says.
    ///
    /// # Errors
    ///
    /// When it says nothing, or has ended.
    pub fn next_line(&self) -> io::Result<String> {
        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the server says nothing");
        self.said.recv_timeout(PATIENCE).map_err(silent)
    }

    /// What it came to with the next caller: `served`, an error's name or the alert that it was sent.
    ///
    /// # Errors
    ///
    /// As [`ServerProcess::next_line`].
    pub fn next_outcome(&self) -> io::Result<String> {
        let line = self.next_line()?;
        Ok(match line.strip_prefix("refused ") {
            Some(words) => name_of(words),
            None => "served".into(),
        })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// How a client is to call.
#[derive(Debug, Clone, Copy)]
pub struct Calling<'a> {
    /// The file of its certificate, if it is to show one.
    pub identity: Option<&'a str>,
    /// What stands before `ca.pem` and `crl.pem` of the authority that it trusts.
    pub authority: &'a str,
    /// The name that the server's certificate must have.
    pub host: &'a str,
    /// Whom it claims to be, without TLS.
    pub plaintext: Option<&'a str>,
}

impl Default for Calling<'_> {
    fn default() -> Self {
        Self { identity: Some("alice"), authority: "", host: "localhost", plaintext: None }
    }
}

/// What a client came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// `served`, an error's name or the alert that it was sent.
    pub outcome: String,
    /// What it said.
    pub said: String,
}

/// Runs a client to its end: it asks the server at `server` for a tensor of the model.
///
/// # Errors
///
/// When it cannot be started.
pub fn call(
    launcher: &Launcher,
    stage: &Stage,
    server: SocketAddr,
    calling: &Calling<'_>,
) -> io::Result<Called> {
    let mut command = command(&launcher.client);
    command.arg(server.to_string()).arg(stage.sealed_model()).args(["--tensor", TENSOR]);
    command.args(["--prompt", stage.canary()]);
    if let Some(claimed) = calling.plaintext {
        command.args(["--plaintext", claimed]);
    } else {
        let file = |name: &str| -> PathBuf { stage.path(&format!("{}{name}", calling.authority)) };
        command.arg("--ca").arg(file("ca.pem")).arg("--crl").arg(file("crl.pem"));
        command.args(["--host", calling.host, "--days-ahead", &DAYS_AHEAD.get().to_string()]);
        if let Some(identity) = calling.identity {
            command.arg("--identity").arg(stage.path(identity));
        }
    }
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    let error = complained.lines().find_map(|line| line.strip_prefix("error: "));
    let outcome = match error {
        Some(words) => name_of(words),
        None if output.status.success() => "served".into(),
        None => complained.clone(),
    };
    Ok(Called { outcome, said: said + &complained })
}

/// The name with which an error begins; the alert's, when the peer refused.
fn name_of(words: &str) -> String {
    let (name, rest) = words.split_once(": ").unwrap_or((words, ""));
    let alert = rest.strip_prefix("the peer refused: ").filter(|_| name == "PeerRefused");
    alert.unwrap_or(name).trim().to_owned()
}
