//! What is counted and measured, and how it is told: [`TaskCounters`] of each task and [`ClientStats`] of its Kafka clients,
//! read together as its [`Vitals`].

mod client;
mod task;
mod vitals;
mod window;

pub use client::{
    ClientFigures, ClientReading, ClientRole, ClientStats, ClientTotals, GroupFigures, MAX_PARTS_OF_CLIENT, NodeFigures,
    PartitionFigures, Spread, TopicFigures,
};
pub(crate) use task::now_millis;
pub use task::{InstanceUse, Maxima, Phase, Stall, Step, TaskCounters, TaskTotals};
pub use vitals::{TaskParts, TaskReading, TaskStage, Vitals};
pub use window::SampleWindow;
