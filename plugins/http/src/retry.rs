//! When a request is tried again.

use std::time::{Duration, SystemTime};

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
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
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
    fn services_say_how_long_to_wait() {
        fn check(value: &str, expect: Option<Duration>) {
            let response = Response { status: 429, headers: vec![("retry-after".into(), value.into())], body: vec![] };
            let wait = retry_after(&response).map(|wait| Duration::from_secs(wait.as_secs_f64().round() as u64));
            assert_eq!(wait, expect, "{value}");
        }
        check("7", Some(Duration::from_secs(7)));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO));
        check("soon", None);
        check("-1", None);
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(86_400));
        let response = Response { status: 503, headers: vec![("retry-after".into(), later)], body: vec![] };
        assert!(retry_after(&response).is_some_and(|wait| wait > Duration::from_secs(86_000)));
    }
}
