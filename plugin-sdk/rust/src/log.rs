//! Lines for the worker's log, through [`error!`](crate::error!), [`warn!`](crate::warn!), [`info!`](crate::info!),
//! [`debug!`](crate::debug!) and [`trace!`](crate::trace!). The host marks them with the connector and the task, and
//! cuts or counts what is over its limits.

pub use crate::bindings::wit::log::Level;
use crate::host;

/// Writes one line. The macros are the handier way.
pub fn log(level: Level, message: &str) {
    host::log(level, message);
}

/// Logs what a person must look at. Takes what `format!` takes.
#[macro_export]
macro_rules! error {
    ($($arg:tt)+) => {
        $crate::log::log($crate::log::Level::Error, &::std::format!($($arg)+))
    };
}

/// Logs what may become a problem. Takes what `format!` takes.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)+) => {
        $crate::log::log($crate::log::Level::Warn, &::std::format!($($arg)+))
    };
}

/// Logs what a person may want to know. Takes what `format!` takes.
#[macro_export]
macro_rules! info {
    ($($arg:tt)+) => {
        $crate::log::log($crate::log::Level::Info, &::std::format!($($arg)+))
    };
}

/// Logs what helps to find a fault. Takes what `format!` takes.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)+) => {
        $crate::log::log($crate::log::Level::Debug, &::std::format!($($arg)+))
    };
}

/// Logs the finest detail. Takes what `format!` takes.
#[macro_export]
macro_rules! trace {
    ($($arg:tt)+) => {
        $crate::log::log($crate::log::Level::Trace, &::std::format!($($arg)+))
    };
}
