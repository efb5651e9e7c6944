//! The little of BTF that is needed: where a structure's member lies, and which arguments a tracepoint has.
//!
//! In: the bytes of `/sys/kernel/btf/vmlinux` (Documentation/bpf/btf.rst). Every read is checked against the bytes that are there: arbitrary
//! input gives an error, never a panic, and never more memory than four bytes per type.

use std::path::{Path, PathBuf};

/// First two bytes of BTF in this machine's byte order.
const MAGIC: u16 = 0xeb9f;
/// Bytes of a `struct btf_type` without what follows it.
const TYPE_LEN: usize = 12;
/// Most anonymous structures inside one another, and most modifiers (`const`, `typedef`, ..) on one type; kernels have up to 4 and 6.
const DEPTH_MAX: usize = 32;
/// Most members that one lookup visits; the largest structures have 300, anonymous ones included. A bound, as anonymous structures can
/// share one another, and then the visits double with each level.
const VISITS_MAX: u32 = 100_000;
/// Largest file that is read, in bytes; kernels' are 4 to 30 MB.
const FILE_MAX: u64 = 256 << 20;

/// What is wrong with the BTF, or what it does not have.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file cannot be read.
    #[error("failed to read BTF {path}", path = .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any kernel's.
    #[error("failed to read BTF {path}: {bytes} bytes are more than {FILE_MAX}", path = .path.display())]
    Large {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It does not begin as BTF of this machine's byte order does.
    #[error("failed to read BTF header: the first bytes are not BTF of this machine's byte order")]
    Magic,
    /// Something reaches behind the end.
    #[error("failed to read BTF at byte {at}: the data ends at {len}")]
    Truncated {
        /// Offset of the read.
        at: usize,
        /// Bytes that there are.
        len: usize,
    },
    /// A kind of type that is not known, so that it cannot be skipped either.
    #[error("failed to read BTF type {id}: kind {kind} is not known")]
    Kind {
        /// Which type.
        id: usize,
        /// Its kind.
        kind: u32,
    },
    /// Types refer to one another in a circle, or deeper than any compiler writes.
    #[error("failed to follow BTF type {id}: nested more than {DEPTH_MAX} deep")]
    Depth {
        /// Where following stopped.
        id: u32,
    },
    /// No structure has this name.
    #[error("this kernel has no structure {name}")]
    NoStruct {
        /// Its name.
        name: String,
    },
    /// The structure has no such member.
    #[error("this kernel has no member {path}")]
    NoMember {
        /// `structure.member.member`
        path: String,
    },
    /// The member does not begin at a byte.
    #[error("member {path} is a bit field in this kernel")]
    BitField {
        /// `structure.member.member`
        path: String,
    },
    /// The kernel does not have the tracepoint.
    #[error("this kernel has no tracepoint {name}")]
    NoTracepoint {
        /// Its name.
        name: String,
    },
}

/// Where a member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the beginning of the outermost structure.
    pub offset: u32,
    /// Bytes that it takes.
    pub size: u32,
}

/// Parsed BTF.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    /// Offset of each type in `data`; type 0 is `void` and has none.
    types: Vec<u32>,
    /// Where the strings begin and end in `data`.
    strings: (usize, usize),
}

/// Kinds of types (include/uapi/linux/btf.h).
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// The fixed part of a type.
#[derive(Clone, Copy)]
struct Type {
    /// Offset of what follows the fixed part.
    rest: usize,
    name: u32,
    kind: u32,
    /// Members, arguments or values that follow.
    entries: usize,
    /// `kind_flag`: members carry a bit-field size.
    flag: bool,
    /// Size in bytes, or the type that it refers to.
    size_or_target: u32,
}

impl Btf {
    /// Reads the kernel's own BTF from `path`, usually `/sys/kernel/btf/vmlinux`.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let failed = |source| BtfError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > FILE_MAX {
            return Err(BtfError::Large { path: path.to_owned(), bytes });
        }
        Self::parse(std::fs::read(path).map_err(failed)?)
    }

    /// Finds where each type begins. Everything else is read when it is asked for.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let mut btf = Self { data, types: vec![0], strings: (0, 0) };
        let Some(magic) = btf.data.first_chunk::<2>() else {
            return Err(BtfError::Truncated { at: 0, len: btf.data.len() });
        };
        if u16::from_ne_bytes(*magic) != MAGIC {
            return Err(BtfError::Magic);
        }
        let header = btf.word(4)? as usize;
        let section = |btf: &Self, at| -> Result<(usize, usize), BtfError> {
            let begin = header.saturating_add(btf.word(at)? as usize);
            let end = begin.saturating_add(btf.word(at + 4)? as usize);
            if end > btf.data.len() {
                Err(BtfError::Truncated { at: end, len: btf.data.len() })
            } else {
                Ok((begin, end))
            }
        };
        let (mut at, end) = section(&btf, 8)?;
        btf.strings = section(&btf, 16)?;
        while at < end {
            let id = btf.types.len();
            let Ok(offset) = u32::try_from(at) else { return Err(BtfError::Truncated { at, len: btf.data.len() }) };
            btf.types.push(offset);
            let found = btf.type_at(at)?;
            at = found.rest
                + match found.kind {
                    kind::INT | kind::VAR | kind::DECL_TAG => 4,
                    kind::ARRAY => 12,
                    kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => found.entries * 12,
                    kind::ENUM | kind::FUNC_PROTO => found.entries * 8,
                    kind::PTR
                    | kind::FWD
                    | kind::TYPEDEF
                    | kind::VOLATILE
                    | kind::CONST
                    | kind::RESTRICT
                    | kind::FUNC
                    | kind::FLOAT
                    | kind::TYPE_TAG => 0,
                    kind => return Err(BtfError::Kind { id, kind }),
                };
        }
        Ok(btf)
    }

    /// Where `structure.member.member[3]` lies; members of anonymous structures and unions are found as in C.
    pub fn member(&self, path: &str) -> Result<Member, BtfError> {
        let (structure, members) = path.split_once('.').unwrap_or((path, ""));
        let no_struct = || BtfError::NoStruct { name: structure.to_owned() };
        let mut id = self.named(structure, kind::STRUCT)?.ok_or_else(no_struct)?;
        let mut bits = 0_u64;
        let mut visits = VISITS_MAX;
        for member in members.split('.') {
            let (name, element) = match member.strip_suffix(']').and_then(|inner| inner.split_once('[')) {
                Some((name, number)) => (name, number.parse::<u32>().ok()),
                None => (member, None),
            };
            let found = self
                .find(id, name.as_bytes(), 0, &mut visits)?
                .ok_or_else(|| BtfError::NoMember { path: path.to_owned() })?;
            bits += found.bits;
            id = found.of;
            if found.is_bit_field {
                return Err(BtfError::BitField { path: path.to_owned() });
            }
            if let Some(number) = element {
                let array = self.get(self.strip(id)?)?;
                if array.kind != kind::ARRAY || number >= self.word(array.rest + 8)? {
                    return Err(BtfError::NoMember { path: path.to_owned() });
                }
                id = self.word(array.rest)?;
                bits += u64::from(number) * u64::from(self.size(id)?) * 8;
            }
        }
        let offset = u32::try_from(bits / 8).ok().filter(|_| bits.is_multiple_of(8));
        let offset = offset.ok_or_else(|| BtfError::BitField { path: path.to_owned() })?;
        Ok(Member { offset, size: self.size(id)? })
    }

    /// The arguments of a tracepoint's BTF programs, without the leading context: `*name` for a pointer to a named type, the
    /// name of a plain one (typedefs resolved: `bool` is `_Bool`).
    pub fn tracepoint(&self, name: &str) -> Result<Vec<String>, BtfError> {
        let missing = || BtfError::NoTracepoint { name: name.to_owned() };
        let id = self.named(&format!("btf_trace_{name}"), kind::TYPEDEF)?.ok_or_else(missing)?;
        let pointer = self.strip(id)?;
        let target = self.get(pointer)?;
        let prototype = self.get(self.strip(target.size_or_target)?)?;
        if target.kind != kind::PTR || prototype.kind != kind::FUNC_PROTO {
            return Err(missing());
        }
        let mut arguments = Vec::with_capacity(prototype.entries);
        for i in 1..prototype.entries {
            let id = self.strip(self.word(prototype.rest + i * 8 + 4)?)?;
            let mut name = String::new();
            let mut of = id;
            if id != 0 && self.get(id)?.kind == kind::PTR {
                name.push('*');
                of = self.strip(self.get(id)?.size_or_target)?;
            }
            name.push_str(if of == 0 {
                "void"
            } else {
                std::str::from_utf8(self.string(self.get(of)?.name)?).unwrap_or("?")
            });
            arguments.push(name);
        }
        Ok(arguments)
    }

    /// Whether the kernel has a function of this name, which is not static.
    pub fn has_function(&self, name: &str) -> bool {
        self.named(name, kind::FUNC).is_ok_and(|found| found.is_some())
    }

    fn word(&self, at: usize) -> Result<u32, BtfError> {
        let bytes = self.data.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map(|bytes| u32::from_ne_bytes(*bytes)).ok_or(BtfError::Truncated { at, len: self.data.len() })
    }

    fn type_at(&self, at: usize) -> Result<Type, BtfError> {
        let info = self.word(at + 4)?;
        Ok(Type {
            rest: at + TYPE_LEN,
            name: self.word(at)?,
            kind: (info >> 24) & 0x1f,
            entries: (info & 0xffff) as usize,
            flag: info >> 31 != 0,
            size_or_target: self.word(at + 8)?,
        })
    }

    fn get(&self, id: u32) -> Result<Type, BtfError> {
        match self.types.get(id as usize) {
            Some(&at) if id != 0 => self.type_at(at as usize),
            _ => Err(BtfError::Truncated { at: id as usize, len: self.types.len() }),
        }
    }

    /// A string without its NUL; empty for anonymous types.
    fn string(&self, offset: u32) -> Result<&[u8], BtfError> {
        let at = self.strings.0.saturating_add(offset as usize);
        let truncated = BtfError::Truncated { at, len: self.strings.1 };
        let Some(rest) = self.data.get(at..self.strings.1) else { return Err(truncated) };
        rest.iter().position(|byte| *byte == 0).map(|end| &rest[..end]).ok_or(truncated)
    }

    /// The first type of this name and kind. A scan: a few dozen lookups at start do not pay for an index of 100,000 names.
    fn named(&self, name: &str, kind: u32) -> Result<Option<u32>, BtfError> {
        for (id, at) in (0_u32..).zip(&self.types).skip(1) {
            // The kind first: most types are of another one.
            if (self.word(*at as usize + 4)? >> 24) & 0x1f != kind {
                continue;
            }
            let offset = self.word(*at as usize)?;
            if offset != 0 && self.is_string(offset, name.as_bytes())? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// As comparing [`Self::string`], without looking for its end.
    fn is_string(&self, offset: u32, name: &[u8]) -> Result<bool, BtfError> {
        let at = self.strings.0.saturating_add(offset as usize);
        let truncated = BtfError::Truncated { at, len: self.strings.1 };
        let rest = self.data.get(at..self.strings.1).ok_or(truncated)?;
        Ok(rest.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0)))
    }

    /// Follows typedefs and modifiers to what they stand for; 0 is `void`.
    fn strip(&self, mut id: u32) -> Result<u32, BtfError> {
        for _ in 0..DEPTH_MAX {
            if id == 0 {
                return Ok(0);
            }
            let found = self.get(id)?;
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = found.size_or_target;
                }
                _ => return Ok(id),
            }
        }
        Err(BtfError::Depth { id })
    }

    fn size(&self, id: u32) -> Result<u32, BtfError> {
        let mut id = id;
        let mut times = 1_u32;
        for _ in 0..DEPTH_MAX {
            id = self.strip(id)?;
            if id == 0 {
                return Ok(0);
            }
            let found = self.get(id)?;
            match found.kind {
                kind::PTR => return Ok(times.saturating_mul(8)),
                kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::FLOAT | kind::ENUM64 => {
                    return Ok(times.saturating_mul(found.size_or_target));
                }
                kind::ARRAY => {
                    times = times.saturating_mul(self.word(found.rest + 8)?);
                    id = self.word(found.rest)?;
                }
                _ => return Ok(0),
            }
        }
        Err(BtfError::Depth { id })
    }

    fn find(&self, id: u32, wanted: &[u8], depth: usize, visits: &mut u32) -> Result<Option<Found>, BtfError> {
        let id = self.strip(id)?;
        if depth > DEPTH_MAX {
            return Err(BtfError::Depth { id });
        }
        if id == 0 {
            return Ok(None);
        }
        let outer = self.get(id)?;
        if !matches!(outer.kind, kind::STRUCT | kind::UNION) {
            return Ok(None);
        }
        for i in 0..outer.entries {
            *visits = visits.checked_sub(1).ok_or(BtfError::Depth { id })?;
            let at = outer.rest + i * 12;
            let (name, of, offset) = (self.word(at)?, self.word(at + 4)?, self.word(at + 8)?);
            let (bits, is_bit_field) =
                if outer.flag { (offset & 0xff_ffff, offset >> 24 != 0) } else { (offset, false) };
            let bits = u64::from(bits);
            if name != 0 && self.string(name)? == wanted {
                return Ok(Some(Found { bits, of, is_bit_field }));
            }
            if name == 0
                && let Some(inner) = self.find(of, wanted, depth + 1, visits)?
            {
                return Ok(Some(Found { bits: bits + inner.bits, ..inner }));
            }
        }
        Ok(None)
    }
}

/// A member inside its structure.
struct Found {
    bits: u64,
    of: u32,
    is_bit_field: bool,
}

#[cfg(test)]
#[path = "btf/tests.rs"]
mod tests;
