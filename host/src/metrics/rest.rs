use std::time::Duration;

use dashmap::DashMap;

use super::exposition::Histogram;

/// Bounds of the buckets of answer times, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Kinds of requests that are told apart; those beyond count as one.
const MAX_KINDS: usize = 500;

/// Which requests are counted together: method, path with its variables as they stand in the route, and status.
type Kind = (&'static str, String, u16);

/// What is counted of the requests to the REST API.
#[derive(Debug, Default)]
pub struct RestCounters {
    kinds: DashMap<Kind, Times>,
}

#[derive(Debug, Default)]
struct Times {
    count: u64,
    sum: Duration,
    buckets: [u64; BOUNDS.len() + 1],
}

/// Requests of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct RestReading {
    /// `GET` and the like; `other` for what the API does not have.
    pub method: &'static str,
    /// The route.
    pub path: String,
    /// Of the answer.
    pub status: u16,
    pub(super) times: Histogram,
}

impl RestCounters {
    /// Notes a request that was answered. `path` is the route, not what the client sent.
    pub fn note(&self, method: &str, path: &str, status: u16, time: Duration) {
        let method = match method {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let mut kind = (method, path.to_owned(), status);
        if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(&kind) {
            kind = ("other", "other".to_owned(), 0);
        }
        let mut times = self.kinds.entry(kind).or_default();
        times.count += 1;
        times.sum += time;
        let place = BOUNDS.iter().position(|bound| time.as_secs_f64() <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = times.buckets.get_mut(place) {
            *bucket += 1;
        }
    }

    /// All kinds of requests that came, in a fixed order.
    pub fn read(&self) -> Vec<RestReading> {
        let mut all: Vec<RestReading> = self
            .kinds
            .iter()
            .map(|entry| {
                let ((method, path, status), times) = (entry.key(), entry.value());
                let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
                let buckets = bounds.zip(times.buckets).collect();
                let times = Histogram { sum: times.sum.as_secs_f64(), count: times.count, buckets };
                RestReading { method, path: path.clone(), status: *status, times }
            })
            .collect();
        all.sort_by(|a, b| (&a.path, a.method, a.status).cmp(&(&b.path, b.method, b.status)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind() {
        let counters = RestCounters::default();
        counters.note("GET", "/", 200, Duration::from_millis(3));
        counters.note("GET", "/", 200, Duration::from_secs(100));
        counters.note("BREW", "/", 405, Duration::ZERO);
        let read = counters.read();
        assert_eq!(
            read.iter().map(|kind| (kind.method, kind.status, kind.times.count)).collect::<Vec<_>>(),
            [("GET", 200, 2), ("other", 405, 1)]
        );
        let counts: Vec<u64> = read[0].times.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [0, 1, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn kinds_are_bounded() {
        let counters = RestCounters::default();
        for status in 0..2 * MAX_KINDS as u16 {
            counters.note("GET", "/", status, Duration::ZERO);
        }
        assert_eq!(counters.read().len(), MAX_KINDS + 1);
    }
}
