//! What cannot be left out of GenerateDataKey with a signature and a durable record, and nothing else.
//!
//! A bare `hyper` server that verifies the signature, opens a key's material, seals a data key under a key derived from it,
//! and answers when a record as long as ours is in a signed log on disk, many to an fsync. It reads no JSON, knows no
//! caller, decides nothing and guards against nobody, so no endpoint that keeps its promises is as fast.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, OnceLock},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
};
use keystead::{
    api::sigv4::{self, Presented, Settings},
    audit::{AuditLog, LogOptions, checkpoint, directory::DiskDirectory},
    crypto::{
        aead,
        digest::sha256,
        kdf::hkdf_sha256,
        random::{Random, SystemRandom},
        signature::SigningKey,
    },
    secret::{SecretBytes, SecretKey},
};
use tokio::sync::oneshot;

use crate::servers::serve;

/// The argument that makes this program the server.
pub(crate) const FLOOR: &str = "--floor-server";
/// By whom its requests are signed.
pub(crate) const ACCESS_KEY: (&str, &str) = ("AKIDEXAMPLE", "secret");

/// As long as the record of a GenerateDataKey that comes over HTTP.
const RECORD_BYTES: usize = 1_050;
/// As long as its answer.
const ANSWER_BYTES: usize = 480;

/// Records in their order, and who waits for each.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<(Vec<u8>, oneshot::Sender<()>)>>,
    filled: Condvar,
}

impl Queue {
    /// Takes all that has queued up, makes it durable, and lets it go; again and again.
    fn write(&self, mut log: AuditLog) {
        loop {
            let mut waiting = self.waiting.lock().unwrap();
            while waiting.is_empty() {
                waiting = self.filled.wait(waiting).unwrap();
            }
            let (records, waiters): (Vec<_>, Vec<_>) = std::mem::take(&mut *waiting).into_iter().unzip();
            drop(waiting);
            log.append_batch(&records).unwrap();
            for waiter in waiters {
                let _gone = waiter.send(());
            }
        }
    }

    async fn append(&self, record: Vec<u8>) {
        let (waiter, durable) = oneshot::channel();
        self.waiting.lock().unwrap().push((record, waiter));
        self.filled.notify_one();
        durable.await.unwrap();
    }
}

struct Shared {
    queue: Queue,
    signing_key: OnceLock<sigv4::SigningKey>,
    wrapping: SecretKey,
    material: Vec<u8>,
}

impl Shared {
    /// Verifies the signature, and stops the measurement when it is another one.
    fn verify(&self, request: &Request<()>, body: &[u8]) {
        let headers: Vec<(&str, &[u8])> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let signed = sigv4::Request {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: "",
            headers: &headers,
            body_sha256: sha256(&[body]),
        };
        let presented = Presented::read(&signed, Settings::default()).unwrap();
        let key = self.signing_key.get_or_init(|| {
            sigv4::SigningKey::derive(&SecretBytes::from(ACCESS_KEY.1.as_bytes()), presented.scope())
        });
        sigv4::verify(&presented, &signed, Settings::default(), key).unwrap();
    }

    /// A data key under a key that derives from the material.
    fn data_key(&self) -> Vec<u8> {
        let random: &mut dyn Random = &mut SystemRandom;
        let material = aead::open_with_leading_nonce(&self.wrapping, b"material", &self.material).unwrap();
        let material = SecretKey::from_slice(material.expose_secret()).unwrap();
        let data_key: SecretKey = random.secret().unwrap();
        let salt: [u8; 16] = random.array().unwrap();
        let call_key = hkdf_sha256(&material, &salt, b"call");
        aead::seal_with_random_nonce(&call_key, b"context", data_key.expose_secret(), random).unwrap()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.verify(&Request::from_parts(parts, ()), &body);
        let mut answer = self.data_key();
        answer.resize(ANSWER_BYTES, b'x');
        self.queue.append(vec![b'x'; RECORD_BYTES]).await;
        Response::new(Full::new(answer.into()))
    }
}

/// Serves until it is killed, with its log in this directory.
pub(crate) fn floor(place: &Path) {
    let random: &mut dyn Random = &mut SystemRandom;
    let (seed, wrapping, material): (SecretKey, SecretKey, SecretKey) =
        (random.secret().unwrap(), random.secret().unwrap(), random.secret().unwrap());
    let directory = DiskDirectory::create(place.join("audit")).unwrap();
    let options = LogOptions::new(SigningKey::from_seed(&seed), checkpoint::origin("floor"));
    let log = AuditLog::create(Box::new(directory), options).unwrap();
    let material =
        aead::seal_with_random_nonce(&wrapping, b"material", material.expose_secret(), random).unwrap();
    let shared =
        Arc::new(Shared { queue: Queue::default(), signing_key: OnceLock::new(), wrapping, material });
    let writer = Arc::clone(&shared);
    std::thread::spawn(move || writer.queue.write(log));
    serve(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request).await }
    });
}
