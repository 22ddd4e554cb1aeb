//! Consent to a call on several servers: one question, and its answer counts for
//! all of them or for none.
//!
//! Invariant under test: before the answer nothing runs on any of them. How a
//! question looks in OpenCode is not tried here.

use serde_json::{Value, json};

use openshell_tests::Bridge;

use crate::cli_support::ended;
use crate::fanout_support::{Fleet, groups};
use crate::mcp_rig::{Client, Era, Reply, run};

/// A rule by which the mark is allowed on servers labelled `web`.
const WEB_MAY: &str = "[[rule]]\nid = \"web-touch\"\nlabels = [\"web\"]\n\
    prefix = [\"touch\"]\ndecision = \"allow\"\nreason = \"Web servers may be touched.\"\n\
    match = [\"touch x\"]\nnot_match = [\"rm x\"]\n";

#[test]
fn a_person_is_asked_once_and_sees_every_server() {
    for era in [Era::Handshake, Era::Inline] {
        let Some(fleet) = Fleet::start() else { return };
        let mark = fleet.mark();
        run(async {
            let client = Client::with_person(&fleet.cli, era, &[Reply::Allow]).await;
            let arguments = json!({"server": ["web-2", "db", "web-1"], "command": mark});
            let ended = client.call("remote_exec", arguments).await;
            assert_eq!(ended["status"], "ok", "{ended:#}");
            client.seen(|seen| {
                assert_eq!(seen.asked.len(), 1, "{era:?}");
                let said = &seen.asked[0];
                let (user, port) = (fleet.server.user(), fleet.server.port());
                let head = "    remote_exec wants to run a command on 3 servers \
                            (db,web-[1-2])  prod web\n";
                let servers = format!(
                    "    on 3 servers:\n      db ({user}@127.0.0.3:{port})  prod\n      web-1 \
                     ({user}@127.0.0.1:{port})  web\n      web-2 ({user}@127.0.0.2:{port})  web\n"
                );
                for part in [head, &servers, &format!("    $ {mark}\n")] {
                    assert!(said.contains(part), "{part}\n{said}");
                }
                assert_eq!(
                    said.matches(&mark).count(),
                    1,
                    "the command stands there once"
                );
            });
        });
        assert_eq!(fleet.marks().len(), 3);
        // Each server's record has its own operation and the question they share.
        let approvals = fleet.recorded("approval", |record| record["approval"].clone());
        let approvals: Vec<(String, Value)> = approvals
            .into_iter()
            .filter(|(_, approval)| approval["answer"] == "granted")
            .collect();
        assert_eq!(approvals.len(), 3, "{approvals:?}");
        let (_, first) = &approvals[0];
        assert_eq!(first["by"], "person");
        assert!(first["question"].is_string());
        for (server, approval) in &approvals[1..] {
            assert_eq!(approval["question"], first["question"], "{server}");
            assert_ne!(approval["digest"], first["digest"], "{server}");
        }
    }
}

#[test]
fn a_no_is_a_no_everywhere() {
    let Some(fleet) = Fleet::start() else { return };
    fleet.rules(WEB_MAY);
    let touch = format!("touch {}/touched", fleet.files.display());
    let all = json!({"server": ["db", "web-1", "web-2"], "command": touch});
    run(async {
        let replies = [Reply::Reject(Some("Leave db alone."))];
        let client = Client::with_person(&fleet.cli, Era::Handshake, &replies).await;
        let ended = client.call("remote_exec", all.clone()).await;
        assert_eq!(ended["code"], "APPROVAL_REJECTED", "{ended:#}");
        let said = groups(&ended, |group| group["message"].clone());
        assert_eq!(said[0].0, json!(["web-1", "web-2"]), "{ended:#}");
        assert!(
            said.iter()
                .all(|(_, said)| said.to_string().contains("Leave db alone."))
        );
        assert_eq!(fleet.recorded("attempt", |_| Value::Null), []);
        client.seen(|seen| {
            let besides = "and on 2 where nobody has to agree: web-[1-2]";
            assert!(seen.asked[0].contains(besides), "{}", seen.asked[0]);
        });

        // It stays so for the same call, and nobody is asked again.
        let ended = client.call("remote_exec", all).await;
        assert_eq!(ended["code"], "APPROVAL_REJECTED", "{ended:#}");
        assert_eq!(client.seen(|seen| seen.asked.len()), 1);
        assert_eq!(fleet.marks(), []);

        // What the rule allows runs without a question where it is asked for alone.
        let web = json!({"server": "label:web", "command": touch});
        let ended = client.call("remote_exec", web).await;
        assert_eq!(ended["status"], "ok", "{ended:#}");
        assert_eq!(client.seen(|seen| seen.asked.len()), 1);
    });
    assert_eq!(fleet.marks(), [("touched".to_owned(), 0)]);
}

#[test]
fn what_was_rejected_for_several_is_not_asked_again_but_less_may_be() {
    let Some(fleet) = Fleet::start() else { return };
    let mark = fleet.mark();
    run(async {
        let replies = [Reply::Reject(None), Reply::Allow];
        let client = Client::with_person(&fleet.cli, Era::Handshake, &replies).await;
        let on = |servers: Value| json!({"server": servers, "command": mark});
        for _ in 0..2 {
            let ended = client.call("remote_exec", on(json!(["web-1", "db"]))).await;
            assert_eq!(ended["code"], "APPROVAL_REJECTED", "{ended:#}");
            assert_eq!(client.seen(|seen| seen.asked.len()), 1);
        }
        let ended = client.call("remote_exec", on(json!("web-1"))).await;
        assert_eq!(ended["status"], "ok", "{ended:#}");
    });
    assert_eq!(fleet.marks(), [("127.0.0.1".to_owned(), 1)]);
}

#[test]
fn where_nobody_can_be_asked_nothing_runs_and_a_kept_question_is_one() {
    let Some(fleet) = Fleet::start() else { return };
    fleet.rules(WEB_MAY);
    let touch = format!("touch {}/touched", fleet.files.display());
    let all = json!(["db", "web-1", "web-2"]);
    let refused = fleet.exec(all.clone(), &touch, &[]);
    ended(&refused, 3, "APPROVAL_REQUIRED");
    assert_eq!(fleet.marks(), []);

    let everywhere = fleet.mark();
    let kept = fleet.exec(all.clone(), &everywhere, &["--defer"]);
    ended(&kept, 3, "APPROVAL_REQUIRED");
    let waiting = fleet.cli.run(["approvals", "list", "--json"]).json();
    let waiting = waiting.as_array().expect("an array");
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let id = waiting[0]["id"].as_str().expect("an id").to_owned();
    let allowed = fleet.cli.run(["approvals", "allow", &id, "--yes"]);
    assert_eq!(allowed.status, 0, "{allowed:?}");

    // The grant is for these three: neither more nor fewer.
    let fewer = fleet.exec(json!(["db", "web-1"]), &everywhere, &["--defer"]);
    ended(&fewer, 3, "APPROVAL_REQUIRED");
    assert_eq!(fleet.marks(), []);
    ended(&fleet.exec(all.clone(), &everywhere, &["--defer"]), 0, "");
    assert_eq!(fleet.marks().len(), 3);
    ended(
        &fleet.exec(all, &everywhere, &["--defer"]),
        3,
        "APPROVAL_REQUIRED",
    );
}

#[test]
fn the_bridge_carries_one_question_with_the_servers_in_it() {
    let Some(fleet) = Fleet::start() else { return };
    let mut bridge = Bridge::start(&mut fleet.cli.command(["bridge"]));
    let arguments = json!({"server": ["web-1", "db"], "command": fleet.mark()});
    let envelope = bridge
        .call("remote_exec", &arguments, Some("k"))
        .expect("the helper answers");
    assert_eq!(envelope["status"], "ok", "{envelope:#}");
    let questions = bridge.questions();
    assert_eq!(questions.len(), 1, "{questions:?}");
    let question = &questions[0];
    assert_eq!(question["server"], "db,web-1");
    assert_eq!(question["rawCommand"], fleet.mark());
    let port = fleet.server.port();
    let user = fleet.server.user();
    assert_eq!(
        question["servers"],
        json!([
            {"server": "db", "host": "127.0.0.3", "port": port, "user": user,
             "labels": ["prod"], "scope": "global"},
            {"server": "web-1", "host": "127.0.0.1", "port": port, "user": user,
             "labels": ["web"], "scope": "global"},
        ])
    );
    assert_eq!(question["labels"], json!(["prod", "web"]));
    assert_eq!(fleet.marks().len(), 2);
}
