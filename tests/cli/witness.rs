//! The steps of `docs/audit.md` by which a witness vouches for the log, run as they are written.
//!
//! The witness itself is played by this test: where the page sends the request to it with `curl`, its signature is made
//! here, after it has checked what a witness checks.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use keystead::{
    audit::{LogPosition, cosignature::Witness, note::VerifierKey, tlog_proof::GrowthProof},
    crypto::signature::SigningKey,
    model::Timestamp,
    secret::SecretKey,
};

use crate::limits::Place;

fn witness() -> (SigningKey, Witness) {
    let key = SigningKey::from_seed(&SecretKey::from_slice(&[5; 32]).unwrap());
    let witness = Witness::new("witness.example.com", key.public_key()).unwrap();
    (key, witness)
}

/// The lines of the blocks of commands in the section on witnesses.
fn steps() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).unwrap();
    let section = page.split("## Witnesses").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
}

/// Signs what the request asks for: the log has grown from where the witness knows it.
fn sign(place: &Place, known: &LogPosition) -> LogPosition {
    let (key, witness) = witness();
    let log: VerifierKey = fs::read_to_string(place.path("log.vkey")).unwrap().trim().parse().unwrap();
    let request = GrowthProof::parse(&fs::read_to_string(place.path("request")).unwrap()).unwrap();
    let position = request.verify(known, &log).unwrap();
    let line = witness.cosign(&request.checkpoint, &key, Timestamp::from_millis(1_795_000_000_000)).unwrap();
    fs::write(place.path("signature"), line).unwrap();
    position
}

fn in_shell(place: &Place, command: &str) -> (i32, String) {
    let keystead = PathBuf::from(env!("CARGO_BIN_EXE_keystead"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(keystead.parent().unwrap().to_path_buf()).chain(std::env::split_paths(&path));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", command]).current_dir(place.0.path()).env("PATH", std::env::join_paths(paths).unwrap());
    shell
        .env("KEYSTEAD_KEYSTORE", "keystore.d")
        .env("KEYSTEAD_KEY_FILE", "keystore.key")
        .env("NO_COLOR", "1");
    let output = shell.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code().unwrap(), said.concat())
}

#[test]
fn a_witness_vouches_by_the_steps_that_are_written() {
    let place = Place::new();
    assert_eq!(in_shell(&place, "keystead audit checkpoint --key > log.vkey").0, 0);
    let name = witness().1.to_string();
    let (mut known, mut sent) = (LogPosition::empty(), 0);
    for step in steps() {
        match step.as_str() {
            step if step.starts_with("witness=") => continue,
            step if step.starts_with("curl ") => {
                known = sign(&place, &known);
                sent += 1;
            }
            step => {
                let (code, said) = in_shell(&place, &step.replace("$witness", &name));
                assert_eq!(code, 0, "{step}\n{said}");
            }
        }
        if step.contains("--required") {
            let (code, said) = in_shell(&place, "keystead audit verify");
            assert_eq!(code, 15, "{said}");
            assert!(said.contains("prove-growth") && said.contains("witness import"), "{said}");
            assert!(!said.contains("backup"), "{said}");
        }
    }
    assert_eq!(sent, 1);

    // What the page says for later: the witness knows the log, and is shown that it has grown.
    assert_eq!(in_shell(&place, "keystead audit prove-growth checkpoint.signed > request").0, 0);
    assert!(sign(&place, &known).size > known.size);
    let import = "sed '1,/^$/d' request | cat - signature > newer && keystead audit witness import newer";
    assert_eq!(in_shell(&place, import).0, 0);

    // Without `--checkpoint` the proof is of a checkpoint that nobody else has seen.
    let verify = format!("keystead audit verify-proof own --key \"$(cat log.vkey)\" --witness {name}");
    let (code, said) = in_shell(&place, &format!("keystead audit prove 1 > own; {verify}"));
    assert!(code == 15 && said.contains("--checkpoint"), "{said}");
    // The reasons against an import can be told apart.
    for (command, expected) in [
        ("keystead audit witness import checkpoint", "does not bear the signature of `witness.example.com`"),
        ("keystead audit witness import checkpoint.signed", "has signed a newer one"),
        ("keystead audit witness import log.vkey", "must be what `keystead audit checkpoint` printed"),
        ("keystead audit prove 99 --checkpoint newer", "no event `99`"),
    ] {
        let (code, said) = in_shell(&place, command);
        assert!(code != 0 && said.contains(expected), "{command}: {said}");
    }
    let latest = "n=$(keystead audit tail -n 1 | tail -1 | cut -d ' ' -f 1); keystead audit prove $n --checkpoint checkpoint";
    let (code, said) = in_shell(&place, latest);
    assert!(code == 2 && said.contains("take a newer checkpoint"), "{said}");
}
