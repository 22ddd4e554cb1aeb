//! The register as a whole, on real files: what goes in comes out, and what was
//! tampered with comes out as a refusal.
//!
//! Invariant of the fixture: every key and credential in it is made for the test.
//! It asserts nothing itself.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

mod changes;
mod tamper;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use super::{
    Added, AuthMaterial, KeyEnv, MasterKey, NewServer, Paths, Registry, RegistryError, ServerId,
    create_key_file,
};

/// A change to the register by somebody who can write the file.
type Edit = fn(&mut serde_json::Value);

/// A scratch installation with a key file.
struct Scratch {
    dir: TempDir,
    paths: Paths,
    key: MasterKey,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        let key = file_key(&paths, &dir.path().join("key"));
        Self { dir, paths, key }
    }

    fn registry(&self) -> Registry {
        Registry::open(&self.paths).unwrap()
    }

    fn add(&self, server: NewServer) -> Result<Added, RegistryError> {
        Registry::open(&self.paths)?.add(server, &self.key, false)
    }

    /// Three servers, one of each kind, the last behind the first.
    fn filled() -> Self {
        let scratch = Self::new();
        let secret = |text: &str| SecretString::from(text);
        let mut web = server("web", AuthMaterial::Password(secret("hunter2 \u{fc}")));
        web.labels = vec!["prod".into(), "tier:web".into()];
        let db = server(
            "db",
            AuthMaterial::IdentityFile {
                path: "/home/me/.ssh/id_ed25519".into(),
                passphrase: Some(secret("opens it")),
            },
        );
        let mut cache = server(
            "cache",
            AuthMaterial::Agent {
                socket: Some("/run/agent".into()),
            },
        );
        cache.jump = Some(id("web"));
        cache.port = 2222;
        for server in [web, db, cache] {
            assert_eq!(scratch.add(server).unwrap(), Added::Created);
        }
        scratch
    }

    fn edit(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let file = self.paths.registry_file();
        let mut value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut value);
        fs::write(&file, serde_json::to_vec(&value).unwrap()).unwrap();
    }
}

fn file_key(paths: &Paths, file: &Path) -> MasterKey {
    create_key_file(file).unwrap();
    let env = KeyEnv {
        key_file: Some(file.to_owned()),
        ..KeyEnv::default()
    };
    MasterKey::resolve(paths, &env).unwrap()
}

fn id(text: &str) -> ServerId {
    ServerId::new(text).unwrap()
}

fn server(name: &str, auth: AuthMaterial) -> NewServer {
    NewServer::new(id(name), format!("{name}.example"), "deploy", auth)
}

fn agent(name: &str) -> NewServer {
    server(name, AuthMaterial::Agent { socket: None })
}

/// A credential as text, to compare what came out.
fn reveal(material: &AuthMaterial) -> String {
    match material {
        AuthMaterial::Password(password) => format!("password {}", password.expose_secret()),
        AuthMaterial::IdentityFile { path, passphrase } => format!(
            "identity {} {:?}",
            path.display(),
            passphrase.as_ref().map(ExposeSecret::expose_secret)
        ),
        AuthMaterial::Agent { socket } => format!("agent {socket:?}"),
    }
}

/// Every plain field and every credential of a register, or the first refusal.
fn everything(registry: &Registry, key: &MasterKey) -> Result<Vec<String>, RegistryError> {
    registry
        .list()
        .iter()
        .map(|view| {
            Ok(format!(
                "{view:?} {}",
                reveal(&registry.unlock(&view.id, key)?)
            ))
        })
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

impl Scratch {
    fn another_key(&self) -> MasterKey {
        let elsewhere = Paths::new(self.dir.path().join("other"), self.dir.path().join("other"));
        file_key(&elsewhere, &self.dir.path().join("other-key"))
    }
}
