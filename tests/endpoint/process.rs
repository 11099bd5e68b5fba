//! A served keystore as a process, and requests to it byte by byte.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use serde_json::{Value, json};

/// How long a test waits for what never takes long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The command, in an environment without a keystore of the user's.
pub(crate) fn keystead(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).env_remove("KEYSTEAD_KEYSTORE").env_remove("KEYSTEAD_AS").env("NO_COLOR", "1");
    command
}

/// A server that runs until it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// Where it speaks TLS.
    pub(crate) tls: Option<String>,
}

impl Served {
    /// Starts `keystead serve` with these arguments on a free port.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = keystead(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let all = line.trim().strip_prefix("ready: http://").unwrap_or_else(|| panic!("`{line}`"));
        let (address, tls) = match all.split_once(" https://") {
            Some((address, tls)) => (address.to_owned(), Some(tls.to_owned())),
            None => (all.to_owned(), None),
        };
        Self { child, address, tls }
    }

    /// One in memory that asks for no signature.
    pub(crate) fn open_to_all() -> Self {
        Self::start(&["--ephemeral", "--auth", "none"])
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes and reads until the server closes; the client's half stays open.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // A server that has seen enough may close before all is sent.
        let _sent = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a request with these headers beside Host and Content-Length.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        Reply::parse(&self.raw(&self.head_and_body(method, path, headers, body)))
    }

    /// The bytes of such a request.
    pub(crate) fn head_and_body(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        [text.as_bytes(), body].concat()
    }

    /// Asks KMS, without a signature.
    pub(crate) fn kms(&self, operation: &str, input: &Value) -> Reply {
        let target = format!("TrentService.{operation}");
        let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.1")];
        self.request("POST", "/", &headers, input.to_string().as_bytes())
    }

    /// Asks KMS, signed.
    pub(crate) fn signed(&self, operation: &str, input: &Value, key: &AccessKey) -> Reply {
        let body = input.to_string();
        self.send(&self.sign(operation, &body, key), &body)
    }

    /// The headers of a signed request to KMS.
    pub(crate) fn sign(&self, operation: &str, body: &str, key: &AccessKey) -> Vec<(String, String)> {
        let mut headers = vec![
            ("host".to_owned(), self.address.clone()),
            ("x-amz-target".to_owned(), format!("TrentService.{operation}")),
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
        ];
        headers.extend(key.sign(&self.address, &headers, body.as_bytes()));
        headers
    }

    /// Sends a request with headers of its own.
    pub(crate) fn send(&self, headers: &[(String, String)], body: &str) -> Reply {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.request("POST", "/", &headers, body.as_bytes())
    }

    /// Sends a signal that asks for an end, and waits for it.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// An access key, as a client has it.
#[derive(Clone)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    pub(crate) service: String,
    /// The token of a session.
    pub(crate) token: Option<String>,
    /// How far the client's clock is off.
    pub(crate) skew_seconds: i64,
}

impl AccessKey {
    /// The one in a file of `--credentials-file`.
    pub(crate) fn read(profile: &str) -> Self {
        let value = |name: &str| {
            let line = profile.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap_or_else(|| panic!("no {name}")).to_owned()
        };
        Self {
            id: value("aws_access_key_id"),
            secret: value("aws_secret_access_key"),
            region: value("region"),
            service: "kms".into(),
            token: None,
            skew_seconds: 0,
        }
    }

    fn sign(&self, host: &str, headers: &[(String, String)], body: &[u8]) -> Vec<(String, String)> {
        let identity = Credentials::new(&self.id, &self.secret, self.token.clone(), None, "test").into();
        let skew = Duration::from_secs(self.skew_seconds.unsigned_abs());
        let now = SystemTime::now();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(if self.skew_seconds < 0 { now - skew } else { now + skew })
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{host}/");
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let (headers, _) = instructions.into_parts();
        headers.into_iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect()
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(json!(null))
    }

    /// The error's name in the JSON protocol.
    pub(crate) fn code(&self) -> String {
        self.json()["__type"].as_str().unwrap_or_default().to_owned()
    }
}
