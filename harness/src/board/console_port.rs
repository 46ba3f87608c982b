//! The console side of a port: bytes as they come, counted for the run's clock.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use virtual_time::Pipe;
use virtual_time::fd::AsyncDescriptor;

/// An attached console.
pub struct ConsolePort {
    descriptor: Arc<AsyncDescriptor>,
    from_board: Option<Pipe>,
}

impl ConsolePort {
    /// Attaches to a port. Call it while the board is silent (held in reset); `from_board` counts the bytes of a board
    /// that shares this run's clock.
    ///
    /// # Errors
    ///
    /// The operating system's error when the descriptor cannot be registered.
    pub fn attach(fd: OwnedFd, from_board: Option<Pipe>) -> io::Result<Self> {
        let descriptor = Arc::new(AsyncDescriptor::new(fd)?);
        if let Some(pipe) = &from_board {
            let reader: Weak<AsyncDescriptor> = Arc::downgrade(&descriptor);
            pipe.attach(reader);
        }
        Ok(Self { descriptor, from_board })
    }

    /// Reads what is there, waiting for the first byte. 0 means the port is gone.
    ///
    /// # Errors
    ///
    /// The operating system's error; `EIO` when the port disappeared.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.descriptor.read(buffer).await?;
        if let Some(pipe) = &self.from_board {
            pipe.handled(n);
        }
        Ok(n)
    }

    /// Writes to the device's console input.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = self.descriptor.write(bytes).await?;
            bytes = &bytes[n..];
        }
        Ok(())
    }
}

impl Drop for ConsolePort {
    fn drop(&mut self) {
        if let Some(pipe) = &self.from_board {
            pipe.detach();
        }
    }
}
