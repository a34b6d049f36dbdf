//! Numbers as Java writes and reads them, and names of exceptions.

/// What Kafka Connect throws in a few places where others throw a DataException.
pub const CONNECT_EXCEPTION: &str = "org.apache.kafka.connect.errors.ConnectException";
/// A schema that cannot be built.
pub const SCHEMA_BUILDER_EXCEPTION: &str = "org.apache.kafka.connect.errors.SchemaBuilderException";
/// A field that a schema does not have.
pub const ILLEGAL_ARGUMENT: &str = "java.lang.IllegalArgumentException";

/// `Double.toString`: with at least one digit after the point, in scientific notation below 0.001 and from 10,000,000 on.
pub fn double(number: f64) -> String {
    decimal(format!("{number:e}"), number.abs() >= 1e-3 && number.abs() < 1e7, number == 0.0)
}

/// `Float.toString`.
pub fn float(number: f32) -> String {
    decimal(format!("{number:e}"), number.abs() >= 1e-3 && number.abs() < 1e7, number == 0.0)
}

/// Whether a JSON number is a `long` as `Long.toString` spells it. Those of 19 digits are not looked at.
pub fn is_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number).as_bytes();
    let leads = digits.first() != Some(&b'0') || number == "0";
    (1..=18).contains(&digits.len()) && leads && digits.iter().all(u8::is_ascii_digit)
}

/// Whether a JSON number is spelled as `Double.toString` spells it without an exponent. Of decimals with at most 15 digits no two are the
/// same double, so that there is no shorter text.
pub fn is_plain_double(number: &str) -> bool {
    let Some((whole, fraction)) = number.strip_prefix('-').unwrap_or(number).split_once('.') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = whole.len() <= 7 && whole.len() + fraction.len() <= 15;
    let is_trimmed = fraction == "0" || !fraction.ends_with('0');
    let leads = if whole == "0" { fraction == "0" || !fraction.starts_with("000") } else { !whole.starts_with('0') };
    is_short && is_trimmed && leads && digits(whole) && digits(fraction)
}

/// Takes the shortest digits, which Rust and Java agree on, from Rust's scientific notation.
fn decimal(scientific: String, plain: bool, zero: bool) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if zero {
        return format!("{sign}0.0");
    }
    if !plain {
        return format!("{sign}{whole}.{fraction}E{exponent}");
    }
    let digits = if fraction == "0" { whole.to_owned() } else { format!("{whole}{fraction}") };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let point = exponent.unsigned_abs() as usize + 1;
    let digits = format!("{digits:0<point$}");
    let (whole, fraction) = digits.split_at_checked(point).unwrap_or((&digits, ""));
    format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}

/// The text of a BigDecimal with this unscaled value (`BigDecimal.toString`).
pub fn big_decimal(unscaled: i128, scale: i32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let exponent = i64::from(-scale) + digits.len() as i64 - 1;
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    if scale > 0 && exponent >= -6 {
        let width = scale.unsigned_abs() as usize + 1;
        let digits = format!("{digits:0>width$}");
        let (whole, fraction) = digits.split_at_checked(digits.len() + 1 - width).unwrap_or((&digits, ""));
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{exponent:+}")
}

/// The value of two's-complement bytes, if 128 bits can hold it.
pub fn big_integer(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let sign = if first >> 7 == 1 { 0xff } else { 0 };
    let (extension, low) = bytes.split_at_checked(bytes.len().saturating_sub(16))?;
    if extension.iter().any(|&byte| byte != sign) || (!extension.is_empty() && low.first()? >> 7 != sign >> 7) {
        return None;
    }
    let mut all = [sign; 16];
    all.get_mut(16 - low.len()..)?.copy_from_slice(low);
    Some(i128::from_be_bytes(all))
}

/// The shortest two's-complement bytes of a value.
pub fn big_integer_bytes(value: i128) -> Vec<u8> {
    let sign = if value < 0 { 0xff } else { 0 };
    let mut bytes = value.to_be_bytes().to_vec();
    while let [first, second, ..] = bytes.as_slice()
        && *first == sign
        && second >> 7 == sign >> 7
    {
        bytes.remove(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_floats_as_java_does() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (123456.789, "123456.789"),
            (9999999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (0.001, "0.001"),
            (0.0123, "0.0123"),
            (0.00099, "9.9E-4"),
            (1e-300, "1.0E-300"),
        ] {
            assert_eq!(double(number), expected);
        }
        assert_eq!(
            (float(0.1), float(1e10), float(16777216.0)),
            ("0.1".to_owned(), "1.0E10".to_owned(), "1.6777216E7".to_owned())
        );
    }

    #[test]
    fn writes_decimals_as_java_does() {
        for (unscaled, scale, expected) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-1234, 2, "-12.34"),
            (1234, 0, "1234"),
            (1, 7, "1E-7"),
            (12, 8, "1.2E-7"),
            (12, -2, "1.2E+3"),
        ] {
            assert_eq!(big_decimal(unscaled, scale), expected);
        }
    }

    #[test]
    fn reads_and_writes_big_integers() {
        for (value, bytes) in [(0, vec![0]), (127, vec![127]), (128, vec![0, 128]), (-1, vec![255]), (-129, vec![255, 127])] {
            assert_eq!(big_integer_bytes(value), bytes);
            assert_eq!(big_integer(&bytes), Some(value));
        }
        assert_eq!(big_integer(&[[255; 4].as_slice(), &i128::MIN.to_be_bytes()].concat()), Some(i128::MIN));
        assert_eq!(big_integer(&[[0; 4].as_slice(), &i128::MIN.to_be_bytes()].concat()), None);
        assert_eq!(big_integer(&[1; 17]), None);
        assert_eq!(big_integer(&[]), None);
    }
}
