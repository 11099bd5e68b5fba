//! botocore as a second signer: random requests that it signs are verified here, and changed ones are not.

use keystead::{
    api::sigv4::{Presented, Request, Settings, SignatureError, SigningKeys, verify},
    crypto::digest::sha256,
    kms::{Clock, SystemClock},
    secret::SecretBytes,
};
use serde::Deserialize;

use crate::python;

const REQUESTS: &str = "600";
/// Another one makes other requests.
const SEED: &str = "20150830";

#[derive(Clone, Deserialize)]
struct Signed {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    secret: String,
}

impl Signed {
    fn verify(&self) -> Result<(), SignatureError> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body_sha256: sha256(&[&self.body]),
        };
        let presented = Presented::read(&request, Settings::default())?;
        presented.check_time(SystemClock.now())?;
        let secret = || Ok::<_, SignatureError>(SecretBytes::from(self.secret.as_bytes()));
        let key = SigningKeys::default().get(presented.access_key_id(), presented.scope(), secret)?;
        verify(&presented, &request, Settings::default(), &key)
    }

    /// The same request with one thing changed that its signature covers.
    fn changed(&self) -> Vec<Self> {
        let change = |act: &dyn Fn(&mut Self)| {
            let mut changed = self.clone();
            act(&mut changed);
            changed
        };
        vec![
            change(&|signed| signed.method = "DELETE".into()),
            change(&|signed| signed.path.push_str("/more")),
            change(&|signed| signed.query.push_str("&more=1")),
            change(&|signed| signed.secret.push('x')),
            change(&|signed| {
                let target = signed.headers.iter_mut().find(|(name, _)| name == "X-Amz-Target");
                target.unwrap().1.push('x');
            }),
            change(&|signed| signed.body.push(b'x')),
        ]
    }
}

#[test]
fn what_botocore_signs_is_verified_and_what_was_changed_is_not() {
    let lines = python::run_script("signatures.py", &[REQUESTS, SEED]);
    let mut count = 0;
    for line in lines.lines() {
        let signed: Signed = serde_json::from_str(line).unwrap();
        if let Err(error) = signed.verify() {
            panic!("{error}: {line}");
        }
        for changed in signed.changed() {
            assert!(changed.verify().is_err(), "{line}");
        }
        count += 1;
    }
    assert_eq!(count.to_string(), REQUESTS);
}
