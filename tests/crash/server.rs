//! The program as a process that dies, and a client that notices.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;

use crate::Place;

/// How long a test waits for what never takes long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command on this keystore, silent.
pub(crate) fn keystead(arguments: &[&str], place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).arg("--keystore").arg(place.directory()).arg("--key-file").arg(place.key_file());
    command.env_remove("KEYSTEAD_AS").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A server, until it is killed.
pub(crate) struct Process(Mutex<Child>);

impl Process {
    pub(crate) fn spawn(place: &Place) -> Self {
        let mut command = keystead(&["serve", "--listen", "127.0.0.1:0", "--auth", "none"], place);
        Self(Mutex::new(command.stdout(Stdio::piped()).spawn().unwrap()))
    }

    /// The address, once it listens.
    pub(crate) fn await_ready(&self) -> String {
        let mut line = String::new();
        let output = self.0.lock().unwrap().stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready: http://");
        address.unwrap_or_else(|| panic!("it did not start: `{line}`")).to_owned()
    }

    /// SIGKILL, and the wait until it is gone and has let go of its files.
    pub(crate) fn kill(&self) {
        let mut child = self.0.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(child) = self.0.get_mut() {
            let _gone_already = child.kill();
            let _gone_already = child.wait();
        }
    }
}

/// What was answered to a call.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) body: Value,
}

/// A connection that is kept from call to call.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    /// Asks KMS; none when the connection broke, which promises nothing.
    pub(crate) fn ask(&mut self, operation: &str, input: &Value) -> Option<Answer> {
        let body = input.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.{operation}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let header = |wanted: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(wanted));
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
        };
        let mut body = vec![0; header("content-length:")?.parse().unwrap()];
        self.stream.read_exact(&mut body).ok()?;
        Some(Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            request_id: header("x-amzn-requestid:").unwrap(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }
}
