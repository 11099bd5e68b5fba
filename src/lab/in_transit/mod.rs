//! The lesson on data in transit: two processes that talk in plaintext and over TLS, what an eavesdropper between them
//! sees, and what must fail.
//!
//! The processes are the examples `transit_server` and `transit_client`; whoever gives the lesson says how they are started
//! ([`Launcher`]).

#[cfg(feature = "cli")]
mod demo;
mod measure;
#[cfg(feature = "cli")]
mod print;
mod process;
mod stage;
mod trials;

#[cfg(feature = "cli")]
pub use demo::{Costs, DemoError, Summary, run};
pub use measure::{Handshakes, Parties, Throughput, Wire};
pub use process::{Called, Calling, Launcher, PATIENCE, ServerProcess, call};
pub use stage::{DAYS_AHEAD, MODEL, Stage, StageError, TENSOR, tensor_bytes};
pub use trials::{Outcome, Scene, TRIALS, Trial, replay};
