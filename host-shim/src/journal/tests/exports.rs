//! Taking records out: filters, following, exports and their check.
//!
//! They prove that filters leave out exactly what does not match and that an export
//! shows every later change of it. The command line is not involved.

use jiff::Timestamp;

use super::super::{Durability, EventKind, Filter, Journal, Options};
use super::{Scratch, attempt, intent, note, outcome, unknown_outcome, whole};

async fn written(scratch: &Scratch, rounds: usize) -> Journal {
    let options = Options {
        segment_bytes: 3_000,
        ..Options::default()
    };
    let journal = Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    for at in 0..rounds {
        let action = format!("A{at}");
        let end = match at % 3 {
            0 => unknown_outcome(&action),
            _ => outcome(&action),
        };
        for event in [intent(&action, None), attempt(&action), end] {
            journal.append(event, Durability::Synced).await.unwrap();
        }
    }
    journal
}

fn seqs(scratch: &Scratch, filter: Filter) -> Vec<u64> {
    Journal::read(&scratch.dir(), filter)
        .unwrap()
        .map(|record| record.unwrap().entry.seq)
        .collect()
}

#[tokio::test]
async fn the_latest_are_found_from_the_end_and_times_and_outcomes_choose() {
    let scratch = Scratch::new();
    drop(written(&scratch, 12).await);
    let all = seqs(&scratch, Filter::default());
    assert_eq!(all, (1..=whole(&scratch.dir())).collect::<Vec<_>>());
    for latest in [0, 1, 7, 20, 1_000] {
        let filter = Filter {
            latest: Some(latest),
            ..Filter::default()
        };
        let from = all.len().saturating_sub(latest);
        assert_eq!(seqs(&scratch, filter), all[from..], "{latest}");
    }
    let ended = |word: &str| {
        let filter = Filter {
            outcome: Some(word.to_owned()),
            latest: Some(3),
            ..Filter::default()
        };
        seqs(&scratch, filter).len()
    };
    assert_eq!((ended("unknown"), ended("OK"), ended("error")), (3, 3, 0));
    let between = |since: &str, until: &str| {
        let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let filter = Filter {
            since: time(since),
            until: time(until),
            ..Filter::default()
        };
        seqs(&scratch, filter).len()
    };
    let (past, future) = ("2000-01-01T00:00:00Z", "2200-01-01T00:00:00Z");
    assert_eq!(between(past, future), all.len());
    assert_eq!(between(past, past), 0);
    assert_eq!(between(future, future), 0);
    let from = Filter {
        from_seq: 20,
        ..Filter::default()
    };
    assert_eq!(seqs(&scratch, from), all[19..]);
}

#[tokio::test]
async fn a_tail_sees_every_record_once_across_segments() {
    let scratch = Scratch::new();
    let journal = written(&scratch, 6).await;
    for start in [0, 3, journal.mark()] {
        let mut tail = Journal::tail(&scratch.dir(), start, Filter::default()).unwrap();
        let mut seen = Vec::new();
        for round in 0..40 {
            if round % 4 > 0 {
                journal
                    .append(note("x"), Durability::Buffered)
                    .await
                    .unwrap();
            }
            let records = tail.next_records().unwrap();
            seen.extend(records.into_iter().map(|record| record.entry.seq));
        }
        assert_eq!(seen, (start + 1..=journal.mark()).collect::<Vec<_>>());
    }
    let filter = Filter {
        event: Some(EventKind::Outcome),
        ..Filter::default()
    };
    let mut tail = Journal::tail(&scratch.dir(), 0, filter).unwrap();
    assert_eq!(tail.next_records().unwrap().len(), 6);
    assert_eq!(tail.next_records().unwrap().len(), 0);
}

#[tokio::test]
async fn a_tail_waits_for_lines_and_reports_what_is_no_record() {
    use std::io::Write as _;
    let scratch = Scratch::new();
    scratch.filled(2).await;
    let mut tail = Journal::tail(&scratch.dir(), 0, Filter::default()).unwrap();
    assert_eq!(tail.next_records().unwrap().len(), 2);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(scratch.current())
        .unwrap();
    file.write_all(b"{\"half").unwrap();
    assert_eq!(tail.next_records().unwrap().len(), 0);
    // The next writer accounts for the torn bytes; the tail reads on.
    scratch.filled(1).await;
    assert_eq!(tail.next_records().unwrap().len(), 2);
    let text = std::fs::read_to_string(scratch.current()).unwrap();
    std::fs::write(scratch.current(), format!("{text}rubbish\n")).unwrap();
    assert_eq!(tail.next_records().unwrap().len(), 0, "not known yet");
    let last = text.lines().last().unwrap();
    let seq = format!("\"seq\":{}", whole_until(&text));
    let next = format!("\"seq\":{}", whole_until(&text) + 1);
    let (body, _) = last
        .replacen(&seq, &next, 1)
        .rsplit_once(",\"hash\"")
        .map(|(body, rest)| (format!("{body}}}"), rest.to_owned()))
        .expect("a line ends with its hash");
    let (line, _) = super::super::line::seal(&body);
    std::fs::write(scratch.current(), format!("{text}rubbish\n{line}")).unwrap();
    assert!(tail.next_records().is_err(), "nothing accounts for it");
}

fn whole_until(text: &str) -> usize {
    text.lines()
        .filter(|line| super::super::line::check(line.as_bytes()).is_ok())
        .count()
}

#[tokio::test]
async fn an_export_says_what_it_proves_and_shows_every_change() {
    let scratch = Scratch::new();
    drop(written(&scratch, 5).await);
    let file = scratch.root.path().join("export");
    let export = |filter: Filter| {
        let mut out = Vec::new();
        let extent = Journal::export(&scratch.dir(), filter, &mut out).unwrap();
        std::fs::write(&file, &out).unwrap();
        assert_eq!(
            Journal::check_export(&file).unwrap().extent.as_ref(),
            Some(&extent)
        );
        (extent, String::from_utf8(out).unwrap())
    };
    let end = Journal::verify(&scratch.dir()).unwrap();
    let (whole, text) = export(Filter::default());
    assert!(whole.contiguous);
    assert_eq!((whole.records, whole.first_seq), (end.records, 1));
    assert_eq!(whole.last_hash, end.last_hash);
    let (tail, _) = export(Filter {
        from_seq: 4,
        ..Filter::default()
    });
    assert!(tail.contiguous);
    assert_eq!((tail.first_seq, tail.last_seq), (4, end.last_seq));
    let (some, _) = export(Filter {
        event: Some(EventKind::Outcome),
        ..Filter::default()
    });
    assert!(!some.contiguous);
    assert_eq!(some.records, 5);
    let (none, _) = export(Filter {
        tool: Some("none".to_owned()),
        ..Filter::default()
    });
    assert_eq!((none.records, none.first_seq), (0, 0));

    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let without = |index: usize| {
        let mut left = lines.clone();
        left.remove(index);
        left.concat()
    };
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let mut changes = vec![
        String::new(),
        without(0),
        without(4),
        without(lines.len() - 1),
        swapped.concat(),
        lines[..3].concat(),
        format!("{text}{}", lines[3]),
        text.trim_end().to_owned(),
        text.replacen("uptime", "upTime", 1),
    ];
    for at in (0..text.len()).step_by(97) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        changes.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for changed in changes {
        std::fs::write(&file, &changed).unwrap();
        let checked = Journal::check_export(&file).unwrap();
        assert!(checked.broken.is_some(), "{changed}");
    }
}
