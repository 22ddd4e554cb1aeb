//! The text that goes to `/bin/sh`, written for every POSIX shell we know.
//!
//! Invariant: each part is one compound command, so the shell has parsed all of
//! it before anything it starts could read standard input; every foreign word
//! is quoted. It holds for dash, bash, busybox ash, ksh93, mksh, yash and zsh
//! as sh. It deliberately uses `kill -TERM -$$`, the one spelling for a process
//! group that all of them take.
//!
//! sshd makes each session a process group of its own, whose leader our shell
//! is, having replaced the login shell; dropbear does not, and there our shell
//! starts over as a leader by setsid(1). Standard input is never read by the
//! command; a watcher in the background holds it, and when it ends (time-out,
//! cancel, lost connection, dead helper) ends the group, politely and then not.

use crate::ssh::error::SshError;

use super::Program;

/// The only thing a login shell of ours ever reads. Every known one agrees on
/// its meaning: POSIX shells, fish, csh and tcsh, zsh.
pub(super) const EXEC: &str = "exec /bin/sh";

/// Search path of commands that run without a person's look at them. It must
/// not hold a directory that others than root can write to.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variable that says which call a process belongs to.
const MARK: &str = "OPENSHELL_ACTION";

/// Seconds between the polite and the last signal, for `sleep(1)`s that know
/// fractions and for those that do not.
const PATIENCE: &str = "sleep 0.3 || sleep 1";

/// First part: gets rid of what the environment smuggled in, and proves the
/// shell by the line `NONCE ready PID`. A shell that leads no process group says
/// `NONCE again` and becomes one that does, to be sent this part once more; where
/// there is no setsid(1) for that it says `NONCE no-group`.
///
/// A shell reads no more of its input than it has parsed, so the next one finds
/// the rest; it also finds the search path as it was.
///
/// Functions come in by the environment where sh is bash; POSIX makes special
/// builtins win over them, and `unset` is one. Shell options come the same way.
/// `PATH` is ours from here on because yash runs some builtins only if the path
/// has a program of their name.
pub(super) fn opening(nonce: &str) -> String {
    format!(
        "{{ unset -f echo cd kill read sleep env command\n\
         set +e +u +x +v +m\n\
         openshell_path=${{PATH-/usr/bin:/bin}}\n\
         PATH=/usr/bin:/bin\n\
         if kill -0 -$$; then echo {nonce} ready $$; \
         elif openshell_s=$(command -v setsid); then echo {nonce} again; \
         PATH=$openshell_path; exec \"$openshell_s\" /bin/sh 2>&5 5>&-; \
         else echo {nonce} no-group; exit 1; fi; \
         }} 5>&2 2>/dev/null\n"
    )
}

/// Second part: runs the program and ends with its status. Prints `NONCE run`
/// on both streams first, or `NONCE cwd` if the directory cannot be entered. The
/// mark, where there is one, is in the environment of all that it starts.
///
/// Death by signal N is 128 + N in most shells, 256 + N in ksh93 and 384 + N in
/// yash; the latter two would be cut to N on exit, so they are made 128 + N.
///
/// # Errors
/// [`SshError::InvalidRequest`] for words no server could run.
pub(super) fn command(
    nonce: &str,
    program: &Program,
    cwd: Option<&str>,
    shell: &str,
    mark: Option<&str>,
) -> Result<String, SshError> {
    let mark = mark.map(assignment).transpose()?.unwrap_or_default();
    let run = match program {
        Program::Argv(argv) => argv_line(argv, &mark)?,
        Program::Script(text) => script_line(text, shell, &mark)?,
    };
    let enter = match cwd {
        Some(cwd) => {
            if !cwd.starts_with('/') {
                return Err(invalid(format!(
                    "the working directory {cwd:?} is not absolute"
                )));
            }
            let cwd = quote(cwd, "the working directory")?;
            format!("cd -- {cwd} || {{ echo {nonce} cwd; exit 126; }}\n")
        }
        None => String::new(),
    };
    Ok(format!(
        "{{ exec 3<&0 4>&2 2>/dev/null\n\
         {enter}\
         ( trap '' HUP INT QUIT TERM PIPE\n\
         while read -r openshell_x; do :; done\n\
         kill -TERM -$$\n\
         {PATIENCE}\n\
         kill -KILL -$$ ) <&3 >/dev/null 3<&- 4>&- &\n\
         openshell_w=$!\n\
         echo {nonce} run >&4\n\
         echo {nonce} run\n\
         ( {run} ) </dev/null 2>&4 3<&- 4>&-\n\
         openshell_s=$?\n\
         kill -KILL \"$openshell_w\"\n\
         exit $((openshell_s > 255 ? openshell_s % 128 + 128 : openshell_s))\n\
         }}\n"
    ))
}

/// Second part for another purpose: ends a process group and says by `NONCE
/// gone` or `NONCE alive` what became of it. Gives it some 1.5 s.
///
/// The dead stay members of their group until somebody collects them, which
/// the first process of a container may do late or never; so `ps(1)` is asked
/// whether only such are left, and believed if it shows our own group as well.
pub(super) fn reap(nonce: &str, group: u32) -> String {
    format!(
        "{{ exec 2>/dev/null\n\
         openshell_n=0\n\
         while kill -0 -{group}; do\n\
         openshell_n=$((openshell_n + 1))\n\
         case $openshell_n in\n\
         1|2|3) ;;\n\
         *) if ps -A -o pgid= -o stat= | (\n\
         openshell_us=no\n\
         while read -r openshell_g openshell_z; do\n\
         case $openshell_g in\n\
         $$) openshell_us=yes ;;\n\
         {group}) case $openshell_z in Z*|X*) ;; *) exit 1 ;; esac ;;\n\
         esac\n\
         done\n\
         case $openshell_us in yes) exit 0 ;; esac\n\
         exit 1 ); then break; fi ;;\n\
         esac\n\
         case $openshell_n in\n\
         6|10) kill -KILL -{group} ;;\n\
         15) echo {nonce} alive; exit ;;\n\
         esac\n\
         sleep 0.1 || sleep 1\n\
         done\n\
         echo {nonce} gone\n\
         exit\n\
         }}\n"
    )
}

/// `exec` knows neither builtins nor functions, and `env -i` leaves nothing of
/// the login environment. What steers the dynamic linker goes before `env` runs.
fn argv_line(argv: &[String], mark: &str) -> Result<String, SshError> {
    let Some(program) = argv.first() else {
        return Err(invalid("there is no program to run".to_owned()));
    };
    if program.is_empty() || program.contains('=') {
        // env(1) would take NAME=VALUE for a variable.
        return Err(invalid(format!(
            "{program:?} cannot be the name of a program"
        )));
    }
    let mut words = String::new();
    for word in argv {
        words.push(' ');
        words.push_str(&quote(word, "an argument")?);
    }
    Ok(format!(
        "unset LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES DYLD_LIBRARY_PATH\n\
         exec env -i -- PATH={SYSTEM_PATH} HOME=\"${{HOME-/}}\" USER=\"${{USER-}}\" \
         LOGNAME=\"${{LOGNAME-}}\" LC_ALL=C TERM=dumb {mark}{words}"
    ))
}

fn script_line(text: &str, shell: &str, mark: &str) -> Result<String, SshError> {
    if !shell.starts_with('/') {
        return Err(invalid(format!(
            "the shell {shell:?} is not an absolute path"
        )));
    }
    let shell = quote(shell, "the shell")?;
    // A text that looks like an option would be one.
    let text = if text.starts_with(['-', '+']) {
        quote(&format!(" {text}"), "the command")?
    } else {
        quote(text, "the command")?
    };
    let export = if mark.is_empty() {
        String::new()
    } else {
        format!("export {mark}\n")
    };
    Ok(format!(
        "{export}PATH=$openshell_path\nexec {shell} -c {text}"
    ))
}

/// The variable that says which call a process belongs to.
fn assignment(mark: &str) -> Result<String, SshError> {
    if mark.is_empty() || !mark.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid(format!("{mark:?} cannot be a mark")));
    }
    Ok(format!("{MARK}={mark}"))
}

/// Second part for a third purpose: names what runs of a command, one
/// `NONCE marked PID COMMAND` a process that carries the mark, one `NONCE grouped PID
/// COMMAND` a process in the group, which may be one of those; `NONCE complete` where
/// every environment of this account could be looked at, `NONCE up SECONDS` where the
/// age of the first process is known; `NONCE end` is the last line.
///
/// Where there is a `/proc` as on Linux it is read; elsewhere ps(1) is asked for
/// the group, which in a session of sshd is the session as well. The searching
/// grep carries a mark of its own, which proves that environments can be read.
///
/// # Errors
/// [`SshError::InvalidRequest`] for a mark that none of ours can be.
pub(super) fn survey(nonce: &str, mark: &str, group: Option<u32>) -> Result<String, SshError> {
    let mark = assignment(mark)?;
    // No process is in group 0, as ps(1) and /proc show them.
    let group = group.unwrap_or(0);
    Ok(format!(
        "{{ exec 2>/dev/null\n\
         case $(id -u) in 0) echo {nonce} root ;; esac\n\
         if test -r /proc/self/stat; then\n\
         for openshell_f in $(OPENSHELL_SURVEY={nonce} grep -l -F -s -e {mark} \
         -e OPENSHELL_SURVEY={nonce} /proc/self/environ /proc/[0-9]*/environ); do\n\
         case $openshell_f in /proc/self/*) echo {nonce} complete; continue ;; esac\n\
         openshell_p=${{openshell_f#/proc/}}\n\
         openshell_p=${{openshell_p%/environ}}\n\
         echo \"{nonce} marked $openshell_p $(tr '\\000\\n' '  ' </proc/$openshell_p/cmdline)\"\n\
         done\n\
         if read -r openshell_u openshell_l </proc/uptime && read -r openshell_l </proc/1/stat; then\n\
         set -- ${{openshell_l##*[\\)] }}\n\
         shift 19 && openshell_h=$(getconf CLK_TCK || echo 100) && \
         echo {nonce} up $((${{openshell_u%%.*}} - $1 / openshell_h))\n\
         fi\n\
         for openshell_f in /proc/[0-9]*/stat; do\n\
         read -r openshell_l <$openshell_f || continue\n\
         set -- ${{openshell_l##*[\\)] }}\n\
         case $1 in Z|X) continue ;; esac\n\
         case \" $3 $4 \" in *\" {group} \"*) ;; *) continue ;; esac\n\
         openshell_p=${{openshell_f#/proc/}}\n\
         openshell_p=${{openshell_p%/stat}}\n\
         echo \"{nonce} grouped $openshell_p $(tr '\\000\\n' '  ' </proc/$openshell_p/cmdline)\"\n\
         done\n\
         else\n\
         ps -A -o pid= -o pgid= -o stat= -o args= | while read -r openshell_p openshell_g openshell_z openshell_l; do\n\
         case $openshell_z in Z*|X*) continue ;; esac\n\
         case $openshell_g in {group}) echo \"{nonce} grouped $openshell_p $openshell_l\" ;; esac\n\
         done\n\
         fi\n\
         echo {nonce} end\n\
         exit\n\
         }}\n"
    ))
}

fn quote(word: &str, what: &str) -> Result<String, SshError> {
    if word.contains('\0') {
        return Err(invalid(format!("{what} contains a NUL byte")));
    }
    Ok(shell_escape::unix::escape(word.into()).into_owned())
}

fn invalid(reason: String) -> SshError {
    SshError::InvalidRequest { reason }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod in_real_shells;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_server_could_run_is_refused() {
        let argv = |words: &[&str]| Program::Argv(words.iter().map(ToString::to_string).collect());
        let table = [
            (argv(&[]), None, "/bin/sh"),
            (argv(&[""]), None, "/bin/sh"),
            (argv(&["A=b", "ls"]), None, "/bin/sh"),
            (argv(&["ls", "a\0b"]), None, "/bin/sh"),
            (argv(&["ls"]), Some("etc"), "/bin/sh"),
            (argv(&["ls"]), Some("/a\0"), "/bin/sh"),
            (Program::Script("a\0b".to_owned()), None, "/bin/sh"),
            (Program::Script("ls".to_owned()), None, "sh"),
        ];
        for (program, cwd, shell) in table {
            let refused = command("n", &program, cwd, shell, None);
            assert!(
                matches!(refused, Err(SshError::InvalidRequest { .. })),
                "{program:?} {cwd:?} {shell}"
            );
        }
    }

    #[test]
    fn a_text_is_never_an_option() {
        let text = command(
            "n",
            &Program::Script("-x; id".to_owned()),
            None,
            "/bin/sh",
            None,
        );
        assert!(text.is_ok_and(|text| text.contains("exec /bin/sh -c ' -x; id'")));
    }
}
