//! The configuration keys that all registry converters share: Confluent's `AbstractKafkaSchemaSerDeConfig`.

use crate::convert::config::{ConfigKey, Importance, ValueType};

pub const URL: &str = "schema.registry.url";
pub const AUTO_REGISTER: &str = "auto.register.schemas";
pub const NORMALIZE: &str = "normalize.schemas";
pub const USE_LATEST: &str = "use.latest.version";
pub const LATEST_STRICT: &str = "latest.compatibility.strict";
pub const LATEST_TTL: &str = "latest.cache.ttl.sec";
pub const USE_ID: &str = "use.schema.id";
pub const ID_STRICT: &str = "id.compatibility.strict";
pub const CACHE_SIZE: &str = "schemas.cache.config";
pub const KEY_STRATEGY: &str = "key.subject.name.strategy";
pub const VALUE_STRATEGY: &str = "value.subject.name.strategy";
pub const CREDENTIALS_SOURCE: &str = "basic.auth.credentials.source";
pub const USER_INFO: &str = "basic.auth.user.info";
pub const OLD_USER_INFO: &str = "schema.registry.basic.auth.user.info";
pub const BEARER_SOURCE: &str = "bearer.auth.credentials.source";
pub const BEARER_TOKEN: &str = "bearer.auth.token";
pub const CONNECT_TIMEOUT: &str = "http.connect.timeout.ms";
pub const READ_TIMEOUT: &str = "http.read.timeout.ms";
pub const TRUSTSTORE_LOCATION: &str = "schema.registry.ssl.truststore.location";
pub const TRUSTSTORE_CERTIFICATES: &str = "schema.registry.ssl.truststore.certificates";
pub const TRUSTSTORE_TYPE: &str = "schema.registry.ssl.truststore.type";
pub const TRUSTSTORE_PASSWORD: &str = "schema.registry.ssl.truststore.password";
pub const KEYSTORE_LOCATION: &str = "schema.registry.ssl.keystore.location";
pub const KEYSTORE_CHAIN: &str = "schema.registry.ssl.keystore.certificate.chain";
pub const KEYSTORE_KEY: &str = "schema.registry.ssl.keystore.key";
pub const KEYSTORE_TYPE: &str = "schema.registry.ssl.keystore.type";
pub const KEYSTORE_PASSWORD: &str = "schema.registry.ssl.keystore.password";
pub const KEY_PASSWORD: &str = "schema.registry.ssl.key.password";
pub const ENDPOINT_IDENTIFICATION: &str = "schema.registry.ssl.endpoint.identification.algorithm";

const fn flag(name: &'static str, default: &'static str, importance: Importance, documentation: &'static str) -> ConfigKey {
    ConfigKey::plain(name, ValueType::Boolean, Some(default), importance, documentation)
}

const fn text(
    name: &'static str,
    default: Option<&'static str>,
    importance: Importance,
    documentation: &'static str,
) -> ConfigKey {
    ConfigKey::plain(name, ValueType::String, default, importance, documentation)
}

const fn number(name: &'static str, default: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::plain(name, ValueType::Int, Some(default), Importance::Low, documentation)
}

const fn secret(name: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::plain(name, ValueType::Password, None, Importance::Medium, documentation)
}

const TOPIC_STRATEGY: Option<&str> = Some("io.confluent.kafka.serializers.subject.TopicNameStrategy");

/// How many keys there are in [`COMMON`].
pub const COMMON_COUNT: usize = 29;

/// The keys.
pub const COMMON: [ConfigKey; COMMON_COUNT] = [
    ConfigKey {
        required: true,
        ..ConfigKey::plain(
            URL,
            ValueType::List,
            None,
            Importance::High,
            "URLs of the schema registry, comma-separated: when one does not answer, the next is asked.",
        )
    },
    flag(AUTO_REGISTER, "true", Importance::Medium, "Whether new schemas are registered."),
    flag(NORMALIZE, "false", Importance::Medium, "Whether the registry normalizes schemas before it compares them."),
    flag(USE_LATEST, "false", Importance::Low, "With auto.register.schemas=false: write under the subject's latest schema."),
    flag(
        LATEST_STRICT,
        "true",
        Importance::Low,
        "Whether the latest schema must have a place for all that a record may hold; else what has none is left out.",
    ),
    number(LATEST_TTL, "-1", "Seconds after which the latest schema is asked for again; -1: never."),
    number(USE_ID, "-1", "With auto.register.schemas=false: write under the schema with this id."),
    flag(
        ID_STRICT,
        "true",
        Importance::Low,
        "Whether the schema of use.schema.id must have a place for all that a record may hold.",
    ),
    ConfigKey::plain(CACHE_SIZE, ValueType::Int, Some("1000"), Importance::Low, "Schemas that are remembered."),
    text(KEY_STRATEGY, TOPIC_STRATEGY, Importance::Medium, "How the subject of keys is named: by topic, record, or both."),
    text(VALUE_STRATEGY, TOPIC_STRATEGY, Importance::Medium, "How the subject of values is named: by topic, record, or both."),
    text(CREDENTIALS_SOURCE, Some("URL"), Importance::Medium, "Where user and password come from: URL or USER_INFO."),
    secret(USER_INFO, "user:password, with basic.auth.credentials.source=USER_INFO."),
    secret(OLD_USER_INFO, "The old name of basic.auth.user.info."),
    text(BEARER_SOURCE, None, Importance::Medium, "Where a bearer token comes from: STATIC_TOKEN."),
    secret(BEARER_TOKEN, "The token, with bearer.auth.credentials.source=STATIC_TOKEN."),
    number(CONNECT_TIMEOUT, "60000", "Milliseconds in which a connection must come about."),
    number(READ_TIMEOUT, "60000", "Milliseconds in which the answer must come."),
    text(TRUSTSTORE_LOCATION, None, Importance::Medium, "File with the certificates that are trusted, in PEM or PKCS12."),
    text(TRUSTSTORE_CERTIFICATES, None, Importance::Medium, "The certificates that are trusted, as PEM."),
    text(TRUSTSTORE_TYPE, None, Importance::Low, "Not used: PEM and PKCS12 are told apart by what is in the file."),
    secret(TRUSTSTORE_PASSWORD, "The password of a PKCS12 file."),
    text(KEYSTORE_LOCATION, None, Importance::Medium, "File with the client's key and certificates, in PEM or PKCS12."),
    text(KEYSTORE_CHAIN, None, Importance::Medium, "The client's certificates, as PEM."),
    secret(KEYSTORE_KEY, "The client's key, as PEM."),
    text(KEYSTORE_TYPE, None, Importance::Low, "Not used: PEM and PKCS12 are told apart by what is in the file."),
    secret(KEYSTORE_PASSWORD, "The password of a PKCS12 file."),
    secret(KEY_PASSWORD, "The password of an encrypted key in PEM."),
    text(ENDPOINT_IDENTIFICATION, Some("https"), Importance::Low, "https: the certificate must be of the host in the URL."),
];

/// A format's keys behind the common ones.
pub const fn with_common<const OWN: usize, const ALL: usize>(own: [ConfigKey; OWN]) -> [ConfigKey; ALL] {
    assert!(ALL == COMMON_COUNT + OWN);
    let mut all = [COMMON[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < COMMON_COUNT { COMMON[at] } else { own[at - COMMON_COUNT] };
        at += 1;
    }
    all
}
