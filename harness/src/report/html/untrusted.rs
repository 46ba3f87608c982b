//! Untrusted text made inert: for HTML text, and for JSON inside a page.
//!
//! What a browser may drop or act on is shown: control characters as their pictures, bidirectional and invisible
//! characters as their code points (Unicode Technical Report 36, "Bidirectional Text Spoofing"; Unicode Standard Annex 9
//! lists the formatting characters). `assets/text.js` does the same to what it shows.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Characters of untrusted text shown where the page has no room, or no script, for more.
pub(super) const SHOWN: usize = 600;

/// Text with control characters as their Unicode pictures, invisible and bidirectional ones as their code points.
#[must_use]
pub fn visible(text: &str) -> String {
    if text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t')) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\u{0}'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            c if is_hidden(c) => {
                shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// [`visible`], cut where it is longer than [`SHOWN`], with the number of characters left out.
#[must_use]
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => visible(text),
        Some((at, _)) => {
            let left_out = text[at..].chars().count();
            format!("{} … ({left_out} more characters)", visible(&text[..at]))
        }
    }
}

/// Characters that leave no trace, or reorder what stands around them.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Writes compact JSON that cannot end the element it stands in: `<`, `>`, `&` and hidden characters are escaped (HTML
/// standard, "Restrictions for contents of script elements": `<!--`, `<script`, `</script` must not occur).
pub(super) struct InertJson;

impl Formatter for InertJson {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut written = 0;
        for (at, c) in fragment.char_indices() {
            if !(matches!(c, '<' | '>' | '&' | '\u{7f}') || is_hidden(c)) {
                continue;
            }
            writer.write_all(&fragment.as_bytes()[written..at])?;
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[test]
    fn what_a_browser_would_hide_or_act_on_is_shown() {
        assert_eq!(
            visible("a\u{0}\u{1b}[31m\r\u{7f}\u{9b}\u{202e}\u{200b}é\tb"),
            "a␀␛[31m␍␡⟨U+009B⟩⟨U+202E⟩⟨U+200B⟩é\tb"
        );
        assert_eq!(visible("plain <b>"), "plain <b>");
    }

    #[test]
    fn long_text_is_cut_between_characters_and_tells_how_much_is_left_out() {
        let long = "é".repeat(SHOWN + 7);
        assert!(excerpt(&long).ends_with("é … (7 more characters)"));
        assert_eq!(excerpt("short"), "short");
    }

    #[test]
    fn json_holds_no_tag_and_reads_back_as_it_was() {
        let hostile = "</script><!--<script>&amp;\u{0}\u{2028}\u{202e}\u{e0001}\"\\é";
        let mut bytes = Vec::new();
        hostile.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, InertJson)).expect("written");
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(!text.contains(['<', '>', '&', '\u{0}', '\u{2028}', '\u{202e}', '\u{e0001}']), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), hostile);
    }
}
