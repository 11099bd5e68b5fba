//! What a command says when it fails: `error: …`, then `hint: …` lines.

use std::{
    ffi::OsStr,
    fmt::Display,
    io::{self, Write},
    path::Path,
};

use super::{
    exit::Exit,
    output::{ERROR_STYLE, HINT_STYLE, printable},
};
use crate::{
    artifact::{ArtifactError, KeyFileError, ModelError},
    audit::{LogError, index::IndexError},
    envelope::{DataKeyError, ErrorClass, KeyringError, OpenMessageError},
    keystore::KeystoreError,
    kms::CallError,
    lab::{demo::DemoError, seed::SeedError},
    model::{ErrorCode, ParseError},
    services::s3::ObjectError,
    storage::StorageError,
};

/// A command that failed.
#[derive(Debug)]
pub(super) struct CommandError {
    exit: Exit,
    message: String,
    hints: Vec<String>,
}

impl CommandError {
    /// A failure with this message: one lower-case sentence.
    pub(super) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), hints: Vec::new() }
    }

    /// The command line makes no sense.
    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A command that was to be run cannot be; the exit code is the one that a shell would give.
    pub(super) fn cannot_run(program: &OsStr, error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        Self::new(Exit::OfCommand(code), format!("cannot run `{}`: {error}", program.to_string_lossy()))
    }

    /// With what to do next.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With the file that it is about before the message.
    pub(super) fn about(mut self, path: &Path) -> Self {
        self.message = format!("`{}`: {}", path.display(), self.message);
        self
    }

    /// The message.
    pub(super) fn words(&self) -> &str {
        &self.message
    }

    /// Says it on standard error.
    pub(super) fn report(self) -> Exit {
        if self.message.is_empty() {
            return self.exit;
        }
        let mut stderr = anstream::stderr().lock();
        let (error, hint) = (ERROR_STYLE, HINT_STYLE);
        // When standard error is gone there is nobody to tell.
        let _unsaid = writeln!(stderr, "{error}error:{error:#} {}", printable(&self.message));
        for line in &self.hints {
            let _unsaid = writeln!(stderr, "{hint}hint:{hint:#} {}", printable(line));
        }
        self.exit
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever read our output has seen enough, and nothing needs to be said.
            io::ErrorKind::BrokenPipe => Self::new(Exit::Failed, ""),
            _ => Self::new(Exit::Failed, format!("cannot write the output: {error}")),
        }
    }
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        let exit = Exit::from(ErrorClass::of_code(error.code()));
        let words = if error.message().is_empty() {
            error.explanation().unwrap_or_default()
        } else {
            error.message()
        };
        let mut command_error = Self::new(exit, format!("{}: {words}", error.code()));
        if let Some(why) = error.explanation().filter(|why| *why != words) {
            command_error = command_error.hint(why);
        }
        if let Some(id) = error.decision() {
            command_error = command_error.hint(format!("see `keystead explain --decision {id}`"));
        }
        match next_step(error.code()) {
            Some(step) => command_error.hint(step),
            None => command_error,
        }
    }
}

/// What helps who has none of a message's keys.
pub(super) const RECIPIENTS_HINT: &str = "open it with one of its recipients' keys; for raw ones: `--raw-aes NAMESPACE,NAME,KEYFILE`, \
    `--raw-rsa NAMESPACE,NAME,PADDING,PEMFILE`";

/// What usually helps against an error of a call.
fn next_step(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::Disabled => Some("enable it with `keystead key enable KEY`"),
        ErrorCode::KmsInvalidState => {
            Some("see its state with `keystead key show KEY`; `keystead key cancel-deletion KEY` keeps it")
        }
        ErrorCode::KmsInternal => {
            Some("nothing more is answered until the cause is mended and the command run again")
        }
        ErrorCode::NotFound => {
            Some("see which keys there are with `keystead key list`, and aliases with `keystead alias list`")
        }
        ErrorCode::ResourceNotFound => {
            Some("`keystead tls ca` makes the authority; `keystead tls list` shows what it issued")
        }
        ErrorCode::NoSuchBucket => Some("make it with `keystead s3 mb s3://NAME`"),
        ErrorCode::InvalidClientTokenId => {
            Some("name somebody who exists with `--as user/NAME`, `--as role/NAME` or `--as root`")
        }
        _ => None,
    }
}

impl From<&DataKeyError> for CommandError {
    fn from(error: &DataKeyError) -> Self {
        CallError::from_data_key_error(error).into()
    }
}

impl From<crate::lab::in_transit::DemoError> for CommandError {
    fn from(error: crate::lab::in_transit::DemoError) -> Self {
        Self::new(Exit::Failed, error)
    }
}

impl From<ArtifactError> for CommandError {
    fn from(error: ArtifactError) -> Self {
        if let Some(answer) = error.kms_answer() {
            return answer.into();
        }
        // Whoever read our output has seen enough.
        if let Some(gone) = error.write_error().filter(|why| why.kind() == io::ErrorKind::BrokenPipe) {
            return Self::from(io::Error::from(gone.kind()));
        }
        let command_error = Self::new(error.class().into(), &error);
        match error {
            ArtifactError::NotAFile { kind: "a directory", .. } => command_error
                .hint("of an encrypted folder see `keystead list PATH` and `keystead verify PATH`"),
            ArtifactError::NotAFile { kind: "a pipe", .. } => {
                command_error.hint("read it as standard input: `-` in place of its name, and `< PIPE`")
            }
            ArtifactError::Exists { .. } => {
                command_error.hint("replace it with `--force`, or name another with `-o`")
            }
            ArtifactError::NotASealedName { .. } | ArtifactError::NoName => {
                command_error.hint("use `-o OUT`")
            }
            ArtifactError::Open(OpenMessageError::ContextDiffers { .. }) => {
                command_error.hint("see which context the message has with `keystead inspect PATH`")
            }
            ArtifactError::Open(OpenMessageError::Keyring(KeyringError::NotARecipient { .. })) => {
                command_error.hint(RECIPIENTS_HINT)
            }
            ArtifactError::Open(OpenMessageError::SuiteForbidden { .. }) => command_error
                .hint("if you trust where it came from: `--commitment-policy require-encrypt-allow-decrypt`"),
            ArtifactError::Open(OpenMessageError::NotInPart { .. }) => {
                command_error.hint("open it whole: `keystead decrypt FILE`")
            }
            ArtifactError::Model(ModelError::NoTensor { .. }) => {
                command_error.hint("see which there are with `keystead tensors FILE`")
            }
            ArtifactError::Open(
                OpenMessageError::HeaderTag
                | OpenMessageError::Frame { .. }
                | OpenMessageError::Sequence { .. }
                | OpenMessageError::Truncated
                | OpenMessageError::NoFinalFrame
                | OpenMessageError::Signature
                | OpenMessageError::TrailingBytes,
            ) => command_error.hint("this is not what was sealed; get the file again from where it came"),
            _ => command_error,
        }
    }
}

impl From<ObjectError> for CommandError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Call(error) => error.into(),
            ObjectError::Artifact(error) => (*error).into(),
        }
    }
}

impl From<SeedError> for CommandError {
    fn from(error: SeedError) -> Self {
        let exit = match &error {
            SeedError::Text { .. } | SeedError::Twice { .. } | SeedError::Unknown { .. } => Exit::Usage,
            SeedError::Call { source, .. } => ErrorClass::of_code(source.code()).into(),
            _ => Exit::Failed,
        };
        Self { exit, message: error.to_string(), hints: error.hints() }
    }
}

impl From<DemoError> for CommandError {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Keystore(error) => error.into(),
            DemoError::Seed(error) => error.into(),
            error => Self::new(Exit::Failed, error),
        }
    }
}

impl From<KeyFileError> for CommandError {
    fn from(error: KeyFileError) -> Self {
        Self::new(error.class().into(), error)
    }
}

impl From<KeystoreError> for CommandError {
    fn from(error: KeystoreError) -> Self {
        let exit = match &error {
            KeystoreError::Call(_) => Exit::Failed,
            KeystoreError::ReservedAccount(_) => Exit::Usage,
            KeystoreError::WrongSeal(_)
            | KeystoreError::Damaged(_)
            | KeystoreError::Torn(_)
            | KeystoreError::DecisionChanged(_) => Exit::Integrity,
            KeystoreError::Storage(
                StorageError::Damaged { .. }
                | StorageError::NotAKeystore { .. }
                | StorageError::RowForged { .. }
                | StorageError::StateForged,
            ) => Exit::Integrity,
            KeystoreError::Audit(LogError::Fault(fault)) | KeystoreError::Index(IndexError::Log(fault)) => {
                fault.finding().into()
            }
            KeystoreError::ForeignCheckpoint => Exit::BadSignature,
            KeystoreError::NotCosigned(_) => Exit::Unwitnessed,
            KeystoreError::NotCovered { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        let hints = error.hints();
        if let KeystoreError::Call(error) = error {
            return error.into();
        }
        Self { exit, message: error.to_string(), hints }
    }
}

impl From<ParseError> for CommandError {
    fn from(error: ParseError) -> Self {
        Self::usage(error)
    }
}
