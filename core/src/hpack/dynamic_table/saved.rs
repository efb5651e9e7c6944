//! A table as bytes.

use std::collections::VecDeque;

use super::{DynamicTable, Entry, MAX_TABLE, OVERHEAD};
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, save_count, saved_struct};
use crate::hpack::field::Meaning;

/// Most inserts that a table may claim: no connection lives so long, and sums with it do not overflow.
const INSERTS_MAX: i64 = 1 << 60;

saved_struct!(Entry { meaning, name_len, size });

impl Saved for DynamicTable {
    fn save(&self, out: &mut Vec<u8>) {
        let Self { entries, size: _, capacity, limit, told, complete, epoch, inserts, generation: _ } = self;
        save_count(entries.len(), out);
        for entry in entries {
            entry.save(out);
        }
        capacity.save(out);
        limit.save(out);
        told.save(out);
        complete.save(out);
        epoch.save(out);
        inserts.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let (mut entries, mut size) = (VecDeque::new(), 0);
        from.each(|entry: Entry| {
            let path = if let Meaning::Path(Ok(path)) = &entry.meaning { path.len() as u64 } else { 0 };
            ensure(u64::from(entry.name_len).max(path) + OVERHEAD <= u64::from(entry.size), "an entry's size")?;
            size += u64::from(entry.size);
            ensure(size <= u64::from(MAX_TABLE), "a table's size")?;
            entries.push_back(entry);
            Ok(())
        })?;
        let table = Self {
            entries,
            size,
            capacity: Saved::load(from)?,
            limit: Saved::load(from)?,
            told: Saved::load(from)?,
            complete: Saved::load(from)?,
            epoch: Saved::load(from)?,
            inserts: Saved::load(from)?,
            generation: 0,
        };
        ensure(size <= u64::from(table.capacity), "a table's capacity")?;
        let inserts = i64::try_from(table.entries.len()).unwrap_or(i64::MAX)..INSERTS_MAX;
        ensure(inserts.contains(&table.inserts), "a table's inserts")?;
        Ok(table)
    }
}
