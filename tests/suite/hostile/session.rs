//! Lies at the login and around commands.
//!
//! They prove that a command's end is told as far as it is known and no further.
//! Lies in files are tried in `files`.

use std::time::Duration;

use futures::FutureExt;
use russh::{Channel, Sig, server::Msg};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::ssh::{Behaviour, Command, Liar};
use super::{EVIL, Victim, says};

/// Bytes after which an endless lie ends.
const ENDLESS: usize = 512 << 20;

fn victim(behaviour: Behaviour) -> (Liar, Victim) {
    let liar = Liar::start(behaviour);
    let victim = Victim::of(liar.port(), Some(liar.host_key()));
    (liar, victim)
}

/// A command that a person agreed to, and that ends by itself.
fn run(victim: &Victim) -> openshell_tests::Output {
    run_for(victim, 60_000)
}

/// The same for so many ms: few, where the lie goes on until then.
fn run_for(victim: &Victim, timeout: u64) -> openshell_tests::Output {
    let arguments = json!({"command": "make a mess", "timeout": timeout});
    victim.call("remote_exec", arguments)
}

/// Writes to a stream of a channel until the lie is over or nobody reads.
async fn flood(channel: &Channel<Msg>, stream: Option<u32>, piece: &[u8]) {
    let block: Vec<u8> = piece.iter().copied().cycle().take(32 << 10).collect();
    let mut writer = channel.make_writer_ext(stream);
    for _ in 0..ENDLESS / block.len() {
        if writer.write_all(&block).await.is_err() {
            return;
        }
    }
}

#[test]
fn an_honest_one_is_not_suspected() {
    let (_liar, victim) = victim(Behaviour {
        command: Some(|_, channel| {
            async move {
                let _ = channel.data(&b"fine\n"[..]).await;
                let _ = channel.exit_status(3).await;
                let _ = channel.eof().await;
                let _ = channel.close().await;
            }
            .boxed()
        }),
        ..Behaviour::default()
    });
    let output = run(&victim);
    let envelope = output.json();
    assert_eq!(envelope["data"]["stdout"], "fine\n", "{output:?}");
    assert_eq!(envelope["execution"]["exitCode"], 3, "{output:?}");
    let stat = victim.call("remote_stat", json!({"path": "/file"}));
    assert_eq!(stat.status, 0, "{stat:?}");
}

#[test]
fn a_banner_of_escapes_goes_nowhere() {
    let (_liar, victim) = victim(Behaviour {
        banner: EVIL.repeat(2000),
        ..Behaviour::default()
    });
    let stat = victim.call("remote_stat", json!({"path": "/"}));
    assert_eq!(stat.status, 0, "{stat:?}");
}

#[test]
fn questions_without_end_get_one_answer() {
    let table: [&'static [(&'static str, bool)]; 4] = [
        &[("Password:", false)],
        &[],
        &[(EVIL, true)],
        &[("Password:", false), ("Code:", false)],
    ];
    for prompts in table {
        let (_liar, victim) = victim(Behaviour {
            prompts: Some(prompts),
            ..Behaviour::default()
        });
        let output = victim.call("remote_stat", json!({"path": "/"}));
        says("prompts", &output, "AUTH_FAILED", "keyboard-interactive");
    }
}

#[test]
fn shells_that_never_prove_themselves() {
    let table: [(&str, Command, &str); 3] = [
        (
            "endless noise",
            |_, channel| async move { flood(&channel, None, b"welcome\n").await }.boxed(),
            "endless output",
        ),
        (
            "escapes",
            |_, channel| {
                async move {
                    let _ = channel.data(EVIL.as_bytes()).await;
                    let _ = channel.close().await;
                }
                .boxed()
            },
            "it ended at once",
        ),
        (
            "single bytes",
            |_, channel| {
                async move {
                    for _ in 0..2000 {
                        if channel.data(&b"x"[..]).await.is_err() {
                            return;
                        }
                    }
                    let _ = channel.eof().await;
                    let _ = channel.close().await;
                }
                .boxed()
            },
            "it ended at once",
        ),
    ];
    for (name, noise, text) in table {
        let (_liar, victim) = victim(Behaviour {
            noise: Some(noise),
            ..Behaviour::default()
        });
        says(name, &run(&victim), "REMOTE_FAILURE", text);
    }
    // What comes on the other stream is waited out; two limits are as long.
    let (_liar, victim) = victim(Behaviour {
        noise: Some(|_, channel| {
            async move { flood(&channel, Some(1), EVIL.as_bytes()).await }.boxed()
        }),
        ..Behaviour::default()
    });
    let code = run_for(&victim, 3_000).code();
    assert!(
        ["REMOTE_FAILURE", "EXEC_TIMEOUT"].contains(&code.as_str()),
        "{code}"
    );
}

#[test]
fn commands_that_end_oddly() {
    let table: [(&str, Command, &str); 6] = [
        (
            "no status",
            |_, channel| {
                async move {
                    let _ = channel.data(&b"half"[..]).await;
                    let _ = channel.close().await;
                }
                .boxed()
            },
            "OUTCOME_UNKNOWN",
        ),
        (
            "a status and no end",
            |_, channel| {
                async move {
                    let _ = channel.exit_status(0).await;
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                }
                .boxed()
            },
            "",
        ),
        (
            "neither status nor end",
            |_, channel| {
                async move {
                    let _ = channel.eof().await;
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                }
                .boxed()
            },
            "EXEC_TIMEOUT",
        ),
        (
            "output without end",
            |_, channel| async move { flood(&channel, None, EVIL.as_bytes()).await }.boxed(),
            "EXEC_TIMEOUT",
        ),
        (
            "errors without end",
            |_, channel| async move { flood(&channel, Some(1), EVIL.as_bytes()).await }.boxed(),
            "EXEC_TIMEOUT",
        ),
        (
            "a status, and then output without end",
            |_, channel| {
                async move {
                    let _ = channel.exit_status(0).await;
                    flood(&channel, None, b"more ").await;
                }
                .boxed()
            },
            "",
        ),
    ];
    for (name, command, code) in table {
        let (_liar, victim) = victim(Behaviour {
            command: Some(command),
            ..Behaviour::default()
        });
        let output = match code {
            "EXEC_TIMEOUT" => run_for(&victim, 3_000),
            _ => run(&victim),
        };
        assert_eq!(output.code(), code, "{name}: {output:?}");
    }
}

#[test]
fn statuses_and_signals_out_of_range() {
    let (_liar, number) = victim(Behaviour {
        command: Some(|_, channel| {
            async move {
                let _ = channel.exit_status(u32::MAX).await;
                let _ = channel.close().await;
            }
            .boxed()
        }),
        ..Behaviour::default()
    });
    let output = run(&number);
    assert_eq!(
        output.json()["execution"]["exitCode"],
        u32::MAX,
        "{output:?}"
    );
    let (_liar, signal) = victim(Behaviour {
        command: Some(|handle, channel| {
            async move {
                let name = Sig::Custom(EVIL.repeat(1000));
                let _ = handle
                    .exit_signal_request(channel.id(), name, true, EVIL.into(), EVIL.into())
                    .await;
                let _ = channel.close().await;
            }
            .boxed()
        }),
        ..Behaviour::default()
    });
    let output = run(&signal);
    assert_eq!(output.json()["execution"]["exitCode"], json!(null));
    assert!(output.stdout.len() < 4000, "{} bytes", output.stdout.len());
}

#[test]
fn data_after_the_end_changes_nothing() {
    let (_liar, victim) = victim(Behaviour {
        command: Some(|_, channel| {
            async move {
                let _ = channel.data(&b"before\n"[..]).await;
                let _ = channel.eof().await;
                let _ = channel.data(EVIL.as_bytes()).await;
                let _ = channel.exit_status(0).await;
                let _ = channel.exit_status(1).await;
                let _ = channel.close().await;
                let _ = channel.data(EVIL.as_bytes()).await;
                let _ = channel.exit_status(2).await;
            }
            .boxed()
        }),
        ..Behaviour::default()
    });
    let output = run(&victim);
    let envelope = output.json();
    assert!(
        envelope["data"]["stdout"]
            .as_str()
            .is_some_and(|text| text.starts_with("before\n")),
        "{output:?}"
    );
}

/// A server that takes the proof and then no byte more.
#[test]
fn a_window_that_never_opens() {
    let (_liar, victim) = victim(Behaviour {
        window: Some(500),
        command: Some(|_, _| futures::future::pending().boxed()),
        ..Behaviour::default()
    });
    // Longer than the window, so that even sending it never ends.
    let command = format!("echo {}", "x".repeat(4000));
    let arguments = json!({"command": command, "timeout": 3000});
    let output = victim.call("remote_exec", arguments);
    assert_eq!(output.code(), "EXEC_TIMEOUT", "{output:?}");
}
