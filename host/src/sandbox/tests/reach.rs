//! What a plugin reaches: nothing that was not granted.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::sandbox::{CallError, Grants, InstanceEnv, InstanceLimits};

use super::fixture::{config, env, source};

fn granted(pairs: &[(&str, &str)]) -> InstanceEnv {
    InstanceEnv { grants: Grants::parse(&config(pairs)).unwrap(), ..env(InstanceLimits::default()) }
}

/// What the plugin tells of a thing that it did at start.
async fn told(pairs: &[(&str, &str)], env: InstanceEnv) -> String {
    source(pairs, env).await.err().map_or("nothing".to_owned(), |error| error.to_string())
}

#[tokio::test]
async fn files_are_out_of_reach_unless_granted() {
    let dir = tempfile::tempdir().unwrap();
    let (read_only, read_write, other) = (dir.path().join("ro"), dir.path().join("rw"), dir.path().join("other"));
    for folder in [&read_only, &read_write, &other] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), "12345").unwrap();
    }
    std::os::unix::fs::symlink(other.join("file"), read_write.join("link")).unwrap();
    let grant = format!("{}:ro,{}", read_only.display(), read_write.display());
    let env = || granted(&[("sandbox.files", &grant)]);
    let path = |folder: &std::path::Path, name: &str| folder.join(name).display().to_string();

    let refused = told(&[("start", "read")], super::fixture::env(InstanceLimits::default())).await;
    assert!(refused.contains("/etc/passwd:") && !refused.contains("read "), "{refused}");
    assert!(refused.contains("no directory is granted; to grant some, list them in sandbox.files"), "{refused}");
    assert!(told(&[("start", "read"), ("path", &path(&read_only, "file"))], env()).await.starts_with("read 5 bytes"));
    assert!(told(&[("start", "read"), ("path", &path(&read_write, "file"))], env()).await.starts_with("read 5 bytes"));
    for outside in [path(&other, "file"), path(&read_write, "../other/file"), path(&read_write, "link"), "/etc/passwd".into()] {
        let refused = told(&[("start", "read"), ("path", &outside)], env()).await;
        assert!(!refused.starts_with("read "), "{outside}: {refused}");
    }
    let refused = told(&[("start", "write"), ("path", &path(&read_only, "new"))], env()).await;
    assert!(refused.contains("new:") && !read_only.join("new").exists(), "{refused}");
    assert!(refused.contains("`new` may not be written") && refused.contains("without `:ro` in sandbox.files"), "{refused}");
    assert_eq!(told(&[("start", "write"), ("path", &path(&read_write, "new"))], env()).await, "nothing");
    assert_eq!(fs::read_to_string(read_write.join("new")).unwrap(), "written");
}

#[tokio::test]
async fn a_granted_directory_that_is_not_there_is_named() {
    let error = source(&[], granted(&[("sandbox.files", "/no/such/folder")])).await.err().unwrap();
    assert!(matches!(error, CallError::InvalidConfig(_)), "{error:?}");
    assert!(error.to_string().contains("sandbox.files: the directory /no/such/folder cannot be opened"), "{error}");
}

#[tokio::test]
async fn environment_and_sockets_are_out_of_reach() {
    let env = || env(InstanceLimits::default());
    assert_eq!(told(&[("start", "env")], env()).await, "found 0 variables and arguments");
    let refused = told(&[("start", "connect")], env()).await;
    assert!(refused.starts_with("connect: Err(") && refused.contains("add `127.0.0.1:9` to sandbox.tcp"), "{refused}");
}

#[tokio::test]
async fn http_goes_where_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let url = format!("http://{address}/path");
    let config = [("start", "http"), ("url", url.as_str())];

    let refused = told(&config, granted(&[("sandbox.http", "example.com,https://127.0.0.1")])).await;
    assert!(refused.contains("HttpRequestDenied"), "{refused}");
    assert!(refused.contains(&format!("add `http://{address}` to sandbox.http")), "{refused}");
    let answered = told(&config, granted(&[("sandbox.http", &address)])).await;
    assert!(answered.contains("status 204"), "{answered}");
    assert!(server.await.unwrap().starts_with("GET /path HTTP/1.1\r\n"));
}
