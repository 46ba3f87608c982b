//! Console lines in ESP-IDF's format: `I (6953) wifi: Got IP: 192.168.88.9`.

use core::fmt::{self, Write};

use heapless::String;

use crate::platform::Console;

/// Longest line; longer ones are cut, as a log buffer would.
const LINE: usize = 384;

/// Formats and writes one line. Lines end with LF alone when a UART driver translates it, and CR LF on the wire.
pub(crate) async fn line(console: &mut impl Console, level: char, tag: &str, message: fmt::Arguments<'_>) {
    let mut text = String::<LINE>::new();
    // Running out of room cuts the line; there is nobody to tell.
    let _ = write!(text, "{level} ({}) {tag}: {message}", console.uptime_ms());
    let _ = if text.capacity() - text.len() < 2 {
        text.truncate(text.floor_char_boundary_to(LINE - 2));
        text.push_str("\r\n")
    } else {
        text.push_str("\r\n")
    };
    console.write(text.as_bytes()).await;
}

trait FloorCharBoundary {
    fn floor_char_boundary_to(&self, at: usize) -> usize;
}

impl<const N: usize> FloorCharBoundary for String<N> {
    fn floor_char_boundary_to(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|i| self.is_char_boundary(*i)).unwrap_or(0)
    }
}

macro_rules! info {
    ($console:expr, $tag:expr, $($argument:tt)*) => {
        $crate::log::line(&mut $console, 'I', $tag, format_args!($($argument)*)).await
    };
}
macro_rules! warning {
    ($console:expr, $tag:expr, $($argument:tt)*) => {
        $crate::log::line(&mut $console, 'W', $tag, format_args!($($argument)*)).await
    };
}
macro_rules! error {
    ($console:expr, $tag:expr, $($argument:tt)*) => {
        $crate::log::line(&mut $console, 'E', $tag, format_args!($($argument)*)).await
    };
}
pub(crate) use {error, info, warning};
