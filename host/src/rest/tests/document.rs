//! The API's description: what it says is so, and nothing is missing in it.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Api;

/// The description that the worker serves.
pub(super) struct Document(Value);

/// A method and the template of a path.
pub(super) type Operation = (String, String);

impl Document {
    pub(super) async fn of(api: &Api) -> Document {
        Document(api.call("GET /openapi.json", "").await.json())
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let methods = |(path, item): (&String, &Value)| -> Vec<Operation> {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect()
        };
        paths.iter().flat_map(methods).collect()
    }

    /// The methods of a path.
    pub(super) fn methods(&self, path: &str) -> BTreeSet<String> {
        self.operations().into_iter().filter(|(_, known)| known == path).map(|(method, _)| method).collect()
    }

    /// The operation of a request.
    pub(super) fn operation(&self, method: &str, uri: &str) -> Option<Operation> {
        let path = uri.split('?').next().unwrap();
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        let method = if method == "HEAD" { "GET" } else { method };
        self.operations().into_iter().find(|(known, template)| known == method && fits(template, path))
    }

    fn description(&self, (method, path): &Operation) -> &Value {
        &self.0["paths"][path][method.to_lowercase()]
    }

    /// The statuses that are described, each with the schema of its body.
    pub(super) fn statuses(&self, operation: &Operation) -> Vec<u16> {
        self.description(operation)["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect()
    }

    pub(super) fn takes_json(&self, operation: &Operation) -> bool {
        !self.description(operation)["requestBody"]["content"]["application/json"].is_null()
    }

    /// Compares an answer with what is described for its status.
    pub(super) fn check(&self, operation: &Operation, status: u16, body: &str) {
        let content = &self.description(operation)["responses"][status.to_string()]["content"];
        if !content["text/plain"].is_null() {
            return;
        }
        let content = &content["application/json"];
        match content.is_null() {
            true => assert!(body.is_empty(), "{operation:?} {status} has a body that is not described"),
            false => self.validate(&content["schema"], &serde_json::from_str(body).unwrap(), &format!("{operation:?} {status}")),
        }
    }

    fn validate(&self, schema: &Value, value: &Value, what: &str) {
        if let Err(wrong) = self.fits_schema(schema, value) {
            panic!("{what}: {wrong} in {value}");
        }
    }

    /// As much of JSON Schema as the description makes use of; a keyword beyond that is an error.
    fn fits_schema(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let empty = serde_json::Map::new();
        for (keyword, rule) in schema.as_object().unwrap_or(&empty) {
            let fails = |what: &str| Err(format!("{what} ({keyword} {rule})"));
            let each =
                |schemas: &Value| schemas.as_array().unwrap().iter().map(|one| self.fits_schema(one, value)).collect::<Vec<_>>();
            match keyword.as_str() {
                "$ref" => {
                    let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    self.fits_schema(self.0.pointer(target).ok_or_else(|| format!("{rule} leads nowhere"))?, value)?;
                }
                "type" => {
                    let names: Vec<_> = rule.as_array().map_or(vec![rule], |names| names.iter().collect());
                    let is = |name: &str| match name {
                        "null" => value.is_null(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_i64() || value.is_u64(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        other => panic!("unknown type {other}"),
                    };
                    if !names.iter().any(|name| is(name.as_str().unwrap())) {
                        return fails(&value.to_string());
                    }
                }
                "enum" if !rule.as_array().unwrap().contains(value) => return fails(&value.to_string()),
                "minimum" if value.as_f64().is_some_and(|number| number < rule.as_f64().unwrap()) => {
                    return fails(&value.to_string());
                }
                "required" => {
                    for name in rule.as_array().unwrap() {
                        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                            return fails(&format!("{name} is missing"));
                        }
                    }
                }
                "properties" => {
                    let has = |(name, schema): (&String, &Value)| {
                        value.get(name).map_or(Ok(()), |member| self.fits_schema(schema, member))
                    };
                    rule.as_object().unwrap().iter().try_for_each(has)?;
                }
                "additionalProperties" if value.is_object() => {
                    let known = |name: &String| schema["properties"].get(name).is_some();
                    for (name, member) in value.as_object().unwrap().iter().filter(|(name, _)| !known(name)) {
                        if rule == &Value::Bool(false) {
                            return fails(&format!("{name} is unknown"));
                        }
                        self.fits_schema(rule, member)?;
                    }
                }
                "items" => value.as_array().into_iter().flatten().try_for_each(|item| self.fits_schema(rule, item))?,
                "allOf" => each(rule).into_iter().collect::<Result<(), _>>()?,
                "oneOf" | "anyOf" if !each(rule).iter().any(Result::is_ok) => return fails("none fits"),
                "enum" | "minimum" | "additionalProperties" | "oneOf" | "anyOf" | "propertyNames" | "description" | "format" => {}
                other => panic!("the schema has an unknown keyword {other}"),
            }
        }
        Ok(())
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let same =
        |(wanted, found): (&&str, &&str)| wanted.starts_with('{') || percent_decode_str(found).decode_utf8_lossy() == **wanted;
    template.len() == path.len() && template.iter().zip(path.iter()).all(same)
}

#[tokio::test]
async fn every_operation_has_examples_that_fit_their_schemas() {
    let document = Document::of(&Api::new().await).await;
    assert_eq!(document.0["openapi"], "3.1.0");
    assert_eq!(document.operations().len(), 34);
    let mut ids = BTreeSet::new();
    let mut examples = 0;
    for operation in document.operations() {
        let described = document.description(&operation);
        assert!(ids.insert(described["operationId"].as_str().unwrap().to_owned()), "{operation:?}: its name is another's");
        assert!(described["summary"].is_string(), "{operation:?}: no summary");
        for parameter in described["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["in"] != "path" || !parameter["example"].is_null(), "{operation:?}: {parameter} has no example");
        }
        let answers = described["responses"].as_object().unwrap().iter().map(|(status, answer)| (status.as_str(), answer));
        let request = described.get("requestBody").map(|request| ("request", request));
        let mut has_success = false;
        for (what, said) in answers.chain(request) {
            has_success |= what.starts_with('2');
            for (kind, content) in said["content"].as_object().into_iter().flatten() {
                let several = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
                let all: Vec<_> = content.get("example").into_iter().chain(several).collect();
                assert!(kind != "application/json" || !all.is_empty(), "{operation:?}: {what} has no example");
                for example in all.iter().filter(|_| kind == "application/json") {
                    document.validate(&content["schema"], example, &format!("{operation:?}: the example of {what}"));
                    examples += 1;
                }
            }
        }
        assert!(has_success, "{operation:?}: no success");
    }
    assert!(examples > 80, "{examples} examples");
}

#[tokio::test]
async fn what_is_described_is_served_and_nothing_else() {
    let api = Api::new().await;
    let document = Document::of(&api).await;
    let paths: BTreeSet<String> = document.operations().into_iter().map(|(_, path)| path).collect();
    for template in paths {
        let path = template.replace("{name}", "x").replace("{task}", "0").replace("{version}", "1");
        let mut allowed = document.methods(&template);
        if allowed.contains("GET") {
            allowed.insert("HEAD".to_owned());
        }
        allowed.insert("OPTIONS".to_owned());
        for path in [path.clone(), format!("{path}/").replace("//", "/")] {
            let options = api.call(&format!("OPTIONS {path}"), "").await;
            let listed: BTreeSet<String> = options.body.split(',').map(str::to_owned).collect();
            assert_eq!((options.status.as_u16(), &listed), (200, &allowed), "{path}");
            assert_eq!(options.headers["allow"].to_str().unwrap(), options.body);
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"] {
                let answer = api.call(&format!("{method} {path}"), "").await;
                assert_eq!(answer.status == 405, !allowed.contains(method), "{method} {path}: {}", answer.body);
                if answer.status == 405 {
                    assert_eq!(answer.headers["allow"], options.headers["allow"], "{method} {path}");
                }
            }
        }
    }
    // Without `/admin`, which is served elsewhere.
    let public = Api { router: crate::rest::router(api.fixture.herder.clone(), false), ..api };
    assert_eq!(Document::of(&public).await.operations().len(), 31);
    public.check("GET /admin/loggers", "", 404, "~HTTP 404 Not Found").await;
    let admin = Api { router: crate::rest::admin_router(public.fixture.herder.clone()), ..public };
    admin.check("GET /admin/loggers", "", 200, r#"{"root":{"level":"INFO","last_modified":null}}"#).await;
    for path in ["/", "/connectors", "/health", "/openapi.json"] {
        admin.check(&format!("GET {path}"), "", 404, "~HTTP 404 Not Found").await;
    }
}
