//! What a transcript cannot show: memory, pipes, full disks, bytes that are not text.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use keystead::keystore::{Keystore, WithoutAsking};

/// The most resident memory that sealing or opening may take, however large the file.
const RESIDENT_KIB_MAX: u64 = 64 * 1024;
pub(crate) const GIB: u64 = 1 << 30;
/// A little more than three frames.
const SIZE: usize = (3 << 20) + 5;

pub(crate) struct Place(pub(crate) tempfile::TempDir);

impl Place {
    /// A directory with a keystore and the key `alias/models` in it.
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        place.succeeds(&["init"]);
        place.succeeds(&["key", "create", "--alias", "alias/models"]);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
        command.args(arguments).current_dir(self.0.path()).env("KEYSTEAD_KEYSTORE", "keystore.d");
        command.env("KEYSTEAD_KEY_FILE", "keystore.key").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Another program than keystead, which finds that one as `$KEYSTEAD`.
    pub(crate) fn other(&self, program: &str, arguments: &[&str]) -> Command {
        let keystead = self.command(&[]);
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.envs(keystead.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("KEYSTEAD", env!("CARGO_BIN_EXE_keystead"));
        command
    }

    /// What lies in the place.
    pub(crate) fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    pub(crate) fn succeeds(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The exit code and standard error.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

/// The most resident memory that a process had, in KiB, watched until it ends.
fn peak_resident_kib(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::yield_now();
    }
    assert!(child.wait().unwrap().success());
    peak
}

/// Waits until a process has computed for a while: opening a keystore and a header takes far less.
///
/// What it has read would tell more, but belongs to what a process that keeps secrets does not let others see.
pub(crate) fn wait_until_at_work(child: &mut Child) {
    const TICKS: u64 = 20;
    let stat = format!("/proc/{}/stat", child.id());
    let ticks = || -> u64 {
        let text = fs::read_to_string(&stat).unwrap_or_default();
        // Behind the name in parentheses: the 12th and 13th fields are the time in user and in system mode.
        let fields = text.rsplit(')').next().unwrap_or_default().split(' ').skip(12).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    };
    while ticks() < TICKS {
        assert!(child.try_wait().unwrap().is_none(), "it was faster than who waited");
        std::thread::yield_now();
    }
}

fn same_content(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = one.read(&mut a).unwrap();
        if other.read_exact(b.get_mut(..count).unwrap()).is_err() || a.get(..count) != b.get(..count) {
            return false;
        }
        if count == 0 {
            return other.read(&mut b).unwrap() == 0;
        }
    }
}

#[test]
fn a_gibibyte_seals_and_opens_in_little_memory_and_comes_back_the_same() {
    let place = Place::new();
    let mut file = File::create(place.path("big")).unwrap();
    file.write_all(b"not all of it is zero").unwrap();
    file.set_len(GIB + 1).unwrap();
    for arguments in
        [&["encrypt", "big", "--key", "alias/models"][..], &["decrypt", "big.sealed", "-o", "big.opened"]]
    {
        let peak = peak_resident_kib(&mut place.command(arguments).stderr(Stdio::null()).spawn().unwrap());
        assert!(peak > 0 && peak < RESIDENT_KIB_MAX, "{arguments:?} took {peak} KiB");
    }
    assert!(same_content(&place.path("big"), &place.path("big.opened")));
}

#[test]
fn streams_go_through_pipes_and_a_cut_one_fails() {
    let place = Place::new();
    fs::write(place.path("model"), vec![7; SIZE]).unwrap();
    let sealed = place.command(&["encrypt", "model", "--key", "alias/models", "-o", "-"]).output().unwrap();
    assert!(sealed.status.success());

    let open = |message: &[u8]| {
        let arguments = ["decrypt", "-"];
        let mut child = place
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(message).unwrap());
            child.wait_with_output().unwrap()
        })
    };
    let whole = open(&sealed.stdout);
    assert_eq!((whole.status.code(), whole.stdout), (Some(0), vec![7; SIZE]));
    let (cut, _) = sealed.stdout.split_at(sealed.stdout.len() - 1);
    let cut = open(cut);
    assert_eq!(cut.status.code(), Some(4));
    assert!(cut.stdout.len() < SIZE, "the last frame must not be released");
}

#[test]
fn a_tensor_goes_into_a_pipe_as_into_a_file() {
    let place = Place::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/model/tiny-mlp.safetensors");
    fs::copy(model, place.path("model")).unwrap();
    place.succeeds(&["encrypt", "model", "--key", "alias/models"]);
    let listed = place.command(&["tensors", "model.sealed", "--json"]).output().unwrap().stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let name = listed["Tensors"][0]["name"].as_str().unwrap();
    place.succeeds(&["tensors", "model.sealed", "--get", name, "-o", "file.npy"]);
    let piped = place.command(&["tensors", "model.sealed", "--get", name, "-o", "-"]).output().unwrap();
    assert!(piped.status.success() && piped.stderr.is_empty());
    assert!(piped.stdout.starts_with(b"\x93NUMPY"));
    assert!(piped.stdout == fs::read(place.path("file.npy")).unwrap());
    assert!(!place.path("-").exists());
}

#[test]
fn standard_input_is_not_taken_for_a_file_where_one_is_needed() {
    let place = Place::new();
    for arguments in [
        &["cat", "-"][..],
        &["tensors", "-"],
        &["run", "-", "--", "cat", "{}"],
        &["reencrypt", "-", "--key", "alias/models"],
        &["lint", "-"],
    ] {
        let (code, words) = place.fails(arguments);
        assert!(code == 2 && words.contains("`-` is standard input") && words.contains("hint: "), "{words}");
    }
    let (code, words) = place.fails(&["run", "model", "--", "no-such-command", "{}"]);
    assert_eq!(code, 1, "there is no model: {words}");
    fs::write(place.path("model"), b"weights").unwrap();
    place.succeeds(&["encrypt", "model", "--key", "alias/models"]);
    let (code, words) = place.fails(&["run", "model.sealed", "--", "no-such-command", "{}"]);
    assert!(code == 127 && words.contains("cannot run `no-such-command`"), "{code} {words}");
    let (code, words) = place.fails(&["run", "model.sealed", "--", "./model", "{}"]);
    assert!(code == 126 && words.contains("cannot run `./model`"), "{code} {words}");
}

#[test]
fn a_reader_that_goes_away_is_no_error_worth_words() {
    let place = Place::new();
    let mut child =
        place.command(&["audit", "tail"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_argument_that_is_not_text_is_a_usage_error() {
    let place = Place::new();
    let mut command = place.command(&["key", "show"]);
    let output = command.arg(OsStr::from_bytes(b"alias/\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    // A path need not be text.
    let name = OsStr::from_bytes(b"model-\xff");
    fs::write(place.0.path().join(name), b"weights").unwrap();
    let output = place.command(&["encrypt", "--key", "alias/models"]).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_word_that_is_not_text_breaks_no_command() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"\xff\xfe.sealed");
    let output = place.command(&["decrypt"]).arg(name).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_keystores_own_files_are_not_written_over() {
    let place = Place::new();
    fs::write(place.path("model"), b"weights").unwrap();
    place.succeeds(&["encrypt", "model", "--key", "alias/models"]);
    place.succeeds(&["s3", "mb", "s3://models"]);
    place.succeeds(&["s3", "cp", "model", "s3://models/m"]);
    for target in [
        "keystore.d/keystore.db",
        "keystore.d/lock",
        "keystore.d/objects/x",
        "keystore.key",
        "./keystore.key",
    ] {
        for arguments in [
            &["encrypt", "model", "--key", "alias/models", "--force", "-o", target][..],
            &["decrypt", "model.sealed", "--force", "-o", target],
            &["s3", "cp", "s3://models/m", target],
        ] {
            let (code, words) = place.fails(arguments);
            assert_eq!(code, 2, "{arguments:?}: {words}");
        }
    }
    place.succeeds(&["decrypt", "model.sealed", "--force"]);

    // Nor is a key that was given, under any name: it may be the only one that opens what is written.
    fs::write(place.path("raw.key"), [7; 32]).unwrap();
    std::os::unix::fs::symlink("raw.key", place.path("raw.key.too")).unwrap();
    let raw = ["--raw-aes", "lab,key,raw.key"];
    place.succeeds(&[&["encrypt", "model", "-o", "raw.key.sealed"][..], &raw].concat());
    for arguments in [
        &["encrypt", "model", "--force", "-o", "raw.key"][..],
        &["encrypt", "model", "--force", "-o", "./raw.key.too"],
        &["decrypt", "raw.key.sealed", "--force"],
    ] {
        let (code, words) = place.fails(&[arguments, &raw].concat());
        assert!(code == 2 && words.contains("is one of the keys"), "{arguments:?}: {words}");
    }
    assert_eq!(fs::read(place.path("raw.key")).unwrap(), [7; 32]);
}

#[test]
fn a_command_that_is_killed_leaves_no_part_of_the_plaintext_behind() {
    let place = Place::new();
    File::create(place.path("big")).unwrap().set_len(GIB).unwrap();
    place.succeeds(&["encrypt", "big", "--key", "alias/models"]);
    fs::remove_file(place.path("big")).unwrap();
    let mut child = place.command(&["decrypt", "big.sealed"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until_at_work(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.names(), ["big.sealed", "keystore.d", "keystore.key"]);
    place.succeeds(&["audit", "verify"]);
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing_behind() {
    let place = Place::new();
    fs::write(place.path("model"), b"weights").unwrap();
    let (code, words) = place.fails(&["encrypt", "model", "--key", "alias/models", "-o", "missing/out"]);
    assert_eq!(code, 1, "{words}");
    let (code, words) = place.fails(&["encrypt", "model", "--key", "alias/models", "-o", "/dev/full"]);
    assert_eq!(code, 2, "{words}");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place
        .command(&["encrypt", "model", "--key", "alias/models", "-o", "-"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("disk is full"), "{output:?}");
    assert_eq!(place.names(), ["keystore.d", "keystore.key", "model"]);
}

#[test]
fn a_second_process_waits_a_little_and_then_hears_who_has_the_keystore() {
    let place = Place::new();
    let open = || Keystore::open(&place.path("keystore.d"), &mut WithoutAsking, "my program").unwrap();
    let held = open();
    let (code, words) = place.fails(&["key", "list"]);
    assert_eq!(code, 1);
    let expected = format!("is in use by process {} (my program)", std::process::id());
    if !words.contains(&expected) || !words.contains("hint: ") {
        panic!("{words}");
    }
    let mut waiting = place.command(&["key", "list"]).stdout(Stdio::null()).spawn().unwrap();
    drop(held);
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn a_command_at_a_pipe_keeps_nobody_from_the_keystore() {
    let place = Place::new();
    let key = "alias/models";
    // Each of the two needs the keystore while the other has begun.
    let pipe = "printf weights | \"$KEYSTEAD\" encrypt - --key alias/models | \"$KEYSTEAD\" decrypt -";
    let output = place.other("sh", &["-c", pipe]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "weights", "{output:?}");

    let begin = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let end = |child: Child, input: &[u8]| {
        let mut child = child;
        // Who has given up reads no more.
        let _given_up = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let sealing = begin(&["encrypt", "-", "--key", key, "-o", "sealed"]);
    place.succeeds(&["key", "list"]);
    assert_eq!(end(sealing, b"weights").0, Some(0));

    // What was asked before the key was disabled counts for nothing: the data key is asked for when the message comes.
    let message = fs::read(place.path("sealed")).unwrap();
    let late = begin(&["decrypt", "-", "-o", "late"]);
    place.succeeds(&["key", "disable", key]);
    let (code, words) = end(late, &message);
    assert!(code == Some(5) && words.contains("DisabledException"), "{code:?} {words}");
    place.succeeds(&["key", "enable", key]);
    assert_eq!(
        end(begin(&["decrypt", "-", "-o", "late"]), &message),
        (Some(0), "opened 7 B, every frame verified\n".into())
    );

    let without = begin(&["decrypt", "-", "-o", "never"]);
    // It has had the keystore open, and has let it go.
    let opened = format!("{}", without.id());
    while !fs::read_to_string(place.path("keystore.d/lock")).unwrap().contains(&opened) {
        std::thread::yield_now();
    }
    place.succeeds(&["key", "list"]);
    fs::remove_file(place.path("keystore.key")).unwrap();
    let (code, words) = end(without, &message);
    assert!(code == Some(1) && words.contains("keystore.key"), "{code:?} {words}");
    assert!(!place.path("never").exists());
}
