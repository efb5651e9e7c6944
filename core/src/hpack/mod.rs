//! HPACK (RFC 7541) as an observer needs it: the header blocks of one direction of a connection, in their order, become [`Block`]s
//! that say what gRPC needs. In: blocks, table sizes of SETTINGS, and word of losses. Out: blocks, or an [`HpackError`] whose
//! [`HpackError::reason`] is a label value. It must never panic, never hold more than some 200 KiB, and never give a wrong value.
//!
//! # Joining in mid-life
//! An observer may come when the table has entries already ([`Decoder::joined`]), and may lose blocks ([`Decoder::gap`]). Then the older
//! part of the table is unknown: a field that refers to it is counted, has an identity ([`EntryId`]), and is never guessed.
//!
//! Why a value that is given is right all the same, for every block that its receiver takes:
//! 1. An entry enters the table at one end and leaves it at the other; an index counts from the newest. So at every moment the
//!    sender's table is the newest n entries that were inserted, and index i is the i-th newest insert, whatever n is.
//! 2. Every insert since the join, or since the last gap, was seen. So the known entries are the newest m inserts, in order. Where i is
//!    smaller than n and than m, both mean the same entry. Where i is not smaller than n, the receiver must close the
//!    connection (section 2.3.3), and there is no call that could be told wrongly.
//! 3. So to keep an entry for too long does no harm. To drop one too early would do none either: it would be unknown again. What is
//!    dropped is what has certainly left: sizes count as what they are at least (an entry whose name is unknown has at
//!    least its value and 32 bytes), and the table's size as what it is at most (the limit of SETTINGS until a size update tells it, no
//!    bound where SETTINGS were not seen).
//! 4. An index beyond the known entries is unknown as long as an entry can be there, else an error. That none can be there follows from
//!    the same bounds, and only then: known sizes at least, plus 32 bytes for each entry on the way there, against the
//!    size at most. Once even one such entry would not fit, the table is as well known as one that was watched from its begin.
//! 5. An entry that is larger than the table empties it and is not in it (section 4.4). If its size or the table's is not known well
//!    enough to tell, it is kept as if it were in the table. That is an entry kept for too long as in 3: the sender's table was
//!    empty then, so all that is in it later is newer, and counts from the newest.
//! 6. After a gap nothing is known of the number of inserts lost, so no older entry has a place any more: all become unknown, and
//!    identities start anew in the next epoch, so that one from before is never taken for one from after.
//!
//! Which fields an unknown one may be follows from RFC 9113 section 8.3 alone: pseudo-header fields come first, none comes twice, and
//! those of requests are not in responses. What breaks that is malformed, and no server takes it for a call.
//!
//! # Cost
//! Of fields that do not matter only sizes are kept. A block that comes again while the table is the same is looked up by its bytes
//! (`memo`); one that changes the table is decoded, without an allocation but for a path that is new.
//!
//! # Layout
//! - `block`: what a block says, and what its unknown fields may be
//! - `field`: names and values
//! - `dynamic_table`, `static_table`: the tables
//! - `integer`, `huffman`: the coding
//! - `memo`: blocks and paths that came before
//! - `saved`: a decoder as bytes

mod block;
mod dynamic_table;
mod error;
mod field;
mod huffman;
mod integer;
mod memo;
mod saved;
mod static_table;

#[cfg(test)]
mod tests;

pub use block::{Block, ContentType, EntryId, Fault, Field};
pub use error::HpackError;

use block::Draft;
use dynamic_table::{DynamicTable, Found};
use field::{Meaning, Name, Reading};
use integer::{Literal, Reader};
use memo::Memo;
use static_table::{STATIC_LEN, STATIC_TABLE};

/// Most bytes of a header block.
pub const BLOCK_MAX: usize = 64 * 1024;
/// Most fields of a header block, size updates included: what a list of 128 KiB can hold.
pub const FIELDS_MAX: u32 = 4096;
/// Most bytes of a `:path` that is kept.
pub const PATH_MAX: usize = 1024;
/// Most bytes of entries that are kept, as RFC 7541 section 4.1 counts them. Of a larger table the older entries are unknown.
pub const MAX_TABLE: u32 = dynamic_table::MAX_TABLE;

/// Decodes the header blocks of one direction of one connection.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    reading: Reading,
    blocks: Memo<Block>,
}

// === impl Decoder ===

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// For a connection that is seen from its preface on: its table is empty.
    pub fn new() -> Self {
        Self::of(DynamicTable::new())
    }

    /// For a connection that was there before: what its table holds is unknown, and how large it may become.
    pub fn joined() -> Self {
        Self::of(DynamicTable::unknown())
    }

    fn of(table: DynamicTable) -> Self {
        Self { table, reading: Reading::new(), blocks: Memo::new() }
    }

    /// Blocks were lost: all entries become unknown.
    pub fn gap(&mut self) {
        self.table.forget();
    }

    /// `SETTINGS_HEADER_TABLE_SIZE` of the receiver, in bytes: the sender may make its table so large (RFC 7541 section 4.2).
    /// A smaller value than before changes nothing: when the sender learns of it cannot be seen here, and it tells the size that it
    /// chooses itself. No value makes this decoder keep more than [`MAX_TABLE`] bytes.
    pub fn set_limit(&mut self, bytes: u32) {
        self.table.allow(bytes);
    }

    /// Frames of the other direction were lost, and with them perhaps a [`Decoder::set_limit`]: any table size is allowed now.
    pub fn settings_lost(&mut self) {
        self.table.allow_any();
    }

    /// Decodes the next block. After an error `out` is empty and all entries are unknown, as after [`Decoder::gap`].
    pub fn decode(&mut self, block: &[u8], out: &mut Block) -> Result<(), HpackError> {
        let generation = self.table.generation();
        if let Some(known) = self.blocks.get(generation, block) {
            out.clone_from(known);
            return Ok(());
        }
        let result = self.fields(block, out);
        if result.is_err() {
            *out = Block::default();
            self.gap();
        } else if generation == self.table.generation() {
            self.blocks.offer(generation, block, out);
        }
        result
    }

    fn fields(&mut self, block: &[u8], out: &mut Block) -> Result<(), HpackError> {
        if block.len() > BLOCK_MAX {
            return Err(HpackError::BlockTooLong { got: block.len(), max: BLOCK_MAX });
        }
        let (mut reader, mut draft) = (Reader::new(block), Draft::new(out));
        let (mut count, mut begun) = (0, false);
        while let Some(first) = reader.peek() {
            count += 1;
            if count > FIELDS_MAX {
                return Err(HpackError::TooManyFields { max: FIELDS_MAX });
            }
            // RFC 7541 section 6: the first bits tell the representations apart.
            match first.leading_zeros() {
                0 => self.indexed(reader.integer(7)?, &mut draft)?,
                1 => self.literal(reader.integer(6)?, true, &mut reader, &mut draft)?,
                2 if begun => return Err(HpackError::LateSizeUpdate),
                2 => {
                    let (size, limit) = (reader.integer(5)?, self.table.limit());
                    if size > limit {
                        return Err(HpackError::SizeUpdateTooLarge { size, limit });
                    }
                    self.table.resize(size);
                    continue;
                }
                // Never indexed, or without indexing: the same for one who does not pass it on.
                _ => self.literal(reader.integer(4)?, false, &mut reader, &mut draft)?,
            }
            begun = true;
        }
        draft.finish();
        Ok(())
    }

    /// RFC 7541 section 6.1.
    fn indexed(&mut self, index: u32, draft: &mut Draft<'_>) -> Result<(), HpackError> {
        let Some(dynamic) = index.checked_sub(STATIC_LEN + 1) else {
            let (name, value) = static_entry(index)?;
            let literal = Literal { huffman: false, bytes: value.as_bytes() };
            let (meaning, _) = self.reading.field(Name::of(name.as_bytes()), literal)?;
            draft.known(&meaning);
            return Ok(());
        };
        match self.table.get(dynamic).ok_or(HpackError::NoSuchIndex { index })? {
            Found::Known(entry) if entry.meaning != Meaning::Unknown => draft.known(&entry.meaning),
            Found::Known(_) | Found::Unknown => draft.unknown(Some(self.table.id(dynamic))),
        }
        Ok(())
    }

    /// RFC 7541 section 6.2: `index` is that of the name, 0 for a literal one.
    fn literal(
        &mut self,
        index: u32,
        insert: bool,
        reader: &mut Reader<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<(), HpackError> {
        let (name, name_len) = match index.checked_sub(STATIC_LEN + 1) {
            _ if index == 0 => self.reading.name(reader.string()?)?,
            None => {
                let (name, _) = static_entry(index)?;
                (Name::of(name.as_bytes()), length(name.len()))
            }
            Some(dynamic) => match self.table.get(dynamic).ok_or(HpackError::NoSuchIndex { index })? {
                Found::Known(entry) => (entry.meaning.name(), entry.name_len),
                Found::Unknown => (Name::Unknown, 0),
            },
        };
        let (meaning, value_len) = self.reading.field(name, reader.string()?)?;
        if name != Name::Unknown {
            draft.known(&meaning);
        }
        let entry = if insert { self.table.insert(meaning, name_len, value_len) } else { None };
        if name == Name::Unknown {
            // The pair of name and value is the new entry, not the one that gave the name.
            draft.unknown(entry);
        }
        Ok(())
    }

    /// Bytes of memory, at most; without paths that blocks hold on to.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.table.memory() + self.reading.memory() + self.blocks.memory()
    }
}

/// Bytes of a name or value.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a block has 64 KiB, and a Huffman string 8/5 of that")
}

fn static_entry(index: u32) -> Result<(&'static str, &'static str), HpackError> {
    let at = (index as usize).checked_sub(1);
    at.and_then(|at| STATIC_TABLE.get(at)).copied().ok_or(HpackError::NoSuchIndex { index })
}
