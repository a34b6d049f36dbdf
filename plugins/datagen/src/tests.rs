use super::*;
use hawser_plugin::testing::{SourceDriver, problems, source_tasks};

const FAST: &[(&str, &str)] = &[("topic", "t"), ("rate", "0"), ("count", "1201"), ("keys", "3")];

fn values(driver: &mut SourceDriver<Datagen>) -> Vec<String> {
    let poll = driver.poll().unwrap();
    driver.commit(&poll).unwrap();
    poll.records.iter().map(|record| record.value().as_str().unwrap().to_owned()).collect()
}

#[test]
fn makes_the_same_records_again() {
    let all = |seed: &str| {
        let config = [FAST, &[("seed", seed)]].concat();
        SourceDriver::<Datagen>::start(&config).unwrap().poll().unwrap().records.into_columns().data
    };
    assert_eq!(all("1"), all("1"));
    assert_ne!(all("1"), all("2"));
}

#[test]
fn goes_on_where_it_was_committed_and_ends_at_the_count() {
    let mut seen = Vec::new();
    for expected in [500, 500, 201, 0] {
        let mut driver = SourceDriver::<Datagen>::start(FAST).unwrap();
        let values = values(&mut driver);
        assert_eq!(values.len(), expected);
        seen.extend(values);
    }
    for (number, value) in seen.iter().enumerate() {
        assert!(value.starts_with(&format!("{{\"id\":{number},")), "{value}");
    }
}

#[test]
fn tasks_share_the_record_numbers() {
    let mut ids: Vec<u64> = Vec::new();
    for task in source_tasks::<Datagen>(FAST, 3).unwrap() {
        let mut driver = SourceDriver::<Datagen>::start_task(task).unwrap();
        for value in values(&mut driver) {
            #[derive(Deserialize)]
            struct Record {
                id: u64,
            }
            ids.push(Payload::json(&value).parse::<Record>().unwrap().id);
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..1201).collect::<Vec<_>>());
}

#[test]
fn records_have_the_size_and_format_asked_for() {
    for (format, size, schema) in [("json", 100, 2), ("json", 5000, 2), ("string", 7, 1), ("bytes", 1000, 0)] {
        let size_text = size.to_string();
        let config = [("topic", "t"), ("rate", "0"), ("count", "50"), ("format", format), ("record.size", &size_text)];
        let poll = SourceDriver::<Datagen>::start(&config).unwrap().poll().unwrap();
        for record in &poll.records {
            assert_eq!((record.value().as_slice().len(), record.value().schema), (size, SchemaId(schema)));
            assert!(record.key().is_null());
        }
    }
}

#[test]
fn keeps_its_rate() {
    let start = Instant::now();
    let mut pace = Pace { per_second: 10.0, since: start };
    let after = |ms| start + Duration::from_millis(ms);
    assert_eq!(pace.due(after(250)), 2);
    assert_eq!(pace.made(2, after(250)), Duration::from_millis(50));
    assert_eq!(pace.due(after(300)), 1);
    assert_eq!(pace.made(1, after(300)), Duration::from_millis(100));
    assert_eq!(pace.due(after(60_000)), 10, "a stall is not made up for");
    let mut slow = Pace { per_second: 0.1, since: start };
    assert_eq!(slow.due(after(9_900)), 0);
    assert_eq!(slow.made(0, after(9_900)), Duration::from_millis(100));
    assert_eq!(slow.due(after(11_000)), 1);
}

#[test]
fn refuses_what_it_cannot_do() {
    for (key, value) in [
        ("rate", "-1"),
        ("rate", "nan"),
        ("rate", "0.0001"),
        ("record.size", "0"),
        ("record.size", "1048577"),
        ("format", "xml"),
        ("count", "-1"),
    ] {
        assert_eq!(problems::<Datagen>(&[("topic", "t"), (key, value)]).len(), 1, "{key}={value}");
    }
}
