//! `examples/opencode-local`, as somebody who follows its README has it: the
//! server of its script, the commands of its text, the plugin by relative path.
//!
//! It proves that each command of the text does what the text says. The words
//! between them are not read.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use openshell_tests::{Cli, OpenCode, OpenCodeOptions, Port, Reply, ScriptedModel, Step};
use serde_json::{Value, json};

use crate::opencode_site::{PATIENCE, helper_env};

const DIRECTORY: &str = "examples/opencode-local";

/// `serve.sh`, which turns into sshd.
struct Server {
    child: Child,
    port: Port,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let port = Port::reserve();
        let mut child = Command::new("./serve.sh")
            .arg(port.number().to_string())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the script can be run");
        let deadline = std::time::Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port.number())).is_err() {
            let ended = child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "serve.sh ended: {ended:?}");
            assert!(std::time::Instant::now() < deadline, "nobody listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The `sh` blocks of the README, in order.
fn blocks(readme: &str) -> Vec<&str> {
    let parts = readme.split("```sh\n").skip(1);
    parts
        .filter_map(|part| Some(part.split_once("```")?.0))
        .collect()
}

#[test]
fn the_practice_project_works_as_its_readme_says() {
    let cli = Cli::new();
    let greeting = cli.files().join("greeting.txt").display().to_string();
    let model = ScriptedModel::start(Vec::new());
    let opencode = OpenCode::start(
        &OpenCodeOptions {
            plugin: Value::Null,
            copies: vec![DIRECTORY.to_owned(), "plugin/opencode".to_owned()],
            directory: DIRECTORY.to_owned(),
            env: helper_env(&cli),
            ..OpenCodeOptions::default()
        },
        &model,
    );
    let server = Server::start(opencode.workspace());

    // The README's own words introduce them, on another port.
    let readme = std::fs::read_to_string(opencode.workspace().join("README.md"));
    let readme = readme.expect("the example has a README");
    let enrolling = blocks(&readme)
        .into_iter()
        .find(|block| block.contains("openshell server add"))
        .expect("the README introduces the server");
    let enrolling: String = enrolling
        .replace("--port 2222", &format!("--port {}", server.port.number()))
        .replace("openshell key init\n", "");
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = openshell_tests::binary().parent().expect("a file");
    let introduced = Command::new("sh")
        .args(["-euc", &enrolling])
        .current_dir(opencode.workspace())
        .env_clear()
        .envs(helper_env(&cli))
        .env("HOME", cli.home())
        .env("PATH", format!("{}:{path}", bin.display()))
        .stdin(Stdio::null())
        .output()
        .expect("sh can be run");
    let said = String::from_utf8_lossy(&introduced.stdout);
    assert!(introduced.status.success(), "{introduced:?}");
    assert!(said.contains("/bin/sh"), "{said}");

    let remote = |tool: &str, mut arguments: Value| {
        arguments["server"] = json!("practice");
        Step::tool(tool, arguments)
    };
    for step in [
        Step::tool("list_servers", json!({})),
        remote("remote_exec", json!({"command": "uptime"})),
        remote("remote_exec", json!({"command": "df -h"})),
        remote(
            "remote_write_file",
            json!({"path": greeting, "content": "Welcome.\n"}),
        ),
    ] {
        model.then(step);
    }
    let session = opencode.new_session();
    opencode.prompt(&session, "Do it.");
    let asked = opencode.wait_permission(PATIENCE);
    opencode.reply(&asked, Reply::Once, None);
    opencode.wait_idle(&session, PATIENCE);

    let told = model.tool_results();
    assert!(told[0].contains(r#""practice""#), "{told:?}");
    assert!(told[1].contains("load average"), "{told:?}");
    assert!(told[2].contains("Filesystem"), "{told:?}");
    assert_eq!(opencode.questions().len(), 1, "only the change asks");
    assert_eq!(asked.key, "edit");
    let said = asked.metadata["filepath"].as_str().unwrap_or_default();
    assert!(said.ends_with(&format!(" practice:{greeting}")), "{said}");
    assert_eq!(
        std::fs::read_to_string(&greeting).unwrap_or_default(),
        "Welcome.\n"
    );

    let undone = cli.run(["undo", "practice", &greeting, "--yes"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    assert!(!Path::new(&greeting).exists());
    assert_eq!(cli.run(["audit", "verify"]).status, 0);
}
