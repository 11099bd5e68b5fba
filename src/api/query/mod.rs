//! The query protocol: a form in, XML out. IAM and STS speak it.
//!
//! Source: "Making query requests" (IAM user guide) and the service models of IAM and STS.

pub mod form;
pub mod operations;
pub mod xml;

/// A service that speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryService {
    /// Identity management, version 2010-05-08.
    Iam,
    /// The security token service, version 2011-06-15.
    Sts,
}

impl QueryService {
    /// The service of this version.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        match version {
            "2010-05-08" => Some(Self::Iam),
            "2011-06-15" => Some(Self::Sts),
            _ => None,
        }
    }

    /// The namespace of its answers.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        }
    }

    /// Its name as the scope of a signature has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }
}
