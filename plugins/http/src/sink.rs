//! The sink: each record, or each few of them, as the body of a request.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hawser_plugin::http::{HttpError, Request, Requests, Response};
use hawser_plugin::prelude::*;

use crate::retry::{Backoff, retry_after};
use crate::settings::{self, Codes, Common, check_codes, check_url, shown, too_long};
use crate::template::Template;

const REQUESTS: &str = "Requests";
const RETRIES: &str = "Retries";
/// Time that one `put` may take with its retries: below the worker's deadline for it, which is two minutes.
const PUT_TIME: Duration = Duration::from_secs(90);

/// Sends records to an HTTP service.
pub struct HttpSink {
    url: Template,
    method: String,
    format: Format,
    nulls: Nulls,
    content_type: String,
    common: Common,
    batch_records: usize,
    batch_bytes: usize,
    in_flight: usize,
    success: Codes,
    retriable: Codes,
    retries: u32,
    backoff: Backoff,
    /// The requests of a batch of which some failed for now: when it comes again, those that got through are not sent again.
    unfinished: Option<(BatchId, Vec<bool>)>,
}

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// One record's value.
    Record,
    /// A JSON array of values.
    Array,
    /// A value a line (NDJSON).
    Lines,
}

/// What becomes of a record without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Send,
    Skip,
    Delete,
}

/// Tells a batch that comes again from a new one: topic, partition and offset of its first and last records, and their number.
type Place = (String, Option<i32>, Option<u64>);
type BatchId = (Place, Place, usize);

/// A request and the records that it carries, by their places.
struct Part {
    request: Request,
    records: Vec<usize>,
}

/// A part that is sent for so many times.
struct Try {
    part: usize,
    tries: u32,
}

impl Class for HttpSink {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("url")
            .required()
            .check(|text| check_url(text).and_then(|()| Template::parse(text).map(drop)))
            .doc(
                "Where to send records: a URL, in which ${topic}, ${partition}, ${offset} and ${key} stand for those of the record. \
                 Its host must be granted with sandbox.http. Headers are set by keys `header.NAME`; a value may name a secret of \
                 the connector as {{secret:NAME}}.",
            )
            .group(REQUESTS)
            .string("method")
            .default_value("POST")
            .one_of(&["POST", "PUT", "PATCH", "DELETE"])
            .doc("The method of requests.")
            .group(REQUESTS)
            .string("format")
            .default_value("record")
            .one_of(&["record", "array", "lines"])
            .doc("The body of a request: one record's value, a JSON array of values, or a JSON value a line (NDJSON).")
            .group(REQUESTS)
            .string("null.values")
            .default_value("send")
            .one_of(&["send", "skip", "delete"])
            .doc(
                "What becomes of a record without a value: it is sent (without a body, or as null in an array or line), skipped, or \
                 sent as a DELETE without a body.",
            )
            .group(REQUESTS)
            .int("batch.records")
            .default_value("500")
            .at_least(1)
            .doc("Records of a body that is an array or lines.")
            .group(REQUESTS)
            .int("batch.bytes")
            .default_value("1048576")
            .at_least(1)
            .importance(Importance::Low)
            .doc("Bytes of such a body, from which the next is begun.")
            .group(REQUESTS)
            .int("requests.in.flight")
            .default_value("8")
            .at_least(1)
            .at_most(64)
            .doc("Requests under way at a time. With more than 1, requests can overtake each other.")
            .group(REQUESTS)
            .string("success.codes")
            .default_value("200-299")
            .check(check_codes)
            .importance(Importance::Low)
            .doc("Status codes that mean that the records were taken.")
            .group(RETRIES)
            .string("retry.codes")
            .default_value("408,425,429,500,502-504")
            .check(check_codes)
            .doc("Status codes after which a request is sent again. After any other, its records are handed to the error handling.")
            .group(RETRIES)
            .int("retries")
            .default_value("5")
            .at_least(0)
            .doc("How often a request is sent again before the task backs off with the whole batch. Nothing is lost then.")
            .group(RETRIES)
            .int("retry.backoff.ms")
            .default_value("500")
            .at_least(1)
            .doc("Time before the first of these; doubled each time. What the header Retry-After asks for goes before it.")
            .group(RETRIES)
            .int("retry.backoff.max.ms")
            .default_value("30000")
            .at_least(1)
            .doc("The longest such time.")
            .group(RETRIES)
            .and(settings::keys());
        ClassInfo::new("HttpSinkConnector").alias("HttpSink").summary("Sends records to an HTTP service.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let format: Result<&str> = config.get("format");
        let url = config.get("url").and_then(|url| Template::parse(url).map_err(Error::invalid_config));
        match (format, url) {
            (Ok("array" | "lines"), Ok(url)) if !url.is_per_topic() => {
                let reason = "With format=array or lines, records of a request share a URL: only ${topic} can stand in it";
                vec![Problem::new("url", reason)]
            }
            _ => Vec::new(),
        }
    }
}

impl Sink for HttpSink {
    fn start(config: &Config, _: SinkContext) -> Result<Self> {
        let format = match config.get("format")? {
            "array" => Format::Array,
            "lines" => Format::Lines,
            _ => Format::Record,
        };
        let content_type = config.find("content.type")?.unwrap_or(match format {
            Format::Record | Format::Array => "application/json",
            Format::Lines => "application/x-ndjson",
        });
        let number = |key: &str| config.get::<i32>(key).map(i32::unsigned_abs);
        Ok(Self {
            url: Template::parse(config.get("url")?).map_err(Error::invalid_config)?,
            method: config.get("method")?,
            format,
            nulls: match config.get("null.values")? {
                "skip" => Nulls::Skip,
                "delete" => Nulls::Delete,
                _ => Nulls::Send,
            },
            content_type: content_type.to_owned(),
            common: Common::new(config)?,
            batch_records: number("batch.records")? as usize,
            batch_bytes: number("batch.bytes")? as usize,
            in_flight: number("requests.in.flight")? as usize,
            success: Codes::of(config, "success.codes")?,
            retriable: Codes::of(config, "retry.codes")?,
            retries: number("retries")?,
            backoff: Backoff { first: config.get("retry.backoff.ms")?, most: config.get("retry.backoff.max.ms")? },
            unfinished: None,
        })
    }

    fn put(&mut self, batch: &Batch, failures: &mut Failures) -> Result<()> {
        let records: Vec<RecordView<'_>> = batch.iter().collect();
        let parts = self.parts(&records, failures);
        let id = batch_id(&records);
        let done = match self.unfinished.take() {
            Some((known, done)) if known == id && done.len() == parts.len() => done,
            _ => vec![false; parts.len()],
        };
        let mut sending = Sending::new(&parts, done);
        let sent = self.send(&mut sending, |part, reason| {
            parts[part].records.iter().filter_map(|at| records.get(*at)).for_each(|record| failures.add(record, reason));
        });
        if sent.is_err() {
            self.unfinished = Some((id, sending.done));
        }
        sent
    }
}

fn batch_id(records: &[RecordView<'_>]) -> BatchId {
    let place = |record: Option<&RecordView<'_>>| {
        record.map_or((String::new(), None, None), |record| (record.topic().to_owned(), record.partition(), record.offset()))
    };
    (place(records.first()), place(records.last()), records.len())
}

/// The parts of a batch on their way.
struct Sending<'p> {
    parts: &'p [Part],
    /// Those that got through.
    done: Vec<bool>,
    next: VecDeque<usize>,
    waiting: Vec<(Instant, Try)>,
}

impl<'p> Sending<'p> {
    fn new(parts: &'p [Part], done: Vec<bool>) -> Self {
        let next = (0..parts.len()).filter(|part| !done[*part]).collect();
        Self { parts, done, next, waiting: Vec::new() }
    }

    /// What is to be sent now.
    fn due(&mut self, now: Instant) -> Option<Try> {
        let due = self.waiting.iter().position(|(at, _)| *at <= now);
        match due {
            Some(place) => Some(self.waiting.swap_remove(place).1),
            None => self.next.pop_front().map(|part| Try { part, tries: 0 }),
        }
    }
}

/// What came of a try.
enum Outcome {
    Taken,
    /// For good.
    Refused(String),
    /// For now, with the time that the other side asks for.
    Failed(String, Option<Duration>),
}

impl HttpSink {
    /// Requests for all records that have one; the others are failures.
    fn parts(&self, records: &[RecordView<'_>], failures: &mut Failures) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let mut open: Option<String> = None;
        for record in records {
            let url = match self.url.url(record) {
                Ok(url) => url,
                Err(reason) => {
                    failures.add(record, reason);
                    continue;
                }
            };
            let value = record.value();
            if value.is_null() && self.nulls != Nulls::Send {
                if self.nulls == Nulls::Delete {
                    open = None;
                    parts.push(Part { request: self.common.request("DELETE", url), records: vec![record.index()] });
                }
                continue;
            }
            if self.format == Format::Record {
                let mut request = self.common.request(&self.method, url);
                if !value.is_null() {
                    request = request.header("content-type", &self.content_type).body(value.as_slice());
                }
                parts.push(Part { request, records: vec![record.index()] });
                continue;
            }
            let text = match json(&value) {
                Ok(text) => text,
                Err(reason) => {
                    failures.add(record, reason);
                    continue;
                }
            };
            match parts.last_mut().filter(|part| open.as_ref() == Some(&url) && !self.is_full(part)) {
                Some(part) => {
                    part.request.body.push(self.separator());
                    part.request.body.extend_from_slice(&text);
                    part.records.push(record.index());
                }
                None => {
                    let mut body = if self.format == Format::Array { vec![b'['] } else { Vec::new() };
                    body.extend_from_slice(&text);
                    let request = self.common.request(&self.method, url.clone()).header("content-type", &self.content_type);
                    parts.push(Part { request: request.body(body), records: vec![record.index()] });
                    open = Some(url);
                }
            }
        }
        for part in parts.iter_mut().filter(|part| !part.request.body.is_empty()) {
            match self.format {
                Format::Record => {}
                Format::Array => part.request.body.push(b']'),
                Format::Lines => part.request.body.push(b'\n'),
            }
        }
        parts
    }

    fn is_full(&self, part: &Part) -> bool {
        part.records.len() >= self.batch_records || part.request.body.len() >= self.batch_bytes
    }

    fn separator(&self) -> u8 {
        if self.format == Format::Array { b',' } else { b'\n' }
    }

    /// Sends all parts, several at a time, until each got through or failed for good.
    fn send(&self, sending: &mut Sending<'_>, mut refuse: impl FnMut(usize, &str)) -> Result<()> {
        let give_up = Instant::now() + PUT_TIME;
        let mut requests: Requests<Try> = Requests::new();
        loop {
            let now = Instant::now();
            while requests.len() < self.in_flight
                && let Some(next) = sending.due(now)
            {
                let request = sending.parts[next.part].request.clone();
                requests.start(next, request);
            }
            let wake = sending.waiting.iter().map(|(at, _)| *at).min();
            if requests.is_empty() {
                let Some(wake) = wake else { return Ok(()) };
                std::thread::sleep(wake.saturating_duration_since(now));
                continue;
            }
            let wake = wake.filter(|_| requests.len() < self.in_flight);
            let Some((Try { part, tries }, answer)) = requests.wait(wake) else { continue };
            match self.judge(answer)? {
                Outcome::Taken => sending.done[part] = true,
                Outcome::Refused(reason) => {
                    refuse(part, &reason);
                }
                Outcome::Failed(reason, asked) => {
                    let tries = tries + 1;
                    let wait = self.backoff.wait(tries, asked, part as u64);
                    let at = Instant::now() + wait;
                    if tries > self.retries || at > give_up {
                        return Err(Error::retriable(format!("{reason}, after {tries} tries")));
                    }
                    debug!("{reason}: trying again in {} ms", wait.as_millis());
                    sending.waiting.push((at, Try { part, tries }));
                }
            }
        }
    }

    fn judge(&self, answer: Result<Response, HttpError>) -> Result<Outcome> {
        let response = match answer {
            Ok(response) => response,
            Err(error @ HttpError::Unavailable(_)) => return Ok(Outcome::Failed(error.to_string(), None)),
            Err(error @ HttpError::Invalid(_)) => return Ok(Outcome::Refused(error.to_string())),
            Err(error @ HttpError::TooLong(_)) => return Ok(Outcome::Refused(too_long(&error))),
            Err(error @ HttpError::Refused(_)) => return Err(Error::invalid_config(error)),
        };
        let status = response.status;
        if self.success.contain(status) {
            return Ok(Outcome::Taken);
        }
        let reason = format!("the service {}", shown(&response));
        match self.retriable.contain(status) {
            true => Ok(Outcome::Failed(reason, retry_after(&response))),
            false => Ok(Outcome::Refused(reason)),
        }
    }
}

/// A value as JSON in one line.
fn json(value: &Payload<'_>) -> Result<Vec<u8>, String> {
    if value.is_null() {
        return Ok(b"null".to_vec());
    }
    if value.schema.is_json() {
        let has_lines = value.as_slice().contains(&b'\n');
        return match has_lines {
            false => Ok(value.as_slice().to_vec()),
            // A line feed can only stand between tokens, where a space means the same.
            true => Ok(value.as_slice().iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect()),
        };
    }
    if value.schema == SchemaId::TEXT {
        let text = value.as_str().map_err(|error| error.to_string())?;
        return serde_json::to_vec(text).map_err(|error| error.to_string());
    }
    Err("its value is bytes, which JSON cannot hold: choose a value.converter for JSON or text, or format=record".to_owned())
}
