//! The event catalogue: what ships, what tenants add, and what ingest makes of data that does not fit.

use futures_util::future::join_all;
use redial_domain::catalogue;
use redial_platform::store::event_types::MAX_OWN_EVENT_TYPES;
use serde_json::{Value, json};

use super::stand::Stand;

const TYPES: &str = "/v1/tenants/acme/event-types";

fn booking() -> Value {
    json!({
        "group": "bookings",
        "description": "An appointment was booked by the agent.",
        "schema": {
            "type": "object",
            "properties": {"booking_id": {"type": "string"}, "seats": {"type": "integer", "minimum": 1}},
            "required": ["booking_id"]
        },
        "example": {"booking_id": "bk_17", "seats": 2}
    })
}

fn of_type(event_type: &str, data: Value) -> Value {
    json!({"type": event_type, "tenant": "acme", "data": data})
}

/// A stand whose tenant has `booking.made`, and validation as asked for.
async fn with_booking(validation: &str) -> Stand {
    let stand = Stand::with_acme().await;
    stand
        .ok("PUT", "/v1/tenants/acme", json!({ "validation": validation }))
        .await;
    stand.ok("PUT", &format!("{TYPES}/booking.made"), booking()).await;
    stand
}

fn refused(status: u16, code: &str, field: &str) -> (u16, String, Option<String>) {
    (status, code.to_owned(), Some(field.to_owned()))
}

#[tokio::test]
async fn the_catalogue_that_ships_says_all_of_every_type() {
    let stand = Stand::with_acme().await;
    let (shipped, _) = stand.pages("/v1/event-types", 10).await;
    assert_eq!(shipped.len(), catalogue::all().len());
    for (item, known) in shipped.iter().zip(catalogue::all()) {
        assert_eq!(item["name"], known.name.as_str());
        assert!(item["group"].is_string() && item["description"].is_string(), "{item}");
        assert!(item["schema"].is_object() && item["example"].is_object(), "{item}");
    }
}

#[tokio::test]
async fn a_tenant_adds_changes_deprecates_archives_and_restores_a_type_of_its_own() {
    let stand = Stand::with_acme().await;
    let path = format!("{TYPES}/booking.made");
    assert_eq!(stand.ask("GET", &path, Value::Null).await.status, 404);
    let made = stand.ask("PUT", &path, booking()).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!((&made["origin"], &made["state"]), (&json!("own"), &json!("active")));
    assert_eq!(
        (&made["schema"], &made["example"]),
        (&booking()["schema"], &booking()["example"])
    );
    let again = stand.ask("PUT", &path, booking()).await;
    assert_eq!(
        (again.status, again.json()),
        (200, made.clone()),
        "nothing is changed by saying it again"
    );
    stand.pass_ms(5);
    for (action, state) in [
        ("deprecate", "deprecated"),
        ("archive", "archived"),
        ("restore", "active"),
    ] {
        let moved = stand.ok("POST", &format!("{path}/{action}"), Value::Null).await;
        assert_eq!((&moved["state"], &moved["schema"]), (&json!(state), &made["schema"]));
    }
    stand.ok("POST", &format!("{path}/deprecate"), Value::Null).await;
    let changed = stand.ok("PUT", &path, json!({"schema": {"type": "object"}})).await;
    assert_eq!(
        (&changed["state"], &changed["group"], &changed["example"]),
        (&json!("deprecated"), &json!("custom"), &Value::Null),
        "all but the state is replaced"
    );
    assert_eq!(changed["created_at"], made["created_at"]);
    assert_ne!(changed["updated_at"], made["updated_at"]);
    assert_eq!(stand.ok("GET", &path, Value::Null).await, changed);
    assert_eq!(
        stand
            .ask("POST", &format!("{TYPES}/booking.lost/archive"), Value::Null)
            .await
            .status,
        404
    );
    let (config, endpoints) = (
        stand.ok("GET", "/v1/tenants/acme", Value::Null).await,
        "/v1/tenants/acme/endpoints",
    );
    assert_eq!(config["id"], "acme");
    assert_eq!(
        stand.ok("GET", endpoints, Value::Null).await["items"],
        json!([]),
        "no type is read as an endpoint"
    );
}

#[tokio::test]
async fn what_ships_and_what_is_reserved_is_not_a_tenants_to_change() {
    let stand = Stand::with_acme().await;
    let shipped = refused(409, "event_type_shipped", "type");
    assert_eq!(
        stand.refusal("PUT", &format!("{TYPES}/call.ended"), booking()).await,
        shipped
    );
    for action in ["deprecate", "archive", "restore"] {
        let path = format!("{TYPES}/call.ended/{action}");
        assert_eq!(stand.refusal("POST", &path, Value::Null).await, shipped);
    }
    for name in ["endpoint.mine", "delivery.late", "redial.anything", "replay"] {
        let path = format!("{TYPES}/{name}");
        assert_eq!(
            stand.refusal("PUT", &path, booking()).await,
            refused(422, "event_type_reserved", "type")
        );
    }
    let path = format!("{TYPES}/no-dashes");
    assert_eq!(
        stand.refusal("PUT", &path, booking()).await,
        refused(422, "event_type_invalid", "type")
    );
    assert_eq!(stand.ask("GET", &path, Value::Null).await.status, 404);
    assert_eq!(
        stand.ok("GET", &format!("{TYPES}/call.ended"), Value::Null).await["origin"],
        "shipped"
    );
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_and_an_example_that_does_not_fit_are_refused_and_nothing_is_stored() {
    let stand = Stand::with_acme().await;
    let path = format!("{TYPES}/booking.made");
    let doubled = |n: usize| json!({"anyOf": [{"$ref": format!("#/$defs/d{n}")}, {"$ref": format!("#/$defs/d{n}")}]});
    let mut explosive: serde_json::Map<_, _> = (0..20).map(|n| (format!("d{n}"), doubled(n + 1))).collect();
    explosive.insert("d20".to_owned(), json!({}));
    for schema in [
        json!({"type": "text"}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"pattern": "(?=a)"}),
        json!({"description": "x".repeat(40_000)}),
        json!({"$defs": explosive, "$ref": "#/$defs/d0"}),
        json!("text"),
    ] {
        let body = json!({ "schema": schema });
        assert_eq!(
            stand.refusal("PUT", &path, body.clone()).await,
            refused(422, "schema_invalid", "schema"),
            "{body}"
        );
    }
    let mut body = booking();
    body["example"]["seats"] = json!("two");
    let reply = stand.ask("PUT", &path, body).await;
    let problem = reply.json();
    assert_eq!((reply.status, reply.code().as_str()), (422, "example_invalid"));
    assert_eq!(
        (&problem["field"], &problem["misfits"][0]["path"]),
        (&json!("example.seats"), &json!("/seats"))
    );
    assert_eq!(stand.ask("GET", &path, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_tenants_types_are_listed_after_those_that_ship_and_belong_to_it_alone() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    for name in ["zebra.seen", "booking.made", "booking.lost"] {
        stand.ok("PUT", &format!("{TYPES}/{name}"), booking()).await;
    }
    stand
        .ok("POST", &format!("{TYPES}/booking.lost/archive"), Value::Null)
        .await;
    let (all, _) = stand.pages(TYPES, 7).await;
    let names: Vec<&str> = all.iter().map(|item| item["name"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = catalogue::all().iter().map(|known| known.name.as_str()).collect();
    expected.extend(["booking.lost", "booking.made", "zebra.seen"]);
    assert_eq!(names, expected);
    let (own, _) = stand.pages(&format!("{TYPES}?origin=own&state=active"), 1).await;
    let own: Vec<&Value> = own.iter().map(|item| &item["name"]).collect();
    assert_eq!(own, ["booking.made", "zebra.seen"]);
    let wrong = stand.refusal("GET", &format!("{TYPES}?state=new"), Value::Null).await;
    assert_eq!(wrong, refused(400, "parameter_invalid", "state"));

    let key = stand.mint("tenant:other").await;
    let foreign = stand
        .send(Some(&key), "PUT", &format!("{TYPES}/booking.made"), &booking())
        .await;
    assert_eq!(foreign.status, 404);
    let others = stand
        .send(
            Some(&key),
            "GET",
            "/v1/tenants/other/event-types?origin=own",
            &Value::Null,
        )
        .await;
    assert_eq!(others.json()["items"], json!([]));
    let unknown = stand
        .ask(
            "POST",
            "/v1/events",
            json!({"type": "booking.made", "tenant": "other", "data": {}}),
        )
        .await;
    assert_eq!(unknown.code(), "event_type_unknown");
}

#[tokio::test]
async fn a_tenant_has_no_more_types_than_it_may_however_many_are_added_at_once() {
    let stand = Stand::with_acme().await;
    for n in 1..MAX_OWN_EVENT_TYPES {
        stand
            .ok("PUT", &format!("{TYPES}/booking.n{n}"), json!({"schema": {}}))
            .await;
    }
    let paths: Vec<String> = ["a", "b", "c"].map(|name| format!("{TYPES}/booking.{name}")).to_vec();
    let replies = join_all(paths.iter().map(|path| stand.ask("PUT", path, booking()))).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!((reply.status, reply.code().as_str()), (409, "event_types_limit"));
    }
    let changed = stand.ask("PUT", &format!("{TYPES}/booking.n1"), booking()).await;
    assert_eq!(changed.status, 200, "one that is there can be changed");
}

#[tokio::test]
async fn data_that_does_not_fit_is_accepted_with_a_warning_unless_the_tenant_wants_it_otherwise() {
    let stand = with_booking("warn").await;
    let misfit = of_type("booking.made", json!({"seats": 0}));
    let warned = stand.ok("POST", "/v1/events", misfit.clone()).await;
    let warnings = warned["warnings"].as_array().unwrap();
    let fields: Vec<&Value> = warnings.iter().map(|warning| &warning["field"]).collect();
    assert!(
        fields.contains(&&json!("data.seats")) && fields.contains(&&json!("data")),
        "{warned}"
    );
    assert!(
        warnings.iter().all(|warning| warning["code"] == "data_invalid"),
        "{warned}"
    );
    let fits = stand
        .ok(
            "POST",
            "/v1/events",
            of_type("booking.made", json!({"booking_id": "b"})),
        )
        .await;
    assert!(fits.get("warnings").is_none(), "{fits}");
    let shipped = stand
        .ok(
            "POST",
            "/v1/events",
            of_type("call.ended", json!({"duration_s": "long"})),
        )
        .await;
    assert!(!shipped["warnings"].as_array().unwrap().is_empty(), "{shipped}");

    stand.ok("PUT", "/v1/tenants/acme", json!({"validation": "off"})).await;
    let unseen = stand.ok("POST", "/v1/events", misfit.clone()).await;
    assert!(unseen.get("warnings").is_none(), "{unseen}");

    stand
        .ok("PUT", "/v1/tenants/acme", json!({"validation": "reject"}))
        .await;
    let reply = stand
        .ask(
            "POST",
            "/v1/events",
            of_type("booking.made", json!({"booking_id": "b", "seats": 0})),
        )
        .await;
    let problem = reply.json();
    assert_eq!((reply.status, reply.code().as_str()), (422, "data_invalid"));
    assert_eq!(
        (&problem["field"], problem["misfits"].as_array().unwrap().len()),
        (&json!("data.seats"), 1)
    );
    assert_eq!(problem["misfits"][0]["path"], "/seats");
    let batch = json!([misfit, of_type("booking.made", json!({"booking_id": "b"}))]);
    let answers = stand.ok("POST", "/v1/events", batch).await;
    assert_eq!(answers["events"][0]["error"]["code"], "data_invalid");
    assert_eq!(answers["events"][1]["deliveries"], 0);
}

#[tokio::test]
async fn no_answer_repeats_what_an_event_holds() {
    let stand = with_booking("warn").await;
    let secret = "4929-1234-5678-9012";
    let data = json!({"booking_id": 7, "seats": secret});
    for validation in ["warn", "reject"] {
        stand
            .ok("PUT", "/v1/tenants/acme", json!({ "validation": validation }))
            .await;
        let reply = stand
            .ask("POST", "/v1/events", of_type("booking.made", data.clone()))
            .await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains("data_invalid") && !text.contains(secret), "{text}");
    }
    let checked = stand
        .ok(
            "POST",
            &format!("{TYPES}/booking.made/validate"),
            json!({ "data": data }),
        )
        .await;
    assert_eq!(checked["fits"], false);
    assert!(!checked.to_string().contains(secret), "{checked}");
}

#[tokio::test]
async fn a_repeat_gets_the_stored_answer_and_is_checked_by_the_schema_of_then() {
    let stand = with_booking("warn").await;
    let mut event = of_type("booking.made", json!({"booking_id": "b"}));
    event["id"] = json!("bk-1");
    let first = stand.ok("POST", "/v1/events", event.clone()).await;
    assert!(first.get("warnings").is_none(), "{first}");
    stand
        .ok(
            "PUT",
            &format!("{TYPES}/booking.made"),
            json!({"schema": {"required": ["price"]}}),
        )
        .await;
    let repeat = stand.ok("POST", "/v1/events", event).await;
    assert_eq!(
        (&repeat["id"], &repeat["deliveries"]),
        (&first["id"], &first["deliveries"])
    );
    assert_eq!(repeat["warnings"].as_array().unwrap().len(), 1, "{repeat}");
}

#[tokio::test]
async fn a_deprecated_type_warns_and_an_archived_one_is_refused_from_the_next_event_on() {
    let stand = with_booking("off").await;
    let event = of_type("booking.made", json!({"booking_id": "b"}));
    stand
        .ok("POST", &format!("{TYPES}/booking.made/deprecate"), Value::Null)
        .await;
    let warned = stand.ok("POST", "/v1/events", event.clone()).await;
    assert_eq!(warned["warnings"][0]["code"], "event_type_deprecated", "{warned}");
    stand
        .ok("POST", &format!("{TYPES}/booking.made/archive"), Value::Null)
        .await;
    let archived = refused(422, "event_type_archived", "type");
    assert_eq!(stand.refusal("POST", "/v1/events", event.clone()).await, archived);
    stand
        .ok("PUT", "/v1/tenants/acme", json!({"allow_unknown_types": true}))
        .await;
    assert_eq!(
        stand.refusal("POST", "/v1/events", event.clone()).await,
        archived,
        "it is not unknown"
    );
    stand
        .ok("POST", &format!("{TYPES}/booking.made/restore"), Value::Null)
        .await;
    let taken = stand.ok("POST", "/v1/events", event).await;
    assert!(taken.get("warnings").is_none(), "{taken}");
    let unknown = stand
        .ok("POST", "/v1/events", of_type("never.heard_of", json!(1)))
        .await;
    assert!(unknown.get("warnings").is_none(), "{unknown}");
}

#[tokio::test]
async fn one_call_says_whether_a_payload_fits_and_why_not() {
    let stand = with_booking("off").await;
    let check = |name: &'static str, data: Value| {
        let (path, stand) = (format!("{TYPES}/{name}/validate"), &stand);
        async move { stand.ok("POST", &path, json!({ "data": data })).await }
    };
    assert_eq!(
        check("booking.made", json!({"booking_id": "b"})).await,
        json!({"fits": true, "misfits": []})
    );
    let found = check("booking.made", json!({"booking_id": "b", "seats": "two"})).await;
    assert_eq!(
        (
            &found["fits"],
            &found["misfits"][0]["path"],
            &found["misfits"][0]["rule"]
        ),
        (&json!(false), &json!("/seats"), &json!("/properties/seats/type"))
    );
    assert_eq!(
        check("booking.made", Value::Null).await["fits"],
        false,
        "null is a payload"
    );
    for known in catalogue::all() {
        let path = format!("{TYPES}/{}/validate", known.name);
        let fit = stand.ok("POST", &path, json!({ "data": known.example })).await;
        assert_eq!(fit["fits"], true, "{}: {fit}", known.name);
    }
    let path = format!("{TYPES}/booking.made/validate");
    assert_eq!(
        stand.refusal("POST", &path, json!({})).await,
        refused(422, "field_missing", "data")
    );
    assert_eq!(
        stand.refusal("POST", &path, json!({"data": 1, "x": 1})).await,
        refused(422, "field_unknown", "x")
    );
    let unknown = stand
        .ask("POST", &format!("{TYPES}/never.heard_of/validate"), json!({"data": 1}))
        .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn numbers_are_delivered_as_they_were_written_though_they_are_checked() {
    let stand = with_booking("reject").await;
    let body = r#"{"type":"booking.made","tenant":"acme","id":"exact",
        "data":{"booking_id":"b","price":0.1000,"n":9007199254740993,"tiny":1.0e-7,"seats":2.0}}"#;
    let posted = stand
        .send_raw(Some(&stand.operator), "POST", "/v1/events", body.into())
        .await;
    assert_eq!(posted.status, 202, "{}", posted.json());
    let read = stand.ask("GET", "/v1/tenants/acme/events/exact", Value::Null).await;
    let text = String::from_utf8_lossy(&read.body).into_owned();
    let exact = r#"{"booking_id":"b","price":0.1000,"n":9007199254740993,"tiny":1.0e-7,"seats":2.0}"#;
    assert!(text.contains(exact), "{text}");
}
