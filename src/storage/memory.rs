//! Storage in memory, for keystores that are thrown away and for tests.

use std::collections::BTreeMap;

use super::{Batch, Meta, Snapshot, Storage, StorageError};
use crate::{
    audit::LogPosition,
    secret::SecretKey,
    world::{Row, RowId},
};

/// Rows in memory. They are gone when it is dropped, and nothing is authenticated: nobody else can reach them.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    meta: Meta,
    rows: BTreeMap<RowId, Vec<u8>>,
    log: Option<LogPosition>,
}

impl MemoryStorage {
    /// Storage without rows.
    #[must_use]
    pub fn new(meta: Meta) -> Self {
        Self { meta, ..Self::default() }
    }
}

impl Storage for MemoryStorage {
    fn load(&mut self) -> Result<Snapshot, StorageError> {
        let rows = self.rows.iter().map(|(id, body)| Row { id: id.clone(), body: body.clone() });
        Ok(Snapshot { meta: self.meta.clone(), rows: rows.collect(), log: self.log })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StorageError> {
        for row in &batch.puts {
            self.rows.insert(row.id.clone(), row.body.clone());
        }
        for id in &batch.deletes {
            self.rows.remove(id);
        }
        self.meta.extend(batch.meta.iter().cloned());
        self.log = Some(batch.log);
        Ok(())
    }

    fn reseal(&mut self, _mac_key: SecretKey, snapshot: &Snapshot) -> Result<(), StorageError> {
        self.rows = snapshot.rows.iter().map(|row| (row.id.clone(), row.body.clone())).collect();
        self.meta = snapshot.meta.clone();
        self.log = snapshot.log;
        Ok(())
    }
}
