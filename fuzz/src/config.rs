//! Configurations. The first byte chooses: a worker's properties, or a connector's configuration, as JSON or properties.

use hawser::config::{WorkerConfig, decode_latin1, dev_defaults, parse_override, parse_properties};
use hawser::herder::config_def::Checked;
use hawser::herder::validation::Validation;
use hawser::kafka::{ClientKind, ClientSettings};
use hawser::rest::extract::{ConfigBody, parse};
use hawser::sandbox::{Grants, InstanceLimits};
use hawser::store::RawConfig;
use hawser::task::ErrorPolicy;
use hawser::tenant::{Policy, PolicyLists};

use crate::fakes;

pub fn fuzz(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let text = decode_latin1(bytes);
    match choice % 3 {
        0 => worker(&text),
        1 => {
            let Ok(pairs) = parse_properties(&text) else { return };
            connector(&pairs.into_iter().collect());
        }
        _ => {
            let Ok(ConfigBody(config)) = parse::<ConfigBody>(bytes) else { return };
            connector(&config);
        }
    }
}

fn worker(text: &str) {
    let _ = parse_override(text);
    let Ok(pairs) = parse_properties(text) else { return };
    // A reference could name any file of this machine.
    if pairs.iter().any(|(key, value)| key.starts_with("config.providers") || value.contains("${")) {
        return;
    }
    let Ok(config) = WorkerConfig::new([dev_defaults(), pairs]) else { return };
    let _ = Policy::new(&PolicyLists {
        files: config.grantable_files.clone(),
        http: config.grantable_http.clone(),
        tcp: config.grantable_tcp.clone(),
        udp: config.grantable_udp.clone(),
        env: config.grantable_env.clone(),
    });
    let _ = InstanceLimits::default().with_config(&config.sandbox_limits, &InstanceLimits::unlimited());
    let _ = format!("{config:?}");
}

fn connector(raw: &RawConfig) {
    let entries: Vec<_> = raw.iter().map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
    let given: Vec<_> = entries.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let lists = PolicyLists { files: vec!["/srv".to_owned()], http: vec!["*.example.com".to_owned()], ..PolicyLists::default() };
    let policy = Policy::new(&lists).expect("a policy");
    if let Ok(asked) = Grants::parse(&given)
        && let Ok(granted) = policy.grant(asked.clone())
    {
        assert_eq!(granted, asked, "granted is what was asked for or nothing");
    }
    if let Ok(limits) = InstanceLimits::default().with_config(&given, &InstanceLimits::default()) {
        for key in hawser::sandbox::LIMIT_KEYS {
            assert!(limits.get(key) <= InstanceLimits::default().get(key), "{key} is over what the worker allows");
        }
    }
    let _ = ErrorPolicy::from_config(&given);
    for kind in [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin] {
        let _ = ClientSettings::check_overrides(kind, &given);
    }
    let framework = fakes::framework();
    for class in ["FileSource", "FileSink"] {
        let class = framework.classes.find(class, None).expect("a class");
        let mut validation = Validation::start(&framework, &class, Checked { raw: &entries, resolved: &entries });
        validation.check_converters(&framework);
        let infos = validation.finish();
        assert!(infos.configs.len() >= class.keys.len());
    }
}
