//! The mixed load: several clients that make keys, rotate, disable, delete, encrypt and decrypt, until the server is gone.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    chance::Chance,
    ledger::{Heard, HeardAnswer},
    server::Client,
};

const CLIENTS: u64 = 6;
/// Keys in a keystore, about: more of them are not made.
const KEYS_MAX: usize = 24;

/// A ciphertext that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    /// The ARN of its key.
    pub(crate) key: String,
    pub(crate) blob: String,
    pub(crate) plaintext: String,
}

/// What there is to work on, as the keystore last said.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// The ARNs of all keys.
    pub(crate) keys: Vec<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) sealed: Vec<Sealed>,
    /// Names that were given out.
    names: u64,
}

/// What the clients share while they work.
struct Shared<'l> {
    load: &'l Load,
    names: AtomicU64,
    answered: AtomicU64,
    made: Mutex<Vec<String>>,
    sealed: Mutex<Vec<Sealed>>,
}

impl Load {
    /// Asks until the connections break. `kill` runs meanwhile, and can ask how many answers there were.
    pub(crate) fn put_on(
        &mut self,
        address: &str,
        chance: &mut Chance,
        kill: impl FnOnce(&dyn Fn() -> u64),
    ) -> Heard {
        let shared = Shared {
            load: self,
            names: AtomicU64::new(self.names),
            answered: AtomicU64::new(0),
            made: Mutex::new(self.keys.clone()),
            sealed: Mutex::new(self.sealed.clone()),
        };
        let branch = chance.next();
        let heard = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let (shared, chance) = (&shared, Chance::new(branch).branch(number));
                    scope.spawn(move || shared.work(address, chance))
                })
                .collect();
            kill(&|| shared.answered.load(Ordering::SeqCst));
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let (names, sealed) = (shared.names.into_inner(), shared.sealed.into_inner().unwrap());
        (self.names, self.sealed) = (names, sealed);
        Heard { answers: heard, ..Heard::default() }
    }
}

impl Shared<'_> {
    fn work(&self, address: &str, mut chance: Chance) -> Vec<HeardAnswer> {
        let mut heard = Vec::new();
        let Some(mut client) = Client::connect(address) else { return heard };
        loop {
            let (operation, input, plaintext) = self.next(&mut chance);
            let Some(answer) = client.ask(operation, &input) else { return heard };
            let ok = answer.status == 200;
            assert!(answer.status < 500, "{operation}: {answer:?}");
            if ok {
                self.take(operation, &answer.body, plaintext);
            }
            heard.push(HeardAnswer { request_id: answer.request_id, operation, ok });
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The next call: what, with what, and which plaintext belongs to it.
    fn next(&self, chance: &mut Chance) -> (&'static str, Value, Option<String>) {
        let keys = self.made.lock().unwrap().clone();
        let Some(key) = chance.one_of(&keys).cloned() else { return ("CreateKey", json!({}), None) };
        let on_key = json!({"KeyId": key});
        match chance.below(100) {
            0..8 if keys.len() < KEYS_MAX => ("CreateKey", json!({}), None),
            8..15 => ("DisableKey", on_key, None),
            15..26 => ("EnableKey", on_key, None),
            26..33 => ("RotateKeyOnDemand", on_key, None),
            33..39 => ("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7}), None),
            39..42 => ("CancelKeyDeletion", on_key, None),
            42..47 => {
                let name = format!("alias/a{}", self.names.fetch_add(1, Ordering::SeqCst));
                ("CreateAlias", json!({"AliasName": name, "TargetKeyId": key}), None)
            }
            47..50 => match chance.one_of(&self.load.aliases) {
                Some(name) => ("DeleteAlias", json!({"AliasName": name}), None),
                None => ("ListKeys", json!({}), None),
            },
            50..58 => ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"}), None),
            58..78 => {
                let plaintext = BASE64_STANDARD.encode(chance.next().to_be_bytes());
                ("Encrypt", json!({"KeyId": key, "Plaintext": plaintext}), Some(plaintext))
            }
            _ => match chance.one_of(&self.sealed.lock().unwrap()) {
                Some(sealed) => {
                    ("Decrypt", json!({"CiphertextBlob": sealed.blob}), Some(sealed.plaintext.clone()))
                }
                None => ("DescribeKey", on_key, None),
            },
        }
    }

    /// Takes note of what was answered.
    fn take(&self, operation: &str, body: &Value, plaintext: Option<String>) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match (operation, plaintext) {
            ("CreateKey", _) => {
                let arn = body["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
                self.made.lock().unwrap().push(arn);
            }
            ("Encrypt", Some(plaintext)) => {
                let sealed = Sealed { key: text("KeyId"), blob: text("CiphertextBlob"), plaintext };
                self.sealed.lock().unwrap().push(sealed);
            }
            ("Decrypt", Some(plaintext)) => assert_eq!(text("Plaintext"), plaintext, "decrypted wrongly"),
            _ => {}
        }
    }
}
