//! `keystead init`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{
    apply::read_seed,
    error::CommandError,
    exit::Exit,
    global::{Global, holder},
    output,
    query::{print_json_and_made, tell_made},
};
use crate::{
    crypto::random::{Random, SystemRandom},
    keystore::{ADMINISTRATOR, Keystore, NewKeystore, Seal},
    lab::seed::Seed,
    model::{AccountId, Region},
    services::query::Reply,
};

/// Make a keystore
///
/// Example: keystead init
///
/// The keystore is one directory. What opens it lies elsewhere: in a key file (the default), in a passphrase, or in the
/// operating system's keyring. Keep a copy of the key file: without it everything in the keystore is lost.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// What seals the keystore's root key [default: keyfile, or the passphrase that is given]
    #[arg(long, value_enum, value_name = "KIND")]
    seal: Option<SealKind>,
    /// The account that commands work in
    #[arg(long, default_value = "111122223333", value_name = "12 DIGITS")]
    account: AccountId,
    /// The Region of all keys
    #[arg(long, default_value = "us-east-1", value_name = "REGION")]
    region: Region,
    /// Make what this file describes: people, roles, buckets, keys, grants and policies
    #[arg(long, value_name = "FILE.toml")]
    from: Option<PathBuf>,
}

/// What seals the root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SealKind {
    /// A key file outside of the keystore
    Keyfile,
    /// A passphrase
    Passphrase,
    /// The operating system's keyring
    Keyring,
}

impl Init {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let directory = global.directory()?;
        let seed = self.from.as_deref().map(read_seed).transpose()?;
        let seal = match self.seal(global) {
            SealKind::Keyfile => Seal::KeyFile(match global.key_file() {
                Some(path) => path,
                None => default_key_file(&directory)?,
            }),
            SealKind::Passphrase => Seal::Passphrase(global.new_passphrase()?),
            SealKind::Keyring => Seal::Keyring,
        };
        let new = NewKeystore { account: self.account.clone(), region: self.region.clone() };
        let keystore = Keystore::create(&directory, new, seal, &holder())?;
        let mut secrets = Vec::new();
        let applied = match (&seed, &self.from) {
            (Some(seed), Some(file)) => apply(seed, file, &keystore, &mut secrets),
            _ => Ok(0),
        };
        match applied {
            Ok(made) => self.tell(global, &keystore, made, &secrets),
            Err(error) => {
                tell_made(&mut std::io::stdout().lock(), &secrets)?;
                Err(error)
            }
        }
    }

    /// Who gives a passphrase does not expect a key file that opens the keystore without it.
    fn seal(&self, global: &Global) -> SealKind {
        let given = if global.names_passphrase() { SealKind::Passphrase } else { SealKind::Keyfile };
        self.seal.unwrap_or(given)
    }

    fn tell(
        &self,
        global: &Global,
        keystore: &Keystore,
        made: usize,
        secrets: &[Reply],
    ) -> Result<(), CommandError> {
        let path = keystore.path().unwrap_or(Path::new("")).display().to_string();
        if global.json {
            let facts = serde_json::json!({
                "Keystore": path,
                "Seal": keystore.seal(),
                "Account": self.account,
                "Region": self.region,
                "Administrator": format!("user/{ADMINISTRATOR}"),
                "Seeded": made,
            });
            return print_json_and_made(facts, secrets);
        }
        output::facts(&[
            ("Keystore", path),
            ("Sealed by", keystore.seal()),
            ("Account", format!("{}, Region {}", self.account, self.region)),
            ("Administrator", format!("user/{ADMINISTRATOR} (who calls, unless `--as` says otherwise)")),
        ])?;
        if made > 0 {
            output::say(&format!("{} made what the file describes", output::count(made as u64, "call")));
        }
        tell_made(&mut std::io::stdout().lock(), secrets)?;
        if self.seal(global) == SealKind::Keyfile {
            output::say(
                "Keep a copy of the key file in a safe place: without it the keystore cannot be opened.",
            );
        }
        Ok(())
    }
}

/// Fills the new keystore. It stays when that fails half way: what is missing can be made with `apply`.
fn apply(
    seed: &Seed,
    file: &Path,
    keystore: &Keystore,
    secrets: &mut Vec<Reply>,
) -> Result<usize, CommandError> {
    let plan = seed.plan(keystore);
    plan.and_then(|plan| plan.apply(keystore, &keystore.administrator(), secrets)).map_err(|error| {
        CommandError::from(error)
            .about(file)
            .hint("the keystore is made, and not all of what the file describes; mend the file and `keystead apply` it")
    })
}

/// A new name in the user's configuration directory, which says which keystore it is for and never collides.
fn default_key_file(keystore: &Path) -> Result<PathBuf, CommandError> {
    let configuration = dirs::config_dir().ok_or_else(|| {
        CommandError::new(Exit::Failed, "there is no configuration directory for this user")
            .hint("say where the key file shall be with `--key-file FILE`")
    })?;
    let random: &mut dyn Random = &mut SystemRandom;
    let suffix: [u8; 4] = random.array().map_err(|error| CommandError::new(Exit::Failed, error))?;
    let name = keystore.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(configuration.join("keystead").join(format!("{name}-{}.key", hex::encode(suffix))))
}
