//! One table from the client keys of Kafka's Java clients to those of librdkafka.

/// What becomes of a key of the Java clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// librdkafka has it under this name.
    Rename(&'static str),
    /// Only a JVM or the Java client's threading model has a use for it.
    Ignore,
    /// Translated together with others (TLS stores, SASL logins).
    Joint,
    /// Cannot be honoured; the text says what to use.
    Refuse(&'static str),
}

/// Java keys whose name or meaning differs from librdkafka's. What is not listed here and known to librdkafka has the same
/// name and meaning in both.
const JAVA_KEYS: &[(&str, Rule)] = &[
    ("auto.include.jmx.reporter", Rule::Ignore),
    ("buffer.memory", Rule::Joint),
    ("config.providers", Rule::Ignore),
    ("default.api.timeout.ms", Rule::Ignore),
    ("exclude.internal.topics", Rule::Ignore),
    ("fetch.max.wait.ms", Rule::Rename("fetch.wait.max.ms")),
    ("group.protocol", Rule::Joint),
    ("interceptor.classes", Rule::Ignore),
    ("internal.auto.downgrade.txn.commit", Rule::Ignore),
    ("key.deserializer", Rule::Ignore),
    ("key.serializer", Rule::Ignore),
    ("leave.group.on.close", Rule::Ignore),
    ("max.block.ms", Rule::Ignore),
    ("max.poll.records", Rule::Joint),
    ("max.request.size", Rule::Rename("message.max.bytes")),
    ("metadata.max.idle.ms", Rule::Ignore),
    ("metric.reporters", Rule::Ignore),
    ("partition.assignment.strategy", Rule::Joint),
    ("partitioner.adaptive.partitioning.enable", Rule::Ignore),
    ("partitioner.availability.timeout.ms", Rule::Ignore),
    ("partitioner.class", Rule::Refuse("use `partitioner` with one of librdkafka's partitioners instead")),
    ("partitioner.ignore.keys", Rule::Ignore),
    ("receive.buffer.bytes", Rule::Rename("socket.receive.buffer.bytes")),
    ("request.timeout.ms", Rule::Joint),
    ("sasl.client.callback.handler.class", Rule::Ignore),
    ("sasl.jaas.config", Rule::Joint),
    ("sasl.kerberos.kinit.cmd", Rule::Refuse("Kerberos is not part of this build")),
    ("sasl.kerberos.min.time.before.relogin", Rule::Ignore),
    ("sasl.kerberos.service.name", Rule::Refuse("Kerberos is not part of this build; use SCRAM, PLAIN or OAUTHBEARER")),
    ("sasl.kerberos.ticket.renew.jitter", Rule::Ignore),
    ("sasl.kerberos.ticket.renew.window.factor", Rule::Ignore),
    ("sasl.login.callback.handler.class", Rule::Ignore),
    ("sasl.login.class", Rule::Ignore),
    ("sasl.login.connect.timeout.ms", Rule::Ignore),
    ("sasl.login.read.timeout.ms", Rule::Ignore),
    ("sasl.login.refresh.buffer.seconds", Rule::Ignore),
    ("sasl.login.refresh.min.period.seconds", Rule::Ignore),
    ("sasl.login.refresh.window.factor", Rule::Ignore),
    ("sasl.login.refresh.window.jitter", Rule::Ignore),
    ("sasl.login.retry.backoff.max.ms", Rule::Ignore),
    ("sasl.login.retry.backoff.ms", Rule::Ignore),
    ("sasl.oauthbearer.token.endpoint.url", Rule::Joint),
    ("security.providers", Rule::Ignore),
    ("send.buffer.bytes", Rule::Rename("socket.send.buffer.bytes")),
    ("socket.connection.setup.timeout.max.ms", Rule::Ignore),
    ("ssl.enabled.protocols", Rule::Refuse("restrict TLS versions in the OpenSSL configuration of the machine instead")),
    ("ssl.endpoint.identification.algorithm", Rule::Joint),
    ("ssl.engine.factory.class", Rule::Ignore),
    ("ssl.keymanager.algorithm", Rule::Ignore),
    ("ssl.keystore.certificate.chain", Rule::Rename("ssl.certificate.pem")),
    ("ssl.keystore.key", Rule::Rename("ssl.key.pem")),
    ("ssl.keystore.location", Rule::Joint),
    ("ssl.keystore.password", Rule::Joint),
    ("ssl.keystore.type", Rule::Joint),
    ("ssl.protocol", Rule::Ignore),
    ("ssl.provider", Rule::Ignore),
    ("ssl.secure.random.implementation", Rule::Ignore),
    ("ssl.trustmanager.algorithm", Rule::Ignore),
    ("ssl.truststore.certificates", Rule::Rename("ssl.ca.pem")),
    ("ssl.truststore.location", Rule::Joint),
    ("ssl.truststore.password", Rule::Ignore),
    ("ssl.truststore.type", Rule::Joint),
    ("throw.on.fetch.stable.offset.unsupported", Rule::Ignore),
    ("value.deserializer", Rule::Ignore),
    ("value.serializer", Rule::Ignore),
];

/// Keys of librdkafka that load native code, run programs, or belong to the embedding program: nobody may set them.
const FORBIDDEN: &[&str] = &[
    "builtin.features",
    "closesocket_cb",
    "default_topic_conf",
    "enabled_events",
    "interceptors",
    "internal.termination.signal",
    "log.queue",
    "opaque",
    "plugin.library.paths",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.keytab",
    "ssl.engine.id",
    "ssl.engine.location",
    "ssl.providers",
    "ssl_ca",
    "ssl_certificate",
    "ssl_engine_callback_data",
    "ssl_key",
];

/// The rule of a Java key that differs from librdkafka's, if it is one.
pub(super) fn rule(key: &str) -> Option<Rule> {
    if key.starts_with("metrics.") {
        return Some(Rule::Ignore);
    }
    JAVA_KEYS.binary_search_by_key(&key, |(name, _)| name).ok().and_then(|at| JAVA_KEYS.get(at)).map(|(_, rule)| *rule)
}

/// Whether a key is closed to everyone.
pub(super) fn is_forbidden(key: &str) -> bool {
    FORBIDDEN.contains(&key) || key.ends_with("_cb")
}

/// Whether the value of a key must never be shown.
pub(super) fn is_secret(key: &str) -> bool {
    key.contains("password") || key.contains("secret") || key.contains("jaas") || key.contains("passphrase") || {
        key.ends_with("key.pem") || key == "ssl.keystore.key" || key == "sasl.oauthbearer.config"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_as_the_search_needs() {
        assert!(JAVA_KEYS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn dangerous_keys_are_closed() {
        for key in ["plugin.library.paths", "ssl.engine.location", "sasl.kerberos.kinit.cmd", "stats_cb"] {
            assert!(is_forbidden(key), "{key}");
        }
        assert!(!is_forbidden("linger.ms"));
    }
}
