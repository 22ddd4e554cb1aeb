//! Several servers in one question: who they are, and their ids written shortly.
//!
//! Invariant: no server is left out and none is hidden behind another. Ids are
//! folded as ClusterShell folds node sets (`web-[1-3,7]`), which is exact, because
//! no id can hold a bracket or a comma. Which servers may share a question is not
//! decided here.

use std::collections::{BTreeMap, BTreeSet};

use super::escape_line;

/// Longest run of digits that is taken for a number; all of them fit into 64 bits.
const DIGITS_MAX: usize = 18;

/// One server of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Logical server id.
    pub server: String,
    /// Host name or address the id stands for.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Labels of the server.
    pub labels: Vec<String>,
    /// Where the entry comes from: `global` or `workspace`.
    pub scope: &'static str,
}

impl Place {
    /// What can be said of several servers together: their ids, folded, the labels of
    /// any, and `workspace` if one is of the workspace. Host, port and user say nothing.
    #[must_use]
    pub fn of_all(places: &[Self]) -> Self {
        let labels: BTreeSet<&String> = places.iter().flat_map(|place| &place.labels).collect();
        let foreign = places.iter().find(|place| place.scope != "global");
        Self {
            server: fold(places.iter().map(|place| place.server.as_str())),
            host: String::new(),
            port: 0,
            user: String::new(),
            labels: labels.into_iter().cloned().collect(),
            scope: foreign.map_or("global", |place| place.scope),
        }
    }

    /// What the id stands for, as a login is written: `user@host:port`.
    pub(super) fn address(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.port)
    }

    /// The server in a line of a question.
    pub(super) fn line(&self) -> String {
        let mut line = format!("  {} ({})", self.server, self.address());
        if self.scope != "global" {
            line.push_str(&format!("  from the {}", self.scope));
        }
        if !self.labels.is_empty() {
            line.push_str(&format!("  {}", self.labels.join(" ")));
        }
        escape_line(&line)
    }
}

/// Writes ids that differ in a number as one: `web-[1-3,7],db`. Numbers are put
/// together only where they have as many digits, so that every id can be read off.
#[must_use]
pub fn fold<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let mut plain = Vec::new();
    let mut numbered: BTreeMap<(&str, usize, &str), Vec<u64>> = BTreeMap::new();
    for id in ids {
        match numbered_parts(id) {
            Some((before, digits, after)) => match digits.parse() {
                Ok(number) => numbered
                    .entry((before, digits.len(), after))
                    .or_default()
                    .push(number),
                Err(_) => plain.push(id.to_owned()),
            },
            None => plain.push(id.to_owned()),
        }
    }
    let folded = numbered
        .into_iter()
        .map(|((before, width, after), mut numbers)| {
            numbers.sort_unstable();
            match numbers[..] {
                [only] => format!("{before}{only:0width$}{after}"),
                _ => format!("{before}[{}]{after}", ranges(&numbers, width)),
            }
        });
    plain.extend(folded);
    plain.sort();
    plain.join(",")
}

/// An id around its last number.
fn numbered_parts(id: &str) -> Option<(&str, &str, &str)> {
    let end = id.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = id[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |last| last + 1);
    let digits = &id[start..end];
    (digits.len() <= DIGITS_MAX).then_some((&id[..start], digits, &id[end..]))
}

fn ranges(sorted: &[u64], width: usize) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                format!("{first:0width$}")
            } else {
                format!("{first:0width$}-{last:0width$}")
            }
        })
        .collect();
    runs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_folded_and_none_is_lost() {
        let table: [(&[&str], &str); 8] = [
            (&["a"], "a"),
            (&["web-1"], "web-1"),
            (&["web-1", "web-2", "web-3", "web-7"], "web-[1-3,7]"),
            (&["db", "web-2", "web-1"], "db,web-[1-2]"),
            (&["web-9", "web-10", "web-11"], "web-9,web-[10-11]"),
            (&["n01", "n02", "n1"], "n1,n[01-02]"),
            (&["r1-n1-x", "r1-n2-x", "r2-n1-x"], "r1-n[1-2]-x,r2-n1-x"),
            (&["1", "2", "a.b_c"], "[1-2],a.b_c"),
        ];
        for (ids, folded) in table {
            assert_eq!(fold(ids.iter().copied()), folded);
        }
    }

    /// Reads a folded list back, for the test alone.
    fn unfold(folded: &str) -> Vec<String> {
        let mut ids = Vec::new();
        let mut rest = folded;
        while !rest.is_empty() {
            let mut depth = 0;
            let end = rest
                .find(|c: char| {
                    depth += i32::from(c == '[') - i32::from(c == ']');
                    c == ',' && depth == 0
                })
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after.strip_prefix(',').unwrap_or(after);
            match word.split_once('[') {
                None => ids.push(word.to_owned()),
                Some((before, tail)) => {
                    let (inside, after) = tail.split_once(']').expect("it is closed");
                    for run in inside.split(',') {
                        let (first, last) = run.split_once('-').unwrap_or((run, run));
                        let width = first.len();
                        let number = |text: &str| text.parse::<u64>().expect("a number");
                        for number in number(first)..=number(last) {
                            ids.push(format!("{before}{number:0width$}{after}"));
                        }
                    }
                }
            }
        }
        ids.sort();
        ids
    }

    proptest::proptest! {
        #[test]
        fn what_is_folded_can_be_read_off(
            ids in proptest::collection::btree_set("[a-c0-9]{1,4}[-.]?[0-9]{0,2}", 0..12)
        ) {
            let mut sorted: Vec<String> = ids.iter().cloned().collect();
            sorted.sort();
            let folded = fold(ids.iter().map(String::as_str));
            proptest::prop_assert_eq!(unfold(&folded), sorted);
        }
    }
}
