//! What is counted: [`TaskCounters`] of each task.

mod task;

pub use task::TaskCounters;
