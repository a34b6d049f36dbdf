//! `/plugins`: what is refused. What is taken is tested with real components, end to end.

use axum::body::Body;
use axum::http::{Request, header};

use super::{Answer, Api};

async fn upload(api: &Api, content_type: &str, body: Vec<u8>) -> Answer {
    let request = Request::post("/plugins").header(header::CONTENT_TYPE, content_type).body(Body::from(body)).unwrap();
    api.send(request).await
}

fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--B--\r\n");
    body
}

#[tokio::test]
async fn what_is_no_plugin_is_refused() {
    let api = Api::new().await;
    let empty_component = b"\0asm\x0d\0\x01\0";
    let core_module = b"\0asm\x01\0\0\0";
    for (body, status, part) in [
        (b"".to_vec(), 422, ""),
        (b"hello".to_vec(), 422, "not a component"),
        (core_module.to_vec(), 422, "not a component"),
        (empty_component.to_vec(), 422, ""),
        (vec![0; 1001], 413, "larger than 1000 bytes"),
    ] {
        let answer = upload(&api, "application/wasm", body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        assert!(answer.message().contains(part), "{}", answer.body);
    }
    let form = "multipart/form-data; boundary=B";
    type Parts<'p> = &'p [(&'p str, &'p [u8])];
    let cases: [(Parts<'_>, u16, &str); 6] = [
        (&[("plugin", b"hello")], 422, "not a component"),
        (&[("config", b"{}")], 400, "no part 'plugin'"),
        (&[("config", b"{"), ("plugin", b"hello")], 400, "not as expected"),
        (&[("other", b"x")], 400, "Unknown part 'other'"),
        (&[("plugin", &[0; 1001])], 413, "larger than 1000 bytes"),
        (&[], 400, "no part 'plugin'"),
    ];
    for (parts, status, part) in cases {
        let answer = upload(&api, form, multipart(parts)).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        assert!(answer.message().contains(part), "{}", answer.body);
    }
    let answer = upload(&api, "multipart/form-data", Vec::new()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    api.check("GET /plugins", "", 200, "[]").await;
    api.check("GET /plugins/x", "", 404, "~Plugin x not found").await;
    api.check("DELETE /plugins/x/versions/1.0.0", "", 404, "~Plugin x 1.0.0 not found").await;
    api.check("DELETE /plugins/x", "", 405, "~Method Not Allowed").await;
}
