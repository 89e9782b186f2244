//! Numbers from the bits of a record, and numbers as JSON.

use serde_json::Value;

/// At most 128 bits, in the order of this machine, which is that of its kernel.
pub(super) fn bits(bytes: &[u8], offset: usize, width: usize) -> Option<u128> {
    let (first, shift) = (offset / 8, offset % 8);
    let length = (shift + width).div_ceil(8);
    if width == 0 || width > 128 || length > 16 {
        return None;
    }
    let mut word = [0; 16];
    word[..length].copy_from_slice(bytes.get(first..first + length)?);
    let raw = u128::from_le_bytes(word) >> shift;
    Some(if width == 128 { raw } else { raw & ((1 << width) - 1) })
}

pub(super) fn signed(raw: u128, width: usize) -> i128 {
    let unused = 128 - width.clamp(1, 128);
    ((raw << unused) as i128) >> unused
}

/// A number of so many bytes in network order.
pub(super) fn big_endian(raw: u128, size: usize) -> u128 {
    raw.swap_bytes() >> (128 - 8 * size.clamp(1, 16))
}

/// JSON numbers have 64 bits; a longer one is written as text.
pub(crate) fn number(number: i128) -> Value {
    let narrow = i64::try_from(number).map(Value::from).or_else(|_| u64::try_from(number).map(Value::from));
    narrow.unwrap_or_else(|_| Value::String(number.to_string()))
}

/// The same for 128 bits without a sign.
pub(super) fn unsigned(raw: u128) -> Value {
    i128::try_from(raw).map_or_else(|_| Value::String(raw.to_string()), number)
}

/// A number of 4 or 8 bytes.
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        8 => <[u8; 8]>::try_from(bytes).map(f64::from_le_bytes).ok(),
        _ => <[u8; 4]>::try_from(bytes).map(|bytes| f64::from(f32::from_le_bytes(bytes))).ok(),
    }
}

/// JSON has no infinite numbers.
pub(super) fn float_value(bytes: &[u8]) -> Value {
    match float(bytes) {
        Some(number) if number.is_finite() => number.into(),
        Some(number) => number.to_string().into(),
        None => Value::Null,
    }
}
