//! The search for a record on which a plugin crashes: when to go on, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use super::error::TaskError;

/// Fresh instances that one search may start. To halve a batch of 500 records down to one takes ten.
const MAX_STARTS: u32 = 32;
/// How long one search may go on. Each try may take as long as the deadline of its call.
const MAX_TIME: Duration = Duration::from_secs(30 * 60);
/// Records found one after the other without one in between that got through: then it is not the records' fault.
const MAX_IN_A_ROW: u32 = 5;
/// Searches in the life of a task that may end without a record, because the crash did not come again.
const MAX_IN_VAIN: u32 = 3;

/// Searches of one plugin, one after the other.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// When the one that is under way began.
    since: Option<Instant>,
    starts: u32,
    in_a_row: u32,
    in_vain: u32,
}

/// What to do after a crash. Each takes a fresh instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try the same records again, fewer of them at a time.
    Split,
    /// The one record is at fault: leave it out.
    Found,
}

impl Search {
    /// The plugin crashed on so many records.
    ///
    /// # Errors
    /// `error`, with a word on why the search ends.
    pub(super) fn crashed(&mut self, records: usize, error: TaskError, now: Instant) -> Result<(Verdict, TaskError), TaskError> {
        let given_up = |error, why| Err(TaskError::NotTheRecord { error: Box::new(error), why });
        if self.since.is_none() && self.in_vain >= MAX_IN_VAIN {
            return given_up(
                error,
                format!("{MAX_IN_VAIN} times before it crashed on records that it took when they came again"),
            );
        }
        let since = *self.since.get_or_insert(now);
        // A crash of an instance that has done other things before says nothing about this record.
        let is_fresh = self.starts > 0;
        self.starts += 1;
        if self.starts > MAX_STARTS {
            return given_up(error, format!("no single record was found with {MAX_STARTS} new instances"));
        }
        if now.duration_since(since) > MAX_TIME {
            return given_up(error, format!("no single record was found within {} minutes", MAX_TIME.as_secs() / 60));
        }
        if records > 1 || !is_fresh {
            return Ok((Verdict::Split, error));
        }
        self.in_a_row += 1;
        if self.in_a_row > MAX_IN_A_ROW {
            return given_up(error, format!("it crashes on one record after the other, {} in a row", self.in_a_row));
        }
        (self.since, self.starts) = (None, 0);
        Ok((Verdict::Found, error))
    }

    /// The plugin has taken records.
    pub(super) fn got_through(&mut self) {
        self.in_a_row = 0;
    }

    /// All records among which the one was sought got through.
    pub(super) fn ended(&mut self) {
        if self.since.take().is_some() {
            self.starts = 0;
            self.in_vain += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Call;
    use crate::task::testing::trap;

    fn crash(search: &mut Search, records: usize) -> Result<Verdict, String> {
        let error = TaskError::Plugin { call: "put", error: trap(Call::Put) };
        search.crashed(records, error, Instant::now()).map(|(verdict, _)| verdict).map_err(|error| error.to_string())
    }

    #[test]
    fn one_record_is_found_on_a_fresh_instance_only() {
        let mut search = Search::default();
        for records in [500, 250, 1] {
            assert_eq!(crash(&mut search, records), Ok(if records > 1 { Verdict::Split } else { Verdict::Found }), "{records}");
        }
        assert_eq!(crash(&mut search, 1), Ok(Verdict::Split), "another search begins");
        assert_eq!(crash(&mut search, 1), Ok(Verdict::Found));
    }

    #[test]
    fn a_search_ends() {
        let mut halves = Search::default();
        let refused = (0..100).find_map(|_| crash(&mut halves, 2).err()).expect("an end");
        assert!(refused.contains("32 new instances") && refused.contains("unreachable"), "{refused}");
        let mut rows = Search::default();
        let refused = (0..100).find_map(|_| crash(&mut rows, 1).err()).expect("an end");
        assert!(refused.contains("6 in a row"), "{refused}");
        let mut vain = Search::default();
        let refused = (0..100).find_map(|_| {
            let crashed = crash(&mut vain, 9).err();
            vain.got_through();
            vain.ended();
            crashed
        });
        assert!(refused.expect("an end").contains("3 times before"));
        let mut fine = Search::default();
        for _ in 0..100 {
            assert_eq!((crash(&mut fine, 9), crash(&mut fine, 1)), (Ok(Verdict::Split), Ok(Verdict::Found)));
            fine.got_through();
        }
    }
}
