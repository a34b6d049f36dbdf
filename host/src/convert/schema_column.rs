//! Schema ids of a column.

use crate::record::SchemaId;

/// A column of schema ids that stays empty for as long as all are 0.
#[derive(Debug, Default)]
pub struct SchemaColumn {
    ids: Vec<SchemaId>,
    zeros: usize,
}

impl SchemaColumn {
    /// The same id `length` times.
    pub fn of(id: SchemaId, length: usize) -> Self {
        let (ids, zeros) = if id == 0 { (Vec::new(), length) } else { (vec![id; length], 0) };
        SchemaColumn { ids, zeros }
    }

    /// Appends an id.
    #[inline]
    pub fn push(&mut self, id: SchemaId) {
        if id == 0 && self.ids.is_empty() {
            self.zeros += 1;
            return;
        }
        if self.ids.is_empty() {
            self.ids.resize(self.zeros, 0);
        }
        self.ids.push(id);
    }

    /// Leaves the first `length` ids.
    pub fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
        self.zeros = self.zeros.min(length);
    }

    /// As a batch has it.
    pub fn into_ids(self) -> Vec<SchemaId> {
        self.ids
    }
}
