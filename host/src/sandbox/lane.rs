//! Turns on the processor: the instances of one plugin share a lane, so that a thousand of them that compute without end hold up
//! the others no longer than a few do.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Longest wait for a turn. Whoever has been given one may not be able to take it, as its caller has other things to do.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// As many turns as there are processors: only so many instances of a plugin are before a thread or on it at a time, the others wait
/// behind them in the order in which they came. An instance that waits for something else has no turn.
#[derive(Debug, Clone)]
pub(super) struct Lane(Arc<Semaphore>);

type Turn = Option<OwnedSemaphorePermit>;

impl Lane {
    pub(super) fn new() -> Lane {
        Lane::of(available_parallelism().map_or(1, |processors| processors.get()))
    }

    fn of(turns: usize) -> Lane {
        Lane(Arc::new(Semaphore::new(turns)))
    }

    async fn wait(self) -> Turn {
        timeout(MAX_WAIT, self.0.acquire_owned()).await.ok().and_then(Result::ok)
    }

    /// The same future, which takes a turn each time that it is polled.
    pub(super) async fn keep<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut waiting: Option<Pin<Box<dyn Future<Output = Turn> + Send>>> = None;
        poll_fn(|context| {
            let free = waiting.is_none().then(|| Arc::clone(&self.0).try_acquire_owned().ok()).flatten();
            let turn = match free {
                Some(turn) => Some(turn),
                None => ready!(waiting.get_or_insert_with(|| Box::pin(self.clone().wait())).as_mut().poll(context)),
            };
            waiting = None;
            let polled = future.as_mut().poll(context);
            drop(turn);
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn a_crowd_in_one_lane_holds_up_others_no_more_than_one_does() {
        let (lane, turns) = (Lane::of(1), Arc::new(AtomicUsize::new(0)));
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let (lane, turns) = (lane.clone(), turns.clone());
            crowd.spawn(async move {
                lane.keep(async {
                    loop {
                        turns.fetch_add(1, Ordering::Relaxed);
                        yield_now().await;
                    }
                })
                .await
            });
        }
        yield_now().await;
        let before = turns.load(Ordering::Relaxed);
        for _ in 0..1000 {
            yield_now().await;
        }
        let taken = turns.load(Ordering::Relaxed) - before;
        assert!((500..3000).contains(&taken), "{taken} turns besides 1000 of another");
    }

    #[tokio::test]
    async fn who_waits_for_something_else_has_no_turn() {
        let lane = Lane::of(1);
        let waits = lane.keep(std::future::pending::<()>());
        tokio::select! {
            biased;
            () = waits => {}
            done = lane.keep(async { 7 }) => assert_eq!(done, 7),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_takes_holds_up_nobody_for_ever() {
        let lane = Lane::of(1);
        let _kept = lane.0.acquire().await;
        assert_eq!(lane.keep(async { 7 }).await, 7);
    }
}
