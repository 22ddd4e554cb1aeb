//! Finds commands that run as another account: sudo(8) and its like.
//!
//! Invariant: where the operator said `never`, a command in which such a program
//! can be made out is rejected, in whatever part of the text it stands; where they
//! said `ask`, only `sudo -n` passes, and only a rule that names sudo itself spares
//! a person the question. What only the server could know (a script's content, a
//! variable's value) is not seen here, and asks for other reasons.

use super::lex::Word;
use super::scan::{Simple, scan};
use super::types::{Decision, Finding, Sudo};

/// How deep `sh -c 'sh -c …'` is followed.
const DEPTH: u32 = 4;

/// Programs whose purpose is to run another one as another account.
pub(super) const PROGRAMS: &[&str] = &[
    "doas", "dzdo", "ksu", "pbrun", "pfexec", "pkexec", "run0", "runuser", "su", "sudo", "sudoedit",
];

/// Programs and words of the shell behind which a command stands.
const WRAPPERS: &[&str] = &[
    "!",
    "busybox",
    "chrt",
    "chroot",
    "command",
    "coproc",
    "do",
    "elif",
    "else",
    "env",
    "exec",
    "flock",
    "if",
    "ionice",
    "nice",
    "nohup",
    "nsenter",
    "parallel",
    "setsid",
    "stdbuf",
    "strace",
    "systemd-run",
    "taskset",
    "then",
    "time",
    "timeout",
    "toybox",
    "unbuffer",
    "unshare",
    "until",
    "watch",
    "while",
    "xargs",
    "{",
    "builtin",
];

const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "eval"];

/// What becomes of such commands, for the documentation.
#[cfg(test)]
pub(super) const LIST: &[&str] = &[
    "where the server was registered without `--sudo ask`: refused (`sudo.never`)",
    "`sudo -n` where it was registered with it: asked about, and the question names the \
     account (`sudo.ask`); only an operator's rule that begins with `sudo` allows it unasked",
    "`sudo` without `-n`, which could ask for a password: refused (`sudo.interactive`)",
    "`sudo -S`, which reads one: refused (`sudo.password`)",
    "any of the other programs, which could ask for one: refused (`sudo.other`)",
    "one of them anywhere in the text, as far as it can be made out: in a list, a loop, a \
     substitution, behind `env`, `timeout`, `xargs`, `find -exec`, `sh -c` and their like",
];

/// Options of find(1) behind which a command stands.
const FIND_RUNS: &[&str] = &["-exec", "-execdir", "-ok", "-okdir"];

/// Short options of sudo(8) that take a value.
const SUDO_VALUES: &[char] = &[
    'C', 'D', 'R', 'T', 'U', 'a', 'c', 'g', 'h', 'p', 'r', 't', 'u',
];

/// The same, long.
const SUDO_LONG_VALUES: &[&str] = &[
    "--auth-type",
    "--chdir",
    "--chroot",
    "--close-from",
    "--command-timeout",
    "--group",
    "--host",
    "--login-class",
    "--other-user",
    "--prompt",
    "--role",
    "--type",
    "--user",
];

/// One program that runs another as another account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    program: String,
    account: String,
    non_interactive: bool,
    /// Whether it would read a password from its standard input.
    reads_password: bool,
}

/// Every such program in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Privilege {
    calls: Vec<Call>,
}

impl Privilege {
    /// Looks at the commands made out in a text.
    pub(super) fn of(commands: &[Simple<'_>]) -> Self {
        let mut found = Self::default();
        for command in commands {
            found.walk(&command.words, DEPTH);
        }
        found
    }

    /// Looks at words that no shell reads.
    pub(super) fn of_words(words: &[Word]) -> Self {
        Self::of(&[Simple::of(words)])
    }

    /// The accounts, as far as they can be seen, each once.
    pub(super) fn accounts(&self) -> Vec<String> {
        let mut accounts: Vec<String> = Vec::new();
        for call in &self.calls {
            if !accounts.contains(&call.account) {
                accounts.push(call.account.clone());
            }
        }
        accounts
    }

    /// What the operator's choice for the server says about it; none where there
    /// is no such program, or no choice because there is no server.
    pub(super) fn finding(&self, sudo: Option<Sudo>) -> Option<Finding> {
        let first = self.calls.first()?;
        match sudo? {
            Sudo::Never => Some(Finding::reject(
                "sudo.never",
                format!(
                    "this server is registered with sudo = never, and `{}` runs a command as \
                     another account",
                    first.program
                ),
            )),
            Sudo::Ask => Some(self.asked()),
        }
    }

    fn asked(&self) -> Finding {
        for call in &self.calls {
            if call.program != "sudo" {
                return Finding::reject(
                    "sudo.other",
                    format!(
                        "only `sudo -n` is possible on this server: `{}` could ask for a \
                         password, and there is no terminal to type it into",
                        call.program
                    ),
                );
            }
            if call.reads_password {
                return Finding::reject(
                    "sudo.password",
                    "`sudo -S` reads a password, which has no place in a command",
                );
            }
            if !call.non_interactive {
                return Finding::reject(
                    "sudo.interactive",
                    "sudo could ask for a password, and there is no terminal to type it into; \
                     use `sudo -n`",
                );
            }
        }
        Finding::ask(
            "sudo.ask",
            format!("it runs as {}", self.accounts().join(", ")),
        )
    }

    fn walk(&mut self, words: &[&Word], depth: u32) {
        // Assignments before a command are not its name.
        let start = words
            .iter()
            .take_while(|word| !word.opaque && is_assignment(&word.text))
            .count();
        let Some((first, rest)) = words[start..].split_first() else {
            return;
        };
        let name = name(first);
        if PROGRAMS.contains(&name) && !is_version(rest) {
            let (call, inner) = read(name, rest);
            self.calls.push(call);
            if depth > 0 {
                self.walk(inner, depth - 1);
            }
            return;
        }
        if depth == 0 {
            return;
        }
        if SHELLS.contains(&name) {
            self.script(name, rest, depth);
        } else if name == "find" {
            for (index, word) in rest.iter().enumerate() {
                if FIND_RUNS.contains(&word.text.as_str()) {
                    self.walk(&rest[index + 1..], depth - 1);
                }
            }
        } else if WRAPPERS.contains(&name)
            && let Some(inner) = wrapped(rest)
        {
            self.walk(inner, depth - 1);
        }
    }

    /// `sh -c TEXT` and `eval TEXT`.
    fn script(&mut self, name: &str, rest: &[&Word], depth: u32) {
        let texts = if name == "eval" {
            rest
        } else {
            let option = |word: &&Word| word.text.starts_with('-') && word.text.contains('c');
            match rest.iter().position(option) {
                Some(at) => rest.get(at + 1..at + 2).unwrap_or_default(),
                None => return,
            }
        };
        let joined: Vec<&str> = texts.iter().map(|word| word.text.as_str()).collect();
        for command in scan(&joined.join(" ")).commands() {
            self.walk(&command.words, depth - 1);
        }
    }
}

/// Whether a finding is lifted by an operator's rule that allows a command of
/// these words: one that passes and whose rule names sudo itself, which a rule for
/// words that begin with sudo does.
pub(super) fn is_lifted(finding: &Finding, words: &[Word], by: Option<Decision>) -> bool {
    finding.decision < Decision::Reject
        && by == Some(Decision::AutoAllow)
        && words.first().is_some_and(|word| name(word) == "sudo")
}

fn name(word: &Word) -> &str {
    word.text.rsplit('/').next().unwrap_or(&word.text)
}

fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// `sudo --version` runs nothing.
fn is_version(rest: &[&Word]) -> bool {
    matches!(rest, [only] if matches!(only.text.as_str(), "--version" | "-V"))
}

/// The command behind a wrapper: after its options, their values, assignments,
/// durations and a file it works with.
fn wrapped<'w, 'a>(words: &'w [&'a Word]) -> Option<&'w [&'a Word]> {
    let mut after_option = false;
    for (index, word) in words.iter().enumerate() {
        let name = name(word);
        let known = PROGRAMS.contains(&name)
            || WRAPPERS.contains(&name)
            || SHELLS.contains(&name)
            || name == "find";
        if known {
            return Some(&words[index..]);
        }
        let text = word.text.as_str();
        let belongs = text.starts_with(['-', '+'])
            || text.contains('=')
            || text.starts_with(|c: char| c.is_ascii_digit())
            || after_option
            || (index == 0 && text.starts_with('/'));
        if !belongs {
            return None;
        }
        after_option = text.starts_with('-');
    }
    None
}

/// Reads the options of a program, and where its command begins. Those of sudo(8)
/// are known; of the others only the account matters, as far as it is plain.
fn read<'w, 'a>(program: &str, words: &'w [&'a Word]) -> (Call, &'w [&'a Word]) {
    let mut call = Call {
        program: program.to_owned(),
        account: String::new(),
        non_interactive: false,
        reads_password: false,
    };
    let (mut user, mut group) = (None, None);
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let text = word.text.as_str();
        // An option that only the server knows could be any.
        if word.opaque || !(text.starts_with('-') || is_assignment(text)) || text == "-" {
            break;
        }
        index += 1;
        if text == "--" {
            break;
        }
        if is_assignment(text) && !text.starts_with('-') {
            continue;
        }
        if let Some(long) = text.strip_prefix("--") {
            let (option, mut value) = match long.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (long, None),
            };
            let option = format!("--{option}");
            if value.is_none() && SUDO_LONG_VALUES.contains(&option.as_str()) {
                value = words.get(index).map(|word| word.text.clone());
                index += 1;
            }
            match option.as_str() {
                "--user" => user = value,
                "--group" => group = value,
                "--non-interactive" => call.non_interactive = true,
                "--stdin" => call.reads_password = true,
                _ => {}
            }
            continue;
        }
        for (at, letter) in text[1..].char_indices() {
            if SUDO_VALUES.contains(&letter) {
                let attached = &text[1 + at + letter.len_utf8()..];
                let value = if attached.is_empty() {
                    let next = words.get(index).map(|word| word.text.clone());
                    index += 1;
                    next
                } else {
                    Some(attached.to_owned())
                };
                match letter {
                    'u' => user = value,
                    'g' => group = value,
                    _ => {}
                }
                break;
            }
            call.non_interactive |= letter == 'n';
            call.reads_password |= letter == 'S';
        }
    }
    let inner = words.get(index..).unwrap_or_default();
    // su(1) takes the account as an operand.
    if user.is_none() && program == "su" {
        user = inner
            .iter()
            .map(|word| word.text.clone())
            .find(|text| !text.starts_with('-'));
    }
    call.account = match (user, group) {
        (Some(user), None) => user,
        (Some(user), Some(group)) => format!("{user}:{group}"),
        (None, Some(group)) => format!(":{group}"),
        (None, None) => "root".to_owned(),
    };
    (call, inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, sudo: Sudo) -> (String, String) {
        let scan = scan(text);
        let privilege = Privilege::of(&scan.commands());
        let rule = privilege
            .finding(Some(sudo))
            .map_or_else(String::new, |finding| finding.rule);
        (rule, privilege.accounts().join(","))
    }

    #[test]
    fn what_is_asked_and_what_is_refused() {
        let cases: &[(&str, &str, &str)] = &[
            ("uptime", "", ""),
            ("grep sudo /var/log/auth.log", "", ""),
            ("sudo --version", "", ""),
            ("timeout 5 grep sudo x", "", ""),
            ("sudo -n systemctl restart nginx", "sudo.ask", "root"),
            ("/usr/bin/sudo -n id", "sudo.ask", "root"),
            ("sudo -nu postgres psql -l", "sudo.ask", "postgres"),
            ("sudo -n -u postgres -g adm id", "sudo.ask", "postgres:adm"),
            ("sudo --non-interactive --user=www id", "sudo.ask", "www"),
            ("sudo --user www -n id", "sudo.ask", "www"),
            ("sudo -n A=b -- id", "sudo.ask", "root"),
            ("sudo -n id && sudo -n -u www id", "sudo.ask", "root,www"),
            ("ls | sudo -n tee /etc/x", "sudo.ask", "root"),
            ("sudo id", "sudo.interactive", "root"),
            ("sudo -u n id", "sudo.interactive", "n"),
            ("sudo -- -n", "sudo.interactive", "root"),
            ("sudo id -n", "sudo.interactive", "root"),
            ("sudo $FLAGS -n id", "sudo.interactive", "root"),
            ("sudo -n id; sudo id", "sudo.interactive", "root"),
            ("echo x | sudo -S -n id", "sudo.password", "root"),
            ("su - postgres -c id", "sudo.other", "postgres"),
            ("doas -n id", "sudo.other", "root"),
            ("pkexec id", "sudo.other", "root"),
            ("sudo -n su -", "sudo.other", "root"),
            ("A=b sudo -n id", "sudo.ask", "root"),
            ("env -u X A=b sudo -n id", "sudo.ask", "root"),
            ("timeout -k 5 10 nohup sudo id", "sudo.interactive", "root"),
            ("flock /tmp/lock sudo id", "sudo.interactive", "root"),
            ("xargs -I {} sudo -n rm {}", "sudo.ask", "root"),
            (
                "find / -name x -exec sudo rm {} +",
                "sudo.interactive",
                "root",
            ),
            ("bash -lc 'cd /; sudo id'", "sudo.interactive", "root"),
            ("eval sudo id", "sudo.interactive", "root"),
            ("if sudo id; then ls; fi", "sudo.interactive", "root"),
            ("echo $(sudo -n id)", "sudo.ask", "root"),
            ("echo `sudo -n id`", "sudo.ask", "root"),
            ("'su'do id", "sudo.interactive", "root"),
            ("\\sudo id", "sudo.interactive", "root"),
        ];
        for (text, rule, accounts) in cases {
            let found = judged(text, Sudo::Ask);
            assert_eq!(
                (found.0.as_str(), found.1.as_str()),
                (*rule, *accounts),
                "{text}"
            );
            let never = judged(text, Sudo::Never).0;
            assert_eq!(
                never == "sudo.never",
                !accounts.is_empty(),
                "{text}: {never}"
            );
        }
    }
}
