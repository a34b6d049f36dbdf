//! HTTP services as the ends of a pipe: a sink that sends records to one, a source that polls one.

mod page;
mod retry;
mod settings;
mod sink;
mod source;
mod template;

pub use sink::HttpSink;
pub use source::HttpSource;

hawser_plugin::export! { name: "http", sources: [HttpSource], sinks: [HttpSink] }

#[cfg(test)]
mod tests;
