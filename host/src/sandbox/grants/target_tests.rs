use super::*;

fn target(entry: &str) -> Target {
    Target::read(Protocol::Http, entry).unwrap_or_else(|| panic!("{entry} is refused"))
}

#[test]
fn entries_mean_what_they_say() {
    fn check(entry: &str, meant: &[&str], others: &[&str]) {
        let targets = [target(entry)];
        let means = |url: &str| {
            let (scheme, rest) = url.split_once("://").unwrap();
            let (host, port) = rest.rsplit_once(':').unwrap();
            is_meant(&targets, Scheme::of(scheme), &Destination::parse(host).unwrap(), port.parse().unwrap())
        };
        for url in meant {
            assert!(means(url), "{entry} does not mean {url}");
        }
        for url in others {
            assert!(!means(url), "{entry} means {url}");
        }
        assert_eq!(target(&targets[0].to_string()), targets[0]);
    }
    check("*", &["http://a:80", "https://b.c:443", "http://10.0.0.1:80"], &["http://a:443", "https://a:80", "http://a:8080"]);
    check("*:*", &["http://a:1", "https://a:65535"], &[]);
    check(
        "Example.com",
        &["http://example.COM:80", "https://example.com.:443"],
        &["http://example.com:8080", "http://x.example.com:80"],
    );
    check(
        "example.com:443",
        &["https://example.com:443", "http://example.com:443"],
        &["https://example.com:80", "https://example.com.evil:443"],
    );
    check(
        "*.example.com",
        &["http://a.example.com:80", "https://a.b.example.com:443"],
        &["http://example.com:80", "http://badexample.com:80"],
    );
    check(
        "https://*.example.com:8000-8010",
        &["https://a.example.com:8000", "https://a.example.com:8010"],
        &["http://a.example.com:8000", "https://a.example.com:8011", "https://a.example.com:443"],
    );
    check("https://example.com", &["https://example.com:443"], &["http://example.com:443", "https://example.com:9"]);
    check("[::1]:9200", &["http://[::1]:9200", "http://[0:0:0:0:0:0:0:1]:9200"], &["http://[::1]:80", "http://[::2]:9200"]);
    check(
        "127.0.0.1:80",
        &["http://127.0.0.1:80", "http://2130706433:80", "http://0x7f.1:80", "http://0177.0.0.1:80"],
        &["http://127.0.0.2:80"],
    );
    check("127.0.0.1:80", &["http://[::ffff:127.0.0.1]:80", "http://%31%32%37.0.0.1:80"], &["http://localhost:80"]);
    check("10.1.0.0/16:80", &["http://10.1.255.255:80"], &["http://10.2.0.0:80", "http://db:80"]);
    check("[fd00::/8]:80", &["http://[fd12::1]:80"], &["http://[fe80::1]:80"]);
    check("münchen.de", &["http://xn--mnchen-3ya.de:80", "http://MÜNCHEN.de:80"], &["http://munchen.de:80"]);
    check("db.corp:8080+private", &["http://db.corp:8080"], &[]);
}

#[test]
fn addresses_must_follow_from_the_entry() {
    fn check(entries: &str, destination: &str, allowed: &[&str], refused: &[&str]) {
        let targets: Vec<_> = entries.split(',').map(target).collect();
        let destination = Destination::parse(destination).unwrap();
        let allows = |address: &str| is_allowed(&targets, Some(Scheme::Http), &destination, 80, address.parse().unwrap());
        for address in allowed {
            assert!(allows(address), "{entries} refuses {address} for {destination}");
        }
        for address in refused {
            assert!(!allows(address), "{entries} allows {address} for {destination}");
        }
    }
    let inside = ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"];
    let private = ["10.0.0.1", "192.168.1.1", "fd00::1", "100.64.0.1", "::ffff:10.0.0.1"];
    check("example.com", "example.com", &["8.8.8.8", "2a00::1"], &inside);
    check("example.com", "example.com", &[], &private);
    check("example.com+private", "example.com", &private, &inside);
    check("*", "example.com", &["8.8.8.8"], &private);
    check("*", "169.254.169.254", &[], &["169.254.169.254"]);
    check("*+private", "10.0.0.1", &["10.0.0.1"], &inside);
    check("localhost", "localhost", &["127.0.0.1", "::1", "8.8.8.8"], &["10.0.0.1", "169.254.169.254"]);
    check("example.com,10.0.0.0/8", "example.com", &["10.0.0.1", "::ffff:10.0.0.1"], &["192.168.0.1"]);
    check("example.com,10.0.0.0/8:81", "example.com", &[], &["10.0.0.1"]);
    check("127.0.0.1", "127.0.0.1", &["127.0.0.1", "::ffff:127.0.0.1"], &["127.0.0.2"]);
    check("0.0.0.0/0", "127.0.0.1", &["127.0.0.1", "169.254.169.254"], &["::1"]);
}

#[test]
fn a_policy_covers_what_lies_within_it() {
    fn check(policy: &str, within: &[&str], beyond: &[&str]) {
        for entry in within {
            assert!(target(policy).covers(&target(entry)), "{policy} does not cover {entry}");
        }
        for entry in beyond {
            assert!(!target(policy).covers(&target(entry)), "{policy} covers {entry}");
        }
    }
    check(
        "*",
        &["*", "a.b", "*.b", "https://a", "8.8.8.8", "https://a:443", "http://a:80"],
        &["*:*", "a:8080", "a:443", "localhost", "a+private", "127.0.0.1", "10.0.0.1", "10.0.0.0/8", "8.8.8.0/24"],
    );
    check("*:*", &["a", "a:1-9", "*:*", "8.8.8.8:9"], &["localhost:9", "a:9+private"]);
    check("*:*+private", &["a+private", "10.0.0.1:5", "*:*"], &["127.0.0.1:80", "169.254.169.254", "10.0.0.0/8"]);
    check("*.example.com", &["a.example.com", "*.a.example.com"], &["example.com", "*", "10.0.0.1", "*.com"]);
    check("https://a", &["https://a", "https://a:443"], &["a", "http://a", "https://a:80"]);
    check("a:443", &["a:443", "https://a", "https://a:443"], &["a", "http://a", "a:442-443"]);
    check(
        "10.0.0.0/8:1-100",
        &["10.1.0.0/16:5-9", "http://10.0.0.1", "https://10.0.0.1:100"],
        &["10.0.0.0/7:5", "db:5", "10.0.0.1", "https://10.0.0.1"],
    );
    check("localhost:*", &["localhost:80"], &["127.0.0.1:80"]);
}

#[test]
fn what_is_no_target_is_refused() {
    let http = [
        "",
        "http://",
        "ftp://a",
        "a/b",
        "a:0",
        "a:99999",
        "a:b",
        "a:9-8",
        "a:+5",
        "a:",
        "**",
        "*a",
        "*.",
        "a b",
        "::1",
        "[::1",
        "user@a",
        "a..b",
        ".a",
        "a?x",
        "a#x",
        "[::1]x",
        "0x7f.1",
        "2130706433",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "[10.0.0.0/8]",
        "fd00::/8",
        "*.10.0.0.1",
        "10.0.0.1+private",
        "a+public",
        "+private",
        "[::ffff:10.0.0.0/104]",
        "a\u{0}b",
        "%zz",
    ];
    for entry in http {
        assert_eq!(Target::read(Protocol::Http, entry), None, "{entry}");
    }
    for entry in ["a", "http://a:80", "*", "10.0.0.0/8", "[::1]"] {
        assert_eq!(Target::read(Protocol::Tcp, entry), None, "{entry}");
    }
    assert!(Target::read(Protocol::Udp, "ns.example.com:53").is_some());
    let refused = Target::parse(Protocol::Tcp, "sandbox.tcp", "db").unwrap_err().to_string();
    assert!(refused.starts_with("sandbox.tcp: `db` is no host with a port; list `host:port`"), "{refused}");
}

#[test]
fn destinations_have_one_form() {
    fn check(host: &str, expect: Option<&str>) {
        assert_eq!(Destination::parse(host).map(|destination| destination.to_string()).as_deref(), expect, "{host}");
    }
    check("Example.COM.", Some("example.com"));
    check("0x7f000001", Some("127.0.0.1"));
    check("[::FFFF:7f00:1]", Some("127.0.0.1"));
    check("ｅxample.com", Some("example.com"));
    check("ex%61mple.com", Some("example.com"));
    check("a_b.c", Some("a_b.c"));
    for host in ["", ".", "a..b", "a b", "a@b", "::1", "[fe80::1%25eth0]", "1.2.3.4.5", "256.1.1.1", "a/b", "a:1"] {
        check(host, None);
    }
}
