//! Grants, by a process that has the library: this test binary once more, which makes and revokes grants until it is killed.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use keystead::{
    keystore::{Keystore, WithoutAsking},
    kms::{CreateGrant, RevokeGrant},
    model::KeyState,
    policy::GrantOperation,
};

use crate::{Place, ledger::Heard};

/// Names the keystore's directory to the child.
const CHILD: &str = "KEYSTEAD_CRASH_CHILD";
/// Grants that one child makes at most.
const GRANTS_MAX: usize = 400;

/// The keystore's directory, in the child.
pub(crate) fn childs_directory() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Makes a grant, says so, and after every third revokes the oldest and says so.
pub(crate) fn be_the_child(directory: &Path) {
    let keystore = Keystore::open(directory, &mut WithoutAsking, "the harness's child").unwrap();
    let (kms, admin, world) = (keystore.kms(), keystore.administrator(), keystore.world().unwrap());
    let enabled = world.keys().filter(|key| key.state == KeyState::Enabled);
    let keys: Vec<_> = enabled.map(|key| key.arn.clone()).collect();
    let mut made = std::collections::VecDeque::new();
    let mut output = std::io::stdout();
    for (number, key) in keys.iter().cycle().take(GRANTS_MAX).enumerate() {
        let grantee = admin.arn().unwrap().clone();
        let create = CreateGrant::new(key.clone(), grantee, [GrantOperation::Decrypt]);
        let grant_id = kms.create_grant(&admin, create).unwrap().grant_id;
        writeln!(output, "@made {key} {grant_id}").unwrap();
        made.push_back((key.clone(), grant_id));
        if number % 3 == 2 {
            let (key, grant_id) = made.pop_front().unwrap();
            let revoke = RevokeGrant { key_id: key.clone().into(), grant_id: grant_id.clone() };
            kms.revoke_grant(&admin, revoke).unwrap();
            writeln!(output, "@ended {key} {grant_id}").unwrap();
        }
    }
}

/// Lets the child work until it has said so many things, and kills it; `test` is the name of the test that becomes it.
pub(crate) fn kill_the_child(place: &Place, test: &str, lines: u64, before_kill: impl FnOnce()) -> Heard {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, place.directory());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = Heard::default();
    let mut take = |line: String| {
        // The harness's own words may stand before.
        let said =
            line.split_once('@').map(|(_, said)| said.split(' ').map(str::to_owned).collect::<Vec<_>>());
        if let Some([what, key, id]) = said.as_deref() {
            heard.grants.push((what == "made", key.clone(), id.clone()));
        }
        u64::try_from(heard.grants.len()).unwrap()
    };
    while let Some(Ok(line)) = output.next() {
        if take(line) >= lines {
            break;
        }
    }
    before_kill();
    let _ended_already = child.kill();
    child.wait().unwrap();
    // What it had said and nobody had read yet was said all the same.
    for line in output.map_while(Result::ok) {
        take(line);
    }
    heard
}
