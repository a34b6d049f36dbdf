//! Numbers and their texts, a column at a time: what `FixedConverter` does where nothing else stands between its cells.

/// The texts of numbers of `N` bytes that stand one after the other, and how long each is. `write` puts a text at the start of a block and
/// answers its length; `None` from it, or bytes that are left over, are `None` of the whole.
pub fn write_column<const N: usize, const MOST: usize>(
    data: &[u8],
    write: impl Fn([u8; N], &mut [u8; MOST]) -> Option<usize>,
) -> Option<(Vec<u8>, Vec<i32>)> {
    let (numbers, []) = data.as_chunks::<N>() else { return None };
    let mut texts = vec![0; numbers.len() * MOST];
    let mut lengths = Vec::with_capacity(numbers.len());
    let mut end = 0;
    for number in numbers {
        let length = write(*number, texts.get_mut(end..)?.first_chunk_mut()?)?;
        lengths.push(length as i32);
        end += length;
    }
    texts.truncate(end);
    Some((texts, lengths))
}

/// The numbers of `N` bytes that texts of these lengths say. `read` is given all that is left, and how much of it is the next text.
pub fn read_column<const N: usize>(
    data: &[u8],
    lengths: &[i32],
    read: impl Fn(&[u8], usize) -> Option<[u8; N]>,
) -> Option<(Vec<u8>, Vec<i32>)> {
    let mut numbers = Vec::with_capacity(lengths.len() * N);
    let mut rest = data;
    for length in lengths {
        let length = usize::try_from(*length).ok()?;
        numbers.extend_from_slice(&read(rest, length)?);
        rest = rest.get(length..)?;
    }
    Some((numbers, vec![N as i32; lengths.len()]))
}

/// Puts a text at the start of a block, and answers its length.
pub fn put(text: &[u8], block: &mut [u8]) -> Option<usize> {
    block.get_mut(..text.len())?.copy_from_slice(text);
    Some(text.len())
}

/// Eight bytes of the same value.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// What `length` digits at the start of `bytes` say, at most eight. Where there are eight bytes they are read at once, whatever stands
/// behind the digits.
fn digits(bytes: &[u8], length: usize) -> Option<u64> {
    if !(1..=8).contains(&length) {
        return None;
    }
    let Some(block) = bytes.first_chunk::<8>() else {
        let digits = bytes.get(..length)?;
        return digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')));
    };
    // Zeros in front of them, the first digit in the lowest byte.
    let digits = (u64::from_le_bytes(*block) ^ eight(b'0')) << (64 - 8 * length);
    const ABOVE_NINE: u64 = eight(0x80 - 10);
    if (digits.wrapping_add(ABOVE_NINE) | digits) & eight(0x80) != 0 {
        return None;
    }
    // Pairs, then two pairs of them at once: the weights are 100 and 1,000,000, 1 and 10,000.
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let pairs = digits.wrapping_mul(10) + (digits >> 8);
    let upper = (pairs & PAIRS).wrapping_mul(0x000F_4240_0000_0064);
    let lower = (pairs >> 16 & PAIRS).wrapping_mul(0x0000_2710_0000_0001);
    Some(upper.wrapping_add(lower) >> 32)
}

/// A text without its sign, and whether it had one.
fn unsigned(bytes: &[u8], length: usize) -> Option<(&[u8], usize, bool)> {
    match bytes.split_first()? {
        (b'-', rest) => Some((rest, length.checked_sub(1)?, true)),
        _ => Some((bytes, length, false)),
    }
}

/// The integer that `length` bytes at the start of `bytes` spell as JSON does; leading zeros are let through.
pub fn integer(bytes: &[u8], length: usize) -> Option<i64> {
    let (number, digit_count, negative) = unsigned(bytes, length)?;
    let number = match digit_count {
        0..=8 => digits(number, digit_count)?,
        9..=16 => digits(number, digit_count - 8)? * 100_000_000 + digits(number.get(digit_count - 8..)?, 8)?,
        _ => {
            let all = number.get(..digit_count)?;
            let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
            return all.iter().all(u8::is_ascii_digit).then(|| text.parse().ok()).flatten();
        }
    };
    let number = number.cast_signed();
    Some(if negative { -number } else { number })
}

/// The double that `length` bytes at the start of `bytes` spell: up to seven digits, a point and up to eight digits. A quotient of two
/// numbers that doubles hold exactly is rounded once, and so is the nearest double. `None` for all else.
pub fn fraction(bytes: &[u8], length: usize) -> Option<f64> {
    const POWERS: [u32; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let (number, length, negative) = unsigned(bytes, length)?;
    // The lowest byte of these that is 0 after the exclusive or, is a point.
    let points = u64::from_le_bytes(*number.first_chunk::<8>()?) ^ eight(b'.');
    let found = points.wrapping_sub(eight(1)) & !points & eight(0x80);
    let whole = (found != 0).then_some(found.trailing_zeros() as usize / 8)?;
    let places = length.checked_sub(whole + 1)?;
    let power = POWERS.get(places)?;
    let parts = digits(number, whole)? * u64::from(*power) + digits(number.get(whole + 1..)?, places)?;
    let value = parts as f64 / f64::from(*power);
    Some(if negative { -value } else { value })
}

/// The nearest float of what [`fraction`] reads. Rounding twice is wrong only if the double is halfway between two floats.
pub fn float_fraction(bytes: &[u8], length: usize) -> Option<f32> {
    const BELOW_A_FLOAT: u64 = (1 << 29) - 1;
    const HALFWAY: u64 = 1 << 28;
    let double = fraction(bytes, length)?;
    (double.to_bits() & BELOW_A_FLOAT != HALFWAY).then_some(double as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with nothing behind it, and with digits and a point behind it.
    fn contexts(text: &str) -> [Vec<u8>; 3] {
        ["", "123456789", ".25.25.25"].map(|behind| format!("{text}{behind}").into_bytes())
    }

    #[test]
    fn integers_are_read_as_the_standard_library_reads_them() {
        let mut texts: Vec<String> = [
            "",
            "-",
            "+1",
            "12a",
            "a12",
            "1-2",
            "--1",
            "007",
            "-0",
            "12345678x",
            "x2345678",
            "1.5",
            "1e3",
            "/1",
            "1:",
            "1\u{80}",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "99999999999999999999999",
            "-",
            "1 ",
            " 1",
        ]
        .map(str::to_owned)
        .to_vec();
        for digits in 1..=19 {
            let nine = "9".repeat(digits);
            let mixed: String = "1234567890123456789"[..digits].to_owned();
            texts.extend([nine.clone(), format!("-{nine}"), mixed.clone(), format!("-{mixed}"), format!("{mixed}x")]);
        }
        for text in texts {
            let expect = if text.starts_with('+') { None } else { text.parse().ok() };
            for bytes in contexts(&text) {
                assert_eq!(integer(&bytes, text.len()), expect, "{text}");
            }
        }
        for byte in 0..=u8::MAX {
            let text = [b'1', b'2', b'3', byte, b'5', b'6', b'7', b'8'];
            assert_eq!(integer(&text, 8).is_some(), byte.is_ascii_digit(), "{byte}");
        }
    }

    #[test]
    fn fractions_are_the_nearest() {
        let mut texts: Vec<String> =
            ["", "-", ".", "1.", ".5", "1.5e3", "1,5", "1", "NaN", "1.5.5", "-.5", "12345678.5", "1.123456789", "1.0E7"]
                .map(str::to_owned)
                .to_vec();
        for step in 0..20_000_u64 {
            let parts = step * 499_999_999_993 % 1_000_000_000_000_000;
            for places in 1..=8 {
                let power = 10_u64.pow(places);
                texts.push(format!("-{}.{:0width$}", parts / power, parts % power, width = places as usize));
                texts.push(format!("{}.{:0width$}", parts / power % 10_000_000, parts % power, width = places as usize));
            }
        }
        // Halfway between two floats, and beside it.
        texts.extend(["16777217.0", "1677721.75", "838860.875", "8388608.5", "838860.84375", "4194304.75"].map(str::to_owned));
        for text in texts {
            let parts: Vec<&str> = text.trim_start_matches('-').split('.').collect();
            let is_plain = parts.len() == 2 && (1..=7).contains(&parts[0].len()) && (1..=8).contains(&parts[1].len());
            let is_plain = is_plain && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            for bytes in contexts(&text) {
                let (double, float) = (fraction(&bytes, text.len()), float_fraction(&bytes, text.len()));
                let read = bytes.len() - usize::from(text.starts_with('-')) >= 8;
                assert_eq!(double.is_some(), is_plain && read, "{text}");
                assert!(double.is_none_or(|double| double.to_bits() == text.parse::<f64>().unwrap().to_bits()), "{text}");
                assert!(float.is_none_or(|float| float.to_bits() == text.parse::<f32>().unwrap().to_bits()), "{text}");
            }
        }
    }

    #[test]
    fn columns_are_written_and_read() {
        let write = |number: [u8; 2], block: &mut [u8; 6]| put(i16::from_be_bytes(number).to_string().as_bytes(), block);
        let read = |bytes: &[u8], length| Some(i16::try_from(integer(bytes, length)?).ok()?.to_be_bytes());
        let numbers: Vec<u8> = [0_i16, 1, -1, 12345, i16::MIN, i16::MAX].iter().flat_map(|number| number.to_be_bytes()).collect();
        let (texts, lengths) = write_column(&numbers, write).unwrap();
        assert_eq!((texts.as_slice(), lengths.as_slice()), (&b"01-112345-3276832767"[..], &[1, 1, 2, 5, 6, 5][..]));
        assert_eq!(read_column(&texts, &lengths, read), Some((numbers.clone(), vec![2; 6])));
        assert_eq!(write_column(&numbers[..3], write), None);
        assert_eq!(read_column(b"40000", &[5], read), None);
        assert_eq!(read_column(b"4", &[-1], read), None);
        assert_eq!(read_column(b"4", &[1, 1], read), None);
    }
}
