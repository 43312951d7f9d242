//! The OpenAPI document: the routes of the admin API and of `/v1`, described where they are handled.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, Response as Described, ResponseBuilder,
    Schema, SecurityRequirement,
};
use utoipa_axum::router::OpenApiRouter;

use super::admin;
use super::admin::SESSION_COOKIE;
use super::described::ClientApi;

/// Where the admin API is mounted.
pub(crate) const ADMIN_BASE: &str = "/admin/api/v1";

/// Routes of the admin API that everybody may call.
const OPEN: [(&str, &str); 2] = [("/admin/api/v1/session", "post"), ("/admin/api/v1/claim", "post")];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let text = document().to_pretty_json().expect("the document is plain JSON values");
    text + "\n"
});

/// The document, as it is committed and printed.
pub(crate) fn text() -> &'static str {
    &DOCUMENT
}

/// `GET /admin/api/v1/openapi.json`
pub(super) async fn show() -> Response {
    ([(CONTENT_TYPE, "application/json")], text()).into_response()
}

fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Grok2API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The admin API of the gateway and its OpenAI-compatible routes."))
        .license(Some(utoipa::openapi::License::new("MIT")));
    let base = OpenApiBuilder::new().info(info).build();
    let router: OpenApiRouter<admin::AdminState> = OpenApiRouter::with_openapi(base).nest(ADMIN_BASE, admin::routes());
    let (_, mut document) = router.split_for_parts();
    for (path, item) in &mut document.paths.paths {
        each_operation(item, |method, operation| complete_admin(path, method, operation));
    }
    let mut clients = <ClientApi as utoipa::OpenApi>::openapi();
    for item in clients.paths.paths.values_mut() {
        each_operation(item, |_, operation| complete_client(operation));
    }
    document.merge(clients);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE))));
    let bearer = |words| {
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words)).build())
    };
    components.add_security_scheme("token", bearer("A token of the admin API, `adm_…`."));
    components.add_security_scheme("api_key", bearer("An API key, `sk-…`."));
    for (name, _, words) in ADMIN_FAILURES {
        components.responses.insert(name.to_owned(), failure(words, "AdminErrorBody"));
    }
    for (name, _, words) in CLIENT_FAILURES {
        components.responses.insert(name.to_owned(), failure(words, "ClientErrorBody"));
    }
    for (name, schema) in &mut components.schemas {
        if let (true, RefOr::T(Schema::Object(object))) = (name.ends_with("Request"), schema) {
            // Unknown members are refused.
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
    document
}

fn each_operation(item: &mut PathItem, mut visit: impl FnMut(&str, &mut Operation)) {
    let operations = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    for (method, operation) in operations {
        if let Some(operation) = operation {
            visit(method, operation);
        }
    }
}

/// How a call of the admin API may fail, by the name of the response.
const ADMIN_FAILURES: [(&str, &str, &str); 10] = [
    ("BadRequest", "400", "The request cannot be read."),
    ("Unauthenticated", "401", "The caller is not signed in and sent no token that is known."),
    ("Forbidden", "403", "The caller may not do this, or the call may have been forged by a foreign page."),
    ("NotFound", "404", "There is nothing under this id."),
    ("Gone", "410", "There is an admin already."),
    ("VersionMismatch", "412", "The version that the caller saw is not the present one."),
    ("TooLarge", "413", "The body is too large."),
    ("NotJson", "415", "The body did not come as JSON."),
    ("ValidationFailed", "422", "Members or parameters are not valid; `fields` names them all."),
    ("RateLimited", "429", "Too many calls, or tries, in a short time."),
];

/// How a call of a client route may fail.
const CLIENT_FAILURES: [(&str, &str, &str); 2] = [
    ("ClientUnauthenticated", "401", "No key, or one that is not known or has expired."),
    ("ClientForbidden", "403", "The key is switched off, or may not use the model."),
];

/// Adds what holds for every route of the admin API: who may call it, and how it may fail.
fn complete_admin(path: &str, method: &str, operation: &mut Operation) {
    let is_open = OPEN.contains(&(path, method));
    let parameters: Vec<&Parameter> = operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .collect();
    let has_parameter = |place: ParameterIn| parameters.iter().any(|parameter| parameter.parameter_in == place);
    let has_body = operation.request_body.is_some();
    let has_query = has_parameter(ParameterIn::Query);
    let has_path = has_parameter(ParameterIn::Path);
    let has_version = parameters.iter().any(|parameter| parameter.name == "If-Match");
    let applies = |name: &str| match name {
        "BadRequest" => has_body || has_query || has_version,
        "Unauthenticated" => !is_open || path.ends_with("/session"),
        "NotFound" => has_path,
        "Gone" => path.ends_with("/claim"),
        "VersionMismatch" => has_version,
        "TooLarge" | "NotJson" => has_body,
        "ValidationFailed" => has_body || has_query,
        _ => true,
    };
    for (name, status, _) in ADMIN_FAILURES.into_iter().filter(|(name, ..)| applies(name)) {
        add_failure(operation, status, name);
    }
    let requirement = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    operation.security = Some(if is_open { Vec::new() } else { vec![requirement("session"), requirement("token")] });
    tidy(operation);
}

fn complete_client(operation: &mut Operation) {
    for (name, status, _) in CLIENT_FAILURES {
        add_failure(operation, status, name);
    }
    operation.security = Some(vec![SecurityRequirement::new("api_key", Vec::<String>::new())]);
    tidy(operation);
}

fn add_failure(operation: &mut Operation, status: &str, name: &str) {
    let reference = RefOr::Ref(Ref::new(format!("#/components/responses/{name}")));
    operation.responses.responses.entry(status.to_owned()).or_insert(reference);
}

fn failure(words: &str, schema: &str) -> RefOr<Described> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    RefOr::T(ResponseBuilder::new().description(words).content("application/json", content).build())
}

/// Takes out of a description what is for readers of the code: a route's name in front of its sentence. And a parameter that is left
/// out is absent, never `null`.
fn tidy(operation: &mut Operation) {
    let sentence = operation.summary.as_deref().and_then(|summary| match summary.strip_prefix('`') {
        Some(rest) => {
            rest.split_once("`: ").or_else(|| rest.split_once("`. ")).map(|(_, sentence)| capitalised(sentence))
        }
        None => Some(summary.to_owned()),
    });
    let success = operation.responses.responses.iter().find_map(|(status, response)| match response {
        RefOr::T(response) if status.starts_with('2') => Some(response.description.clone()),
        _ => None,
    });
    operation.summary = sentence.or(success);
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(object))), .. }) = parameter
            && let SchemaType::Array(kinds) = &object.schema_type
            && let Some(kind) = kinds.iter().find(|kind| **kind != Type::Null)
        {
            object.schema_type = SchemaType::Type(kind.clone());
        }
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed document.
    const COMMITTED: &str = include_str!("../../openapi.json");

    #[test]
    fn the_committed_document_is_what_the_handlers_say() {
        assert!(COMMITTED == text(), "run `make generate` and commit crates/gateway/openapi.json");
    }
}
