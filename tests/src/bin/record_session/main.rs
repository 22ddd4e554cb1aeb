//! Plays a session of a person with the real OpenCode in a terminal, and writes
//! what was on the screen to `docs/session.md`.
//!
//! Everything is real but the model, which plays a script: OpenCode, the helper,
//! the server. Invariant: nothing of the machine it is made on is in the page; what
//! would be (paths, ports, the account) is replaced by something of the same width.
//!
//! `cargo build -p openshell && cargo run -p openshell-tests --bin record_session`;
//! it needs tmux and OpenCode in `.cache`. It does not check the page; a suite
//! does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use openshell_tests::{
    Cli, OPENCODE_VERSION, OpenCodeOptions, Screen, ScriptedModel, Sshd, SshdOptions, Step, binary,
};
use serde_json::json;

/// Columns and rows of the terminal.
const SIZE: (u16, u16) = (100, 38);
/// What stands on the server, where every machine has room for it.
const SITE: &str = "/tmp/www";

/// The parts of the page, in order.
struct Page {
    parts: Vec<String>,
    /// What is replaced, and by what.
    neutral: Vec<(String, String)>,
}

impl Page {
    fn add(&mut self, title: &str, words: &str, screen: &str) {
        let mut screen = screen.to_owned();
        for (private, neutral) in &self.neutral {
            screen = screen.replace(private, neutral);
        }
        let screen = without_empty_rows(&screen);
        eprintln!("== {title}\n{screen}\n");
        self.parts
            .push(format!("## {title}\n\n{words}\n\n```text\n{screen}\n```\n"));
    }
}

/// A screen as a page needs it: three empty rows and more are one.
fn without_empty_rows(screen: &str) -> String {
    let mut rows: Vec<&str> = Vec::new();
    let is_empty = |row: &str| row.trim_matches([' ', '┃', '│', '█']).is_empty();
    for row in screen.lines() {
        let repeated = rows.last().is_some_and(|last| is_empty(last)) && is_empty(row);
        if !repeated {
            rows.push(row);
        }
    }
    rows.join("\n").trim_matches('\n').to_owned()
}

fn main() -> ExitCode {
    if !Screen::available() {
        eprintln!("tmux is not installed");
        return ExitCode::FAILURE;
    }
    if Path::new(SITE).exists() {
        eprintln!("{SITE} is there already; move it away, it would be changed");
        return ExitCode::FAILURE;
    }
    let page = record();
    // Nothing but what this made.
    let _ = fs::remove_dir_all(SITE);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/session.md");
    match fs::write(&file, page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn exec(command: &str) -> Step {
    Step::tool(
        "remote_exec",
        json!({"server": "web-1", "command": command}),
    )
}

fn record() -> String {
    fs::create_dir_all(format!("{SITE}/logs")).expect("there is room for the site");
    fs::write(format!("{SITE}/motd"), "Welcome.\nMaintenance: none\n").expect("a new file");
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol_as(&server, "web-1", server.user(), &["--label", "prod"]);
    let options = OpenCodeOptions {
        env: environment(&cli),
        ..OpenCodeOptions::default()
    };
    let model = ScriptedModel::start(Vec::new());
    let screen = Screen::opencode(&options, &model, SIZE);
    let mut page = Page {
        parts: Vec::new(),
        neutral: neutral(&server, &cli, screen.workspace()),
    };
    let ask = |words: &str, step: Step, closing: &str| {
        model.then(step);
        model.then(Step::text(closing));
        screen.write(words);
        let _typed = screen.wait(words);
        screen.press("Enter");
    };

    let _ready = screen.wait("Ask anything");
    ask("How is web-1 doing?", exec("uptime"), "It is up and idle.");
    page.add(
        "A safe command",
        "`uptime` is plain inspection: it runs at once, and nobody is asked.",
        &screen.wait("It is up and idle."),
    );

    ask(
        "Restart the site.",
        exec(&format!("touch {SITE}/restart")),
        "The site restarts.",
    );
    page.add(
        "A command that asks",
        "The question shows the whole command, where it would run and as whom, the labels of the \
         server, and why it asks.",
        &screen.wait("Permission required"),
    );
    screen.press("Enter");
    page.add(
        "Allowed once",
        "Enter takes *Allow once*.",
        &screen.wait("The site restarts."),
    );

    let motd = format!("{SITE}/motd");
    ask(
        "Announce the maintenance.",
        Step::tool(
            "remote_write_file",
            json!({"server": "web-1", "path": motd, "content": "Welcome.\nMaintenance: Sunday, 02:00\n"}),
        ),
        "It is announced.",
    );
    page.add(
        "A write, with its diff",
        "What the file is and what it would become, compared on the server a moment ago. If it \
         changes before the answer, nothing is written.",
        &screen.wait("Permission required"),
    );
    screen.press("Enter");
    let _done = screen.wait("It is announced.");

    // OpenCode's terminal takes words with a rejection in a subagent's session.
    let job = json!({"description": "Clean up", "prompt": "Clean up.", "subagent_type": "general"});
    model.then(Step::tool("task", job));
    model.then(exec(&format!("rm -r {SITE}/logs")));
    ask(
        "Have somebody clean up.",
        Step::text("I leave the logs alone."),
        "The logs stay, and are compressed tonight.",
    );
    let _asked = screen.wait("Permission required");
    screen.press("Right");
    screen.press("Right");
    screen.press("Enter");
    let _field = screen.wait("Reject permission");
    let feedback = "Keep the logs, compress them tonight.";
    screen.write(feedback);
    page.add(
        "No, and why",
        "A subagent wants to remove something. *Reject* takes words with it, which reach the \
         model, and it goes on with them. (In the main session OpenCode's terminal rejects at \
         once, and the words are one's next message.) The same question is not put again in \
         that session.",
        &screen.wait(feedback),
    );
    screen.press("Enter");
    page.add(
        "What the model made of it",
        "The words reached the subagent, and the main session went on.",
        &screen.wait("The logs stay"),
    );
    drop(screen);

    page.add(
        "Taking the change back",
        "In a terminal of one's own: `openshell undo` shows the diff, asks, and goes through the \
         same record as everything else.",
        &undo(&cli, &motd),
    );
    format!(
        "# A session\n\nA person, OpenCode {OPENCODE_VERSION} in a terminal of {} by {}, and a \
         server `web-1`. It was recorded by `cargo run -p openshell-tests --bin record_session`, \
         which makes this page anew: everything is real but the model, which plays a script. \
         Paths, addresses and account names are replaced, and empty rows left out.\n\n{}",
        SIZE.0,
        SIZE.1,
        page.parts.join("\n")
    )
}

/// `openshell undo` on a screen of its own.
fn undo(cli: &Cli, path: &str) -> String {
    let mut shell = std::process::Command::new("/bin/sh");
    let bin = binary().parent().expect("a program lies in a directory");
    let search = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    shell
        .current_dir("/")
        .envs(environment(cli))
        .env("HOME", cli.home())
        .env("PATH", search)
        .env("PS1", "$ ");
    let screen = Screen::of(&shell, (SIZE.0, 24));
    let _ready = screen.wait("$");
    screen.write(&format!("openshell undo web-1 {path}"));
    screen.press("Enter");
    let _asked = screen.wait("?");
    screen.write("yes");
    screen.press("Enter");
    let _done = screen.wait("\n$");
    screen.write(&format!("cat {path}"));
    screen.press("Enter");
    screen.wait("Maintenance: none\n$")
}

/// What tells the helper where its installation is.
fn environment(cli: &Cli) -> Vec<(String, String)> {
    let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
    cli.command([""; 0])
        .get_envs()
        .filter_map(|(name, value)| Some((text(name), text(value?))))
        .filter(|(name, _)| name.starts_with("OPENSHELL_"))
        .chain([("OPENSHELL_BIN".to_owned(), text(binary().as_os_str()))])
        .collect()
}

/// Replacements of the same width, so that the screen stays what it was.
fn neutral(server: &Sshd, cli: &Cli, workspace: &Path) -> Vec<(String, String)> {
    let same_width = |private: String, public: &str| {
        let width = private.chars().count();
        let public: String = format!("{public:<width$}").chars().take(width).collect();
        (private, public)
    };
    let project = workspace.to_string_lossy();
    let project = project.trim_end_matches('/');
    let address = format!("{}@127.0.0.1:{}", server.user(), server.port());
    vec![
        same_width(address, "deploy@192.0.2.17:22"),
        same_width(project.to_owned(), "~/site"),
        same_width(cli.dir().display().to_string(), "~/openshell"),
    ]
}
