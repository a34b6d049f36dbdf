//! The classes of the uploaded plugins and the converters of the worker, as configurations name them.

use std::sync::Arc;

use super::KAFKA_CONNECT_VERSION;
use super::classes::{ClassKind, Classes, FoundClass, NotFound};
use super::config_def::{ConfigKey, Default, Importance, Type, Validator, Width};
use crate::convert::{self, ConverterClass};
use crate::plugin::{Catalogue, Plugin, ResolveError};
use crate::sandbox;

/// Everything that is installed.
pub struct Installed {
    catalogue: Arc<Catalogue>,
}

impl Installed {
    /// The classes of this catalogue, and the converters.
    pub fn new(catalogue: Arc<Catalogue>) -> Installed {
        Installed { catalogue }
    }
}

impl Classes for Installed {
    fn find(&self, name: &str, version: Option<&str>) -> Result<FoundClass, NotFound> {
        match self.catalogue.resolve(name, version) {
            Ok(resolved) => Ok(found(&resolved.plugin, &resolved.class)),
            Err(error @ (ResolveError::Unknown { .. } | ResolveError::Ambiguous { .. })) => {
                converter(name, None).ok_or_else(|| NotFound { message: error.to_string(), available_versions: Vec::new() })
            }
            Err(ResolveError::Version { class, range, available }) => Err(NotFound {
                message: format!(
                    "Plugin {class} not found that matches the version range {range}, available versions: [{}]",
                    available.join(", ")
                ),
                available_versions: available,
            }),
            Err(error @ ResolveError::InvalidRange(_)) => {
                let known = self.catalogue.resolve(name, None).map(|resolved| resolved.plugin.version.to_string());
                Err(NotFound { message: error.to_string(), available_versions: known.into_iter().collect() })
            }
        }
    }

    fn of_kind(&self, kind: ClassKind, name: &str, version: Option<&str>) -> Option<FoundClass> {
        match kind {
            ClassKind::Converter | ClassKind::HeaderConverter => converter(name, Some(kind)),
            _ => self.find(name, version).ok().filter(|class| class.kind == kind),
        }
    }

    fn all(&self) -> Vec<(ClassKind, String, String)> {
        let mut all: Vec<_> = self
            .catalogue
            .list()
            .iter()
            .flat_map(|plugin| {
                let version = plugin.manifest.version.clone();
                plugin.manifest.classes.iter().map(move |class| (kind(class.kind), class.name.clone(), version.clone()))
            })
            .collect();
        for class in convert::classes::CLASSES {
            let entry = |kind| (kind, class.name.to_owned(), KAFKA_CONNECT_VERSION.to_owned());
            all.extend(class.converts_records.then(|| entry(ClassKind::Converter)));
            all.extend(class.converts_headers.then(|| entry(ClassKind::HeaderConverter)));
        }
        // Among equals the order of the catalogue stays: the highest version first.
        all.sort_by(|(kind, name, _), (other_kind, other_name, _)| (kind, name).cmp(&(other_kind, other_name)));
        all
    }
}

/// What a plugin's class is, in the herder's terms.
pub(super) fn kind(kind: sandbox::Kind) -> ClassKind {
    match kind {
        sandbox::Kind::Source => ClassKind::Source,
        sandbox::Kind::Sink => ClassKind::Sink,
        sandbox::Kind::Transform => ClassKind::Transformation,
        sandbox::Kind::Predicate => ClassKind::Predicate,
    }
}

fn found(plugin: &Plugin, class: &sandbox::Class) -> FoundClass {
    FoundClass {
        name: class.name.clone(),
        kind: kind(class.kind),
        version: plugin.manifest.version.clone(),
        plugin: Some(plugin.manifest.name.as_str().into()),
        keys: class.config.iter().map(plugin_key).collect(),
    }
}

fn plugin_key(key: &sandbox::ConfigKey) -> ConfigKey {
    let default = match (key.required, &key.default) {
        (true, _) => Default::Required,
        (false, default) => Default::Value(default.clone()),
    };
    let or_name = |text: &str| if text.is_empty() { key.name.clone() } else { text.to_owned() };
    let mut defined =
        ConfigKey::new(&key.name, value_type(key.value_type), default, importance(key.importance), &key.documentation)
            .recommended(key.recommended.clone());
    defined.group = Some(key.group.clone()).filter(|group| !group.is_empty());
    defined.order = if key.order == 0 { -1 } else { i32::try_from(key.order).unwrap_or(i32::MAX) };
    defined.width = width(key.width);
    defined.display_name = or_name(&key.display_name);
    defined.dependents.clone_from(&key.dependents);
    // The interface promises plugins that values are among the recommended ones.
    if !key.recommended.is_empty() && matches!(key.value_type, sandbox::ValueType::String) {
        defined.validator = Some(Validator::OneOfOrNull(key.recommended.clone()));
    }
    defined
}

fn value_type(kind: sandbox::ValueType) -> Type {
    match kind {
        sandbox::ValueType::Boolean => Type::Boolean,
        sandbox::ValueType::Int => Type::Int,
        sandbox::ValueType::Long => Type::Long,
        sandbox::ValueType::Short => Type::Short,
        sandbox::ValueType::Double => Type::Double,
        sandbox::ValueType::String => Type::String,
        sandbox::ValueType::List => Type::List,
        sandbox::ValueType::Class => Type::Class,
        sandbox::ValueType::Password => Type::Password,
    }
}

fn importance(importance: sandbox::Importance) -> Importance {
    match importance {
        sandbox::Importance::High => Importance::High,
        sandbox::Importance::Medium => Importance::Medium,
        sandbox::Importance::Low => Importance::Low,
    }
}

fn width(width: sandbox::Width) -> Width {
    match width {
        sandbox::Width::None => Width::None,
        sandbox::Width::Short => Width::Short,
        sandbox::Width::Medium => Width::Medium,
        sandbox::Width::Long => Width::Long,
    }
}

/// A converter of that name; of any kind, or one that can be used as `wanted`.
fn converter(name: &str, wanted: Option<ClassKind>) -> Option<FoundClass> {
    let class = convert::find_class(name)?;
    let kind = match wanted {
        Some(ClassKind::Converter) if !class.converts_records => return None,
        Some(ClassKind::HeaderConverter) if !class.converts_headers => return None,
        Some(kind) => kind,
        None if class.converts_records => ClassKind::Converter,
        None => ClassKind::HeaderConverter,
    };
    Some(FoundClass {
        name: class.name.to_owned(),
        kind,
        version: KAFKA_CONNECT_VERSION.to_owned(),
        plugin: None,
        keys: converter_keys(class),
    })
}

fn converter_keys(class: &ConverterClass) -> Vec<ConfigKey> {
    use convert::config::{Importance as Weight, ValueType, Width as Field};
    let kind = class.converts_records.then_some(&convert::classes::CONVERTER_TYPE);
    let keys = kind.into_iter().chain(class.keys);
    keys.map(|key| {
        let kind = match key.value_type {
            ValueType::Boolean => Type::Boolean,
            ValueType::Int => Type::Int,
            ValueType::String => Type::String,
            ValueType::Password => Type::Password,
            ValueType::List => Type::List,
        };
        let importance = match key.importance {
            Weight::High => Importance::High,
            Weight::Medium => Importance::Medium,
            Weight::Low => Importance::Low,
        };
        let default = match key.required {
            true => Default::Required,
            false => Default::Value(key.default.map(str::to_owned)),
        };
        let mut defined = ConfigKey::new(key.name, kind, default, importance, key.documentation);
        defined.group = key.group.map(str::to_owned);
        defined.order = key.order;
        defined.width = match key.width {
            Field::None => Width::None,
            Field::Medium => Width::Medium,
        };
        defined.display_name = key.display_name.to_owned();
        let allowed: Vec<String> = key.allowed.iter().map(|value| (*value).to_owned()).collect();
        defined.validator = match (allowed.is_empty(), key.any_case) {
            (true, _) => None,
            (false, true) => Some(Validator::OneOfIgnoringCase(allowed)),
            (false, false) => Some(Validator::OneOf(allowed)),
        };
        defined
    })
    .collect()
}
