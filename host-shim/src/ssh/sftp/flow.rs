//! How much of a file is under way at once.
//!
//! A transfer is as fast as the bytes under way fill the path: bandwidth times
//! round trip. Neither is known before, so the number of requests grows as long
//! as answers come about as quickly as the quickest did, which says that nothing
//! queues on the way, and shrinks when they wait behind each other (the rule of
//! TCP Vegas, on requests instead of segments).
//!
//! Invariant: what is under way never exceeds [`MOST`] bytes, however long the
//! round trip, and a request is never longer than the server takes. It
//! deliberately has no clock and sends nothing.

use std::time::Duration;

use super::session::SftpLimits;

/// Bytes per request where the server does not say what it takes: what every
/// server is known to answer in one packet.
const COMMON_CHUNK: u64 = 32 << 10;

/// Longest request, in bytes: OpenSSH's limit of 256 KiB a packet with room for
/// the header (`limits@openssh.com` says the same there).
const LONGEST_CHUNK: u64 = 255 << 10;

/// Bytes under way at most: at 80 ms round trip this carries 100 MB/s, and it is
/// what the channel's own window allows.
pub(super) const MOST: u64 = 8 << 20;

/// Requests under way at most, for servers that take short ones only.
const MOST_REQUESTS: usize = 256;

/// Bytes that may wait at the server for it to have work while answers travel.
const QUEUED_LEAST: u64 = 1 << 20;
const QUEUED_MOST: u64 = 4 << 20;

/// Which way a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// The window of one transfer.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    chunk: u64,
    depth: usize,
    quickest: Option<Duration>,
}

impl Flow {
    /// A window for a server that takes this much, with `depth` requests to begin
    /// with.
    pub(super) fn new(limits: Option<SftpLimits>, direction: Direction, depth: usize) -> Self {
        let said = limits.map(|limits| match direction {
            Direction::Read => limits.read,
            Direction::Write => limits.write,
        });
        let chunk = match said {
            // Zero stands for no limit, which is not a length to count on.
            None | Some(0) => COMMON_CHUNK,
            Some(limit) => limit.min(LONGEST_CHUNK),
        };
        let mut flow = Self {
            chunk,
            depth: 1,
            quickest: None,
        };
        flow.depth = depth.clamp(1, flow.most());
        flow
    }

    /// Bytes per request.
    pub(super) fn chunk(&self) -> u64 {
        self.chunk
    }

    /// Requests that may be under way.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// An answer came this long after its request, while the window was full or
    /// not.
    pub(super) fn answered(&mut self, after: Duration, full: bool) {
        let quickest = self.quickest.map_or(after, |quickest| quickest.min(after));
        self.quickest = Some(quickest);
        if !full {
            return;
        }
        let after = after.as_nanos().max(1);
        // Of the requests under way, those that waited for others.
        let waited = (self.depth as u128) * (after - quickest.as_nanos().min(after)) / after;
        let queued = waited.saturating_mul(u128::from(self.chunk));
        if queued < u128::from(QUEUED_LEAST) {
            self.depth = (self.depth + 1).min(self.most());
        } else if queued > u128::from(QUEUED_MOST) {
            self.depth = (self.depth - 1).max(2);
        }
    }

    /// The server answers with no more than this at once, though it was asked for
    /// more.
    pub(super) fn answers_at_most(&mut self, bytes: u64) {
        let before = self.chunk;
        self.chunk = self.chunk.min(bytes.max(1));
        // As many bytes under way as before.
        let depth = (self.depth as u64).saturating_mul(before) / self.chunk;
        self.depth = usize::try_from(depth)
            .unwrap_or(usize::MAX)
            .clamp(1, self.most());
    }

    fn most(&self) -> usize {
        usize::try_from(MOST / self.chunk)
            .unwrap_or(MOST_REQUESTS)
            .clamp(2, MOST_REQUESTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(read: u64) -> SftpLimits {
        SftpLimits {
            packet: 1 << 18,
            read,
            write: read,
            handles: 0,
        }
    }

    #[test]
    fn requests_are_no_longer_than_the_server_takes() {
        let table = [
            (None, COMMON_CHUNK),
            (Some(0), COMMON_CHUNK),
            (Some(1), 1),
            (Some(4096), 4096),
            (Some(261_120), LONGEST_CHUNK),
            (Some(u64::MAX), LONGEST_CHUNK),
        ];
        for (said, chunk) in table {
            for direction in [Direction::Read, Direction::Write] {
                let mut flow = Flow::new(said.map(limits), direction, 1000);
                assert_eq!(flow.chunk(), chunk, "{said:?}");
                for _ in 0..1000 {
                    flow.answered(Duration::from_millis(80), true);
                }
                assert!(flow.depth() as u64 * chunk <= MOST.max(2 * chunk));
                assert!(flow.depth() <= MOST_REQUESTS);
            }
        }
    }

    /// A path that carries `rate` bytes a second after `trip`: how deep the window
    /// is in the end.
    fn settled(rate: f64, trip: f64) -> usize {
        let mut flow = Flow::new(Some(limits(LONGEST_CHUNK)), Direction::Read, 2);
        for _ in 0..400 {
            // Requests wait for each other once the path is full.
            let under_way = flow.depth() as f64 * flow.chunk() as f64;
            let after = trip.max(under_way / rate);
            flow.answered(Duration::from_secs_f64(after), true);
        }
        flow.depth()
    }

    #[test]
    fn the_window_grows_with_the_round_trip_and_stops_when_requests_queue() {
        let near = settled(3e8, 0.0005);
        let far = settled(3e7, 0.02);
        let farther = settled(3e7, 0.08);
        let slow = settled(1e6, 0.02);
        assert!(near < far && far < farther, "{near} {far} {farther}");
        assert!(slow < far, "{slow} {far}");
        let filled = farther as f64 * LONGEST_CHUNK as f64;
        assert!(filled >= 3e7 * 0.08, "the path is full: {filled}");
    }

    #[test]
    fn short_answers_make_requests_shorter_and_not_fewer_bytes() {
        let mut flow = Flow::new(Some(limits(LONGEST_CHUNK)), Direction::Read, 8);
        flow.answers_at_most(LONGEST_CHUNK / 8);
        assert_eq!((flow.chunk(), flow.depth()), (LONGEST_CHUNK / 8, 64));
        flow.answers_at_most(0);
        assert_eq!((flow.chunk(), flow.depth()), (1, MOST_REQUESTS));
    }
}
