//! `keystead audit witness`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{read_text, verify::CHECKPOINT_BYTES_MAX};
use crate::{
    audit::cosignature,
    cli::{error::CommandError, global::Global, output},
    keystore::WitnessStatus,
};

/// Others who vouch for the log, so that it cannot show two histories
#[derive(Debug, Subcommand)]
pub(crate) enum Witness {
    Add(Add),
    List(List),
    Import(Import),
}

/// Add a witness by its public key
///
/// Example: keystead audit witness add witness.example.com+2d0b6ee1+BAEC… --required
///
/// With `--required`, `keystead audit verify` refuses the log until a checkpoint was imported that the witness has signed.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The witness's key (C2SP vkey of an Ed25519 cosigner)
    key: cosignature::Witness,
    /// Believe the log only with this witness's word
    #[arg(long)]
    required: bool,
}

/// List the witnesses and what they have signed last
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Take in a checkpoint that witnesses have signed
///
/// Example: cat checkpoint signature > checkpoint.signed && keystead audit witness import checkpoint.signed
///
/// The file is a checkpoint of this log with the witnesses' signature lines added at its end (C2SP tlog-cosignature).
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The checkpoint
    file: PathBuf,
}

impl Witness {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Add(add) => {
                let (keystore, caller) = global.session()?;
                keystore.add_witness(&caller, &add.key, add.required)?;
                output::say(&format!("{} is a witness of this log", add.key.name()));
                Ok(())
            }
            Self::Import(import) => {
                let note = read_text(&import.file, CHECKPOINT_BYTES_MAX)?;
                let (keystore, caller) = global.session()?;
                for witness in keystore.take_cosigned(&caller, &note)? {
                    output::say(&format!("{} has signed this checkpoint", witness.name()));
                }
                Ok(())
            }
            Self::List(List {}) => list(&global.open()?.witnesses()?, global.json),
        }
    }
}

fn list(witnesses: &[WitnessStatus], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let one = |one: &WitnessStatus| {
            json!({
                "Key": one.witness.to_string(),
                "Required": one.required,
                "Size": one.vouched.map(|(position, _)| position.size),
                "SignedAt": one.vouched.map(|(_, when)| when.to_rfc3339()),
            })
        };
        return output::json(&json!({"Witnesses": witnesses.iter().map(one).collect::<Vec<_>>()}));
    }
    let row = |one: &WitnessStatus| {
        let (size, when) = match one.vouched {
            Some((position, when)) => (position.size.to_string(), when.to_rfc3339()),
            None => ("-".into(), "-".into()),
        };
        vec![one.witness.name().to_owned(), if one.required { "yes" } else { "no" }.into(), size, when]
    };
    Ok(output::table(&["WITNESS", "REQUIRED", "RECORDS", "SIGNED"], witnesses.iter().map(row))?)
}
