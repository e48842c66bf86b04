//! The MD5 digests that SQS answers with, so that a client can tell whether its message arrived unchanged.
//! MD5 is a checksum here, never a protection.

use md5::{Digest as _, Md5};

use crate::message::{AttributeContent, MessageAttributes};

/// An MD5 digest.
pub(crate) type Md5Bytes = [u8; 16];

/// The transport type of text (`String` and `Number`) in the digest of attributes.
const TRANSPORT_TEXT: u8 = 1;
/// The transport type of bytes (`Binary`).
const TRANSPORT_BINARY: u8 = 2;

/// The digest of a body.
pub(crate) fn of_body(body: &str) -> Md5Bytes {
    Md5::digest(body.as_bytes()).into()
}

/// The digest of attributes, sorted by name (developer guide, "Calculating the MD5 message digest for message
/// attributes"): for each, length and bytes of its name, length and bytes of its type, the transport type, length and
/// bytes of its value; lengths are 4 bytes, big-endian. `None` without attributes.
pub(crate) fn of_attributes(attributes: &MessageAttributes) -> Option<Md5Bytes> {
    if attributes.is_empty() {
        return None;
    }
    let mut md5 = Md5::new();
    // A `BTreeMap<String, _>` iterates in the order of the names' UTF-8 bytes, which is the order asked for.
    for (name, value) in attributes {
        update(&mut md5, name.as_bytes());
        update(&mut md5, value.data_type.as_bytes());
        match &value.content {
            AttributeContent::Text(text) => {
                md5.update([TRANSPORT_TEXT]);
                update(&mut md5, text.as_bytes());
            }
            AttributeContent::Binary(bytes) => {
                md5.update([TRANSPORT_BINARY]);
                update(&mut md5, bytes);
            }
        }
    }
    Some(md5.finalize().into())
}

fn update(md5: &mut Md5, bytes: &[u8]) {
    // No part is longer than a message, which is far below 4 GiB.
    md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    md5.update(bytes);
}

/// A message id: a UUID that the store and the message's serial number decide.
pub(crate) fn message_id(store_id: u64, serial: u64) -> String {
    let mut md5 = Md5::new();
    md5.update(store_id.to_be_bytes());
    md5.update(serial.to_be_bytes());
    let mut bytes: Md5Bytes = md5.finalize().into();
    // Version 8 (free form) and the variant of RFC 9562.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let h = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 0x0f])
        .map(|n| char::from(DIGITS[usize::from(n)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::message::AttributeValue;

    fn text(data_type: &str, value: &str) -> AttributeValue {
        AttributeValue {
            data_type: data_type.to_owned(),
            content: AttributeContent::Text(value.to_owned()),
        }
    }

    fn digest(attributes: &[(&str, AttributeValue)]) -> String {
        let attributes: BTreeMap<_, _> = attributes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        hex(&of_attributes(&attributes).unwrap())
    }

    /// The answers are those of the npm package `aws-md5-of-message-attributes`, made from real SQS answers.
    #[test]
    fn the_digest_of_attributes_is_that_of_aws_for_text_numbers_and_bytes() {
        let plain = ("attribName1", text("String", "attribValue 1"));
        let number = (
            "customNumberTypeAttrib",
            text("Number.float", "4563442423554324324264524243.32543234"),
        );
        let content = AttributeContent::Binary(b"Hello binary world!".to_vec());
        let binary = (
            "binaryAttribute",
            AttributeValue {
                data_type: "Binary".to_owned(),
                content,
            },
        );
        assert_eq!(digest(std::slice::from_ref(&plain)), "19e27d4e946b072f3f58da80d94fd778");
        assert_eq!(
            digest(std::slice::from_ref(&number)),
            "9fe1b90bbd9965bdf77bac517c7d2495"
        );
        assert_eq!(
            digest(std::slice::from_ref(&binary)),
            "31a92b15d92f8db860eda32aceb656c3"
        );
        assert_eq!(digest(&[plain, number, binary]), "c932db14a896c663f83c260297d594ff");
    }

    #[test]
    fn the_digest_of_a_body_is_its_md5() {
        assert_eq!(hex(&of_body("hello")), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(of_attributes(&BTreeMap::new()), None);
    }

    #[test]
    fn a_message_id_is_a_uuid_and_differs_by_store_and_serial() {
        let id = message_id(1, 2);
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'8');
        assert!(id != message_id(1, 3) && id != message_id(2, 2));
    }
}
