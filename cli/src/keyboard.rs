//! What a person types at the controlling terminal: a line, or a secret.
//!
//! Invariant: the terminal is made ready before the prompt is shown. What was typed
//! before is thrown away first, and the echo is off first where a secret is asked
//! for, so whoever answers as soon as the prompt is there is neither unheard nor
//! shown. The terminal is as it was on every way out. Whether somebody may be asked,
//! and what an answer means, is decided elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush,
    tcgetattr, tcsetattr,
};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// The longest line a terminal hands over at once, in bytes.
const LINE: usize = 4_096;

/// Asks for one line, with its prompt on standard error.
///
/// The answer is without spaces at its ends; `None` says that the terminal was
/// closed.
pub(crate) fn line(prompt: &str) -> io::Result<Option<String>> {
    let tty = File::open("/dev/tty")?;
    line_at(&tty, &mut anstream::stderr(), prompt)
}

/// Asks for something nobody may see, with its prompt on the terminal.
///
/// A press of the interrupt key is `ErrorKind::Interrupted` where it does not end
/// the process, a closed terminal `ErrorKind::UnexpectedEof`.
pub(crate) fn secret(prompt: &str) -> io::Result<SecretString> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let typed = secret_at(&tty, &mut &tty, prompt);
    if typed
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Interrupted)
    {
        // The key means what it means everywhere else, now that the echo is back.
        kill_process(getpid(), Signal::INT)?;
    }
    typed
}

fn line_at(tty: &File, screen: &mut impl Write, prompt: &str) -> io::Result<Option<String>> {
    tcflush(tty, QueueSelector::IFlush)?;
    let _ = write!(screen, "{prompt}");
    let _ = screen.flush();
    let mut line = String::new();
    match BufReader::new(tty).read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(line.trim().to_owned())),
    }
}

fn secret_at(tty: &File, screen: &mut impl Write, prompt: &str) -> io::Result<SecretString> {
    let hidden = Hidden::new(tty)?;
    write!(screen, "{prompt}")?;
    screen.flush()?;
    // Its room never moves, so no copy is left behind in memory.
    let mut typed = Zeroizing::new(Vec::with_capacity(LINE));
    let mut piece = Zeroizing::new([0; LINE]);
    loop {
        let count = (&*tty).read(&mut *piece)?;
        let piece = &piece[..count];
        match piece.last() {
            None => return Err(ErrorKind::UnexpectedEof.into()),
            Some(last) if Some(*last) == hidden.interrupt => {
                let _ = writeln!(screen);
                return Err(ErrorKind::Interrupted.into());
            }
            Some(_) if typed.len() + piece.len() > LINE => {
                return Err(unusable("what was typed is too long"));
            }
            Some(b'\n') => {
                typed.extend_from_slice(piece);
                break;
            }
            // The key for the end of input hands over a line that is not finished.
            Some(_) => typed.extend_from_slice(piece),
        }
    }
    let text = std::str::from_utf8(&typed).map_err(|_| unusable("what was typed is not UTF-8"))?;
    Ok(SecretString::from(printable(text)))
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// What is left without control characters and without what keys like the arrows
/// send.
fn printable(typed: &str) -> String {
    let mut kept = String::with_capacity(typed.len());
    let mut characters = typed.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            if characters
                .next_if(|next| matches!(next, '[' | 'O'))
                .is_some()
            {
                // Its parameters, up to the character that ends it.
                while characters
                    .next_if(|next| !('@'..='~').contains(next))
                    .is_some()
                {}
                characters.next();
            }
        } else if !character.is_control() {
            kept.push(character);
        }
    }
    kept
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden<'a> {
    tty: &'a File,
    before: Termios,
    /// The character that interrupts, where there is one. It is read like the end of
    /// a line: as a signal it would end the process with the echo off.
    interrupt: Option<u8>,
}

impl<'a> Hidden<'a> {
    /// Throws away what was typed before.
    fn new(tty: &'a File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        quiet
            .local_modes
            .insert(LocalModes::ICANON | LocalModes::ECHONL);
        quiet.input_modes.insert(InputModes::ICRNL);
        let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
        quiet.special_codes[SpecialCodeIndex::VEOL] = interrupt;
        let hidden = Self {
            tty,
            before,
            interrupt: (interrupt != 0).then_some(interrupt),
        };
        tcsetattr(tty, OptionalActions::Flush, &quiet)?;
        Ok(hidden)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
#[path = "keyboard_tests.rs"]
mod tests;
