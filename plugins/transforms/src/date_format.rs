//! Java's SimpleDateFormat, in UTC and English, as far as timestamps without a calendar of their own need it.

use std::fmt::Write;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/// Day 0 of the epoch was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
/// Milliseconds in a day.
pub const DAY: i64 = 86_400_000;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A letter, and how often it stands there.
    Field(char, usize),
}

/// A point in time, taken apart.
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    days: i64,
    /// Milliseconds of the day.
    millis: i64,
}

impl DateFormat {
    /// # Errors
    /// What is wrong with the pattern, or not supported of it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\'' if rest.next_if_eq(&'\'').is_some() => push_text(&mut parts, '\''),
                '\'' => loop {
                    match rest.next() {
                        Some('\'') if rest.next_if_eq(&'\'').is_some() => push_text(&mut parts, '\''),
                        Some('\'') => break,
                        Some(character) => push_text(&mut parts, character),
                        None => return Err("Unterminated quote".to_owned()),
                    }
                },
                letter if letter.is_ascii_alphabetic() => {
                    if "GYuDFwWL".contains(letter) {
                        return Err(format!("The pattern character '{letter}' is not supported"));
                    }
                    if !"yMdEaHkKhmsSzZX".contains(letter) {
                        return Err(format!("Illegal pattern character '{letter}'"));
                    }
                    let mut count = 1;
                    while rest.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    parts.push(Part::Field(letter, count));
                }
                character => push_text(&mut parts, character),
            }
        }
        Ok(Self { parts })
    }

    /// Writes a point in time, in milliseconds since the epoch.
    pub fn format(&self, millis: i64) -> String {
        let civil = Civil::of(millis);
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Field(letter, count) => civil.write(&mut text, *letter, *count),
            }
        }
        text
    }

    /// Reads a point in time, in milliseconds since the epoch. Lenient, as in Java: numbers may be out of range, and
    /// what follows the part that matches does not count.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let mut reading = Reading::default();
        let mut rest = text;
        for (place, part) in self.parts.iter().enumerate() {
            rest = match part {
                Part::Text(literal) => rest.strip_prefix(literal.as_str())?,
                Part::Field(letter, count) => {
                    // Digits that run into the next number are shared out by the counts.
                    let adjacent =
                        matches!(self.parts.get(place + 1), Some(Part::Field(next, count)) if is_number(*next, *count));
                    reading.read(*letter, *count, adjacent, rest)?
                }
            };
        }
        reading.millis()
    }
}

fn push_text(parts: &mut Vec<Part>, character: char) {
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push(character),
        _ => parts.push(Part::Text(character.to_string())),
    }
}

fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'E' | 'a' | 'z' | 'Z' | 'X' => false,
        'M' => count <= 2,
        _ => true,
    }
}

impl Civil {
    /// Days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    fn of(millis: i64) -> Self {
        let days = millis.div_euclid(DAY);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let small = |number: i64| u32::try_from(number).unwrap_or_default();
        Self { year, month: small(month), day: small(day), days, millis: millis.rem_euclid(DAY) }
    }

    fn write(&self, text: &mut String, letter: char, count: usize) {
        let hour = self.millis / 3_600_000;
        let month = MONTHS.get(self.month as usize - 1).copied().unwrap_or_default();
        let weekday =
            usize::try_from(self.days.rem_euclid(7)).ok().and_then(|day| WEEKDAYS.get(day)).copied().unwrap_or_default();
        let number = match letter {
            'y' if count == 2 => self.year.rem_euclid(100),
            // Java counts the years before 1 from 1 backwards.
            'y' if self.year < 1 => 1 - self.year,
            'y' => self.year,
            'M' if count > 3 => return text.push_str(month),
            'M' if count == 3 => return text.push_str(month.get(..3).unwrap_or(month)),
            'M' => i64::from(self.month),
            'd' => i64::from(self.day),
            'E' if count > 3 => return text.push_str(weekday),
            'E' => return text.push_str(weekday.get(..3).unwrap_or(weekday)),
            'a' => return text.push_str(if hour < 12 { "AM" } else { "PM" }),
            'H' => hour,
            'k' => (hour + 23) % 24 + 1,
            'K' => hour % 12,
            'h' => (hour + 11) % 12 + 1,
            'm' => self.millis / 60_000 % 60,
            's' => self.millis / 1000 % 60,
            'S' => self.millis % 1000,
            'z' => return text.push_str(if count > 3 { "Coordinated Universal Time" } else { "UTC" }),
            'Z' => return text.push_str("+0000"),
            _ => return text.push('Z'),
        };
        let _ = write!(text, "{number:0count$}"); // Writing into a String cannot fail.
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reading {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    milli: i64,
    /// Milliseconds ahead of UTC.
    zone: i64,
}

impl Reading {
    /// Reads a field; answers with what follows.
    fn read<'a>(&mut self, letter: char, count: usize, adjacent: bool, text: &'a str) -> Option<&'a str> {
        let text = text.trim_start_matches([' ', '\t']);
        match letter {
            'M' if count > 2 => {
                let (month, rest) = name(text, &MONTHS)?;
                self.month = Some(month + 1);
                return Some(rest);
            }
            'E' => return Some(name(text, &WEEKDAYS)?.1),
            'a' => {
                let (half, rest) = text.split_at_checked(2)?;
                self.afternoon = match half {
                    half if half.eq_ignore_ascii_case("AM") => Some(false),
                    half if half.eq_ignore_ascii_case("PM") => Some(true),
                    _ => return None,
                };
                return Some(rest);
            }
            'z' | 'Z' | 'X' => {
                let (zone, rest) = zone(letter, text)?;
                self.zone = zone;
                return Some(rest);
            }
            _ => {}
        }
        let (number, digits, rest) = number(text, adjacent.then_some(count))?;
        match letter {
            // Java: within 80 years before and 20 years after now. Here the century does not move.
            'y' if count <= 2 && digits == 2 => self.year = Some(if number < 50 { 2000 + number } else { 1900 + number }),
            'y' => self.year = Some(number),
            'M' => self.month = Some(number),
            'd' => self.day = Some(number),
            'H' => self.hour = number,
            'k' => self.hour = if number == 24 { 0 } else { number },
            'K' => self.hour = number,
            'h' => self.hour = if number == 12 { 0 } else { number },
            'm' => self.minute = number,
            's' => self.second = number,
            _ => self.milli = number,
        }
        Some(rest)
    }

    fn millis(&self) -> Option<i64> {
        let months = self.year.unwrap_or(1970).checked_mul(12)?.checked_add(self.month.unwrap_or(1) - 1)?;
        let days = first_of_month(months.div_euclid(12), months.rem_euclid(12) + 1)?.checked_add(self.day.unwrap_or(1) - 1)?;
        let hour = self.hour + if self.afternoon == Some(true) { 12 } else { 0 };
        let of_day = hour.checked_mul(3_600_000)?.checked_add(self.minute.checked_mul(60_000)?)?;
        let of_day = of_day.checked_add(self.second.checked_mul(1000)?)?.checked_add(self.milli)?;
        days.checked_mul(DAY)?.checked_add(of_day)?.checked_sub(self.zone)
    }
}

/// Days from the epoch to the first of a month (Hinnant, as above).
fn first_of_month(year: i64, month: i64) -> Option<i64> {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era.checked_mul(146_097)?.checked_add(of_era - 719_468)
}

/// A number with its count of digits, and what follows.
fn number(text: &str, most: Option<usize>) -> Option<(i64, usize, &str)> {
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count().min(most.unwrap_or(usize::MAX));
    let (number, rest) = unsigned.split_at_checked(digits)?;
    Some((sign * number.parse::<i64>().ok()?, digits, rest))
}

/// The place of a name, in full or by its first three letters, and what follows.
fn name<'a>(text: &'a str, names: &[&str]) -> Option<(i64, &'a str)> {
    for full in [true, false] {
        for (place, name) in (0..).zip(names) {
            let name = if full { name } else { name.get(..3)? };
            match text.split_at_checked(name.len()) {
                Some((start, rest)) if start.eq_ignore_ascii_case(name) => return Some((place, rest)),
                _ => {}
            }
        }
    }
    None
}

/// A time zone as `Z`, `UTC`, `GMT`, `+01`, `+0100` or `GMT+01:00`, and what follows.
fn zone(letter: char, text: &str) -> Option<(i64, &str)> {
    if letter == 'X'
        && let Some(rest) = text.strip_prefix('Z')
    {
        return Some((0, rest));
    }
    let offset = ["UTC", "GMT"].into_iter().find_map(|name| text.strip_prefix(name));
    let signed = offset.unwrap_or(text);
    let sign = match signed.bytes().next() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return offset.map(|rest| (0, rest)),
    };
    let (hours, rest) = two_digits(signed.get(1..)?)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = two_digits(minutes).unwrap_or((0, rest));
    Some((sign * (hours * 60 + minutes) * 60_000, rest))
}

fn two_digits(text: &str) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_java_does() {
        for (pattern, millis, expected) in [
            ("yyyyMMdd", 1_483_425_001_864, "20170103"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", 1_483_425_001_864, "2017-01-03T06:30:01.864Z"),
            ("EEE, d MMM yyyy HH:mm:ss Z", 951_782_400_000, "Tue, 29 Feb 2000 00:00:00 +0000"),
            ("EEEE MMMM yy h:mm a", -1, "Wednesday December 69 11:59 PM"),
            ("hh 'o''clock' a z", 43_200_000, "12 o'clock PM UTC"),
            ("kk KK", 0, "24 00"),
            ("yyyy", 253_402_300_800_000, "10000"),
        ] {
            assert_eq!(DateFormat::new(pattern).unwrap().format(millis), expected);
        }
    }

    #[test]
    fn parses_as_java_does() {
        for (pattern, text, expected) in [
            ("yyyyMMdd", "20170103", Some(1_483_401_600_000)),
            ("yyyy-MM-dd HH:mm:ss", "2017-01-03 06:30:01 and more", Some(1_483_425_001_000)),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2017-01-03T07:30:01.864+01:00", Some(1_483_425_001_864)),
            ("yyyy-MM-dd'T'HH:mm:ssZ", "2017-01-03T07:30:01+0100", Some(1_483_425_001_000)),
            ("EEE, d MMM yyyy", "Tue, 29 Feb 2000", Some(951_782_400_000)),
            ("d MMMM yyyy", "29 february 2000", Some(951_782_400_000)),
            ("yyyy-MM-dd", "2000-02-30", Some(951_868_800_000)),
            ("h a", "12 am", Some(0)),
            ("yy", "69", Some(-31_536_000_000)),
            ("yyyy", "x", None),
            ("yyyy-MM", "2000/02", None),
            ("yyyy", "", None),
            ("yyyy", "99999999999999999999", None),
            ("yyyy", "9999999999999", None),
        ] {
            assert_eq!(DateFormat::new(pattern).unwrap().parse(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let format = DateFormat::new("yyyy-MM-dd'T'HH:mm:ss.SSSZ").unwrap();
        for millis in (-62_000_000_000_000..250_000_000_000_000).step_by(1_234_567_890_123) {
            assert_eq!(format.parse(&format.format(millis)), Some(millis));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (pattern, expected) in [
            ("yyyy'T", "Unterminated quote"),
            ("foo", "Illegal pattern character 'f'"),
            ("YYYY", "The pattern character 'Y' is not supported"),
        ] {
            assert_eq!(DateFormat::new(pattern), Err(expected.to_owned()));
        }
    }
}
