//! The story that a newcomer sees first ends well and leaves nothing.
//!
//! Invariant: it is the very `openshell demo` that the README names, with its own
//! server, key and journal. What it tells step by step is checked by the story, not
//! here.

use std::fs;

use openshell_tests::Cli;

#[test]
fn the_demo_runs_to_its_end_and_leaves_nothing() {
    let mut cli = Cli::without_key();
    let scratch = cli.dir().join("demo-scratch");
    fs::create_dir(&scratch).expect("own directory");
    cli.set_env("TMPDIR", scratch.to_str().expect("a plain name"));
    let told = cli.run(["demo"]);
    assert_eq!(told.status, 0, "{told:?}");
    for said in [
        "APPROVAL_REJECTED",
        "mode stays 0644",
        "ok, ",
        "broken at line",
        "is byte for byte what it was",
        "nothing is left on this machine",
    ] {
        assert!(told.stdout.contains(said), "{said:?} in {}", told.stdout);
    }
    let left: Vec<_> = fs::read_dir(&scratch).expect("own directory").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!cli.data_dir().exists(), "the demo has a store of its own");
}
