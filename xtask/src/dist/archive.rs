//! Archives and check sums that are the same whoever makes them, and when.
//!
//! Invariant: entries stand in the order of their names, belong to nobody, carry
//! one time, and are executable or not; nothing else of the machine is in there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// Packs a directory as `root/…` into a `.tar.gz`. `time` is in seconds since 1970.
pub(super) fn pack(dir: &Path, root: &str, to: &Path, time: u64) -> Result<(), String> {
    let at = |error: io::Error| format!("{}: {error}", to.display());
    let file = File::create(to).map_err(at)?;
    // Neither its name nor its time goes into the file.
    let mut gzip = Command::new("gzip")
        .args(["-6", "--no-name", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .map_err(|error| format!("gzip cannot be run: {error}"))?;
    let pipe = gzip.stdin.take().ok_or("gzip takes no input")?;
    let mut archive = tar::Builder::new(io::BufWriter::new(pipe));
    let mut names = Vec::new();
    list(dir, "", &mut names).map_err(at)?;
    names.sort();
    for name in names {
        let path = dir.join(&name);
        let content = fs::read(&path).map_err(at)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if executable(&path) { 0o755 } else { 0o644 });
        header.set_mtime(time);
        archive
            .append_data(&mut header, format!("{root}/{name}"), content.as_slice())
            .map_err(at)?;
    }
    let mut pipe = archive.into_inner().map_err(at)?;
    pipe.flush().map_err(at)?;
    drop(pipe);
    let ended = gzip.wait().map_err(at)?;
    if ended.success() {
        Ok(())
    } else {
        Err(format!("gzip ended with {ended}"))
    }
}

/// The names of all files below a directory.
fn list(dir: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "exe")
}

/// Writes `SHA256SUMS` for every file of a directory, as sha256sum(1) reads it.
pub(super) fn sums(dir: &Path, names: &[String]) -> Result<(), String> {
    let mut text = String::new();
    for name in names {
        let content = fs::read(dir.join(name)).map_err(|error| format!("{name}: {error}"))?;
        for byte in Sha256::digest(&content) {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push_str(&format!("  {name}\n"));
    }
    let path = dir.join("SHA256SUMS");
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two layouts of the same files, made in another order at another time.
    #[test]
    fn the_same_files_are_the_same_bytes() {
        let scratch =
            std::env::temp_dir().join(format!("openshell-archive-{}", std::process::id()));
        let mut packed = Vec::new();
        for (round, order) in [["b/2", "a"], ["a", "b/2"]].iter().enumerate() {
            let dir = scratch.join(round.to_string());
            fs::create_dir_all(dir.join("b")).expect("a new directory");
            for name in order {
                fs::write(dir.join(name), name).expect("a new file");
            }
            let other = std::time::UNIX_EPOCH + std::time::Duration::from_secs(round as u64);
            let file = File::options().write(true).open(dir.join("a"));
            file.and_then(|file| file.set_modified(other))
                .expect("the file is new");
            let to = scratch.join(format!("{round}.tar.gz"));
            pack(&dir, "root", &to, 1_000_000_000).expect("gzip is there");
            packed.push(fs::read(to).expect("it was made"));
        }
        let removed = fs::remove_dir_all(&scratch);
        assert!(removed.is_ok() && packed[0] == packed[1]);
    }
}
