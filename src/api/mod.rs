//! The AWS wire: what AWS's clients speak, on top of the operations that everything else calls too.

pub mod error;
pub mod kms;
pub mod sigv4;
