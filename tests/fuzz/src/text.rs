//! An input as one line of text, so that what was found can be read, compared and kept: printable ASCII as it is, a backslash
//! twice, every other byte as `\xNN`. `tests/fuzz/run` writes and reads the same.

/// The bytes of a line; `None` if it is not of that form.
#[must_use]
pub fn decode(line: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let (byte, after) = match (first, others) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'x', high, low, after @ ..]) => (digit(*high)? << 4 | digit(*low)?, after),
            (b' '..=b'[' | b']'..=b'~', after) => (*first, after),
            _ => return None,
        };
        bytes.push(byte);
        rest = after;
    }
    Some(bytes)
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_any_bytes() {
        assert_eq!(decode(r"a\x00\\x\xff ").unwrap(), b"a\x00\\x\xff ");
        assert_eq!(decode(""), Some(Vec::new()));
        for line in [r"\", r"\x0", r"\xFF", r"\n", "\t", "é"] {
            assert_eq!(decode(line), None, "{line}");
        }
    }
}
