//! Console lines without what differs from run to run.

use std::sync::LazyLock;

use regex::Regex;

/// Addresses of hosts, hexadecimal numbers, then all other numbers.
static PARTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8,}\b|\d+").ok());

/// A line with its numbers, addresses and digests masked: the same message of two runs is the same text.
#[must_use]
pub fn masked(text: &str) -> String {
    match &*PARTS {
        Some(parts) => parts.replace_all(text, "#").into_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_message_of_two_runs_is_the_same_text() {
        for (one, other) in [
            ("connect to 192.168.88.200:8002 failed, errno 111", "connect to 10.0.0.7:80 failed, errno 104"),
            ("abort() at 0x42005440 after 17 s", "abort() at 0x3fc8f9c0 after 1200 s"),
            ("image 1.5.9 has digest a511d501e8f9c000", "image 10.0.12 has digest 00ffee00aabbccdd"),
        ] {
            assert_eq!(masked(one), masked(other));
        }
        assert_ne!(masked("ESP_ERR_HTTP_CONNECT"), masked("ESP_ERR_TIMEOUT"));
        assert_eq!(masked("socket: EHOSTUNREACH"), "socket: EHOSTUNREACH");
    }
}
