//! DropHeaders: takes headers out.

use std::collections::BTreeSet;

use hawser_plugin::prelude::*;

use crate::side::one_sided;

/// Takes headers out.
#[derive(Debug)]
pub struct DropHeaders {
    names: BTreeSet<String>,
}

impl Class for DropHeaders {
    fn class() -> ClassInfo {
        let config = ConfigDef::new().list("headers").required().not_empty().doc("The names of the headers to take out.");
        one_sided("DropHeaders").summary("Takes headers out.").config(config)
    }
}

impl Transform for DropHeaders {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self { names: config.get::<Vec<String>>("headers")?.into_iter().collect() })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        record.retain_headers(|name| !self.names.contains(name));
        Ok(Verdict::Keep)
    }
}
