//! Compares the converters with Kafka's own classes, run by `tests/jvm/ConverterOracle.java`.
