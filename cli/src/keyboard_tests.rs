//! Tests of `keyboard`, at a terminal with somebody quicker than any person: the
//! answer is typed while the prompt is being shown.
//!
//! The terminal is one of `script(1)` of util-linux. Without it nothing is proven
//! here, and that is said.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use secrecy::ExposeSecret;

use super::*;

/// Only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal that nobody else uses.
struct Pty {
    script: Child,
    tty: File,
    output: BufReader<ChildStdout>,
}

impl Pty {
    /// The terminal and its keyboard.
    fn new() -> Option<(Self, Keyboard)> {
        let version = Command::new("script").arg("--version").output();
        if !version.is_ok_and(|output| output.stdout.starts_with(b"script from util-linux")) {
            eprintln!("skipped: a terminal needs script(1) of util-linux");
            return None;
        }
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--command"])
            // It ends with its terminal.
            .arg("exec sh -c 'tty; exec sleep 3600'")
            .arg("/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script can be run");
        let keys = script.stdin.take().expect("stdin was asked for");
        let mut output = BufReader::new(script.stdout.take().expect("stdout was asked for"));
        let mut name = String::new();
        output.read_line(&mut name).expect("tty(1) prints a name");
        let tty = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.trim())
            .expect("the terminal is ours");
        let seen = tty.try_clone().expect("a second handle");
        Some((
            Self {
                script,
                tty,
                output,
            },
            Keyboard { keys, tty: seen },
        ))
    }

    fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.tty).expect("it is a terminal");
        modes.local_modes.contains(LocalModes::ECHO)
    }

    /// Everything it has shown until now.
    fn shown(mut self) -> String {
        // What is shown stays in its order, so all of it is before this.
        writeln!(self.tty, "that is all").expect("it is a terminal");
        let mut text = String::new();
        while !text.contains("that is all") {
            let read = self.output.read_line(&mut text).expect("UTF-8");
            assert!(read > 0, "{text}");
        }
        text
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

struct Keyboard {
    keys: ChildStdin,
    tty: File,
}

impl Keyboard {
    /// Types, and comes back when the terminal has it.
    fn types(&mut self, text: &str) {
        let before = self.waiting();
        self.keys.write_all(text.as_bytes()).expect("script reads");
        self.keys.flush().expect("script reads");
        let limit = Instant::now() + PATIENCE;
        while self.waiting() < before + text.len() as u64 {
            assert!(Instant::now() < limit, "{text:?} never came");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Keyboard {
    /// Bytes in whole lines that nobody has read.
    fn waiting(&self) -> u64 {
        ioctl_fionread(&self.tty).expect("it is a terminal")
    }
}

/// A screen whose reader answers before the prompt's writer has gone on.
struct Quick {
    keyboard: Keyboard,
    answer: &'static str,
    screen: File,
}

impl Write for Quick {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.starts_with(b"prompt") {
            self.keyboard.types(self.answer);
        }
        self.screen.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.screen.flush()
    }
}

/// Asks in a thread of its own, since what is thrown away is waited for for ever.
fn answered<T: Send + 'static>(
    pty: &Pty,
    keyboard: Keyboard,
    answer: &'static str,
    ask: fn(&File, &mut Quick) -> T,
) -> T {
    let tty = pty.tty.try_clone().expect("a second handle");
    let mut screen = Quick {
        keyboard,
        answer,
        screen: pty.tty.try_clone().expect("a third one"),
    };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(ask(&tty, &mut screen)));
    receiver
        .recv_timeout(PATIENCE)
        .expect("the answer is waited for, and it was typed")
}

fn ask_line(tty: &File, screen: &mut Quick) -> Option<String> {
    line_at(tty, screen, "prompt: ").expect("it is a terminal")
}

fn ask_secret(tty: &File, screen: &mut Quick) -> io::Result<SecretString> {
    secret_at(tty, screen, "prompt: ")
}

#[test]
fn an_answer_to_the_prompt_is_heard_and_what_came_before_is_not() {
    let Some((pty, mut keyboard)) = Pty::new() else {
        return;
    };
    keyboard.types("typed ahead\n");
    let line = answered(&pty, keyboard, " yes \n", ask_line);
    assert_eq!(line.as_deref(), Some("yes"));
}

#[test]
fn a_secret_is_heard_and_never_shown() {
    let Some((pty, mut keyboard)) = Pty::new() else {
        return;
    };
    keyboard.types("typed ahead\n");
    let secret = answered(&pty, keyboard, "hün\x1b[Dter2\n", ask_secret);
    let secret = secret.expect("it was typed");
    assert_eq!(secret.expose_secret(), "hünter2");
    assert!(pty.echoes(), "the terminal is as it was");
    let shown = pty.shown();
    assert!(shown.contains("prompt: "), "{shown}");
    assert!(!shown.contains("ter2"), "{shown}");
}

#[test]
fn an_interrupt_is_no_secret_and_leaves_the_echo_on() {
    let Some((pty, keyboard)) = Pty::new() else {
        return;
    };
    let error = answered(&pty, keyboard, "hun\x03", ask_secret).expect_err("it was given up");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(pty.echoes(), "the terminal is as it was");
}

#[test]
fn keys_that_write_nothing_are_left_out() {
    for (typed, kept) in [
        ("plain\n", "plain"),
        ("a\x1b[Db\x1bOPc\x1b[1;5Dd\n", "abcd"),
        ("\x1b\x1a\x04x", "x"),
        ("\x1b[", ""),
        ("[D stays", "[D stays"),
    ] {
        assert_eq!(printable(typed), kept, "{typed:?}");
    }
}
