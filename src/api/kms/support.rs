//! Which operations of KMS are served: the table of `docs/compatibility.md`, which a test compares with it.

use super::{model::service_model, operations::SERVED};

/// Whether an operation is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Served,
    /// It answers UnsupportedOperationException.
    Unsupported,
}

/// Every operation of the service model, sorted by name.
#[must_use]
pub fn support_table() -> Vec<(&'static str, Support)> {
    let support = |name: &str| if SERVED.contains(&name) { Support::Served } else { Support::Unsupported };
    service_model().operations().into_iter().map(|name| (name, support(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_in_the_model() {
        let served = support_table().into_iter().filter(|(_, support)| *support == Support::Served).count();
        assert_eq!(served, SERVED.len());
    }
}
