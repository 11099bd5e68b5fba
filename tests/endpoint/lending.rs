//! Commands on a keystore that is being served: the server lends it, and loses nothing.

use std::{
    fs,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use serde_json::json;

use crate::process::{AccessKey, Served, keystead};

/// A keystore on disk, served; with an access key of the administrator.
struct Place {
    directory: tempfile::TempDir,
    served: Served,
    admin: AccessKey,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let made = keystead(&["init", "--keystore", &at("k"), "--key-file", &at("k.key")]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let served = Served::start(&["--keystore", &at("k"), "--credentials-file", &at("credentials")]);
        let admin = AccessKey::read(&fs::read_to_string(at("credentials")).unwrap());
        Self { directory, served, admin }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a command on the keystore; answers its exit code and what it printed.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = keystead(arguments);
        let output = command.arg("--keystore").arg(self.path().join("k")).current_dir(self.path()).output();
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    fn describe(&self, key: &str) -> String {
        let reply = self.served.signed("DescribeKey", &json!({"KeyId": key}), &self.admin);
        if reply.status == 200 {
            reply.json()["KeyMetadata"]["KeyState"].as_str().unwrap().into()
        } else {
            reply.code()
        }
    }
}

#[test]
fn commands_and_clients_see_what_the_other_did() {
    let place = Place::new();
    let (code, said) = place.run(&["key", "create", "--alias", "alias/a"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.describe("alias/a"), "Enabled");
    fs::write(place.path().join("plain"), b"weights").unwrap();
    assert_eq!(place.run(&["encrypt", "plain", "-o", "sealed", "--key", "alias/a"]).0, Some(0));
    let disabled =
        place.served.signed("ListAliases", &json!({}), &place.admin).json()["Aliases"][0]["TargetKeyId"]
            .clone();
    assert_eq!(place.served.signed("DisableKey", &json!({"KeyId": disabled}), &place.admin).status, 200);
    assert_eq!(place.run(&["decrypt", "sealed", "-o", "opened"]).0, Some(5));
    assert_eq!(place.run(&["key", "enable", "alias/a"]).0, Some(0));
    assert_eq!(place.run(&["decrypt", "sealed", "-o", "opened"]).0, Some(0));
    assert_eq!(place.run(&["iam", "create-user", "--user-name", "bob"]).0, Some(0));
    let (code, said) = place.run(&["decrypt", "sealed", "-o", "no", "--as", "user/bob"]);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(place.run(&["audit", "verify"]).0, Some(0));
    assert_eq!(place.describe("alias/a"), "Enabled");
    assert_eq!(place.served.terminate(), Some(0));
    assert!(!place.directory.path().join("k/socket").exists());
}

#[test]
fn who_cannot_open_the_keystore_gets_nothing_and_keeps_nobody_out() {
    let place = Place::new();
    let wrong = place.path().join("wrong.key");
    fs::write(&wrong, "x").unwrap();
    let (code, said) = place.run(&["key", "list", "--key-file", wrong.to_str().unwrap()]);
    assert_ne!(code, Some(0), "{said}");
    assert_eq!(place.describe("alias/a"), "NotFoundException");
    // A second server does not borrow.
    let (code, said) = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(code != Some(0) && said.contains("keystead serve at http://"), "{said}");
    // Whoever connects and says nothing of the kind is let go.
    for line in ["", "lend me\n", "borrow"] {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(place.path().join("k/socket")).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "");
    }
    assert_eq!(place.describe("alias/a"), "NotFoundException");
}

#[test]
fn nothing_is_lost_while_the_keystore_goes_to_and_fro() {
    let place = Place::new();
    assert_eq!(place.run(&["key", "create", "--alias", "alias/a"]).0, Some(0));
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let wish = json!({"KeyId": "alias/a", "KeySpec": "AES_256"});
                while !stop.load(Ordering::Relaxed) {
                    let reply = place.served.signed("GenerateDataKey", &wish, &place.admin);
                    assert_eq!(reply.status, 200, "{reply:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let commands: Vec<_> =
            (0..4).map(|_| scope.spawn(|| place.run(&["key", "rotate", "alias/a"]))).collect();
        for command in commands {
            let (code, said) = command.join().unwrap();
            assert_eq!(code, Some(0), "{said}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (code, listed) = place.run(&["audit", "tail", "-n", "100000", "--json"]);
    assert_eq!(code, Some(0), "{listed}");
    let recorded = listed.matches("\"GenerateDataKey\"").count();
    assert!(recorded >= answered.load(Ordering::Relaxed) as usize, "{recorded}");
    assert_eq!(listed.matches("\"RotateKeyOnDemand\"").count(), 4);
}

#[test]
fn a_borrower_that_is_killed_gives_the_keystore_back() {
    let place = Place::new();
    assert_eq!(place.run(&["key", "create", "--alias", "alias/a"]).0, Some(0));
    // It waits for its input and has the keystore meanwhile.
    let mut command = keystead(&["encrypt", "-", "-o", "sealed", "--key", "alias/a", "--keystore"]);
    command.arg(place.path().join("k")).current_dir(place.path());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lent = || place.served.request("GET", "/_keystead/health", &[], b"").body.contains("lent");
    while !lent() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.describe("alias/a"), "Enabled");
    assert!(!lent());
}

/// The clock is moved by a command, on the keystore that is being served.
#[test]
fn a_session_that_has_ended_is_refused_by_name() {
    let place = Place::new();
    let (code, said) = place.run(&["sts", "get-session-token", "--duration-seconds", "900", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let answer: serde_json::Value =
        serde_json::from_str(said.split("This is shown").next().unwrap()).unwrap();
    let credentials = answer.get("Credentials").unwrap_or(&answer);
    let member = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let session = AccessKey {
        id: member("AccessKeyId"),
        secret: member("SecretAccessKey"),
        token: Some(member("SessionToken")),
        ..place.admin.clone()
    };
    let ask = |key: &AccessKey| {
        let reply = place.served.signed("ListKeys", &json!({}), key);
        (reply.status, reply.code())
    };
    assert_eq!(ask(&session), (200, String::new()));
    assert_eq!(ask(&AccessKey { token: None, ..session.clone() }).1, "UnrecognizedClientException");
    let another = AccessKey { token: Some("another".into()), ..session.clone() };
    assert_eq!(ask(&another).1, "UnrecognizedClientException");
    assert_eq!(place.run(&["clock", "advance", "1d"]).0, Some(0));
    assert_eq!(ask(&session), (400, "ExpiredTokenException".into()));
    assert_eq!(ask(&place.admin).0, 200);
}
