//! `kill -9` under load: what was answered is there, with its record.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use keystead::keystore::{Keystore, WithoutAsking};
use serde_json::json;

use crate::process::{Served, keystead};

/// Aliases that are made before the server is killed.
const ANSWERED_MIN: usize = 60;

#[test]
fn no_answered_mutation_and_no_answered_record_is_lost() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("keystore");
    let key_file = place.path().join("keystore.key");
    let keystore = ["--keystore", directory.to_str().unwrap(), "--key-file", key_file.to_str().unwrap()];
    assert!(keystead(&["init"]).args(keystore).output().unwrap().status.success());
    let mut served = Served::start(&[&keystore[..], &["--auth", "none"]].concat());
    let key = served.kms("CreateKey", &json!({})).json()["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();

    let (answered, stopped) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (served, key, answered, stopped) = (&served, &key, &answered, &stopped);
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("alias/t{thread}-{number}");
                    let input = json!({"AliasName": name, "TargetKeyId": key});
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    // A connection that is cut off tells nothing, and so promises nothing.
                    let made = std::panic::catch_unwind(|| served.kms("CreateAlias", &input).status == 200);
                    if made.unwrap_or(false) {
                        answered.lock().unwrap().insert(name);
                    }
                }
            });
        }
        while answered.lock().unwrap().len() < ANSWERED_MIN {
            std::thread::yield_now();
        }
        let id = served.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
        stopped.store(true, Ordering::SeqCst);
    });
    served.child.wait().unwrap();
    check(&directory, &answered.into_inner().unwrap());
}

fn check(directory: &Path, answered: &BTreeSet<String>) {
    let keystore = Keystore::open(directory, &mut WithoutAsking, "test").unwrap();
    keystore.audit_verify().unwrap();
    let world = keystore.world().unwrap();
    let there: BTreeSet<String> = world.aliases().map(|alias| alias.name.to_string()).collect();
    assert!(there.is_superset(answered), "{:?}", answered.difference(&there).collect::<Vec<_>>());
    let records = keystore.audit_tail(&keystore.administrator(), 100_000).unwrap();
    let recorded: BTreeSet<String> = records
        .iter()
        .filter(|record| record.event_name == "CreateAlias" && record.succeeded())
        .filter_map(|record| record.request_parameters["aliasName"].as_str().map(str::to_owned))
        .collect();
    assert!(recorded.is_superset(answered), "{:?}", answered.difference(&recorded).collect::<Vec<_>>());
    assert!(answered.len() >= ANSWERED_MIN);
}
