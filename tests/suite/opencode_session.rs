//! The recorded session in `docs/session.md`: that it has its parts and nothing of
//! the machine it was made on. `record_session` makes it anew.
//!
//! That OpenCode would look the same today is not proven.

use std::path::Path;

#[test]
fn the_recorded_session_is_whole_and_names_no_machine() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/session.md");
    let page = std::fs::read_to_string(file).expect("a file of ours");
    let mut rest = page.as_str();
    for part in [
        "It is up and idle.",
        "△ Permission required",
        "labels: prod",
        "(27 bytes become 36; mode stays 0644; labels: prod)",
        "2 + Maintenance: Sunday, 02:00",
        "△ Reject permission",
        "Keep the logs, compress them tonight.",
        "The logs stay, and are compressed tonight.",
        "$ openshell undo web-1 ",
        "is as it was at revision",
    ] {
        let at = rest.find(part);
        assert!(at.is_some(), "{part:?} is missing");
        rest = &rest[at.unwrap_or_default()..];
    }
    for private in [
        "127.0.0.1",
        "root@",
        "/tmp/.tmp",
        "/tmp/openshell-",
        "/home/",
    ] {
        assert!(!page.contains(private), "{private}");
    }
}
