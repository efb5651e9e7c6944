//! What an agent leaves for the one that comes after it: bytes, in a pinned map.
//!
//! A map of pieces, as a map is all that bpffs holds. It is made when the agent starts, which later has no right to make one any more, and takes
//! memory only while something is in it. The head is written last and taken away first, so that what was interrupted is not there, and what
//! was read once is never read again.

use std::path::Path;

use aya::maps::{HashMap, Map, MapData, MapError};

use super::persist::PersistError;

/// `BPF_F_NO_PREALLOC` of include/uapi/linux/bpf.h.
const NO_PREALLOC: u32 = 1;
/// Bytes of a piece: with its key and the kernel's head it stays below a page.
const PIECE: usize = 2048;
/// Most pieces.
const PIECES: u32 = 8192;
/// Key of the head; those of the pieces follow.
const HEAD: u32 = 0;
/// How often a write that found no memory is tried again: the kernel refills its lists behind each.
const TRIES: usize = 1000;

/// Most bytes that can be left: 16 MiB.
pub const BYTES_MAX: usize = PIECE * PIECES as usize;

/// What is left, with what tells whether it still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// [`fleetscope_ebpf::pulse::MISSED`] when the ring buffer was read last.
    pub missed: u64,
    /// Records that were lost by then.
    pub lost: u64,
    /// The rest.
    pub bytes: Vec<u8>,
}

/// The map.
#[derive(Debug)]
pub(super) struct Checkpoint(HashMap<MapData, u32, [u8; PIECE]>);

/// What agents have to agree on to share the map.
pub(super) fn sizes() -> [u64; 2] {
    [PIECE as u64, u64::from(PIECES)]
}

// === impl Checkpoint ===

impl Checkpoint {
    /// A new one, which is pinned.
    pub(super) fn create(path: &Path) -> Result<Self, PersistError> {
        HashMap::<MapData, u32, [u8; PIECE]>::create(PIECES + 1, NO_PREALLOC)?.pin(path)?;
        Self::open(path)
    }

    /// The one that is pinned.
    pub(super) fn open(path: &Path) -> Result<Self, PersistError> {
        Ok(Self(HashMap::try_from(Map::from_map_data(MapData::from_pin(path)?)?)?))
    }

    /// Leaves this, in place of what was there; nothing if it cannot be left whole.
    pub(super) fn put(&mut self, left: &Left) -> Result<(), MapError> {
        self.clear()?;
        let done = self.write(left);
        if done.is_err() {
            self.clear()?;
        }
        done
    }

    fn write(&mut self, left: &Left) -> Result<(), MapError> {
        for (key, bytes) in (HEAD + 1..).zip(left.bytes.chunks(PIECE)) {
            self.insert(key, bytes)?;
        }
        let head = [left.missed, left.lost, left.bytes.len() as u64].map(u64::to_le_bytes).concat();
        self.insert(HEAD, &head)
    }

    /// Takes what is there; nothing is left then, whether it could be read or not.
    pub(super) fn take(&mut self) -> Result<Option<Left>, MapError> {
        let head = match self.0.get(&HEAD, 0) {
            Ok(head) => Ok(Some(head)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(error),
        };
        // What was read once is not there for anybody else, also if this one is interrupted here.
        self.remove(HEAD)?;
        let left = head.and_then(|head| head.map(|head| self.read(&head)).transpose());
        self.clear()?;
        left
    }

    fn read(&self, head: &[u8; PIECE]) -> Result<Left, MapError> {
        let number = |at: usize| head.as_chunks::<8>().0.get(at).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let len = usize::try_from(number(2)).unwrap_or(usize::MAX).min(BYTES_MAX);
        let mut bytes = Vec::with_capacity(len);
        for key in (HEAD + 1..).take(len.div_ceil(PIECE)) {
            let piece = self.0.get(&key, 0)?;
            bytes.extend_from_slice(&piece[..PIECE.min(len - bytes.len())]);
        }
        Ok(Left { missed: number(0), lost: number(1), bytes })
    }

    /// Gives all memory back, the head's first. There may be pieces without a head, of an agent that was killed while it wrote them.
    fn clear(&mut self) -> Result<(), MapError> {
        self.remove(HEAD)?;
        // The keys first: removing while walking would start the walk over each time.
        let keys = self.0.keys().collect::<Result<Vec<_>, _>>()?;
        keys.into_iter().try_for_each(|key| self.remove(key))
    }

    fn insert(&mut self, key: u32, bytes: &[u8]) -> Result<(), MapError> {
        let mut piece = [0; PIECE];
        piece[..bytes.len()].copy_from_slice(bytes);
        for _ in 0..TRIES {
            match self.0.insert(key, piece, 0) {
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOMEM) => {
                    std::thread::yield_now();
                }
                done => return done,
            }
        }
        self.0.insert(key, piece, 0)
    }

    fn remove(&mut self, key: u32) -> Result<(), MapError> {
        match self.0.remove(&key) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            Err(MapError::KeyNotFound) => Ok(()),
            done => done,
        }
    }
}
