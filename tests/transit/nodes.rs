//! The nodes of a cluster sum up their gradients, and nobody else adds to the sum.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use keystead::{
    keystore::{Keystore, NewKeystore},
    kms::SystemClock,
    lab::{
        in_transit::{MODEL, PATIENCE},
        seed::{LAB, Seed},
        wiretap::{Meddling, Wiretap, look::find},
    },
    model::CertificateNames,
    services::tls::{AUTHORITY_DAYS, CERTIFICATE_DAYS, IssueCertificate},
    transit::{HolderKey, pem},
};

use crate::processes::example;

const TRAINER: &str = "arn:aws:iam::111122223333:role/trainer";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

/// An authority, and the certificates of nodes with these principals.
fn certificates(place: &Path, principals: &[&str]) {
    let new = NewKeystore { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    let keystore = Keystore::in_memory(new, Arc::new(SystemClock)).unwrap();
    let (admin, tls) = (keystore.administrator(), keystore.tls());
    Seed::parse(LAB).unwrap().plan(&keystore).unwrap().apply(&keystore, &admin, &mut Vec::new()).unwrap();
    let authority = tls.create_authority(&admin, AUTHORITY_DAYS).unwrap();
    for (rank, principal) in principals.iter().enumerate() {
        let key = HolderKey::generate().unwrap();
        let names = CertificateNames::of_principal(principal.parse().unwrap());
        let names = names.and_host("localhost".parse().unwrap());
        let issue = IssueCertificate { request: key.request().to_vec(), names, validity: CERTIFICATE_DAYS };
        let issued = tls.issue(&admin, issue).unwrap();
        key.write(&place.join(format!("node{rank}.key"))).unwrap();
        std::fs::write(place.join(format!("node{rank}.crt")), pem::certificate(&issued.certificate)).unwrap();
    }
    std::fs::write(place.join("ca.pem"), pem::certificate(&authority.certificate)).unwrap();
    let list = tls.revocation_list(&admin).unwrap();
    std::fs::write(place.join("crl.pem"), pem::revocation_list(&list)).unwrap();
}

/// Addresses that are free, and were not given to anybody else meanwhile.
fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

/// What a node said, and whether it ended well.
struct Ended {
    said: String,
    complained: String,
    well: bool,
}

/// Runs a node for each rank; `called` is how rank `r` knows the others. The last begins, and each waits for the one after
/// it to listen.
fn run(place: &Path, nodes: usize, called: impl Fn(usize) -> Vec<String>, more: &[&str]) -> Vec<Ended> {
    let start = |rank: usize| {
        let mut command = Command::new(example("inter_node"));
        command.args(["--rank", &rank.to_string()]).args(more);
        for address in called(rank) {
            command.args(["--node", &address]);
        }
        if !more.contains(&"--plaintext") {
            command.arg("--ca").arg(place.join("ca.pem")).arg("--crl").arg(place.join("crl.pem"));
            command.arg("--identity").arg(place.join(format!("node{rank}"))).args(["--peer", TRAINER]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        said.read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready: "), "{ready}");
        (child, said)
    };
    let mut started: Vec<_> = (0..nodes).rev().map(start).collect();
    started.reverse();
    let ended = |(mut child, mut out): (Child, BufReader<ChildStdout>)| {
        let (mut said, mut complained) = (String::new(), String::new());
        out.read_to_string(&mut said).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
        Ended { said, complained, well: child.wait().unwrap().success() }
    };
    started.into_iter().map(ended).collect()
}

/// The sum of all weights, each as often as the ranks add up to.
fn expected(nodes: usize) -> f64 {
    let model = safetensors::SafeTensors::deserialize(MODEL).unwrap();
    let mut sum = 0.0;
    for name in model.names() {
        for bytes in model.tensor(name).unwrap().data().chunks(4) {
            sum += f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
        }
    }
    sum * (nodes * (nodes + 1) / 2) as f64
}

#[test]
fn nodes_come_to_the_same_sum_whether_or_not_they_are_overheard() {
    let place = tempfile::tempdir().unwrap();
    certificates(place.path(), &[TRAINER; 3]);
    for nodes in [2, 3] {
        let addresses = free_addresses(nodes);
        for Ended { said, complained, well } in run(place.path(), nodes, |_| addresses.clone(), &[]) {
            assert!(well, "{said}{complained}");
            assert!(said.contains(&format!("{TRAINER} has called")), "{said}");
            let sum: f64 = said.trim().rsplit(' ').next().unwrap().parse().unwrap();
            assert!((sum - expected(nodes)).abs() < 1e-3, "{sum} {}", expected(nodes));
        }
    }
}

#[test]
fn an_eavesdropper_gets_the_gradients_of_nodes_without_tls_and_of_others_none() {
    let place = tempfile::tempdir().unwrap();
    certificates(place.path(), &[TRAINER; 2]);
    // What node 0 sends first: the first half of its gradients, which are its weights.
    let first_half = {
        let model = safetensors::SafeTensors::deserialize(MODEL).unwrap();
        let mut names = model.names();
        names.sort_unstable();
        names
            .iter()
            .flat_map(|name| model.tensor(name).unwrap().data().to_vec())
            .take(2000)
            .collect::<Vec<u8>>()
    };
    for (more, found) in [(&["--plaintext"][..], true), (&[], false)] {
        let addresses = free_addresses(2);
        let any = "127.0.0.1:0".parse().unwrap();
        // Node 0 is made to call node 1 through the eavesdropper.
        let tap = Wiretap::start(any, addresses[1].parse().unwrap(), Meddling::None).unwrap();
        let called = |rank| match rank {
            0 => vec![addresses[0].clone(), tap.address().to_string()],
            _ => addresses.clone(),
        };
        for Ended { said, complained, well } in run(place.path(), 2, called, more) {
            assert!(well, "{said}{complained}");
        }
        let heard =
            std::iter::from_fn(|| tap.next(PATIENCE)).find(|heard| !heard.to_server.is_empty()).unwrap();
        assert_eq!(find(&heard.to_server, &first_half).is_some(), found, "{more:?}");
    }
}

#[test]
fn a_node_of_the_right_authority_and_another_principal_adds_nothing() {
    let place = tempfile::tempdir().unwrap();
    certificates(place.path(), &[TRAINER, ALICE]);
    let addresses = free_addresses(2);
    let ended = run(place.path(), 2, |_| addresses.clone(), &[]);
    assert!(ended.iter().all(|node| !node.well));
    let complained = &ended[0].complained;
    assert!(complained.contains(&format!("`{ALICE}` is no node of this cluster")), "{complained}");
}
