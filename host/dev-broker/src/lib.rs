//! A Kafka broker in the process, for development only.
