//! Files as the ends of a pipe: a source that follows them line by line, a sink that appends lines. Both answer to the
//! names and keys of Kafka's FileStreamSource and FileStreamSink.

mod follower;
mod lines;
mod pattern;
mod sink;
mod source;

pub use sink::FileSink;
pub use source::FileSource;

hawser_plugin::export! { name: "file", sources: [FileSource], sinks: [FileSink] }

#[cfg(test)]
mod tests {
    use hawser_plugin::testing::manifest;

    #[test]
    fn answers_to_kafkas_names() {
        let manifest = manifest::<super::HawserComponent>();
        let names: Vec<&str> = manifest.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(
            names,
            ["org.apache.kafka.connect.file.FileStreamSourceConnector", "org.apache.kafka.connect.file.FileStreamSinkConnector"]
        );
        assert!(manifest.classes[0].aliases.contains(&"FileStreamSource".to_owned()));
        assert!(manifest.classes[1].aliases.contains(&"FileStreamSink".to_owned()));
    }
}
