use axum::body::Body;
use axum::http::{Request, header};

use super::Api;

#[tokio::test]
async fn metrics_are_told_to_whoever_asks() {
    let api = Api::new().await;
    api.create(r#"a \"b\\c"#, "").await;
    api.until("a \"b\\c", "RUNNING RUNNING").await;
    for (path, accept) in [
        ("/metrics", None),
        ("/metrics/", None),
        ("/metrics", Some("application/openmetrics-text")),
        ("/metrics", Some("text/html")),
    ] {
        let request = Request::builder().uri(path);
        let request = accept.into_iter().fold(request, |request, accept| request.header(header::ACCEPT, accept));
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.headers[header::CONTENT_TYPE].to_str().unwrap()),
            (200, crate::metrics::CONTENT_TYPE)
        );
        for line in [
            "# TYPE kafka_connect_worker_connector_count gauge",
            "kafka_connect_worker_connector_count 1.0",
            "kafka_connect_worker_connector_startup_success_total 1.0",
            "kafka_connect_connector_status{connector=\"a \\\"b\\\\c\",status=\"running\"} 1.0",
            "kafka_connect_connector_metrics_connector_type_info{connector=\"a \\\"b\\\\c\",connector_type=\"source\"} 1.0",
            "kafka_connect_connector_task_status{connector=\"a \\\"b\\\\c\",task=\"0\",status=\"running\"} 1.0",
        ] {
            assert!(answer.body.lines().any(|known| known == line), "{line} is not in {}", answer.body);
        }
    }
    assert_eq!(api.call("POST /metrics", "").await.status, 405);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let api = Api::new().await;
    api.call("GET /connectors/one/status?secret=x", "").await;
    api.call("GET /connectors/two/status/", "").await;
    api.call("GET /no/such/path", "").await;
    let body = api.call("GET /metrics", "").await.body;
    for line in [
        "hawser_rest_request_seconds_count{method=\"GET\",path=\"/connectors/{name}/status\",status=\"404\"} 2",
        "hawser_rest_request_seconds_count{method=\"GET\",path=\"other\",status=\"404\"} 1",
    ] {
        assert!(body.lines().any(|known| known == line), "{line} is not in {body}");
    }
    assert!(!body.contains("secret"), "{body}");
}

#[tokio::test]
async fn a_status_is_kafkas_unless_more_is_asked_for() {
    let api = Api::new().await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
    let plain = api.call("GET /connectors/a/status", "").await;
    assert!(!plain.body.contains("hawser"), "{}", plain.body);
    for more in ["?expand=", "?expand=status", "?x=hawser"] {
        assert_eq!(api.call(&format!("GET /connectors/a/status{more}"), "").await.body, plain.body);
    }
}
