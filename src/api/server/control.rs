//! What is no AWS service: health, metrics, and making everything new.

use std::sync::Arc;

use http::{Method, Request, header};
use serde_json::json;

use super::{
    Shared,
    reply::{Reply, plain},
};
use crate::{keystore::Keystore, kms::CallError};

/// Makes a new keystore in the place of the one that is served.
pub type Renew = Box<dyn Fn() -> Result<Keystore, String> + Send + Sync>;

/// Answers a path that is no service's; `None` when it may be one's.
pub(super) async fn answer<B>(shared: &Arc<Shared>, request: &Request<B>) -> Option<Reply> {
    let path = request.uri().path();
    if !path.starts_with("/_keystead/") && !path.starts_with("/moto-api/") {
        return None;
    }
    let reply = match (request.method(), path) {
        (&Method::GET, "/_keystead/health") => health(shared),
        (&Method::GET, "/_keystead/metrics") => {
            plain(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", shared.metrics.text())
        }
        (&Method::POST, "/_keystead/reset" | "/moto-api/reset") if may_reset(shared) => {
            let shared = Arc::clone(shared);
            let renewed = tokio::task::spawn_blocking(move || reset(&shared)).await;
            renewed.unwrap_or_else(|_| plain(500, "application/json", "{}"))
        }
        _ => plain(404, "application/json", "{}"),
    };
    Some(reply)
}

fn health(shared: &Shared) -> Reply {
    let state = shared.keystore().map(|keystore| keystore.settings());
    let (status, body) = match state {
        None => (200, json!({"status": "lent", "version": env!("CARGO_PKG_VERSION")})),
        Some(Ok(settings)) => (
            200,
            json!({
                "status": "running",
                "version": env!("CARGO_PKG_VERSION"),
                "account": settings.account,
                "region": settings.region,
            }),
        ),
        // The writer has latched; why is in the log, for whoever owns the machine.
        Some(Err(_)) => (503, json!({"status": "failed", "version": env!("CARGO_PKG_VERSION")})),
    };
    plain(status, "application/json", body.to_string())
}

/// INVARIANT: nobody who has not authenticated can reset a keystore that authenticates, nor one on disk: that has no
/// `renew`.
fn may_reset(shared: &Shared) -> bool {
    shared.gatekeeper.admits_anybody() && shared.renew.is_some()
}

fn reset(shared: &Shared) -> Reply {
    let Some(renew) = &shared.renew else { return plain(404, "application/json", "{}") };
    match renew() {
        Ok(keystore) => {
            shared.replace(keystore);
            plain(200, "application/json", json!({"status": "ok"}).to_string())
        }
        Err(why) => {
            tracing::error!(%why, "the keystore could not be made anew");
            plain(500, "application/json", json!({"status": "failed"}).to_string())
        }
    }
}

/// Makes sure that an account exists, for a caller who was taken for its root user without a signature.
pub(super) fn ensure_account(
    keystore: &Keystore,
    account: &crate::model::AccountId,
) -> Result<(), CallError> {
    if keystore.world()?.has_account(account) {
        return Ok(());
    }
    let made = keystore.organizations().create_account(
        &keystore.administrator(),
        account.clone(),
        &format!("account {account}"),
    );
    // Another request may have been first.
    if keystore.world()?.has_account(account) { Ok(()) } else { made }
}

/// The value of a header that is text.
pub(super) fn header_text(headers: &http::HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
