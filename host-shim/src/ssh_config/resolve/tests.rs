//! What a configuration says, in tables; where ssh(1) is installed, it is asked
//! as well.
//!
//! Invariant of the fixture: the home is a scratch directory, so nothing of the
//! account's own configuration is read. Connecting is not tried.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::*;

const CONFIG: &str = r#"
# first value wins
Host web
    HostName %h.example.org
    User deploy
    Port 2222
    IdentityFile ~/.ssh/%r-%n
    IdentityFile "~/.ssh/a key"
    Compression yes
Host db* !dbold
    HostName 10.0.0.5
    ProxyJump ops@bastion:2200,[::1]:22
Host dbold
    ProxyCommand nc %h %p
Match host *.example.org user deploy
    IdentityAgent ~/agent-%u
    User other
Match originalhost web exec "touch /should/never/exist"
    Port 1
Match localuser nobody
    Port 2
Match !host *.example.org host 10.*
    User dba
Include extra.d/*.conf
Host *
    User fallback
    UserKnownHostsFile ~/.ssh/known ~/.ssh/more
    IdentitiesOnly yes
"#;

struct Scratch {
    dir: TempDir,
    surroundings: Surroundings,
}

impl Scratch {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".ssh/extra.d")).unwrap();
        fs::write(dir.path().join(".ssh/config"), config).unwrap();
        let variables = BTreeMap::from([("KEYS".to_owned(), "/keys".to_owned())]);
        let surroundings = Surroundings {
            home: dir.path().to_owned(),
            user: "me".to_owned(),
            uid: 1000,
            host: "desk.example".to_owned(),
            variables,
        };
        Self { dir, surroundings }
    }

    fn config(&self) -> Config {
        Config::read(&self.dir.path().join(".ssh/config"), &self.surroundings).unwrap()
    }

    fn of(&self, alias: &str) -> HostConfig {
        self.config()
            .resolve(&Jump::to(alias), &self.surroundings)
            .unwrap()
    }

    fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn a_host_with_most_of_it() {
    let scratch = Scratch::new(CONFIG);
    let web = scratch.of("web");
    assert_eq!(
        (web.host.as_str(), web.port, web.user.as_str()),
        ("web.example.org", 2222, "deploy")
    );
    assert_eq!(
        web.identity_files,
        [scratch.home(".ssh/deploy-web"), scratch.home(".ssh/a key")]
    );
    assert_eq!(web.identity_agent, Some(scratch.home("agent-me")));
    assert_eq!(
        web.known_hosts,
        Some(vec![scratch.home(".ssh/known"), scratch.home(".ssh/more")])
    );
    let said: Vec<_> = web
        .unhonoured
        .iter()
        .map(|other| (other.directive.as_str(), other.line, other.needed))
        .collect();
    assert_eq!(said, [("compression", 9, false), ("match", 18, false)]);
}

#[test]
fn patterns_negations_and_chains() {
    let scratch = Scratch::new(CONFIG);
    let db = scratch.of("db1");
    assert_eq!((db.host.as_str(), db.user.as_str()), ("10.0.0.5", "dba"));
    let hop = |alias: &str, user: Option<&str>, port| Jump {
        alias: alias.to_owned(),
        user: user.map(str::to_owned),
        port,
    };
    assert_eq!(
        db.jumps,
        [
            hop("bastion", Some("ops"), Some(2200)),
            hop("::1", None, Some(22))
        ]
    );
    let old = scratch.of("dbold");
    assert_eq!(old.host, "dbold");
    assert!(old.jumps.is_empty());
    let proxy = &old.unhonoured[0];
    assert_eq!(
        (proxy.directive.as_str(), proxy.needed),
        ("proxycommand", true)
    );
    assert_eq!(scratch.config().names(), ["web", "dbold"]);
}

#[test]
fn included_files_apply_where_they_stand() {
    let scratch = Scratch::new("Host a\nInclude extra.d/*.conf\nHost *\nPort 5\n");
    let put = |name: &str, text: &str| {
        fs::write(scratch.home(".ssh/extra.d").join(name), text).unwrap();
    };
    put("2.conf", "User second\n");
    put("1.conf", "User first\nHost b\nUser hidden\n");
    put("3.txt", "User no\n");
    // A Host line inside does not reach past the file.
    assert_eq!(scratch.of("a").user, "first");
    assert_eq!(scratch.of("a").port, 5);
    // Nothing of a file included for another host applies, Host lines or not.
    assert_eq!(scratch.of("b").user, "me");
    assert_eq!(scratch.config().names(), ["a", "b"]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let endless = Scratch::new("Include ~/.ssh/config\n");
    let config = |scratch: &Scratch| {
        Config::read(&scratch.home(".ssh/config"), &scratch.surroundings)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert!(config(&endless).unwrap_err().contains("included"));
    for bad in ["Host", "User \"me", "HostName"] {
        let scratch = Scratch::new(&format!("Host a\n{bad}\n"));
        assert!(config(&scratch).unwrap_err().contains("line 2"), "{bad}");
    }
    for (bad, said) in [
        ("Port http", "Port"),
        ("HostName %r", "%r"),
        ("ProxyJump a:b", "ProxyJump"),
        ("ProxyJump @a", "ProxyJump"),
        ("IdentityAgent ${NONE}", "NONE"),
    ] {
        let scratch = Scratch::new(bad);
        let refused = scratch
            .config()
            .resolve(&Jump::to("a"), &scratch.surroundings)
            .unwrap_err();
        assert!(refused.contains(said), "{bad}: {refused}");
    }
    let scratch = Scratch::new("IdentityFile ${KEYS}/%C\nIdentityFile ${KEYS}/%u\n");
    let a = scratch.of("a");
    assert_eq!(a.identity_files, [PathBuf::from("/keys/me")]);
    assert!(a.unhonoured[0].needed);
}

/// `ssh -G` prints what ssh(1) makes of a configuration.
#[test]
fn ssh_agrees() {
    let without_exec = CONFIG.replace("exec \"touch /should/never/exist\"", "host nowhere");
    let scratch = Scratch::new(&without_exec);
    for alias in ["web", "db1", "dbold", "elsewhere"] {
        let output = Command::new("ssh")
            .arg("-G")
            .arg("-F")
            .arg(scratch.home(".ssh/config"))
            .arg(alias)
            .output();
        let Ok(output) = output else {
            eprintln!("skipped: ssh is not installed");
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = |keyword: &str| -> String {
            text.lines()
                .find_map(|line| line.strip_prefix(keyword)?.strip_prefix(' '))
                .unwrap_or_default()
                .to_owned()
        };
        let ours = scratch.of(alias);
        assert_eq!(said("hostname"), ours.host, "{alias}");
        assert_eq!(said("port"), ours.port.to_string(), "{alias}");
        assert_eq!(said("user"), ours.user, "{alias}");
    }
}
