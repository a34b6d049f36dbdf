//! The catalogue with real uploads.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use semver::Version;

use crate::sandbox::tests::fixture::{component, patched, wasm};
use crate::sandbox::{CallError, Class, Digest, InstanceLimits, Kind, LoadError, Manifest, Sandbox, SandboxOptions};

use super::index::Index;
use super::{Catalogue, CatalogueLimits, DeleteError, Plugin, ResolveError, UploadError, UsedName};

async fn open(dir: &Path, limits: CatalogueLimits) -> Catalogue {
    let cpu = std::time::Duration::from_millis(200);
    let options =
        SandboxOptions { limits: InstanceLimits { cpu, ..InstanceLimits::default() }, ..SandboxOptions::new(dir.join("cache")) };
    let sandbox = Arc::new(Sandbox::new(options).unwrap());
    Catalogue::open(sandbox, dir.join("plugins"), limits).await.unwrap()
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn uploads_are_kept_once_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = open(dir.path(), CatalogueLimits::default()).await;
    let first = catalogue.upload(wasm(), Vec::new).await.unwrap();
    assert!(first.created);
    assert_eq!(first.plugin.digest, Digest::of(&wasm()));
    assert_eq!((first.plugin.manifest.name.as_str(), first.plugin.size), ("hostile", wasm().len() as u64));
    assert!(first.plugin.uploaded_at <= SystemTime::now() && first.plugin.uploaded_at > UNIX_EPOCH);
    let again = catalogue.upload(wasm(), Vec::new).await.unwrap();
    assert!(!again.created && Arc::ptr_eq(&again.plugin, &first.plugin));

    let mut other = wasm().to_vec();
    other.extend([0, 4, 3, b'x', b'y', b'z']);
    let conflict = catalogue.upload(other.into(), Vec::new).await.err().unwrap();
    assert!(matches!(&conflict, UploadError::Conflict { name, version, digest } if name == "hostile" && version == "1.0.0"
        && *digest == first.plugin.digest));
    assert!(catalogue.upload(patched("", "1.1.0"), Vec::new).await.unwrap().created);

    let versions = |catalogue: &Catalogue| -> Vec<String> {
        catalogue.versions("hostile").iter().map(|plugin| plugin.manifest.version.clone()).collect()
    };
    assert_eq!(versions(&catalogue), ["1.1.0", "1.0.0"]);
    assert!(catalogue.versions("other").is_empty());
    assert_eq!(files(&dir.path().join("cache")).len(), 2, "what was refused is not kept in the cache");
    drop(catalogue);

    let reopened = open(dir.path(), CatalogueLimits::default()).await;
    assert_eq!(versions(&reopened), ["1.1.0", "1.0.0"]);
    assert_eq!(reopened.list().len(), 2);
    let same = &reopened.versions("hostile")[1];
    assert_eq!((&same.digest, &same.manifest, same.size), (&first.plugin.digest, &first.plugin.manifest, first.plugin.size));
    assert!(!reopened.upload(wasm(), Vec::new).await.unwrap().created);
}

#[tokio::test]
async fn the_same_bytes_uploaded_at_once_are_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = open(dir.path(), CatalogueLimits::default()).await;
    let (a, b, c) =
        tokio::join!(catalogue.upload(wasm(), Vec::new), catalogue.upload(wasm(), Vec::new), catalogue.upload(wasm(), Vec::new));
    let created = [a, b, c].map(|uploaded| uploaded.unwrap().created);
    assert_eq!(created.iter().filter(|created| **created).count(), 1);
    assert_eq!(catalogue.list().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = CatalogueLimits { plugins: 1, bytes: u64::MAX };
    let catalogue = open(dir.path(), limits).await;
    let refused = async |wasm: Bytes| catalogue.upload(wasm, Vec::new).await.err().expect("refused");

    assert!(matches!(refused(Bytes::from_static(b"no")).await, UploadError::Load(LoadError::NotAComponent(_))));
    assert!(matches!(refused(patched("loop", "1.0.0")).await, UploadError::Describe(CallError::CpuDeadline { .. })));
    let crashed = refused(patched("trap", "1.0.0")).await;
    assert!(crashed.to_string().contains("told to crash in describe"), "{crashed}");
    let manifest = refused(patched("twice", "1.0.0")).await;
    assert!(matches!(&manifest, UploadError::Manifest(reason) if reason.contains("`HostileSource` stands twice")), "{manifest}");
    assert!(matches!(refused(patched("", "1.0")).await, UploadError::Manifest(reason) if reason.contains("`1.0`")));
    assert!(catalogue.list().is_empty());
    assert!(files(&dir.path().join("cache")).is_empty() && files(&dir.path().join("plugins")).is_empty());

    catalogue.upload(wasm(), Vec::new).await.unwrap();
    assert!(matches!(refused(patched("", "2.0.0")).await, UploadError::Full(full) if full == limits));
    let small = open(&dir.path().join("small"), CatalogueLimits { plugins: 9, bytes: 10 }).await;
    assert!(matches!(small.upload(wasm(), Vec::new).await.err(), Some(UploadError::Full(_))));
}

#[tokio::test]
async fn broken_files_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = open(dir.path(), CatalogueLimits::default()).await;
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        catalogue.upload(patched("", version), Vec::new).await.unwrap();
    }
    let plugins = dir.path().join("plugins");
    let file = |version: &str, extension: &str| {
        let plugin = catalogue.list().into_iter().find(|plugin| plugin.manifest.version == version).unwrap();
        plugins.join(plugin.digest.hex()).with_extension(extension)
    };
    fs::write(file("1.0.0", "wasm"), "damaged").unwrap();
    fs::write(file("1.1.0", "json"), "{").unwrap();
    fs::remove_file(file("1.2.0", "json")).unwrap();
    let orphan = file("1.2.0", "wasm");
    fs::write(plugins.join("left.tmp"), "torn").unwrap();
    drop(catalogue);

    let reopened = open(dir.path(), CatalogueLimits::default()).await;
    let versions: Vec<_> = reopened.list().iter().map(|plugin| plugin.manifest.version.clone()).collect();
    assert_eq!(versions, ["1.3.0"]);
    assert!(!orphan.exists() && !plugins.join("left.tmp").exists());
    assert!(reopened.upload(patched("", "1.0.0"), Vec::new).await.unwrap().created, "a damaged upload can be repaired");
}

#[tokio::test]
async fn what_is_used_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = open(dir.path(), CatalogueLimits::default()).await;
    catalogue.upload(wasm(), Vec::new).await.unwrap();
    let nobody = |_: &Plugin| Vec::new();
    assert!(matches!(catalogue.delete("hostile", "2.0.0", nobody).await, Err(DeleteError::NotFound { .. })));
    let used = catalogue.delete("hostile", "1.0.0", |_| vec!["a".into(), "b".into()]).await.unwrap_err().to_string();
    assert!(used.contains("used by a, b"), "{used}");
    catalogue.delete("hostile", "1.0.0", nobody).await.unwrap();
    assert!(catalogue.list().is_empty());
    assert!(files(&dir.path().join("cache")).is_empty() && files(&dir.path().join("plugins")).is_empty());
    assert!(catalogue.upload(wasm(), Vec::new).await.unwrap().created);
}

/// A plugin whose classes are `(name, aliases, kind)`.
async fn plugin(name: &str, version: &str, classes: &[(&str, &[&str], Kind)]) -> Arc<Plugin> {
    let class = |(name, aliases, kind): &(&str, &[&str], Kind)| Class {
        name: name.to_string(),
        aliases: aliases.iter().map(|alias| alias.to_string()).collect(),
        kind: *kind,
        summary: String::new(),
        config: vec![],
    };
    let manifest = Manifest {
        name: name.into(),
        version: version.into(),
        summary: String::new(),
        classes: classes.iter().map(class).collect(),
    };
    Arc::new(Plugin {
        version: Version::parse(version).unwrap(),
        digest: Digest::of(format!("{name}{version}").as_bytes()),
        size: 1,
        uploaded_at: UNIX_EPOCH,
        component: component().await,
        manifest,
    })
}

#[tokio::test]
async fn names_mean_what_they_mean_in_kafka_connect() {
    use Kind::{Predicate, Sink, Source, Transform};
    let file: &[&str] = &["org.apache.kafka.connect.file.FileStreamSinkConnector"];
    let index = Index::new(vec![
        plugin("file", "1.0.0", &[("hawser.file.FileSink", file, Sink), ("a.Tail", &[], Source)]).await,
        plugin("file", "1.10.0", &[("hawser.file.FileSink", file, Sink)]).await,
        plugin("file", "1.9.0-rc.1", &[("hawser.file.FileSink", file, Sink)]).await,
        plugin(
            "smt",
            "0.1.0",
            &[("x.Mask$Value", &[], Transform), ("x.DropTransformation", &[], Transform), ("x.IsNullPredicate", &[], Predicate)],
        )
        .await,
        plugin("rival", "3.0.0", &[("b.Tail", &[], Source), ("hawser.file.FileSink", &[], Sink)]).await,
    ]);
    let check = |class: &str, range: Option<&str>, expect: Result<(&str, &str, &str), &str>| match (
        index.resolve(class, range),
        expect,
    ) {
        (Ok(found), Ok((name, plugin, version))) => {
            let manifest = &found.plugin.manifest;
            let found = (found.class.name.as_str(), manifest.name.as_str(), manifest.version.as_str());
            assert_eq!(found, (name, plugin, version), "{class}");
        }
        (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{class}: {error}"),
        (found, expect) => panic!("{class}: {:?} instead of {expect:?}", found.map(|found| found.class.name)),
    };
    let sink = "hawser.file.FileSink";
    check(sink, None, Ok((sink, "rival", "3.0.0")));
    check(sink, Some("latest"), Ok((sink, "rival", "3.0.0")));
    check(sink, Some("[1.0,2.0)"), Ok((sink, "file", "1.10.0")));
    check(sink, Some("(,1.10)"), Ok((sink, "file", "1.9.0-rc.1")));
    check(sink, Some("1.0"), Ok((sink, "file", "1.0.0")));
    check(sink, Some("4.0"), Err("version range 4.0, available versions: [3.0.0, 1.10.0, 1.9.0-rc.1, 1.0.0]"));
    check(sink, Some("newest"), Err("`newest` is no version range"));
    for alias in [file[0], "FileStreamSinkConnector", "FileStreamSink", "FileSink"] {
        check(alias, Some("[1.0]"), Ok((sink, "file", "1.0.0")));
    }
    check("Tail", None, Err("Tail could mean a.Tail or b.Tail"));
    check("a.Tail", None, Ok(("a.Tail", "file", "1.0.0")));
    check("Drop", None, Ok(("x.DropTransformation", "smt", "0.1.0")));
    check("IsNull", None, Ok(("x.IsNullPredicate", "smt", "0.1.0")));
    check("x.Mask$Value", None, Ok(("x.Mask$Value", "smt", "0.1.0")));
    check("Value", None, Err("available classes are: a.Tail, b.Tail, hawser.file.FileSink"));
    assert!(matches!(index.resolve("Value", None), Err(ResolveError::Unknown { .. })));
}

#[tokio::test]
async fn no_plugin_takes_the_place_of_another() {
    let alias: &[&str] = &["org.example.TailConnector"];
    let file = plugin("file", "1.0.0", &[("a.Tail", alias, Kind::Source)]).await;
    let known = Index::new(vec![file.clone()]);
    let used = |name: &str| UsedName { connector: "logs".into(), name: name.into(), range: None };
    let check = async |name: &str, class: &str, aliases: &[&str], taken: Option<&str>, shadowed: &[&str]| {
        let other = plugin(name, "99.0.0", &[(class, aliases, Kind::Source)]).await;
        let owner = known.owner_of_a_name(&other);
        assert_eq!(
            owner.as_ref().map(|(class, owner)| (class.as_str(), owner.manifest.name.as_str())),
            taken.map(|class| (class, "file"))
        );
        let grown = Index::new(vec![file.clone(), other]);
        for name in ["a.Tail", "Tail", "org.example.TailConnector", "TailConnector", "unknown"] {
            let found = known.shadowed_by(&grown, vec![used("unknown"), used(name)]);
            assert_eq!(found, shadowed.contains(&name).then(|| (used(name), "a.Tail".to_owned())), "{name} with {class}");
        }
    };
    check("file", "a.Tail", alias, None, &[]).await;
    check("other", "b.Head", &[], None, &[]).await;
    check("other", "a.Tail", &[], Some("a.Tail"), &["a.Tail", "Tail", "org.example.TailConnector", "TailConnector"]).await;
    check(
        "other",
        "org.example.TailConnector",
        &[],
        Some("org.example.TailConnector"),
        &["Tail", "org.example.TailConnector", "TailConnector"],
    )
    .await;
    check("other", "b.Head", alias, Some("org.example.TailConnector"), &["Tail", "org.example.TailConnector", "TailConnector"])
        .await;
    check("other", "Tail", &[], None, &["Tail"]).await;
    check("other", "b.Tail", &[], None, &["Tail"]).await;
}
