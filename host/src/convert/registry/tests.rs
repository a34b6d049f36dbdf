use std::sync::Arc;

use serde_json::json;

use super::testing::{FakeRegistry, Fault};
use crate::convert::{ConfigError, Converted, Converters, REACH_KEY};
use crate::record::{Batch, BatchBuilder, HeaderRef, Record, SCHEMA_JSON, SchemaTable};

const RECORD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const CONNECT: &str = r#"{"type":"struct","fields":[{"type":"int32","optional":false,"field":"a"}],"optional":false,"name":"R"}"#;

struct Subject {
    registry: FakeRegistry,
    converters: Converters,
    schemas: Arc<SchemaTable>,
}

pub fn try_converters(url: &str, more: &[(&str, &str)], schemas: &Arc<SchemaTable>) -> Result<Converters, ConfigError> {
    limited_converters(url, more, None, schemas)
}

/// On a worker that limits what converters may reach.
fn limited_converters(
    url: &str,
    more: &[(&str, &str)],
    reach: Option<&str>,
    schemas: &Arc<SchemaTable>,
) -> Result<Converters, ConfigError> {
    let mut config = vec![
        ("value.converter".to_owned(), "io.confluent.connect.avro.AvroConverter".to_owned()),
        ("value.converter.schema.registry.url".to_owned(), url.to_owned()),
    ];
    config.extend(more.iter().map(|(name, value)| (format!("value.converter.{name}"), value.to_string())));
    let mut worker = vec![("key.converter".to_owned(), "ByteArray".to_owned())];
    worker.extend(reach.map(|reach| (REACH_KEY.to_owned(), reach.to_owned())));
    Converters::from_config(&config, &worker, schemas)
}

impl Subject {
    async fn new(more: &[(&str, &str)]) -> Self {
        let (registry, schemas) = (FakeRegistry::start().await, Arc::new(SchemaTable::default()));
        let converters = try_converters(&registry.url, more, &schemas).unwrap();
        Subject { registry, converters, schemas }
    }

    async fn encode(&mut self, payloads: &[&str]) -> Result<Converted, String> {
        let id = self.schemas.put(CONNECT).unwrap();
        let batch = batch(payloads.iter().map(|payload| payload.as_bytes()), id);
        self.converters.encode(batch).await.map_err(|postponed| postponed.outage.to_string())
    }

    async fn decode(&mut self, values: &[&[u8]]) -> Result<Converted, String> {
        let batch = batch(values.iter().copied(), 0);
        self.converters.decode(batch).await.map_err(|postponed| postponed.outage.to_string())
    }
}

fn batch<'v>(values: impl Iterator<Item = &'v [u8]>, schema: u32) -> Batch {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(Record { topic: "t", value: Some(value), value_schema: schema, ..Record::default() }, []);
    }
    builder.finish()
}

pub fn values(converted: &Converted) -> Vec<Vec<u8>> {
    converted.batch.records().map(|record| record.value.unwrap_or_default().to_vec()).collect()
}

pub fn framed(id: u32, data: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), data].concat()
}

fn error(status: u16, code: u32, message: &str) -> Fault {
    Fault::Status(status, json!({"error_code": code, "message": message}).to_string())
}

#[tokio::test]
async fn a_schema_is_registered_and_fetched_once() {
    let mut subject = Subject::new(&[]).await;
    let written = subject.encode(&[r#"{"a":1}"#, r#"{"a":2}"#]).await.unwrap();
    assert_eq!(values(&written), [framed(1, &[2]), framed(1, &[4])]);
    subject.encode(&[r#"{"a":3}"#]).await.unwrap();
    assert_eq!(subject.registry.requests(), ["POST /subjects/t-value/versions"]);

    for _ in 0..2 {
        let read = subject.decode(&[&framed(1, &[2]), &framed(1, &[4])]).await.unwrap();
        assert_eq!(values(&read), [br#"{"a":1}"#, br#"{"a":2}"#]);
        let schema = subject.schemas.get(read.batch.value_schemas[0]).unwrap();
        // The registry's version, as in AvroConverter.
        assert!(schema.contains(r#""version":1"#), "{schema}");
    }
    assert_eq!(subject.registry.requests(), ["GET /schemas/ids/1?subject=t-value", "GET /schemas/ids/1/versions"]);
}

#[tokio::test]
async fn nulls_and_records_without_schemas() {
    let mut subject = Subject::new(&[]).await;
    let mut builder = BatchBuilder::default();
    builder.push(Record { topic: "t", ..Record::default() }, []);
    builder.push(Record { topic: "t", value: Some(br#"{"x":[1]}"#), value_schema: SCHEMA_JSON, ..Record::default() }, []);
    let written = subject.converters.encode(builder.finish()).await.unwrap();
    assert_eq!(written.batch.records().map(|record| record.value.is_none()).collect::<Vec<_>>(), [true, false]);
    let read = subject.converters.decode(written.batch).await.unwrap();
    assert_eq!(values(&read), [&b""[..], br#"{"x":[1]}"#]);
    assert_eq!(read.batch.value_schemas, [0, SCHEMA_JSON]);
}

#[tokio::test]
async fn subjects_and_schemas_are_chosen_as_configured() {
    const STRATEGY: &str = "value.subject.name.strategy";
    for (more, expect) in [
        (&[(STRATEGY, "io.confluent.kafka.serializers.subject.RecordNameStrategy")][..], Ok("POST /subjects/R/versions")),
        (
            &[(STRATEGY, "TopicRecordNameStrategy"), ("normalize.schemas", "true")],
            Ok("POST /subjects/t-R/versions?normalize=true"),
        ),
        (&[("auto.register.schemas", "false")], Err("Schema not found; error code: 404")),
        (&[("auto.register.schemas", "false"), ("use.latest.version", "true")], Ok("GET /subjects/t-value/versions/latest")),
        (&[("auto.register.schemas", "false"), ("use.schema.id", "1")], Ok("GET /schemas/ids/1?subject=t-value")),
    ] {
        let mut subject = Subject::new(more).await;
        let latest =
            r#"{"type":"record","name":"R","fields":[{"name":"b","type":"int","default":7},{"name":"a","type":"long"}]}"#;
        subject.registry.put("t-value", "AVRO", latest, json!([]));
        let written = subject.encode(&[r#"{"a":1}"#]).await.unwrap();
        let asked = subject.registry.requests();
        match expect {
            Ok(request) => {
                assert!(written.failures.is_empty(), "{:?}", written.failures);
                assert_eq!(asked, [request]);
                let under_latest = more.len() == 2 && more[0].1 == "false";
                let expect = if under_latest { framed(1, &[14, 2]) } else { framed(2, &[2]) };
                assert_eq!(values(&written), [expect]);
            }
            Err(reason) => assert!(written.failures[0].error.to_string().ends_with(reason), "{:?}", written.failures),
        }
    }
}

#[tokio::test]
async fn refusals_are_errors_of_the_record_and_remembered() {
    for (fault, reason) in [
        (error(409, 409, "Schema being registered is incompatible"), "Schema being registered is incompatible; error code: 409"),
        (error(422, 42201, "Invalid schema"), "Invalid schema; error code: 422"),
        (error(404, 40401, "Subject not found"), "Subject not found; error code: 404"),
        (Fault::Endless, "over the limit of 4194304 bytes; error code: 422"),
    ] {
        let mut subject = Subject::new(&[]).await;
        subject.registry.fail([fault]);
        for _ in 0..2 {
            let written = subject.encode(&[r#"{"a":1}"#]).await.unwrap();
            let text = written.failures[0].error.to_string();
            assert!(text.starts_with("Failed to serialize Avro data from topic t: Error registering Avro schema"), "{text}");
            assert!(text.ends_with(reason), "{text}");
            assert!(!written.failures[0].error.retriable);
        }
        assert_eq!(subject.registry.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_outage_gives_the_batch_back_and_passes() {
    for (fault, reason) in [
        (error(500, 50001, "Error in the backend"), "status 500: Error in the backend"),
        (Fault::Status(503, "<html>".to_owned()), "status 503"),
        (Fault::Status(200, "<html>".to_owned()), "does not answer in JSON"),
        (Fault::Status(200, "{}".to_owned()), "names no id"),
        (Fault::Silence, "cannot be reached"),
    ] {
        let mut subject = Subject::new(&[("http.read.timeout.ms", "300")]).await;
        subject.registry.fail([fault]);
        let id = subject.schemas.put(CONNECT).unwrap();
        let batch = batch([&br#"{"a":1}"#[..]].into_iter(), id);
        let postponed = subject.converters.encode(batch.clone()).await.unwrap_err();
        assert!(postponed.outage.passing && postponed.outage.message.contains(reason), "{:?}", postponed.outage);
        assert_eq!(postponed.batch, batch);
        assert_eq!(values(&subject.converters.encode(postponed.batch).await.unwrap()), [framed(1, &[2])]);
    }
}

#[tokio::test]
async fn wrong_credentials_and_places_do_not_pass() {
    for (status, reason) in [
        (401, "refuses these credentials"),
        (403, "refuses these credentials"),
        (404, "no schema registry"),
        (302, "sends elsewhere"),
    ] {
        let mut subject = Subject::new(&[]).await;
        subject.registry.fail([Fault::Status(status, String::new())]);
        let id = subject.schemas.put(CONNECT).unwrap();
        let outage = subject.converters.encode(batch([&br#"{"a":1}"#[..]].into_iter(), id)).await.unwrap_err().outage;
        assert!(!outage.passing && outage.message.contains(reason), "{outage:?}");
    }
}

#[tokio::test]
async fn several_urls_are_tried_in_turn() {
    let schemas = Arc::new(SchemaTable::default());
    let [first, second] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let urls = format!("http://127.0.0.1:1,{}/,{}", first.url, second.url);
    let mut converters = try_converters(&urls, &[], &schemas).unwrap();
    first.fail([Fault::Status(500, String::new())]);
    let id = schemas.put(CONNECT).unwrap();
    converters.encode(batch([&br#"{"a":1}"#[..]].into_iter(), id)).await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    // The one that answered is asked first from then on.
    converters.decode(batch([&framed(1, &[2])[..]].into_iter(), 0)).await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (0, 2));
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let schemas = Arc::new(SchemaTable::default());
    let registry = FakeRegistry::start().await;
    let with_user = registry.url.replace("http://", "http://ann:s%3Fcret@");
    for (url, more, expect) in [
        (&with_user, &[][..], " Basic YW5uOnM/Y3JldA=="),
        (
            &registry.url,
            &[("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "ann:s?cret")],
            " Basic YW5uOnM/Y3JldA==",
        ),
        (&registry.url, &[("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "s?cret")], " Bearer s?cret"),
        (&registry.url, &[], ""),
    ] {
        let mut converters = try_converters(url, more, &schemas).unwrap();
        let id = schemas.put(CONNECT).unwrap();
        converters.encode(batch([&br#"{"a":1}"#[..]].into_iter(), id)).await.unwrap();
        assert_eq!(registry.requests(), [format!("POST /subjects/t-value/versions{expect}")]);
    }
    let mut converters = try_converters("http://ann:s%3Fcret@127.0.0.1:1", &[], &schemas).unwrap();
    let outage = converters.decode(batch([&framed(1, &[2])[..]].into_iter(), 0)).await.unwrap_err().outage;
    assert!(outage.message.contains("http://127.0.0.1:1") && !outage.message.contains("cret"), "{outage}");
    for (url, key, value) in [
        ("ftp://ann:s?cret@host", "normalize.schemas", "true"),
        ("", "normalize.schemas", "true"),
        ("http://h", "basic.auth.credentials.source", "SASL_INHERIT"),
        ("http://h", "basic.auth.credentials.source", "USER_INFO"),
        ("http://h", "bearer.auth.credentials.source", "OAUTHBEARER"),
        ("http://h", "value.subject.name.strategy", "com.acme.Mine"),
        ("http://h", "auto.register.schemas", "maybe"),
    ] {
        let error = try_converters(url, &[(key, value)], &schemas).unwrap_err();
        assert!(error.key.starts_with("value.converter.") && !error.message.contains("cret"), "{error}");
    }
}

#[tokio::test]
async fn the_worker_limits_where_a_registry_may_be() {
    let schemas = Arc::new(SchemaTable::default());
    let registry = FakeRegistry::start().await;
    let port = registry.url.rsplit_once(':').unwrap().1.to_owned();
    // An address that is refused is refused at once.
    for (reach, url) in [
        (None, "http://169.254.169.254".to_owned()),
        (Some("*:*+private"), registry.url.clone()),
        (Some(""), "http://registry.example.com".to_owned()),
        (Some("https://*:*"), "http://registry.example.com".to_owned()),
    ] {
        let error = limited_converters(&url, &[], reach, &schemas).unwrap_err();
        assert_eq!(error.key, "value.converter.schema.registry.url");
        assert!(error.message.contains(REACH_KEY), "{error}");
    }
    // A name, when it is dialled: what it leads to is known no sooner, and may change.
    let url = format!("http://localhost:{port}");
    let read = [&framed(registry.put("t-value", "AVRO", "\"int\"", json!([])), &[2])[..]];
    let mut refused = limited_converters(&url, &[], Some("*:*+private"), &schemas).unwrap();
    let outage = refused.decode(batch(read.into_iter(), 0)).await.unwrap_err().outage;
    assert!(!outage.passing && outage.message.contains("a loopback address") && outage.message.contains(REACH_KEY), "{outage}");
    assert_eq!(registry.requests(), [""; 0]);
    for reach in [None, Some(format!("localhost:{port}"))] {
        let mut allowed = limited_converters(&url, &[], reach.as_deref(), &schemas).unwrap();
        assert_eq!(values(&allowed.decode(batch(read.into_iter(), 0)).await.unwrap()), [b"1"]);
    }
}

#[tokio::test]
async fn nothing_but_a_registrys_words_is_quoted() {
    for (status, body, quoted) in [
        (409, json!({"error_code": 409, "message": "s3cret"}), true),
        (422, json!({"error_code": 42201, "message": "s3cret"}), true),
        (500, json!({"error_code": 50001, "message": "s3cret"}), true),
        (409, json!({"message": "s3cret"}), false),
        (422, json!({"error_code": 7, "message": "s3cret"}), false),
        (500, json!({"message": "s3cret"}), false),
        (404, json!({"message": "s3cret", "code": 404}), false),
        (403, json!({"error_code": 40301, "message": "s3cret"}), false),
        (302, json!({"error_code": 302, "message": "s3cret"}), false),
        (200, json!({"message": "s3cret"}), false),
        (200, json!("s3cret"), false),
    ] {
        let mut subject = Subject::new(&[]).await;
        subject.registry.fail([Fault::Status(status, body.to_string())]);
        let id = subject.schemas.put(CONNECT).unwrap();
        let text = match subject.converters.encode(batch([&br#"{"a":1}"#[..]].into_iter(), id)).await {
            Ok(written) => written.failures[0].error.to_string(),
            Err(postponed) => postponed.outage.to_string(),
        };
        assert_eq!(text.contains("s3cret"), quoted, "{status} {body}: {text}");
    }
}

#[tokio::test]
async fn references_are_fetched() {
    let mut subject = Subject::new(&[]).await;
    subject.registry.put("inner", "AVRO", r#"{"type":"fixed","name":"n.F","size":1}"#, json!([]));
    let middle = r#"{"type":"record","name":"n.M","fields":[{"name":"f","type":"F"}]}"#;
    subject.registry.put("middle", "AVRO", middle, json!([{"name": "n.F", "subject": "inner", "version": 1}]));
    let outer = r#"{"type":"record","name":"n.O","fields":[{"name":"m","type":"n.M"},{"name":"f","type":"n.F"}]}"#;
    let references =
        json!([{"name": "n.M", "subject": "middle", "version": 1}, {"name": "n.F", "subject": "inner", "version": 1}]);
    let id = subject.registry.put("t-value", "AVRO", outer, references);
    let read = subject.decode(&[&framed(id, &[5, 6])]).await.unwrap();
    assert_eq!(values(&read), [br#"{"m":{"f":"BQ=="},"f":"Bg=="}"#]);
    assert_eq!(subject.registry.requests().len(), 4);

    let circle = json!([{"name": "c", "subject": "circle", "version": 1}]);
    let id = subject.registry.put("circle", "AVRO", RECORD, circle);
    assert_eq!(subject.decode(&[&framed(id, &[2])]).await.unwrap().failures.len(), 1);
    for chain in 0..20 {
        let next = json!([{"name": format!("c{chain}"), "subject": format!("c{}", chain + 1), "version": 1}]);
        subject.registry.put(&format!("c{chain}"), "AVRO", &format!("\"int{chain}\""), next);
    }
    let id = subject.registry.put("c0", "AVRO", "\"int0\"", json!([]));
    let read = subject.decode(&[&framed(id, &[2])]).await.unwrap();
    assert!(read.failures[0].error.to_string().contains("16 deep"), "{}", read.failures[0].error);
}

#[tokio::test]
async fn records_that_are_none_of_the_registry_fail_alone() {
    let mut subject = Subject::new(&[]).await;
    let good = subject.registry.put("t-value", "AVRO", RECORD, json!([]));
    let other = subject.registry.put("t-value", "PROTOBUF", "syntax = \"proto3\";", json!([]));
    let wrong = subject.registry.put("t-value", "AVRO", "{", json!([]));
    let records = [
        &framed(good, &[2])[..],
        b"",
        b"plain",
        &framed(99, &[2]),
        &framed(other, &[2]),
        &framed(wrong, &[2]),
        &framed(good, &[]),
        &[1; 20],
    ];
    let read = subject.decode(&records).await.unwrap();
    assert_eq!(values(&read), [br#"{"a":1}"#]);
    let reasons = [
        "Unknown magic byte!",
        "Unknown magic byte!",
        "schema for id 99: Schema not found",
        "PROTOBUF, not AVRO",
        "no JSON",
        "ends in the middle",
        "schema for id 01010101-",
    ];
    for (failure, reason) in read.failures.iter().zip(reasons) {
        let text = failure.error.to_string();
        assert!(text.starts_with("Failed to deserialize data for topic t to Avro: ") && text.contains(reason), "{text}");
    }
    assert_eq!(read.failures.len(), reasons.len());
    subject.registry.requests();
    subject.decode(&records).await.unwrap();
    assert_eq!(subject.registry.requests(), [""; 0], "what is unknown is not asked for again at once");
}

#[tokio::test]
async fn a_header_may_name_the_schema() {
    let mut subject = Subject::new(&[]).await;
    let id = subject.registry.put("t-value", "AVRO", RECORD, json!([]));
    let mut builder = BatchBuilder::default();
    let header = HeaderRef { name: "__value_schema_id", value: Some(&framed(id, &[])), schema: 0 };
    builder.push(Record { topic: "t", value: Some(&[2]), ..Record::default() }, [header]);
    let read = subject.converters.decode(builder.finish()).await.unwrap();
    assert_eq!(values(&read), [br#"{"a":1}"#]);
}

#[tokio::test]
async fn caches_are_bounded() {
    let mut subject = Subject::new(&[("schemas.cache.config", "1")]).await;
    for round in 0..3 {
        let records: Vec<_> = (0..40)
            .map(|number| {
                let text = format!(r#"{{"type":"record","name":"R{number}","fields":[{{"name":"a","type":"int"}}]}}"#);
                framed(subject.registry.put("t-value", "AVRO", &text, json!([])), &[2])
            })
            .collect();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        assert_eq!(subject.decode(&records).await.unwrap().batch.len(), 40, "round {round}");
    }
}
