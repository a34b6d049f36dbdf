//! Compares Avro, Protobuf and JSON Schema with JVM classes, run by `tests/jvm/FormatOracle.java`: Avro's readers and writers over a copy of
//! Confluent's `AvroData` (Apicurio's), Protobuf's `DynamicMessage`, and the JSON Schema validator that Confluent's converter uses.
//!
//! Set `HAWSER_FORMATS_CLASSPATH` to what `scripts/kafka.sh classpath` and `scripts/registry.sh classpath` print, with a colon between, to
//! have it run (`make test` does).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hawser::convert::data::Schema;
use hawser::convert::{Decoded, Format, Registered, SchemaText, Schemas, format};
use hawser::record::{FIRST_SCHEMA_ID, SchemaTable};
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::generate::{self, Shape, json_of};
use crate::kafka::{Draw, MAX_SHOWN, Verdict, decoded, run_oracle};
use crate::schemas::{avro_schema, proto_schema, tidy};

const CLASSPATH: &str = "HAWSER_FORMATS_CLASSPATH";
const CASES: &str = "HAWSER_CONNECT_CASES";
const DEFAULT_CASES: usize = 2000;
/// What changes how Avro is mapped.
const AVRO_OPTIONS: [&str; 4] = [
    "",
    "enhanced.avro.schema.support=true",
    "connect.meta.data=false",
    "enhanced.avro.schema.support=true;connect.meta.data=false",
];
/// Java's maps have an order of their own.
const SHAPE: Shape = Shape { map_entries: 1, bytes: true, defaults: true };

/// What reading gives: the schema's JSON (none for data without one), and the payload (none for null).
type Read = Result<(u32, Option<String>, Option<Vec<u8>>), String>;

/// The parts of an answer, or the exception.
type Answer = Result<Vec<Option<Vec<u8>>>, String>;
/// A difference is told in words.
type Judge = Box<dyn Fn(&Answer) -> Result<Verdict, String>>;

/// One question, and how the answer is judged.
struct Case {
    what: &'static str,
    question: String,
    shown: String,
    judge: Judge,
}

#[derive(Default)]
struct Tally {
    compared: usize,
    same: usize,
    spelled: usize,
    /// Neither writes or reads it.
    refused: usize,
    /// Differences that are meant, by their reason.
    meant: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

#[test]
fn formats_do_what_jvm_classes_do() {
    let Some(classpath) = std::env::var(CLASSPATH).ok().filter(|classpath| !classpath.is_empty()) else {
        println!("skipped: set {CLASSPATH} to compare with JVM classes");
        return;
    };
    let count = std::env::var(CASES).ok().and_then(|cases| cases.parse().ok()).unwrap_or(DEFAULT_CASES);
    let mut cases = Vec::new();
    let mut draw = Draw::new();
    avro_cases(&mut draw, count, &mut cases);
    protobuf_cases(&mut draw, count, &mut cases);
    json_cases(&mut draw, count, &mut cases);
    let questions: String = cases.iter().map(|case| case.question.clone() + "\n").collect();
    let answers = run_oracle(&classpath, "FormatOracle.java", &questions);
    assert_eq!(answers.len(), cases.len(), "the oracle answers every question");
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let tally = tallies.entry(case.what).or_default();
        tally.compared += 1;
        let parts: Vec<&str> = answer.split('\t').collect();
        let answer = match parts.as_slice() {
            ["ok", parts @ ..] => Ok(parts.iter().map(|part| STANDARD.decode(part).ok()).collect()),
            [_, class, message] => Err(format!("{class}: {}", text(&STANDARD.decode(message).unwrap()))),
            _ => panic!("{answer}"),
        };
        match (case.judge)(&answer) {
            Ok(_) if answer.is_err() => tally.refused += 1,
            Ok(Verdict::Same) => tally.same += 1,
            Ok(Verdict::Spelled) => tally.spelled += 1,
            Ok(Verdict::Different) => unreachable!("a difference says which"),
            Err(difference) => match meant(&difference) {
                Some(reason) => *tally.meant.entry(reason).or_default() += 1,
                None => tally.differences.push(format!("{}\n        {difference}", case.shown)),
            },
        }
    }
    let mut differing = 0;
    for (what, tally) in &tallies {
        println!(
            "{what:<44} compared {:>6}  same {:>6}  spelled differently {:>4}  both refuse {:>4}  meant {:?}  DIFFERENT {}",
            tally.compared,
            tally.same,
            tally.spelled,
            tally.refused,
            tally.meant,
            tally.differences.len()
        );
        tally.differences.iter().take(8).for_each(|difference| println!("    {difference}"));
        differing += tally.differences.len();
    }
    let compared: usize = tallies.values().map(|tally| tally.compared).sum();
    println!("compared {compared} records of Avro, Protobuf and JSON Schema with JVM classes, {differing} differ");
    assert_eq!(differing, 0);
}

/// Why a difference is meant to be.
fn meant(difference: &str) -> Option<&'static str> {
    if difference.contains("Can't redefine: io.confluent.connect.avro.MapEntry") {
        return Some("a schema that has two entries of one name is refused");
    }
    if difference.starts_with("com.google.protobuf.Descriptors$DescriptorValidationException") {
        return Some("Apicurio's parser stumbles over a package of one letter");
    }
    if difference.contains("connect.fixed.size") && difference.contains("avro.Union") {
        return Some("AvroData takes a fixed in a union for the bytes beside it");
    }
    None
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn format_of(class: &str, options: &str) -> Arc<dyn Format> {
    let pairs = options.split_terminator(';').filter_map(|option| option.split_once('='));
    let properties = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    format(class, &properties).unwrap().unwrap().into()
}

fn registered(format: &dyn Format, text: &str) -> Registered {
    let schema = SchemaText { text: text.to_owned(), references: Vec::new() };
    Registered { id: 1, schema_type: format.schema_type().to_owned(), schema, version: None }
}

fn read(format: &dyn Format, schema: &str, data: &[u8]) -> Read {
    let table = Arc::new(SchemaTable::default());
    let mut schemas = Schemas::new(&table);
    let mut out = Vec::new();
    let read = format
        .reader(&registered(format, schema), &mut schemas)
        .and_then(|mut reading| reading.decode(data, &mut schemas, &mut out));
    let json = |id| table.get(id).map(|text| text.to_string());
    match read.map_err(|error| error.to_string())? {
        Decoded::Null(id) => Ok((id, json(id), None)),
        Decoded::Payload(id) => Ok((id, json(id), Some(out))),
    }
}

/// The schema under which a payload is written, and the data.
fn write(format: &dyn Format, schema: &Schema, payload: &str) -> Result<(String, Option<Vec<u8>>), String> {
    let draft = format.draft(Some(schema)).map_err(|error| error.to_string())?.text;
    let target = registered(format, &draft);
    let mut out = Vec::new();
    let payload = Some(payload.as_bytes()).filter(|payload| payload != b"null");
    let written = format
        .writer(Some(schema), &target, true)
        .and_then(|mut writing| writing.encode(FIRST_SCHEMA_ID, payload, &mut out))
        .map_err(|error| error.to_string())?;
    Ok((draft, written.then_some(out)))
}

/// A schema with names that every format allows, and a payload of it.
fn record() -> BoxedStrategy<(Schema, String)> {
    generate::schema(SHAPE)
        .prop_map(tidy)
        .prop_flat_map(|schema| (Just(schema.clone()), generate::value(&schema, SHAPE)))
        .prop_map(|(schema, value)| {
            let payload = json_of(Some(&schema), &value);
            (schema, payload)
        })
        .boxed()
}

/// Judges what the JVM read by what we read.
fn judge_read(ours: &Read, theirs: Result<Option<&[u8]>, &String>) -> Result<Verdict, String> {
    let verdict = match (ours, &theirs) {
        (Err(_), Err(_)) => Verdict::Same,
        // AvroData answers nothing at all for a null at the root, not even a schema.
        (Ok((_, _, None)), Ok(None)) => Verdict::Same,
        (Ok((id, schema, payload)), Ok(theirs)) => {
            let payload = payload.as_deref();
            match decoded(*id, schema.as_deref(), payload, *theirs) {
                Verdict::Different if same_envelope(schema.as_deref(), payload, *theirs) => Verdict::Spelled,
                verdict => verdict,
            }
        }
        _ => Verdict::Different,
    };
    if verdict != Verdict::Different {
        return Ok(verdict);
    }
    let ours = ours.as_ref().map(|(_, schema, payload)| (schema, payload.as_deref().map(text)));
    Err(format!(
        "reads   {}\n        theirs  {}",
        cut(&format!("{ours:?}")),
        cut(&format!("{:?}", theirs.map(|it| it.map(text))))
    ))
}

/// Whether both say the same JSON, in whatever order and spelling of numbers.
fn same_envelope(schema: Option<&str>, payload: Option<&[u8]>, theirs: Option<&[u8]>) -> bool {
    let json = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes).ok();
    let Some(theirs) = theirs.and_then(json) else { return false };
    let ours = payload.map_or(Some(Json::Null), json);
    let schema = schema.map_or(Some(Json::Null), |schema| json(schema.as_bytes()));
    ours.is_some_and(|ours| same_json(&ours, &theirs["payload"]))
        && schema.is_some_and(|schema| same_json(&schema, &theirs["schema"]))
}

fn same_json(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(ours), Json::Number(theirs)) => {
            ours == theirs
                || !(ours.is_i64() && theirs.is_i64())
                    && (ours.as_f64() == theirs.as_f64()
                        || ours.as_f64().map(|it| it as f32) == theirs.as_f64().map(|it| it as f32))
        }
        // Maps have no order.
        (Json::Array(ours), Json::Array(theirs)) if ours.len() > 1 && ours.iter().all(is_pair) => {
            ours.len() == theirs.len() && ours.iter().all(|ours| theirs.iter().any(|theirs| same_json(ours, theirs)))
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same_json(ours, theirs))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, ours)| theirs.get(name).is_some_and(|theirs| same_json(ours, theirs)))
        }
        _ => ours == theirs,
    }
}

fn is_pair(json: &Json) -> bool {
    json.as_array().is_some_and(|pair| pair.len() == 2)
}

fn avro_cases(draw: &mut Draw, count: usize, cases: &mut Vec<Case>) {
    const CLASS: &str = "AvroConverter";
    let (records, schemas) = (record(), avro_schema());
    for number in 0..count {
        let options = AVRO_OPTIONS[number % AVRO_OPTIONS.len()];
        // Apicurio's copy does not have this one yet.
        let avro = format_of(CLASS, &format!("flatten.singleton.unions=false;{options}"));
        let (schema, payload) = draw.from(&records);
        let envelope = format!("{{\"schema\":{},\"payload\":{payload}}}", schema.to_json(false));
        let ours = write(&*avro, &schema, &payload);
        if let Ok((draft, Some(data))) = &ours {
            let read = read(&*avro, draft, data);
            cases.push(Case {
                what: "Avro: ours is read by GenericDatumReader",
                question: format!("avro-read\t{options}\t{}\t{}", base64(draft), base64(data)),
                shown: cut(&format!("{options} {draft} {data:?}")),
                judge: Box::new(move |answer| match answer {
                    Ok(parts) if parts.len() != 2 => Err(format!("{} parts", parts.len())),
                    answer => judge_read(&read, answer.as_ref().map(|parts| parts[0].as_deref())),
                }),
            });
        }
        cases.push(Case {
            what: "Avro: the same schema and bytes are written",
            question: format!("avro-write\t{options}\t{}", base64(&envelope)),
            shown: cut(&format!("{options} {envelope}")),
            judge: Box::new(move |answer| judge_written(&ours, answer)),
        });
        let schema = draw.from(&schemas).to_string();
        cases.push(Case {
            what: "Avro: what GenericDatumWriter wrote is read",
            question: format!("avro-random\t{options}\t{}\t{number}", base64(&schema)),
            shown: cut(&format!("{options} {schema}")),
            judge: Box::new(move |answer| match answer {
                Ok(parts) => {
                    let data = parts[0].as_deref().unwrap_or_default();
                    judge_read(&read(&*avro, &schema, data), Ok(parts[1].as_deref()))
                        .map_err(|difference| format!("{difference} of {data:?}"))
                }
                Err(error) => match read(&*avro, &schema, &[]) {
                    Err(_) => Ok(Verdict::Same),
                    Ok(_) => Err(format!("theirs  {error}")),
                },
            }),
        });
    }
}

fn judge_written(ours: &Result<(String, Option<Vec<u8>>), String>, theirs: &Answer) -> Result<Verdict, String> {
    match (ours, theirs) {
        (Err(_), Err(_)) => Ok(Verdict::Same),
        (Ok((schema, data)), Ok(theirs)) => {
            let json = |text: &[u8]| serde_json::from_slice::<Json>(text).unwrap();
            let their_schema = theirs[0].as_deref().unwrap_or_default();
            let (ours, theirs) = ((json(schema.as_bytes()), data), (json(their_schema), &theirs[1]));
            if ours == theirs {
                return Ok(Verdict::Same);
            }
            let same_schema = same_json(&ours.0, &theirs.0);
            if same_schema && ours.1 == theirs.1 {
                return Ok(Verdict::Spelled);
            }
            Err(format!("ours    {} {:?}\n        theirs  {} {:?}", ours.0, ours.1, theirs.0, theirs.1))
        }
        _ => Err(format!("ours    {}\n        theirs  {}", cut(&format!("{ours:?}")), cut(&format!("{theirs:?}")))),
    }
}

fn protobuf_cases(draw: &mut Draw, count: usize, cases: &mut Vec<Case>) {
    let protobuf = format_of("ProtobufConverter", "");
    let (records, schemas) = (record(), proto_schema());
    let judge = |ours: &Read, payload: Option<&[u8]>| {
        let json = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes).unwrap();
        match (ours, payload) {
            (Ok((_, _, Some(ours))), Some(theirs)) if json(ours) == json(theirs) => Ok(Verdict::Same),
            (Ok((_, _, Some(ours))), Some(theirs)) if same_json(&json(ours), &json(theirs)) => Ok(Verdict::Spelled),
            _ => Err(format!(
                "reads   {}\n        theirs  {}",
                cut(&format!("{:?}", ours.as_ref().map(|(_, _, payload)| payload.as_deref().map(text)))),
                cut(&format!("{:?}", payload.map(text)))
            )),
        }
    };
    for number in 0..count {
        // Roots that are no struct are of Google's wrappers; lists in lists are refused.
        let written = (0..100).find_map(|_| {
            let (schema, payload) = draw.from(&records);
            let written = write(&*protobuf, &schema, &payload).ok().filter(|(draft, _)| !draft.contains("package google"))?;
            Some((written.0, written.1?))
        });
        let (draft, data) = written.expect("one in a hundred schemas is a struct that Protobuf can hold");
        let (shown, ours) = (cut(&format!("{draft} {data:?}")), read(&*protobuf, &draft, &data));
        cases.push(Case {
            what: "Protobuf: ours is read by DynamicMessage",
            question: format!("proto-read\t{}\t{}", base64(&draft), base64(&data[1..])),
            shown,
            judge: Box::new(move |answer| match answer {
                Ok(parts) if parts[0].as_deref() != Some(&data[1..]) => {
                    Err(format!("ours    {:?}\n        theirs  {:?}", &data[1..], parts[0]))
                }
                Ok(parts) => judge(&ours, parts[1].as_deref()),
                Err(error) => Err(error.clone()),
            }),
        });
        let (schema, format) = (draw.from(&schemas), protobuf.clone());
        cases.push(Case {
            what: "Protobuf: what DynamicMessage wrote is read",
            question: format!("proto-random\t{}\t{number}", base64(&schema)),
            shown: cut(&schema),
            judge: Box::new(move |answer| match answer {
                Ok(parts) => {
                    let data = [&[0], parts[0].as_deref().unwrap_or_default()].concat();
                    judge(&read(&*format, &schema, &data), parts[1].as_deref())
                        .map_err(|difference| format!("{difference} of {data:?}"))
                }
                Err(error) => Err(error.clone()),
            }),
        });
    }
}

fn json_cases(draw: &mut Draw, count: usize, cases: &mut Vec<Case>) {
    let records = record();
    for number in 0..count {
        let options = ["", "decimal.format=NUMERIC", "object.additional.properties=false"][number % 3];
        let format = format_of("JsonSchemaConverter", options);
        let (schema, payload) = draw.from(&records);
        let (draft, data) = match write(&*format, &schema, &payload) {
            Ok((draft, Some(data))) => (draft, data),
            Ok((_, None)) => continue,
            Err(error) => panic!("{error}: {}", schema.to_json(false)),
        };
        let (shown, before) = (cut(&format!("{options} {draft} {}", text(&data))), read(&*format, &draft, &data));
        cases.push(Case {
            what: "JSON Schema: ours is valid, Jackson's is read",
            question: format!("json\t{}\t{}", base64(&draft), base64(&data)),
            shown,
            judge: Box::new(move |answer| {
                let parts = answer.as_ref().map_err(Clone::clone)?;
                if parts[0].as_deref() != Some(b"valid") {
                    return Err("it is not valid".to_owned());
                }
                let after = read(&*format, &draft, parts[1].as_deref().unwrap_or_default());
                match (&before, &after) {
                    (Ok(before), Ok(after)) if before == after => Ok(Verdict::Same),
                    (Ok((_, _, Some(before))), Ok((_, _, Some(after))))
                        if same_json(&serde_json::from_slice(before).unwrap(), &serde_json::from_slice(after).unwrap()) =>
                    {
                        Ok(Verdict::Spelled)
                    }
                    _ => Err(format!("before {before:?} after {after:?}")),
                }
            }),
        });
    }
}
