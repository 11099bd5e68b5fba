//! `keystead audit export` and `keystead audit public-keys`

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{
        error::CommandError,
        exit::Exit,
        global::Global,
        output::{self, count},
    },
    services::cloudtrail::{ExportError, ExportOptions},
};

/// Write the log as CloudTrail delivers it: gzipped log files and signed digests
///
/// Example: keystead audit export --cloudtrail trail
///
/// The directory stands for a bucket. An export goes on where the newest digest in it ends. Each digest's signature lies
/// beside it, in `….json.gz.metadata.json`: give it to the object as its metadata when you put the files into a bucket,
/// and `aws cloudtrail validate-logs` accepts them.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    cloudtrail: PathBuf,
    /// The bucket that the digests name
    #[arg(long, default_value = "keystead-trail", value_name = "NAME")]
    bucket: String,
    /// The trail that the digests name
    #[arg(long, default_value = "keystead", value_name = "NAME")]
    trail: String,
}

/// Print the public keys that verify exported digests, as `aws cloudtrail list-public-keys` does
#[derive(Debug, Args)]
pub(crate) struct PublicKeys {}

impl Export {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        for (what, name) in [("bucket", &self.bucket), ("trail", &self.trail)] {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
                return Err(CommandError::usage(format!(
                    "`{name}` is no {what}'s name: 3 to 128 letters, digits, `-`, `.` and `_`"
                )));
            }
        }
        let (keystore, caller) = global.session()?;
        let options = ExportOptions {
            directory: self.cloudtrail.clone(),
            bucket: self.bucket.clone(),
            trail: self.trail.clone(),
        };
        let exported = keystore.cloudtrail().export(&caller, &options)?;
        if global.json {
            return output::json(&exported);
        }
        output::say(&format!(
            "wrote {} in {}, vouched for by {}",
            count(exported.records, "record"),
            count(exported.log_files, "log file"),
            count(exported.digests, "digest")
        ));
        Ok(())
    }
}

impl PublicKeys {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let keys = keystore.cloudtrail().list_public_keys(&caller)?;
        output::json(&serde_json::json!({"PublicKeyList": keys}))
    }
}

impl From<ExportError> for CommandError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Call(error) => error.into(),
            ExportError::Foreign { .. } => Self::new(Exit::Integrity, error)
                .hint("export to an empty directory, or with another `--trail`"),
            ExportError::Log(fault) => Self::new(fault.finding().into(), fault),
            error => Self::new(Exit::Failed, error),
        }
    }
}
