//! Commands over a real sshd: what reaches the program, what comes back.
//!
//! They prove that words and streams arrive as they were given. Whether a command
//! may run is not asked here.

use std::time::Duration;

use openshell_host::ssh::{End, ExecRequest, SshError};
use openshell_tests::{Sshd, SshdOptions};
use tokio_util::sync::CancellationToken;

use crate::ssh_support::{
    Account, argv, connect, kill, processes, request, run, script, start, target, text, unique,
};

#[tokio::test]
async fn a_command_runs_and_says_how_it_ended() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let hello = run(&connection, argv(&["echo", "hello"])).await;
    assert_eq!(text(&hello), "hello\n", "{hello:?}");
    assert_eq!(hello.end, End::Exit(0));
    assert_eq!(hello.stderr.total, 0);
    assert_eq!(hello.note, None);
    let three = run(&connection, script("echo out; echo err >&2; exit 3")).await;
    assert_eq!(text(&three), "out\n");
    assert_eq!(three.stderr.head, b"err\n");
    assert_eq!(three.end, End::Exit(3));
    let killed = run(&connection, script("kill -KILL $$")).await;
    assert_eq!(killed.end, End::Exit(137));
    let missing = run(&connection, argv(&["no-such-program"])).await;
    assert_eq!(missing.end, End::Exit(127));
}

#[tokio::test]
async fn words_arrive_as_they_were_given() {
    let words = [
        "",
        " ",
        "a b",
        "'",
        "\"",
        "\\",
        "$HOME",
        "$(id)",
        "`id`",
        "*",
        "?",
        "~",
        "~root",
        "!",
        "!!",
        "#",
        "-n",
        "--",
        "-",
        "=ls",
        "A=b",
        "a;b",
        "a&b",
        "a|b",
        "a>b",
        "a<b",
        "a\nb",
        "\t",
        "\r",
        "{a,b}",
        "[a]",
        "(a)",
        "%s",
        "\\n",
        "é",
        "日本",
        "\u{202e}",
        "\u{7f}",
        "\u{1b}[0m",
        "';id;'",
        "\\'",
        "'\\''",
    ];
    let server = start();
    let connection = connect(&target(&server)).await;
    let mut command = vec!["printf", "%s\\0"];
    command.extend(words);
    let outcome = run(&connection, argv(&command)).await;
    assert_eq!(outcome.end, End::Exit(0), "{outcome:?}");
    let printed = text(&outcome);
    let arrived: Vec<&str> = printed.split_terminator('\0').collect();
    assert_eq!(arrived, words);
    // The same words in a text, quoted by whoever wrote it.
    let outcome = run(
        &connection,
        script("printf '%s|' 'a  b' \"c'd\" é; echo -n x"),
    )
    .await;
    assert_eq!(text(&outcome), "a  b|c'd|é|x");
}

#[tokio::test]
async fn a_long_text_arrives_whole() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let body = "x".repeat(100_000);
    let outcome = run(&connection, script(&format!("printf %s {body} | wc -c"))).await;
    assert_eq!(text(&outcome).trim(), "100000", "{:?}", outcome.stderr);
    let outcome = run(&connection, script("-n; echo after")).await;
    assert_eq!(text(&outcome), "after\n");
}

#[tokio::test]
async fn argv_runs_in_an_environment_of_its_own() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let outcome = run(&connection, argv(&["env"])).await;
    let printed = text(&outcome);
    let mut names: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LC_ALL", "LOGNAME", "PATH", "TERM", "USER"]);
    // No builtin: sh has no program called `type`, and `true` is one on disk.
    assert_eq!(
        run(&connection, argv(&["type", "ls"])).await.end,
        End::Exit(127)
    );
    let login = run(
        &connection,
        script("echo $HOME; test -n \"$SSH_CONNECTION\""),
    )
    .await;
    assert_eq!(text(&login).trim(), server.home().to_string_lossy());
    assert_eq!(login.end, End::Exit(0));
}

#[tokio::test]
async fn standard_input_is_empty() {
    let server = start();
    let connection = connect(&target(&server)).await;
    for program in [argv(&["cat"]), script("cat; read x; echo $?")] {
        let outcome = run(&connection, program).await;
        assert_eq!(outcome.end, End::Exit(0));
    }
}

#[tokio::test]
async fn the_working_directory_is_entered_or_named() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let odd = server.dir().join("it's a \"dir\"\n$x");
    std::fs::create_dir(&odd).expect("the fixture's directory");
    for (program, cwd) in [
        (argv(&["pwd"]), "/etc".to_owned()),
        (script("pwd"), "/etc".to_owned()),
        (argv(&["pwd"]), odd.to_string_lossy().into_owned()),
    ] {
        let outcome = connection
            .exec(
                ExecRequest {
                    cwd: Some(cwd.clone()),
                    ..request(program)
                },
                CancellationToken::new(),
            )
            .await
            .expect("the directory exists");
        assert_eq!(text(&outcome), format!("{cwd}\n"));
    }
    let refused = connection
        .exec(
            ExecRequest {
                cwd: Some("/no/such".to_owned()),
                ..request(script("echo must not run"))
            },
            CancellationToken::new(),
        )
        .await;
    assert!(
        matches!(&refused, Err(SshError::NoSuchDirectory { cwd }) if cwd == "/no/such"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn output_is_bounded_and_counted() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let outcome = connection
        .exec(
            ExecRequest {
                head_limit: 10,
                tail_limit: 6,
                ..request(script("seq 1000000; echo error >&2"))
            },
            CancellationToken::new(),
        )
        .await
        .expect("it runs");
    assert_eq!(outcome.end, End::Exit(0));
    assert_eq!(outcome.stdout.head, b"1\n2\n3\n4\n5\n");
    assert_eq!(outcome.stdout.tail, b"00000\n");
    assert_eq!(outcome.stdout.total, 6_888_896);
    assert_eq!(outcome.stderr.head, b"error\n");
    assert_eq!(outcome.stderr.tail, b"");
}

#[tokio::test]
async fn a_process_left_in_the_background_is_not_waited_for() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let mark = unique();
    // What was forked is seen by its own name before the command ends.
    let background = format!(
        "sleep {mark} & until grep -q '^sleep' /proc/$!/cmdline; do sleep 0.02; done; echo started"
    );
    let outcome = run(&connection, script(&background)).await;
    let left = processes(&format!("sleep {mark}"));
    kill(&left);
    assert_eq!(outcome.end, End::Exit(0));
    assert_eq!(text(&outcome), "started\n");
    assert!(outcome.note.is_some());
    assert_eq!(left.len(), 1, "it goes on running");
    // One that prints without end is left behind as well.
    let outcome = run(&connection, script(&format!("yes {mark} & echo started"))).await;
    kill(&processes(&format!("yes {mark}")));
    assert_eq!(outcome.end, End::Exit(0));
    assert!(outcome.note.is_some());
}

#[tokio::test]
async fn many_commands_share_a_connection_whatever_the_server_allows() {
    for max_sessions in [None, Some(3), Some(1)] {
        let server = Sshd::start(&SshdOptions {
            max_sessions,
            ..SshdOptions::default()
        });
        let connection = connect(&target(&server)).await;
        let home = connection.home().await.expect("SFTP is there");
        let commands = (0..16).map(|number: i32| {
            let connection = &connection;
            async move {
                let number = number.to_string();
                text(&run(connection, argv(&["echo", &number])).await)
            }
        });
        let printed = futures::future::join_all(commands).await;
        let expected: Vec<String> = (0..16).map(|number| format!("{number}\n")).collect();
        assert_eq!(printed, expected, "{max_sessions:?}");
        // The SFTP channel got its place back.
        let sftp = connection.sftp().await.expect("SFTP is there");
        assert_eq!(sftp.realpath(".").await.expect("it answers"), home);
        assert_eq!(text(&run(&connection, argv(&["echo", "x"])).await), "x\n");
    }
}

#[tokio::test]
async fn slots_come_back_after_every_kind_of_end() {
    let server = Sshd::start(&SshdOptions {
        max_sessions: Some(2),
        ..SshdOptions::default()
    });
    let connection = connect(&target(&server)).await;
    for _ in 0..6 {
        run(&connection, argv(&["true"])).await;
        let short = ExecRequest {
            timeout: Duration::from_millis(100),
            ..request(argv(&["sleep", "1000"]))
        };
        connection
            .exec(short, CancellationToken::new())
            .await
            .expect("it starts");
        run(&connection, script("sleep 3 & exit 0")).await;
    }
}

#[tokio::test]
async fn a_server_without_a_posix_shell_runs_nothing() {
    let server = Sshd::start(&SshdOptions {
        extra_config: vec!["ForceCommand echo no shell here".to_owned()],
        ..SshdOptions::default()
    });
    let connection = connect(&target(&server)).await;
    let refused = connection
        .exec(
            request(script("echo must not run")),
            CancellationToken::new(),
        )
        .await;
    assert!(
        matches!(&refused, Err(SshError::NoPosixShell { detail }) if detail.contains("no shell here")),
        "{refused:?}"
    );
    let server = Sshd::start(&SshdOptions::default());
    let home = server.dir().join("nologin-home");
    let Some(account) = Account::create("nologin", "/usr/sbin/nologin", &home) else {
        return;
    };
    let mut target = target(&server);
    target.user.clone_from(&account.name);
    let connection = connect(&target).await;
    let refused = connection
        .exec(request(argv(&["true"])), CancellationToken::new())
        .await;
    assert!(
        matches!(refused, Err(SshError::NoPosixShell { .. })),
        "{refused:?}"
    );
}
