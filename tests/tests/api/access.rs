//! Every route of the description, for every kind of key, with every kind of id: another tenant's thing answers exactly as
//! a missing one, and nobody changes anything of another's.

use serde_json::{Value, json};

use super::stand::{Reply, Stand};

/// A path parameter that no thing has.
const MISSING: [(&str, &str); 8] = [
    ("endpoint", "ep_0000000000000000"),
    ("event", "nothing"),
    ("delivery", "nothing.ep_0000000000000000"),
    ("replay", "rpl_01JD3ZK8Q000000000"),
    ("key", "ffffffffffff"),
    ("erasure", "ers_01JD3ZK8Q000000000"),
    ("call_id", "no-call"),
    ("type", "nothing.there"),
];

/// Path segments that are no ids.
const MALFORMED: [&str; 6] = ["a%20b", "%2e%2e%2fx", "null", "%00", "t%2facme", "LONG"];
/// A path segment that is no text: nothing in its path can be read, so the answer may name another thing as missing.
const NO_TEXT: &str = "%ff";

/// A route of the description.
struct Route {
    method: String,
    path: String,
    is_open: bool,
}

impl Route {
    fn all() -> Vec<Self> {
        let text = serde_json::to_string(&redial_api::openapi()).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut routes = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                // Signing in answers each key by itself: `sessions` tests it.
                if operation["operationId"] == "begin_session" {
                    continue;
                }
                let is_open = operation["security"] == json!([{}]);
                routes.push(Self {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    is_open,
                });
            }
        }
        assert!(routes.len() >= 25, "{} routes", routes.len());
        routes
    }

    /// True for the routes that make and take away tenants: only operators may.
    fn is_about_tenants(&self) -> bool {
        self.path == "/v1/tenants/{tenant}" && self.method != "GET"
    }

    /// True for what whoever asks is told of itself, whichever key it is but one for ingest.
    fn is_about_oneself(&self) -> bool {
        self.path == "/v1/session"
    }

    /// True for what makes a way in, which no portal token does.
    fn makes_portal_links(&self) -> bool {
        self.path.ends_with("/portal")
    }

    /// True for a path that another system made, which has no place for a tenant: `integration` tests it.
    fn is_foreign(&self) -> bool {
        !self.path.starts_with("/v1")
    }

    /// True for what is told of a call: no call is stored as a thing of its own, one that no event names has no events.
    fn is_of_call(&self) -> bool {
        self.thing() == Some("call_id") && self.method == "GET"
    }

    /// True for the route that makes the event type which its path names: none is missing there.
    fn makes_what_it_names(&self) -> bool {
        self.thing() == Some("type") && self.method == "PUT"
    }

    fn names_tenant(&self) -> bool {
        self.path.contains("{tenant}")
    }

    /// What the path names besides a tenant.
    fn thing(&self) -> Option<&'static str> {
        MISSING
            .into_iter()
            .map(|(name, _)| name)
            .find(|name| self.path.contains(&format!("{{{name}}}")))
    }

    fn at(&self, tenant: &str, thing: &str) -> String {
        let path = self.path.replace("{tenant}", tenant);
        self.thing()
            .map_or(path.clone(), |name| path.replace(&format!("{{{name}}}"), thing))
    }

    /// A body that is right for the route.
    fn body(&self) -> Value {
        match (self.method.as_str(), self.path.rsplit('/').next().unwrap()) {
            ("POST", "endpoints") => json!({"url": "http://127.0.0.1:9000/new"}),
            ("POST", "keys") => json!({"scope": "ingest", "name": "made in a test"}),
            ("POST", "replays") => json!({"event": "acme-event"}),
            ("POST", "dry-run") => json!({"type": "call.ended"}),
            ("POST", "backlog") => json!({"action": "discard", "event_types": ["nothing.there"]}),
            ("POST", "redrive" | "discard") => json!({"reason": "gone", "dry_run": true}),
            ("POST", "validate") => json!({"data": {}}),
            ("PATCH", "{key}") => json!({"name": "changed"}),
            ("PATCH", _) => json!({"description": "changed"}),
            ("PUT", "{type}") => json!({"schema": {"type": "object"}}),
            ("PUT", _) | ("POST", "rotate") => json!({}),
            _ => Value::Null,
        }
    }
}

struct Matrix {
    stand: Stand,
    /// The tenant's key.
    tenant: String,
    /// A portal token of the tenant.
    portal: String,
    ingest: String,
    /// No key, one that was revoked, one that never was, and a right id with a wrong secret.
    strangers: Vec<Option<String>>,
}

impl Matrix {
    async fn new() -> Self {
        let stand = Stand::new().await;
        for tenant in ["acme", "other"] {
            stand.ok("PUT", &format!("/v1/tenants/{tenant}"), json!({})).await;
            stand.endpoint(tenant).await;
            stand.event(tenant, &format!("{tenant}-event")).await;
            let replay = json!({"event": format!("{tenant}-event")});
            stand.ok("POST", &format!("/v1/tenants/{tenant}/replays"), replay).await;
            for (id, call) in [("erase", "call"), ("of-call", "erase"), ("erased", "gone")] {
                let (id, call) = (format!("{tenant}-{id}"), format!("{tenant}-{call}"));
                let event =
                    json!({"type": "call.ended", "tenant": tenant, "id": id, "data": 1, "related": {"call_id": call}});
                stand.ok("POST", "/v1/events", event).await;
            }
            let own = format!("/v1/tenants/{tenant}/event-types/{tenant}.own");
            stand.ok("PUT", &own, json!({"schema": {"type": "object"}})).await;
            let erased = format!("/v1/tenants/{tenant}/events/{tenant}-erased");
            stand.ok("DELETE", &erased, Value::Null).await;
        }
        let tenant = stand.mint("tenant:acme").await;
        let portal = stand.ok("POST", "/v1/tenants/acme/portal", Value::Null).await;
        let portal = portal["token"].as_str().unwrap().to_owned();
        let ingest = stand.mint("ingest").await;
        let revoked = stand.mint("operator").await;
        stand
            .ok(
                "DELETE",
                &format!("/v1/keys/{}", revoked.split('_').nth(1).unwrap()),
                Value::Null,
            )
            .await;
        let wrong = format!("{}x", stand.operator);
        let strangers = vec![
            None,
            Some(revoked),
            Some("rd_0000_never".to_owned()),
            Some(wrong),
            Some(String::new()),
        ];
        Self {
            stand,
            tenant,
            portal,
            ingest,
            strangers,
        }
    }

    /// An existing thing of a tenant. A deleted one is made anew.
    async fn existing(&self, route: &Route, tenant: &str) -> String {
        let first = async |list: &str| {
            let page = self
                .stand
                .ok("GET", &format!("/v1/tenants/{tenant}/{list}"), Value::Null)
                .await;
            page["items"][0]["id"].as_str().unwrap().to_owned()
        };
        match route.thing() {
            None => String::new(),
            Some("endpoint") => self.stand.endpoint(tenant).await,
            // Erasing takes other ones than those that the other routes look at.
            Some("event" | "call_id") if route.method == "DELETE" => format!("{tenant}-erase"),
            Some("event") => format!("{tenant}-event"),
            Some("call_id") => format!("{tenant}-call"),
            Some("type") => format!("{tenant}.own"),
            Some("erasure") => first("erasures").await,
            Some("delivery") => first(&format!("events/{tenant}-event/deliveries")).await,
            // One that is canceled takes no further order.
            Some("replay") if route.method == "POST" => {
                let replays = format!("/v1/tenants/{tenant}/replays");
                self.cancel(&replays).await;
                let made = self
                    .stand
                    .ok("POST", &replays, json!({"event": format!("{tenant}-event")}))
                    .await;
                made["id"].as_str().unwrap().to_owned()
            }
            Some("replay") => first("replays").await,
            Some("key") => self.stand.mint("ingest").await.split('_').nth(1).unwrap().to_owned(),
            Some(other) => panic!("{other}"),
        }
    }

    /// Cancels the replays that are not finished: a tenant may have ten.
    async fn cancel(&self, replays: &str) {
        let mut page = format!("{replays}?limit=100");
        loop {
            let listed = self.stand.ok("GET", &page, Value::Null).await;
            for job in listed["items"].as_array().unwrap() {
                if !["done", "failed", "canceled"].contains(&job["state"].as_str().unwrap()) {
                    let path = format!("{replays}/{}/cancel", job["id"].as_str().unwrap());
                    self.stand.ok("POST", &path, Value::Null).await;
                }
            }
            let Some(next) = listed["next"].as_str() else { return };
            page = format!("{replays}?limit=100&cursor={next}");
        }
    }

    async fn ask(&self, key: Option<&str>, route: &Route, tenant: &str, thing: &str) -> Reply {
        let long = "x".repeat(129);
        let path = route.at(&tenant.replace("LONG", &long), &thing.replace("LONG", &long));
        self.stand.send(key, &route.method, &path, &route.body()).await
    }

    async fn snapshot(&self, tenant: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        for list in [
            "",
            "/endpoints?limit=100",
            "/events",
            "/deliveries",
            "/replays",
            "/event-types?origin=own",
        ] {
            seen.push(
                self.stand
                    .ok("GET", &format!("/v1/tenants/{tenant}{list}"), Value::Null)
                    .await,
            );
        }
        let endpoints = seen[1]["items"].as_array().unwrap().clone();
        for endpoint in endpoints {
            let path = format!(
                "/v1/tenants/{tenant}/endpoints/{}/secret",
                endpoint["id"].as_str().unwrap()
            );
            seen.push(self.stand.ok("GET", &path, Value::Null).await);
        }
        seen
    }
}

fn missing(name: Option<&str>) -> &'static str {
    MISSING
        .into_iter()
        .find(|(own, _)| Some(*own) == name)
        .map_or("", |(_, id)| id)
}

fn is_success(reply: &Reply) -> bool {
    (200..300).contains(&reply.status)
}

#[tokio::test]
async fn nobody_without_a_valid_key_learns_anything() {
    let matrix = Matrix::new().await;
    for route in Route::all() {
        for key in &matrix.strangers {
            let mut answers = Vec::new();
            for tenant in ["acme", "other", "nobody", "a%20b"] {
                let thing = matrix.existing(&route, "acme").await;
                for thing in [thing.as_str(), missing(route.thing()), "null"] {
                    answers.push(matrix.ask(key.as_deref(), &route, tenant, thing).await);
                }
            }
            let expected = if route.is_open { 200 } else { 401 };
            for answer in &answers {
                assert_eq!(answer.status, expected, "{} {}", route.method, route.path);
                assert_eq!(answer, &answers[0], "{} {}", route.method, route.path);
            }
        }
        // As many endpoints as a tenant may have would end the test early.
        clear(&matrix, "acme").await;
    }
}

#[tokio::test]
async fn a_key_for_ingest_manages_nothing() {
    let matrix = Matrix::new().await;
    for route in Route::all() {
        for tenant in ["acme", "nobody", "a%20b"] {
            let answer = matrix
                .ask(Some(&matrix.ingest), &route, tenant, missing(route.thing()))
                .await;
            let expected = if route.is_open || route.path == "/v1/event-types" {
                200
            } else {
                403
            };
            assert_eq!(answer.status, expected, "{} {}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn a_tenants_key_cannot_tell_anothers_thing_from_a_missing_one() {
    let matrix = Matrix::new().await;
    cannot_tell(&matrix, &matrix.tenant).await;
}

#[tokio::test]
async fn a_portal_token_cannot_tell_anothers_thing_from_a_missing_one() {
    let matrix = Matrix::new().await;
    cannot_tell(&matrix, &matrix.portal).await;
}

/// Another tenant's things are missing ones to who has this key or token of tenant `acme`.
async fn cannot_tell(matrix: &Matrix, key: &str) {
    let key = Some(key);
    let before = matrix.snapshot("other").await;
    for route in Route::all().iter().filter(|route| route.names_tenant()) {
        let of_list = |list: usize| before[list]["items"][0]["id"].as_str().unwrap().to_owned();
        let theirs = match route.thing() {
            Some("endpoint") => of_list(1),
            Some("replay") => of_list(4),
            _ => matrix.existing(route, "other").await,
        };
        let about = format!("{} {}", route.method, route.path);

        // Under another tenant's name, whatever it has.
        let absent = matrix.ask(key, route, "nobody", missing(route.thing())).await;
        assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"), "{about}");
        for thing in [theirs.as_str(), missing(route.thing()), "null"] {
            for tenant in ["other", "nobody", NO_TEXT].iter().chain(&MALFORMED) {
                assert_eq!(
                    matrix.ask(key, route, tenant, thing).await,
                    absent,
                    "{about} {tenant} {thing}"
                );
            }
        }

        // Under its own name, another's things.
        let Some(name) = route.thing().filter(|_| !route.makes_what_it_names()) else {
            continue;
        };
        let absent = matrix.ask(key, route, "acme", missing(Some(name))).await;
        if route.is_of_call() {
            assert_eq!(absent.json()["items"], json!([]), "{about}");
            assert_eq!(matrix.ask(key, route, "acme", &theirs).await, absent, "{about}");
            continue;
        }
        assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"), "{about}");
        for thing in [theirs.as_str()].iter().chain(&MALFORMED) {
            assert_eq!(matrix.ask(key, route, "acme", thing).await, absent, "{about} {thing}");
        }
        let no_text = matrix.ask(key, route, "acme", NO_TEXT).await;
        assert_eq!((no_text.status, no_text.code()), (404, absent.code()), "{about}");
        if name == "delivery" {
            let endpoint = before[1]["items"][0]["id"].as_str().unwrap();
            let mixed = format!("acme-event.{endpoint}");
            assert_eq!(matrix.ask(key, route, "acme", &mixed).await, absent, "{about} {mixed}");
        }
    }
    assert_eq!(
        matrix.snapshot("other").await,
        before,
        "nothing of the other tenant has changed"
    );
}

#[tokio::test]
async fn a_tenants_key_manages_its_own_things_and_no_more() {
    let matrix = Matrix::new().await;
    manages_its_own(&matrix, &matrix.tenant, |_| true).await;
}

#[tokio::test]
async fn a_portal_token_manages_the_same_and_makes_no_further_links() {
    let matrix = Matrix::new().await;
    manages_its_own(&matrix, &matrix.portal, |route| !route.makes_portal_links()).await;
}

/// Who has this key or token of tenant `acme` manages what is its own and `may` be managed, and is refused all else.
async fn manages_its_own(matrix: &Matrix, key: &str, may: fn(&Route) -> bool) {
    let key = Some(key);
    for route in Route::all().into_iter().filter(|route| !route.is_foreign()) {
        let thing = matrix.existing(&route, "acme").await;
        let answer = matrix.ask(key, &route, "acme", &thing).await;
        let about = format!(
            "{} {}: {}",
            route.method,
            route.path,
            String::from_utf8_lossy(&answer.body)
        );
        let own = route.is_about_oneself() || (route.names_tenant() && !route.is_about_tenants() && may(&route));
        if route.is_open || own || route.path == "/v1/event-types" {
            assert!(is_success(&answer), "{about}");
        } else {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, "scope_insufficient"),
                "{about}"
            );
        }
        clear(matrix, "acme").await;
    }
}

#[tokio::test]
async fn an_operator_manages_every_tenant_and_finds_nothing_where_nothing_is() {
    let matrix = Matrix::new().await;
    let key = Some(matrix.stand.operator.as_str());
    for route in Route::all().into_iter().filter(|route| !route.is_foreign()) {
        // It would take away what the others look at: `erasures` tests it.
        let erases_all = route.is_about_tenants() && route.method == "DELETE";
        for tenant in ["acme", "other"].into_iter().filter(|_| !erases_all) {
            let thing = matrix.existing(&route, tenant).await;
            let answer = if route.path.ends_with("replays") && route.method == "POST" {
                let body = json!({"event": format!("{tenant}-event")});
                matrix.stand.send(key, "POST", &route.at(tenant, ""), &body).await
            } else {
                matrix.ask(key, &route, tenant, &thing).await
            };
            let about = format!(
                "{} {}: {}",
                route.method,
                route.path,
                String::from_utf8_lossy(&answer.body)
            );
            assert!(is_success(&answer), "{about}");
            clear(&matrix, tenant).await;
        }
        let about = format!("{} {}", route.method, route.path);
        if route.names_tenant() && !(route.is_about_tenants() && route.method == "PUT") {
            let absent = matrix.ask(key, &route, "nobody", missing(route.thing())).await;
            assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"), "{about}");
            for tenant in MALFORMED {
                assert_eq!(
                    matrix.ask(key, &route, tenant, missing(route.thing())).await,
                    absent,
                    "{about} {tenant}"
                );
            }
            // The same answer that another tenant's key gets for a tenant that is there.
            let other = matrix
                .ask(Some(&matrix.tenant), &route, "other", missing(route.thing()))
                .await;
            assert_eq!(other, absent, "{about}");
        }
        if let Some(name) = route
            .thing()
            .filter(|_| !route.is_of_call() && !route.makes_what_it_names())
        {
            let absent = matrix.ask(key, &route, "acme", missing(Some(name))).await;
            assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"), "{about}");
            for thing in MALFORMED {
                assert_eq!(matrix.ask(key, &route, "acme", thing).await, absent, "{about} {thing}");
            }
        }
    }
    let put = Route {
        method: "PUT".into(),
        path: "/v1/tenants/{tenant}".into(),
        is_open: false,
    };
    for tenant in MALFORMED {
        let refused = matrix.ask(key, &put, tenant, "").await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (422, "id_invalid"),
            "{tenant}"
        );
    }
    assert_eq!(matrix.ask(key, &put, NO_TEXT, "").await.status, 404);
}

/// Deletes all endpoints but the first, which matched the tenant's event.
async fn clear(matrix: &Matrix, tenant: &str) {
    let first = matrix
        .stand
        .ok(
            "GET",
            &format!("/v1/tenants/{tenant}/events/{tenant}-event"),
            Value::Null,
        )
        .await;
    let keep = first["endpoints"][0].clone();
    let page = matrix
        .stand
        .ok("GET", &format!("/v1/tenants/{tenant}/endpoints?limit=100"), Value::Null)
        .await;
    for endpoint in page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|endpoint| endpoint["id"] != keep)
    {
        let path = format!("/v1/tenants/{tenant}/endpoints/{}", endpoint["id"].as_str().unwrap());
        matrix.stand.ok("DELETE", &path, Value::Null).await;
    }
}
