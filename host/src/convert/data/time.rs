//! Dates and times as text, in UTC and the calendar of ISO 8601 throughout: Kafka Connect takes the JVM's time zone.

use super::value::Value;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// A moment of the calendar.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
    /// Thursday is 0, as was the epoch.
    weekday: i64,
}

impl Moment {
    fn of(ms: i64) -> Self {
        let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let (year, month, day) = civil(days);
        Moment {
            year,
            month,
            day,
            hour: in_day / 3_600_000,
            minute: in_day / 60_000 % 60,
            second: in_day / 1000 % 60,
            millisecond: in_day % 1000,
            weekday: days.rem_euclid(7),
        }
    }

    fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", year_of_era(self.year), self.month, self.day)
    }

    fn time(&self) -> String {
        format!("{:02}:{:02}:{:02}.{:03}Z", self.hour, self.minute, self.second, self.millisecond)
    }
}

/// Year, month and day of a day since the epoch (the days-to-civil algorithm of Howard Hinnant).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The day since the epoch; months and days beyond their range roll over, as in Java's lenient calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468 + day - 1
}

/// As `java.util.Date.toString`.
pub fn java_date(ms: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Moment { year, month, day, hour, minute, second, weekday, .. } = Moment::of(ms);
    let weekday = WEEKDAYS.get(weekday as usize).copied().unwrap_or_default();
    let month = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {:04}", year_of_era(year))
}

/// As `Values.convertToString` writes a moment: a time if it is not past the first day of the epoch, a date if it is midnight, else both.
pub fn header_text(ms: i64) -> String {
    let moment = Moment::of(ms);
    if ms < DAY_MS {
        moment.time()
    } else if ms % DAY_MS == 0 {
        moment.date()
    } else {
        format!("{}T{}", moment.date(), moment.time())
    }
}

/// A date, time or timestamp as ISO 8601 has it; empty for other values.
pub fn iso_text(value: &Value) -> String {
    let Some(ms) = value.milliseconds() else { return String::new() };
    let moment = Moment::of(ms);
    match value {
        Value::Date(_) => moment.date(),
        Value::Time(_) => moment.time(),
        _ => format!("{}T{}", moment.date(), moment.time()),
    }
}

fn year_of_era(year: i64) -> i64 {
    if year > 0 { year } else { 1 - year }
}

/// What a header's text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporal {
    /// Days since the epoch.
    Date(i64),
    /// Milliseconds after midnight.
    Time(i64),
    /// Milliseconds since the epoch.
    Timestamp(i64),
}

/// Reads a date, time or timestamp as `Values.parseString` does: by the text's length, leniently, whatever stands behind the pattern.
pub fn parse(text: &str) -> Option<Temporal> {
    const SHORTEST: usize = 10;
    if text.len() < SHORTEST {
        return None;
    }
    let mut fields = Fields { rest: text };
    match text.encode_utf16().count() {
        10 => fields.date().map(Temporal::Date),
        13 => fields.time().map(Temporal::Time),
        24 => {
            let date = fields.date()?;
            fields.literal("T")?;
            Some(Temporal::Timestamp(date.checked_mul(DAY_MS)?.checked_add(fields.time()?)?))
        }
        _ => None,
    }
}

struct Fields<'a> {
    rest: &'a str,
}

impl Fields<'_> {
    fn date(&mut self) -> Option<i64> {
        let year = self.number()?;
        self.literal("-")?;
        let month = self.number()?;
        self.literal("-")?;
        Some(days(year, month, self.number()?))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number()?;
        self.literal(":")?;
        let minute = self.number()?;
        self.literal(":")?;
        let second = self.number()?;
        self.literal(".")?;
        let millisecond = self.number()?;
        self.literal("Z")?;
        Some(hour * 3_600_000 + minute * 60_000 + second * 1000 + millisecond)
    }

    fn number(&mut self) -> Option<i64> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        number.parse::<i32>().ok().map(i64::from)
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_goes_both_ways() {
        for day in (-800_000..800_000).step_by(13) {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
        assert_eq!((civil(0), civil(19_782), civil(-1)), ((1970, 1, 1), (2024, 2, 29), (1969, 12, 31)));
    }

    #[test]
    fn texts() {
        assert_eq!(java_date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(java_date(1_709_210_096_789), "Thu Feb 29 12:34:56 UTC 2024");
        assert_eq!(header_text(45_296_789), "12:34:56.789Z");
        assert_eq!(header_text(DAY_MS), "1970-01-02");
        assert_eq!(header_text(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        for extreme in [i64::MIN, i64::MAX] {
            java_date(extreme);
            header_text(extreme);
        }
    }

    #[test]
    fn reading() {
        fn check(text: &str, expect: Option<Temporal>) {
            assert_eq!(parse(text), expect, "{text}");
        }
        check("2024-02-29", Some(Temporal::Date(19_782)));
        check("12:34:56.789Z", Some(Temporal::Time(45_296_789)));
        check("12:34:56.78Z ", Some(Temporal::Time(45_296_078)));
        check("12:34:56.78Z", None);
        check("2147483647-1-1T1:1:1.11Z", None);
        check("2024-02-29T12:34:56.789Z", Some(Temporal::Timestamp(1_709_210_096_789)));
        check("2024-13-01", Some(Temporal::Date(20_089)));
        check("2024-02-2x", Some(Temporal::Date(19_755)));
        check("2024/02/29", None);
        check("123456789012", None);
        check("1234567890", None);
        check("99999999999999999999-1-1", None);
    }
}
