//! Content by its hash, and documents whose bytes depend on nothing but their content.

use std::str::FromStr;

use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Error;

/// `sha256:…` of these bytes.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// How these bytes are named in another document.
pub fn descriptor(media_type: impl Into<MediaType>, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type.into(), bytes.len() as u64, parse(&hex::encode(Sha256::digest(bytes))))
}

/// A hash that was computed here, in oci-spec's form.
#[expect(clippy::expect_used, reason = "a computed hash is 64 hexadecimal digits")]
pub fn parse(hex: &str) -> Sha256Digest {
    Sha256Digest::from_str(hex).expect("a SHA-256 in hexadecimal")
}

/// A document as JSON with its keys in order. oci-spec keeps annotations in hash maps: as they come, the same image would have
/// another digest every time.
pub fn document(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    let write = || {
        let mut value = serde_json::to_value(document)?;
        value.sort_all_objects();
        serde_json::to_vec(&value)
    };
    write().map_err(Error::at("write an image's description"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_document_has_the_same_bytes_whatever_order_its_annotations_come_in() {
        let annotated = || (0..20).map(|n| (format!("org.example.{n}"), n)).collect::<HashMap<_, _>>();
        let first = document(&annotated()).unwrap();
        assert!((0..20).all(|_| document(&annotated()).unwrap() == first));
    }
}
