//! Logging in with a security key through an agent: a real sshd checks what an agent
//! of the test signs the way a FIDO token does.
//!
//! Invariant: the agent's answers follow OpenSSH's PROTOCOL.u2f and the agent draft,
//! so that what is let in would be with a token. It deliberately has no token: the
//! touch is a bit that the agent sets, or does not.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openshell_host::ssh::{Auth, Pool, PoolConfig, SshError};
use openshell_tests::{Sshd, ssh_keygen};
use russh::keys::signature::Signer;
use russh::keys::{PrivateKey, load_secret_key};
use sha2::{Digest, Sha256};

use crate::ssh_support::{argv, connect, run, start, target, text};

const KIND: &str = "sk-ssh-ed25519@openssh.com";
const APPLICATION: &str = "ssh:";
/// Somebody touched the token (PROTOCOL.u2f, SSH U2F signatures).
const TOUCHED: u8 = 0x01;

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short text");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// The first string of a message, and the rest.
fn take(message: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = message.split_first_chunk::<4>().expect("a length");
    rest.split_at(u32::from_be_bytes(*length) as usize)
}

/// A key whose private half an agent keeps as if in a token.
struct SecurityKey {
    inside: PrivateKey,
    blob: Vec<u8>,
}

impl SecurityKey {
    fn new(server: &Sshd, name: &str) -> Self {
        let path = server.dir().join(name);
        ssh_keygen(&path, "ed25519", "");
        let inside = load_secret_key(&path, None).expect("just made");
        let point = inside
            .public_key()
            .key_data()
            .ed25519()
            .expect("of that type")
            .0;
        let parts = [KIND.as_bytes(), &point, APPLICATION.as_bytes()];
        let blob = parts.map(string).concat();
        Self { inside, blob }
    }

    /// The line of `authorized_keys`.
    fn public(&self) -> String {
        format!("{KIND} {} token\n", STANDARD.encode(&self.blob))
    }

    /// The signature blob of a message.
    fn sign(&self, message: &[u8], flags: u8) -> Vec<u8> {
        let counter = 7_u32.to_be_bytes();
        let signed = [
            &Sha256::digest(APPLICATION)[..],
            &[flags],
            &counter,
            &Sha256::digest(message)[..],
        ]
        .concat();
        let signature = self.inside.try_sign(&signed).expect("an ed25519 key signs");
        let kind_and_signature = [KIND.as_bytes(), signature.as_bytes()].map(string).concat();
        [&kind_and_signature[..], &[flags], &counter].concat()
    }
}

/// Serves an agent with one key on a socket in `dir`; its thread ends with the test's
/// process.
fn agent(dir: &Path, key: SecurityKey, flags: u8) -> PathBuf {
    let socket = dir.join("token-agent");
    let listener = UnixListener::bind(&socket).expect("own directory");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that goes away in the middle is no fault here.
            let _ = serve(client, &key, flags);
        }
    });
    socket
}

fn serve(mut client: UnixStream, key: &SecurityKey, flags: u8) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut request)?;
        let answer = match request.split_first() {
            // SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENT_IDENTITIES_ANSWER
            Some((11, _)) => {
                let one = 1_u32.to_be_bytes();
                [&[12][..], &one, &string(&key.blob), &string(b"token")].concat()
            }
            // SSH_AGENTC_SIGN_REQUEST, SSH_AGENT_SIGN_RESPONSE
            Some((13, rest)) => {
                let (blob, rest) = take(rest);
                assert_eq!(blob, key.blob, "only what was offered is asked for");
                let (message, _) = take(rest);
                [&[14][..], &string(&key.sign(message, flags))].concat()
            }
            // SSH_AGENT_FAILURE
            _ => vec![5],
        };
        client.write_all(&string(&answer))?;
    }
}

#[tokio::test]
async fn a_touched_security_key_logs_in() {
    let server = start();
    let key = SecurityKey::new(&server, "token");
    server.authorize(&key.public());
    let mut target = target(&server);
    target.auth = Auth::Agent {
        socket: Some(agent(server.dir(), key, TOUCHED)),
    };
    let connection = connect(&target).await;
    let said = run(&connection, argv(&["echo", "in"])).await;
    assert_eq!(text(&said), "in\n");
}

/// sshd wants the touch, and what is not let in is said as that.
#[tokio::test]
async fn without_a_touch_nobody_gets_in() {
    let server = start();
    let key = SecurityKey::new(&server, "token");
    server.authorize(&key.public());
    let mut target = target(&server);
    target.auth = Auth::Agent {
        socket: Some(agent(server.dir(), key, 0)),
    };
    let refused = Pool::new(PoolConfig::default()).connection(&target).await;
    let error = refused.expect_err("nobody touched it");
    assert!(matches!(error, SshError::AuthFailed { .. }), "{error:?}");
}
