//! Commands that show users, accounts and logins.
//!
//! Invariant: no option passes that reads a password or its hash, changes an
//! account or loads a library. Who is asking makes no difference here.

use super::spec::{Command, Kind, Operands, Refusal, examples, is_name, refused};

/// Where the system's databases are looked up (nsswitch.conf(5)).
const SOURCES: Kind = Kind::OneOf(&[
    "compat",
    "db",
    "dns",
    "files",
    "ldap",
    "myhostname",
    "nis",
    "resolve",
    "sss",
    "systemd",
    "winbind",
]);

pub(super) const COMMANDS: &[Command] = &[
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
        long: "--no-idn --version",
        // The library of a service that is named here is loaded.
        values: &[("-s", SOURCES), ("--service", SOURCES)],
        operands: Operands::Phrases(&[
            "passwd|group|services|protocols|rpc|networks|aliases|initgroups|ethers|netgroup ...",
            "hosts|ahosts|ahostsv4|ahostsv6 ...",
        ]),
        allowed: examples![
            "getent passwd",
            "getent group docker",
            "getent hosts localhost",
            "getent services ssh",
            "getent netgroup x",
            "getent -s files passwd root",
        ],
        asks: examples![
            "getent shadow",
            "getent shadow root",
            "getent gshadow",
            "getent -s files shadow",
            "getent",
            "getent -s /srv/x passwd",
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
        names: &["lslogins"],
        does: "lists accounts",
        flags: "ucesnafGLrzZ",
        long: "\
            --user-accs --system-accs --acc-expiration --failed --last --supp-groups --newline \
            --noheadings --notruncate --raw --export --colon-separate --help --version",
        values: &[
            ("-o", Kind::Name),
            ("--output", Kind::Name),
            ("-l", Kind::Name),
            ("--logins", Kind::Name),
            ("-g", Kind::Name),
            ("--groups", Kind::Name),
        ],
        refused: &[
            refused("--btmp-file", "content", "reads another file"),
            refused("--wtmp-file", "content", "reads another file"),
            refused("--lastlog-file", "content", "reads another file"),
        ],
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples![
            "lslogins",
            "lslogins -u",
            "lslogins root",
            "lslogins -o USER,UID"
        ],
        asks: examples!["lslogins --wtmp-file=/etc/shadow", "lslogins --frob"],
        ..Command::BARE
    },
    Command {
        names: &["at"],
        does: "lists planned jobs",
        flags: "l",
        refused: &[
            refused("-c", "content", "shows a job and its environment"),
            refused("-d", "delete", "deletes a job"),
            refused("-r", "delete", "deletes a job"),
            refused("-f", "plan", "plans a job"),
        ],
        check: Some(|parsed| {
            (!parsed.has(&["-l"])).then(|| Refusal::new("plan", "without `-l` it plans a job"))
        }),
        allowed: examples!["at -l"],
        asks: examples![
            "at now",
            "at -f x now",
            "at -c 1",
            "at -d 1",
            "at -l now",
            "at"
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
];
