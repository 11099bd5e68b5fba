//! What `/_keystead/metrics` tells, in the text format of Prometheus (OpenMetrics 1.0): rates, latencies, denials, and how
//! long answers wait for their audit record.

use std::{borrow::Cow, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// What a request was. Names are those of services and operations that there are, never a client's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: &'static str,
    operation: &'static str,
    /// `ok`, or the error's name.
    outcome: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    service: &'static str,
    operation: &'static str,
}

/// The numbers.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latencies: Family<OperationLabels, Histogram>,
    denials: Counter,
    unauthenticated: Counter,
    audit_wait: Histogram,
    under_way: Gauge,
}

/// From 50 microseconds to 3.3 seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 17))
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("keystead");
        let requests = Family::default();
        registry.register("requests", "Requests, by what they came to", requests.clone());
        let latencies =
            Family::<OperationLabels, Histogram>::new_with_constructor(seconds as fn() -> Histogram);
        registry.register("request_duration_seconds", "How long requests took", latencies.clone());
        let (denials, unauthenticated) = (Counter::default(), Counter::default());
        registry.register("denials", "Requests that a policy did not allow", denials.clone());
        registry.register(
            "unauthenticated",
            "Requests whose signature was not taken",
            unauthenticated.clone(),
        );
        let audit_wait = seconds();
        registry.register(
            "audit_wait_seconds",
            "How long decided calls waited until their audit record was durable",
            audit_wait.clone(),
        );
        let under_way = Gauge::default();
        registry.register("requests_under_way", "Requests that are being answered", under_way.clone());
        Self { registry, requests, latencies, denials, unauthenticated, audit_wait, under_way }
    }

    /// One more is under way, until what this answers is dropped.
    pub(super) fn begin(&self) -> UnderWay {
        self.under_way.inc();
        UnderWay(self.under_way.clone())
    }

    pub(super) fn answered(
        &self,
        service: &'static str,
        operation: &'static str,
        error: Option<&str>,
        took: Duration,
    ) {
        if let Some("AccessDenied" | "AccessDeniedException") = error {
            self.denials.inc();
        }
        let outcome = error.map_or("ok".into(), |error| error.to_owned().into());
        self.requests.get_or_create(&RequestLabels { service, operation, outcome }).inc();
        let latency = self.latencies.get_or_create(&OperationLabels { service, operation });
        latency.observe(took.as_secs_f64());
    }

    pub(super) fn unauthenticated(&self) {
        self.unauthenticated.inc();
    }

    pub(super) fn waited(&self, for_the_record: Duration) {
        self.audit_wait.observe(for_the_record.as_secs_f64());
    }

    /// All numbers as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => unreachable!("writing to memory does not fail"),
        }
    }
}

/// A request under way.
pub(super) struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}
