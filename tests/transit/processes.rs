//! The examples as processes.

use std::{env, ffi::OsString, path::PathBuf};

use keystead::lab::in_transit::Launcher;

/// An example; `cargo test` builds them beside the tests.
pub(crate) fn example(name: &str) -> OsString {
    let test = env::current_exe().unwrap();
    let path: PathBuf = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "the example `{name}` is not built: run the whole of `cargo test`, or `cargo build --examples` first"
    );
    path.into()
}

pub(crate) fn launcher() -> Launcher {
    Launcher { server: vec![example("transit_server")], client: vec![example("transit_client")] }
}
