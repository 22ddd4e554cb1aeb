//! What root's `/bin/sh` runs: constant texts to look, to put in place, to remove,
//! and to clear what an interrupted one of them left.
//!
//! Invariant: everything that varies arrives as a positional parameter and is
//! never part of the text. Each script speaks in lines that begin with [`MARK`];
//! without it, sudo did not let the script begin. A change is made from inside the
//! target's directory after that was found to be the one that was agreed to, so
//! nobody who owns a directory further up can lead it elsewhere.
//!
//! They deliberately use what GNU and busybox have in common: `stat -c`,
//! `readlink -f`, `sha256sum`, `mktemp`.

/// First line of every answer.
pub(super) const MARK: &str = "openshell-as-root";

/// Says where a path leads and what is there. Parameters: path, largest size.
///
/// Answer: a word; for `absent` and `file` the resolved path on the next line; for
/// `file` then mode, owner, group, size and time, the names of owner and group on
/// a line each, and the content.
pub(super) const LOOK: &str = r#"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
echo openshell-as-root
path=$1
most=$2
say() { echo "$1"; exit 0; }
if [ -L "$path" ] || [ -e "$path" ]; then
  at=$(readlink -f "$path") || say unresolved
else
  dir=${path%/*}
  dir=${dir:-/}
  [ -d "$dir" ] || say no-directory
  dir=$(readlink -f "$dir") || say unresolved
  at=${dir%/}/${path##*/}
fi
case $at in
  *"
"*) say unresolved ;;
  /*) ;;
  *) say unresolved ;;
esac
if [ ! -e "$at" ] && [ ! -L "$at" ]; then
  echo absent
  printf '%s\n' "$at"
  exit 0
fi
[ -f "$at" ] || say not-a-file
facts=$(stat -c '%a %u %g %s %Y' "$at") || say no-tools
owner=$(stat -c '%U' "$at") || say no-tools
group=$(stat -c '%G' "$at") || say no-tools
size=${facts% *}
size=${size##* }
[ "$size" -le "$most" ] || say "too-large $size"
echo file
printf '%s\n%s\n%s\n%s\n' "$at" "$facts" "$owner" "$group"
exec cat "$at"
"#;

/// Puts staged content in a file's place. Parameters: staged file, target, mode,
/// owner, group, SHA-256 of what is there or `absent`, SHA-256 of the content, what
/// the name of the new file begins with until it is complete, and mode, owner and
/// group of what is there or nothing. The rest of that
/// name is mktemp(1)'s: parameters can be seen in the list of processes, and whoever
/// owns the directory could put something in its place.
///
/// Answer: `done`, `conflict WHAT` or `failed STEP`; only after `done` anything is
/// other than before.
pub(super) const INSTALL: &str = r#"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
echo openshell-as-root
staged=$1 target=$2 mode=$3 owner=$4 group=$5 base=$6 new=$7 temporary=$8 access=$9
temp=
say() { [ -z "$temp" ] || rm -f "$temp"; echo "$1"; exit 0; }
trap 'say "failed signal"' HUP INT TERM
sum() { digest=$(sha256sum <"$1") || return 1; digest=${digest%% *}; }
check() {
  if [ "$base" = absent ]; then
    if [ -e "$name" ] || [ -L "$name" ]; then say "conflict exists"; fi
  else
    [ ! -L "$name" ] || say "conflict link"
    [ -f "$name" ] || say "conflict gone"
    sum "$name" || say "failed sha256sum"
    [ "$digest" = "$base" ] || say "conflict changed"
    [ -z "$access" ] || [ "$(stat -c '%a %u %g' "$name")" = "$access" ] || say "conflict access"
  fi
}
dir=${target%/*}
dir=${dir:-/}
name=./${target##*/}
cd -P "$dir" || say "conflict directory"
[ "$(pwd -P)" = "$dir" ] || say "conflict directory"
check
temp=$(mktemp "./$temporary-XXXXXX") || { temp=; say "failed mktemp"; }
cat "$staged" >"$temp" || say "failed write"
sum "$temp" || say "failed sha256sum"
[ "$digest" = "$new" ] || say "failed staging"
chown "$owner:$group" "$temp" || say "failed chown"
chmod "$mode" "$temp" || say "failed chmod"
sync "$temp" 2>/dev/null || sync
check
if [ "$base" = absent ]; then
  ln "$temp" "$name" || say "failed link"
  rm -f "$temp"
else
  mv -f "$temp" "$name" || say "failed rename"
fi
temp=
sync . 2>/dev/null
echo done
"#;

/// Removes what an interrupted [`INSTALL`] left beside a target. Parameters: target,
/// what the name of the new file begins with. Answer: `removed`, `absent` or
/// `failed STEP`.
pub(super) const CLEAR: &str = r#"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
echo openshell-as-root
target=$1 temporary=$2
say() { echo "$1"; exit 0; }
dir=${target%/*}
dir=${dir:-/}
cd -P "$dir" 2>/dev/null || say absent
[ "$(pwd -P)" = "$dir" ] || say absent
found=absent
for left in "./$temporary"-??????; do
  if [ -f "$left" ] && [ ! -L "$left" ]; then
    rm -f "$left" || say "failed rm"
    found=removed
  fi
done
echo "$found"
"#;

/// Removes a file. Parameters: target, SHA-256 of what is there, its mode, owner and
/// group or nothing. Answers as [`INSTALL`].
pub(super) const REMOVE: &str = r#"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
echo openshell-as-root
target=$1 base=$2 access=$3
say() { echo "$1"; exit 0; }
dir=${target%/*}
dir=${dir:-/}
name=./${target##*/}
cd -P "$dir" || say "conflict directory"
[ "$(pwd -P)" = "$dir" ] || say "conflict directory"
[ ! -L "$name" ] || say "conflict link"
[ -f "$name" ] || say "conflict gone"
digest=$(sha256sum <"$name") || say "failed sha256sum"
[ "${digest%% *}" = "$base" ] || say "conflict changed"
[ -z "$access" ] || [ "$(stat -c '%a %u %g' "$name")" = "$access" ] || say "conflict access"
rm -f "$name" || say "failed rm"
sync . 2>/dev/null
echo done
"#;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;
    use std::process::Command;

    use sha2::{Digest, Sha256};

    use super::{CLEAR, INSTALL, LOOK, MARK, REMOVE};

    const TEMPORARY: &str = ".openshell-0123456789abcdef.tmp";

    /// The shells and tools a server may have; busybox brings its own of each.
    fn shells() -> Vec<Vec<&'static str>> {
        let all = [
            vec!["/bin/dash"],
            vec!["/bin/bash", "--posix"],
            vec!["/bin/busybox", "sh"],
        ];
        let there = |shell: &Vec<&str>| Path::new(shell[0]).exists();
        all.into_iter().filter(there).collect()
    }

    fn run(shell: &[&str], script: &str, parameters: &[&str]) -> String {
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", script, "openshell"])
            .args(parameters)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rest = text.strip_prefix(MARK).unwrap().trim_start_matches('\n');
        rest.to_owned()
    }

    fn sha256(content: &str) -> String {
        let digest = Sha256::digest(content.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("etc")).unwrap();
            fs::write(dir.path().join("staged"), "new\n").unwrap();
            Self { dir }
        }

        fn at(&self, name: &str) -> String {
            let root = self.dir.path().canonicalize().unwrap();
            root.join(name).display().to_string()
        }

        fn ids(&self) -> (String, String) {
            let meta = fs::metadata(self.dir.path()).unwrap();
            (meta.uid().to_string(), meta.gid().to_string())
        }

        fn install(&self, shell: &[&str], target: &str, base: &str, new: &str) -> String {
            self.install_over(shell, target, base, new, "")
        }

        fn install_over(
            &self,
            shell: &[&str],
            target: &str,
            base: &str,
            new: &str,
            access: &str,
        ) -> String {
            let (uid, gid) = self.ids();
            let staged = self.at("staged");
            run(
                shell,
                INSTALL,
                &[
                    &staged, target, "640", &uid, &gid, base, new, TEMPORARY, access,
                ],
            )
        }

        /// Names below `etc`, to see that nothing was left.
        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.at("etc")).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_look_says_where_a_path_leads_and_what_is_there() {
        for shell in shells() {
            let place = Place::new();
            let file = place.at("etc/a b'$(id)");
            fs::write(&file, "one\n\ntwo").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            symlink(&file, place.at("link")).unwrap();
            for path in [file.clone(), place.at("link")] {
                let said = run(&shell, LOOK, &[&path, "100"]);
                let lines: Vec<&str> = said.splitn(6, '\n').collect();
                assert_eq!((lines[0], lines[1]), ("file", file.as_str()), "{shell:?}");
                assert!(lines[2].starts_with("640 "), "{shell:?}: {said}");
                assert_eq!(lines[5], "one\n\ntwo", "{shell:?}");
            }
            assert_eq!(run(&shell, LOOK, &[&file, "3"]), "too-large 8\n");
            let absent = place.at("etc/none");
            assert_eq!(
                run(&shell, LOOK, &[&absent, "9"]),
                format!("absent\n{absent}\n"),
                "{shell:?}"
            );
            assert_eq!(run(&shell, LOOK, &[&place.at("etc"), "9"]), "not-a-file\n");
            assert_eq!(
                run(&shell, LOOK, &[&place.at("no/file"), "9"]),
                "no-directory\n"
            );
        }
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        for shell in shells() {
            let place = Place::new();
            let target = place.at("etc/conf");
            let (old, new) = (sha256("old\n"), sha256("new\n"));
            // A new file.
            assert_eq!(place.install(&shell, &target, "absent", &new), "done\n");
            assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
            assert_eq!(
                place.install(&shell, &target, "absent", &new),
                "conflict exists\n"
            );
            // An old one.
            fs::write(&target, "old\n").unwrap();
            assert_eq!(place.install(&shell, &target, &old, &new), "done\n");
            assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
            let mode = fs::metadata(&target).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o640, "{shell:?}");
            assert_eq!(
                place.install(&shell, &target, &old, &new),
                "conflict changed\n"
            );
            // Staged content that is not what was agreed to.
            assert_eq!(
                place.install(&shell, &target, &new, &old),
                "failed staging\n"
            );
            assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
            assert_eq!(place.names(), ["conf"], "{shell:?}");
            // Somebody closed it meanwhile.
            let (uid, gid) = place.ids();
            let (found, other) = (format!("640 {uid} {gid}"), format!("644 {uid} {gid}"));
            assert_eq!(
                place.install_over(&shell, &target, &new, &new, &other),
                "conflict access\n"
            );
            assert_eq!(
                place.install_over(&shell, &target, &new, &new, &found),
                "done\n"
            );
            // Removed only while it is what it was.
            assert_eq!(
                run(&shell, REMOVE, &[&target, &old, ""]),
                "conflict changed\n"
            );
            assert_eq!(
                run(&shell, REMOVE, &[&target, &new, &other]),
                "conflict access\n"
            );
            assert_eq!(run(&shell, REMOVE, &[&target, &new, &found]), "done\n");
            assert!(place.names().is_empty());
        }
    }

    /// What is on record goes, and nothing else, whatever it is called.
    #[test]
    fn only_what_was_left_is_cleared() {
        for shell in shells() {
            let place = Place::new();
            let target = place.at("etc/conf");
            assert_eq!(run(&shell, CLEAR, &[&target, TEMPORARY]), "absent\n");
            let others = [
                "conf".to_owned(),
                TEMPORARY.to_owned(),
                format!("{TEMPORARY}-toolong"),
                ".openshell-fedcba9876543210.tmp-abcdef".to_owned(),
            ];
            for name in &others {
                fs::write(place.at(&format!("etc/{name}")), "theirs").unwrap();
            }
            symlink(&target, place.at(&format!("etc/{TEMPORARY}-linked"))).unwrap();
            let all = place.names();
            for name in ["a1B2c3", "zzzzzz"] {
                fs::write(place.at(&format!("etc/{TEMPORARY}-{name}")), "ours").unwrap();
            }
            assert_eq!(run(&shell, CLEAR, &[&target, TEMPORARY]), "removed\n");
            assert_eq!(place.names(), all, "{shell:?}");
            let gone = place.at("gone/conf");
            assert_eq!(run(&shell, CLEAR, &[&gone, TEMPORARY]), "absent\n");
        }
    }

    /// The directory or the file is a link by now.
    #[test]
    fn links_lead_nowhere() {
        for shell in shells() {
            let place = Place::new();
            let (old, new) = (sha256("old\n"), sha256("new\n"));
            fs::write(place.at("etc/real"), "old\n").unwrap();
            symlink(place.at("etc"), place.at("alias")).unwrap();
            symlink(place.at("etc/real"), place.at("etc/link")).unwrap();
            for (target, said) in [
                ("alias/real", "conflict directory\n"),
                ("etc/link", "conflict link\n"),
                ("gone/real", "conflict directory\n"),
                ("etc/gone", "conflict gone\n"),
            ] {
                let target = place.at(target);
                assert_eq!(
                    place.install(&shell, &target, &old, &new),
                    said,
                    "{shell:?}"
                );
                assert_eq!(run(&shell, REMOVE, &[&target, &old, ""]), said, "{shell:?}");
            }
            assert_eq!(fs::read_to_string(place.at("etc/real")).unwrap(), "old\n");
            assert_eq!(place.names(), ["link", "real"], "{shell:?}");
        }
    }
}
