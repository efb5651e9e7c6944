//! What was decoded already: by bytes, in few places, so that what comes again is not decoded again.
//!
//! A value is kept when its bytes come for the second time in a row at their place: bytes that are new each time, such as those of a block with a
//! literal time limit, so cost no memory and no allocation. Bytes that are made to meet at one place only cost the gain.

/// Places. A connection has few methods; those of a proxy's connection share places.
const PLACES: usize = 16;
/// Longest bytes that are kept.
const KEY_MAX: usize = 256;

/// Values by bytes and a tag.
#[derive(Debug)]
pub(super) struct Memo<V> {
    places: Vec<Place<V>>,
}

#[derive(Debug)]
struct Place<V> {
    /// Hash of the bytes that came last without being kept.
    candidate: u64,
    kept: Option<Box<Kept<V>>>,
}

#[derive(Debug)]
struct Kept<V> {
    tag: u64,
    bytes: Vec<u8>,
    value: V,
}

// === impl Memo ===

impl<V: Clone> Memo<V> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// The value that is kept for these bytes and this tag.
    pub(super) fn get(&self, tag: u64, bytes: &[u8]) -> Option<&V> {
        if bytes.len() > KEY_MAX {
            return None;
        }
        let kept = self.places.get(place(hash(bytes)))?.kept.as_ref()?;
        (kept.tag == tag && kept.bytes == bytes).then_some(&kept.value)
    }

    /// Offers a value: it is kept if the same bytes were offered last at their place.
    pub(super) fn offer(&mut self, tag: u64, bytes: &[u8], value: &V) {
        if bytes.len() > KEY_MAX {
            return;
        }
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || Place { candidate: 0, kept: None });
        }
        let hash = hash(bytes);
        let place = &mut self.places[place(hash)];
        if place.candidate != hash {
            place.candidate = hash;
            return;
        }
        match &mut place.kept {
            Some(kept) => {
                kept.tag = tag;
                kept.bytes.clear();
                kept.bytes.extend_from_slice(bytes);
                kept.value = value.clone();
            }
            kept => *kept = Some(Box::new(Kept { tag, bytes: bytes.to_vec(), value: value.clone() })),
        }
    }

    /// Bytes of memory, without what the values point to.
    pub(super) fn memory(&self) -> usize {
        let kept = self.places.iter().filter_map(|place| place.kept.as_ref());
        let kept: usize = kept.map(|kept| size_of::<Kept<V>>() + kept.bytes.capacity()).sum();
        self.places.capacity() * size_of::<Place<V>>() + kept
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the highest four bits are taken")]
fn place(hash: u64) -> usize {
    (hash >> (u64::BITS - PLACES.ilog2())) as usize
}

/// Eight bytes at a time, each multiplied in: for short bytes faster than what std has, and it need not withstand collisions.
fn hash(bytes: &[u8]) -> u64 {
    /// 2^64 divided by the golden ratio, odd.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}
