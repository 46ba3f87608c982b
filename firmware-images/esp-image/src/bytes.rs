//! Little-endian fields and fixed-size strings.

/// Reads a u16; the caller's structure guarantees the length.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a u32; the caller's structure guarantees the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Text of a fixed field, up to its first NUL; what is not UTF-8 ends it.
pub(crate) fn text(field: &[u8]) -> &str {
    let field = field.split(|b| *b == 0).next().unwrap_or(field);
    match core::str::from_utf8(field) {
        Ok(text) => text,
        Err(e) => core::str::from_utf8(&field[..e.valid_up_to()]).unwrap_or(""),
    }
}

/// Text into a fixed field, NUL-padded, cut at a character so that one NUL is left.
pub(crate) fn fixed<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    field[..end].copy_from_slice(&text.as_bytes()[..end]);
    field
}
