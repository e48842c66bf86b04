//! Erasing what nobody can read: it goes by its key, and holds nothing else back.

use redial_platform::format;
use serde_json::{Value, json};

use super::erased::{CANARY, event, left};
use crate::world::{Behaviour, World};

/// Every key of a table that begins with one of these.
async fn keys(world: &World, table: &str, prefixes: &[&str]) -> Vec<Value> {
    let scanned = world.in_table("Scan", &json!({"TableName": table})).await;
    let items = scanned["Items"].as_array().unwrap().iter();
    let begins = |item: &&Value| {
        let pk = item["pk"]["S"].as_str().unwrap();
        prefixes.iter().any(|prefix| pk.starts_with(prefix))
    };
    items
        .filter(begins)
        .map(|item| json!({"pk": item["pk"], "sk": item["sk"]}))
        .collect()
}

/// Takes an attribute that every row of its kind needs away, or makes the row a newer release's.
async fn damage(world: &World, table: &str, key: &Value, expression: &str) {
    let mut update = json!({"TableName": table, "Key": key, "UpdateExpression": expression});
    if expression.contains(":newer") {
        update["ExpressionAttributeValues"] = json!({":newer": {"N": (format::NEWEST + 1).to_string()}});
    }
    world.in_table("UpdateItem", &update).await;
}

#[tokio::test]
async fn rows_that_nobody_can_read_hold_back_neither_a_tenants_erasure_nor_its_name() {
    let world = World::new().await;
    let answers = world.endpoint("acme", Behaviour::Echo(200), json!({})).await;
    world
        .endpoint("acme", Behaviour::Echo(500), json!({"retry": {"attempts": 1}}))
        .await;
    for n in 0..6 {
        world.post(event(&format!("e{n}"), "c1")).await;
        let mut minted = event("x", "c2");
        minted.as_object_mut().unwrap().remove("id");
        world.post(minted).await;
    }
    world.settle().await;
    let again = json!({"delivery": format!("e0.{}", answers.id)});
    world.call("POST", "/v1/tenants/acme/replays", again, 202).await;
    world.run_to_the_end().await;
    world.pass_ms(301_000).await;
    world.sweep().await;
    world.settle().await;
    let rows = keys(&world, "EventsTable", &["e/acme/", "i/acme/", "d/acme/", "r/acme/"]).await;
    assert!(rows.len() > 36, "{rows:?}");
    for (n, row) in rows.iter().enumerate() {
        let how = ["SET fv = :newer", "REMOVE sh", "SET fv = :newer REMOVE sh"][n % 3];
        damage(&world, "EventsTable", row, how).await;
    }
    let unreadable = json!({"pk": {"S": "keys"}, "sk": {"S": "0damaged"}, "j": {"S": "damaged"}});
    let unreadable = json!({"TableName": "ConfigTable", "Item": unreadable});
    world.in_table("PutItem", &unreadable).await;
    let own = json!({"scope": "tenant:acme", "name": "k"});
    world.call("POST", "/v1/keys", own, 201).await;

    let erased = world.call("DELETE", "/v1/tenants/acme", Value::Null, 202).await;
    world.settle().await;
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    world.pass_ms(601_000).await;
    world.sweep().await;
    world.settle().await;
    let receipt = format!("/v1/tenants/acme/erasures/{}", erased["id"].as_str().unwrap());
    let receipt = world.get(&receipt).await;
    assert_eq!(
        (&receipt["complete"], &receipt["events"]),
        (&json!(true), &json!(12)),
        "{receipt}"
    );
    let mut remains = left(&world, "acme").await;
    remains.retain(|item| !item.starts_with("x/acme "));
    assert_eq!(remains, Vec::<String>::new());
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
}

#[tokio::test]
async fn a_damaged_record_of_a_delivery_is_erased_with_its_event() {
    let world = World::new().await;
    let works = world.endpoint("acme", Behaviour::Echo(200), json!({})).await;
    let slow = json!({"retry": {"attempts": 3, "delays": [36_000]}});
    let retries = world.endpoint("acme", Behaviour::Echo(500), slow).await;
    world.post(event("e1", "c1")).await;
    world.settle().await;
    for row in keys(&world, "EventsTable", &["d/acme/"]).await {
        damage(&world, "EventsTable", &row, "REMOVE n").await;
    }
    let erased = world
        .call("DELETE", "/v1/tenants/acme/events/e1", Value::Null, 202)
        .await;
    assert_eq!((&erased["events"], &erased["canceled"]), (&json!(1), &json!(1)));
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    let delivered = world.delivery("acme", "e1", &works).await;
    assert_eq!(delivered["state"], "succeeded", "{delivered}");
    let canceled = world.delivery("acme", "e1", &retries).await;
    assert_eq!(
        (&canceled["state"], &canceled["reason"]),
        (&json!("canceled"), &json!("erased"))
    );
}

/// The receipt of an erasure.
async fn receipt(world: &World, erased: &Value) -> Value {
    let id = erased["id"].as_str().unwrap();
    world.get(&format!("/v1/tenants/acme/erasures/{id}")).await
}

#[tokio::test]
async fn an_event_of_a_call_that_cannot_be_read_holds_back_no_other_and_is_named_until_it_can_be() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Echo(200), json!({})).await;
    for n in 0..3 {
        world.post(event(&format!("noted{n}"), "c1")).await;
    }
    world.settle().await;
    world.pass_ms(301_000).await;
    world.sweep().await;
    world.settle().await;
    // The sweeper has noted these; of the next only their own rows tell.
    for n in 0..3 {
        world.post(event(&format!("new{n}"), "c1")).await;
    }
    world.settle().await;
    let key = |pk: &str, sk: &str| json!({"pk": {"S": pk}, "sk": {"S": sk}});
    let mut damaged = vec![key("i/acme/noted1", "event"), key("i/acme/new1", "event")];
    let rows = keys(&world, "EventsTable", &["e/acme/"]).await;
    let of_new = |row: &&Value| row["sk"]["S"].as_str().unwrap().ends_with("~new1");
    damaged.push(rows.iter().find(of_new).unwrap().clone());
    for row in &damaged {
        damage(&world, "EventsTable", row, "SET fv = :newer").await;
    }

    let erased = world
        .call("DELETE", "/v1/tenants/acme/calls/c1", Value::Null, 202)
        .await;
    assert_eq!(
        (&erased["events"], &erased["unreadable"], &erased["unreadable_count"]),
        (&json!(4), &json!(["noted1", "new1"]), &json!(2)),
        "{erased}"
    );
    // The second look, and one a day later: nothing is complete that was not seen.
    for pass_ms in [601_000, 86_401_000] {
        world.pass_ms(pass_ms).await;
        world.sweep().await;
        world.settle().await;
        let receipt = receipt(&world, &erased).await;
        assert_eq!(
            (&receipt["complete"], &receipt["events"], &receipt["unreadable_count"]),
            (&json!(false), &json!(4), &json!(2)),
            "{receipt}"
        );
    }
    for row in &damaged {
        damage(&world, "EventsTable", row, "REMOVE fv").await;
    }
    world.pass_ms(86_401_000).await;
    world.sweep().await;
    world.settle().await;
    let receipt = receipt(&world, &erased).await;
    assert_eq!(
        (&receipt["complete"], &receipt["events"], &receipt["unreadable"]),
        (&json!(true), &json!(6), &json!([])),
        "{receipt}"
    );
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    assert_eq!(world.call_events("acme", "c1").await, []);
}
