//! Java's BigDecimal, as far as converters need it.

use num_bigint::{BigInt, Sign};

/// Powers of ten by which a decimal is scaled up at most, so that a short text cannot ask for a huge number.
const MAX_SHIFT: i64 = 10_000;
/// Digits of a decimal's text at most; longer ones are no numbers to the callers. Turning digits into bytes and back takes time that
/// grows with their square.
const MAX_DIGITS: usize = 10_000;
/// Bytes of a decimal at most, for the same reason: some 9,900 digits.
const MAX_BYTES: usize = 4096;

/// `unscaled * 10^-scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    /// All digits as one integer.
    pub unscaled: BigInt,
    /// Digits behind the point; negative for zeros before it.
    pub scale: i32,
}

impl Decimal {
    /// Reads what `new BigDecimal(String)` reads, ASCII digits only.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, exponent(text.get(at + 1..)?)?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len() + fraction.len();
        if count == 0 || count > MAX_DIGITS || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let magnitude = BigInt::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10)?;
        let scale = i32::try_from(fraction.len() as i64 - exponent).ok()?;
        Some(Decimal { unscaled: if negative { -magnitude } else { magnitude }, scale })
    }

    /// From the bytes of a Connect Decimal: the unscaled value, big-endian two's complement. `None` if there are none, or more than 4096.
    pub fn from_bytes(bytes: &[u8], scale: i32) -> Option<Self> {
        (1..=MAX_BYTES).contains(&bytes.len()).then(|| Decimal { unscaled: BigInt::from_signed_bytes_be(bytes), scale })
    }

    /// The bytes of a Connect Decimal.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.unscaled.to_signed_bytes_be()
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.unscaled.sign() == Sign::NoSign
    }

    /// Digits of the unscaled value.
    pub fn digits(&self) -> usize {
        self.unscaled.magnitude().to_string().len()
    }

    /// The same number with another scale, if it has one.
    pub fn rescale(&self, scale: i32) -> Option<Self> {
        let shift = i64::from(scale) - i64::from(self.scale);
        let ten = BigInt::from(10);
        let unscaled = match shift {
            _ if self.is_zero() => BigInt::ZERO,
            0..=MAX_SHIFT => &self.unscaled * ten.pow(shift as u32),
            i64::MIN..0 if shift >= -MAX_SHIFT => {
                let divisor = ten.pow(-shift as u32);
                let quotient = &self.unscaled / &divisor;
                (&quotient * divisor == self.unscaled).then_some(quotient)?
            }
            _ => return None,
        };
        Some(Decimal { unscaled, scale })
    }
}

fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse::<i32>().ok().map(i64::from))?
}

impl std::fmt::Display for Decimal {
    /// As `BigDecimal.toString`: with an exponent when the scale is negative or the number very small.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.unscaled.magnitude().to_string();
        let sign = if self.unscaled.sign() == Sign::Minus { "-" } else { "" };
        let scale = i64::from(self.scale);
        let adjusted = digits.len() as i64 - 1 - scale;
        if scale == 0 {
            return write!(out, "{sign}{digits}");
        }
        if scale > 0 && adjusted >= -6 {
            let point = digits.len() as i64 - scale;
            return match usize::try_from(point) {
                Ok(point) if point > 0 => {
                    let (whole, fraction) = digits.split_at(point);
                    write!(out, "{sign}{whole}.{fraction}")
                }
                _ => write!(out, "{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
            };
        }
        let (first, rest) = digits.split_at(1);
        write!(out, "{sign}{first}")?;
        if !rest.is_empty() {
            write!(out, ".{rest}")?;
        }
        match adjusted {
            0 => Ok(()),
            _ => write!(out, "E{adjusted:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_java() {
        for (text, expect) in [
            ("0", "0"),
            ("-1.50", "-1.50"),
            ("+.5", "0.5"),
            ("5.", "5"),
            ("1e3", "1E+3"),
            ("12e3", "1.2E+4"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("1.23E-10", "1.23E-10"),
            ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
            ("0e5", "0E+5"),
            ("0.00", "0.00"),
            ("1e-7", "1E-7"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), expect, "{text}");
        }
        for wrong in ["", "-", ".", "1e", "1e+", "e5", "1.2.3", "1 ", "0x1", "--1", "1e99999999999", "1e-2147483648", "+-1"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bytes_are_twos_complement() {
        for (text, bytes) in [("0", &[0][..]), ("1.27", &[127]), ("1.28", &[0, 128]), ("-1.28", &[128]), ("-2.56", &[255, 0])] {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!(decimal.to_bytes(), bytes, "{text}");
            assert_eq!(Decimal::from_bytes(bytes, decimal.scale), Some(decimal));
        }
        assert_eq!(Decimal::from_bytes(&[], 2), None);
        assert_eq!(Decimal::from_bytes(&[1; 4097], 2), None);
    }

    #[test]
    fn rescaling_is_exact_or_refused() {
        let text = |text: &str, scale| Decimal::parse(text).unwrap().rescale(scale).map(|decimal| decimal.to_string());
        assert_eq!(text("1.5", 3).as_deref(), Some("1.500"));
        assert_eq!(text("1.500", 1).as_deref(), Some("1.5"));
        assert_eq!(text("1.55", 1), None);
        assert_eq!(text("1e2000000000", 0), None);
        assert_eq!(text("1e-2000000000", 0), None);
    }
}
