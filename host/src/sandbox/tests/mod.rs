//! The sandbox against a plugin that misbehaves (`tests/fixtures/hostile`).

pub(crate) mod fixture;
mod limits;
mod loading;
mod output;
mod reach;
mod roundtrip;
mod truth;
