//! The flags of every command, and the keystore that they name.

use std::{
    env::VarError,
    fs::File,
    io::{IsTerminal, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::{error::CommandError, exit::Exit, explanation, output};
use crate::{
    keystore::{Keystore, KeystoreError, Unsealer},
    kms::{Caller, Explanation},
    model::{ErrorCode, VpcEndpointId},
    policy::DecisionEffect,
    secret::SecretBytes,
};

/// A passphrase is a line; more is a mistake.
const PASSPHRASE_BYTES_MAX: usize = 1024;

/// How long a command waits for another one that has the keystore open: most have it for an instant.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
const TURN_LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// The keystore's directory, or $KEYSTEAD_KEYSTORE [default: in the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    keystore: Option<PathBuf>,
    /// Who calls, or $KEYSTEAD_AS: user/NAME, role/NAME, root or an ARN [default: user/admin]
    #[arg(long = "as", global = true, value_name = "WHO")]
    caller: Option<String>,
    /// Come through this VPC endpoint: calls to KMS alone pass, as far as its policy lets them
    #[arg(long, global = true, value_name = "VPCE")]
    vpc_endpoint: Option<VpcEndpointId>,
    /// Print facts as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Explain afterwards why each call was allowed or denied
    #[arg(long, global = true)]
    pub(super) explain: bool,
    /// How the calls were decided, when that is to be explained.
    #[arg(skip)]
    heard: Arc<Mutex<Vec<Explanation>>>,
    /// When to use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Color::Auto,
        value_name = "WHEN",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub(super) color: Color,
    /// The key file that opens the keystore, or $KEYSTEAD_KEY_FILE [default: where it was made]
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read the passphrase from this file's first line, or $KEYSTEAD_PASSPHRASE_FILE's
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file descriptor
    #[arg(long, global = true, value_name = "N", conflicts_with = "passphrase_file")]
    passphrase_fd: Option<u32>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    pub(super) fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

impl Global {
    /// The keystore's directory: as the flag or the variable says, else in the user's data directory.
    pub(super) fn directory(&self) -> Result<PathBuf, CommandError> {
        if let Some(directory) = named(self.keystore.as_deref(), "KEYSTEAD_KEYSTORE") {
            return Ok(directory);
        }
        dirs::data_dir().map(|data| data.join("keystead")).ok_or_else(|| {
            CommandError::new(Exit::Failed, "there is no data directory for this user")
                .hint("say where the keystore is with `--keystore DIR`")
        })
    }

    /// Says how the calls were decided, when that was asked for: after a denial those that were denied, else all.
    pub(super) fn explain_what_was_heard(&self, exit: Exit) {
        for heard in self.heard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let denied = heard.trace.effect != DecisionEffect::Allowed;
            if denied || exit != Exit::AccessDenied {
                explanation::say(heard);
            }
        }
    }

    /// The key file that the flag or the variable names.
    pub(super) fn key_file(&self) -> Option<PathBuf> {
        named(self.key_file.as_deref(), "KEYSTEAD_KEY_FILE")
    }

    /// Opens the keystore.
    pub(super) fn open(&self) -> Result<Keystore, CommandError> {
        self.open_with(&mut self.unsealer())
    }

    /// Opens the keystore and finds who calls.
    pub(super) fn session(&self) -> Result<(Keystore, Caller), CommandError> {
        self.session_with(&mut self.unsealer())
    }

    /// The same, with an unsealer that is needed again.
    pub(super) fn session_with(&self, unsealer: &mut Flags<'_>) -> Result<(Keystore, Caller), CommandError> {
        let keystore = self.open_with(unsealer)?;
        let caller = match self.caller()? {
            None => keystore.administrator(),
            // Whether there is such a caller is the door's question, so that the answer is recorded.
            Some(name) => keystore.named_caller(&name).map_err(|error| match error.code() {
                ErrorCode::Validation => CommandError::usage(error.message()),
                _ => error.into(),
            })?,
        };
        let caller = match &self.vpc_endpoint {
            Some(id) => caller.through_vpc_endpoint(id.clone()),
            None => caller,
        };
        Ok((keystore, caller))
    }

    /// Opens the keystore for a server: others hear this of who has it. With it comes what opens it again after it was
    /// lent.
    #[cfg(feature = "server")]
    pub(super) fn open_to_serve(
        &self,
        holder: &str,
    ) -> Result<(Keystore, crate::api::server::Reopen), CommandError> {
        let (directory, mut unsealer, holder) = (self.directory()?, self.unsealer(), holder.to_owned());
        let keystore = Keystore::open_to_serve(&directory, &mut unsealer, &holder)?;
        let mut unsealer = unsealer.kept();
        let reopen = move || {
            Keystore::open_to_serve(&directory, &mut unsealer, &holder).map_err(|error| error.to_string())
        };
        Ok((keystore, Box::new(reopen)))
    }

    fn open_with(&self, unsealer: &mut Flags<'_>) -> Result<Keystore, CommandError> {
        let (directory, begun) = (self.directory()?, Instant::now());
        let keystore = loop {
            match Keystore::open(&directory, unsealer, &holder()) {
                Err(KeystoreError::Locked { .. }) if begun.elapsed() < TURN_PATIENCE => {
                    thread::sleep(TURN_LOOK_AGAIN);
                }
                opened => break opened?,
            }
        };
        if self.explain {
            let heard = Arc::clone(&self.heard);
            keystore.watch_decisions(move |explanation| {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(explanation.clone());
            });
        }
        Ok(keystore)
    }

    /// Who calls, as the flag or the variable names them.
    pub(super) fn caller(&self) -> Result<Option<String>, CommandError> {
        match (&self.caller, std::env::var("KEYSTEAD_AS")) {
            (Some(name), _) => Ok(Some(name.clone())),
            (None, Ok(name)) => Ok(Some(name)),
            (None, Err(VarError::NotPresent)) => Ok(None),
            (None, Err(VarError::NotUnicode(_))) => Err(CommandError::usage("KEYSTEAD_AS is not text")),
        }
    }

    /// Opens seals with what the flags name, asking at the terminal for what they do not, once.
    pub(super) fn unsealer(&self) -> Flags<'_> {
        Flags { global: self, asked: None }
    }

    /// Whether the passphrase is in an open descriptor, which a program that is started would have too.
    pub(super) fn has_passphrase_fd(&self) -> bool {
        self.passphrase_fd.is_some()
    }

    /// Whether a passphrase is given by a flag or the environment.
    pub(super) fn names_passphrase(&self) -> bool {
        self.passphrase_fd.is_some()
            || named(self.passphrase_file.as_deref(), "KEYSTEAD_PASSPHRASE_FILE").is_some()
    }

    /// A new passphrase: from the flags, else asked twice.
    pub(super) fn new_passphrase(&self) -> Result<SecretBytes, CommandError> {
        if let Some(passphrase) = self.passphrase_from_flags() {
            return passphrase.map_err(|why| CommandError::new(Exit::Failed, why));
        }
        let first = ask("New passphrase: ").map_err(no_terminal)?;
        let second = ask("The same again: ").map_err(no_terminal)?;
        if first.ct_eq(&second) {
            Ok(first)
        } else {
            Err(CommandError::new(Exit::Failed, "the two passphrases differ"))
        }
    }

    fn passphrase_from_flags(&self) -> Option<Result<SecretBytes, String>> {
        let (name, path): (String, PathBuf) = match self.passphrase_fd {
            Some(number) => (format!("descriptor {number}"), format!("/dev/fd/{number}").into()),
            None => {
                let path = named(self.passphrase_file.as_deref(), "KEYSTEAD_PASSPHRASE_FILE")?;
                (format!("`{}`", path.display()), path)
            }
        };
        Some(first_line(&path).map_err(|error| format!("cannot read the passphrase from {name}: {error}")))
    }
}

/// What this process tells others who want the keystore: the command's words, without its operands.
pub(super) fn holder() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words = words.take_while(|word| {
        !word.starts_with('-') && !word.contains(['/', '=', '.', char::REPLACEMENT_CHARACTER])
    });
    std::iter::once("keystead".to_owned()).chain(words.take(2)).collect::<Vec<_>>().join(" ")
}

/// What a flag names, else what a variable does.
fn named(flag: Option<&Path>, variable: &str) -> Option<PathBuf> {
    flag.map(Path::to_path_buf).or_else(|| std::env::var_os(variable).map(PathBuf::from))
}

/// Opens seals with what the flags name.
pub(super) struct Flags<'g> {
    global: &'g Global,
    /// What was typed or read, for a command that needs it again.
    asked: Option<SecretBytes>,
}

impl Flags<'_> {
    /// Opens the keystore and finds who calls, as before; a passphrase is not asked for again.
    pub(super) fn open_again(&mut self) -> Result<(Keystore, Caller), CommandError> {
        self.global.session_with(self)
    }

    /// What is known of how to open the seal, to be used again without a terminal.
    #[cfg(feature = "server")]
    fn kept(self) -> Kept {
        Kept { key_file: self.global.key_file(), passphrase: self.asked }
    }
}

/// Opens a seal that was opened before.
#[cfg(feature = "server")]
struct Kept {
    key_file: Option<PathBuf>,
    passphrase: Option<SecretBytes>,
}

#[cfg(feature = "server")]
impl Unsealer for Kept {
    fn key_file(&self) -> Option<PathBuf> {
        self.key_file.clone()
    }

    fn passphrase(&mut self) -> Result<SecretBytes, String> {
        match &self.passphrase {
            Some(known) => Ok(SecretBytes::from(known.expose_secret())),
            None => Err("it was not sealed with a passphrase when the server started".into()),
        }
    }
}

impl Unsealer for Flags<'_> {
    fn key_file(&self) -> Option<PathBuf> {
        self.global.key_file()
    }

    fn passphrase(&mut self) -> Result<SecretBytes, String> {
        // A terminal is asked once, and a pipe can be read only once.
        let known = match self.asked.take() {
            Some(known) => known,
            None => self.global.passphrase_from_flags().unwrap_or_else(|| ask("Passphrase: "))?,
        };
        let again = SecretBytes::from(known.expose_secret());
        self.asked = Some(known);
        Ok(again)
    }
}

fn ask(prompt: &str) -> Result<SecretBytes, String> {
    if !std::io::stdin().is_terminal() {
        return Err("this keystore is sealed with a passphrase, and there is no terminal to ask at".into());
    }
    let typed = rpassword::prompt_password(prompt).map_err(|error| error.to_string())?;
    Ok(SecretBytes::new(typed.into_bytes()))
}

fn no_terminal(why: String) -> CommandError {
    CommandError::new(Exit::Failed, why).hint("use `--passphrase-file FILE` or `--passphrase-fd N`")
}

fn first_line(path: &Path) -> std::io::Result<SecretBytes> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let name = path.display();
        output::say(&format!("warning: others can read the passphrase file `{name}`; `chmod 600` it"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
    let limit = u64::try_from(PASSPHRASE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > PASSPHRASE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is longer than {PASSPHRASE_BYTES_MAX} bytes")));
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.strip_suffix(b"\r").unwrap_or(line).into())
}
