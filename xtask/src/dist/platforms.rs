//! The platforms there are packages for, as data.
//!
//! `cargo xtask dist` builds the package of the platform it runs on. The others are
//! built by the same command on such a machine; nothing is cross-compiled, because
//! the keychain and libgit2 need the platform's own libraries. Invariant: a
//! platform without a package says why.

/// One platform.
#[derive(Debug)]
pub(super) struct Platform {
    /// Rust's name for it.
    pub(super) target: &'static str,
    /// `process.platform` of Node.js, and `os` of a package.
    pub(super) os: &'static str,
    /// `process.arch` of Node.js, and `cpu` of a package.
    pub(super) cpu: &'static str,
    /// The C library a package needs, where there is a choice.
    pub(super) libc: Option<&'static str>,
    /// What is known of it.
    pub(super) state: State,
}

/// What is known of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Built, installed and run by the tests.
    Tested,
    /// Nothing in the source stands against it, and nobody has tried.
    Untried,
    /// The helper rests on Unix: process groups, `/dev/tty`, file modes.
    NeedsPort,
}

/// Every platform OpenCode itself runs on.
pub(super) const PLATFORMS: [Platform; 5] = [
    Platform {
        target: "x86_64-unknown-linux-gnu",
        os: "linux",
        cpu: "x64",
        libc: Some("glibc"),
        state: State::Tested,
    },
    Platform {
        target: "aarch64-unknown-linux-gnu",
        os: "linux",
        cpu: "arm64",
        libc: Some("glibc"),
        state: State::Untried,
    },
    Platform {
        target: "aarch64-apple-darwin",
        os: "darwin",
        cpu: "arm64",
        libc: None,
        state: State::Untried,
    },
    Platform {
        target: "x86_64-apple-darwin",
        os: "darwin",
        cpu: "x64",
        libc: None,
        state: State::Untried,
    },
    Platform {
        target: "x86_64-pc-windows-msvc",
        os: "win32",
        cpu: "x64",
        libc: None,
        state: State::NeedsPort,
    },
];

impl Platform {
    /// The one with this Rust name.
    pub(super) fn of(target: &str) -> Option<&'static Self> {
        PLATFORMS.iter().find(|platform| platform.target == target)
    }

    /// The npm package with its helper.
    pub(super) fn package(&self) -> String {
        format!("@openshell/{}-{}", self.os, self.cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the adapter asks npm for is what can be built.
    #[test]
    fn the_adapter_depends_on_every_package_there_can_be() {
        let manifest = include_str!("../../../plugin/opencode/package.json");
        let manifest: serde_json::Value =
            serde_json::from_str(manifest).expect("the manifest is JSON");
        let wanted: std::collections::BTreeMap<_, _> = PLATFORMS
            .iter()
            .filter(|platform| platform.state != State::NeedsPort)
            .map(|platform| (platform.package(), env!("CARGO_PKG_VERSION").to_owned()))
            .collect();
        assert_eq!(manifest["optionalDependencies"], serde_json::json!(wanted));
    }
}
