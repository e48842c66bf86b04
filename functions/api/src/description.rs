//! What the `OpenAPI` description says of every operation alike, said once: how a refusal is written, the refusals that any
//! request may get, what the parameters that many operations share may be, and how one answer leads to the next request.
//! Knows no resource. Never run by a function: a test writes `docs/openapi.json` with it.

use std::collections::BTreeSet;

use redial_domain::event::MAX_CALL_ID_BYTES;
use redial_domain::event_type::MAX_EVENT_TYPE_LEN;
use redial_domain::id::MAX_ID_LEN;
use utoipa::openapi::content::Content;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

use crate::query::MAX_LIMIT;

/// RFC 9457.
const PROBLEM_TYPE: &str = "application/problem+json";
const PROBLEM_REF: &str = "#/components/schemas/Problem";

/// `*`, or entity tags in quotes (RFC 9110 section 13.1.1). More white space and empty elements are taken as well.
const IF_MATCH: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;

/// What any request may be answered that needs a key, besides what its operation says.
const EVERYWHERE: [(&str, &str); 3] = [
    (
        "403",
        "The key may not be used from where the request comes from (`source_not_allowed`)",
    ),
    (
        "429",
        "More requests than may be made at once; Retry-After says when to try again (`rate_limited`)",
    ),
    ("500", "Something failed on our side; trying again is safe (`internal`)"),
];

/// The whole description: that of the API and `ingest`'s.
#[must_use]
pub fn whole(ingest: OpenApi) -> OpenApi {
    let mut whole = crate::openapi().merge_from(ingest);
    for operation in whole.paths.paths.values_mut().flat_map(operations) {
        describe(operation);
    }
    let links = links(&whole);
    for (path, method, status, name, link) in links {
        let item = whole.paths.paths.get_mut(&path);
        let operation = item.and_then(|item| by_method(item, method).as_mut());
        let response = operation.and_then(|operation| operation.responses.responses.get_mut(status));
        if let Some(RefOr::T(response)) = response {
            response.links.insert(name, RefOr::T(link));
        }
    }
    whole
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

/// The methods that lead to something.
#[derive(Clone, Copy)]
enum Leading {
    Get,
    Put,
    Post,
}

fn by_method(item: &mut PathItem, method: Leading) -> &mut Option<Operation> {
    match method {
        Leading::Get => &mut item.get,
        Leading::Put => &mut item.put,
        Leading::Post => &mut item.post,
    }
}

fn describe(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    // Written as the refusal of a request without a key: some answer in the form of another system.
    if let Some(RefOr::T(refusal)) = responses.get("401").cloned() {
        for (status, meaning) in EVERYWHERE {
            let mut refusal = refusal.clone();
            meaning.clone_into(&mut refusal.description);
            responses.entry(status.to_owned()).or_insert(RefOr::T(refusal));
        }
    }
    for response in responses.values_mut() {
        if let RefOr::T(response) = response {
            as_problem(response);
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            narrow(parameter);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content {
                without_null(content);
            }
        }
    }
}

/// A body that need not be there is no `null` if it is.
fn without_null(content: &mut Content) {
    let Some(RefOr::T(Schema::OneOf(choice))) = &mut content.schema else {
        return;
    };
    let is_null = |item: &RefOr<Schema>| {
        let null = SchemaType::Type(Type::Null);
        matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == null)
    };
    choice.items.retain(|item| !is_null(item));
    if choice.items.len() == 1 {
        content.schema = choice.items.pop();
    }
}

/// A problem is not written as `application/json`: `Problem::into_response` is the one place that answers one.
fn as_problem(response: &mut Response) {
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(content) => matches!(&content.schema, Some(RefOr::Ref(at)) if at.ref_location == PROBLEM_REF),
        RefOr::Ref(_) => false,
    };
    if response.content.get("application/json").is_some_and(is_problem)
        && let Some(content) = response.content.swap_remove("application/json")
    {
        response.content.insert(PROBLEM_TYPE.to_owned(), content);
    }
}

/// Says what a parameter may be that means the same wherever it stands.
fn narrow(parameter: &mut Parameter) {
    let id = format!("[A-Za-z0-9_:-]{{1,{MAX_ID_LEN}}}");
    let text = |pattern: String| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let in_path = matches!(parameter.parameter_in, ParameterIn::Path);
    let schema = match parameter.name.as_str() {
        "tenant" | "endpoint" | "event" | "replay" | "agent" | "erasure" => text(format!("^{id}$")),
        "delivery" => text(format!(r"^{id}\.{id}(\.{id})?$")),
        "type" if in_path => text(r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$".to_owned()).max_length(Some(MAX_EVENT_TYPE_LEN)),
        "call_id" if in_path => ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_CALL_ID_BYTES)),
        "If-Match" => text(IF_MATCH.to_owned()).examples([r#""7""#]),
        "key" if in_path => text("^[A-Za-z0-9]{1,64}$".to_owned()),
        "since" | "until" if !in_path => {
            text(r"^(19[7-9]|[2-9]\d\d)\d-".to_owned()).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        }
        "step_s" if !in_path => text("^(60|300|900|3600)$".to_owned()),
        "limit" if !in_path => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT)),
        _ => return,
    };
    parameter.schema = Some(RefOr::T(schema.build().into()));
}

/// A path, a method and a status that lead on, a name, and where to.
type Leads = (String, Leading, &'static str, String, Link);

/// What was made or listed is found by its id: from `POST` and `GET` of a collection to whatever `{collection}/{id}` offers,
/// and from `PUT` of a thing to whatever lies below it.
fn links(whole: &OpenApi) -> Vec<Leads> {
    let mut found = Vec::new();
    for (from, item) in &whole.paths.paths {
        for (to, target) in &whole.paths.paths {
            let Some(rest) = to.strip_prefix(from.as_str()) else {
                continue;
            };
            let named = placeholders(rest);
            let offered = [&target.get, &target.put, &target.post, &target.delete, &target.patch];
            for operation_id in offered.into_iter().flatten().filter_map(|o| o.operation_id.clone()) {
                let mut lead = |method, status, id: Option<&str>| {
                    let mut link = Link::default();
                    link.operation_id.clone_from(&operation_id);
                    for name in placeholders(from) {
                        let value = format!("$request.path.{name}").into();
                        link.parameters.insert(name.to_owned(), value);
                    }
                    for name in &named {
                        let value = id.unwrap_or_default().into();
                        link.parameters.insert((*name).to_owned(), value);
                    }
                    found.push((from.clone(), method, status, operation_id.clone(), link));
                };
                if named.len() == 1 && rest.starts_with("/{") {
                    if item.post.is_some() {
                        let status = if from.ends_with("/replays") { "202" } else { "201" };
                        lead(Leading::Post, status, Some("$response.body#/id"));
                    }
                    if item.get.is_some() {
                        lead(Leading::Get, "200", Some("$response.body#/items/0/id"));
                    }
                }
                if named.is_empty() && item.put.is_some() && from.ends_with('}') {
                    lead(Leading::Put, "201", None);
                }
            }
        }
    }
    found
}

/// The names between braces.
fn placeholders(path: &str) -> BTreeSet<&str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .collect()
}
