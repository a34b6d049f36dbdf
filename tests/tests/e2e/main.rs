//! The end-to-end tests. One binary, so that its tests share one broker.

mod broker;
