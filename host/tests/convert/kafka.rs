//! Compares the converters with Kafka's own classes, run by `tests/jvm/ConverterOracle.java`.
//!
//! Set `HAWSER_CONNECT_CLASSPATH` to what `scripts/kafka.sh classpath` prints to have it run (`make test` does); `HAWSER_CONNECT_CASES`
//! says how many records each generator makes.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::generate::{self, ANY, Shape, damaged, json_of};
use crate::properties::envelope;
use crate::{CONVERTERS, JSON, Outcome, SIMPLE_HEADER, Subject};

const CLASSPATH: &str = "HAWSER_CONNECT_CLASSPATH";
const CASES: &str = "HAWSER_CONNECT_CASES";
/// Characters of a record that a report shows.
pub const MAX_SHOWN: usize = 400;
const DEFAULT_CASES: usize = 500;

/// One question to both, and our answer.
struct Case {
    question: String,
    input: String,
    decode: bool,
    class: &'static str,
    ours: Outcome,
    /// The schema of what was decoded.
    schema: Option<String>,
}

#[derive(Debug, Default)]
struct Tally {
    compared: usize,
    same: usize,
    /// The same JSON in other words: doubles that JDKs before 19 do not spell as short as can be, members in the order of a HashMap.
    spelled: usize,
    /// Differences that are meant, by their reason.
    meant: BTreeMap<&'static str, usize>,
    /// Kafka's own JsonConverter cannot say what was read.
    unsayable: usize,
    differences: Vec<String>,
}

#[test]
fn converters_do_what_kafkas_do() {
    let Ok(classpath) = std::env::var(CLASSPATH) else {
        println!("skipped: set {CLASSPATH} to compare with Kafka's own classes");
        return;
    };
    let cases = std::env::var(CASES).ok().and_then(|cases| cases.parse().ok()).unwrap_or(DEFAULT_CASES);
    let cases = all_cases(cases);
    let answers = ask(&classpath, &cases);
    assert_eq!(answers.len(), cases.len(), "the oracle answers every question");
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let name = format!("{} {}", if case.decode { "decode" } else { "encode" }, case.class.rsplit('.').next().unwrap());
        compare(case, answer, tallies.entry(name).or_default());
    }
    let mut differing = 0;
    for (name, tally) in &tallies {
        println!(
            "{name:<32} compared {:>6}  same {:>6}  spelled differently {:>4}  unsayable {:>4}  meant {:?}  DIFFERENT {}",
            tally.compared,
            tally.same,
            tally.spelled,
            tally.unsayable,
            tally.meant,
            tally.differences.len()
        );
        tally.differences.iter().take(12).for_each(|difference| println!("    {difference}"));
        differing += tally.differences.len();
    }
    let compared: usize = tallies.values().map(|tally| tally.compared).sum();
    println!("compared {compared} records with Kafka's classes, {differing} differ");
    assert_eq!(differing, 0);
}

fn ask(classpath: &str, cases: &[Case]) -> Vec<String> {
    run_oracle(classpath, "ConverterOracle.java", &cases.iter().map(|case| case.question.clone() + "\n").collect::<String>())
}

/// The answers of a program in tests/jvm, line by line.
pub fn run_oracle(classpath: &str, program: &str, text: &str) -> Vec<String> {
    let questions = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{program}-{}", std::process::id()));
    std::fs::write(&questions, text).unwrap();
    let output = Command::new("java")
        .args(["-Duser.timezone=UTC", "-Dlog4j2.level=OFF", "-cp", classpath])
        .arg(format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/jvm/{}"), program))
        .stdin(File::open(&questions).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    std::fs::remove_file(&questions).unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Draws from strategies, the same at every run.
pub struct Draw(TestRunner);

impl Draw {
    pub fn new() -> Self {
        Draw(TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha)))
    }

    pub fn from<T: std::fmt::Debug>(&mut self, strategy: &BoxedStrategy<T>) -> T {
        strategy.new_tree(&mut self.0).unwrap().current()
    }
}

fn all_cases(count: usize) -> Vec<Case> {
    let mut draw = Draw::new();
    let mut cases = Vec::new();
    for (class, properties) in CONVERTERS {
        for header in [false, true] {
            let mut subject = Subject::new(class, header, properties);
            let inputs = topic_bytes(class, properties);
            for _ in 0..if header { count / 5 } else { count } {
                let bytes = draw.from(&inputs);
                cases.push(decode_case(&mut subject, class, properties, bytes));
            }
            let payloads = payloads(class);
            for _ in 0..if header { count / 5 } else { count } {
                // A new subject: the table holds no more schemas than a task needs.
                let mut subject = Subject::new(class, header, properties);
                let (schema, payload) = draw.from(&payloads);
                cases.push(encode_case(&mut subject, class, properties, &schema, payload));
            }
        }
    }
    let headers = damaged_sometimes(generate::header_text().prop_map(String::into_bytes).boxed());
    let payloads = payloads(SIMPLE_HEADER);
    let mut subject = Subject::new(SIMPLE_HEADER, true, "");
    for _ in 0..count * 5 {
        let bytes = draw.from(&headers);
        cases.push(decode_case(&mut subject, SIMPLE_HEADER, "", bytes));
        let (schema, payload) = draw.from(&payloads);
        let mut subject = Subject::new(SIMPLE_HEADER, true, "");
        cases.push(encode_case(&mut subject, SIMPLE_HEADER, "", &schema, payload));
    }
    cases
}

fn damaged_sometimes(bytes: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Option<Vec<u8>>> {
    option::weighted(0.98, prop_oneof![2 => bytes.clone(), 1 => damaged(bytes)]).boxed()
}

fn topic_bytes(class: &str, properties: &str) -> BoxedStrategy<Option<Vec<u8>>> {
    match class.rsplit('.').next().unwrap() {
        "JsonConverter" if properties.contains("schemas.enable=false") => {
            damaged_sometimes(generate::json(4).prop_map(String::into_bytes).boxed())
        }
        "JsonConverter" => {
            let record = generate::record(Shape { map_entries: 1, ..ANY });
            let as_is = record.clone().prop_map(|(schema, payload)| envelope(&schema, &payload));
            let mutated =
                (record.clone(), any::<u64>()).prop_map(|((schema, payload), seed)| envelope(&schema, &mutated(&payload, seed)));
            let pretty = record.prop_map(|(schema, payload)| {
                let json: Json = serde_json::from_str(&envelope(&schema, &payload)).unwrap();
                serde_json::to_string_pretty(&json).unwrap()
            });
            let plain = generate::json(4).prop_map(|payload| format!("{{\"payload\":{payload},\"schema\":null}}"));
            let any = prop_oneof![3 => as_is, 3 => mutated, 1 => pretty, 1 => plain, 1 => generate::json(4)];
            damaged_sometimes(any.prop_map(String::into_bytes).boxed())
        }
        "StringConverter" => damaged_sometimes(generate::text().prop_map(String::into_bytes).boxed()),
        _ => {
            let length = select(vec![0, 1, 1, 2, 2, 3, 4, 4, 4, 7, 8, 8, 8, 9]);
            let bytes = length.prop_flat_map(|length| vec(prop_oneof![1 => 0..2u8, 1 => any::<u8>()], length));
            option::weighted(0.98, bytes).boxed()
        }
    }
}

/// A payload with one of its parts replaced or dropped.
fn mutated(payload: &str, seed: u64) -> String {
    fn visit(json: &mut Json, place: &mut u64, seed: u64) {
        if *place == 0 {
            *place = u64::MAX;
            *json = match seed % 13 {
                0 => Json::Null,
                1 => Json::Bool(true),
                2 => Json::from(300),
                3 => Json::from(-5_000_000_000i64),
                4 => Json::from(2.5),
                5 => Json::from("text"),
                6 => Json::from("QUJD"),
                7 => Json::Array(vec![Json::from(1), Json::Null]),
                8 => Json::Object([("a".to_owned(), Json::from(1))].into_iter().collect()),
                9 => Json::from(""),
                10 => Json::from(1e20),
                11 => Json::Array(vec![Json::Array(vec![Json::from(1)])]),
                _ => Json::from(-1),
            };
            return;
        }
        *place -= u64::from(*place != u64::MAX);
        match json {
            Json::Array(elements) => elements.iter_mut().for_each(|element| visit(element, place, seed)),
            Json::Object(members) => {
                if seed.is_multiple_of(17) && *place == 0 {
                    *place = u64::MAX;
                    let name = members.keys().next().cloned();
                    name.map(|name| members.shift_remove(&name));
                    members.insert("unknown".to_owned(), Json::from(1));
                }
                members.values_mut().for_each(|member| visit(member, place, seed));
            }
            _ => {}
        }
    }
    let mut json: Json = serde_json::from_str(payload).unwrap();
    visit(&mut json, &mut (seed / 1000 % 6), seed);
    json.to_string()
}

/// How a payload is described to a plugin.
#[derive(Debug, Clone)]
enum Described {
    Bytes,
    Text,
    Plain,
    Schema(String),
}

fn payloads(class: &str) -> BoxedStrategy<(Described, Option<Vec<u8>>)> {
    let in_text = class.ends_with("StringConverter");
    // Java has no text for bytes, but for those at the top of a header; and only one order of a map.
    let shape = Shape { map_entries: 1, bytes: !in_text, defaults: true };
    let record = generate::record(shape).prop_map(|(schema, payload)| {
        let payload = Some(payload.into_bytes()).filter(|payload| payload != b"null");
        (Described::Schema(schema.to_json(false)), payload)
    });
    let text = generate::text().prop_map(|text| (Described::Text, Some(text.into_bytes())));
    let bytes = vec(any::<u8>(), 0..9).prop_map(|bytes| (Described::Bytes, Some(bytes)));
    let plain = generate::json(if in_text || class == SIMPLE_HEADER { 1 } else { 4 });
    let plain = plain.prop_map(|json| (Described::Plain, Some(json.into_bytes())));
    let null = Just((Described::Bytes, None));
    // Most schemas do not suit converters of one type: give them theirs more often.
    let kind = match class.rsplit('.').next().unwrap() {
        "BooleanConverter" => "boolean",
        "ShortConverter" => "int16",
        "IntegerConverter" => "int32",
        "LongConverter" => "int64",
        "FloatConverter" => "float",
        "DoubleConverter" => "double",
        _ => "bytes",
    };
    let schema = hawser::convert::data::Schema::parse(&format!("{{\"type\":\"{kind}\",\"optional\":true}}")).unwrap();
    let own = generate::value(&schema, ANY).prop_map(move |value| {
        let payload = Some(json_of(Some(&schema), &value).into_bytes()).filter(|payload| payload != b"null");
        (Described::Schema(schema.to_json(false)), payload)
    });
    let bytes_weight = if in_text { 0 } else { 1 };
    let own_weight = if in_text { 0 } else { 3 };
    prop_oneof![8 => record, 2 => text, bytes_weight => bytes, 2 => plain, 1 => null, own_weight => own].boxed()
}

fn question(decode: bool, class: &str, header: bool, properties: &str, data: Option<&[u8]>) -> String {
    let role = if header { "header" } else { "value" };
    let data = data.map_or("-".to_owned(), |data| STANDARD.encode(data));
    // Kafka always validates, and has no key for it.
    let properties = properties.replace("validate=always", "");
    format!("{}\t{class}\t{role}\t{properties}\t{data}", if decode { "decode" } else { "encode" })
}

fn decode_case(subject: &mut Subject, class: &'static str, properties: &str, bytes: Option<Vec<u8>>) -> Case {
    let ours = subject.decode(bytes.as_deref());
    let schema = ours.as_ref().ok().and_then(|(id, _)| subject.schemas.get(*id)).map(|schema| schema.to_string());
    let input = String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"(null)")).into_owned();
    Case {
        question: question(true, class, subject.header, properties, bytes.as_deref()),
        input,
        decode: true,
        class,
        ours,
        schema,
    }
}

fn encode_case(
    subject: &mut Subject,
    class: &'static str,
    properties: &str,
    described: &Described,
    payload: Option<Vec<u8>>,
) -> Case {
    let (id, schema, json) = match (described, &payload) {
        (Described::Schema(schema), payload) => {
            let json = payload.as_deref().map_or("null".to_owned(), |payload| String::from_utf8(payload.to_vec()).unwrap());
            (subject.schemas.put(schema).unwrap(), schema.clone(), json)
        }
        (_, None) => (0, String::new(), String::new()),
        (Described::Bytes, Some(bytes)) => (0, r#"{"type":"bytes"}"#.to_owned(), format!("\"{}\"", STANDARD.encode(bytes))),
        (Described::Text, Some(text)) => {
            (1, r#"{"type":"string"}"#.to_owned(), Json::from(String::from_utf8(text.clone()).unwrap()).to_string())
        }
        (Described::Plain, Some(json)) => (2, "null".to_owned(), String::from_utf8(json.clone()).unwrap()),
    };
    let envelope = Some(format!("{{\"schema\":{schema},\"payload\":{json}}}")).filter(|_| !schema.is_empty());
    let ours = subject.encode(id, payload.as_deref());
    let question = question(false, class, subject.header, properties, envelope.as_deref().map(str::as_bytes));
    Case { question, input: envelope.unwrap_or_default(), decode: false, class, ours, schema: None }
}

fn compare(case: &Case, answer: &str, tally: &mut Tally) {
    let fields: Vec<&str> = answer.split('\t').collect();
    let bytes = |field: &str| (field != "-").then(|| STANDARD.decode(field).unwrap());
    if matches!(fields[0], "unprintable" | "unreadable") {
        tally.unsayable += 1;
        return;
    }
    tally.compared += 1;
    let theirs = match fields[0] {
        "ok" => Ok(bytes(fields[1])),
        _ => Err((fields[1].to_owned(), String::from_utf8(bytes(fields[2]).unwrap()).unwrap())),
    };
    let verdict = match (&case.ours, &theirs) {
        (Err((exception, message)), Err((their_exception, their_message))) => {
            if exception == their_exception && message == their_message { Verdict::Same } else { Verdict::Different }
        }
        (Ok((id, payload)), Ok(theirs)) if case.decode => {
            decoded(*id, case.schema.as_deref(), payload.as_deref(), theirs.as_deref())
        }
        (Ok((_, ours)), Ok(theirs)) => same_bytes(ours.as_deref(), theirs.as_deref()),
        _ => Verdict::Different,
    };
    match verdict {
        Verdict::Same => tally.same += 1,
        Verdict::Spelled => tally.spelled += 1,
        Verdict::Different => match meant(case, &theirs) {
            Some(reason) => *tally.meant.entry(reason).or_default() += 1,
            None => {
                let theirs = theirs.map(|theirs| theirs.map(|theirs| String::from_utf8_lossy(&theirs).into_owned()));
                let ours = case.ours.clone().map(|(id, ours)| (id, ours.map(|ours| String::from_utf8_lossy(&ours).into_owned())));
                let (question, input) = (&case.question, &case.input);
                let question = question.rsplit_once('\t').unwrap().0;
                let shown = |text: String| text.chars().take(MAX_SHOWN).collect::<String>();
                tally.differences.push(format!(
                    "{question} {}\n        ours   {} {:?}\n        theirs {}",
                    shown(format!("{input:?}")),
                    shown(format!("{ours:?}")),
                    case.schema,
                    shown(format!("{theirs:?}"))
                ));
            }
        },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Same,
    Spelled,
    Different,
}

fn same_bytes(ours: Option<&[u8]>, theirs: Option<&[u8]>) -> Verdict {
    if ours == theirs {
        return Verdict::Same;
    }
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Verdict::Different };
    let json = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes).ok();
    let same_json = json(ours).is_some_and(|ours| Some(ours) == json(theirs));
    if same_json || same_numbers(&String::from_utf8_lossy(ours), &String::from_utf8_lossy(theirs)) {
        Verdict::Spelled
    } else {
        Verdict::Different
    }
}

/// Whether two texts differ in nothing but how floats are spelled.
fn same_numbers(ours: &str, theirs: &str) -> bool {
    // Wide characters are compared as narrow ones.
    let (ours, theirs) = (&ours.replace('\0', ""), &theirs.replace('\0', ""));
    let number = regex::Regex::new(r"-?[0-9]+\.[0-9]+(E-?[0-9]+)?").unwrap();
    let same = |ours: &str, theirs: &str| {
        let single = |text: &str| text.bytes().filter(u8::is_ascii_digit).count() <= 11;
        let as_double = ours.parse::<f64>().unwrap() == theirs.parse::<f64>().unwrap();
        as_double || single(ours) && single(theirs) && ours.parse::<f32>().unwrap() == theirs.parse::<f32>().unwrap()
    };
    number.split(ours).eq(number.split(theirs))
        && number.find_iter(ours).zip(number.find_iter(theirs)).all(|(ours, theirs)| same(ours.as_str(), theirs.as_str()))
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Compares what we decoded with the envelope of what Kafka did.
pub fn decoded(id: u32, schema: Option<&str>, payload: Option<&[u8]>, theirs: Option<&[u8]>) -> Verdict {
    let Some(theirs) = theirs else {
        return if payload.is_none() && id < 16 { Verdict::Same } else { Verdict::Different };
    };
    let theirs: Envelope = serde_json::from_slice(theirs).unwrap();
    // Half a character is no JSON here.
    let Ok(their_schema) = serde_json::from_str::<Json>(theirs.schema.get()) else { return Verdict::Different };
    let their_payload = theirs.payload.get().as_bytes();
    match (id, schema) {
        (0 | 1, _) => {
            let kind = if id == 0 { "bytes" } else { "string" };
            let text: Option<String> = serde_json::from_slice(their_payload).unwrap_or_default();
            let bytes = if id == 0 { text.map(|text| STANDARD.decode(text).unwrap()) } else { text.map(String::into_bytes) };
            if their_schema["type"] == kind && bytes.as_deref() == payload { Verdict::Same } else { Verdict::Different }
        }
        // Kafka's lists and maps of nothing in particular have schemas that lack a part: they are none to us.
        (2, _) if their_schema.is_null() || theirs.schema.get().contains(":null") => same_bytes(payload, Some(their_payload)),
        (16.., Some(schema)) => {
            let schemas = same_bytes(Some(schema.as_bytes()), Some(theirs.schema.get().as_bytes()));
            schemas.max(same_bytes(payload.or(Some(b"null")), Some(their_payload)))
        }
        _ => Verdict::Different,
    }
}

/// Why a difference is meant to be.
fn meant(case: &Case, theirs: &Result<Option<Vec<u8>>, (String, String)>) -> Option<&'static str> {
    let has = |pattern: &str| regex::Regex::new(pattern).unwrap().is_match(&case.input);
    if case.decode && case.ours.is_err() && theirs.is_err() && has(r"\\u[dD][89a-fA-F]") {
        return Some("both refuse it: Kafka for half a character, before it looks at the rest");
    }
    let (id, ours) = case.ours.as_ref().ok().filter(|_| case.decode)?;
    let theirs = match theirs {
        Ok(theirs) => theirs.as_deref()?,
        Err(_) => {
            let kept = *id == 2 && has(r"[eE][+-]?[0-9]{9,}|\\u[dD][89abAB]|\\u[dD][c-fC-F]");
            return kept.then_some("Kafka refuses exponents beyond 32 bits, and halves of characters in names");
        }
    };
    let half = has(r"\\u[dD]") && serde_json::from_slice::<Json>(theirs).is_err();
    match id {
        _ if half => Some("half a character is replaced"),
        2 if case.class == JSON && has(r"[0-9]{16,}|\.[0-9]{12,}|[eE][+-]?[0-9]{3,}") => (ours.as_deref()
            == Some(case.input.as_bytes()))
        .then_some("numbers beyond 64 bits stay what they are without a schema"),
        1 if case.class == SIMPLE_HEADER && says_less(&case.input, theirs) => {
            Some("Kafka drops what stands behind a number, a container or a blank")
        }
        1 if case.class == SIMPLE_HEADER && case.input.chars().any(|digit| !digit.is_ascii() && digit.is_numeric()) => {
            Some("digits are ASCII")
        }
        2 if case.class == SIMPLE_HEADER && mixes_dates(theirs) => Some("dates beside other things are text"),
        _ => None,
    }
}

/// Whether there are dates in what Kafka has no whole schema for.
fn mixes_dates(theirs: &[u8]) -> bool {
    let theirs = String::from_utf8_lossy(theirs);
    theirs.contains(":null") && theirs.contains("org.apache.kafka.connect.data")
}

/// Whether Kafka read no more than the beginning of a header's text.
fn says_less(text: &str, theirs: &[u8]) -> bool {
    let mut subject = Subject::new(SIMPLE_HEADER, true, "");
    text.char_indices().map(|(end, _)| &text[..end]).any(|beginning| {
        let Ok((id, payload)) = subject.decode(Some(beginning.as_bytes())) else { return false };
        let schema = subject.schemas.get(id);
        let blank = beginning.chars().all(|character| character <= ' ');
        (id != 1 || blank)
            && (decoded(id, schema.as_deref(), payload.as_deref(), Some(theirs)) != Verdict::Different
                || id == 2 && mixes_dates(theirs))
    })
}

#[test]
fn json_converters_validate_in_the_comparison() {
    assert!(CONVERTERS.iter().all(|(class, properties)| {
        *class != JSON || !properties.contains("schemas.enable=false") || properties.contains("validate=always")
    }));
}
