//! A stream that may be compressed by zstd: told by its first bytes, never by a name, and read as what was compressed.
//!
//! What was written while a run or a capture was under way may end in the middle. That is no error here: all that is whole
//! is given, and [`Unpacked::ended_early`] says so afterwards. What this module must never know: what the bytes mean.

use std::io::{self, BufReader, Chain, Cursor, ErrorKind, Read};

use zstd::stream::read::Decoder;

/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// Reads a stream, unpacked where it is compressed.
pub struct Unpacked<R: Read> {
    source: Source<R>,
    ended_early: bool,
}

enum Source<R: Read> {
    Plain(Whole<R>),
    Zstd(Box<Decoder<'static, BufReader<Whole<R>>>>),
}

/// The compressed data is not what zstd wrote.
#[derive(Debug, thiserror::Error)]
#[error("the compressed data is damaged ({0})")]
pub struct Damaged(String);

impl Damaged {
    /// Whether an error of [`Unpacked::read`] says so, and is none of the stream below.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

impl<R: Read> Unpacked<R> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    ///
    /// The stream cannot be read.
    pub fn new(mut stream: R) -> io::Result<Self> {
        let mut head = Vec::new();
        stream.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
        // One byte of the four is a parenthesis, which may be all that a console says.
        let cut = (2..MAGIC.len()).contains(&head.len()) && MAGIC.starts_with(&head);
        let is_zstd = head == MAGIC;
        let whole = Cursor::new(if cut { Vec::new() } else { head }).chain(stream);
        let source = if is_zstd { Source::Zstd(Box::new(Decoder::new(whole)?)) } else { Source::Plain(whole) };
        Ok(Self { source, ended_early: cut })
    }

    /// True when the compressed data ended before its end mark: what wrote it was killed, or writes still.
    #[must_use]
    pub fn ended_early(&self) -> bool {
        self.ended_early
    }
}

impl<R: Read> Read for Unpacked<R> {
    /// # Errors
    ///
    /// Those of the stream below, and [`Damaged`] as the source of [`ErrorKind::InvalidData`].
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let decoder = match &mut self.source {
            Source::Plain(stream) => return stream.read(into),
            // A decoder that has come to the end of its input must not be asked again.
            Source::Zstd(_) if self.ended_early => return Ok(0),
            Source::Zstd(decoder) => decoder,
        };
        match decoder.read(into) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.ended_early = true;
                Ok(0)
            }
            // zstd's own errors have a text and no number of the system.
            Err(error) if error.kind() == ErrorKind::Other && error.raw_os_error().is_none() => {
                Err(io::Error::new(ErrorKind::InvalidData, Damaged(error.to_string())))
            }
            read => read,
        }
    }
}

#[cfg(test)]
mod tests;
