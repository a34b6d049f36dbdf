//! When a request is tried again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hawser_plugin::http::Response;

/// How long to wait between tries: doubled each time, up to a limit; or as long as the other side asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Backoff {
    /// The wait before the try after `tries` of them. A quarter of it differs from request to request by `seed`, so that many
    /// that failed together do not come together again.
    pub fn wait(&self, tries: u32, asked: Option<Duration>, seed: u64) -> Duration {
        if let Some(asked) = asked {
            return asked.min(self.most);
        }
        let whole = self.first.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(self.most);
        let share = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        whole - whole / 4 * u32::try_from(share).unwrap_or(0) / 256
    }
}

/// What the header Retry-After asks for: seconds, or a date.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Some(Duration::from_secs(http_date(text)?.saturating_sub(now)))
}

/// Seconds since the epoch of a date in the format that HTTP sends, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days from a year that begins in March, in which the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)? * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
        for (tries, whole) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (99, 1000)] {
            for seed in 0..100 {
                let wait = backoff.wait(tries, None, seed).as_millis();
                assert!(wait <= whole && wait >= whole * 3 / 4, "{tries}: {wait}");
            }
        }
        assert_eq!(backoff.wait(1, Some(Duration::from_millis(700)), 1).as_millis(), 700);
        assert_eq!(backoff.wait(1, Some(Duration::from_secs(99)), 1).as_secs(), 1);
    }

    #[test]
    fn dates_are_read() {
        for (text, expect) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2028 12:00:00 GMT", Some(1_835_438_400)),
            ("soon", None),
            ("Sun, 06 Nob 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(http_date(text), expect, "{text}");
        }
    }
}
