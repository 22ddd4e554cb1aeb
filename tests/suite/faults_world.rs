//! A sample of what the world around the helper does to it: networks, disks,
//! servers, crowds; `cargo xtask faults` does more of each.
//!
//! Each fails if the harness counted anything that must be zero. Places and moments
//! are few here, and do not cover what the long run does.

use openshell_tests::faults::{Report, Until, callers, disks, network, processes, server_restarts};

#[track_caller]
fn held(report: &Report) {
    println!("{report}");
    assert!(report.runs() > 0, "nothing was run:\n{report}");
    assert!(report.findings().is_empty(), "{report}");
}

#[test]
fn a_bad_network_breaks_no_promise() {
    held(&network(3, Until::Done(12), 7));
}

#[test]
fn a_full_disk_breaks_no_promise() {
    held(&disks(&[1]));
}

#[test]
fn a_server_that_restarts_breaks_no_promise() {
    held(&server_restarts(3));
}

#[test]
fn sixty_four_callers_break_no_promise() {
    held(&callers(64, 2).report);
}

#[test]
fn sixteen_processes_break_no_promise() {
    held(&processes(16, 4).report);
}
