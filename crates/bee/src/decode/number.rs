//! The numbers that a filter compares with, exactly: `2us`, `0x1f`, `2.5`, `9007199254740993`.

use std::cmp::Ordering;

/// A fraction, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    numerator: i128,
    denominator: i128,
}

/// Nanoseconds in a unit.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

impl Number {
    pub fn new(integer: i128) -> Self {
        Self { numerator: integer, denominator: 1 }
    }

    /// A decimal number, or a hexadecimal integer after `0x`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_prefix("0x") {
            return i128::from_str_radix(digits, 16).ok().map(Self::new);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit());
        // Nine digits of a fraction are nanoseconds of a second.
        if !is_number || fraction.len() > 18 || text.ends_with('.') {
            return None;
        }
        let denominator = 10i128.pow(u32::try_from(fraction.len()).ok()?);
        let numerator = format!("{whole}{fraction}").parse::<i128>().ok()?;
        Some(Self { numerator, denominator })
    }

    /// A time in nanoseconds: a number with its unit, or without one a number of nanoseconds.
    pub fn parse_time(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let nanoseconds = match unit.trim() {
            "" => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        let number = Self::parse(number)?;
        Some(Self { numerator: number.numerator.checked_mul(nanoseconds)?, ..number })
    }

    /// The integer that it is, if it is one.
    pub fn whole(self) -> Option<i128> {
        (self.numerator % self.denominator == 0).then(|| self.numerator / self.denominator)
    }

    /// How an integer compares with it.
    pub fn compare(self, integer: i128) -> Ordering {
        match integer.checked_mul(self.denominator) {
            Some(scaled) => scaled.cmp(&self.numerator),
            // It is larger than every numerator.
            None => integer.cmp(&0),
        }
    }

    /// How a floating-point number compares with it; not at all if that is not a number.
    pub fn compare_float(self, number: f64) -> Option<Ordering> {
        number.partial_cmp(&(self.numerator as f64 / self.denominator as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_compared_exactly() {
        let large = Number::parse("9007199254740993").unwrap();
        assert_eq!(large.compare(9_007_199_254_740_992), Ordering::Less);
        assert_eq!(large.compare(9_007_199_254_740_993), Ordering::Equal);
        assert_eq!(Number::parse("0x10"), Some(Number::new(16)));
        assert_eq!(Number::parse("-2.5").unwrap().compare(-2), Ordering::Greater);
        assert_eq!(Number::parse("-0.5").unwrap().compare(0), Ordering::Greater);
        assert_eq!(Number::parse("0.5").unwrap().compare(i128::MAX), Ordering::Greater);
        for wrong in ["", "many", "1.", "1e3", "0x", "1.2.3", "--1", "1 2"] {
            assert_eq!(Number::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, nanoseconds) in
            [("2us", 2_000), ("1.5ms", 1_500_000), ("3 s", 3_000_000_000), ("7", 7), ("2µs", 2_000)]
        {
            assert_eq!(Number::parse_time(text).unwrap().compare(nanoseconds), Ordering::Equal, "{text}");
        }
        for wrong in ["us", "1 fortnight", "2xs"] {
            assert_eq!(Number::parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_float_that_is_not_a_number_compares_with_nothing() {
        assert_eq!(Number::parse("1.5").unwrap().compare_float(1.5), Some(Ordering::Equal));
        assert_eq!(Number::parse("1.5").unwrap().compare_float(f64::NAN), None);
    }
}
