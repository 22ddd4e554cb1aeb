//! The tools as `openshell call` and `openshell tools` offer them.
//!
//! They prove that every tool does what its schema says and that an argument it
//! does not say reaches no server. Single tools have suites of their own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli_support::{Rig, ended};

const TOOLS: [&str; 8] = [
    "list_servers",
    "remote_exec",
    "remote_find",
    "remote_list_dir",
    "remote_patch_file",
    "remote_read_file",
    "remote_stat",
    "remote_write_file",
];

#[test]
fn the_eight_tools_come_with_schemas() {
    let cli = openshell_tests::Cli::new();
    let listed = cli.run(["tools", "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    let Value::Array(tools) = listed.json() else {
        panic!("not an array: {listed:?}");
    };
    let names: BTreeSet<&str> = tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names, BTreeSet::from(TOOLS));
    assert_eq!(tools.len(), TOOLS.len());
    for tool in &tools {
        let schema = &tool["parameters"];
        assert_eq!(schema["type"], "object", "{tool}");
        assert_eq!(schema["additionalProperties"], false, "{tool}");
        let properties = schema["properties"].as_object().expect("an object");
        for (name, property) in properties {
            // `server` is one id or a list of them.
            let several = property["type"].as_array();
            let several = several.is_some_and(|types| types.iter().all(Value::is_string));
            assert!(
                property["type"].is_string() || several || property["enum"].is_array(),
                "{name} has no type: {tool}"
            );
        }
        for name in schema["required"].as_array().expect("an array") {
            let name = name.as_str().expect("a name");
            assert!(
                properties.contains_key(name),
                "{name} is required and unknown: {tool}"
            );
        }
        assert!(
            tool["description"]
                .as_str()
                .is_some_and(|text| text.len() > 20),
            "{tool}"
        );
    }
    let required = |name: &str| {
        let tool = tools
            .iter()
            .find(|tool| tool["name"] == name)
            .expect("it is listed");
        tool["parameters"]["required"].clone()
    };
    assert_eq!(required("list_servers"), json!([]));
    assert_eq!(required("remote_exec"), json!(["server", "command"]));
    assert_eq!(
        required("remote_write_file"),
        json!(["server", "path", "content"])
    );
    assert_eq!(
        required("remote_patch_file"),
        json!(["server", "path", "patch"])
    );
    for name in [
        "remote_read_file",
        "remote_list_dir",
        "remote_stat",
        "remote_find",
    ] {
        assert_eq!(required(name), json!(["server", "path"]), "{name}");
    }
}

#[test]
fn every_tool_does_its_work() {
    let rig = Rig::start();
    let path = rig.put("notes.txt", "alpha\nbeta\n", 0o640);
    let dir = rig.path("");

    let servers = rig.cli.run(["call", "list_servers"]);
    assert_eq!(servers.status, 0, "{servers:?}");
    let servers = servers.json();
    let listed = &servers["data"]["servers"];
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{servers}");
    assert_eq!(listed[0]["id"], "a");
    assert_eq!(listed[0]["port"], rig.server.port());
    assert_eq!(listed[0]["auth"], "identity-file");
    assert_eq!(rig.server.connections_seen(), 0, "listing connects nowhere");

    let ran = rig.exec(&format!("cat {path}"), &[]);
    ended(&ran, 0, "");
    let ran = ran.json();
    assert_eq!(ran["data"]["stdout"], "alpha\nbeta\n");
    assert_eq!(ran["data"]["exitCode"], 0);
    assert_eq!(ran["execution"]["attempted"], true);
    assert_eq!(ran["execution"]["completed"], true);
    assert_eq!(ran["execution"]["stdoutBytes"], 11);
    assert_eq!(ran["audit"]["logWritten"], true);
    assert_eq!(ran["server"], "a");
    assert_eq!(ran["tool"], "remote_exec");

    // A status other than zero is a result, not an error of the call.
    let missing = rig.exec(&format!("cat {path}.not"), &[]);
    ended(&missing, 0, "");
    assert_eq!(missing.json()["data"]["exitCode"], 1, "{missing:?}");
    let stderr = missing.json()["data"]["stderr"].to_string();
    assert!(stderr.contains("notes.txt.not"), "{missing:?}");

    let arguments = json!({"server": "a", "path": path}).to_string();
    for output in [
        rig.cli.run(["call", "remote_read_file", &arguments]),
        rig.cli
            .run_stdin(["call", "remote_read_file", "-"], &arguments),
    ] {
        ended(&output, 0, "");
        assert_eq!(
            output.json()["data"]["content"],
            "alpha\nbeta\n",
            "{output:?}"
        );
        assert_eq!(output.json()["data"]["mode"], "0640", "{output:?}");
    }
    let stat = rig.data("remote_stat", &path, json!({}));
    assert_eq!(stat["size"], 11, "{stat}");
    assert_eq!(stat["type"], "file", "{stat}");
    assert_eq!(stat["resolvedPath"], json!(path), "{stat}");
    let list = rig.data("remote_list_dir", &dir, json!({}));
    assert_eq!(list["count"], 1, "{list}");
    assert_eq!(list["entries"][0]["name"], "notes.txt", "{list}");
    let found = rig.data("remote_find", &dir, json!({"pattern": "^be"}));
    assert_eq!(found["count"], 1, "{found}");
    assert_eq!(found["results"][0]["line"], 2, "{found}");
    assert_eq!(found["results"][0]["text"], "beta", "{found}");

    let patch = "@@ -1,2 +1,2 @@\n alpha\n-beta\n+gamma\n";
    let patched = rig.data("remote_patch_file", &path, json!({"patch": patch}));
    assert_eq!(patched["created"], false, "{patched}");
    assert_eq!(rig.content("notes.txt"), b"alpha\ngamma\n");
    let written = rig.data(
        "remote_write_file",
        &rig.path("new.txt"),
        json!({"content": "new\n"}),
    );
    assert_eq!(written["created"], true, "{written}");
    assert_eq!(rig.content("new.txt"), b"new\n");
}

/// Arguments that no tool may act on, with the argument to be named.
fn bad_arguments() -> Vec<(&'static str, Value, &'static str)> {
    let long = format!("/{}", "x".repeat(5000));
    let mut cases = vec![("list_servers", json!({"server": "a"}), "server")];
    // What all tools on a path have in common.
    for tool in TOOLS
        .iter()
        .filter(|tool| !matches!(**tool, "list_servers" | "remote_exec"))
    {
        let rest = || match *tool {
            "remote_write_file" => json!({"content": "x"}),
            "remote_patch_file" => json!({"patch": "@@ -1 +1 @@\n-a\n+b\n"}),
            "remote_find" => json!({"glob": "*"}),
            _ => json!({}),
        };
        let with = |changes: Value| {
            let mut arguments = rest();
            arguments["server"] = json!("a");
            arguments["path"] = json!("/etc/hosts");
            for (name, value) in changes.as_object().expect("changes") {
                arguments[name] = value.clone();
            }
            arguments
        };
        for path in [
            json!(7),
            json!(null),
            json!(["/etc"]),
            json!(""),
            json!("etc/hosts"),
            json!("~/x"),
            json!("/etc/\u{0}hosts"),
            json!(long),
        ] {
            cases.push((tool, with(json!({"path": path})), "path"));
        }
        for server in [json!(1), json!(null), json!(""), json!("a\u{0}"), json!({})] {
            cases.push((tool, with(json!({"server": server})), "server"));
        }
        cases.push((tool, with(json!({"force": true})), "force"));
        // Only the writers know it, and they want a boolean.
        cases.push((tool, with(json!({"sudo": "yes"})), "sudo"));
        match *tool {
            "remote_read_file" => {
                for offset in [json!(-1), json!(1.5), json!("0"), json!(1e300)] {
                    cases.push((tool, with(json!({"offset": offset})), "offset"));
                }
                for length in [json!(0), json!(-5), json!(1_048_577), json!(true)] {
                    cases.push((tool, with(json!({"length": length})), "length"));
                }
                cases.push((tool, with(json!({"encoding": "latin1"})), "encoding"));
            }
            "remote_list_dir" => {
                for limit in [json!(0), json!(-1), json!(10_001), json!("10")] {
                    cases.push((tool, with(json!({"limit": limit})), "limit"));
                }
                cases.push((tool, with(json!({"recursive": "yes"})), "recursive"));
            }
            "remote_find" => {
                for limit in [json!(0), json!(2001)] {
                    cases.push((tool, with(json!({"limit": limit})), "limit"));
                }
                for pattern in [json!(""), json!("a\nb"), json!("a\u{0}"), json!(3)] {
                    cases.push((tool, with(json!({"pattern": pattern})), "pattern"));
                }
                for glob in [json!("[a"), json!(3), json!(null)] {
                    cases.push((tool, with(json!({"glob": glob})), "glob"));
                }
            }
            "remote_write_file" => {
                for mode in [
                    json!(644),
                    json!("0888"),
                    json!("rw"),
                    json!("10644"),
                    json!("-644"),
                ] {
                    cases.push((tool, with(json!({"mode": mode})), "mode"));
                }
                for content in [json!(null), json!(5), json!(["x"])] {
                    cases.push((tool, with(json!({"content": content})), "content"));
                }
                let odd = json!({"encoding": "base64", "content": "no base64!"});
                cases.push((tool, with(odd), "content"));
            }
            "remote_patch_file" => {
                for patch in [json!(null), json!(5)] {
                    cases.push((tool, with(json!({"patch": patch})), "patch"));
                }
            }
            _ => {}
        }
    }
    let exec = |name: &str, value: Value| {
        let mut arguments = json!({"server": "a", "command": "uptime"});
        arguments[name] = value;
        arguments
    };
    for command in [json!(null), json!(1), json!(["uptime"])] {
        cases.push(("remote_exec", exec("command", command), "command"));
    }
    for cwd in [json!("tmp"), json!(1), json!("/a\u{0}"), json!(long)] {
        cases.push(("remote_exec", exec("cwd", cwd), "cwd"));
    }
    for timeout in [json!(0), json!(-1), json!(600_001), json!("1s"), json!(0.5)] {
        cases.push(("remote_exec", exec("timeout", timeout), "timeout"));
    }
    cases.push(("remote_exec", exec("env", json!({})), "env"));
    cases
}

#[test]
fn bad_arguments_are_named_and_reach_no_server() {
    let rig = Rig::start();
    for (tool, arguments, name) in bad_arguments() {
        let output = rig.cli.call(tool, &arguments, &["--yes"]);
        assert_eq!(output.status, 1, "{tool} {arguments}: {output:?}");
        let envelope = output.json();
        assert_eq!(
            envelope["status"], "error",
            "{tool} {arguments}: {envelope}"
        );
        assert_eq!(
            envelope["code"], "INVALID_ARGUMENT",
            "{tool} {arguments}: {envelope}"
        );
        let message = envelope["message"].as_str().unwrap_or_default();
        assert!(
            message.contains(&format!("`{name}`")),
            "{tool} {arguments}: {message}"
        );
        assert_eq!(
            envelope["execution"]["attempted"], false,
            "{tool} {arguments}: {envelope}"
        );
    }
    for text in ["", "{", "[]", "\"x\"", "null", "{\"server\":\"a\"} x"] {
        let output = rig.cli.run_stdin(["call", "remote_stat", "-"], text);
        ended(&output, 1, "INVALID_ARGUMENT");
    }
    let unknown = rig
        .cli
        .call("remote_reboot", &json!({"server": "a"}), &["--yes"]);
    ended(&unknown, 1, "INVALID_ARGUMENT");
    assert!(unknown.stdout.contains("remote_reboot"), "{unknown:?}");
    assert_eq!(rig.server.connections_seen(), 0);
}

#[test]
fn content_beyond_the_limit_reaches_no_server() {
    let rig = Rig::start();
    let path = rig.put("big", "small", 0o644);
    let content = "x".repeat(32 * 1024 * 1024 + 1);
    let output = rig.on(
        "remote_write_file",
        &path,
        json!({"content": content}),
        &["--yes"],
    );
    ended(&output, 1, "INVALID_ARGUMENT");
    assert!(output.stdout.contains("`content`"), "{}", output.stdout);
    assert_eq!(rig.server.connections_seen(), 0);
    assert_eq!(rig.content("big"), b"small");
}

#[test]
fn what_no_server_and_no_policy_knows_is_refused_unconnected() {
    let rig = Rig::start();
    for server in ["b", "../a", "A", "a b", "a\n"] {
        let arguments = json!({"server": server, "path": "/etc/hosts"});
        let output = rig.cli.call("remote_read_file", &arguments, &["--yes"]);
        ended(&output, 1, "SERVER_NOT_FOUND");
    }
    // An empty or malformed command is rejected by the policy, whoever agrees.
    for command in [
        "",
        "  ",
        "uptime\u{0}",
        "uptime \u{202e}x",
        "echo \u{1b}[2J",
    ] {
        let output = rig.exec(command, &["--yes"]);
        ended(&output, 3, "POLICY_REJECTED");
    }
    assert_eq!(rig.server.connections_seen(), 0);
}
