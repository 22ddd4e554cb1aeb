//! Commands over a real sshd.

use openshell_host::ssh::End;

use crate::ssh_support::{argv, connect, request, run, script, start, target, text};

#[tokio::test]
async fn a_command_runs_and_says_how_it_ended() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let hello = run(
        &connection,
        argv(&["printf", "<%s>", "a b", "$HOME", "*", "'"]),
    )
    .await;
    assert_eq!(text(&hello), "<a b><$HOME><*><'>", "{hello:?}");
    assert_eq!(hello.end, End::Exit(0));
    assert_eq!(hello.stderr.total, 0);
    assert_eq!(hello.note, None);
    let three = run(&connection, script("echo out; echo err >&2; exit 3")).await;
    assert_eq!(text(&three), "out\n");
    assert_eq!(three.stderr.head, b"err\n");
    assert_eq!(three.end, End::Exit(3));
    let _ = request;
}
