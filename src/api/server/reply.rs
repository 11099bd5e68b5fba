//! Answers as HTTP: status, headers and the protocol's shape of an error.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use crate::api::{
    error::{Protocol, WireError},
    query::xml,
};

/// The namespace of the errors of a query service, and of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON 1.1.
    Json,
    /// XML in this namespace.
    Xml(&'static str),
}

impl Shape {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Json => Protocol::Json,
            Self::Xml(_) => Protocol::Query,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Xml(_) => "text/xml",
        }
    }
}

/// An HTTP answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// An answer of a service.
pub(super) fn answered(shape: Shape, request_id: &str, outcome: Result<Bytes, WireError>) -> Reply {
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err(error) => (error.status, error_body(shape, request_id, &error)),
    };
    let mut reply = plain(status, shape.content_type(), body);
    let headers = reply.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate, private"),
    );
    reply
}

/// Any other answer.
pub(super) fn plain(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

fn error_body(shape: Shape, request_id: &str, error: &WireError) -> Bytes {
    match shape {
        Shape::Json => {
            let body = match &error.message {
                Some(message) => json!({"__type": error.code, "message": message}),
                None => json!({"__type": error.code}),
            };
            body.to_string().into()
        }
        Shape::Xml(namespace) => xml::error(namespace, request_id, error).into(),
    }
}
