//! Commands that list processes, users and logins.

use super::spec::{Command, Kind, Operands, Refusal, Style, at_most, examples, is_name, refused};

const BOUNDED: Kind = Kind::Is(|text| at_most(text, 20));

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ps"],
        does: "lists processes",
        style: Style::Custom(super::ps::ps),
        allowed: examples![
            "ps",
            "ps aux",
            "ps -ef",
            "ps -eo pid,comm",
            "ps auxww",
            "ps -aux",
            "ps aux --sort=-%mem",
            "ps -fp 1",
            "ps -u www-data",
            "ps -eo pid,ppid,cmd --sort -rss",
            "ps -efH",
            "ps axjf",
            "ps -eLf",
            "ps -C nginx -o pid=,rss=",
            "ps -p 1,2 -o args",
            "ps --ppid 1",
            "ps -ejH",
            "ps 1",
            "ps -o pid,etime -p 1",
            "ps faux",
            "ps -eww -o pid",
            "ps -eLo pid,tid",
            "ps --forest -ef",
        ],
        asks: examples![
            "ps axe",
            "ps axeww",
            "ps e",
            "ps auxe",
            "ps -auxe",
            "ps eww 1",
            "ps -E",
            "ps -eo environ",
            "ps -eE",
            "ps -o pid,environ",
            "ps -u axe",
            "ps -xe -u user",
            "ps ewaux",
            "ps -eouser,environ",
            "ps --frob",
            "ps axo environ",
            "ps -U e",
            "ps e -ef",
            "ps -xe",
            "ps -eTf --forest",
            "ps -eu x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["pgrep"],
        does: "finds processes",
        flags: "aclfinovwxsqhV",
        long: "\
            --list-name --list-full --full --count --newest --oldest --exact --ignore-case \
            --inverse",
        values: &[
            ("-u", Kind::Name),
            ("-U", Kind::Name),
            ("-P", Kind::Name),
            ("-g", Kind::Name),
            ("-G", Kind::Name),
            ("-t", Kind::Name),
            ("-d", Kind::Text),
            ("-s", Kind::Name),
            ("-r", Kind::Name),
            ("--euid", Kind::Name),
            ("--parent", Kind::Name),
        ],
        refused: &[
            refused("-F", "content", "reads a file"),
            refused("--pidfile", "content", "reads a file"),
        ],
        operands: Operands::Any(Kind::Text),
        allowed: examples!["pgrep -fl java", "pgrep -u root sshd", "pgrep -c php-fpm",],
        asks: examples!["pgrep -F /etc/shadow", "pgrep --signal 9 x"],
        ..Command::BARE
    },
    Command {
        names: &["pidof"],
        does: "finds processes",
        // What it does not know it reports on the console of the machine.
        flags: "scnx",
        values: &[(
            "-o",
            Kind::Is(|text| text == "%PPID" || at_most(text, u32::MAX)),
        )],
        operands: Operands::Any(Kind::Name),
        allowed: examples!["pidof nginx", "pidof -s sshd", "pidof -x script.sh"],
        asks: examples!["pidof --list x", "pidof -t x", "pidof -o x y"],
        ..Command::BARE
    },
    Command {
        names: &["pstree"],
        does: "shows processes as a tree",
        flags: "aAcghlnNpstTuUZV",
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["pstree -ap", "pstree -p 1", "pstree root"],
        asks: examples!["pstree --frob"],
        ..Command::BARE
    },
    Command {
        names: &["pmap", "pwdx"],
        does: "shows the memory or directory of a process",
        flags: "xXdqpV",
        operands: Operands::Any(Kind::Number),
        allowed: examples!["pmap -x 1234", "pwdx 1"],
        asks: examples!["pmap -c 1", "pmap -N /srv/x 1"],
        ..Command::BARE
    },
    Command {
        names: &["top"],
        does: "shows the busiest processes",
        flags: "bcHiSsh1eEM",
        values: &[
            ("-n", BOUNDED),
            (
                "-d",
                Kind::Is(|text| {
                    text.parse::<f32>()
                        .is_ok_and(|seconds| (0.1..=20.0).contains(&seconds))
                }),
            ),
            (
                "-o",
                Kind::Is(|text| {
                    !text.is_empty()
                        && text
                            .chars()
                            .all(|c| c.is_ascii_alphanumeric() || "%+-_".contains(c))
                }),
            ),
            ("-p", Kind::Name),
            ("-u", Kind::Name),
            ("-U", Kind::Name),
            ("-w", Kind::Number),
        ],
        check: Some(|parsed| {
            let bounded = parsed.has(&["-b"]) && parsed.has(&["-n"]) || parsed.has(&["-h"]);
            (!bounded).then(|| Refusal::new("endless", "without `-b` and `-n` it never ends"))
        }),
        allowed: examples![
            "top -bn1",
            "top -b -n 1 -o %MEM",
            "top -b -n 2 -d 1 -p 1",
            "top -Hbn1",
        ],
        asks: examples![
            "top",
            "top -b",
            "top -n 1",
            "top -b -n 100000",
            "top -bn1 x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["w"],
        does: "shows who is logged in",
        flags: "bfhiopsuV",
        long: "--no-header --short --from --help --version",
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["w", "w -hs", "w root"],
        asks: examples!["w --frob", "w a b"],
        ..Command::BARE
    },
    Command {
        names: &["who"],
        does: "shows who is logged in",
        flags: "abdHlmpqrstTu",
        long: "\
            --all --boot --heading --login --count --runlevel --short --users --help --version",
        // One operand is a file to read; any two mean "who am i".
        operands: Operands::UpTo(2, Kind::OneOf(&["am", "i"])),
        check: Some(|parsed| {
            (parsed.operands.len() == 1)
                .then(|| Refusal::new("content", "one operand is a file that it reads"))
        }),
        allowed: examples!["who", "who -b", "who am i"],
        asks: examples!["who /etc/shadow", "who shadow", "who am", "who --frob"],
        ..Command::BARE
    },
    Command {
        names: &["whoami", "groups", "id"],
        does: "shows users and groups",
        flags: "aGgnruzZp",
        long: "--group --groups --name --real --user --context --zero --help --version",
        operands: Operands::Any(Kind::Name),
        allowed: examples!["id", "id -un", "id www-data", "groups deploy", "whoami"],
        asks: examples!["id --frob"],
        ..Command::BARE
    },
    Command {
        names: &["last"],
        does: "shows past logins",
        flags: "adFiRwx",
        long: "--fulltimes --fullnames --hostlast --ip --nohostname --system --help --version",
        values: &[
            ("-n", Kind::Number),
            ("--limit", Kind::Number),
            ("-s", Kind::Text),
            ("--since", Kind::Text),
            ("-t", Kind::Text),
            ("--until", Kind::Text),
            ("-p", Kind::Text),
            ("--time-format", Kind::Name),
        ],
        number: true,
        refused: &[
            refused("-f", "content", "reads another file"),
            refused("--file", "content", "reads another file"),
        ],
        operands: Operands::Any(Kind::Name),
        allowed: examples![
            "last",
            "last -n 20",
            "last -10 root",
            "last reboot",
            "last -xF shutdown",
        ],
        asks: examples!["last -f /etc/shadow", "last --fil=x"],
        ..Command::BARE
    },
    Command {
        names: &["lastlog"],
        does: "shows last logins",
        long: "--help",
        values: &[
            ("-u", Kind::Name),
            ("--user", Kind::Name),
            ("-t", Kind::Number),
            ("--time", Kind::Number),
            ("-b", Kind::Number),
            ("--before", Kind::Number),
        ],
        refused: &[
            refused("-C", "clear", "clears the record"),
            refused("--clear", "clear", "clears the record"),
            refused("-S", "set", "sets the record"),
            refused("--set", "set", "sets the record"),
            refused("-R", "root", "looks into another tree"),
        ],
        allowed: examples!["lastlog", "lastlog -u root"],
        asks: examples![
            "lastlog -C -u root",
            "lastlog --cl -u root",
            "lastlog -S -u root",
        ],
        ..Command::BARE
    },
    Command {
        names: &["getent"],
        does: "shows entries of system databases",
        flags: "i",
        operands: Operands::Phrases(&[
            "passwd|group|services|protocols|rpc|networks|aliases|initgroups ...",
            "hosts|ahosts|ahostsv4|ahostsv6 ...",
        ]),
        allowed: examples![
            "getent passwd",
            "getent group docker",
            "getent hosts localhost",
            "getent services ssh",
        ],
        asks: examples![
            "getent shadow",
            "getent shadow root",
            "getent gshadow",
            "getent -s files shadow",
            "getent",
            "getent netgroup x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["crontab"],
        does: "shows scheduled jobs",
        flags: "l",
        values: &[("-u", Kind::Name)],
        refused: &[
            refused("-r", "delete", "deletes the table"),
            refused("-e", "edit", "edits the table"),
            refused("-i", "delete", "deletes the table"),
        ],
        check: Some(|parsed| {
            (!parsed.has(&["-l"]))
                .then(|| Refusal::new("replace", "without `-l` it replaces the table"))
        }),
        allowed: examples!["crontab -l", "crontab -l -u www-data", "crontab -u root -l"],
        asks: examples![
            "crontab",
            "crontab -r",
            "crontab x",
            "crontab -lr",
            "crontab -u root",
            "crontab -l x",
            "crontab -",
        ],
        ..Command::BARE
    },
    Command {
        names: &["chage"],
        does: "shows when a password expires",
        flags: "l",
        check: Some(|parsed| {
            (!parsed.has(&["-l"]))
                .then(|| Refusal::new("set", "without `-l` it changes the account"))
        }),
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["chage -l deploy"],
        asks: examples!["chage deploy", "chage -E 0 deploy", "chage -l -d 0 x"],
        ..Command::BARE
    },
    Command {
        names: &["fuser"],
        does: "shows who uses a file or a port",
        flags: "amMuv46",
        long: "--all --mount --user --verbose --ipv4 --ipv6 --version",
        values: &[("-n", Kind::OneOf(&["file", "tcp", "udp"]))],
        refused: &[
            refused("-k", "kill", "kills every process it finds"),
            refused("--kill", "kill", "kills every process it finds"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples!["fuser -v 80/tcp", "fuser -vm /srv", "fuser -n tcp 80"],
        asks: examples![
            "fuser -k 80/tcp",
            "fuser -mk /srv",
            "fuser -HUP /srv",
            "fuser --kil x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["pinky", "finger"],
        does: "shows who is logged in",
        flags: "lbhpsfwiqm",
        operands: Operands::Any(Kind::Is(|text| is_name(text) && !text.contains(['@', '/']))),
        allowed: examples!["pinky", "finger deploy", "pinky -l deploy"],
        asks: examples!["finger deploy@db9.example", "finger @x"],
        ..Command::BARE
    },
    Command {
        names: &["iotop"],
        does: "shows the busiest processes by input and output",
        flags: "boPaktq",
        long: "--batch --only --processes --accumulated --version",
        values: &[
            ("-n", BOUNDED),
            ("-d", BOUNDED),
            ("-p", Kind::Name),
            ("-u", Kind::Name),
        ],
        check: Some(|parsed| {
            let bounded = parsed.has(&["-b", "--batch"]) && parsed.has(&["-n"]);
            (!bounded).then(|| Refusal::new("endless", "without `-b` and `-n` it never ends"))
        }),
        allowed: examples!["iotop -b -n 1", "iotop -bon1"],
        asks: examples!["iotop", "iotop -b"],
        ..Command::BARE
    },
    Command {
        names: &["slabtop"],
        does: "shows the kernel's memory",
        flags: "o",
        long: "--once --version",
        values: &[("-s", Kind::Name), ("--sort", Kind::Name)],
        check: Some(|parsed| {
            let once = parsed.has(&["-o", "--once", "--version"]);
            (!once).then(|| Refusal::new("endless", "without `-o` it never ends"))
        }),
        allowed: examples!["slabtop -o", "slabtop --once -s c"],
        asks: examples!["slabtop", "slabtop -d 1"],
        ..Command::BARE
    },
    Command {
        names: &["jps"],
        does: "lists Java processes",
        flags: "lq",
        allowed: examples!["jps", "jps -l"],
        asks: examples!["jps other.example", "jps -J-javaagent:x"],
        ..Command::BARE
    },
];
