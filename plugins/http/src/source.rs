//! The source: asks a service for pages of records, and again after a while.

use std::time::{Duration, Instant};

use hawser_plugin::http::{HttpError, Request, Response, fetch};
use hawser_plugin::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::page::{self, Format};
use crate::retry::retry_after;
use crate::settings::{self, Codes, Common, check_codes, check_pointer, check_url, shown, too_long};

const REQUESTS: &str = "Requests";
const RECORDS: &str = "Records";
const PAGES: &str = "Pages";
/// What some services put before a text; it is no part of it (RFC 8259, 8.1).
const BYTE_ORDER_MARK: char = '\u{feff}';
/// The longest wait that a service may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Polls an HTTP service.
pub struct HttpSource {
    url: String,
    topic: String,
    format: Format,
    records: String,
    key: Option<String>,
    paging: Paging,
    since: Option<Since>,
    common: Common,
    retriable: Codes,
    interval: Duration,
    position: Position,
    /// Records of the last page that were not handed over yet, the next one last.
    pending: Vec<String>,
    /// Where they lead.
    after: Position,
    /// No request before this time.
    resume_at: Option<Instant>,
}

/// Where the next page is.
enum Paging {
    None,
    /// In the header Link.
    Link,
    /// The URL is in the response.
    Next {
        pointer: String,
    },
    /// What to put into a parameter is in the response.
    Cursor {
        pointer: String,
        parameter: String,
        keep: bool,
    },
    /// It has the next number; a page without records is the last.
    Number {
        parameter: String,
        first: u64,
    },
}

/// Asks for what is newer than the newest record.
struct Since {
    parameter: String,
    pointer: String,
}

/// How far the service has been read, between two pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// URL or cursor of the next page; None: the first one.
    next: Option<String>,
    /// Number of the next page, if pages have numbers.
    page: Option<u64>,
    /// What all requests of a round send as the newest that is known.
    since: Option<String>,
    /// The newest that has been seen in this round.
    newest: Option<String>,
    /// Of the first page when it was read last.
    etag: Option<String>,
    modified: Option<String>,
}

impl Position {
    fn is_start(&self) -> bool {
        self.next.is_none() && self.page.is_none()
    }
}

#[derive(Serialize)]
struct Partition<'a> {
    url: &'a str,
}

impl Class for HttpSource {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("url")
            .required()
            .check(check_url)
            .doc(
                "What to ask for, with GET. Its host must be granted with sandbox.http. Headers are set by keys `header.NAME`; a \
                 value may name a secret of the connector as {{secret:NAME}}.",
            )
            .group(REQUESTS)
            .string("topic")
            .required()
            .not_empty()
            .doc("Where to send the records.")
            .group(RECORDS)
            .long("poll.interval.ms")
            .default_value("60000")
            .at_least(1)
            .doc("Time between the end of a round through all pages and the next one.")
            .group(REQUESTS)
            .string("retry.codes")
            .default_value("408,425,429,500,502-504")
            .check(check_codes)
            .doc("Status codes after which the request is made again later: when Retry-After says, or with growing waits.")
            .group(REQUESTS)
            .string("format")
            .default_value("json")
            .one_of(&["json", "lines", "text"])
            .doc("The body of a response: JSON with an array of records, a JSON value a line (NDJSON), or one record of text.")
            .group(RECORDS)
            .string("records.pointer")
            .default_value("")
            .check(check_pointer)
            .doc("Where the array is in JSON, as a JSON pointer such as /data/items. Another value than an array is one record.")
            .group(RECORDS)
            .string("key.pointer")
            .check(check_pointer)
            .doc("Where a record's key is in the record, as a JSON pointer; without it, records have no key.")
            .group(RECORDS)
            .string("pagination")
            .default_value("none")
            .one_of(&["none", "link", "next", "cursor", "page"])
            .doc(
                "Where the next page is: nowhere, in the header Link, behind the URL at next.pointer, behind the cursor at \
                 next.pointer, or at the next number.",
            )
            .group(PAGES)
            .string("next.pointer")
            .default_value("/next")
            .check(check_pointer)
            .doc("Where the URL or cursor of the next page is in the response; if it is absent, null or empty, there is none.")
            .group(PAGES)
            .string("cursor.parameter")
            .default_value("cursor")
            .not_empty()
            .doc("The parameter that takes the cursor.")
            .group(PAGES)
            .boolean("cursor.keep")
            .default_value("false")
            .doc("Whether the next round goes on from the last cursor instead of from the first page: for feeds.")
            .group(PAGES)
            .string("page.parameter")
            .default_value("page")
            .not_empty()
            .doc("The parameter that takes the number.")
            .group(PAGES)
            .int("page.first")
            .default_value("1")
            .at_least(0)
            .doc("The first number.")
            .group(PAGES)
            .string("since.parameter")
            .doc("A parameter that takes the value at since.pointer of the last record of the round before: only what is new comes.")
            .group(PAGES)
            .string("since.pointer")
            .default_value("/id")
            .check(check_pointer)
            .doc("Where that value is in a record.")
            .group(PAGES)
            .string("since.initial")
            .doc("That value for the first round; without it, the parameter is left out.")
            .group(PAGES)
            .and(settings::keys());
        ClassInfo::new("HttpSourceConnector").alias("HttpSource").summary("Polls an HTTP service for records.").config(config)
    }
}

impl Source for HttpSource {
    /// One task: a service has one first page.
    fn task_configs(config: &Config, _: usize) -> Result<Vec<TaskConfig>> {
        Ok(vec![config.to_task()])
    }

    fn start(config: &Config, context: SourceContext) -> Result<Self> {
        let url: String = config.get("url")?;
        let pointer = || config.get::<String>("next.pointer");
        let paging = match config.get("pagination")? {
            "link" => Paging::Link,
            "next" => Paging::Next { pointer: pointer()? },
            "cursor" => Paging::Cursor {
                pointer: pointer()?,
                parameter: config.get("cursor.parameter")?,
                keep: config.get("cursor.keep")?,
            },
            "page" => Paging::Number {
                parameter: config.get("page.parameter")?,
                first: config.get::<i32>("page.first")?.unsigned_abs().into(),
            },
            _ => Paging::None,
        };
        let since = match config.find::<String>("since.parameter")? {
            Some(parameter) => Some(Since { parameter, pointer: config.get("since.pointer")? }),
            None => None,
        };
        let stored: Option<Position> = context.offset(&Partition { url: &url })?;
        let initial = || Position { since: config.find("since.initial").ok().flatten(), ..Position::default() };
        Ok(Self {
            topic: config.get("topic")?,
            format: match config.get("format")? {
                "lines" => Format::Lines,
                "text" => Format::Text,
                _ => Format::Json,
            },
            records: config.get("records.pointer")?,
            key: config.find("key.pointer")?,
            paging,
            since,
            common: Common::new(config)?,
            retriable: Codes::of(config, "retry.codes")?,
            interval: config.get("poll.interval.ms")?,
            position: stored.unwrap_or_else(initial),
            pending: Vec::new(),
            after: Position::default(),
            resume_at: None,
            url,
        })
    }

    fn poll(&mut self, batch: &mut SourceBatch) -> Result<()> {
        if self.pending.is_empty() {
            if let Some(left) =
                self.resume_at.map(|at| at.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
            {
                batch.idle(left);
                return Ok(());
            }
            self.resume_at = None;
            self.read_page()?;
        }
        let record = NewRecord::new(&self.topic);
        while !batch.is_full() {
            let Some(text) = self.pending.pop() else { break };
            match self.format {
                Format::Text => batch.push(&record.value(text.as_str())),
                Format::Json | Format::Lines => {
                    let key = self.key.as_ref().and_then(|pointer| value_at(&text, pointer));
                    batch.push(&record.key(key.as_deref()).value(Payload::json(&text)));
                }
            }
        }
        if self.pending.is_empty() && self.position != self.after {
            self.position = self.after.clone();
            batch.checkpoint(&Partition { url: &self.url }, &self.position)?;
        }
        if let (true, Some(at)) = (self.pending.is_empty(), self.resume_at) {
            batch.idle(at.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

fn value_at(record: &str, pointer: &str) -> Option<String> {
    let record: &RawValue = serde_json::from_str(record).ok()?;
    page::point(record, pointer).and_then(page::text)
}

impl HttpSource {
    /// The URL of the next page.
    fn page_url(&self) -> String {
        let position = &self.position;
        let with_since = || match (&self.since, &position.since) {
            (Some(since), Some(value)) => page::with_parameter(&self.url, &since.parameter, value),
            _ => self.url.clone(),
        };
        match (&self.paging, &position.next) {
            (Paging::Link | Paging::Next { .. }, Some(url)) => url.clone(),
            (Paging::Cursor { parameter, .. }, Some(cursor)) => page::with_parameter(&with_since(), parameter, cursor),
            (Paging::Number { parameter, first }, _) => {
                page::with_parameter(&with_since(), parameter, &position.page.unwrap_or(*first).to_string())
            }
            _ => with_since(),
        }
    }

    fn request(&self, url: &str) -> Request {
        let mut request = self.common.request("GET", url.to_owned());
        if self.position.is_start() {
            let validators = [("if-none-match", &self.position.etag), ("if-modified-since", &self.position.modified)];
            for (name, value) in validators {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        request
    }

    /// Asks for the next page; what comes of it is in `pending`, `after` and `resume_at`.
    fn read_page(&mut self) -> Result<()> {
        let url = self.page_url();
        let response = match fetch(self.request(&url)) {
            Ok(response) => response,
            Err(error @ HttpError::Unavailable(_)) => return Err(Error::retriable(format!("{url}: {error}"))),
            Err(error @ HttpError::TooLong(_)) => return Err(Error::fatal(format!("{url}: {}", too_long(&error)))),
            Err(error) => return Err(Error::invalid_config(format!("{url}: {error}"))),
        };
        match response.status {
            304 => {
                self.after = self.position.clone();
                self.rest();
                Ok(())
            }
            200..=299 => self.take_page(&url, &response),
            status if self.retriable.contain(status) => {
                self.resume_at = retry_after(&response).map(|wait| Instant::now() + wait.min(MAX_RETRY_AFTER));
                Err(Error::retriable(format!("{url} {}", shown(&response))))
            }
            _ => Err(Error::fatal(format!("{url} {} (its code is in neither 200-299 nor retry.codes)", shown(&response)))),
        }
    }

    fn take_page(&mut self, url: &str, response: &Response) -> Result<()> {
        if let Some(encoding) = response.header("content-encoding").filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        {
            let advice = "no such response is read; set header.Accept-Encoding to identity";
            return Err(Error::fatal(format!("{url}: the response is encoded ({encoding}): {advice}")));
        }
        let body = std::str::from_utf8(&response.body).map_err(|error| Error::fatal(format!("{url}: not UTF-8: {error}")))?;
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let found = page::records(body, self.format, &self.records);
        let mut records = found.map_err(|reason| Error::fatal(format!("{url}: {reason}")))?;
        let mut after = self.position.clone();
        if after.is_start() {
            (after.etag, after.modified) = (owned(response.header("etag")), owned(response.header("last-modified")));
        }
        if let Some(since) = &self.since {
            let newest = records.last().and_then(|record| value_at(record, &since.pointer));
            after.newest = newest.or(after.newest);
        }
        let next = self.next_page(url, response, body, records.is_empty());
        let is_last = next.is_none();
        match next {
            Some(Next::Url(next)) => after.next = Some(next),
            Some(Next::Page(number)) => after.page = Some(number),
            None => {
                let keeps = matches!(self.paging, Paging::Cursor { keep: true, .. });
                (after.next, after.page) = (after.next.filter(|_| keeps), None);
                after.since = after.newest.take().or(after.since);
            }
        }
        records.reverse();
        (self.pending, self.after) = (records, after);
        if is_last {
            self.rest();
        }
        Ok(())
    }

    fn next_page(&self, url: &str, response: &Response, body: &str, is_empty: bool) -> Option<Next> {
        let at = |pointer: &str| value_at(body, pointer).filter(|next| !next.is_empty());
        let next = match &self.paging {
            Paging::None => return None,
            Paging::Number { first, .. } if !is_empty => return Some(Next::Page(self.position.page.unwrap_or(*first) + 1)),
            Paging::Number { .. } => return None,
            Paging::Cursor { pointer, keep, .. } => at(pointer).filter(|_| !(*keep && is_empty)),
            Paging::Link => page::next_link(response).map(|next| page::resolve(url, &next)),
            Paging::Next { pointer } => at(pointer).map(|next| page::resolve(url, &next)),
        };
        // A page that says that it comes after itself would never end.
        next.filter(|next| self.position.next.as_ref() != Some(next)).map(Next::Url)
    }

    /// The round is over.
    fn rest(&mut self) {
        self.resume_at = Some(Instant::now() + self.interval);
    }
}

enum Next {
    /// Or a cursor.
    Url(String),
    Page(u64),
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}
