use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over which time rates, averages and largest values are taken: `metrics.num.samples` spans of `metrics.sample.window.ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleWindow {
    /// Spans, at least one.
    pub samples: usize,
    /// Length of each.
    pub width: Duration,
}

impl Default for SampleWindow {
    /// Kafka's: 2 of 30 s.
    fn default() -> Self {
        SampleWindow { samples: 2, width: Duration::from_secs(30) }
    }
}

/// A value at the end of each of the last spans, the oldest first.
#[derive(Debug)]
pub(super) struct Samples<T> {
    window: SampleWindow,
    kept: VecDeque<(Instant, T)>,
}

impl<T: Clone> Samples<T> {
    pub(super) fn new(window: SampleWindow, now: Instant, first: T) -> Samples<T> {
        Samples { window, kept: VecDeque::from([(now, first)]) }
    }

    /// Ends a span.
    pub(super) fn push(&mut self, now: Instant, value: T) {
        self.kept.push_back((now, value));
        while self.kept.len() > self.window.samples.max(1) {
            self.kept.pop_front();
        }
    }

    /// What the value was when the window began, and the time since.
    pub(super) fn oldest(&self, now: Instant) -> Option<(&T, Duration)> {
        self.kept.front().map(|(at, value)| (value, now.saturating_duration_since(*at)))
    }

    /// The values at the ends of the spans that the window holds beside the current one.
    pub(super) fn spans(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().rev().take(self.window.samples.saturating_sub(1)).map(|(_, value)| value)
    }

    /// By what a difference is divided for a rate: Kafka's `Rate` takes all spans but the current one as over, so that what
    /// has just begun has no peaks.
    pub(super) fn rate_span(&self, passed: Duration) -> Duration {
        let full = u32::try_from(self.window.samples.saturating_sub(1)).unwrap_or(u32::MAX);
        passed.max(self.window.width.saturating_mul(full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_on_in_whole_spans() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut samples = Samples::new(SampleWindow::default(), start, 0);
        let check = |samples: &Samples<i32>, now, value, passed| {
            assert_eq!(samples.oldest(at(now)), Some((&value, Duration::from_secs(passed))), "after {now} s");
        };
        check(&samples, 5, 0, 5);
        samples.push(at(30), 3);
        check(&samples, 45, 0, 45);
        samples.push(at(60), 6);
        check(&samples, 60, 3, 30);
        check(&samples, 89, 3, 59);
        assert_eq!(samples.spans().copied().collect::<Vec<_>>(), [6]);
        assert_eq!(samples.rate_span(Duration::from_secs(5)), Duration::from_secs(30));
        assert_eq!(samples.rate_span(Duration::from_secs(50)), Duration::from_secs(50));
    }
}
