//! The console of an emulator: two named pipes.
//!
//! Not a socket: QEMU writes each byte that the guest prints by itself, and a Unix socket has room for 278 such writes
//! (counted on Linux 6 with its default of 208 KiB). An emulator that does not wait for room, as a QEMU 8.1 fork does not,
//! loses what comes after. A pipe joins such writes: it has room for as many bytes as it is large.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

/// What may wait to be read: the most that Linux gives to a user who is not root, unless told otherwise (pipe(7)).
const ROOM: usize = 1 << 20;
/// The first page of a full pipe may have been read in part. A pipe of few pages is not looked at: it would always look full.
const PAGE: u64 = 4096;

/// What the guest printed, or what must be known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes of the buffer; none at the end.
    Bytes(usize),
    /// So many bytes wait, and there is next to no room for more.
    Full(u64),
}

/// Our ends of the pipes.
#[derive(Debug)]
pub struct Console {
    output: Receiver,
    /// Once the emulator has opened its end.
    input: Option<Sender>,
    input_path: PathBuf,
    /// Bytes that the output's pipe has room for.
    room: u64,
}

impl Console {
    /// Makes `<path>.in` and `<path>.out`, as QEMU's `-chardev pipe` wants them, and opens the latter.
    ///
    /// # Errors
    ///
    /// They cannot be made.
    pub fn make(path: &Path) -> io::Result<Self> {
        let named = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let (input_path, output_path) = (named(".in"), named(".out"));
        for path in [&input_path, &output_path] {
            // Left by the emulator before this one.
            let _ = std::fs::remove_file(path);
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        }
        let output = OpenOptions::new().open_receiver(&output_path)?;
        // A user with many pipes may be refused; what it has then is more than a socket's.
        let _ = rustix::pipe::fcntl_setpipe_size(&output, ROOM);
        let room = rustix::pipe::fcntl_getpipe_size(&output)? as u64;
        Ok(Self { output, input: None, input_path, room })
    }

    /// Opens the guest's input, whose other end the emulator must hold.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn open_input(&mut self) -> io::Result<()> {
        self.input = Some(OpenOptions::new().open_sender(&self.input_path)?);
        Ok(())
    }

    /// Waits for what the guest prints. Safe to drop: nothing is lost. A full pipe is left as it is.
    ///
    /// # Errors
    ///
    /// The pipe's.
    pub async fn next(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        loop {
            self.output.readable().await?;
            let waiting = rustix::io::ioctl_fionread(&self.output)?;
            if self.room > 4 * PAGE && waiting + PAGE > self.room {
                return Ok(Heard::Full(waiting));
            }
            match self.output.try_read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(Heard::Bytes),
            }
        }
    }

    /// Waits for what the guest prints and adds it; returns how much it was, nothing at the end. Safe to drop.
    ///
    /// # Errors
    ///
    /// The pipe's.
    pub async fn read(&mut self, printed: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            self.output.readable().await?;
            match self.output.try_read_buf(printed) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// Writes to the guest's input.
    ///
    /// # Errors
    ///
    /// The pipe's: the emulator has ended.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.input {
            Some(input) => input.write_all(bytes).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// As QEMU opens them: both for reading and writing, with no blocking.
    fn emulator(path: &Path, end: &str) -> std::fs::File {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag");
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(flags);
        options.open(format!("{}{end}", path.display())).expect("opens")
    }

    fn made() -> (tempfile::TempDir, PathBuf, Console) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("console");
        let console = Console::make(&path).expect("made");
        (folder, path, console)
    }

    #[tokio::test]
    async fn fifty_thousand_bytes_that_are_written_one_by_one_wait_until_they_are_read() {
        let (_folder, path, mut console) = made();
        let mut guest = emulator(&path, ".out");
        // The alphabet over and over, no more than a pipe has room for that the kernel has not made small.
        let bytes = (b'a'..=b'z').cycle().take(50_000.min(usize::try_from(console.room).expect("small")));
        let length = bytes.clone().count();
        let printed: Vec<u8> = bytes.filter(|byte| guest.write(&[*byte]).is_ok_and(|n| n == 1)).collect();
        drop(guest);
        let mut heard = Vec::new();
        while console.read(&mut heard).await.expect("reads") > 0 {}
        assert_eq!(printed.len(), length, "none was refused");
        assert_eq!(heard, printed);
    }

    #[tokio::test]
    async fn pipe_that_is_full_is_told_and_one_with_room_is_read() {
        let (_folder, path, mut console) = made();
        let mut guest = emulator(&path, ".out");
        let mut buffer = [0; 1 << 16];
        guest.write_all(&[7; 64]).expect("room");
        assert_eq!(console.next(&mut buffer).await.expect("reads"), Heard::Bytes(64));
        let mut written = 0;
        // A size that leaves no hole at the end of a page, as single bytes leave none.
        while let Ok(n) = guest.write(&[7; 64]) {
            written += n as u64;
        }
        assert_eq!(written, console.room, "it is full to the brim");
        assert_eq!(console.next(&mut buffer).await.expect("tells"), Heard::Full(written));
        drop(guest);
        let mut heard = Vec::new();
        while console.read(&mut heard).await.expect("reads") > 0 {}
        assert_eq!(heard.len() as u64, written, "what fitted is there");
        assert_eq!(console.next(&mut buffer).await.expect("ends"), Heard::Bytes(0));
    }

    #[tokio::test]
    async fn what_is_written_is_the_guests_input() {
        let (_folder, path, mut console) = made();
        assert_eq!(console.write(b"x").await.map_err(|e| e.kind()), Err(io::ErrorKind::NotConnected));
        assert!(console.open_input().is_err(), "nobody would read it");
        let mut guest = emulator(&path, ".in");
        console.open_input().expect("opens");
        console.write(b"set url\n").await.expect("written");
        let mut typed = [0; 8];
        guest.read_exact(&mut typed).expect("there");
        assert_eq!(&typed, b"set url\n");
    }
}
