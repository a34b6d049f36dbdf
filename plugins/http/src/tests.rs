//! Both connectors against a service that is a function.

use std::cell::RefCell;
use std::rc::Rc;

use hawser_plugin::http::{HttpError, Request, Response};
use hawser_plugin::prelude::*;
use hawser_plugin::testing::{Poll, SinkDriver, SourceDriver, batch_from_kafka, manifest, problems, serve_http};

use super::{HawserComponent, HttpSink, HttpSource};

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Response { status, headers, body: body.into() }
}

/// Answers requests in turn, the last answer for ever, and keeps the requests.
fn serve(answers: Vec<Result<Response, HttpError>>) -> Rc<RefCell<Vec<Request>>> {
    let kept: Rc<RefCell<Vec<Request>>> = Rc::default();
    let requests = kept.clone();
    let mut answers = answers.into_iter().peekable();
    serve_http(move |request| {
        requests.borrow_mut().push(request.clone());
        let answer = answers.next().unwrap_or_else(|| Err(HttpError::Unavailable("nobody".into())));
        if answers.peek().is_none() {
            answers = vec![answer.clone()].into_iter().peekable();
        }
        answer
    });
    kept
}

fn ok() -> Vec<Result<Response, HttpError>> {
    vec![Ok(response(200, &[], ""))]
}

fn sink(pairs: &[(&str, &str)]) -> SinkDriver<HttpSink> {
    let fast =
        [("url", "http://h/${topic}"), ("retry.backoff.ms", "1"), ("retry.backoff.max.ms", "2"), ("requests.in.flight", "1")];
    let all: Vec<_> = fast.iter().filter(|(key, _)| pairs.iter().all(|(other, _)| other != key)).chain(pairs).copied().collect();
    SinkDriver::start(&all, &[("t", 0)]).unwrap()
}

fn json(text: &'static str) -> NewRecord<'static> {
    NewRecord::new("t").key("k").value(Payload::json(text))
}

fn sent(requests: &RefCell<Vec<Request>>) -> Vec<(String, String, String)> {
    let text = |request: &Request| String::from_utf8(request.body.clone()).unwrap();
    requests.borrow().iter().map(|request| (request.method.clone(), request.url.clone(), text(request))).collect()
}

fn expect(requests: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    requests.iter().map(|(method, url, body)| (method.to_string(), url.to_string(), body.to_string())).collect()
}

#[test]
fn each_record_is_a_request() {
    let requests = serve(ok());
    let pairs = [("url", "http://h/${topic}/${key}"), ("method", "PUT"), ("header.authorization", "Bearer {{secret:api}}")];
    let failures = sink(&pairs).put(&batch_from_kafka(0, &[json("{}"), NewRecord::new("t").value("no key"), json("2")]).unwrap());
    assert_eq!(failures, Ok(vec![(1, "it has no key for ${key} in the URL".to_owned())]));
    assert_eq!(sent(&requests), expect(&[("PUT", "http://h/t/k", "{}"), ("PUT", "http://h/t/k", "2")]));
    let headers = &requests.borrow()[0].headers;
    let agent = ("user-agent", concat!("hawser-http/", env!("CARGO_PKG_VERSION")));
    let expect = [("authorization", "Bearer {{secret:api}}"), agent, ("content-type", "application/json")];
    assert!(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expect), "{headers:?}");
}

#[test]
fn bodies_hold_several_records() {
    let records = || batch_from_kafka(0, &[json("{}"), json("[1,\n2]"), NewRecord::new("t").value("te\"xt"), json("4")]).unwrap();
    let requests = serve(ok());
    assert_eq!(sink(&[("format", "array"), ("batch.records", "3")]).put(&records()), Ok(vec![]));
    assert_eq!(sent(&requests), expect(&[("POST", "http://h/t", "[{},[1, 2],\"te\\\"xt\"]"), ("POST", "http://h/t", "[4]")]));
    let requests = serve(ok());
    assert_eq!(sink(&[("format", "lines"), ("batch.bytes", "4")]).put(&records()), Ok(vec![]));
    assert_eq!(
        sent(&requests),
        expect(&[
            ("POST", "http://h/t", "{}\n[1, 2]\n"),
            ("POST", "http://h/t", "\"te\\\"xt\"\n"),
            ("POST", "http://h/t", "4\n")
        ])
    );
    let bytes = batch_from_kafka(0, &[NewRecord::new("t").value(b"\xff".as_slice()), json("1")]).unwrap();
    let failures = sink(&[("format", "array")]).put(&bytes).unwrap();
    assert!(failures.len() == 1 && failures[0].1.contains("value.converter"), "{failures:?}");
}

#[test]
fn nulls_are_sent_skipped_or_deletions() {
    let records = || batch_from_kafka(0, &[json("1"), NewRecord::new("t").key("k"), json("2")]).unwrap();
    let check = |pairs: &[(&str, &str)], expected: &[(&str, &str, &str)]| {
        let requests = serve(ok());
        assert_eq!(sink(pairs).put(&records()), Ok(vec![]));
        assert_eq!(sent(&requests), expect(expected), "{pairs:?}");
    };
    let url = "http://h/t";
    check(&[], &[("POST", url, "1"), ("POST", url, ""), ("POST", url, "2")]);
    check(&[("null.values", "skip")], &[("POST", url, "1"), ("POST", url, "2")]);
    check(&[("null.values", "delete")], &[("POST", url, "1"), ("DELETE", url, ""), ("POST", url, "2")]);
    check(&[("format", "array")], &[("POST", url, "[1,null,2]")]);
    check(&[("format", "array"), ("null.values", "delete")], &[("POST", url, "[1]"), ("DELETE", url, ""), ("POST", url, "[2]")]);
}

#[test]
fn requests_are_tried_again() {
    let unavailable = || Err(HttpError::Unavailable("ConnectionRefused".into()));
    let busy = || Ok(response(503, &[("retry-after", "0")], "busy"));
    let good = || Ok(response(201, &[], ""));
    let one = || batch_from_kafka(0, &[json("1")]).unwrap();
    let requests = serve(vec![unavailable(), busy(), good()]);
    assert_eq!(sink(&[]).put(&one()), Ok(vec![]));
    assert_eq!(requests.borrow().len(), 3);
    let requests = serve(vec![busy()]);
    assert_eq!(sink(&[("retries", "2")]).put(&one()), Err(Error::retriable("the service answered 503: busy, after 3 tries")));
    assert_eq!(requests.borrow().len(), 3);
}

#[test]
fn a_batch_that_comes_again_is_not_sent_twice() {
    let (good, busy) = (|| Ok(response(200, &[], "")), || Ok(response(500, &[], "")));
    let requests = serve(vec![good(), busy(), good()]);
    let mut sink = sink(&[("retries", "0")]);
    let batch = batch_from_kafka(5, &[json("1"), json("2"), json("3")]).unwrap();
    assert!(matches!(sink.put(&batch), Err(Error::Retriable(_))));
    assert_eq!(sink.put(&batch), Ok(vec![]));
    let bodies: Vec<String> = sent(&requests).into_iter().map(|(_, _, body)| body).collect();
    assert_eq!(bodies, ["1", "2", "2", "3"]);
    assert_eq!(sink.put(&batch), Ok(vec![]), "later it is a batch like any other");
    assert_eq!(requests.borrow().len(), 7);
}

#[test]
fn what_is_refused_is_a_failure_of_its_records() {
    let records = || batch_from_kafka(0, &[json("1"), json("2"), json("3")]).unwrap();
    serve(vec![Ok(response(200, &[], "")), Ok(response(422, &[], "no such thing")), Ok(response(200, &[], ""))]);
    let failures = sink(&[]).put(&records());
    assert_eq!(failures, Ok(vec![(1, "the service answered 422: no such thing".to_owned())]));
    serve(vec![Ok(response(422, &[], ""))]);
    let failures = sink(&[("format", "array")]).put(&records()).unwrap();
    assert_eq!(failures.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1, 2], "all records of a body fail together");
    serve(vec![Err(HttpError::Refused("HttpRequestDenied".into()))]);
    assert!(matches!(sink(&[]).put(&records()), Err(Error::InvalidConfig(message)) if message.contains("sandbox.http")));
    serve(vec![Ok(response(304, &[], ""))]);
    assert_eq!(sink(&[("success.codes", "200-299,304")]).put(&records()), Ok(vec![]));
}

fn source(pairs: &[(&str, &str)]) -> SourceDriver<HttpSource> {
    let all: Vec<_> = [("url", "http://h/items"), ("topic", "t")].iter().chain(pairs).copied().collect();
    SourceDriver::start(&all).unwrap()
}

fn values(poll: &Poll) -> Vec<String> {
    poll.records.iter().map(|record| record.value().as_str().unwrap().to_owned()).collect()
}

fn urls(requests: &RefCell<Vec<Request>>) -> Vec<String> {
    requests.borrow().iter().map(|request| request.url.clone()).collect()
}

/// Polls that many times, commits each, and answers with all values.
fn polled(source: &mut SourceDriver<HttpSource>, times: usize) -> Vec<String> {
    (0..times)
        .flat_map(|_| {
            let poll = source.poll().unwrap();
            source.commit(&poll).unwrap();
            values(&poll)
        })
        .collect()
}

#[test]
fn records_have_keys_and_come_once_a_round() {
    let requests = serve(vec![Ok(response(200, &[("etag", "\"v1\"")], r#"{"data":[{"id":1,"n":1.50},{"id":"b"}]}"#))]);
    let pairs = [("records.pointer", "/data"), ("key.pointer", "/id"), ("header.accept", "x/y")];
    let mut source = source(&pairs);
    let poll = source.poll().unwrap();
    assert_eq!(values(&poll), [r#"{"id":1,"n":1.50}"#, r#"{"id":"b"}"#]);
    let keys: Vec<_> = poll.records.iter().map(|record| record.key().as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, ["1", "b"]);
    assert!(poll.idle_ms > 50_000, "a round ends with a rest");
    source.commit(&poll).unwrap();
    assert!(source.poll().unwrap().records.is_empty(), "which is kept to");
    assert_eq!(requests.borrow().len(), 1);

    serve(vec![Ok(response(304, &[], ""))]);
    let requests = serve(vec![Ok(response(304, &[], ""))]);
    let mut again = self::source(&pairs);
    assert!(again.poll().unwrap().records.is_empty());
    let headers = &requests.borrow()[0].headers;
    assert!(headers.contains(&("if-none-match".to_owned(), "\"v1\"".to_owned())), "{headers:?}");
}

#[test]
fn pages_follow_each_other() {
    let page = |headers: &[(&str, &str)], body: &str| Ok(response(200, headers, body));
    let check = |pairs: &[(&str, &str)], answers: Vec<Result<Response, HttpError>>, expected: &[&str]| {
        let (requests, pages) = (serve(answers), expected.len());
        let all: Vec<_> = [("url", "http://h/items?a=b")].iter().chain(pairs).copied().collect();
        let mut driver = SourceDriver::<HttpSource>::start(&[[("topic", "t")].as_slice(), &all].concat()).unwrap();
        assert_eq!(polled(&mut driver, pages + 1), ["1", "2", "3"], "{pairs:?}");
        assert_eq!(urls(&requests), expected, "{pairs:?}");
    };
    check(
        &[("pagination", "link")],
        vec![page(&[("link", "<?page=2>; rel=\"next\"")], "[1,2]"), page(&[], "[3]")],
        &["http://h/items?a=b", "http://h/items?page=2"],
    );
    check(
        &[("pagination", "next"), ("records.pointer", "/r")],
        vec![page(&[], r#"{"r":[1,2],"next":"/items?p=2"}"#), page(&[], r#"{"r":[3],"next":null}"#)],
        &["http://h/items?a=b", "http://h/items?p=2"],
    );
    check(
        &[("pagination", "cursor"), ("records.pointer", "/r"), ("next.pointer", "/meta/c"), ("cursor.parameter", "after")],
        vec![page(&[], r#"{"r":[1,2],"meta":{"c":"x y"}}"#), page(&[], r#"{"r":[3],"meta":{}}"#)],
        &["http://h/items?a=b", "http://h/items?a=b&after=x%20y"],
    );
    check(
        &[("pagination", "page"), ("page.first", "0")],
        vec![page(&[], "[1,2]"), page(&[], "[3]"), page(&[], "[]")],
        &["http://h/items?a=b&page=0", "http://h/items?a=b&page=1", "http://h/items?a=b&page=2"],
    );
}

#[test]
fn a_restart_goes_on_with_the_page_after_the_last_whole_one() {
    let page = |body: &str| Ok(response(200, &[], body));
    let many: Vec<String> = (0..700).map(|number| number.to_string()).collect();
    let pairs = [("pagination", "cursor"), ("records.pointer", "/r")];
    let body = format!(r#"{{"r":[{}],"next":"c2"}}"#, many.join(","));
    serve(vec![page(r#"{"r":[-1],"next":"c1"}"#), page(&body)]);
    let mut first = source(&pairs);
    assert_eq!(polled(&mut first, 1), ["-1"]);
    let half = first.poll().unwrap();
    assert!(half.records.len() == 500 && half.checkpoints.is_empty(), "half a page is no place to go on from");
    let rest = first.poll().unwrap();
    assert!(rest.records.len() == 200 && rest.checkpoints.len() == 1);
    drop(first);
    let requests = serve(vec![page(&body)]);
    let mut second = source(&pairs);
    assert_eq!(second.poll().unwrap().records.len(), 500, "what was not committed comes again");
    assert_eq!(urls(&requests), ["http://h/items?cursor=c1"]);
    second.commit(&rest).unwrap();
    let requests = serve(vec![page(r#"{"r":[]}"#)]);
    source(&pairs).poll().unwrap();
    assert_eq!(urls(&requests), ["http://h/items?cursor=c2"]);
}

#[test]
fn only_what_is_new_is_asked_for() {
    let page = |body: &str| Ok(response(200, &[], body));
    let pairs = [("since.parameter", "after"), ("since.initial", "7"), ("poll.interval.ms", "1")];
    let requests = serve(vec![page(r#"[{"id":8},{"id":9}]"#), page("[]"), page(r#"[{"id":10}]"#)]);
    let mut source = source(&pairs);
    while requests.borrow().len() < 4 {
        let poll = source.poll().unwrap();
        source.commit(&poll).unwrap();
    }
    assert_eq!(
        urls(&requests)[..4],
        ["http://h/items?after=7", "http://h/items?after=9", "http://h/items?after=9", "http://h/items?after=10"]
    );
}

#[test]
fn a_feed_goes_on_from_its_last_cursor() {
    let page = |body: &str| Ok(response(200, &[], body));
    let pairs = [("pagination", "cursor"), ("cursor.keep", "true"), ("records.pointer", "/r"), ("poll.interval.ms", "1")];
    let requests = serve(vec![page(r#"{"r":[1],"next":"a"}"#), page(r#"{"r":[],"next":"a"}"#), page(r#"{"r":[2],"next":"b"}"#)]);
    let mut source = source(&pairs);
    while requests.borrow().len() < 4 {
        source.poll().unwrap();
    }
    let expect = ["http://h/items", "http://h/items?cursor=a", "http://h/items?cursor=a", "http://h/items?cursor=b"];
    assert_eq!(urls(&requests)[..4], expect);
}

#[test]
fn failures_of_the_service_are_waited_out() {
    serve(vec![
        Err(HttpError::Unavailable("ConnectionRefused".into())),
        Ok(response(500, &[], "")),
        Ok(response(200, &[], "[1]")),
    ]);
    let mut driver = source(&[]);
    assert!(matches!(driver.poll(), Err(Error::Retriable(_))));
    assert!(matches!(driver.poll(), Err(Error::Retriable(_))));
    assert_eq!(values(&driver.poll().unwrap()), ["1"]);

    let requests = serve(vec![Ok(response(429, &[("retry-after", "3600")], ""))]);
    let mut driver = source(&[]);
    assert!(matches!(driver.poll(), Err(Error::Retriable(_))));
    let poll = driver.poll().unwrap();
    assert!(poll.records.is_empty() && poll.idle_ms > 3_000_000, "nothing is asked before Retry-After: {}", poll.idle_ms);
    assert_eq!(requests.borrow().len(), 1);

    serve(vec![Ok(response(404, &[], "")), Ok(response(200, &[], "<html>"))]);
    let mut driver = source(&[]);
    assert!(matches!(driver.poll(), Err(Error::Fatal(message)) if message.contains("404")));
    assert!(matches!(driver.poll(), Err(Error::Fatal(message)) if message.contains("not JSON")));
}

#[test]
fn what_is_no_page_is_told_with_its_reason() {
    let check = |answer: Result<Response, HttpError>, expect: &str| {
        serve(vec![answer]);
        match source(&[]).poll() {
            Err(Error::Fatal(message)) => assert!(message.starts_with("http://h/items") && message.contains(expect), "{message}"),
            other => panic!("{expect}: {other:?}"),
        }
    };
    check(Ok(response(401, &[], "no token\n")), "answered 401: no token (its code");
    check(Ok(response(302, &[("location", "/login")], "")), "a redirect to /login, which is not followed");
    check(Ok(response(200, &[("content-encoding", "gzip")], "")), "encoded (gzip)");
    check(Ok(Response { status: 200, headers: vec![], body: b"[\"\xe9\"]".to_vec() }), "not UTF-8");
    check(Ok(response(200, &[], "1\n2")), "not JSON");
    check(Err(HttpError::TooLong(9)), "more than 9 bytes: raise response.max.bytes");
}

#[test]
fn pages_may_be_empty_or_begin_with_a_byte_order_mark() {
    let check = |answer: Response, expect: &[&str]| {
        serve(vec![Ok(answer)]);
        let poll = source(&[]).poll().unwrap();
        assert_eq!(values(&poll), expect);
        assert!(poll.idle_ms > 50_000);
    };
    check(response(204, &[], ""), &[]);
    check(response(200, &[], "[]"), &[]);
    check(response(200, &[], "\u{feff}[1]"), &["1"]);
    check(response(200, &[("content-encoding", "identity")], "[1]"), &["1"]);
}

#[test]
fn wrong_configurations_are_told() {
    let check = |found: Vec<String>, expect: &str| assert!(found.len() == 1 && found[0].contains(expect), "{found:?}");
    let sink = |pairs: &[(&str, &str)]| problems::<HttpSink>(pairs);
    check(sink(&[("url", "ftp://h")]), "http:// or https://");
    check(sink(&[("url", "http://")]), "a host");
    check(sink(&[("url", "https:///path")]), "a host");
    check(sink(&[("url", "http://h/${name}")]), "${name}");
    check(sink(&[("url", "http://h/${key}"), ("format", "array")]), "only ${topic}");
    check(sink(&[("url", "http://h"), ("success.codes", "2xx")]), "no status code");
    check(sink(&[("url", "http://h"), ("requests.in.flight", "65")]), "no more than 64");
    check(problems::<HttpSource>(&[("url", "http://h"), ("topic", "t"), ("records.pointer", "a")]), "JSON pointer");
    let names: Vec<String> = manifest::<HawserComponent>().classes.into_iter().map(|class| class.name).collect();
    assert_eq!(names, ["HttpSourceConnector", "HttpSinkConnector"]);
}
