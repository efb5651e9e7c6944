//! The folder of the pins: on a bpffs, of this user alone, held by one process at a time.
//!
//! Whoever can write a pin can stop the probes, and whoever can read one sees header blocks. So the folder has mode 0700 and must belong to this user, and
//! nobody else may be able to put another one in its place. The lock ends with the process that has it.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::persist::PersistError;

/// What every pin's name begins with: nothing else in the folder is ever touched.
const PREFIX: &str = "fleetscope_";
/// What the names of pinned links begin with.
pub(super) const LINK: &str = "link_";
/// `BPF_FS_MAGIC` of include/uapi/linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// How long whoever holds the folder may take to end: a pod that was deleted by force is replaced at once, and has 2 s to end.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(50);

/// The folder, held by this process.
#[derive(Debug)]
pub(super) struct PinFolder {
    path: PathBuf,
    _lock: File,
}

// === impl PinFolder ===

impl PinFolder {
    /// Checks the folder and locks it; makes it first if it is to. Waits for whoever holds it, but not long.
    pub(super) fn hold(path: &Path, make: bool) -> Result<Self, PersistError> {
        let failed = |source| PersistError::Folder { verb: "open", folder: path.to_owned(), source };
        // Without a slash at its end, behind which a symbolic link would be followed.
        let path: PathBuf = std::path::absolute(path).map_err(failed)?.components().collect();
        let start = Instant::now();
        loop {
            match Self::attempt(&path, make)? {
                Some(held) => return Ok(held),
                None if start.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                None => return Err(PersistError::Busy { folder: path }),
            }
        }
    }

    /// None if another process holds it, or held it and removed it.
    fn attempt(path: &Path, make: bool) -> Result<Option<Self>, PersistError> {
        let failed = |verb, source| PersistError::Folder { verb, folder: path.to_owned(), source };
        let disk = || PersistError::NotBpffs { folder: path.to_owned() };
        let above = path.parent().ok_or_else(disk)?;
        let above_file = File::open(above).map_err(|source| failed("open the folder above", source))?;
        let meta = above_file.metadata().map_err(|source| failed("open the folder above", source))?;
        let (me, others_write, sticky) = (rustix::process::geteuid().as_raw(), 0o022, 0o1000);
        if ![0, me].contains(&meta.uid()) || (meta.mode() & others_write != 0 && meta.mode() & sticky == 0) {
            return Err(PersistError::Foreign { folder: above.to_owned() });
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
        let file = match options.open(path) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                // Before anything is made: a folder on a disk would only mislead.
                if !is_bpffs(&above_file) {
                    return Err(disk());
                }
                match DirBuilder::new().mode(0o700).create(path) {
                    Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(failed("make", source)),
                    _ => options.open(path),
                }
            }
            opened => opened,
        };
        let file = file.map_err(|source| failed("open", source))?;
        if !is_bpffs(&file) {
            return Err(disk());
        }
        let meta = file.metadata().map_err(|source| failed("open", source))?;
        if meta.uid() != me || meta.mode() & 0o077 != 0 {
            return Err(PersistError::Foreign { folder: path.to_owned() });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(source)) => return Err(failed("lock", source)),
        }
        // Else it is a lock on a folder that nobody finds any more.
        Ok(leads_to(path, &file).then(|| Self { path: path.to_owned(), _lock: file }))
    }

    /// Where a pin of this name is, or is to be.
    pub(super) fn pin(&self, name: &str) -> PathBuf {
        self.path.join(format!("{PREFIX}{name}"))
    }

    /// What is pinned under this name. aya's own way asks for the object's type information, too, which needs `CAP_SYS_ADMIN`.
    pub(super) fn object(&self, name: &str) -> Result<OwnedFd, PersistError> {
        /// `BPF_OBJ_GET` and its part of `union bpf_attr`, of include/uapi/linux/bpf.h.
        const BPF_OBJ_GET: u32 = 7;
        #[repr(C)]
        struct Attributes {
            pathname: u64,
            bpf_fd: u32,
            file_flags: u32,
        }
        let failed = |source| self.failed("open a pin of", source);
        let path = CString::new(self.pin(name).as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
        let attributes = Attributes { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 };
        // SAFETY: bpf(2) reads the attributes, of which it is told the size, and the path, which ends with a NUL; both live across the call.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const attributes, size_of::<Attributes>()) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(|| failed(io::Error::last_os_error()))?;
        // SAFETY: the kernel made it for this call, so nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Removes every pin, and says how many there were: the links first, so that no program runs into maps that lose their programs.
    pub(super) fn clear(&self) -> Result<usize, PersistError> {
        let entries = fs::read_dir(&self.path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|source| self.failed("read", source))?;
        let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
        names.retain(|name| name.to_string_lossy().starts_with(PREFIX));
        names.sort_by_key(|name| !name.to_string_lossy()[PREFIX.len()..].starts_with(LINK));
        for name in &names {
            fs::remove_file(self.path.join(name)).map_err(|source| self.failed("remove a pin of", source))?;
        }
        Ok(names.len())
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> PersistError {
        PersistError::Folder { verb, folder: self.path.clone(), source }
    }
}

/// Removes all that agents pinned in this folder, and the folder if nothing else is in it. How many pins there were.
pub fn unpin(folder: &Path) -> Result<usize, PersistError> {
    let held = match PinFolder::hold(folder, false) {
        Err(PersistError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(0),
        held => held?,
    };
    let removed = held.clear()?;
    // Somebody else's files may be in it.
    let _ = fs::remove_dir(folder);
    Ok(removed)
}

/// Whether the path is that of the open file, and no other one has come in its place.
fn leads_to(path: &Path, file: &File) -> bool {
    let same = |now: fs::Metadata| file.metadata().map(|meta| (meta.dev(), meta.ino()) == (now.dev(), now.ino()));
    fs::symlink_metadata(path).and_then(same).unwrap_or(false)
}

fn is_bpffs(file: &File) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the kernel fills the structure, which is read only if it says that it did.
    unsafe {
        libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) == 0
            && u64::try_from(found.assume_init().f_type).is_ok_and(|kind| kind == BPF_FS_MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_removed_while_it_was_opened_is_told() {
        let path = std::env::temp_dir().join(format!("fleetscope-pin-folder-{}", std::process::id()));
        fs::create_dir(&path).expect("it can be made");
        let file = File::open(&path).expect("it is there");
        assert!(leads_to(&path, &file));
        fs::remove_dir(&path).expect("it is there");
        assert!(!leads_to(&path, &file));
        fs::create_dir(&path).expect("it can be made");
        let other = leads_to(&path, &file);
        fs::remove_dir(&path).expect("it is there");
        assert!(!other, "another one in its place");
    }
}
