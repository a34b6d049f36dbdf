use std::time::Duration;

use super::*;
use crate::errors::Error;

fn def() -> ConfigDef {
    ConfigDef::new()
        .string("file")
        .required()
        .not_empty()
        .group("File")
        .int("size")
        .default_value("500")
        .at_least(1)
        .at_most(1000)
        .group("File")
        .boolean("on")
        .list("fields")
        .default_value("a , b")
        .not_empty()
        .string("mode")
        .one_of(&["fast", "slow"])
        .password("secret")
        .check(|text| if text.len() > 2 { Ok(()) } else { Err("too short".to_owned()) })
        .long("wait.ms")
        .double("share")
}

fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(';')
        .filter(|pair| !pair.is_empty())
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn says_what_is_wrong_in_kafkas_words() {
    for (config, expected) in [
        ("file=x", ""),
        ("file=x;size=1000;on=TRUE;mode=slow;secret=abc;other=1", ""),
        ("", "Missing required configuration \"file\" which has no default value."),
        ("file= ", "Invalid value  for configuration file: String must be non-empty"),
        ("file=x;size=a", "Invalid value a for configuration size: Not a number of type INT"),
        ("file=x;size=0", "Invalid value 0 for configuration size: Value must be at least 1"),
        ("file=x;size=1001", "Invalid value 1001 for configuration size: Value must be no more than 1000"),
        ("file=x;on=1", "Invalid value 1 for configuration on: Expected value to be either true or false"),
        ("file=x;fields=", "Invalid value [] for configuration fields: Empty list"),
        ("file=x;mode=odd", "Invalid value odd for configuration mode: String must be one of: fast, slow"),
        ("file=x;secret=ab", "Invalid value [hidden] for configuration secret: too short"),
    ] {
        let found: Vec<String> = def().problems(&pairs(config)).into_iter().map(|problem| problem.message).collect();
        assert_eq!(found.join("\n"), expected, "{config}");
    }
}

#[test]
fn gives_typed_values() {
    let config = def().parse(pairs("file= x ;on=True;wait.ms=20;share=0.5;other=1")).unwrap();
    assert_eq!(config.get("file"), Ok("x"));
    assert_eq!(config.get("size"), Ok(500));
    assert_eq!(config.get("on"), Ok(true));
    assert_eq!(config.get("fields"), Ok(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(config.get("wait.ms"), Ok(Duration::from_millis(20)));
    assert_eq!(config.get("share"), Ok(0.5));
    assert_eq!(config.find::<&str>("mode"), Ok(None));
    assert!(matches!(config.get::<i32>("mode"), Err(Error::InvalidConfig(_))));
    assert!(matches!(config.get::<i32>("file"), Err(Error::InvalidConfig(_))));
    assert_eq!(config.to_task().with("file", "y").into_pairs()[0], ("file".to_owned(), "y".to_owned()));
}

#[test]
fn shows_no_value_in_debug_output() {
    let config = def().parse(pairs("file=x;secret=hunter2")).unwrap();
    assert!(!format!("{config:?} {:?}", config.to_task()).contains("hunter2"));
}

#[test]
fn counts_the_order_within_a_group() {
    let described = def().describe();
    assert_eq!((described[0].order, described[1].order, described[2].order), (1, 2, 0));
    assert_eq!(described[0].importance, Importance::High);
}
