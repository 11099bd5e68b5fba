//! A KMS on your own machine that says no when AWS would, says why, and remembers.
//!
//! Most programs want one of four things:
//!
//! - **a throw-away keystore in a test**, with users, buckets and a clock: [`testing::Lab`];
//! - **a keystore on disk**: [`keystore::Keystore`], with its [`kms`](keystore::Keystore::kms) (`create_key`, `encrypt`,
//!   `decrypt`, `generate_data_key` …) and its simulated [`s3`](keystore::Keystore::s3);
//! - **a file sealed or opened** under keys of a KMS or raw keys: [`artifact::seal`] and [`artifact::open`];
//! - **a stream** sealed or opened: [`envelope::seal`] and [`envelope::open`].
//!
//! ```
//! use keystead::{crypto::random::SystemRandom, envelope, testing::Lab};
//!
//! let lab = Lab::new()?;
//! let kms = lab.kms().data_keys(lab.admin());
//! let keyring = envelope::KmsKeyring::new(&kms, lab.key()?.into());
//!
//! let mut sealed = Vec::new();
//! envelope::seal(&b"weights"[..], &mut sealed, &keyring, &Default::default(), &mut SystemRandom)?;
//! let mut opened = Vec::new();
//! envelope::open(&sealed[..], &mut opened, &keyring, &Default::default())?;
//! assert_eq!(opened, b"weights");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every call goes through one door, which authenticates, authorises, acts and makes the record durable before it
//! answers: see [`kms::Operation`].

// The examples name this crate, and the demo runs some of them from within it.
#[cfg(feature = "cli")]
extern crate self as keystead;

#[cfg(feature = "server")]
pub mod api;
pub mod artifact;
pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
pub mod crypto;
pub mod envelope;
pub mod iam;
pub mod keystore;
pub mod kms;
pub mod lab;
pub mod model;
pub mod policy;
pub mod secret;
pub mod services;
pub mod storage;
pub mod testing;
#[cfg(feature = "tls")]
pub mod transit;
pub mod world;

/// The README's program is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
