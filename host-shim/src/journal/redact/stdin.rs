//! Secrets that are fed to a program through its standard input.
//!
//! Invariant: only what goes into a program that is known to read a secret there is
//! taken, whoever prints it: a command before the pipe, a group of them, a
//! here-string or a here-document.

use super::clients::{KEYWORDS, Part};
use super::command::{Command, basename, option_like};
use super::places::push_part;
use super::spans::Span;
use super::words::Word;

/// Programs that read a secret where this word is among theirs.
#[rustfmt::skip]
const FED: [(&str, &str); 13] = [
    ("zfs", "load-key"), ("zfs", "change-key"), ("zfs", "keyformat=passphrase"),
    ("zpool", "keyformat=passphrase"), ("rclone", "obscure"), ("caddy", "hash-password"),
    ("pass", "insert"), ("gopass", "insert"), ("ansible-vault", "encrypt_string"),
    ("kadmin", "cpw"), ("pw", "-h"), ("veracrypt", "--stdin"), ("gcloud", "--data-file=-"),
];

impl Command<'_> {
    /// Which part of its standard input is secret, where it reads a secret.
    fn reads(&self) -> Option<Part> {
        if self.runs(&["chpasswd", "chgpasswd"]) {
            return Some(Part::After(':'));
        }
        let reads = self.words.iter().any(|word| {
            matches!(
                word.text.as_str(),
                "--password-stdin"
                    | "--passphrase-fd"
                    | "--stdin-password"
                    | "--passphrase-stdin"
                    | "--token-stdin"
                    | "--with-token"
            )
        }) || (self.runs(&["sudo"]) && self.has("-S"))
            || self.runs(&[
                "cryptsetup",
                "smbpasswd",
                "kinit",
                "passwd",
                "mkpasswd",
                "vncpasswd",
                "htpasswd",
                "saslpasswd2",
                "secret-tool",
                "wg",
                "wpa_passphrase",
                "gocryptfs",
                "ecryptfs-add-passphrase",
                "ecryptfs-unwrap-passphrase",
                "systemd-creds",
                "slappasswd",
                "keyctl",
            ])
            || FED
                .iter()
                .any(|(program, word)| self.has(word) && self.runs(&[program]))
            || (self.runs(&["openssl"]) && (self.has("stdin") || self.has("passwd")))
            || (self.runs(&["gh", "glab"]) && self.has("secret") && self.has("set"))
            || (self.runs(&["kubectl", "oc"]) && self.has("secret") && self.has("create"))
            || (self.runs(&["vault", "bao"]) && self.has("-"))
            || self.words.first().is_some_and(|word| word.text == "su")
            || (self.runs(&["docker", "podman"]) && self.has("secret") && self.has("create"));
        reads.then_some(Part::Whole)
    }
}

/// What is printed into, or written behind, a program that reads a secret.
pub(super) fn fed(words: &[Word], commands: &[Command<'_>], out: &mut Vec<Span>) {
    for (order, command) in commands.iter().enumerate() {
        let Some(part) = command.reads() else {
            continue;
        };
        let piped = command
            .first
            .checked_sub(1)
            .and_then(|at| words.get(at))
            .is_some_and(|word| word.operator && word.text == "|");
        for source in piped
            .then(|| sources(words, commands, order))
            .into_iter()
            .flatten()
        {
            if !source.runs(&["echo", "printf", "yes"]) {
                continue;
            }
            for word in source.words.iter().skip(1) {
                let printer = KEYWORDS.contains(&word.text.as_str())
                    || matches!(basename(&word.text), "echo" | "printf" | "yes");
                if !printer && !option_like(&word.text) && !word.text.starts_with('%') {
                    push_part(word, 0, part, "password", out);
                }
            }
        }
        here(words, command, part, out);
    }
}

/// The commands whose output a command reads: the one before it, or those of the
/// group that ends before it, `( … )` or `{ …; }`.
fn sources<'c, 'a>(words: &[Word], commands: &'c [Command<'a>], order: usize) -> &'c [Command<'a>] {
    let Some(last) = order.checked_sub(1) else {
        return &[];
    };
    let is_brace = |word: Option<&&Word>, brace: &str| word.is_some_and(|word| word.text == brace);
    let opens = |at: usize| {
        let operator = commands[at].first.checked_sub(1).map(|at| &words[at]);
        operator.is_some_and(|word| word.operator && word.text.starts_with('('))
    };
    let begins = if commands[last].words.is_empty() {
        (0..last).rev().find(|at| opens(*at))
    } else if is_brace(commands[last].words.first(), "}") {
        let braced = |at: &usize| is_brace(commands[*at].words.first(), "{");
        (0..last).rev().find(braced)
    } else {
        Some(last)
    };
    begins.map_or(&[], |first| &commands[first..=last])
}

/// Here-strings and here-documents of a command that reads a secret.
fn here(words: &[Word], command: &Command<'_>, part: Part, out: &mut Vec<Span>) {
    let own = command.first..command.after;
    let Some(at) = own
        .clone()
        .find(|at| words[*at].operator && words[*at].text.starts_with("<<"))
    else {
        return;
    };
    let Some(next) = words.get(at + 1).filter(|word| !word.operator) else {
        return;
    };
    if words[at].text == "<<<" {
        push_part(next, 0, part, "password", out);
        return;
    }
    let end = next.text.trim_start_matches('-');
    for word in words[at + 2..]
        .iter()
        .take_while(|word| word.text != end)
        .filter(|word| !word.operator)
    {
        push_part(word, 0, part, "password", out);
    }
}
