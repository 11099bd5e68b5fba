//! What is nowhere in the files: plaintext ever, and a deleted key's material after its window.

use std::fs;

use base64::Engine;
use keystead::{
    keystore::Keystore,
    kms::{CreateKey, ScheduleKeyDeletion},
    model::{Days, KeyArn},
    secret::SecretKey,
    services::s3::Encryption,
};

use crate::place::{Place, encrypt, files_in, make_bucket, make_key, put};

/// A material that no other bytes look like.
fn material(number: u8) -> [u8; 32] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(151).wrapping_add(number.wrapping_mul(67)) ^ 0xa5)
}

/// The ways in which bytes might come to stand in a file.
fn spellings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let list = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    vec![
        bytes.to_vec(),
        hex::encode(bytes).into_bytes(),
        hex::encode_upper(bytes).into_bytes(),
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes).into_bytes(),
        list.into_bytes(),
    ]
}

/// The files below the keystore's parent, key file included, that hold these bytes in any spelling.
fn holders(place: &Place, bytes: &[u8]) -> Vec<String> {
    let spellings = spellings(bytes);
    let holds = |content: &[u8]| {
        spellings.iter().any(|spelling| content.windows(spelling.len()).any(|window| window == spelling))
    };
    let files = files_in(place.parent()).into_iter().filter(|(_, content)| holds(content));
    files.map(|(path, _)| path.display().to_string()).collect()
}

fn wrapped(keystore: &Keystore, key: &KeyArn) -> Vec<u8> {
    keystore.world().unwrap().key(key).unwrap().materials[0].wrapped.clone()
}

#[test]
fn no_plaintext_ever_stands_in_a_file() {
    let place = Place::new();
    let keystore = place.create().unwrap();
    let key = make_key(&keystore, SecretKey::from_slice(&material(1)));
    let (short, long) = (material(2), [material(3), material(4)].concat().repeat(200));
    encrypt(&keystore, &key, &short);
    make_bucket(&keystore);
    let ways = [Encryption::KmsKey(key.into()), Encryption::AwsManagedKey, Encryption::Aes256];
    for (name, encryption) in ["a", "b", "c"].into_iter().zip(ways) {
        put(&keystore, name, encryption, &long).unwrap();
    }
    for open in [true, false] {
        for secret in [material(1), short, material(3), material(4)] {
            assert_eq!(holders(&place, &secret), Vec::<String>::new(), "open: {open}");
        }
        if open {
            // What opens the root key stands in the key file and there alone.
            let text = fs::read_to_string(place.key_file()).unwrap();
            let digits = text.trim_end().rsplit(' ').next().unwrap();
            let found = holders(&place, &hex::decode(digits).unwrap());
            assert_eq!(found, [place.key_file().display().to_string()]);
        }
    }
    drop(keystore);
    assert_eq!(holders(&place, &material(1)), Vec::<String>::new());
}

#[test]
fn at_the_end_of_its_window_a_key_is_erased_from_every_file() {
    let place = Place::new();
    let keystore = place.create().unwrap();
    let admin = keystore.administrator();
    // Neighbours fill pages and leave free ones.
    let keys: Vec<KeyArn> =
        (0..9).map(|number| make_key(&keystore, SecretKey::from_slice(&material(number)))).collect();
    let (gone, stays) = (&keys[4], &keys[5]);
    let (gone_bytes, stays_bytes) = (wrapped(&keystore, gone), wrapped(&keystore, stays));
    assert_eq!(holders(&place, &gone_bytes).len(), 1, "the wrapped material is found while the key lives");
    for description in ["one", "two"] {
        let describe = keystead::kms::UpdateKeyDescription {
            key_id: gone.clone().into(),
            description: description.into(),
        };
        keystore.kms().call(&admin, &describe).unwrap();
    }
    let schedule = ScheduleKeyDeletion { key_id: gone.clone().into(), pending_window: Some(Days::new(7)) };
    keystore.kms().schedule_key_deletion(&admin, schedule).unwrap();
    keystore.advance_clock(&admin, Days::new(6)).unwrap();
    assert!(!holders(&place, &gone_bytes).is_empty(), "it can still be cancelled");
    keystore.advance_clock(&admin, Days::new(1)).unwrap();
    let check = |when: &str| {
        assert_eq!(holders(&place, &gone_bytes), Vec::<String>::new(), "{when}");
        assert_eq!(holders(&place, &gone_bytes[12..44]), Vec::<String>::new(), "{when}");
        assert_eq!(holders(&place, &stays_bytes).len(), 1, "{when}");
    };
    check("while it is open");
    let records = keystore.audit_tail(&admin, 9).unwrap();
    assert!(records.iter().any(|record| record.event_name == "DeleteKey"));
    drop(keystore);
    check("after it was closed");
    let keystore = place.open().unwrap();
    check("after it was opened again");
    keystore.kms().create_key(&admin, CreateKey::default()).unwrap();
    keystore.audit_verify().unwrap();
}
