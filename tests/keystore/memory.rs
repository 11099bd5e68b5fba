//! What is left in memory when a keystore has been used and dropped: no key at all. And what a core dump of a process at
//! work would hold: none of the keys that it keeps.
//!
//! A child process makes and uses a keystore, drops everything, and then looks for the keys in its own memory through
//! `/proc/self/mem`. It is told what to look for only after that, and only masked, so that it does not find the question.
//! What it looks for comes from this side: keys that were handed in, keys that it reported masked, and the root key and
//! all that derives from it, which this side works out from the files.

#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io::{BufRead, Read, Seek, SeekFrom, Write},
    path::Path,
    process::Child,
    sync::Mutex,
};

use keystead::{
    crypto::{
        aead, kdf,
        random::{Random, SystemRandom},
    },
    envelope::{
        self, EncryptedDataKey, Keyring, KeyringError, KmsKeyring, NewDataKey, OpenOptions, SealOptions,
    },
    keystore::{Keystore, Seal, WithoutAsking},
    kms::{DataKeyLength, Decrypt, Encrypt, GenerateDataKey},
    model::EncryptionContext,
    secret::{SecretBytes, SecretKey},
};

use crate::place::{Place, await_line, child, childs_directory, make_key, new_keystore, say};

const NAME: &str = "memory::when_all_is_dropped_no_key_is_left_in_memory";
const NAME_AT_WORK: &str = "memory::a_core_of_a_process_at_work_would_hold_none_of_its_keys";
/// What the child never holds in clear, it holds with every byte turned by this.
const MASK: u8 = 0x5c;

/// The bytes of a secret that both sides know.
fn pattern(secret: u8, at: usize) -> u8 {
    (at as u8).wrapping_mul(149).wrapping_add(secret.wrapping_mul(83)).rotate_left(u32::from(secret % 8))
        ^ 0x3a
}

const MATERIAL: u8 = 1;
const PLAINTEXT: u8 = 2;
const CONTROL: u8 = 3;
const ARTIFACT: u8 = 4;

fn patterned(secret: u8) -> [u8; 32] {
    std::array::from_fn(|at| pattern(secret, at))
}

/// The same as a secret, never anywhere but in its place.
fn secret_key(secret: u8) -> SecretKey {
    let filled = SecretKey::try_from_fill(|bytes| {
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(secret, at));
        Ok::<(), ()>(())
    });
    filled.unwrap()
}

fn masked(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{:02x}", byte ^ MASK)).collect()
}

fn unmasked(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap().iter().map(|byte| byte ^ MASK).collect()
}

#[test]
fn when_all_is_dropped_no_key_is_left_in_memory() {
    if let Some(directory) = childs_directory() {
        return be_the_child(&directory);
    }
    let place = Place::new();
    let mut child = child(NAME, &place.directory()).spawn().unwrap();
    let data_key = unmasked(&await_line(&mut child, "@data-key "));
    let artifact_key = unmasked(&await_line(&mut child, "@artifact-key "));
    let blob = hex::decode(await_line(&mut child, "@blob ")).unwrap();
    let message = hex::decode(await_line(&mut child, "@message ")).unwrap();
    let material = SecretKey::from_slice(&patterned(MATERIAL)).unwrap();

    let mut wanted = vec![
        ("the material", patterned(MATERIAL).to_vec()),
        ("the data key", data_key),
        ("the plaintext", patterned(PLAINTEXT).to_vec()),
        ("the call's key", call_key(&material, &blob)),
        ("the message's key", message_key(&artifact_key, &message)),
        ("the artifact's data key", artifact_key),
    ];
    wanted.extend(root_keys(&place, &place.database()));
    assert!(count(&mut child, &patterned(CONTROL)).in_memory > 0, "the scanner finds a secret that is alive");
    let found: Vec<(&str, usize)> =
        wanted.iter().map(|(what, bytes)| (*what, count(&mut child, bytes).in_memory)).collect();
    let artifact = count(&mut child, &patterned(ARTIFACT)).in_memory;
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let left: Vec<_> = found.iter().filter(|(_, times)| *times > 0).collect();
    assert!(left.is_empty(), "left in memory: {left:?}; the artifact's plaintext {artifact} times");
}

/// A core holds the memory that the kernel does not leave out (`MADV_DONTDUMP`, `dd` in proc(5)). What AWS-LC keeps for
/// itself, such as the log's signing key, is not ours to place (docs/reliability.md, "Limits"). The command makes no core
/// at all: `endpoint::life` looks at that.
#[test]
fn a_core_of_a_process_at_work_would_hold_none_of_its_keys() {
    if let Some(directory) = childs_directory() {
        return be_the_child_at_work(&directory);
    }
    let place = Place::new();
    let mut child = child(NAME_AT_WORK, &place.directory()).spawn().unwrap();
    await_line(&mut child, "@done");
    // The child has locked the database itself.
    let copy = place.key_file().with_extension("copy");
    fs::copy(place.database(), &copy).unwrap();
    let mut wanted = root_keys(&place, &copy);
    wanted.retain(|(what, _)| *what != "the log's signing key");
    wanted.push(("a secret of the program's", patterned(CONTROL).to_vec()));
    let found: Vec<(&str, Count)> =
        wanted.iter().map(|(what, bytes)| (*what, count(&mut child, bytes))).collect();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let alive = |name: &str| found.iter().any(|(what, count)| *what == name && count.in_memory > 0);
    assert!(alive("the wrapping key") && alive("a secret of the program's"), "{found:?}");
    assert!(found.iter().all(|(_, count)| count.in_core == 0), "{found:?}");
}

/// The key of the one AES-GCM call behind a ciphertext blob, as `kms/blob.rs` describes it.
fn call_key(material: &SecretKey, blob: &[u8]) -> Vec<u8> {
    let header_bytes = 4 + 1 + usize::from(blob[4]) + 32;
    let (header, rest) = blob.split_at(header_bytes);
    let key = kdf::hkdf_sha256(material, &rest[..32], header);
    let context = EncryptionContext::from_pairs([("purpose", "test")]).unwrap().to_canonical_bytes();
    let aad = [header, &rest[..32], &context].concat();
    assert!(aead::open(&key, &[0; 12], &aad, &rest[32..]).is_ok(), "this is the key");
    key.expose_secret().to_vec()
}

/// The key of a message's frames (AWS Encryption SDK specification, suite 0x0478).
fn message_key(data_key: &[u8], message: &[u8]) -> Vec<u8> {
    let data_key = SecretKey::from_slice(data_key).unwrap();
    let commitment = kdf::hkdf_sha512(&data_key, &message[3..35], b"COMMITKEY");
    let committed = message.windows(32).any(|window| window == commitment.expose_secret());
    assert!(committed, "this is the message's data key");
    let info = [&message[1..3], b"DERIVEKEY".as_slice()].concat();
    kdf::hkdf_sha512(&data_key, &message[3..35], &info).expose_secret().to_vec()
}

/// The root key and everything that derives from it, worked out from key file and database as any reader of
/// `keystore/seal.rs` could.
fn root_keys(place: &Place, database: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let text = fs::read_to_string(place.key_file()).unwrap();
    let digits = text.trim_end().rsplit(' ').next().unwrap();
    let sealing = SecretKey::from_slice(&hex::decode(digits).unwrap()).unwrap();
    let database = rusqlite::Connection::open(database).unwrap();
    let meta = |name: &str| -> serde_json::Value {
        let select = "SELECT value FROM meta WHERE name = ?1";
        let bytes: Vec<u8> = database.query_row(select, [name], |row| row.get(0)).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let identity = meta("identity");
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    let id = identity["id"].as_str().unwrap();
    let aad = format!("keystead v1 root key of {id}");
    let root =
        aead::open_with_leading_nonce(&sealing, aad.as_bytes(), &bytes(&meta("sealed-root")["sealed"]));
    let root = SecretKey::from_slice(root.unwrap().expose_secret()).unwrap();
    let derive = |purpose: &str| kdf::hkdf_sha256(&root, id.as_bytes(), purpose.as_bytes());
    let log_wrapping = derive("keystead v1 log key wrapping");
    let public_key = bytes(&identity["log_public_key"]);
    let log_key =
        aead::open_with_leading_nonce(&log_wrapping, &public_key, &bytes(&identity["log_key"])).unwrap();
    vec![
        ("the key file's key", sealing.expose_secret().to_vec()),
        ("the key file's digits", digits.as_bytes().to_vec()),
        ("the root key", root.expose_secret().to_vec()),
        ("the wrapping key", derive("keystead v1 key material wrapping").expose_secret().to_vec()),
        ("the rows' key", derive("keystead v1 row authentication").expose_secret().to_vec()),
        ("the log key's wrapping key", log_wrapping.expose_secret().to_vec()),
        ("the log's signing key", log_key.expose_secret().to_vec()),
    ]
}

/// How often something stands in memory, and in that part of it that a core dump holds.
#[derive(Debug, Clone, Copy)]
struct Count {
    in_memory: usize,
    in_core: usize,
}

/// How often the child finds these bytes.
fn count(child: &mut Child, bytes: &[u8]) -> Count {
    writeln!(child.stdin.as_mut().unwrap(), "{}", masked(bytes)).unwrap();
    let line = await_line(child, "@count ");
    let (in_memory, in_core) = line.split_once(' ').unwrap();
    Count { in_memory: in_memory.parse().unwrap(), in_core: in_core.parse().unwrap() }
}

fn be_the_child(directory: &Path) {
    use_a_keystore(directory);
    let control = secret_key(CONTROL);
    say("@done");
    answer_questions();
    assert_eq!(control.expose_secret()[0], pattern(CONTROL, 0));
}

fn be_the_child_at_work(directory: &Path) {
    let seal = Seal::KeyFile(directory.with_extension("key"));
    drop(Keystore::create(directory, new_keystore(), seal, "the child").unwrap());
    let keystore = Keystore::open(directory, &mut WithoutAsking, "the child").unwrap();
    let key = make_key(&keystore, None);
    let generate = GenerateDataKey {
        key_id: key.into(),
        length: DataKeyLength::Aes256,
        encryption_context: EncryptionContext::default(),
    };
    let data_key = keystore.kms().generate_data_key(&keystore.administrator(), generate).unwrap();
    let control = secret_key(CONTROL);
    say("@done ");
    answer_questions();
    assert_eq!(control.expose_secret()[0], pattern(CONTROL, 0));
    drop((data_key, keystore));
}

/// Looks for what is asked for until nothing more is.
fn answer_questions() {
    for line in std::io::stdin().lock().lines() {
        let wanted = hex::decode(line.unwrap()).unwrap();
        let (in_memory, in_core) =
            (times_in(&writable_regions(), &wanted), times_in(&regions_of_a_core(), &wanted));
        say(&format!("@count {in_memory} {in_core}"));
    }
}

/// Does with a keystore what is done with one, and drops it; twice, as one that was made and as one that was there.
#[inline(never)]
fn use_a_keystore(directory: &Path) {
    let seal = Seal::KeyFile(directory.with_extension("key"));
    let keystore = Keystore::create(directory, new_keystore(), seal, "the child").unwrap();
    let key = make_key(&keystore, Some(secret_key(MATERIAL)));
    drop(keystore);

    let keystore = Keystore::open(directory, &mut WithoutAsking, "the child").unwrap();
    let (kms, admin) = (keystore.kms(), keystore.administrator());
    let context = EncryptionContext::from_pairs([("purpose", "test")]).unwrap();
    let mut plaintext = Vec::with_capacity(32);
    plaintext.extend((0..32).map(|at| pattern(PLAINTEXT, at)));
    let encrypt = Encrypt {
        key_id: key.clone().into(),
        plaintext: SecretBytes::new(plaintext),
        encryption_context: context.clone(),
    };
    let blob = kms.encrypt(&admin, encrypt).unwrap().ciphertext_blob;
    let decrypt =
        Decrypt { ciphertext_blob: blob.clone(), key_id: None, encryption_context: context.clone() };
    assert_eq!(kms.decrypt(&admin, decrypt).unwrap().plaintext.len(), 32);
    let generate = GenerateDataKey {
        key_id: key.clone().into(),
        length: DataKeyLength::Aes256,
        encryption_context: context.clone(),
    };
    let data_key = masked(kms.generate_data_key(&admin, generate).unwrap().plaintext.expose_secret());

    let data_keys = kms.data_keys(admin);
    let keyring = Overheard { inner: KmsKeyring::new(&data_keys, key.into()), data_key: Mutex::default() };
    let options = SealOptions { context, ..SealOptions::default() };
    let (mut message, mut opened) = (Vec::new(), std::io::sink());
    let mut source = ArtifactSource { left: 1 << 17 };
    envelope::seal(&mut source, &mut message, &keyring, &options, &mut SystemRandom).unwrap();
    envelope::open(&mut message.as_slice(), &mut opened, &keyring, &OpenOptions::default()).unwrap();
    let artifact_key = keyring.data_key.into_inner().unwrap();
    say(&format!("@data-key {data_key}\n@artifact-key {artifact_key}"));
    say(&format!("@blob {}\n@message {}", hex::encode(blob), hex::encode(&message[..1024])));
}

/// An artifact that is nowhere but in the buffer that it is read into.
struct ArtifactSource {
    left: usize,
}

impl Read for ArtifactSource {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.left) / 32 * 32;
        buffer[..count].iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(ARTIFACT, at % 32));
        self.left -= count;
        Ok(count)
    }
}

/// Remembers the data key, masked.
struct Overheard<'k> {
    inner: KmsKeyring<'k>,
    data_key: Mutex<String>,
}

impl Keyring for Overheard<'_> {
    fn generate(
        &self,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<NewDataKey, KeyringError> {
        let new = self.inner.generate(context, random)?;
        *self.data_key.lock().unwrap() = masked(new.data_key.expose_secret());
        Ok(new)
    }

    fn wrap(
        &self,
        data_key: &SecretKey,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        self.inner.wrap(data_key, context, random)
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<envelope::DataKey, KeyringError> {
        self.inner.unwrap(encrypted, context)
    }
}

/// How often the bytes whose masked form this is stand in these regions of this process's memory.
fn times_in(regions: &[(u64, u64)], wanted: &[u8]) -> usize {
    const CHUNK: usize = 1 << 20;
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut times = 0;
    for &(start, end) in regions {
        let mut at = start;
        while at < end {
            // One buffer for each chunk would leave copies of what was scanned all over the heap.
            let length = CHUNK.min(usize::try_from(end - at).unwrap());
            let mut chunk = vec![0; length];
            memory.seek(SeekFrom::Start(at)).unwrap();
            if memory.read_exact(&mut chunk).is_err() {
                break;
            }
            times += times_in_chunk(&chunk, wanted);
            chunk.fill(0);
            if length < CHUNK {
                break;
            }
            at += (length - wanted.len() + 1) as u64;
        }
    }
    times
}

fn times_in_chunk(chunk: &[u8], wanted: &[u8]) -> usize {
    let (first, last) = (wanted[0] ^ MASK, wanted[wanted.len() - 1] ^ MASK);
    let mut times = 0;
    let ends = &chunk[(wanted.len() - 1).min(chunk.len())..];
    for (at, (one, other)) in chunk.iter().zip(ends).enumerate() {
        if *one == first && *other == last {
            let here = &chunk[at..at + wanted.len()];
            times += usize::from(here.iter().zip(wanted).all(|(byte, wanted)| byte ^ MASK == *wanted));
        }
    }
    times
}

fn writable_regions() -> Vec<(u64, u64)> {
    fs::read_to_string("/proc/self/maps").unwrap().lines().filter_map(writable_region).collect()
}

/// The writable regions that the kernel does not leave out of core dumps.
fn regions_of_a_core() -> Vec<(u64, u64)> {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut regions = Vec::new();
    let mut open = None;
    for line in smaps.lines() {
        match line.strip_prefix("VmFlags:") {
            Some(flags) if !flags.split(' ').any(|flag| flag == "dd") => regions.extend(open.take()),
            Some(_) => open = None,
            None => open = writable_region(line).or(open),
        }
    }
    regions
}

/// What a line of `/proc/self/maps` is about, when that can be written.
fn writable_region(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    rest.starts_with("rw").then_some((number(start)?, number(end)?))
}
