//! A small least-recently-used cache of what is derived from schemas.

use std::rc::Rc;

use crate::record::SchemaId;

/// Entries that a cache keeps, as many as a transform of Kafka Connect does.
const CAPACITY: usize = 16;

/// What was derived from the last few schemas, by id: the schema of a changed record, the fields to look at.
#[derive(Debug)]
pub struct SchemaCache<T> {
    /// The most recently used one is the last.
    entries: Vec<(SchemaId, Rc<T>)>,
}

impl<T> Default for SchemaCache<T> {
    fn default() -> Self {
        Self { entries: Vec::with_capacity(CAPACITY) }
    }
}

impl<T> SchemaCache<T> {
    /// The entry for a schema, made if it is not there.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then.
    pub fn get_or_insert_with<E>(&mut self, id: SchemaId, make: impl FnOnce() -> Result<T, E>) -> Result<Rc<T>, E> {
        if let Some(place) = self.entries.iter().rposition(|(known, _)| *known == id) {
            let entry = self.entries.remove(place);
            let found = Rc::clone(&entry.1);
            self.entries.push(entry);
            return Ok(found);
        }
        let made = Rc::new(make()?);
        if self.entries.len() == CAPACITY {
            self.entries.remove(0);
        }
        self.entries.push((id, Rc::clone(&made)));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_ones_used() {
        let mut cache = SchemaCache::default();
        let mut made = Vec::new();
        for id in [0, 1, 0].into_iter().chain(2..17).chain([0, 1]) {
            let entry = cache.get_or_insert_with(SchemaId(id), || {
                made.push(id);
                Ok::<_, ()>(id)
            });
            assert_eq!(*entry.unwrap(), id);
        }
        let expected: Vec<u32> = [0, 1].into_iter().chain(2..17).chain([1]).collect();
        assert_eq!(made, expected);
        assert_eq!(cache.entries.len(), CAPACITY);
    }
}
