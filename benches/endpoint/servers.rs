//! The servers that are measured, each a process of its own.

use std::{
    convert::Infallible,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;

use crate::floor::{ACCESS_KEY, FLOOR};

/// The argument that makes this program the bare server.
pub(crate) const ECHO: &str = "--echo-server";
const MOTO: &str = "moto[server]==5.2.1";

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    pub(crate) request: Vec<u8>,
    child: Child,
    _place: Option<TempDir>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Running {
    /// A bare `hyper` server, as fast as the frame of a request can be.
    pub(crate) fn echo() -> Self {
        Self::of_this_program("hyper", ECHO, None)
    }

    /// A bare `hyper` server that does what cannot be left out.
    pub(crate) fn floor() -> Self {
        Self::of_this_program("floor", FLOOR, Some(tempfile::tempdir().unwrap()))
    }

    fn of_this_program(name: &'static str, argument: &str, place: Option<TempDir>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(argument)
            .args(place.as_ref().map(TempDir::path))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = first_line(&mut child);
        let request =
            signed(&address, "GenerateDataKey", &wish("1234abcd-12ab-34cd-56ef-1234567890ab"), ACCESS_KEY);
        Self { name, address, request, child, _place: place }
    }

    /// A keystore on disk, served.
    pub(crate) fn keystead() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let keystead = || Command::new(env!("CARGO_BIN_EXE_keystead"));
        let made = keystead()
            .arg("init")
            .arg("--keystore")
            .arg(at("keystore"))
            .arg("--key-file")
            .arg(at("key"))
            .output();
        assert!(made.unwrap().status.success());
        let mut child = keystead()
            .args(["serve", "--listen", "127.0.0.1:0", "--keystore"])
            .arg(at("keystore"))
            .arg("--credentials-file")
            .arg(at("credentials"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = first_line(&mut child).trim_start_matches("ready: http://").to_owned();
        let profile = fs::read_to_string(at("credentials")).unwrap();
        let value = |name: &str| {
            profile.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap().to_owned()
        };
        let (id, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
        let request = generate_data_key(&address, (&id, &secret));
        Self { name: "keystead", address, request, child, _place: Some(place) }
    }

    /// moto's server.
    pub(crate) fn moto() -> Self {
        let environment = moto_environment();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(environment.join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "moto does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        let request = generate_data_key(&address, ACCESS_KEY);
        Self { name: "moto", address, request, child, _place: None }
    }

    /// The memory that it holds, as Linux says.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(f64::NAN)
            / 1024.0
    }
}

/// Makes a key and answers a request for a data key under it.
fn generate_data_key(address: &str, key: (&str, &str)) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&signed(address, "CreateKey", "{}", key)).unwrap();
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    while !answer.contains("\"KeyId\"") || !answer.ends_with('}') {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "no key was made: {answer}");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let made: serde_json::Value = serde_json::from_str(body).unwrap();
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    signed(address, "GenerateDataKey", &wish(id), key)
}

/// What every server is asked.
fn wish(key_id: &str) -> String {
    format!(
        "{{\"KeyId\":\"{key_id}\",\"KeySpec\":\"AES_256\",\"EncryptionContext\":{{\"project\":\"bench\"}}}}"
    )
}

/// A signed request, as bytes.
fn signed(address: &str, operation: &str, body: &str, (id, secret): (&str, &str)) -> Vec<u8> {
    let identity = Credentials::new(id, secret, None, None, "bench").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("kms")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let target = format!("TrentService.{operation}");
    let headers =
        [("host", address), ("x-amz-target", &target), ("content-type", "application/x-amz-json-1.1")];
    let uri = format!("http://{address}/");
    let signable =
        SignableRequest::new("POST", &uri, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
            .unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let (made, _) = instructions.into_parts();
    let mut text = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in headers.into_iter().chain(made.iter().map(|header| (header.name(), header.value())))
    {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn moto_environment() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
    if !environment.join("complete").exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&environment).status();
        assert!(made.is_ok_and(|status| status.success()), "this needs python3 with its venv module");
        let installed = Command::new(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", MOTO])
            .status();
        assert!(
            installed.is_ok_and(|status| status.success()),
            "this needs a package index that pip can reach"
        );
        fs::write(environment.join("complete"), MOTO).unwrap();
    }
    environment
}

/// Serves as the bare server until it is killed.
pub(crate) fn echo() {
    serve(|request| async {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response::new(Full::new(body))
    });
}

/// Answers requests by a bare `hyper` server until this program is killed.
pub(crate) fn serve<A>(answer: impl Fn(Request<Incoming>) -> A + Clone + Send + 'static)
where
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}
