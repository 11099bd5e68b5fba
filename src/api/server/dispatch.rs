//! From an HTTP request to a call and back.
//!
//! Which service a request is for is told by `X-Amz-Target` (JSON), else by the form's `Action` and `Version` (query), as
//! with one endpoint for all services there is nothing else to tell it by.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{Method, Request, header, request::Parts};
use hyper::body::Incoming;

use super::{
    Shared,
    authenticate::Service,
    control::{self, header_text},
    guard,
    reply::{Reply, Shape, answered, plain},
    tls::Arrival,
};
use crate::{
    api::{
        cloudtrail,
        error::WireError,
        kms,
        query::{QueryService, form::Form, operations},
        sigv4,
    },
    crypto::{
        digest::sha256,
        random::{Random, SystemRandom},
    },
    keystore::Keystore,
    kms::Caller,
    model::{AccountId, PrincipalArn, VpcEndpointId},
};

/// The longest name of a program that is written into the audit log, in bytes.
const USER_AGENT_BYTES_MAX: usize = 512;

const KMS: Service = Service { name: "kms", is_global: false };
const CLOUDTRAIL: Service = Service { name: "cloudtrail", is_global: false };

/// What a request asks for.
enum Wanted {
    /// An operation of KMS.
    Kms(String),
    /// An operation of CloudTrail.
    CloudTrail(String),
    /// An operation of a service with forms.
    Query(QueryService, String, Arc<Form>),
    /// Nothing that there is.
    Unknown,
}

impl Wanted {
    fn shape(&self) -> Shape {
        match self {
            Self::Kms(_) | Self::CloudTrail(_) | Self::Unknown => Shape::Json,
            Self::Query(service, _, _) => Shape::Xml(service.namespace()),
        }
    }

    fn service(&self) -> Service {
        match self {
            Self::Kms(_) | Self::Unknown => KMS,
            Self::CloudTrail(_) => CLOUDTRAIL,
            Self::Query(service, _, _) => Service { name: service.name(), is_global: true },
        }
    }

    /// Names for metrics and logs: of what there is, never a client's words.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Kms(operation) => ("kms", kms::known(operation).unwrap_or("unknown")),
            Self::CloudTrail(operation) if operation == cloudtrail::LOOKUP_EVENTS => {
                ("cloudtrail", cloudtrail::LOOKUP_EVENTS)
            }
            Self::CloudTrail(_) => ("cloudtrail", "unknown"),
            Self::Query(service, action, _) => {
                (service.name(), operations::find(*service, action).map_or("unknown", |entry| entry.name))
            }
            Self::Unknown => ("unknown", "unknown"),
        }
    }
}

/// Answers a request.
pub(super) async fn answer(shared: &Arc<Shared>, arrival: &Arrival, request: Request<Incoming>) -> Reply {
    let peer = arrival.peer;
    if let Err(refusal) = guard::check(request.headers(), &shared.hosts) {
        return plain(403, "text/plain; charset=utf-8", refusal.words());
    }
    if let Some(reply) = control::answer(shared, &request).await {
        return reply;
    }
    let started = Instant::now();
    let _under_way = shared.metrics.begin();
    let random: &mut dyn Random = &mut SystemRandom;
    let Ok(request_id) = random.uuid() else { return plain(500, "text/plain", "") };
    let (parts, body) = request.into_parts();
    let read = match shared.bodies.read(body).await {
        Ok(read) => read,
        Err(error) => return answered(Shape::Json, &request_id, Err(error)),
    };
    let body = &read.bytes;
    let (wanted, wish) = match wanted(&parts, body) {
        Ok(wanted) => (wanted, Ok(())),
        Err(error) => (Wanted::Unknown, Err(error)),
    };
    let outcome = match wish {
        Ok(()) => call(shared, arrival, &parts, body, &wanted, &request_id).await,
        Err(error) => Err(error),
    };
    let (service, operation) = wanted.names();
    let (error, took) = (outcome.as_ref().err(), started.elapsed());
    shared.metrics.answered(service, operation, error.map(|error| error.code.as_str()), took);
    tracing::debug!(
        request = %request_id, %peer, service, operation,
        error = error.map(|error| error.code.as_str()), micros = took.as_micros(), "answered"
    );
    answered(wanted.shape(), &request_id, outcome)
}

/// Finds out what a request asks for.
fn wanted(parts: &Parts, body: &[u8]) -> Result<Wanted, WireError> {
    let content_type = header_text(&parts.headers, header::CONTENT_TYPE).unwrap_or_default();
    if guard::is_of_a_page(content_type) {
        return Err(
            WireError::new("UnknownOperationException", "This content type is not taken.").with_status(415)
        );
    }
    if let Some(target) = header_text(&parts.headers, "x-amz-target") {
        if parts.method != Method::POST || !content_type.starts_with("application/x-amz-json-1.") {
            return Ok(Wanted::Unknown);
        }
        if let Some(operation) = cloudtrail::operation_of(target) {
            return Ok(Wanted::CloudTrail(operation.to_owned()));
        }
        return Ok(match target.split_once('.') {
            Some((prefix, operation)) if prefix == kms::target_prefix() => Wanted::Kms(operation.to_owned()),
            _ => Wanted::Unknown,
        });
    }
    let form = match parts.method {
        Method::POST if content_type.starts_with("application/x-www-form-urlencoded") => Form::parse(body)?,
        Method::GET => Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?,
        _ => return Ok(Wanted::Unknown),
    };
    let service = form.get("Version").and_then(QueryService::of_version);
    let action = form.get("Action").map(str::to_owned);
    Ok(match (service, action) {
        (Some(service), Some(action)) => Wanted::Query(service, action, Arc::new(form)),
        _ => Wanted::Unknown,
    })
}

/// Authenticates the request and makes the call.
async fn call(
    shared: &Arc<Shared>,
    arrival: &Arrival,
    parts: &Parts,
    body: &Bytes,
    wanted: &Wanted,
    request_id: &str,
) -> Result<Bytes, WireError> {
    let Some(keystore) = shared.keystore_when_back().await else {
        return Err(
            WireError::new("ServiceUnavailable", "The keystore is in use by a command.").with_status(503)
        );
    };
    let caller = authenticated(shared, &keystore, arrival, parts, body, wanted, request_id)?;
    match wanted {
        Wanted::Kms(operation) => {
            let pending = kms::begin(&keystore, &caller, operation, body)?;
            let decided = Instant::now();
            let answer = pending.await;
            shared.metrics.waited(decided.elapsed());
            answer
        }
        Wanted::CloudTrail(operation) => {
            let (operation, body) = (operation.clone(), body.clone());
            // The log is read, on a thread that may wait.
            let look = move || cloudtrail::call(keystore.cloudtrail(), &caller, &operation, &body);
            let internal = |_| WireError::new("InternalFailure", "").with_status(500);
            tokio::task::spawn_blocking(look).await.map_err(internal)?
        }
        Wanted::Query(service, action, form) if operations::find(*service, action).is_some() => {
            let (form, request_id) = (Arc::clone(form), request_id.to_owned());
            let (service, action) = (*service, action.clone());
            // These are rare, and wait for their record on a thread that may.
            let answered = tokio::task::spawn_blocking(move || {
                let entry = operations::find(service, &action)?;
                Some(operations::call(service, entry, keystore.kms(), &caller, &form, &request_id))
            });
            match answered.await {
                Ok(Some(answer)) => answer.map(Bytes::from),
                _ => Err(WireError::new("ServiceFailure", "").with_status(500)),
            }
        }
        Wanted::Query(_, action, form) => {
            let version = form.get("Version").unwrap_or_default();
            Err(WireError::new(
                "InvalidAction",
                format!("Could not find operation {action} for version {version}"),
            ))
        }
        Wanted::Unknown => {
            Err(WireError { status: 400, code: "UnknownOperationException".into(), message: None })
        }
    }
}

fn authenticated(
    shared: &Shared,
    keystore: &Keystore,
    arrival: &Arrival,
    parts: &Parts,
    body: &[u8],
    wanted: &Wanted,
    request_id: &str,
) -> Result<Caller, WireError> {
    let protocol = wanted.shape().protocol();
    let headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = sigv4::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body_sha256: sha256(&[body]),
    };
    let peer = arrival.peer;
    if let Some(account) = web_identity_account(wanted) {
        let caller = Caller::web_identity(account);
        let caller = caller.arriving(peer.ip().to_string(), user_agent(parts), request_id);
        return Ok(arrival.mark(caller, &parts.headers));
    }
    let of_call = |error| WireError::of_call(&error, protocol);
    let region = keystore.region().map_err(of_call)?;
    let known = shared.gatekeeper.caller(keystore, wanted.service(), &region, &request).map_err(|error| {
        shared.metrics.unauthenticated();
        tracing::info!(request = %request_id, %peer, error = error.query_code(), "not authenticated");
        WireError::of_signature(&error, protocol)
    })?;
    if shared.gatekeeper.admits_anybody() {
        control::ensure_account(keystore, known.principal.account()).map_err(of_call)?;
    }
    let caller = Caller::remote(known.principal, peer.ip().to_string(), user_agent(parts), request_id);
    let endpoint = header_text(&parts.headers, header::HOST).and_then(VpcEndpointId::of_host);
    let caller = match endpoint {
        Some(id) => caller.through_vpc_endpoint(id),
        None => caller,
    };
    let caller = arrival.mark(caller, &parts.headers);
    Ok(match known.access_key_id {
        Some(id) => caller.with_access_key(id),
        None => caller,
    })
}

/// The account of the role that a request wants to assume by an identity provider's word: that comes without a signature,
/// for its sender has no AWS credentials.
fn web_identity_account(wanted: &Wanted) -> Option<AccountId> {
    let Wanted::Query(QueryService::Sts, action, form) = wanted else { return None };
    let role: PrincipalArn =
        form.get("RoleArn").filter(|_| action == "AssumeRoleWithWebIdentity")?.parse().ok()?;
    Some(role.account().clone())
}

/// The program that sent a request, at most [`USER_AGENT_BYTES_MAX`] of its name.
fn user_agent(parts: &Parts) -> String {
    let name = header_text(&parts.headers, header::USER_AGENT).unwrap_or_default();
    name.get(..name.floor_char_boundary(USER_AGENT_BYTES_MAX)).unwrap_or_default().to_owned()
}
