//! From a plugin's types to the exports of its component.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::wit::plugin::{ConfigValue, Kind, Manifest};
use crate::bindings::{self, wit};
use crate::class::{self, Class, ClassInfo};
use crate::config::{Config, Problem};
use crate::errors::{Error, Result};
use crate::record::Batch;
use crate::sink::{Failures, Sink, SinkClass};
use crate::source::{Source, SourceBatch, SourceClass};
use crate::transform::{Chain, PredicateClass, TransformClass};

/// Exports a plugin's types. Put it once into the `lib.rs` of a crate of the type `cdylib`:
///
/// ```ignore
/// hawser_plugin::export! { sources: [MySource] }
/// hawser_plugin::export! { sinks: [MySink, MyOtherSink] }
/// hawser_plugin::export! { sources: [MySource], sinks: [MySink] }
/// hawser_plugin::export! { transforms: [MyTransform] }
/// hawser_plugin::export! { transforms: [MyTransform], predicates: [MyPredicate] }
/// hawser_plugin::export! { name: "my-plugin", sources: [MySource] }
/// ```
///
/// The upload is called as the crate, unless it is given a `name`; version and summary are those of the crate. The
/// macro defines `HawserComponent`, which stands for the component in tests (see [`crate::testing::manifest`]).
#[macro_export]
macro_rules! export {
    ($(name: $name:expr,)? sources: [$($source:ty),+ $(,)?], sinks: [$($sink:ty),+ $(,)?] $(,)?) => {
        $crate::__component! { [$($name)?] [$($source)+] [$($sink)+] [] [] }
        #[cfg(target_arch = "wasm32")]
        $crate::__exports! { [base export_plugin] [connector export_connector] [source export_source] [sink export_sink] }
    };
    ($(name: $name:expr,)? sources: [$($source:ty),+ $(,)?] $(,)?) => {
        $crate::__component! { [$($name)?] [$($source)+] [] [] [] }
        #[cfg(target_arch = "wasm32")]
        $crate::__exports! { [base export_plugin] [connector export_connector] [source export_source] }
    };
    ($(name: $name:expr,)? sinks: [$($sink:ty),+ $(,)?] $(,)?) => {
        $crate::__component! { [$($name)?] [] [$($sink)+] [] [] }
        #[cfg(target_arch = "wasm32")]
        $crate::__exports! { [base export_plugin] [connector export_connector] [sink export_sink] }
    };
    ($(name: $name:expr,)? transforms: [$($transform:ty),* $(,)?] $(, predicates: [$($predicate:ty),* $(,)?])? $(,)?) => {
        $crate::__component! { [$($name)?] [] [] [$($transform)*] [$($($predicate)*)?] }
        #[cfg(target_arch = "wasm32")]
        $crate::__exports! { [base export_plugin] [transform export_transform] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ([$($name:expr)?] [$($source:ty)*] [$($sink:ty)*] [$($transform:ty)*] [$($predicate:ty)*]) => {
        /// The component that this crate is compiled to.
        #[derive(Debug)]
        pub struct HawserComponent;

        impl $crate::export::Component for HawserComponent {
            const NAME: &'static str = [$($name,)? ::std::env!("CARGO_PKG_NAME")][0];
            const VERSION: &'static str = ::std::env!("CARGO_PKG_VERSION");
            const SUMMARY: &'static str = ::std::env!("CARGO_PKG_DESCRIPTION");
            const SOURCES: &'static [$crate::source::SourceClass] = &[$($crate::source::SourceClass::of::<$source>()),*];
            const SINKS: &'static [$crate::sink::SinkClass] = &[$($crate::sink::SinkClass::of::<$sink>()),*];
            const TRANSFORMS: &'static [$crate::transform::TransformClass] =
                &[$($crate::transform::TransformClass::of::<$transform>()),*];
            const PREDICATES: &'static [$crate::transform::PredicateClass] =
                &[$($crate::transform::PredicateClass::of::<$predicate>()),*];
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($([$part:ident $export:ident])+) => {
        $(
            #[allow(unsafe_code)] // The exported functions that wit-bindgen generates.
            const _: () = {
                $crate::bindings::$part::$export!(HawserComponent with_types_in $crate::bindings::$part);
            };
        )+
    };
}

/// All that a component offers. Implemented by [`export!`](crate::export!).
#[doc(hidden)]
pub trait Component: 'static {
    const NAME: &'static str;
    const VERSION: &'static str;
    const SUMMARY: &'static str;
    const SOURCES: &'static [SourceClass];
    const SINKS: &'static [SinkClass];
    const TRANSFORMS: &'static [TransformClass];
    const PREDICATES: &'static [PredicateClass];

    /// What the classes have in common.
    fn classes() -> impl Iterator<Item = ClassEntry> {
        let connectors = Self::SOURCES.iter().map(|class| class.common).chain(Self::SINKS.iter().map(|class| class.common));
        let transforms = Self::TRANSFORMS.iter().map(|class| class.common);
        connectors.chain(transforms).chain(Self::PREDICATES.iter().map(|class| class.common))
    }
}

/// What all kinds of classes have in common.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct ClassEntry {
    pub(crate) kind: Kind,
    pub(crate) class: fn() -> ClassInfo,
    pub(crate) problems: fn(&[(String, String)]) -> Vec<Problem>,
    pub(crate) parse: fn(Vec<(String, String)>) -> Result<Config>,
}

impl ClassEntry {
    pub(crate) const fn of<T: Class>(kind: Kind) -> Self {
        Self { kind, class: T::class, problems: class::problems::<T>, parse: class::parse::<T> }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        (self.class)().name == name
    }
}

/// The class of a name; the host always asks for the name, never for an alias.
pub(crate) fn find<'a, C>(classes: &'a [C], common: fn(&C) -> &ClassEntry, name: &str) -> Result<&'a C> {
    classes
        .iter()
        .find(|class| common(class).is(name))
        .ok_or_else(|| Error::invalid_config(format!("this plugin has no class {name} of that kind")))
}

pub(crate) fn manifest<T: Component>() -> Manifest {
    Manifest {
        name: T::NAME.to_owned(),
        version: T::VERSION.to_owned(),
        summary: T::SUMMARY.to_owned(),
        classes: T::classes().map(|entry| (entry.class)().describe(entry.kind)).collect(),
    }
}

pub(crate) fn validate<T: Component>(class: &str, config: &[(String, String)]) -> Vec<ConfigValue> {
    let problems = T::classes().find(|entry| entry.is(class)).map(|entry| (entry.problems)(config));
    let mut values: Vec<ConfigValue> = Vec::new();
    for problem in problems.unwrap_or_default() {
        match values.iter_mut().find(|value| value.name == problem.key) {
            Some(value) => value.errors.push(problem.message),
            None => values.push(ConfigValue {
                value: config.iter().find(|(key, _)| *key == problem.key).map(|(_, value)| value.clone()),
                name: problem.key,
                recommended: Vec::new(),
                errors: vec![problem.message],
                visible: true,
            }),
        }
    }
    values
}

pub(crate) fn task_configs<T: Component>(
    class: &str,
    config: Vec<(String, String)>,
    max_tasks: u32,
) -> Result<Vec<Vec<(String, String)>>> {
    let max_tasks = max_tasks as usize;
    let tasks = if let Ok(sink) = find(T::SINKS, |class| &class.common, class) {
        (sink.task_configs)(&(sink.common.parse)(config)?, max_tasks)?
    } else {
        let source = find(T::SOURCES, |class| &class.common, class)?;
        (source.task_configs)(&(source.common.parse)(config)?, max_tasks)?
    };
    Ok(tasks.into_iter().map(|task| task.into_pairs()).collect())
}

impl<T: Component> bindings::base::exports::hawser::connect::plugin::Guest for T {
    fn describe() -> Manifest {
        manifest::<T>()
    }

    fn validate(class: String, config: Vec<(String, String)>) -> Vec<ConfigValue> {
        validate::<T>(&class, &config)
    }
}

impl<T: Component> bindings::connector::exports::hawser::connect::connector::Guest for T {
    fn task_configs(
        class: String,
        config: Vec<(String, String)>,
        max_tasks: u32,
    ) -> Result<Vec<Vec<(String, String)>>, wit::Error> {
        Ok(task_configs::<T>(&class, config, max_tasks)?)
    }
}

/// A source task and how large its batches are, so that the next one is given room at once.
#[doc(hidden)]
pub struct SourceTask<T> {
    source: RefCell<Box<dyn Source>>,
    largest: RefCell<(usize, usize)>,
    component: PhantomData<T>,
}

impl<T: Component> SourceTask<T> {
    pub(crate) fn start(class: &str, config: Vec<(String, String)>) -> Result<Self> {
        let class = find(T::SOURCES, |class| &class.common, class)?;
        let source = RefCell::new((class.start)(&(class.common.parse)(config)?)?);
        Ok(Self { source, largest: RefCell::default(), component: PhantomData })
    }

    pub(crate) fn poll(&self) -> Result<wit::Polled> {
        let (records, bytes) = *self.largest.borrow();
        let mut batch = SourceBatch::with_capacity(records, bytes);
        self.source.borrow_mut().poll(&mut batch)?;
        *self.largest.borrow_mut() = (batch.len(), batch.bytes());
        batch.finish()
    }

    pub(crate) fn committed(&self, checkpoints: &[wit::Checkpoint]) -> Result<()> {
        self.source.borrow_mut().committed(checkpoints)
    }

    pub(crate) fn stop(&self) {
        self.source.borrow_mut().stop();
    }
}

impl<T: Component> bindings::source::exports::hawser::connect::source::Guest for T {
    type Task = SourceTask<T>;
}

impl<T: Component> bindings::source::exports::hawser::connect::source::GuestTask for SourceTask<T> {
    fn start(
        class: String,
        config: Vec<(String, String)>,
    ) -> Result<bindings::source::exports::hawser::connect::source::Task, wit::Error> {
        let task = Self::start(&class, config)?;
        Ok(bindings::source::exports::hawser::connect::source::Task::new(task))
    }

    fn poll(&self) -> Result<wit::Polled, wit::Error> {
        Ok(self.poll()?)
    }

    fn committed(&self, checkpoints: Vec<wit::Checkpoint>) -> Result<(), wit::Error> {
        Ok(self.committed(&checkpoints)?)
    }

    fn stop(&self) {
        self.stop();
    }
}

/// A sink task.
#[doc(hidden)]
pub struct SinkTask<T> {
    sink: RefCell<Box<dyn Sink>>,
    component: PhantomData<T>,
}

impl<T: Component> SinkTask<T> {
    pub(crate) fn start(class: &str, config: Vec<(String, String)>) -> Result<Self> {
        let class = find(T::SINKS, |class| &class.common, class)?;
        let sink = RefCell::new((class.start)(&(class.common.parse)(config)?)?);
        Ok(Self { sink, component: PhantomData })
    }

    pub(crate) fn put(&self, records: wit::Batch) -> Result<Vec<wit::Failure>> {
        let mut failures = Failures::default();
        self.sink.borrow_mut().put(&Batch::new(records)?, &mut failures)?;
        Ok(failures.failures)
    }

    /// The sink, for the calls that need nothing around them.
    pub(crate) fn sink(&self) -> std::cell::RefMut<'_, Box<dyn Sink>> {
        self.sink.borrow_mut()
    }
}

impl<T: Component> bindings::sink::exports::hawser::connect::sink::Guest for T {
    type Task = SinkTask<T>;
}

impl<T: Component> bindings::sink::exports::hawser::connect::sink::GuestTask for SinkTask<T> {
    fn start(
        class: String,
        config: Vec<(String, String)>,
    ) -> Result<bindings::sink::exports::hawser::connect::sink::Task, wit::Error> {
        let task = Self::start(&class, config)?;
        Ok(bindings::sink::exports::hawser::connect::sink::Task::new(task))
    }

    fn open(&self, partitions: Vec<wit::TopicPartition>) -> Result<(), wit::Error> {
        Ok(self.sink().open(&partitions)?)
    }

    fn close(&self, partitions: Vec<wit::TopicPartition>) -> Result<(), wit::Error> {
        Ok(self.sink().close(&partitions)?)
    }

    fn put(&self, records: wit::Batch) -> Result<Vec<wit::Failure>, wit::Error> {
        Ok(self.put(records)?)
    }

    fn flush(&self, offsets: Vec<wit::TopicOffset>) -> Result<Vec<wit::TopicOffset>, wit::Error> {
        Ok(self.sink().flush(offsets)?)
    }

    fn stop(&self) {
        self.sink().stop();
    }
}

/// A chain of transforms.
#[doc(hidden)]
pub struct ChainResource<T> {
    chain: RefCell<Chain>,
    component: PhantomData<T>,
}

impl<T: Component> bindings::transform::exports::hawser::connect::transform::Guest for T {
    type Chain = ChainResource<T>;
}

impl<T: Component> bindings::transform::exports::hawser::connect::transform::GuestChain for ChainResource<T> {
    fn start(
        steps: Vec<wit::Step>,
        predicates: Vec<wit::Guard>,
    ) -> Result<bindings::transform::exports::hawser::connect::transform::Chain, wit::Error> {
        let chain = RefCell::new(Chain::start(T::TRANSFORMS, T::PREDICATES, steps, &predicates)?);
        let chain = Self { chain, component: PhantomData };
        Ok(bindings::transform::exports::hawser::connect::transform::Chain::new(chain))
    }

    fn apply(&self, records: wit::Batch) -> Result<wit::Transformed, wit::Error> {
        Ok(self.chain.borrow_mut().apply(Batch::new(records)?)?)
    }
}
