//! What is counted and measured, and how it is told: [`TaskCounters`] of each task and [`ClientStats`] of its Kafka clients,
//! read together as its [`Vitals`]. A [`Scrape`] is all that a worker tells at one moment, in Prometheus text.
//!
//! Every figure stands once in a table (`kafka`, `hawser`), from which its names and its documentation are made.

mod client;
mod exposition;
mod hawser;
mod kafka;
mod process;
mod reference;
mod rest;
mod scrape;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod vitals;
mod window;

pub use client::{
    ClientFigures, ClientReading, ClientRole, ClientStats, ClientTotals, GroupFigures, MAX_PARTS_OF_CLIENT, NodeFigures,
    PartitionFigures, Spread, TopicFigures,
};
pub use exposition::{CONTENT_TYPE, MAX_SAMPLES};
pub use process::Process;
pub use reference::{documented, reference};
pub use rest::{RestCounters, RestReading};
pub use scrape::{ConnectorView, GroupView, Scrape, TaskView, WorkerView};
pub use table::{Described, NameSets};
pub(crate) use task::now_millis;
pub use task::{InstanceUse, Maxima, Phase, Stall, Step, TaskCounters, TaskTotals};
pub use vitals::{TaskParts, TaskReading, TaskStage, Vitals};
pub use window::SampleWindow;
