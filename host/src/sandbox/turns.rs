//! Turns at computing: however many plugins compute for long, one thread of the worker is left for what does not.
//!
//! A guest gives way every [`TICK`], but a crowd of them that never ends would still be ahead in the queue of a neighbour whenever
//! it wakes. So an instance that has computed more than it is forgiven waits for a turn. There are as many as processors, and the
//! runtime has a thread more ([`worker_threads`]): who computes little takes no turn, waits for none, and finds a thread. Turns go
//! by plugin first, so that a thousand instances of one get no more of the processors than a few do.

use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::engine::TICK;

/// What an instance may compute before it waits for turns, and with each turn that it gets.
const TURN: Duration = TICK;
/// Of the time in which it neither computes nor waits for a turn, this part is forgiven.
const FORGIVEN_PART: u32 = 4;
/// The most that an instance can owe: the price of a long call is paid within a few turns.
const MOST_OWED: Duration = Duration::from_millis(50);
/// Longest wait for a turn. Who has been given one may not be able to take it, as its caller has other things to do.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The turns of an engine.
#[derive(Debug)]
pub(super) struct Turns(Arc<Semaphore>);

/// The turns of one plugin.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

type Turn = [OwnedSemaphorePermit; 2];

impl Turns {
    pub(super) fn new() -> Turns {
        Turns::of(processors())
    }

    fn of(turns: usize) -> Turns {
        Turns(Arc::new(Semaphore::new(turns)))
    }

    pub(super) fn lane(&self) -> Lane {
        Lane { own: Arc::new(Semaphore::new(processors())), all: self.0.clone() }
    }
}

impl Lane {
    async fn turn(self) -> Option<Turn> {
        let both = async { Some([self.own.acquire_owned().await.ok()?, self.all.acquire_owned().await.ok()?]) };
        timeout(MAX_WAIT, both).await.ok().flatten()
    }
}

/// Threads that the worker's runtime needs: one for each turn, and one that is left.
pub fn worker_threads() -> usize {
    processors() + 1
}

fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// What an instance has computed of late.
pub(super) struct Pace {
    lane: Lane,
    waiting: Option<Pin<Box<dyn Future<Output = Option<Turn>> + Send>>>,
    owed: Duration,
    /// When it last computed.
    at: Instant,
    gave_way: Arc<AtomicBool>,
}

impl Pace {
    pub(super) fn new(lane: &Lane) -> Pace {
        Pace { lane: lane.clone(), waiting: None, owed: Duration::ZERO, at: Instant::now(), gave_way: Arc::default() }
    }

    /// To be set when it gives way: what follows is no time that it leaves to others of its own will.
    pub(super) fn gave_way(&self) -> Arc<AtomicBool> {
        self.gave_way.clone()
    }

    /// Computes for one poll, once it is its turn; answers what came of it and how long it took.
    pub(super) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        compute: impl FnOnce(&mut Context<'_>) -> T,
    ) -> Poll<(T, Duration)> {
        if self.waiting.is_none() && !self.gave_way.swap(false, Ordering::Relaxed) {
            self.owed = self.owed.saturating_sub(self.at.elapsed() / FORGIVEN_PART);
        }
        let mut turn = None;
        if self.owed > TURN {
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(self.lane.clone().turn()));
            turn = ready!(waiting.as_mut().poll(context));
            self.waiting = None;
            self.owed -= TURN;
        }
        let start = Instant::now();
        let answer = compute(context);
        self.at = Instant::now();
        drop(turn);
        let took = self.at - start;
        self.owed = (self.owed + took).min(MOST_OWED);
        Poll::Ready((answer, took))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Whether it computes when it is polled, for longer than a turn if it `is_long`.
    fn computes(pace: &mut Pace, is_long: bool) -> bool {
        let gave_way = pace.gave_way();
        let polled = pace.poll(&mut Context::from_waker(Waker::noop()), |_| {
            let start = Instant::now();
            while is_long && start.elapsed() <= TURN {}
            gave_way.store(is_long, Ordering::Relaxed);
        });
        polled.is_ready()
    }

    #[tokio::test]
    async fn who_computes_for_long_waits_for_a_turn_and_others_do_not() {
        let turns = Turns::of(1);
        let (mut long, mut short) = (Pace::new(&turns.lane()), Pace::new(&turns.lane()));
        assert!(computes(&mut long, true) && computes(&mut long, true), "a turn is free");
        let taken = turns.0.clone().acquire_owned().await.unwrap();
        assert!(!computes(&mut long, true) && !computes(&mut long, true));
        assert!((0..100).all(|_| computes(&mut short, false)));
        drop(taken);
        assert!(computes(&mut long, true));
        assert_eq!(turns.0.available_permits(), 1, "a turn ends with the poll");
    }

    #[tokio::test]
    async fn of_one_plugin_no_more_instances_wait_before_those_of_others_than_there_are_processors() {
        let turns = Turns::of(1);
        let (crowd, other) = (turns.lane(), turns.lane());
        let taken = turns.0.clone().acquire_owned().await.unwrap();
        let mut crowd: Vec<_> = (0..processors() + 10).map(|_| Pace::new(&crowd)).collect();
        assert!(crowd.iter_mut().all(|one| computes(one, true)));
        let mut other = Pace::new(&other);
        assert!(computes(&mut other, true));
        assert!(!crowd.iter_mut().any(|one| computes(one, true)));
        assert!(!computes(&mut other, true));
        drop(taken);
        assert!(!computes(&mut other, true), "some came before");
        let computed: Vec<_> = crowd.iter_mut().map(|one| computes(one, true)).collect();
        assert_eq!(computed.iter().filter(|computed| **computed).count(), processors());
        assert!(computes(&mut other, true), "the rest of them come behind it");
    }
}
