//! Filter: drops every record that reaches it. It is meant to be guarded by a predicate.

use hawser_plugin::prelude::*;

use crate::side::one_sided;

/// Drops records.
#[derive(Debug)]
pub struct Filter;

impl Class for Filter {
    fn class() -> ClassInfo {
        one_sided("Filter").summary("Drops records; use it with a predicate.")
    }
}

impl Transform for Filter {
    fn start(_: &Config) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, _: &mut Record) -> Result<Verdict, RecordError> {
        Ok(Verdict::Drop)
    }
}
