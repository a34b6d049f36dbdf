use proptest::prelude::*;

use super::*;
use crate::class::ClassInfo;
use crate::record::tests::{any_records, build};
use crate::record::{Batch, NewRecord, Payload, SchemaId};
use crate::testing::{ChainBuilder, Failed, Transformed, batch, batch_from_kafka};

/// Refuses every record, in its own way.
struct Refuse;

impl Class for Refuse {
    fn class() -> ClassInfo {
        ClassInfo::new("Refuse")
    }
}

impl Transform for Refuse {
    fn start(_: &Config) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, _: &mut Record) -> Result<Verdict, RecordError> {
        Err(RecordError::of_kind("org.example.Refusal", "no"))
    }
}

/// Does to a record what its value, a list of words, says.
struct Obey;

impl Class for Obey {
    fn class() -> ClassInfo {
        ClassInfo::new("Obey")
    }
}

impl Transform for Obey {
    fn start(_: &Config) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let words = String::from_utf8_lossy(record.payload(Side::Value).as_slice()).into_owned();
        for word in words.split(' ') {
            match word {
                "drop" => return Ok(Verdict::Drop),
                "fail" => return Err(RecordError::data("it said fail")),
                "broken" => return Err(Error::retriable("broken").into()),
                "topic" => record.set_topic("elsewhere"),
                "partition" => record.set_partition(Some(7)),
                "timestamp" => record.set_timestamp(Some(9)),
                "key" => record.set_payload(Side::Key, Payload::text("new key")),
                "null" => record.set_payload(Side::Value, Payload::NULL),
                "schema" => record.set_schema(Side::Value, SchemaId::JSON),
                "header" => record.add_header("h", Payload::text("added")),
                "bare" => record.retain_headers(|name| name != "old"),
                _ => {}
            }
        }
        Ok(Verdict::Keep)
    }
}

/// True for values of this text.
struct Is(String);

impl Class for Is {
    fn class() -> ClassInfo {
        ClassInfo::new("Is").config(crate::ConfigDef::new().string("text").required())
    }
}

impl Predicate for Is {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self(config.get("text")?))
    }

    fn test(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        Ok(record.payload(Side::Value).as_slice() == self.0.as_bytes())
    }
}

/// Edits the value as an object: each word names a member to take out, or as `old=new` one to rename.
struct Edit(Vec<String>);

impl Class for Edit {
    fn class() -> ClassInfo {
        ClassInfo::new("Edit").config(crate::ConfigDef::new().list("words").default_value(""))
    }
}

impl Transform for Edit {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self(config.get("words")?))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let mut object = record.object(Side::Value)?;
        for word in &self.0 {
            match word.split_once('=') {
                Some((old, new)) => object.rename(|name| (name == old).then_some(new)),
                None if word == "add" => {
                    object.set_text("text", "a \"b\"\\\n\u{1}é");
                    object.set_number("number", -5);
                    object.set("list", &[1, 2])?;
                }
                None => {
                    object.remove(word);
                }
            }
        }
        Ok(Verdict::Keep)
    }
}

fn show(batch: &Batch) -> Vec<String> {
    let record = |record: crate::RecordView<'_>| {
        let headers: Vec<String> =
            record.headers().map(|header| format!("{}:{}", header.name, header.value.as_str().unwrap())).collect();
        format!(
            "{}/{:?}@{:?}+{:?} {} {}{} [{}]",
            record.topic(),
            record.partition(),
            record.timestamp(),
            record.offset(),
            record.key().as_str().unwrap(),
            record.value().as_str().unwrap(),
            if record.value().schema == SchemaId::JSON { " json" } else { "" },
            headers.join(" ")
        )
    };
    batch.iter().map(record).collect()
}

fn obey(words: &[&str]) -> Transformed {
    let old = [("old", Payload::text("1")), ("new", Payload::text("2"))];
    let records: Vec<NewRecord<'_>> =
        words.iter().map(|&words| NewRecord::new("t").key("k").value(words).headers(&old)).collect();
    let mut chain = ChainBuilder::new().step::<Obey>(&[]).start().unwrap();
    chain.apply(batch_from_kafka(100, &records).unwrap()).unwrap()
}

#[test]
fn a_record_can_be_changed_in_every_way() {
    let rest = "[old:1 new:2]";
    for (words, expected) in [
        ("-", format!("t/None@None+Some(100) k - {rest}")),
        ("topic", format!("elsewhere/None@None+Some(100) k topic {rest}")),
        ("partition", format!("t/Some(7)@None+Some(100) k partition {rest}")),
        ("timestamp", format!("t/None@Some(9)+Some(100) k timestamp {rest}")),
        ("key", format!("t/None@None+Some(100) new key key {rest}")),
        ("null", format!("t/None@None+Some(100) k  {rest}")),
        ("schema", format!("t/None@None+Some(100) k schema json {rest}")),
        ("header", "t/None@None+Some(100) k header [old:1 new:2 h:added]".to_owned()),
        ("bare header", "t/None@None+Some(100) k bare header [new:2 h:added]".to_owned()),
    ] {
        let alone = obey(&[words]);
        assert_eq!(show(&alone.records), [expected.as_str()], "{words}");
        let first = obey(&[words, "-", "drop", "-"]);
        assert_eq!(show(&first.records)[0], expected, "{words}");
        assert_eq!(
            show(&first.records)[1..],
            [format!("t/None@None+Some(101) k - {rest}"), format!("t/None@None+Some(103) k - {rest}")]
        );
        let last = obey(&["-", words]);
        assert_eq!(show(&last.records)[1], expected.replace("100", "101"), "{words}");
    }
}

#[test]
fn tells_what_came_from_where() {
    let none: [u32; 0] = [];
    for (words, origins, failures) in [
        (vec!["-", "topic", "key"], none.to_vec(), none.to_vec()),
        (vec!["-", "drop", "-"], vec![0, 2], vec![]),
        (vec!["fail", "key", "drop", "fail", "-"], vec![1, 4], vec![0, 3]),
        (vec!["key", "drop"], vec![0], vec![]),
        (vec!["drop"], vec![], vec![]),
    ] {
        let out = obey(&words);
        assert_eq!(out.origins, origins, "{words:?}");
        assert_eq!(out.failures.iter().map(|failure| failure.index).collect::<Vec<_>>(), failures, "{words:?}");
    }
    let mut chain = ChainBuilder::new().step::<Obey>(&[]).step::<Refuse>(&[]).start().unwrap();
    let out = chain.apply(batch(&[NewRecord::new("t").value("fail"), NewRecord::new("t").value("-")]).unwrap()).unwrap();
    let failed = |index, reason: &str, kind: Option<&str>, step| Failed {
        index,
        reason: reason.to_owned(),
        kind: kind.map(str::to_owned),
        step,
    };
    assert_eq!(out.failures, [failed(0, "it said fail", None, 0), failed(1, "no", Some("org.example.Refusal"), 1)]);
}

#[test]
fn an_error_that_is_not_the_records_fails_the_batch() {
    let mut chain = ChainBuilder::new().step::<Obey>(&[]).start().unwrap();
    let error = chain.apply(batch(&[NewRecord::new("t").value("broken")]).unwrap()).unwrap_err();
    assert_eq!(error, Error::retriable("broken"));
}

#[test]
fn predicates_guard_and_select() {
    let values = |out: Transformed| -> Vec<String> {
        out.records.iter().map(|record| record.topic().to_owned() + record.value().as_str().unwrap()).collect()
    };
    let records = [NewRecord::new("").value("topic"), NewRecord::new("").value("topic key")];
    for (negate, expected) in [(false, ["elsewheretopic", "topic key"]), (true, ["topic", "elsewheretopic key"])] {
        let mut chain = ChainBuilder::new().step::<Obey>(&[]).guard::<Is>(&[("text", "topic")], negate).start().unwrap();
        assert_eq!(values(chain.apply(batch(&records).unwrap()).unwrap()), expected);
    }
    for (negate, expected) in [(false, ["topic"]), (true, ["topic key"])] {
        let mut chain = ChainBuilder::new().select::<Is>(&[("text", "topic")], negate).start().unwrap();
        assert_eq!(values(chain.apply(batch(&records).unwrap()).unwrap()), expected);
    }
}

#[test]
fn objects_are_edited_by_member() {
    let long: String = (0..100).map(|member| format!(r#""m{}":{member},"#, member % 50)).collect();
    let long_edited: Vec<String> = (0..50).map(|member| format!(r#""m{member}":{}"#, member + 50)).collect();
    for (words, value, expected) in [
        ("", r#" { "a" : 1 , "b":[ 2 ] } "#, r#" { "a" : 1 , "b":[ 2 ] } "#),
        ("a", r#"{ "a" : 1 , "b":[ 2 ] }"#, r#"{"b":[ 2 ]}"#),
        ("a=c", r#"{"a":1,"b":2}"#, r#"{"c":1,"b":2}"#),
        ("a=b", r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        ("b=a", r#"{"a":1,"b":2}"#, r#"{"a":2}"#),
        ("x", r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ("b", r#"{"a":1,"b":0,"a":2}"#, r#"{"a":2}"#),
        ("é", r#"{"\u00e9":1,"q\"":2}"#, r#"{"q\"":2}"#),
        ("m=n", &format!("{{{long}\"m\":1}}"), &format!("{{{},\"n\":1}}", long_edited.join(","))),
        ("add", r#"{"number":1.5}"#, "{\"number\":-5,\"text\":\"a \\\"b\\\"\\\\\\n\\u0001é\",\"list\":[1,2]}"),
    ] {
        let words: &[(&str, &str)] = &[("words", words)];
        let mut chain = ChainBuilder::new().step::<Edit>(&[]).step::<Edit>(words).start().unwrap();
        let out = chain.apply(batch(&[NewRecord::new("t").value(Payload::json(value))]).unwrap()).unwrap();
        assert_eq!(out.failures, []);
        assert_eq!(out.records.iter().next().unwrap().value(), Payload::json(expected));
    }
}

#[test]
fn what_is_no_object_is_the_records_fault() {
    for (value, expected) in [
        (Payload::NULL, "not a JSON object"),
        (Payload::text("{}"), "not a JSON object"),
        (Payload::json("[]"), "not the JSON that is expected: invalid type: sequence, expected a JSON object"),
        (Payload::json(r#"{"a":}"#), "not the JSON that is expected: expected value"),
        (Payload::json("{} 1"), "not the JSON that is expected: trailing characters"),
    ] {
        let mut chain = ChainBuilder::new().step::<Edit>(&[]).start().unwrap();
        let out = chain.apply(batch(&[NewRecord::new("t").value(value)]).unwrap()).unwrap();
        assert!(out.failures[0].reason.starts_with(expected), "{:?}", out.failures);
    }
}

#[test]
fn later_steps_see_what_earlier_ones_did() {
    let mut chain = ChainBuilder::new()
        .step::<Edit>(&[("words", "a=drop")])
        .select::<Is>(&[("text", r#"{"drop":1}"#)], false)
        .step::<Edit>(&[("words", "drop=\\,x")])
        .start()
        .unwrap();
    let records = [r#"{"a":1}"#, r#"{"b":1}"#].map(|value| NewRecord::new("t").value(Payload::json(value)));
    let out = chain.apply(batch(&records).unwrap()).unwrap();
    assert_eq!(out.origins, [0]);
    assert_eq!(out.records.iter().next().unwrap().value().as_str(), Ok(r#"{"\\":1}"#));
}

#[test]
fn neighbouring_steps_parse_a_payload_once() {
    fn check(chain: ChainBuilder, value: &str, expect: (&str, usize)) {
        let mut chain = chain.start().unwrap();
        let before = object::PARSES.get();
        let out = chain.apply(batch(&[NewRecord::new("t").value(Payload::json(value))]).unwrap()).unwrap();
        let value = out.records.iter().next().unwrap().value();
        assert_eq!((value.as_str().unwrap(), object::PARSES.get() - before), expect);
    }
    let edits = |words: [&'static str; 3]| {
        words.into_iter().fold(ChainBuilder::new(), |chain, words| chain.step::<Edit>(&[("words", words)]))
    };
    check(edits(["a=x", "b", "x=y"]), r#"{"a":1,"b":2}"#, (r#"{"y":1}"#, 1));
    check(edits(["z", "z", "z"]), r#"{"a":1}"#, (r#"{"a":1}"#, 1));
    // Whoever asks for the text in between has it written, and not read again.
    let looked_at = ChainBuilder::new()
        .step::<Edit>(&[("words", "a=x")])
        .select::<Is>(&[("text", r#"{"x":1}"#)], false)
        .step::<Edit>(&[("words", "x=y")]);
    check(looked_at, r#"{"a":1}"#, (r#"{"y":1}"#, 1));
}

#[test]
fn unknown_classes_and_guards_are_invalid() {
    let step = |class: &str, predicate| crate::bindings::wit::Step {
        class: class.to_owned(),
        alias: "a".to_owned(),
        config: Vec::new(),
        predicate,
        negate: false,
    };
    for step in [step("Nobody", None), step("Obey", Some(0))] {
        let chain = Chain::start(&[TransformClass::of::<Obey>()], &[], vec![step], &[]);
        assert!(matches!(chain.err(), Some(Error::InvalidConfig(_))));
    }
}

/// Rewrites the payload of each record with itself, or drops every record whose index is in the mask.
struct Rewrite {
    count: u32,
    mask: u32,
}

impl Class for Rewrite {
    fn class() -> ClassInfo {
        ClassInfo::new("Rewrite").config(crate::ConfigDef::new().long("mask").default_value("0"))
    }
}

impl Transform for Rewrite {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self { count: 0, mask: config.get("mask")? })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        self.count += 1;
        if self.mask >> (self.count - 1) & 1 == 1 {
            return Ok(Verdict::Drop);
        }
        if self.count.is_multiple_of(2) {
            for side in [Side::Key, Side::Value] {
                let payload = record.payload(side);
                let (bytes, schema) = (payload.bytes.map(<[u8]>::to_vec), payload.schema);
                record.set_payload(side, Payload { bytes: bytes.as_deref(), schema });
            }
            let first = record
                .headers()
                .next()
                .map(|header| (header.name.to_owned(), header.value.bytes.map(<[u8]>::to_vec), header.value.schema));
            if let Some((name, bytes, schema)) = first {
                record.add_header(&name, Payload { bytes: bytes.as_deref(), schema });
            }
        }
        Ok(Verdict::Keep)
    }
}

proptest! {
    #[test]
    fn rebuilding_keeps_all_that_was_left_alone(records in any_records(), mask in 0_u32..4096) {
        let mask_text = mask.to_string();
        let mut chain = ChainBuilder::new().step::<Rewrite>(&[("mask", &mask_text)]).start().unwrap();
        let before = build(&records);
        let out = chain.apply(build(&records)).unwrap();
        let kept: Vec<usize> = (0..before.len()).filter(|index| mask >> index & 1 == 0).collect();
        prop_assert_eq!(out.records.len(), kept.len());
        if kept.len() == before.len() {
            prop_assert!(out.origins.is_empty());
        } else {
            let origins: Vec<u32> = kept.iter().map(|&index| u32::try_from(index).unwrap()).collect();
            prop_assert_eq!(&out.origins, &origins);
        }
        for (view, &index) in out.records.iter().zip(&kept) {
            let old = before.iter().nth(index).unwrap();
            prop_assert_eq!(view.topic(), old.topic());
            prop_assert_eq!(view.partition(), old.partition());
            prop_assert_eq!(view.timestamp(), old.timestamp());
            prop_assert_eq!(view.key(), old.key());
            prop_assert_eq!(view.value(), old.value());
            let mut headers: Vec<_> = old.headers().collect();
            if index % 2 == 1 {
                headers.extend(old.headers().next());
            }
            prop_assert_eq!(view.headers().collect::<Vec<_>>(), headers);
        }
    }
}
