//! The command lines of `docs/transit.md` for the four examples, run as they are written, each block in a shell of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use keystead::lab::in_transit::PATIENCE;

use crate::processes::example;

/// A terminal of the page: a shell, and what it says.
struct Terminal {
    shell: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Terminal {
    fn open(place: &Path, block: &str) -> Self {
        let keystead = Path::new(env!("CARGO_BIN_EXE_keystead")).parent().unwrap().to_path_buf();
        let path = env::var_os("PATH").unwrap_or_default();
        let paths = [place.join("bin"), keystead].into_iter().chain(env::split_paths(&path));
        let mut shell = Command::new("sh");
        shell.args(["-ec", &format!("exec 2>&1\n{block}")]).current_dir(place);
        // What it starts ends with it.
        shell.env("PATH", env::join_paths(paths).unwrap()).env("NO_COLOR", "1").process_group(0);
        let mut shell = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(shell.stdout.take().unwrap());
        let (say, lines) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { shell, lines, said: Vec::new() }
    }

    /// Waits for a line that begins so.
    fn hear(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no `{start}`: {:#?}", self.said));
            self.said.push(line.clone());
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// Waits for its end, which must be a good one, and answers all that it said.
    fn end(mut self) -> String {
        self.said.extend(self.lines.iter());
        let said = std::mem::take(&mut self.said).join("\n");
        assert!(self.shell.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.shell.id().try_into().unwrap()) {
            let _gone_already = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _gone_already = self.shell.wait();
    }
}

/// The page's blocks of commands, with ports that are free.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transit.md")).unwrap();
    let ports = ["7443", "7444", "7500", "7501"];
    let free: Vec<_> = ports.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let with_free_ports = |block: &str| {
        ports.iter().zip(&free).fold(block.to_owned(), |block, (port, free)| {
            block.replace(&format!(":{port}"), &format!(":{}", free.local_addr().unwrap().port()))
        })
    };
    let blocks = page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.filter(|block| block.starts_with("# terminal ")).map(with_free_ports).collect()
}

/// A clone's files, and a `cargo` that runs the examples that are built already.
fn lay_out(place: &Path) {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, file) in [("keystore", "lab.toml"), ("examples/model", "tiny-mlp.safetensors")] {
        fs::create_dir_all(place.join(folder)).unwrap();
        fs::copy(clone.join(folder).join(file), place.join(folder).join(file)).unwrap();
    }
    let examples = Path::new(&example("transit_server")).parent().unwrap().to_path_buf();
    let script = format!("#!/bin/sh\nname=$3\nshift 4\nexec '{}'/\"$name\" \"$@\"\n", examples.display());
    fs::create_dir(place.join("bin")).unwrap();
    fs::write(place.join("bin/cargo"), script).unwrap();
    fs::set_permissions(place.join("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_examples_run_as_the_page_says() {
    let place = tempfile::tempdir().unwrap();
    lay_out(place.path());
    let blocks = blocks();
    let [server, eavesdropper, client, node0, node1] = blocks.as_slice() else { panic!("{blocks:#?}") };
    let mut server = Terminal::open(place.path(), server);
    server.hear("ready: ");
    let mut eavesdropper = Terminal::open(place.path(), eavesdropper);
    eavesdropper.hear("ready: ");
    let said = Terminal::open(place.path(), client).end();
    assert!(said.contains("output.bias F32") && said.contains("hidden.weight F32"), "{said}");
    let served = server.hear("served ");
    assert!(served.contains("user/alice by TLSv1.3"), "{served}");
    eavesdropper.hear("  no canary");

    let mut node0 = Terminal::open(place.path(), node0);
    let waits = node0.hear("waits up to ");
    assert!(waits.contains("for node 1 to listen") && waits.contains("for node 1 to call"), "{waits}");
    let last = |said: &str| said.lines().last().unwrap().to_owned();
    let other = last(&Terminal::open(place.path(), node1).end());
    assert!(other.contains("gradients of 2 nodes, which sum up to "), "{other}");
    assert_eq!(last(&node0.end()), other);
}

/// What goes wrong is said in words, with the file or address that it is about.
#[test]
fn errors_say_what_they_are_about() {
    let stage = keystead::lab::in_transit::Stage::set().unwrap();
    let launcher = crate::processes::launcher();
    let server = keystead::lab::in_transit::ServerProcess::start(&launcher, &stage, &[]).unwrap();
    let address = format!("localhost:{}", server.address().port());
    let client = |arguments: &[&str]| {
        let mut command = Command::new(example("transit_client"));
        command.current_dir(stage.directory()).args(arguments);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let model = "model.safetensors.sealed";
    let tls = |more: &[&str]| {
        let days = keystead::lab::in_transit::DAYS_AHEAD.get().to_string();
        let base = [&address, model, "--ca", "ca.pem", "--crl", "crl.pem", "--days-ahead", &days];
        client(&[&base[..], more].concat())
    };
    let (said, complained) = tls(&["--identity", "nosuch"]);
    assert_eq!(
        (said.as_str(), complained.contains("`nosuch.crt`: No such file")),
        ("", true),
        "{complained}"
    );
    let (_, complained) = tls(&["--identity", "alice", "--host", "elsewhere.example"]);
    assert!(complained.contains("WrongHost: the server's certificate"), "{complained}");
    assert_eq!(server.next_outcome().unwrap(), "bad_certificate");
    // Nothing is said of a connection before the server has judged who calls.
    let (said, complained) = tls(&["--identity", "revoked"]);
    assert_eq!(
        (said.as_str(), complained.as_str()),
        ("", "error: PeerRefused: the peer refused: certificate_revoked\n")
    );
    let line = server.next_line().unwrap();
    assert_eq!(line, "refused Revoked: the peer's certificate was revoked");
    let (_, complained) = client(&[&address, model, "--plaintext", "user/alice"]);
    assert_eq!(complained, "error: SpeaksTls: the peer speaks TLS, and this side does not\n");
    let (_, complained) = client(&[&address, "nosuch.sealed", "--plaintext", "user/alice"]);
    assert!(complained.contains("`nosuch.sealed`: No such file"), "{complained}");
    drop(server);
    let (_, complained) = client(&[&address, model, "--plaintext", "user/alice"]);
    assert!(complained.contains(&format!("`{address}`: Connection refused")), "{complained}");
}
