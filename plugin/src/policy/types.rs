//! The vocabulary of the policy, a native mirror of `wit/types.wit`.
//!
//! Invariant: [`Decision`] is ordered by severity, so a verdict is the maximum
//! of everything that spoke. The types carry data only; reading a rule file and
//! checking its examples is the host's work.

/// What may happen with a request, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Runs at once, without a person.
    AutoAllow,
    /// Runs only after a person (or a rule of theirs) agreed.
    ApprovalRequired,
    /// Never runs, whoever agrees.
    Reject,
}

/// What is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A command line as the model wrote it; a shell would read it.
    Command(String),
    /// Words that reach the program as they stand; no shell reads them.
    Argv(Vec<String>),
    /// The content of a file.
    ReadPath(String),
    /// Names and metadata below a directory.
    ListPath(String),
    /// Metadata of one file.
    StatPath(String),
    /// Creating or replacing a file.
    WritePath(String),
}

/// Whether commands may run as another account on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sudo {
    /// They may not.
    Never,
    /// By `sudo -n`, and a person is asked each time.
    Ask,
}

/// A request in the circumstances that can change its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What is asked for.
    pub request: Request,
    /// Logical server id.
    pub server: String,
    /// Name of the tool the request came through.
    pub tool: String,
    /// Labels of the server, as registered.
    pub labels: Vec<String>,
    /// Absolute working directory of a command; none means the login directory.
    pub cwd: Option<String>,
    /// Absolute login directory on the server, where it is known.
    pub home: Option<String>,
    /// For paths: the name after every symbolic link was followed, where it
    /// differs from the requested one. Both names are judged.
    pub resolved: Option<String>,
    /// What the server's registration says about sudo; none where the request is
    /// judged for no server.
    pub sudo: Option<Sudo>,
}

/// Where a rule was written. A workspace can only tighten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOrigin {
    /// The operator's own configuration.
    Operator,
    /// A file that came with a workspace, which is no one's word in particular.
    Workspace,
}

/// One rule of `policy.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name of the rule, as verdicts report it.
    pub id: String,
    /// Whose rule it is.
    pub origin: RuleOrigin,
    /// Glob patterns over server ids; empty means every server.
    pub servers: Vec<String>,
    /// Labels of which the server must carry at least one; empty means any.
    pub labels: Vec<String>,
    /// Tool names; empty means every tool that runs a command.
    pub tools: Vec<String>,
    /// The first words of argv; each position lists the words it accepts.
    pub prefix: Vec<Vec<String>>,
    /// What the rule says.
    pub decision: Decision,
    /// Why, in a sentence for a person.
    pub reason: String,
    /// Whether the rule may lift a verdict that is [`Decision::Reject`] by default.
    pub overrides_catastrophe: bool,
}

/// Everything an operator can say about verdicts, already checked by the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rulebook {
    /// Rules of the operator and of the workspace, in any order.
    pub rules: Vec<Rule>,
    /// Whether a pipeline of individually safe commands runs unasked.
    pub pipelines_each_stage: bool,
    /// Further secret path patterns, in the syntax of the built-in list.
    pub secret_paths: Vec<String>,
}

/// The policy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What may happen.
    pub decision: Decision,
    /// Stable identifier of what decided, such as `grammar.find.exec`.
    pub rule: String,
    /// One sentence for a person.
    pub reason: String,
    /// The exact words of each pipeline stage, when the scanner could prove
    /// them; empty when the text is more than literal words.
    pub stages: Vec<Vec<String>>,
    /// Positions (stage, word) in `stages` of words that are not literal yet: an
    /// unquoted glob, a leading `~`, or both. Whoever runs the words puts the
    /// login directory for `~`, expands the glob over names on the server (where
    /// it matches none, the word stands as it is) and judges the result again as
    /// [`Request::Argv`]. Empty means that the words are final.
    pub globs: Vec<(u32, u32)>,
    /// Accounts other than the login's that parts of a command would run as, as
    /// far as the text shows.
    pub run_as: Vec<String>,
    /// The simple commands in a command line, as far as they can be made out, each as
    /// its words with a blank between them: for showing, and for rules that forbid.
    /// Nothing is allowed on the strength of it. At most 64.
    pub segments: Vec<String>,
}

/// One line of a derivation, for `openshell policy explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which part of the policy spoke: `preflight`, `scan`, `grammar`, `path`, `rule`.
    pub phase: String,
    /// What it looked at.
    pub item: String,
    /// What it found.
    pub finding: String,
    /// What that finding alone would decide; none for plain observations.
    pub decision: Option<Decision>,
}

/// What one part of the policy found, before the parts are combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) decision: Decision,
    pub(super) rule: String,
    pub(super) reason: String,
}

impl Finding {
    pub(super) fn allow(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            decision: Decision::AutoAllow,
            rule: rule.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn ask(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            decision: Decision::ApprovalRequired,
            rule: rule.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn reject(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            decision: Decision::Reject,
            rule: rule.into(),
            reason: reason.into(),
        }
    }
}

/// Shortens a word of the request for use in a reason.
///
/// The text in reasons is ours; a long word of the model's would drown it.
pub(super) fn shown(word: &str) -> String {
    const LIMIT: usize = 48;
    match word.char_indices().nth(LIMIT) {
        None => format!("`{word}`"),
        Some((cut, _)) => format!("`{}…`", &word[..cut]),
    }
}
