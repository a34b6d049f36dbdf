//! Which class a name means.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::sandbox::{Class, Kind};

use super::{InvalidRange, Plugin, UsedName, VersionRange};

/// The catalogue at one moment. It is replaced as a whole, so that who reads it sees one state.
#[derive(Default)]
pub(super) struct Index {
    /// By name, then by version, the highest first.
    pub(super) plugins: Vec<Arc<Plugin>>,
    /// Places of a class, by its full name; the highest version first.
    classes: HashMap<String, Vec<Place>>,
    /// Full names that another name may mean.
    aliases: HashMap<String, BTreeSet<String>>,
}

#[derive(Clone)]
struct Place {
    plugin: Arc<Plugin>,
    class: usize,
}

/// A class and the upload that holds it.
#[derive(Clone)]
pub struct ResolvedClass {
    /// The upload.
    pub plugin: Arc<Plugin>,
    /// The class.
    pub class: Class,
}

/// Why a name means no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No upload holds a class of this name.
    #[error("Failed to find any class that implements Connector, Transformation or Predicate and which name matches {class}, available classes are: {}", .available.join(", "))]
    Unknown {
        /// The name that was asked for.
        class: String,
        /// Full names of all classes.
        available: Vec<String>,
    },
    /// An alias could mean several classes, so it means none.
    #[error("{class} could mean {}; give the full name of one of them", .classes.join(" or "))]
    Ambiguous {
        /// The name that was asked for.
        class: String,
        /// Full names of the classes.
        classes: Vec<String>,
    },
    /// No version of the class is in the range.
    #[error("Plugin {class} not found that matches the version range {range}, available versions: [{}]", .available.join(", "))]
    Version {
        /// Full name of the class.
        class: String,
        /// The range that was asked for.
        range: String,
        /// Versions that there are, the highest first.
        available: Vec<String>,
    },
    /// The range is none.
    #[error(transparent)]
    InvalidRange(#[from] InvalidRange),
}

impl Index {
    pub(super) fn new(mut plugins: Vec<Arc<Plugin>>) -> Index {
        plugins.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name).then_with(|| b.version.cmp(&a.version)));
        let mut index = Index::default();
        for plugin in &plugins {
            for (place, class) in plugin.manifest.classes.iter().enumerate() {
                let places = index.classes.entry(class.name.clone()).or_default();
                places.push(Place { plugin: plugin.clone(), class: place });
                for alias in aliases(class) {
                    index.aliases.entry(alias).or_default().insert(class.name.clone());
                }
            }
        }
        for places in index.classes.values_mut() {
            // Plugins of different names may hold a class of one name; the sort is stable, so the first by name wins a tie.
            places.sort_by_key(|place| Reverse(place.plugin.version.clone()));
        }
        index.plugins = plugins;
        index
    }

    pub(super) fn resolve(&self, name: &str, range: Option<&str>) -> Result<ResolvedClass, ResolveError> {
        let full_name = self.full_name(name)?;
        let places = self.classes.get(full_name).map(Vec::as_slice).unwrap_or_default();
        let range = range.map(str::parse::<VersionRange>).transpose()?;
        let place = places.iter().find(|place| range.as_ref().is_none_or(|range| range.contains(&place.plugin.version)));
        match place.and_then(|place| Some((place, place.plugin.manifest.classes.get(place.class)?))) {
            Some((place, class)) => Ok(ResolvedClass { plugin: place.plugin.clone(), class: class.clone() }),
            None => Err(ResolveError::Version {
                class: full_name.to_owned(),
                range: range.map_or("latest".to_owned(), |range| range.to_string()),
                available: places.iter().map(|place| place.plugin.version.to_string()).collect(),
            }),
        }
    }

    /// A name that a plugin declares although one of another name declares it, and that one.
    pub(super) fn owner_of_a_name(&self, plugin: &Plugin) -> Option<(String, &Plugin)> {
        let declared = |class: &Class| class.aliases.iter().chain([&class.name]).cloned().collect::<Vec<_>>();
        let names: BTreeSet<_> = plugin.manifest.classes.iter().flat_map(declared).collect();
        let others = self.plugins.iter().filter(|other| other.manifest.name != plugin.manifest.name);
        others.map(|other| &**other).find_map(|other| {
            let taken = other.manifest.classes.iter().flat_map(declared).find(|name| names.contains(name));
            taken.map(|name| (name, other))
        })
    }

    /// The first of these names that means another plugin's class in `grown`, or none, and the class that it means here.
    pub(super) fn shadowed_by(&self, grown: &Index, used: Vec<UsedName>) -> Option<(UsedName, String)> {
        used.into_iter().find_map(|used| {
            let means = self.resolve(&used.name, used.range.as_deref()).ok()?;
            let is_same = |found: ResolvedClass| found.plugin.manifest.name == means.plugin.manifest.name;
            let is_kept = grown.resolve(&used.name, used.range.as_deref()).is_ok_and(is_same);
            (!is_kept).then_some((used, means.class.name))
        })
    }

    fn full_name<'a>(&'a self, name: &'a str) -> Result<&'a str, ResolveError> {
        if self.classes.contains_key(name) {
            return Ok(name);
        }
        let Some(meant) = self.aliases.get(name) else {
            let mut available: Vec<_> = self.classes.keys().cloned().collect();
            available.sort();
            return Err(ResolveError::Unknown { class: name.to_owned(), available });
        };
        match meant.first() {
            Some(only) if meant.len() == 1 => Ok(only),
            _ => Err(ResolveError::Ambiguous { class: name.to_owned(), classes: meant.iter().cloned().collect() }),
        }
    }
}

/// The names besides its own that a class answers to, as in Kafka Connect's `PluginUtils`: of its name and of each alias that
/// it declares also the simple name, and the simple name without the suffix of its kind. Names with `$` have no simple name.
fn aliases(class: &Class) -> BTreeSet<String> {
    let suffix = match class.kind {
        Kind::Source | Kind::Sink => "Connector",
        Kind::Transform => "Transformation",
        Kind::Predicate => "Predicate",
    };
    let mut aliases: BTreeSet<_> = class.aliases.iter().cloned().collect();
    for name in [&class.name].into_iter().chain(&class.aliases).filter(|name| !name.contains('$')) {
        let simple = name.rsplit('.').next().unwrap_or(name);
        let pruned = simple.strip_suffix(suffix).filter(|pruned| !pruned.is_empty()).unwrap_or(simple);
        aliases.extend([simple.to_owned(), pruned.to_owned()]);
    }
    aliases.remove(&class.name);
    aliases
}
