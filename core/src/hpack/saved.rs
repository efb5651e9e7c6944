//! A decoder as bytes, for the process that goes on with the connection. What was looked up before is not among them: it only saves time.

use super::block::{ContentType, Fault, Field};
use super::field::{Meaning, Reading};
use super::memo::Memo;
use super::{Decoder, EntryId, PATH_MAX};
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, saved_enum, saved_struct};

saved_enum!(Fault, [Fault::TooLong, Fault::Malformed, Fault::Repeated]);
saved_enum!(ContentType, [ContentType::Grpc, ContentType::Other]);
saved_struct!(EntryId { epoch, ordinal });

impl<T: Saved> Saved for Field<T> {
    fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(0),
            Self::Known(value) => {
                out.push(1);
                value.save(out);
            }
            Self::Unknown(entry) => {
                out.push(2);
                entry.save(out);
            }
            Self::Invalid(fault) => {
                out.push(3);
                fault.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok(match u8::load(from)? {
            0 => Self::Absent,
            1 => Self::Known(T::load(from)?),
            2 => Self::Unknown(Saved::load(from)?),
            3 => Self::Invalid(Saved::load(from)?),
            _ => return Err(CheckpointError::Invalid { what: "a field" }),
        })
    }
}

impl Saved for Meaning {
    fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => out.push(0),
            Self::RequestPseudo => out.push(1),
            Self::Path(path) => {
                out.push(2);
                path.save(out);
            }
            Self::Status(status) => {
                out.push(3);
                status.save(out);
            }
            Self::Regular => out.push(4),
            Self::ContentType(kind) => {
                out.push(5);
                kind.save(out);
            }
            Self::GrpcStatus(status) => {
                out.push(6);
                status.save(out);
            }
            Self::GrpcTimeout(timeout) => {
                out.push(7);
                timeout.save(out);
            }
            Self::Verb(is_post) => {
                out.push(8);
                is_post.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok(match u8::load(from)? {
            0 => Self::Unknown,
            1 => Self::RequestPseudo,
            2 => {
                let path: Result<std::sync::Arc<str>, Fault> = Saved::load(from)?;
                ensure(path.as_ref().is_ok_and(|path| path.len() <= PATH_MAX) || path.is_err(), "a path")?;
                Self::Path(path)
            }
            3 => Self::Status(Saved::load(from)?),
            4 => Self::Regular,
            5 => Self::ContentType(Saved::load(from)?),
            6 => Self::GrpcStatus(Saved::load(from)?),
            7 => Self::GrpcTimeout(Saved::load(from)?),
            8 => Self::Verb(Saved::load(from)?),
            _ => return Err(CheckpointError::Invalid { what: "a meaning" }),
        })
    }
}

impl Saved for Decoder {
    fn save(&self, out: &mut Vec<u8>) {
        self.table.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok(Self { table: Saved::load(from)?, reading: Reading::new(), blocks: Memo::new() })
    }
}
