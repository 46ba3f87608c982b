use std::io::Write as _;

use super::*;

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("encoder");
    encoder.include_checksum(true).expect("checksum");
    encoder.write_all(text).expect("written");
    encoder.finish().expect("finished")
}

fn unpacked(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    let mut stream = Unpacked::new(bytes)?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    assert_eq!(stream.read(&mut [0])?, 0, "the end stays the end");
    Ok((text, stream.ended_early()))
}

/// Bytes that no compression makes much shorter: blocks that are cut are seen.
fn noise(n: u32) -> Vec<u8> {
    (0..n).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[test]
fn plain_and_compressed_streams_are_told_apart_by_their_first_bytes() {
    for text in [&b""[..], b"(", b"(\xb5\x2f and more", b"I (1) a: b\n"] {
        assert_eq!(unpacked(text).expect("plain"), (text.to_vec(), false));
        assert_eq!(unpacked(&packed(text)).expect("packed"), (text.to_vec(), false));
    }
}

#[test]
fn compressed_streams_one_after_the_other_are_one_text() {
    let both = [packed(b"one "), packed(b"two")].concat();
    assert_eq!(unpacked(&both).expect("read"), (b"one two".to_vec(), false));
}

#[test]
fn stream_that_is_cut_anywhere_gives_what_is_whole() {
    let text = noise(100_000);
    let whole = packed(&text);
    let mut most = 0;
    for cut in (2..16).chain((16..whole.len()).step_by(whole.len() / 50)).chain([whole.len() - 1]) {
        let (read, early) = unpacked(&whole[..cut]).expect("no error");
        assert!(early && text.starts_with(&read), "cut at {cut}");
        most = most.max(read.len());
    }
    assert_eq!(most, text.len(), "all but the end mark");
}

#[test]
fn damage_is_told_as_such_and_other_errors_as_what_they_are() {
    let mut bytes = packed(&noise(1000));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let error = unpacked(&bytes).expect_err("the checksum differs");
    assert!(Damaged::is(&error) && error.to_string().contains("the compressed data is damaged"), "{error}");
    let error = unpacked(&[packed(b"text"), b"more".to_vec()].concat()).expect_err("no second frame");
    assert!(Damaged::is(&error), "{error}");

    struct Gone;
    impl Read for Gone {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(ErrorKind::ConnectionReset))
        }
    }
    let whole = packed(b"text");
    let mut stream = Unpacked::new((&whole[..6]).chain(Gone)).expect("begins");
    let error = stream.read_to_end(&mut Vec::new()).expect_err("gone");
    assert!(!Damaged::is(&error) && error.kind() == ErrorKind::ConnectionReset, "{error:?}");
}
