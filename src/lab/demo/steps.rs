//! The steps of the demo: what is said, what is done, and what it must come to.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::{
    outcome::{Expected, Outcome, Refusal, Why},
    stage::{Stage, WithKeyFile, models_key},
};
use crate::{
    artifact::{Source, Target},
    audit::Record,
    envelope::inspect,
    keystore::{Keystore, NewKeystore, Seal, WithoutAsking},
    kms::{DisableKey, EnableKey, RotateKeyOnDemand},
    lab::{table::grouped, tiers::TierTable},
    model::{EncryptionContext, ErrorCode, ParseError},
    services::s3::{Encryption, GetObject, PutObject},
};

/// One step of the demo.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) prose: &'static str,
    /// The same by hand; `FILE` stands for the artifact's name.
    pub(super) commands: &'static [&'static str],
    pub(super) expected: Expected,
    /// Does it. What is pushed is shown before the outcome, as it is.
    pub(super) act: fn(&mut Stage, &mut Vec<String>) -> Result<Outcome, Refusal>,
}

/// How many of the last events the demo shows.
const EVENTS_SHOWN: usize = 8;
/// How many bytes of the sealed artifact the demo shows.
const BYTES_SHOWN: u64 = 48;

/// All steps, in order.
pub(super) const STEPS: &[Step] = &[
    Step {
        title: "Make a keystore from a seed",
        prose: "A seed names accounts, people, roles, buckets and keys. Each becomes a call, and each call leaves a \
                record in the audit log. The file that unlocks the keystore lies outside of it.",
        commands: &["keystead init --from keystore/lab.toml"],
        expected: Expected::Done,
        act: make_the_world,
    },
    Step {
        title: "Three tiers of keys",
        prose: "Who owns a key decides what you can do with it. Every cell was found out just now, by trying it.",
        commands: &["keystead tiers"],
        expected: Expected::Done,
        act: compare_the_tiers,
    },
    Step {
        title: "Put the model under a key of each tier",
        prose: "S3 encrypts all it stores. Without a flag it uses a key of its own, which you never see; with aws:kms \
                the key aws/s3 in your account; with a key id that key.",
        commands: &[
            "keystead s3 cp FILE s3://models/owned --as user/alice",
            "keystead s3 cp FILE s3://models/managed --sse aws:kms --as user/alice",
            "keystead s3 cp FILE s3://models/customer --sse aws:kms --sse-kms-key-id alias/models --as user/alice",
        ],
        expected: Expected::Done,
        act: put_three_objects,
    },
    Step {
        title: "Seal the model under your own key",
        prose: "Envelope encryption: the KMS makes a data key for this one file, the file is encrypted with it, and \
                only the data key, itself encrypted under alias/models, goes into the result.",
        commands: &["keystead encrypt FILE --key alias/models --context project=demo --as user/alice"],
        expected: Expected::Done,
        act: seal,
    },
    Step {
        title: "Look at the bytes",
        prose: "No key is needed for what the header says: the format, for which key it is sealed, and its context. \
                The rest is noise.",
        commands: &["keystead inspect FILE.sealed"],
        expected: Expected::Done,
        act: look,
    },
    Step {
        title: "Alice opens it",
        prose: "Her identity policy allows kms:Decrypt on this key, and the key's policy leaves that to the account's \
                identity policies.",
        commands: &["keystead decrypt FILE.sealed --context project=demo --as user/alice"],
        expected: Expected::Done,
        act: |stage, _| open(stage, "user/alice"),
    },
    Step {
        title: "Bob has the sealed file and not the key",
        prose: "Nothing stops bob from copying the file. But to open it he must ask the KMS, and nobody allowed him the \
                key. No file appears.",
        commands: &["keystead decrypt FILE.sealed --as user/bob"],
        expected: Expected::Refused(Why::Answer(ErrorCode::AccessDenied)),
        act: |stage, _| open(stage, "user/bob"),
    },
    Step {
        title: "Bob may read the bucket and not the key",
        prose: "The same at S3: s3:GetObject is allowed to him, but the object is encrypted under alias/models, and S3 \
                asks for the key in bob's name. He gets no byte.",
        commands: &["keystead s3 cp s3://models/customer . --as user/bob"],
        expected: Expected::Refused(Why::Answer(ErrorCode::AccessDenied)),
        act: |stage, _| get(stage, "user/bob", "customer"),
    },
    Step {
        title: "Rotate the key: the model still opens",
        prose: "Rotation adds a new key material for what is sealed from now on. The older one stays and opens what it \
                sealed. The role mlops may do this, and could not open the model itself.",
        commands: &[
            "keystead key rotate alias/models --as role/mlops",
            "keystead decrypt FILE.sealed -o opened --force --as user/alice",
        ],
        expected: Expected::Done,
        act: rotate,
    },
    Step {
        title: "Disable the key: nobody opens it",
        prose: "One call, and every copy of every file under this key is shut, wherever it lies.",
        commands: &[
            "keystead key disable alias/models --as role/mlops",
            "keystead decrypt FILE.sealed -o opened --force --as user/alice",
        ],
        expected: Expected::Refused(Why::Answer(ErrorCode::Disabled)),
        act: disable,
    },
    Step {
        title: "Not even the administrator",
        prose: "This is the state of the key and no question of permission.",
        commands: &["keystead decrypt FILE.sealed --as user/admin"],
        expected: Expected::Refused(Why::Answer(ErrorCode::Disabled)),
        act: |stage, _| open(stage, "user/admin"),
    },
    Step {
        title: "Enable the key: it opens again",
        prose: "Nothing was lost: that is how disabling differs from deleting.",
        commands: &[
            "keystead key enable alias/models --as role/mlops",
            "keystead decrypt FILE.sealed -o opened --force --as user/alice",
        ],
        expected: Expected::Done,
        act: enable,
    },
    Step {
        title: "Flip one bit",
        prose: "Every frame is authenticated. A file that was changed, by a bad disk or a bad person, does not open, and \
                no part of it is released as if it were whole.",
        commands: &["keystead decrypt damaged.sealed --as user/alice"],
        expected: Expected::Refused(Why::NotAuthentic),
        act: flip_a_bit,
    },
    Step {
        title: "Copy the keystore without its key file",
        prose: "Somebody takes the whole keystore directory with them: database, log, objects. The file that unlocks it \
                lay elsewhere.",
        commands: &["cp -r KEYSTORE stolen", "keystead --keystore stolen key list"],
        expected: Expected::Refused(Why::NoKeyFile),
        act: |stage, _| {
            stage.with_stolen_copy(|copy| {
                Keystore::open(copy, &mut WithoutAsking, "a thief")?;
                Outcome::done("the copy opened without its key file")
            })
        },
    },
    Step {
        title: "Try the copy with another key file",
        prose: "A key file of another keystore is a real key, and the wrong one.",
        commands: &["keystead --keystore stolen --key-file other.key key list"],
        expected: Expected::Refused(Why::WrongKeyFile),
        act: try_another_key_file,
    },
    Step {
        title: "Verify the audit log",
        prose: "Every call above left a record before it was answered, the refused ones too. The log is a signed hash \
                tree: a record that is changed, moved or taken out shows.",
        commands: &["keystead audit verify", "keystead audit tail -n 8"],
        expected: Expected::Done,
        act: verify,
    },
];

fn make_the_world(stage: &mut Stage, _: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let keystore = stage.keystore()?;
    let failed = |error: crate::lab::seed::SeedError| Refusal::failed(error.to_string());
    let plan = stage.seed().plan(keystore).map_err(failed)?;
    let calls = plan.apply(keystore, &keystore.administrator(), &mut Vec::new()).map_err(failed)?;
    let world = keystore.world()?;
    Outcome::done(format!(
        "{calls} calls made: {} people and roles, {} bucket, {} keys, 1 account beside ours",
        world.identities().count(),
        world.buckets().count(),
        world.keys().count(),
    ))
}

fn compare_the_tiers(_: &mut Stage, shown: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let table = TierTable::observe()?;
    shown.push(table.to_string());
    let tried: usize = table
        .rows
        .iter()
        .flat_map(|row| [&row.owned, &row.managed, &row.customer])
        .map(|cell| cell.evidence.len())
        .sum();
    Outcome::done(format!("({tried} findings behind it: --json shows them)"))
}

fn put_three_objects(stage: &mut Stage, shown: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let (keystore, alice) = (stage.keystore()?, stage.caller("user/alice")?);
    let kinds = [
        ("owned", Encryption::Aes256),
        ("managed", Encryption::AwsManagedKey),
        ("customer", Encryption::KmsKey(models_key()?)),
    ];
    for (name, encryption) in kinds {
        let put = PutObject::new("models".parse()?, name.parse()?, encryption);
        let object = keystore.s3().put_object(&alice, put, Source::File(stage.file()), &mut |_| ())?;
        let world = keystore.world()?;
        let tier = world.key(&object.kms_key).map_or("?", |key| key.tier.as_str());
        shown.push(format!("{name:<9} {tier:<17} key {}", object.kms_key.key_id()));
    }
    Outcome::done("")
}

fn context() -> Result<EncryptionContext, ParseError> {
    EncryptionContext::from_pairs([("project", "demo")])
}

fn seal(stage: &mut Stage, _: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let (alice, path) = (stage.caller("user/alice")?, stage.sealed());
    let (source, target) = (Source::File(stage.file()), Target::File(&path));
    let sealed = stage.keystore()?.artifacts(&alice).seal(models_key()?, source, target, context()?)?.message;
    let frames = if sealed.frames == 1 { "one frame".into() } else { format!("{} frames", sealed.frames) };
    Outcome::done(format!(
        "{} bytes became {}, in {frames} of AES-256-GCM",
        grouped(sealed.plaintext_bytes),
        grouped(sealed.message_bytes)
    ))
}

fn look(stage: &mut Stage, shown: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let mut file = fs::File::open(stage.sealed())?;
    let size = file.metadata()?.len();
    let info = inspect(&file, Some(size)).map_err(|error| Refusal::failed(error.to_string()))?;
    shown.push(format!("format     AWS Encryption SDK message, version {}", info.version));
    shown.push(format!("suite      {}", info.suite));
    shown.extend(info.recipients.iter().map(|recipient| format!("sealed to\n{}", recipient.key)));
    let context = info.context.iter().filter(|(name, _)| !name.starts_with("aws-crypto"));
    shown.extend(context.map(|(name, value)| format!("context    {name}={value}")));
    // The encrypted content begins after the first frame's number, IV and length.
    let start = info.header_bytes.saturating_add(24);
    file.seek(SeekFrom::Start(start))?;
    let mut body = Vec::new();
    file.take(BYTES_SHOWN).read_to_end(&mut body)?;
    for (row, at) in body.chunks(16).zip((start..).step_by(16)) {
        let hexadecimal: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters = row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
        let letters: String = letters.collect();
        shown.push(format!("{at:08x}   {:<47}  {letters}", hexadecimal.join(" ")));
    }
    Outcome::done("")
}

/// Opens the sealed artifact as `name`, and checks that what comes out is the artifact, or that nothing does.
fn open(stage: &mut Stage, name: &str) -> Result<Outcome, Refusal> {
    let sealed = stage.sealed();
    open_file(stage, name, &sealed)
}

fn open_file(stage: &mut Stage, name: &str, sealed: &Path) -> Result<Outcome, Refusal> {
    let (caller, path) = (stage.caller(name)?, stage.path("opened"));
    let (source, target) = (Source::File(sealed), Target::File(&path));
    let opened = stage.keystore()?.artifacts(&caller).open(source, target, context()?);
    whole_or_nothing(stage, &path, opened.map(drop).map_err(Refusal::from))
}

fn get(stage: &mut Stage, name: &str, object: &str) -> Result<Outcome, Refusal> {
    let (caller, path) = (stage.caller(name)?, stage.path("got"));
    let get = GetObject::new("models".parse()?, object.parse()?);
    let got = stage.keystore()?.s3().get_object(&caller, get, Target::File(&path), false, &mut |_| ());
    whole_or_nothing(stage, &path, got.map(drop).map_err(Refusal::from))
}

fn whole_or_nothing(stage: &Stage, path: &Path, result: Result<(), Refusal>) -> Result<Outcome, Refusal> {
    let there = path.exists();
    if let Err(refusal) = result {
        if there {
            return Err(Refusal::failed(format!("a file appeared all the same ({})", refusal.words())));
        }
        return Err(refusal);
    }
    let whole = stage.is_the_artifact(path)?;
    fs::remove_file(path)?;
    if whole {
        Outcome::done("byte for byte the same as before")
    } else {
        Err(Refusal::failed("it opened, and its content differs"))
    }
}

fn rotate(stage: &mut Stage, _: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let (kms, mlops) = (stage.keystore()?.kms(), stage.caller("role/mlops")?);
    kms.rotate_key_on_demand(&mlops, RotateKeyOnDemand { key_id: models_key()? })?;
    open(stage, "user/alice")
}

fn disable(stage: &mut Stage, _: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let (kms, mlops) = (stage.keystore()?.kms(), stage.caller("role/mlops")?);
    kms.disable_key(&mlops, DisableKey { key_id: models_key()? })?;
    open(stage, "user/alice")
}

fn enable(stage: &mut Stage, _: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let (kms, mlops) = (stage.keystore()?.kms(), stage.caller("role/mlops")?);
    kms.enable_key(&mlops, EnableKey { key_id: models_key()? })?;
    open(stage, "user/alice")
}

fn flip_a_bit(stage: &mut Stage, shown: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let damaged = stage.path("damaged.sealed");
    fs::copy(stage.sealed(), &damaged)?;
    let mut file = fs::OpenOptions::new().read(true).write(true).open(&damaged)?;
    // The last 16 bytes are the final frame's tag; one before them is content, or its length.
    let at = file.metadata()?.len().saturating_sub(17);
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&byte.map(|byte| byte ^ 1))?;
    drop(file);
    let [before] = byte;
    shown.push(format!("byte {at}: {before:02x} became {:02x}", before ^ 1));
    let outcome = open_file(stage, "user/alice", &damaged);
    fs::remove_file(&damaged)?;
    outcome
}

fn try_another_key_file(stage: &mut Stage, _: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let other = stage.path("other.key");
    let new = NewKeystore { account: "111122223333".parse()?, region: "us-east-1".parse()? };
    drop(Keystore::create(&stage.path("other"), new, Seal::KeyFile(other.clone()), "another keystore")?);
    stage.with_stolen_copy(|copy| {
        Keystore::open(copy, &mut WithKeyFile(other), "a thief")?;
        Outcome::done("the copy opened with another keystore's key file")
    })
}

fn verify(stage: &mut Stage, shown: &mut Vec<String>) -> Result<Outcome, Refusal> {
    let keystore = stage.keystore()?;
    let verified = keystore.audit_verify()?;
    for record in keystore.audit_tail(&keystore.administrator(), EVENTS_SHOWN)? {
        shown.push(line_of(&record));
    }
    Outcome::done(format!(
        "{} records and {} signed checkpoints verified",
        verified.records, verified.checkpoints
    ))
}

fn line_of(record: &Record) -> String {
    let identity = &record.user_identity;
    let who = match (&identity.user_name, &identity.session_context, &identity.invoked_by) {
        (Some(name), ..) => name.clone(),
        (None, Some(session), _) => {
            session.session_issuer.as_ref().map_or_else(String::new, |issuer| issuer.user_name.clone())
        }
        (None, None, Some(service)) => service.clone(),
        (None, None, None) => "the keystore".into(),
    };
    let outcome = record.error_code.as_deref().unwrap_or("ok");
    format!("{}  {who:<8} {:<20} {outcome}", record.event_time.to_rfc3339(), record.event_name)
}
