//! The keys that every connector has, whatever its plugin: Kafka Connect's `ConnectorConfig`,
//! `SourceConnectorConfig` and `SinkConnectorConfig`.

use std::sync::Arc;

use super::classes::{ClassKind, Classes};
use super::config_def::{
    Check, Checked, ClassLookup, ConfigDef, ConfigKey, Default, Importance, Lookup, MAX_ALIASES, Type, Validator, Value, Width,
    split_list,
};
use super::source_stores::OWN_TOPIC_KEY;
use crate::plugin::VersionRange;
use crate::sandbox::{GRANT_KEYS, is_secret_key};

const COMMON: &str = "Common";
const TRANSFORMS: &str = "Transforms";
const PREDICATES: &str = "Predicates";
const ERRORS: &str = "Error Handling";
const TOPIC_CREATION: &str = "Topic Creation";
const EXACTLY_ONCE: &str = "Exactly Once Support";
const OFFSETS_TOPIC: &str = "offsets.topic";
const SANDBOX: &str = "Sandbox";

/// What the definitions depend on: the installed classes and the worker's defaults.
#[derive(Clone)]
pub struct Framework {
    /// Everything that is installed.
    pub classes: Arc<dyn Classes>,
    /// The worker's `key.converter`.
    pub key_converter: Option<String>,
    /// The worker's `value.converter`.
    pub value_converter: Option<String>,
    /// The worker's `header.converter`.
    pub header_converter: Option<String>,
}

fn absent() -> Default {
    Default::Value(None)
}

fn default(value: &str) -> Default {
    Default::Value(Some(value.to_owned()))
}

fn one_of(choices: &[&str]) -> Validator {
    Validator::OneOf(choices.iter().map(|choice| (*choice).to_owned()).collect())
}

fn one_of_ignoring_case(choices: &[&str]) -> Validator {
    Validator::OneOfIgnoringCase(choices.iter().map(|choice| (*choice).to_owned()).collect())
}

impl Framework {
    /// The keys of a worker that has no converters of its own.
    pub fn bare(classes: Arc<dyn Classes>) -> Framework {
        Framework { classes, key_converter: None, value_converter: None, header_converter: None }
    }

    /// Keys of a source connector, with those of its transforms and predicates.
    pub fn source(&self, config: &Checked<'_>) -> ConfigDef {
        let mut def = self.common(config);
        source_keys().into_iter().chain(dead_letter_keys()).for_each(|key| def.define(key));
        self.enrich(&mut def, config);
        def
    }

    /// Keys of a sink connector, with those of its transforms and predicates.
    pub fn sink(&self, config: &Checked<'_>) -> ConfigDef {
        let mut def = self.common(config);
        sink_keys().into_iter().chain(dead_letter_keys()).for_each(|key| def.define(key));
        self.enrich(&mut def, config);
        def
    }

    /// Keys that sources and sinks share.
    pub fn common(&self, config: &Checked<'_>) -> ConfigDef {
        use Importance::{High, Low, Medium};
        let class = config.text("connector.class");
        let newest = class.and_then(|class| self.classes.find(class, None).ok()).map(|found| found.version);
        let versions = class.map(|class| self.classes.versions(class)).unwrap_or_default();
        let converters = self.classes.names(ClassKind::Converter);
        let header_converters = self.classes.names(ClassKind::HeaderConverter);
        let converter = |name: &str, kind: ClassKind, fallback: &Option<String>, order, doc, display: &str| {
            ConfigKey::new(name, Type::Class, Default::Value(fallback.clone()), Low, doc)
                .group(COMMON, order, Width::Short, display)
                .lookup(self.lookup(kind))
                .recommended(match kind {
                    ClassKind::HeaderConverter => header_converters.clone(),
                    _ => converters.clone(),
                })
        };
        let version = |name: &str, default, importance, order, width, doc, display: &str| {
            ConfigKey::new(name, Type::String, Default::Value(default), importance, doc)
                .group(COMMON, order, width, display)
                .validator(Validator::Check(Arc::new(check_version)))
        };
        let converter_version = |key: &str, kind: ClassKind, fallback: &Option<String>, order, doc, display: &str| {
            let name = config.text(key).or(fallback.as_deref());
            let found = name.and_then(|name| self.classes.of_kind(kind, name, None)).map(|class| class.version);
            version(&format!("{key}.plugin.version"), found.clone(), Low, order, Width::Short, doc, display)
                .recommended(found.into_iter().collect())
        };
        let keys = [
            ConfigKey::new(
                "name",
                Type::String,
                Default::Required,
                High,
                "Name of this connector; no two of a cluster have the same.",
            )
            .group(COMMON, 1, Width::Medium, "Connector name")
            .validator(Validator::Name),
            ConfigKey::new(
                "connector.class",
                Type::String,
                Default::Required,
                High,
                "Class of this connector: its full name, its simple name, that name without `Connector`, or an alias.",
            )
            .group(COMMON, 2, Width::Long, "Connector class"),
            version(
                "connector.plugin.version",
                newest,
                Medium,
                3,
                Width::Medium,
                "Version of the connector, or a range of versions.",
                "Connector version",
            )
            .recommended(versions),
            ConfigKey::new("tasks.max", Type::Int, default("1"), High, "Maximum number of tasks of this connector.")
                .group(COMMON, 4, Width::Short, "Tasks max")
                .validator(Validator::AtLeast(1)),
            ConfigKey::new(
                "tasks.max.enforce",
                Type::Boolean,
                default("true"),
                Low,
                "Whether a connector that generates more than `tasks.max` tasks fails; if not, it runs them all with a warning.",
            )
            .group(COMMON, 5, Width::Short, "Enforce tasks max"),
            converter(
                "key.converter",
                ClassKind::Converter,
                &self.key_converter,
                6,
                "Class that turns record keys into what is on the topic and back; the worker's if not given.",
                "Key converter class",
            ),
            converter_version(
                "key.converter",
                ClassKind::Converter,
                &self.key_converter,
                7,
                "Version of the key converter.",
                "Key converter version",
            ),
            converter(
                "value.converter",
                ClassKind::Converter,
                &self.value_converter,
                8,
                "Class that turns record values into what is on the topic and back; the worker's if not given.",
                "Value converter class",
            ),
            converter_version(
                "value.converter",
                ClassKind::Converter,
                &self.value_converter,
                9,
                "Version of the value converter.",
                "Value converter version",
            ),
            converter(
                "header.converter",
                ClassKind::HeaderConverter,
                &self.header_converter,
                10,
                "Class that turns header values into what is on the topic and back; the worker's if not given.",
                "Header converter class",
            ),
            converter_version(
                "header.converter",
                ClassKind::HeaderConverter,
                &self.header_converter,
                11,
                "Version of the header converter.",
                "Header converter version",
            ),
            ConfigKey::new(
                "transforms",
                Type::List,
                default(""),
                Low,
                "Aliases of the transformations that each record passes, in order.",
            )
            .group(TRANSFORMS, 12, Width::Long, "Transforms")
            .validator(Validator::UniqueAliases),
            ConfigKey::new("predicates", Type::List, default(""), Low, "Aliases of the predicates that transformations use.")
                .group(PREDICATES, 13, Width::Long, "Predicates")
                .validator(Validator::UniqueAliases),
            ConfigKey::new(
                "config.action.reload",
                Type::String,
                default("restart"),
                Low,
                "What happens when a value from a config provider expires: `restart` the connector, or `none`.",
            )
            .group(COMMON, 14, Width::Medium, "Reload Action")
            .validator(one_of(&["none", "restart"])),
            ConfigKey::new(
                "errors.retry.timeout",
                Type::Long,
                default("0"),
                Medium,
                "Milliseconds for which a failed operation is tried again: 0 not at all, -1 for ever.",
            )
            .group(ERRORS, 1, Width::Medium, "Retry Timeout for Errors"),
            ConfigKey::new(
                "errors.retry.delay.max.ms",
                Type::Long,
                default("60000"),
                Medium,
                "Most milliseconds between two tries.",
            )
            .group(ERRORS, 2, Width::Medium, "Maximum Delay Between Retries for Errors"),
            ConfigKey::new(
                "errors.tolerance",
                Type::String,
                default("none"),
                Medium,
                "`none`: a record that cannot be handled fails the task; `all`: it is skipped.",
            )
            .group(ERRORS, 3, Width::Short, "Error Tolerance")
            .validator(one_of(&["none", "all"])),
            ConfigKey::new(
                "errors.log.enable",
                Type::Boolean,
                default("false"),
                Medium,
                "Whether each failed operation is logged.",
            )
            .group(ERRORS, 4, Width::Short, "Log Errors"),
            ConfigKey::new(
                "errors.log.include.messages",
                Type::Boolean,
                default("false"),
                Medium,
                "Whether that log tells which record failed.",
            )
            .group(ERRORS, 5, Width::Short, "Log Error Details"),
        ];
        let mut def = ConfigDef { keys: keys.into() };
        sandbox_keys(config).into_iter().for_each(|key| def.define(key));
        def
    }

    fn lookup(&self, kind: ClassKind) -> ClassLookup {
        let classes = Arc::clone(&self.classes);
        Arc::new(move |name| match (classes.of_kind(kind, name, None), classes.find(name, None)) {
            (Some(class), _) => Lookup::Found(class.name),
            (None, Ok(class)) => Lookup::OfOtherKind(class.name, interface(kind)),
            (None, Err(_)) => Lookup::Missing,
        })
    }

    /// Adds the keys of the transforms and predicates that the configuration names.
    fn enrich(&self, def: &mut ConfigDef, config: &Checked<'_>) {
        for stage in [Stage::TRANSFORM, Stage::PREDICATE] {
            let mut seen: Vec<String> = Vec::new();
            for alias in split_list(config.text(stage.list).unwrap_or_default()).into_iter().take(MAX_ALIASES) {
                if !seen.contains(&alias) {
                    self.enrich_alias(def, config, &stage, &alias);
                    seen.push(alias);
                }
            }
        }
    }

    fn enrich_alias(&self, def: &mut ConfigDef, config: &Checked<'_>, stage: &Stage, alias: &str) {
        let prefix = format!("{}.{alias}.", stage.list);
        let group = format!("{}: {alias}", stage.group);
        let type_key = format!("{prefix}type");
        let given = config.text(&type_key);
        let version = config.text(&format!("{prefix}plugin.version"));
        let negates_nothing = stage.has_predicate
            && config.get(&format!("{prefix}negate")).is_some()
            && config.get(&format!("{prefix}predicate")).is_none();
        def.define(
            ConfigKey::new(
                &type_key,
                Type::Class,
                Default::Required,
                Importance::High,
                &format!("Class of the {} `{alias}`.", stage.noun),
            )
            .group(&group, 0, Width::Long, &format!("{} type for {alias}", stage.class))
            .lookup(self.lookup(stage.kind))
            .recommended(self.classes.names(stage.kind))
            .validator(Validator::Check(stage_check(&prefix, negates_nothing))),
        );
        let found = given.and_then(|name| self.classes.of_kind(stage.kind, name, version));
        def.define(
            ConfigKey::new(
                &format!("{prefix}plugin.version"),
                Type::String,
                Default::Value(found.as_ref().map(|class| class.version.clone())),
                Importance::Medium,
                &format!("Version of the {} `{alias}`, or a range of versions.", stage.noun),
            )
            .group(&group, 1, Width::Medium, &format!("{} version for {alias}", stage.class))
            .recommended(given.map(|name| self.classes.versions(name)).unwrap_or_default()),
        );
        let Some(found) = found else { return };
        let mut own = Vec::new();
        if stage.has_predicate {
            own.push(ConfigKey::new(
                "predicate",
                Type::String,
                absent(),
                Importance::Medium,
                "Alias of the predicate that decides which records this transformation takes.",
            ));
            own.push(ConfigKey::new(
                "negate",
                Type::Boolean,
                default("false"),
                Importance::Medium,
                "Whether it takes the records for which the predicate is false instead.",
            ));
        }
        let masked = |name: &str| stage.has_predicate && matches!(name, "predicate" | "negate");
        own.extend(found.keys.into_iter().filter(|key| !masked(&key.name)));
        def.embed(&prefix, &group, 2, ConfigDef { keys: own });
    }
}

/// Kafka Connect's interface of a kind of class.
fn interface(kind: ClassKind) -> &'static str {
    match kind {
        ClassKind::Sink => "SinkConnector",
        ClassKind::Source => "SourceConnector",
        ClassKind::Transformation => "Transformation",
        ClassKind::Predicate => "Predicate",
        ClassKind::Converter => "Converter",
        ClassKind::HeaderConverter => "HeaderConverter",
    }
}

/// What transforms and predicates do not share.
struct Stage {
    list: &'static str,
    group: &'static str,
    class: &'static str,
    noun: &'static str,
    kind: ClassKind,
    has_predicate: bool,
}

impl Stage {
    const TRANSFORM: Stage = Stage {
        list: "transforms",
        group: TRANSFORMS,
        class: "Transformation",
        noun: "transformation",
        kind: ClassKind::Transformation,
        has_predicate: true,
    };
    const PREDICATE: Stage = Stage {
        list: "predicates",
        group: PREDICATES,
        class: "Predicate",
        noun: "predicate",
        kind: ClassKind::Predicate,
        has_predicate: false,
    };
}

fn stage_check(prefix: &str, negates_nothing: bool) -> Check {
    let prefix = prefix.to_owned();
    Arc::new(move |_, _| match negates_nothing {
        true => Err(format!(
            "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' defining a predicate to be negated."
        )),
        false => Ok(()),
    })
}

/// The keys of grants that a configuration sets. Kafka Connect has none of them, so that a configuration without them has the
/// same keys there and here.
fn sandbox_keys(config: &Checked<'_>) -> Vec<ConfigKey> {
    let define = |name: &str, kind, doc| {
        ConfigKey::new(name, kind, absent(), Importance::Medium, doc).group(SANDBOX, -1, Width::Long, name)
    };
    let mut keys = Vec::new();
    for (name, _) in config.raw {
        if is_secret_key(name) {
            let is_reference = config.is_secret(name);
            let doc =
                "A secret that the worker puts into HTTP headers in the place of `{{secret:NAME}}`; the plugin never sees it.";
            keys.push(define(name, Type::Password, doc).validator(Validator::Check(Arc::new(move |key, _| match is_reference {
                true => Ok(()),
                false => Err(format!(
                    "{key} must be a reference to a config provider, such as ${{file:/etc/hawser/secrets.properties:token}}, so that \
                     the secret is not kept with the configuration"
                )),
            }))));
        } else if GRANT_KEYS.contains(&name.as_str()) {
            keys.push(define(name, Type::List, "What the connector's plugins are granted; see docs/sandbox.md."));
        }
    }
    keys
}

/// Whether a value is a version or a range of versions.
fn check_version(_: &str, value: Option<&Value>) -> Result<(), String> {
    match value {
        Some(Value::Text(text)) => text.parse::<VersionRange>().map(drop).map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

fn source_keys() -> [ConfigKey; 5] {
    use Importance::{Low, Medium};
    [
        ConfigKey::new(
            "topic.creation.groups",
            Type::List,
            default(""),
            Low,
            "Groups of settings for the topics that the worker creates; the group `default` is always there.",
        )
        .group(TOPIC_CREATION, 1, Width::Long, "Topic Creation Groups")
        .validator(Validator::UniqueAliases),
        ConfigKey::new(
            "exactly.once.support",
            Type::String,
            default("requested"),
            Medium,
            "`required`: the connector is refused unless it can deliver exactly once.",
        )
        .group(EXACTLY_ONCE, 2, Width::Short, "Exactly once support")
        .validator(one_of_ignoring_case(&["REQUIRED", "REQUESTED"])),
        ConfigKey::new(
            "transaction.boundary",
            Type::String,
            default("poll"),
            Medium,
            "With exactly-once delivery, where transactions end.",
        )
        .group(EXACTLY_ONCE, 3, Width::Short, "Transaction Boundary")
        .validator(one_of_ignoring_case(&["INTERVAL", "POLL", "CONNECTOR"])),
        ConfigKey::new(
            "transaction.boundary.interval.ms",
            Type::Long,
            absent(),
            Low,
            "Milliseconds between transactions if their boundary is `interval`.",
        )
        .group(EXACTLY_ONCE, 4, Width::Short, "Transaction boundary interval")
        .validator(Validator::AtLeastOrNull(0)),
        ConfigKey::new(
            OWN_TOPIC_KEY,
            Type::String,
            absent(),
            Low,
            "Topic for this connector's offsets; the worker's if not given.",
        )
        .group(OFFSETS_TOPIC, 1, Width::Long, "Offsets topic")
        .validator(Validator::NonEmpty),
    ]
}

fn sink_keys() -> [ConfigKey; 2] {
    use Importance::High;
    [
        ConfigKey::new("topics", Type::List, default(""), High, "Topics to read, separated by commas.")
            .group(COMMON, 4, Width::Long, "Topics")
            .validator(Validator::DistinctItems),
        ConfigKey::new("topics.regex", Type::String, default(""), High, "Regular expression for the topics to read.")
            .group(COMMON, 4, Width::Long, "Topics regex")
            .validator(Validator::Regex),
    ]
}

/// Kafka Connect has these for sinks alone.
fn dead_letter_keys() -> [ConfigKey; 3] {
    use Importance::Medium;
    [
        ConfigKey::new(
            "errors.deadletterqueue.topic.name",
            Type::String,
            default(""),
            Medium,
            "Topic for records that cannot be handled; blank: none.",
        )
        .group(ERRORS, 6, Width::Medium, "Dead Letter Queue Topic Name"),
        ConfigKey::new(
            "errors.deadletterqueue.topic.replication.factor",
            Type::Short,
            default("3"),
            Medium,
            "Replicas of that topic if the worker creates it.",
        )
        .group(ERRORS, 7, Width::Medium, "Dead Letter Queue Topic Replication Factor"),
        ConfigKey::new(
            "errors.deadletterqueue.context.headers.enable",
            Type::Boolean,
            default("false"),
            Medium,
            "Whether records on that topic carry headers that say what went wrong.",
        )
        .group(ERRORS, 8, Width::Medium, "Enable Error Context Headers"),
    ]
}
