//! Who we are on the server.
//!
//! Invariant: what is found out here only predicts how a file can be written;
//! the write itself fails if the prediction was wrong. It deliberately knows
//! numbers only, because names need not be the same on both sides.

use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::error::SshError;
use super::exec::{End, ExecRequest, Program};

/// Who we are on the server, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Every group, the effective one included.
    pub groups: Vec<u32>,
}

impl Connection {
    /// Who we are on the server, by `id(1)`; asked once. A server that runs no
    /// commands is asked who owns the login directory instead.
    ///
    /// # Errors
    /// When `id` prints something else than POSIX says, or nothing answers.
    pub async fn account(&self) -> Result<Account, SshError> {
        self.account
            .get_or_try_init(|| async {
                match self.account_by_id().await {
                    Err(SshError::NoPosixShell { .. }) => self.account_by_home().await,
                    other => other,
                }
            })
            .await
            .cloned()
    }

    async fn account_by_id(&self) -> Result<Account, SshError> {
        // One command for everything: some servers end the connection with it.
        let request = ExecRequest {
            program: Program::Argv(vec!["id".to_owned()]),
            cwd: None,
            timeout: self.target().connect_timeout,
            head_limit: 64 << 10,
            tail_limit: 0,
            mark: None,
        };
        let outcome = self.exec(request, CancellationToken::new()).await?;
        if outcome.end != End::Exit(0) {
            return Err(SshError::Protocol(format!(
                "id(1) ended with {:?}",
                outcome.end
            )));
        }
        let printed = String::from_utf8_lossy(&outcome.stdout.head);
        parse(&printed).ok_or_else(|| {
            let shown: String = printed.chars().take(200).collect();
            SshError::Protocol(format!("id(1) printed {shown:?}"))
        })
    }

    /// The owner of the login directory. Root owns many a directory that others
    /// log in to, such as a `ChrootDirectory`, so it proves nothing there: then
    /// nobody is assumed, who may replace no file of anybody.
    async fn account_by_home(&self) -> Result<Account, SshError> {
        const NOBODY_KNOWN: u32 = u32::MAX;
        let home = self.home().await?;
        let attrs = self.sftp().await?.stat(&home).await?;
        let (uid, gid) = match attrs.uid {
            0 => (NOBODY_KNOWN, NOBODY_KNOWN),
            uid => (uid, attrs.gid),
        };
        Ok(Account {
            uid,
            gid,
            groups: vec![gid],
        })
    }
}

/// Reads `uid=0(root) gid=0(root) groups=0(root),1(bin)`, which POSIX prescribes
/// with `euid=` and `egid=` after them where they differ.
fn parse(printed: &str) -> Option<Account> {
    let line = printed.lines().next()?;
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit());
        text[..end.unwrap_or(text.len())].parse::<u32>().ok()
    };
    let field = |name: &str| {
        let at = line.find(&format!(" {name}="))? + name.len() + 2;
        Some(&line[at..])
    };
    let uid = field("euid").or_else(|| line.strip_prefix("uid="));
    let gid = field("egid").or_else(|| field("gid"));
    let (uid, gid) = (number(uid?)?, number(gid?)?);
    let mut groups = vec![gid];
    // A comma in a group's name leaves a piece without a number.
    for group in field("groups").unwrap_or_default().split(',') {
        if let Some(group) = number(group)
            && !groups.contains(&group)
        {
            groups.push(group);
        }
    }
    Some(Account { uid, gid, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_id_prints() {
        type Numbers<'a> = Option<(u32, u32, &'a [u32])>;
        let table: [(&str, Numbers); 9] = [
            (
                "uid=0(root) gid=0(root) groups=0(root)\n",
                Some((0, 0, &[0])),
            ),
            (
                "uid=7(a b) gid=8(domain users) groups=8(domain users),9(x,y),10\n",
                Some((7, 8, &[8, 9, 10])),
            ),
            ("uid=7(a) gid=8(b)", Some((7, 8, &[8]))),
            (
                "uid=7(a) gid=8(b) euid=0(root) egid=5(c) groups=8(b)",
                Some((0, 5, &[5, 8])),
            ),
            (
                "uid=7 gid=8 groups=8,9 context=u:r:t:s0",
                Some((7, 8, &[8, 9])),
            ),
            ("", None),
            ("uid=(a) gid=8(b)", None),
            ("uid=7(a)", None),
            ("no such command", None),
        ];
        for (printed, expected) in table {
            let expected = expected.map(|(uid, gid, groups)| Account {
                uid,
                gid,
                groups: groups.to_vec(),
            });
            assert_eq!(parse(printed), expected, "{printed:?}");
        }
    }
}
