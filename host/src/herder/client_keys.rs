//! The settings of Kafka's Java clients as Kafka itself describes them, for what validation says of overrides.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::config_def::{ConfigKey, Default, Importance, Type};

/// One line per setting: name, clients that have it (`p`roducer, `c`onsumer, `a`dmin), type, importance, default. Read by
/// reflection from the classes of Kafka 4.3.1 (`ProducerConfig.configDef()` and its like).
const TABLE: &str = include_str!("client_keys.tsv");

/// Defaults that are no text.
const REQUIRED: &str = "!REQUIRED";
const NULL: &str = "null";

static KEYS: LazyLock<HashMap<(char, &str), ConfigKey>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter_map(parse);
    lines.flat_map(|(clients, key)| clients.chars().map(move |client| ((client, key.0), key.1.clone()))).collect()
});

fn parse(line: &'static str) -> Option<(&'static str, (&'static str, ConfigKey))> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let (name, clients, kind, importance, default) = (next()?, next()?, next()?, next()?, next()?);
    let kind = match kind {
        "BOOLEAN" => Type::Boolean,
        "INT" => Type::Int,
        "SHORT" => Type::Short,
        "LONG" => Type::Long,
        "DOUBLE" => Type::Double,
        "LIST" => Type::List,
        "CLASS" => Type::Class,
        "PASSWORD" => Type::Password,
        _ => Type::String,
    };
    let importance = match importance {
        "HIGH" => Importance::High,
        "MEDIUM" => Importance::Medium,
        _ => Importance::Low,
    };
    let default = match default {
        REQUIRED => Default::Required,
        NULL => Default::Value(None),
        text => Default::Value(Some(text.to_owned())),
    };
    let doc = "A setting of Kafka's client: its documentation says what it does.";
    Some((clients, (name, ConfigKey::new(name, kind, default, importance, doc))))
}

/// The definition of an override such as `producer.override.linger.ms`; `None`: Kafka's clients do not have the setting.
pub(super) fn definition(prefix: &str, setting: &str) -> Option<ConfigKey> {
    let mut key = KEYS.get(&(prefix.chars().next()?, setting))?.clone();
    key.name.insert_str(0, prefix);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        assert_eq!(TABLE.lines().filter_map(parse).count(), TABLE.lines().count());
        let clients: usize = TABLE.lines().filter_map(parse).map(|(clients, _)| clients.len()).sum();
        assert_eq!(KEYS.len(), clients, "no client has two definitions of one setting");
    }

    #[test]
    fn definitions_are_kafkas() {
        let check = |prefix: &str, setting: &str, expect: Option<(Type, Importance, Default)>| {
            let found = definition(prefix, setting);
            let shape = found.map(|key| {
                assert_eq!((key.name, key.display_name), (format!("{prefix}{setting}"), setting.to_owned()));
                (key.kind, key.importance, key.default)
            });
            assert_eq!(shape, expect, "{prefix}{setting}");
        };
        let some = |text: &str| Default::Value(Some(text.to_owned()));
        check("producer.override.", "linger.ms", Some((Type::Long, Importance::Medium, some("5"))));
        check("consumer.override.", "client.id", Some((Type::String, Importance::Low, some(""))));
        check("admin.override.", "sasl.jaas.config", Some((Type::Password, Importance::Medium, Default::Value(None))));
        check("consumer.override.", "bootstrap.servers", Some((Type::List, Importance::High, Default::Required)));
        check("consumer.override.", "linger.ms", None);
        check("producer.override.", "queue.buffering.max.messages", None);
    }
}
