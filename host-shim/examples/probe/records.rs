//! Events on disk: through the journal, and as bare lines with the same sharing
//! of an fsync.
//!
//! Invariant: both ways write lines of the same length and share an fsync among as
//! many callers. Nothing reads the files afterwards.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use openshell_host::journal::{
    Context, Durability, Event, Intent, Journal, JournalError, Redactor,
};
use serde_json::json;

use crate::Fallible;

/// Callers at once, each of which waits for its event to be on disk.
const CALLERS: usize = 64;

fn event(number: u64) -> Event {
    Event::Intent(Intent {
        context: Context {
            action: format!("01JD{number:022}"),
            session: Some("ses_4f1c9a7d2ffe6Zq0bT8m".to_owned()),
            door: "bridge".to_owned(),
            tool: "remote_exec".to_owned(),
            server: Some("prod-a".to_owned()),
            scope: None,
            fanout: None,
        },
        arguments: json!({"server": "prod-a", "command": "journalctl -u nginx -n 200"}),
        verdict: None,
        component: Some("9f".repeat(32)),
        key: None,
        payload: Some("3c".repeat(32)),
    })
}

/// Events a second through a new journal, each of them durable.
pub(crate) async fn journal(dir: &Path, span: Duration) -> Fallible<String> {
    let journal = Journal::open(&dir.join("audit"), Redactor::open(dir)?)?;
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (journal, next) = (journal.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut written = 0u64;
                while begun.elapsed() < span {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    journal.append(event(number), Durability::Synced).await?;
                    written += 1;
                }
                Ok::<u64, JournalError>(written)
            })
        })
        .collect();
    let mut written = 0;
    for caller in callers {
        written += caller.await??;
    }
    Ok(rate(written, begun))
}

/// Lines a second: one thread writes what has gathered and syncs it, the others
/// wait for that.
pub(crate) fn raw(dir: &Path, span: Duration) -> Fallible<String> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("raw"))?;
    let gathered: Arc<Mutex<Vec<mpsc::Sender<()>>>> = Arc::default();
    let (wake, woken) = mpsc::channel::<()>();
    // As long as a record of the journal.
    let line = [b'x'; 700];
    let begun = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (gathered, wake) = (Arc::clone(&gathered), wake.clone());
            std::thread::spawn(move || {
                let mut written = 0u64;
                while begun.elapsed() < span {
                    let (done, is_done) = mpsc::channel();
                    gathered
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(done);
                    if wake.send(()).is_err() || is_done.recv().is_err() {
                        break;
                    }
                    written += 1;
                }
                written
            })
        })
        .collect();
    drop(wake);
    while woken.recv().is_ok() {
        while woken.try_recv().is_ok() {}
        let batch = std::mem::take(&mut *gathered.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.is_empty() {
            continue;
        }
        file.write_all(&line.repeat(batch.len()))?;
        file.sync_data()?;
        for done in batch {
            // Nobody but its caller can have gone.
            let _ = done.send(());
        }
    }
    let written = callers
        .into_iter()
        .map(|caller| caller.join().unwrap_or_default())
        .sum();
    Ok(rate(written, begun))
}

fn rate(written: u64, begun: Instant) -> String {
    format!("{:.1}", written as f64 / begun.elapsed().as_secs_f64())
}
