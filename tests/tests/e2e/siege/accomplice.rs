//! Who the hostile plugins talk to, outside of the worker: a service that redirects, never ends, never answers, and moves the
//! names of its file to other addresses; and a port behind which nobody reads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where the names lead when they have turned.
const METADATA: &str = "169.254.169.254";
/// Names that lead to the service until they are asked to turn.
const NAMES: [&str; 2] = ["turn-http.test", "turn-tcp.test"];

/// Both ports; they are gone with the test's process.
pub struct Accomplice {
    pub port: u16,
    pub deaf: u16,
}

impl Accomplice {
    /// `hosts`: the file of names, in the form of `/etc/hosts`, which the worker reads.
    pub fn start(hosts: &Path) -> Accomplice {
        let names: String = NAMES.iter().map(|name| format!("127.0.0.1 {name}\n")).collect();
        std::fs::write(hosts, names).expect("the file of names");
        let hosts = Arc::new(Mutex::new(hosts.to_path_buf()));
        let port = listen(move |stream| {
            let hosts = Arc::clone(&hosts);
            // A plugin that goes away in the middle is no failure.
            thread::spawn(move || drop(serve(stream, &hosts)));
        });
        let mut held = Vec::new();
        Accomplice { port, deaf: listen(move |stream| held.push(stream)) }
    }
}

fn listen(mut take: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(&mut take));
    port
}

/// Answers one request, and closes the connection.
fn serve(mut stream: TcpStream, hosts: &Mutex<PathBuf>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {}
    let head = match path {
        "/redirect" => format!("302 Found\r\nlocation: {query}\r\ncontent-length: 0"),
        "/endless" => "200 OK".to_owned(),
        "/silent" | "/swallow" => return std::io::copy(&mut reader, &mut std::io::sink()).map(drop),
        _ => "200 OK\r\ncontent-length: 0".to_owned(),
    };
    if let Some(name) = path.strip_prefix("/turn/") {
        turn(name, hosts)?;
    }
    stream.write_all(format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").as_bytes())?;
    if path == "/endless" {
        std::io::copy(&mut std::io::repeat(b'x'), &mut stream)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    reader.read_to_end(&mut Vec::new()).map(drop)
}

fn turn(name: &str, hosts: &Mutex<PathBuf>) -> std::io::Result<()> {
    let path = hosts.lock().expect("one at a time");
    let text = std::fs::read_to_string(&*path)?.replace(&format!("127.0.0.1 {name}\n"), &format!("{METADATA} {name}\n"));
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, &*path)
}
