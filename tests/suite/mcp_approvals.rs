//! Questions in an MCP client's own dialogs: what they say, and whose answer
//! counts.
//!
//! They prove that only a person's explicit yes counts, and once. Answers given at
//! a terminal of their own are in `mcp_pending`.

use serde_json::{Value, json};

use crate::cli_support::Rig;
use crate::mcp_pending::{kept, recorded, two_questions};
use crate::mcp_rig::{Client, Era, Reply, envelope, params, run};

const ERAS: [Era; 2] = [Era::Handshake, Era::Inline];

#[test]
fn a_person_at_the_client_agrees() {
    for era in ERAS {
        let rig = Rig::start();
        let touch = format!("touch {} # <!-- \u{200b}", rig.path("touched"));
        let file = rig.put("file", "old\n", 0o640);
        run(async {
            let replies = [Reply::Allow, Reply::Allow];
            let client = Client::with_person(&rig.cli, era, &replies).await;
            let ended = client.exec("touch /nowhere/at/all\u{202e}").await;
            assert_eq!(
                ended["code"], "POLICY_REJECTED",
                "not even asked: {ended:#}"
            );

            let plain = touch.trim_end_matches('\u{200b}');
            let ended = client.exec(plain).await;
            assert_eq!(ended["status"], "ok", "{ended:#}");
            assert!(rig.exists("touched"));
            client.seen(|seen| {
                let said = &seen.asked[0];
                let head = format!(
                    "    remote_exec wants to run a command on a ({}@127.0.0.1:{})",
                    rig.server.user(),
                    rig.server.port()
                );
                assert!(said.contains(&head), "{said}");
                // Whole, and where Markdown would show it as it is.
                assert!(said.contains(&format!("\n    $ {plain}\n")), "{said}");
            });

            let write = json!({"server": "a", "path": file, "content": "new\n"});
            let ended = client.call("remote_write_file", write).await;
            assert_eq!(ended["status"], "ok", "{ended:#}");
            client.seen(|seen| {
                let said = &seen.asked[1];
                assert!(said.contains("\n    -old\n    +new\n"), "{said}");
                assert!(said.contains("4 bytes become 4; mode stays 0640"), "{said}");
            });
        });
        assert_eq!(rig.content("file"), b"new\n");
        let granted = recorded(&rig.cli, "approval");
        let granted: Vec<(&Value, &Value)> = granted
            .iter()
            .map(|record| (&record["approval"]["answer"], &record["approval"]["by"]))
            .filter(|(answer, _)| *answer == "granted")
            .collect();
        let person = (&json!("granted"), &json!("person"));
        assert_eq!(granted, [person, person], "{era:?}");
        assert_eq!(kept(&rig.cli), Vec::<Value>::new());
    }
}

#[test]
fn a_call_with_two_questions_is_asked_about_twice_and_done() {
    for era in ERAS {
        let rig = Rig::start();
        let file = rig.put(".env", "TOKEN=old\n", 0o600);
        run(async {
            let replies = [Reply::Allow, Reply::Allow];
            let client = Client::with_person(&rig.cli, era, &replies).await;
            // Under a key as well: what only looked and then asked is no answer.
            let mut call = params("remote_patch_file", two_questions(&file));
            let key = json!({"openshell/idempotencyKey": "k"});
            call.meta = Some(serde_json::from_value(key).expect("metadata"));
            let ended = envelope(&client.service.call_tool(call).await.expect("answered"));
            assert_eq!(ended["status"], "ok", "{era:?} {ended:#}");
            client.seen(|seen| {
                assert_eq!(seen.asked.len(), 2, "{:#?}", seen.asked);
                assert!(seen.asked[0].contains("wants to read"), "{}", seen.asked[0]);
                assert!(seen.asked[1].contains("+TOKEN=new"), "{}", seen.asked[1]);
            });
        });
        assert_eq!(rig.content(".env"), b"TOKEN=new\n");
        assert_eq!(kept(&rig.cli), Vec::<Value>::new());
    }
}

#[test]
fn whatever_else_a_person_does_is_no_grant() {
    for era in ERAS {
        let rig = Rig::start();
        let command = |name: &str| format!("touch {}", rig.path(name));
        run(async {
            let replies = [
                Reply::Reject(None),
                Reply::Reject(Some("Use staging.")),
                Reply::Decline,
                Reply::Cancel,
            ];
            let client = Client::with_person(&rig.cli, era, &replies).await;
            let ended = client.exec(&command("a")).await;
            assert_eq!(ended["code"], "APPROVAL_REJECTED", "{ended:#}");
            let ended = client.exec(&command("b")).await;
            assert_eq!(ended["code"], "APPROVAL_REJECTED");
            let said = ended["message"].as_str().unwrap_or_default();
            assert!(said.contains("Use staging."), "{said}");
            let ended = client.exec(&command("c")).await;
            assert_eq!(ended["code"], "APPROVAL_REJECTED");
            let ended = client.exec(&command("d")).await;
            assert_eq!(ended["code"], "APPROVAL_REQUIRED", "{ended:#}");
            assert_eq!(client.seen(|seen| seen.asked.len()), 4);

            // What was rejected is not put again in the same session.
            let ended = client.exec(&command("b")).await;
            assert_eq!(ended["code"], "APPROVAL_REJECTED");
            assert_eq!(client.seen(|seen| seen.asked.len()), 4);
        });
        for name in ["a", "b", "c", "d"] {
            assert!(!rig.exists(name), "{name}");
        }
        assert_eq!(recorded(&rig.cli, "attempt"), Vec::<Value>::new());
    }
}

#[test]
fn a_client_that_an_agent_started_does_not_answer() {
    let mut rig = Rig::start();
    rig.cli.set_env("AGENT", "1");
    run(async {
        for era in ERAS {
            let client = Client::with_person(&rig.cli, era, &[Reply::Allow]).await;
            let ended = client.exec(&format!("touch {}", rig.path("touched"))).await;
            assert_eq!(ended["code"], "APPROVAL_REQUIRED", "{ended:#}");
            assert_eq!(client.seen(|seen| seen.asked.len()), 0);
            // Looking is as free as anywhere.
            assert_eq!(client.exec("uptime").await["status"], "ok");
        }
    });
    rig.cli.unset_env("AGENT");
    assert!(!rig.exists("touched"));
    assert_eq!(kept(&rig.cli).len(), 1);
}

#[test]
fn what_a_dialog_cannot_show_whole_is_kept_for_a_terminal() {
    for era in ERAS {
        let rig = Rig::start();
        let file = rig.path("file");
        run(async {
            let client = Client::with_person(&rig.cli, era, &[]).await;
            let long = "line\n".repeat(1_000);
            let write = json!({"server": "a", "path": file, "content": long});
            let ended = client.call("remote_write_file", write).await;
            assert_eq!(ended["code"], "APPROVAL_REQUIRED", "{ended:#}");
        });
        let kept = kept(&rig.cli);
        let diff = kept[0]["diff"].as_str().expect("it has a diff");
        assert_eq!(diff.matches("\n+line").count(), 1_000);
    }
}

#[test]
fn an_answer_for_another_call_is_none() {
    use rmcp::model::{CallToolResponse, ElicitResult, ElicitationAction};

    let rig = Rig::start();
    let arguments = |name: &str| {
        let command = format!("touch {}", rig.path(name));
        json!({"server": "a", "command": command})
    };
    run(async {
        let client = Client::with_person(&rig.cli, Era::Inline, &[]).await;
        let once = |call| client.service.call_tool_once(call);
        let asked = |response| match response {
            Ok(CallToolResponse::InputRequired(question)) => question,
            other => panic!("no question: {other:?}"),
        };
        let question = asked(once(params("remote_exec", arguments("a"))).await);
        let state = question.request_state.expect("it has a name");
        let name = question.input_requests.expect("a question");
        let name = name.keys().next().expect("one").clone();
        let yes = ElicitResult::new(ElicitationAction::Accept)
            .with_content(json!({"decision": "allow once"}));
        let answers = || {
            let yes = serde_json::to_value(&yes).expect("JSON");
            [(name.clone(), yes)].into_iter().collect()
        };
        let with = |target: &str, state: &str| {
            params("remote_exec", arguments(target))
                .with_input_responses(answers())
                .with_request_state(state)
        };
        // For another command, or under a name nobody gave: asked anew.
        asked(once(with("b", &state)).await);
        asked(once(with("a", &"0".repeat(64))).await);
        assert!(!rig.exists("a") && !rig.exists("b"));
        let CallToolResponse::Complete(done) = once(with("a", &state)).await.expect("answered")
        else {
            panic!("asked again");
        };
        assert_eq!(done.is_error, Some(false), "{done:?}");
        assert!(rig.exists("a"));
        // An answer counts once.
        asked(once(with("a", &state)).await);
    });
    assert!(!rig.exists("b"));
}
