//! Commands that are ended early, and what is left of them.
//!
//! They prove that what was ended is gone or said to run, also after a kill of this
//! side. What the journal makes of it is not looked at.

use std::process::{Command, Stdio};
use std::time::Duration;

use openshell_host::ssh::{End, Ended, ExecRequest, SshError};
use tokio_util::sync::CancellationToken;

use crate::ssh_support::{
    argv, connect, eventually, kill, processes, request, run, script, start, target, text, unique,
};

#[tokio::test]
async fn a_timed_out_command_is_gone_when_the_answer_comes() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let mark = unique();
    let programs = [
        ("plain", argv(&["sleep", &mark])),
        (
            "in a shell",
            script(&format!("echo first; sleep {mark}; echo never")),
        ),
        (
            "deaf to TERM",
            script(&format!(
                "trap '' TERM HUP INT; echo first; while :; do sleep {mark}; done"
            )),
        ),
        (
            "many",
            script(&format!(
                "sleep {mark} & sleep {mark} & sleep {mark} | cat; wait"
            )),
        ),
        ("printing", script(&format!("yes {mark}"))),
    ];
    for (name, program) in programs {
        let outcome = connection
            .exec(
                ExecRequest {
                    timeout: Duration::from_secs(1),
                    ..request(program)
                },
                CancellationToken::new(),
            )
            .await
            .expect("it starts");
        assert_eq!(
            outcome.end,
            End::TimedOut(Ended::GroupGone),
            "{name}: {:?}",
            outcome.note
        );
        assert_eq!(processes(&mark), Vec::<String>::new(), "{name}");
        if outcome.stdout.total > 0 && name != "printing" {
            assert_eq!(
                text(&outcome),
                "first\n",
                "{name}: what was printed until then is kept"
            );
        }
    }
    assert_eq!(text(&run(&connection, argv(&["echo", "on"])).await), "on\n");
}

#[tokio::test]
async fn what_leaves_the_group_may_run() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let mark = unique();
    // Its own command line, and not that of setsid(1), which is still in the group.
    let pattern = format!("^sleep {mark}$");
    let cancel = CancellationToken::new();
    let (outcome, ()) = tokio::join!(
        connection.exec(
            request(script(&format!("setsid sleep {mark} & wait"))),
            cancel.clone()
        ),
        async {
            eventually("it has left", || !processes(&pattern).is_empty()).await;
            cancel.cancel();
        }
    );
    let outcome = outcome.expect("it starts");
    let left = processes(&pattern);
    kill(&left);
    assert_eq!(outcome.end, End::Cancelled(Ended::MayRun));
    assert_eq!(left.len(), 1);
    assert!(outcome.note.is_some_and(|note| note.contains("left it")));
}

#[tokio::test]
async fn cancelling_ends_what_started_and_keeps_the_rest_from_starting() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let mark = unique();
    let cancel = CancellationToken::new();
    let (outcome, ()) = tokio::join!(
        connection.exec(request(argv(&["sleep", &mark])), cancel.clone()),
        async {
            eventually("the command runs", || {
                !processes(&format!("sleep {mark}")).is_empty()
            })
            .await;
            cancel.cancel();
        }
    );
    let outcome = outcome.expect("it started");
    assert_eq!(outcome.end, End::Cancelled(Ended::GroupGone));
    assert_eq!(processes(&format!("sleep {mark}")), Vec::<String>::new());
    let file = server.dir().join("must-not-exist");
    let refused = connection
        .exec(request(argv(&["touch", &file.to_string_lossy()])), cancel)
        .await;
    assert!(matches!(refused, Err(SshError::Cancelled)), "{refused:?}");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_dropped_call_ends_its_command() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let mark = unique();
    let pattern = format!("sleep {mark}");
    let call = tokio::spawn({
        let connection = connection.clone();
        let program = argv(&["sleep", &mark]);
        async move {
            connection
                .exec(request(program), CancellationToken::new())
                .await
        }
    });
    eventually("the command runs", || !processes(&pattern).is_empty()).await;
    call.abort();
    eventually("the command ends", || processes(&pattern).is_empty()).await;
}

#[tokio::test]
async fn a_lost_connection_is_no_success_and_ends_the_command() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let mark = unique();
    let pattern = format!("sleep {mark}");
    let (outcome, ()) = tokio::join!(
        connection.exec(
            request(script(&format!("echo begun; sleep {mark}; echo never"))),
            CancellationToken::new()
        ),
        async {
            eventually("the command runs", || !processes(&pattern).is_empty()).await;
            server.drop_connections();
        }
    );
    let outcome = outcome.expect("it had started");
    assert_eq!(outcome.end, End::Lost);
    assert_eq!(text(&outcome), "begun\n");
    eventually("the command ends", || processes(&pattern).is_empty()).await;
    let refused = connection
        .exec(request(argv(&["true"])), CancellationToken::new())
        .await;
    assert!(
        matches!(refused, Err(SshError::ConnectionLost { started: false })),
        "{refused:?}"
    );
}

/// The other half of the next test: runs a command until it is killed.
#[tokio::test]
#[ignore = "started by a_killed_helper_takes_its_commands_along"]
async fn helper_that_will_be_killed() {
    let Ok(description) = std::env::var("OPENSHELL_TEST_VICTIM") else {
        return;
    };
    let mut fields = description.split('|').map(str::to_owned);
    let mut next = || fields.next().expect("the parent wrote four fields");
    let (port, key, known_hosts, mark) = (next(), next(), next(), next());
    let target = openshell_host::ssh::Target {
        id: "victim".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: port.parse().expect("a port"),
        user: next(),
        auth: openshell_host::ssh::Auth::IdentityFile {
            path: key.into(),
            passphrase: None,
        },
        known_hosts: vec![known_hosts.into()],
        jump: None,
        shell: "/bin/sh".to_owned(),
        connect_timeout: Duration::from_secs(20),
        silence: Duration::from_secs(20),
    };
    let connection = connect(&target).await;
    let outcome = connection
        .exec(
            ExecRequest {
                timeout: Duration::from_secs(600),
                ..request(script(&format!("trap '' TERM; sleep {mark}")))
            },
            CancellationToken::new(),
        )
        .await;
    panic!("nobody killed us: {outcome:?}");
}

#[tokio::test]
async fn a_killed_helper_takes_its_commands_along() {
    let server = start();
    let mark = unique();
    let description = [
        server.port().to_string(),
        server.client_key_path().to_string_lossy().into_owned(),
        server.known_hosts_path().to_string_lossy().into_owned(),
        mark.clone(),
        server.user().to_owned(),
    ]
    .join("|");
    let mut victim = Command::new(std::env::current_exe().expect("tests are files"))
        .args([
            "--exact",
            "ssh_ending::helper_that_will_be_killed",
            "--ignored",
        ])
        .env("OPENSHELL_TEST_VICTIM", description)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary runs");
    let pattern = format!("^sleep {mark}");
    eventually("the command runs", || !processes(&pattern).is_empty()).await;
    victim.kill().expect("it is ours");
    victim.wait().expect("it is ours");
    eventually("the command ends", || processes(&pattern).is_empty()).await;
}
