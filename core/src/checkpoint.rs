//! State as bytes, so that another process can go on with it: the coding that all its parts share.
//!
//! In: values. Out: bytes in little-endian order, without names and without padding; what they are is known from their order alone, so whoever frames
//! them says a version. Reading takes any bytes: it ends with a [`CheckpointError`] or with a value that upholds what its type promises, and
//! needs memory in proportion to the bytes that are there, whatever they claim.

use std::sync::Arc;

/// Why bytes are no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// They end early.
    #[error("failed to read checkpoint: it ends early")]
    Truncated,
    /// They go on behind the end.
    #[error("failed to read checkpoint: {bytes} bytes are left over")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// They are of another kind or of another version of this program.
    #[error("failed to read checkpoint: it is of another version")]
    Version,
    /// They are damaged.
    #[error("failed to read checkpoint: its checksum is wrong")]
    Checksum,
    /// A value cannot be.
    #[error("failed to read checkpoint: {what} cannot be so")]
    Invalid {
        /// Which.
        what: &'static str,
    },
}

/// Something that can be written and read.
pub(crate) trait Saved: Sized {
    /// Appends it.
    fn save(&self, out: &mut Vec<u8>);
    /// Takes it from the front.
    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError>;
}

/// Bytes that are left to read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// FNV-1a of 64 bits: it finds damage, and is no protection against intent.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// An error if `holds` is false.
pub(crate) fn ensure(holds: bool, what: &'static str) -> Result<(), CheckpointError> {
    if holds { Ok(()) } else { Err(CheckpointError::Invalid { what }) }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], CheckpointError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CheckpointError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// As many values as the number in front says. Nothing is reserved beforehand: the number may be made up.
    pub(crate) fn each<T: Saved>(
        &mut self,
        mut each: impl FnMut(T) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        for _ in 0..u32::load(self)? {
            each(T::load(self)?)?;
        }
        Ok(())
    }

    /// An error if anything is left.
    pub(crate) fn end(&self) -> Result<(), CheckpointError> {
        if self.0.is_empty() { Ok(()) } else { Err(CheckpointError::Trailing { bytes: self.0.len() }) }
    }
}

/// Writes how many values follow.
pub(crate) fn save_count(count: usize, out: &mut Vec<u8>) {
    u32::try_from(count).expect("what is saved is bounded far below 2^32").save(out);
}

/// Saves a structure field by field; one that is forgotten does not compile.
macro_rules! saved_struct {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl crate::checkpoint::Saved for $type {
            fn save(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $(crate::checkpoint::Saved::save($field, out);)*
            }

            fn load(from: &mut crate::checkpoint::Reader<'_>) -> Result<Self, crate::checkpoint::CheckpointError> {
                Ok(Self { $($field: crate::checkpoint::Saved::load(from)?),* })
            }
        }
    };
}

/// Saves an enum without values as its place among all of them.
macro_rules! saved_enum {
    ($type:ty, $all:expr) => {
        impl crate::checkpoint::Saved for $type {
            fn save(&self, out: &mut Vec<u8>) {
                let place = $all.iter().position(|one| one == self).and_then(|place| u8::try_from(place).ok());
                out.push(place.expect("all are listed, and they are few"));
            }

            fn load(from: &mut crate::checkpoint::Reader<'_>) -> Result<Self, crate::checkpoint::CheckpointError> {
                let place = usize::from(<u8 as crate::checkpoint::Saved>::load(from)?);
                let what = stringify!($type);
                $all.get(place).copied().ok_or(crate::checkpoint::CheckpointError::Invalid { what })
            }
        }
    };
}

pub(crate) use {saved_enum, saved_struct};

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Saved for $type {
            fn save(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
                let bytes = from.take(size_of::<Self>())?.try_into();
                bytes.map(Self::from_le_bytes).map_err(|_| CheckpointError::Truncated)
            }
        }
    )* };
}
numbers!(u8, u16, u32, u64, i64);

impl Saved for bool {
    fn save(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let byte = u8::load(from)?;
        ensure(byte < 2, "a truth value")?;
        Ok(byte == 1)
    }
}

impl<T: Saved> Saved for Option<T> {
    fn save(&self, out: &mut Vec<u8>) {
        self.is_some().save(out);
        if let Some(value) = self {
            value.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        if bool::load(from)? { T::load(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Saved, E: Saved> Saved for Result<T, E> {
    fn save(&self, out: &mut Vec<u8>) {
        self.is_ok().save(out);
        match self {
            Ok(value) => value.save(out),
            Err(error) => error.save(out),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        if bool::load(from)? { T::load(from).map(Ok) } else { E::load(from).map(Err) }
    }
}

impl<T: Saved> Saved for Box<T> {
    fn save(&self, out: &mut Vec<u8>) {
        T::save(self, out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        T::load(from).map(Self::new)
    }
}

impl<T: Saved + Copy + Default, const N: usize> Saved for [T; N] {
    fn save(&self, out: &mut Vec<u8>) {
        for value in self {
            value.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::load(from)?;
        }
        Ok(values)
    }
}

impl<A: Saved, B: Saved> Saved for (A, B) {
    fn save(&self, out: &mut Vec<u8>) {
        self.0.save(out);
        self.1.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok((A::load(from)?, B::load(from)?))
    }
}

impl<A: Saved, B: Saved, C: Saved> Saved for (A, B, C) {
    fn save(&self, out: &mut Vec<u8>) {
        self.0.save(out);
        self.1.save(out);
        self.2.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok((A::load(from)?, B::load(from)?, C::load(from)?))
    }
}

impl Saved for Vec<u8> {
    fn save(&self, out: &mut Vec<u8>) {
        save_count(self.len(), out);
        out.extend_from_slice(self);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let len = u32::load(from)? as usize;
        from.take(len).map(<[u8]>::to_vec)
    }
}

impl Saved for Arc<str> {
    fn save(&self, out: &mut Vec<u8>) {
        save_count(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let len = u32::load(from)? as usize;
        let text = str::from_utf8(from.take(len)?);
        text.map(Self::from).map_err(|_| CheckpointError::Invalid { what: "a text" })
    }
}
