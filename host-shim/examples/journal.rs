//! Measures what a long journal costs: its verification, and the start of a
//! process beside one with an empty journal.
//!
//! `cargo xtask bench journal [EVENTS]`; a million events by default, made up
//! here and written through the journal itself.
//!
//! Invariant: both kinds of start are measured in turn on the same disk. It holds
//! no goal and fails on none; it prints.

use std::path::Path;
use std::time::Instant;

use openshell_host::journal::{
    Answer, Approval, Attempt, Conclusion, Context, Decided, Durability, Event, Intent, Journal,
    JournalError, Operation, Outcome, Redactor,
};
use serde_json::json;

/// Starts measured per journal, in turn.
const STARTS: usize = 25;

/// Calls in progress at once while the events are written.
const CALLERS: usize = 256;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let events: u64 = match std::env::args().nth(1) {
        Some(text) => text.replace('_', "").parse()?,
        None => 1_000_000,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let scratch = tempfile::Builder::new()
        .prefix("openshell-bench-")
        .tempdir()?;
    let (long, empty) = (scratch.path().join("long"), scratch.path().join("empty"));
    let redactor = Redactor::open(scratch.path())?;

    let begun = Instant::now();
    runtime.block_on(write(&long, &redactor, events))?;
    let seconds = begun.elapsed().as_secs_f64();
    let bytes: u64 = std::fs::read_dir(&long)?
        .filter_map(|item| item.ok()?.metadata().ok())
        .map(|meta| meta.len())
        .sum();
    println!(
        "{events} events, {} MB, written in {seconds:.1} s ({:.0} a second)",
        bytes / 1_000_000,
        events as f64 / seconds
    );

    for _ in 0..3 {
        let (begun, used) = (Instant::now(), processor());
        let verified = Journal::verify(&long)?;
        if verified.broken.is_some() || verified.records < events {
            return Err(format!("the journal is not whole: {verified:?}").into());
        }
        println!(
            "audit verify                     {:8.2} s   {:.2} s of processor, {} records, {} segments",
            begun.elapsed().as_secs_f64(),
            processor() - used,
            verified.records,
            verified.segments
        );
    }

    drop(Journal::open(&empty, redactor.clone())?);
    let mut times = [Vec::new(), Vec::new()];
    let mut used = [0.0, 0.0];
    for round in 0..STARTS {
        for ((times, used), dir) in times.iter_mut().zip(&mut used).zip([&empty, &long]) {
            let before = processor();
            times.push(runtime.block_on(start(dir, &redactor, round))?);
            *used += (processor() - before) * 1e3 / STARTS as f64;
        }
    }
    let [empty, long] = times.map(median);
    println!(
        "start and first call, empty      {empty:8.2} ms  {:.1} ms of processor",
        used[0]
    );
    println!(
        "start and first call, {events:9}  {long:8.2} ms  {:.1} ms of processor",
        used[1]
    );
    println!("  difference                     {:8.2} ms", long - empty);
    Ok(())
}

/// Time from nothing to the intent of a first call on record, in ms.
async fn start(dir: &Path, redactor: &Redactor, round: usize) -> Result<f64, JournalError> {
    let begun = Instant::now();
    let journal = Journal::open(dir, redactor.clone())?;
    let key = format!("start-{round}");
    journal.find_key(&key).await?;
    journal.unknown().await?;
    let action = format!("S{round}");
    journal
        .append(intent(&action, Some(key)), Durability::Buffered)
        .await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    journal
        .append(outcome(&action, 1), Durability::Buffered)
        .await?;
    Ok(took)
}

/// Processor time this process has used, in s; 0 where the system does not say.
/// On a busy machine it says more than the clock on the wall.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // proc(5): utime and stime, in ticks of 10 ms.
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes calls until there are so many events: two in three only look around,
/// every third asks and changes something.
async fn write(dir: &Path, redactor: &Redactor, events: u64) -> Fallible<()> {
    let journal = Journal::open(dir, redactor.clone())?;
    let next = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (journal, next) = (journal.clone(), std::sync::Arc::clone(&next));
            tokio::spawn(async move {
                while journal.mark() < events {
                    let call = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    for event in call_events(call) {
                        journal.append(event, Durability::Buffered).await?;
                    }
                }
                Ok::<(), JournalError>(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(())
}

fn context(action: &str) -> Context {
    Context {
        action: action.to_owned(),
        session: Some("ses_4f1c9a7d2ffe6Zq0bT8m".to_owned()),
        door: "bridge".to_owned(),
        tool: "remote_exec".to_owned(),
        server: Some("prod-a".to_owned()),
        scope: None,
        fanout: None,
    }
}

fn intent(action: &str, key: Option<String>) -> Event {
    Event::Intent(Intent {
        context: context(action),
        arguments: json!({
            "server": "prod-a",
            "command": "journalctl -u nginx --since -1h --no-pager -n 200",
        }),
        verdict: None,
        component: Some("9f".repeat(32)),
        key,
        payload: Some("3c".repeat(32)),
    })
}

fn outcome(action: &str, call: u64) -> Event {
    Event::Outcome(Outcome {
        context: context(action),
        outcome: Conclusion {
            status: "ok".to_owned(),
            exit_code: Some(0),
            stdout_bytes: Some(call % 9_000),
            stderr_bytes: Some(0),
            duration_ms: Some(call % 400),
            ..Conclusion::default()
        },
        operation: None,
    })
}

fn call_events(call: u64) -> Vec<Event> {
    let action = format!("01JD{call:022}");
    let asks = call.is_multiple_of(3);
    let verdict = Decided {
        decision: if asks {
            "approval-required"
        } else {
            "auto-allow"
        }
        .to_owned(),
        rule: "grammar.journalctl".to_owned(),
        reason: "every word is known to read only".to_owned(),
    };
    let operation = Operation {
        kind: "exec".to_owned(),
        digest: "a7".repeat(32),
        read_only: !asks,
        host_key: Some("SHA256:qYr0vWQ3Jm0m5b7h0y1Zt2s3u4v5w6x7y8z9A0B1C2D".to_owned()),
        ..Operation::default()
    };
    let key = format!("ses_4f1c9a7d2ffe6Zq0bT8m/msg_{call:016x}/call_{call:024x}");
    let mut events = vec![intent(&action, Some(key))];
    if asks {
        events.push(Event::Approval(Approval {
            context: context(&action),
            verdict: Some(verdict.clone()),
            approval: Answer {
                answer: "granted".to_owned(),
                by: "person".to_owned(),
                rule: None,
                digest: operation.digest.clone(),
                question: None,
            },
            operation: Some(operation.clone()),
        }));
    }
    events.push(Event::Attempt(Attempt {
        context: context(&action),
        verdict: Some(verdict),
        operation,
    }));
    events.push(outcome(&action, call));
    events
}
