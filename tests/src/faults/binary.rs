//! The build of openshell that has fault points, and the list of them.
//!
//! Invariant: the ordinary binary is never taken for it. A build that is older than
//! the source is not noticed here: the task that runs the harness builds first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cli::binary;

/// A point as the binary lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultPoint {
    /// Its name.
    pub name: String,
    /// Whether the system, too, can fail there.
    pub fails: bool,
}

/// Where the build with fault points is: beside the ordinary one. It is built when
/// it is missing, and taken as it is otherwise.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn fault_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("OPENSHELL_FAULT_BIN") {
            return PathBuf::from(path);
        }
        let path = binary().with_file_name("openshell-faults");
        if !path.exists() {
            let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
                .args(["build", "--package", "openshell"])
                .args(["--features", "fault-points", "--bin", "openshell-faults"])
                .arg("--manifest-path")
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
                .status()
                .expect("cargo can be run");
            assert!(status.success(), "the build with fault points failed");
        }
        path
    })
}

/// Every point of that build.
///
/// # Panics
/// When the binary lists none.
#[must_use]
pub fn fault_points() -> Vec<FaultPoint> {
    let listed = Command::new(fault_binary())
        .env("OPENSHELL_FAULT", "list")
        .output()
        .expect("the binary can be run");
    let text = String::from_utf8(listed.stdout).expect("names are ASCII");
    let points: Vec<FaultPoint> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some(FaultPoint {
                name: words.next()?.to_owned(),
                fails: words.next() == Some("fails"),
            })
        })
        .collect();
    assert!(!points.is_empty(), "the binary lists no fault points");
    points
}
