//! `aws cloudtrail validate-logs` against an exported log: accepted as it is, and not when anything in it was touched.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    endpoint::{keystead, run},
    python,
};

const ACCOUNT: &str = "111122223333";

/// The files below a directory whose path holds this, in order.
fn files(directory: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, part));
        } else if path.to_str().unwrap().contains(part) && path.extension().is_some_and(|end| end == "gz") {
            found.push(path);
        }
    }
    found.sort();
    found
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn keystead(&self, arguments: &[&str]) -> Command {
        let mut command = keystead(arguments);
        command.arg("--keystore").arg(self.at("keystore")).arg("--key-file").arg(self.at("key"));
        command
    }

    fn export(&self) {
        let trail = self.at("trail");
        run(&mut self.keystead(&["audit", "export", "--cloudtrail", trail.to_str().unwrap()]));
    }

    /// What the command says of the export, and whether it ends well.
    fn validate(&self) -> (bool, String) {
        let aws = python::interpreter().parent().unwrap().join("aws");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/validate_logs.py");
        let mut command = Command::new(python::interpreter());
        command.arg("-I").arg(script).arg(aws).arg(self.at("trail")).arg(self.at("public-keys"));
        let output = command.args([ACCOUNT, "keystead-trail", "keystead"]).output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&words).into_owned())
    }
}

#[test]
fn the_aws_command_validates_an_export_and_notices_what_was_touched() {
    let place = Place { directory: tempfile::tempdir().unwrap() };
    run(&mut place.keystead(&["init", "--account", ACCOUNT]));
    run(&mut place.keystead(&["key", "create", "--alias", "alias/a"]));
    place.export();
    run(&mut place.keystead(&["clock", "advance", "1d"]));
    run(&mut place.keystead(&["key", "list"]));
    place.export();
    let keys = run(&mut place.keystead(&["audit", "public-keys"]));
    fs::write(place.at("public-keys"), keys).unwrap();

    let (digests, logs) =
        (files(&place.at("trail"), "/CloudTrail-Digest/"), files(&place.at("trail"), "/CloudTrail/"));
    assert!(digests.len() >= 2 && logs.len() >= 2, "{digests:?} {logs:?}");
    let (good, said) = place.validate();
    assert!(good, "{said}");
    let all = |count: usize, what: &str| format!("{count}/{count} {what} files valid");
    assert!(said.contains(&all(digests.len(), "digest")) && said.contains(&all(logs.len(), "log")), "{said}");

    for (file, finding) in [(&logs[0], "Log file"), (&digests[0], "Digest file")] {
        let whole = fs::read(file).unwrap();
        let other = if file == &logs[0] { &logs[1] } else { &digests[1] };
        fs::copy(other, file).unwrap();
        let (good, said) = place.validate();
        assert!(!good && said.contains("INVALID") && said.contains(finding), "{}: {said}", file.display());
        fs::write(file, whole).unwrap();
    }
    // What was exported is not gone on with when its newest digest was touched.
    let newest = digests.last().unwrap();
    fs::copy(&digests[0], newest).unwrap();
    let trail = place.at("trail");
    let refused =
        place.keystead(&["audit", "export", "--cloudtrail", trail.to_str().unwrap()]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(4) && words.contains("did not sign it"), "{words}");
}
