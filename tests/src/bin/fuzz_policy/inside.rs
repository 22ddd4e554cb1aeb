//! Process 1 of the sandbox: runs what it is told and watches what that does.
//!
//! Invariant: it runs words exactly as the product's bootstrap script does (an empty
//! environment, empty standard input, no terminal), under strace, and compares the
//! whole tree and the facts of the system before and after. It judges nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, wait};

use crate::names::{self, HOME};
use crate::sandbox::{BUSYBOX_PATH, Request, Run, SYSTEM_PATH};

/// Calls that open, start or change something. A `?` lets an strace that does not
/// know a call do without it.
const TRACED: &str = "trace=\
    ?execve,?execveat,?open,?openat,?openat2,?creat,?unlink,?unlinkat,?rename,?renameat,\
    ?renameat2,?mkdir,?mkdirat,?rmdir,?link,?linkat,?symlink,?symlinkat,?chmod,?fchmod,\
    ?fchmodat,?chown,?fchown,?lchown,?fchownat,?truncate,?ftruncate,?utime,?utimes,\
    ?utimensat,?futimesat,?setxattr,?lsetxattr,?fsetxattr,?removexattr,?lremovexattr,\
    ?fremovexattr,?mknod,?mknodat,?mount,?umount2,?pivot_root,?chroot,?kill,?tkill,\
    ?tgkill,?connect,?bind,?sendto,?sendmsg,?sendmmsg,?settimeofday,?clock_settime,\
    ?adjtimex,?clock_adjtime,?sethostname,?setdomainname,?reboot,?init_module,\
    ?finit_module,?delete_module,?swapon,?swapoff,?ptrace,?process_vm_writev,\
    ?setpriority,?sched_setaffinity,?sched_setscheduler,?setrlimit,?prlimit64,?setns,\
    ?unshare,?keyctl,?add_key,?acct,?quotactl,?syslog,?semctl,?shmctl,?msgctl,?ioctl,\
    ?ioprio_set,?bpf,?fallocate,?fchmodat2,?iopl,?ioperm,?kexec_load,?pidfd_send_signal,\
    ?rt_sigqueueinfo,?process_madvise,?perf_event_open,?mq_open,?mq_unlink,?shmget,?semget,\
    ?msgget,?memfd_create,?userfaultfd,?io_uring_setup,?open_by_handle_at,?fsopen,?move_mount";

/// Directories of other file systems, which no one here can change.
const FOREIGN: &[&str] = &["/proc", "/sys", "/usr"];
/// Files of the fuzzer itself.
const OWN: &[&str] = &[TRACE, OUTPUT, "/runner"];
const TRACE: &str = "/trace";
const OUTPUT: &str = "/output";

/// Facts about the system that a command could change without touching a file.
const FACTS: &[&str] = &[
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/self/mountinfo",
    "/proc/self/limits",
    "/proc/self/oom_score_adj",
    "/proc/self/timerslack_ns",
    "/proc/self/coredump_filter",
    "/proc/net/route",
    "/proc/net/arp",
    "/proc/net/if_inet6",
    "/proc/net/fib_trie",
    "/proc/net/ip_tables_names",
    "/proc/sysvipc/shm",
    "/proc/sysvipc/sem",
    "/proc/sysvipc/msg",
    "/sys/class/net/lo/flags",
    "/sys/class/net/lo/mtu",
];

/// Serves requests until the other side is gone.
pub(crate) fn serve() -> io::Result<()> {
    let mut output = io::stdout();
    let names = serde_json::to_string(&(programs(SYSTEM_PATH), programs(BUSYBOX_PATH)))?;
    writeln!(output, "{names}")?;
    // Inherits the canary in the environment, as a service would have a password.
    let mut bystander = bystander()?;
    for file in [TRACE, OUTPUT] {
        fs::write(file, "")?;
    }
    let mut state = State::now();
    for line in io::stdin().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Look { words, globs, cwd } => {
                serde_json::to_string(&names::look(&words, &globs, &cwd))?
            }
            Request::Run {
                argv,
                path,
                cwd,
                patience_ms,
            } => {
                let patience = Duration::from_millis(patience_ms);
                let mut run = run(&argv, &path, &cwd, patience, bystander.id())?;
                let now = State::now();
                run.changed = state.changes(&now);
                state = now;
                if has_ended(&mut bystander) {
                    run.changed.push("another process was ended".to_owned());
                    bystander = self::bystander()?;
                }
                serde_json::to_string(&run)?
            }
        };
        writeln!(output, "{answer}")?;
    }
    Ok(())
}

/// Whether the bystander was ended. A signal that it was sent takes effect when it
/// is let run, so it is looked at until it sleeps and nothing waits for it.
fn has_ended(bystander: &mut Child) -> bool {
    let status = format!("/proc/{}/status", bystander.id());
    loop {
        let Ok(status) = fs::read_to_string(&status) else {
            return true;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim()
        };
        let waits = ["SigPnd:", "ShdPnd:"]
            .iter()
            .any(|name| field(name).bytes().any(|digit| digit != b'0'));
        // Its end may have been collected already, with those of orphans.
        if !matches!(bystander.try_wait(), Ok(None)) {
            return true;
        }
        if !waits && field("State:").starts_with(['S', 'T', 't']) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn bystander() -> io::Result<Child> {
    Command::new("/usr/bin/sleep")
        .arg("infinity")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}

fn programs(path: &str) -> Vec<String> {
    let directories = path.split(':').filter_map(|name| fs::read_dir(name).ok());
    directories
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn run(
    argv: &[String],
    path: &str,
    cwd: &str,
    patience: Duration,
    bystander: u32,
) -> io::Result<Run> {
    const OUTPUT_KEPT: u64 = 1 << 20;
    const OUTPUT_CAP: u64 = 64 << 20;
    /// How long the tracer, and helpers that are about to end, may take to.
    const AFTERMATH: Duration = Duration::from_secs(1);
    fs::write(TRACE, "")?;
    let output = fs::File::create(OUTPUT)?;
    let mut child = Command::new("/usr/bin/strace")
        // `-D`: the command and not the tracer is our child, so that we see it end
        // although something it started goes on.
        .args([
            "-D",
            "--seccomp-bpf",
            "-f",
            "-y",
            "-qq",
            "-s",
            "256",
            "-o",
            TRACE,
        ])
        .args(["-e", TRACED, "--", "/usr/bin/env", "-i", "--"])
        .arg(format!("PATH={path}"))
        .arg(format!("HOME={HOME}"))
        .args(["USER=root", "LOGNAME=root", "LC_ALL=C", "TERM=dumb"])
        .args(argv)
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    let started = Instant::now();
    let mut run = Run::default();
    let mut pause = Pause::default();
    while child.try_wait()?.is_none() {
        if started.elapsed() > patience || fs::metadata(OUTPUT)?.len() > OUTPUT_CAP {
            run.timed_out = true;
            child.kill()?;
            child.wait()?;
            break;
        }
        pause.sleep();
    }
    let ended = Instant::now();
    let mut pause = Pause::default();
    let mut rest = others(bystander);
    while !rest.is_empty() && ended.elapsed() < AFTERMATH {
        if run.timed_out {
            end(&rest)?;
        }
        pause.sleep();
        reap(bystander);
        rest = others(bystander);
    }
    let tracer = |process: &Process| process.name == "strace";
    run.left = rest
        .iter()
        .filter(|process| !tracer(process))
        .map(|process| format!("{} ({})", process.name, process.pid))
        .collect();
    // The tracer ends with the last of them, and has then written everything.
    while !rest.is_empty() {
        end(&rest)?;
        Pause::default().sleep();
        reap(bystander);
        rest = others(bystander);
    }
    reap(bystander);
    let mut output = Vec::new();
    fs::File::open(OUTPUT)?
        .take(OUTPUT_KEPT)
        .read_to_end(&mut output)?;
    run.output = String::from_utf8_lossy(&output).into_owned();
    run.trace = String::from_utf8_lossy(&fs::read(TRACE)?).into_owned();
    Ok(run)
}

/// Waits a little, longer each time.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(1))
    }
}

impl Pause {
    fn sleep(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(10));
    }
}

struct Process {
    pid: String,
    name: String,
}

/// Other processes in here that are not already dead.
fn others(bystander: u32) -> Vec<Process> {
    let bystander = bystander.to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| pid != "1" && *pid != bystander)
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (_, rest) = stat.split_once('(')?;
            let (name, after) = rest.rsplit_once(')')?;
            let name = name.to_owned();
            (!after.starts_with(" Z")).then_some(Process { pid, name })
        })
        .collect()
}

/// Ends processes, but the tracer only where it is alone.
fn end(processes: &[Process]) -> io::Result<()> {
    let alone = processes.iter().all(|process| process.name == "strace");
    for process in processes {
        if alone || process.name != "strace" {
            let mut kill = Command::new("/usr/bin/kill");
            kill.args(["-9", &process.pid]).stderr(Stdio::null());
            kill.status()?;
        }
    }
    Ok(())
}

/// Process 1 inherits what the others leave. The bystander is left to be asked for.
fn reap(bystander: u32) {
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(bystander) {
            return;
        }
    }
}

/// Everything about the tree and the system but when files were last read.
struct State(BTreeMap<PathBuf, String>);

impl State {
    fn now() -> Self {
        let mut state = BTreeMap::new();
        let mut queue = vec![PathBuf::from("/")];
        while let Some(path) = queue.pop() {
            let is = |names: &[&str]| names.iter().any(|name| path.as_os_str() == *name);
            if is(FOREIGN) || is(OWN) {
                continue;
            }
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            if found.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                queue.extend(entries.map(|entry| entry.path()));
            }
            // The change time moves with content, mode, owner, links and attributes.
            let about = format!(
                "{:o} {}:{} {} {}.{} {}",
                found.mode(),
                found.uid(),
                found.gid(),
                found.size(),
                found.ctime(),
                found.ctime_nsec(),
                found.nlink()
            );
            state.insert(path, about);
        }
        for fact in FACTS {
            let text = fs::read_to_string(fact).unwrap_or_default();
            state.insert(PathBuf::from(fact), text);
        }
        Self(state)
    }

    fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (path, state) in &now.0 {
            let path_shown = path.display();
            match self.0.get(path) {
                None => changes.push(format!("{path_shown} is new")),
                Some(was) if was != state => {
                    changes.push(format!("{path_shown} was {was} and is {state}"));
                }
                Some(_) => {}
            }
        }
        let gone = self.0.keys().filter(|path| !now.0.contains_key(*path));
        changes.extend(gone.map(|path| format!("{} is gone", path.display())));
        changes
    }
}
