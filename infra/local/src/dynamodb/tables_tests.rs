//! Tables made from descriptions, through the API.

use aws_sdk_dynamodb::types::AttributeValue;
use tempfile::TempDir;

use super::super::description::AttributeKind;
use super::super::tests::{TABLE, get, on_disk, put_new, text, things};
use super::*;

fn attribute(name: &str, kind: AttributeKind) -> Attribute {
    Attribute {
        name: name.into(),
        kind,
    }
}

async fn described(dynamo: &Dynamo) -> Found {
    dynamo
        .client()
        .describe_table()
        .table_name(TABLE)
        .send()
        .await
        .unwrap()
        .table
        .unwrap()
}

#[tokio::test]
async fn a_table_is_made_as_described_and_made_again_without_a_change() {
    let folder = TempDir::new().unwrap();
    let (dynamo, client) = on_disk(folder.path()).await;
    put_new(&client, "kept", "1").await.unwrap();
    let first = described(&dynamo).await;
    dynamo.ensure(&things()).await.unwrap();
    drop((dynamo, client));
    let (dynamo, client) = on_disk(folder.path()).await;
    let second = described(&dynamo).await;
    assert_eq!(first.table_id, second.table_id);
    assert_eq!(first.key_schema, second.key_schema);
    assert_eq!(second.global_secondary_indexes().len(), 1);
    assert!(get(&client, "kept").await.is_some());
    let ttl = client.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    assert_eq!(
        ttl.time_to_live_description.unwrap().attribute_name.as_deref(),
        Some("expires")
    );
}

#[tokio::test]
async fn an_empty_table_is_kept_too() {
    let folder = TempDir::new().unwrap();
    let (dynamo, client) = on_disk(folder.path()).await;
    let first = described(&dynamo).await.table_id;
    drop((dynamo, client));
    let (dynamo, _client) = on_disk(folder.path()).await;
    assert_eq!(described(&dynamo).await.table_id, first);
}

#[tokio::test]
async fn a_missing_index_is_added_and_holds_the_items_that_are_there() {
    let folder = TempDir::new().unwrap();
    let (dynamo, client) = on_disk(folder.path()).await;
    put_new(&client, "before", "1").await.unwrap();
    let mut description = things();
    description.indexes.push(IndexDescription {
        name: "by-value".into(),
        key: Key {
            partition: attribute("value", AttributeKind::String),
            sort: Some(attribute("due", AttributeKind::Number)),
        },
        projection: Projection::Include(vec!["b".into(), "a".into()]),
    });
    client
        .update_item()
        .table_name(TABLE)
        .key("pk", text("before"))
        .key("sk", text("-"))
        .update_expression("SET due = :due")
        .expression_attribute_values(":due", AttributeValue::N("7".into()))
        .send()
        .await
        .unwrap();
    dynamo.ensure(&description).await.unwrap();
    dynamo.ensure(&description).await.unwrap();
    let query = client
        .query()
        .table_name(TABLE)
        .index_name("by-value")
        .key_condition_expression("#v = :v");
    let found = query
        .expression_attribute_names("#v", "value")
        .expression_attribute_values(":v", text("1"))
        .send()
        .await
        .unwrap();
    assert_eq!(found.items()[0]["pk"], text("before"));
}

#[tokio::test]
async fn a_table_with_another_key_index_or_expiry_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let (dynamo, client) = on_disk(folder.path()).await;
    put_new(&client, "kept", "1").await.unwrap();
    let mut other_key = things();
    other_key.key.sort = None;
    let mut other_type = things();
    other_type.key.sort = Some(attribute("sk", AttributeKind::Number));
    other_type.indexes.clear();
    for description in [other_key, other_type] {
        let error = dynamo.ensure(&description).await.unwrap_err();
        assert!(
            matches!(&error, TableError::DifferentKey { table } if table == TABLE),
            "{error}"
        );
    }
    let mut other_projection = things();
    other_projection.indexes[0].projection = Projection::KeysOnly;
    let error = dynamo.ensure(&other_projection).await.unwrap_err();
    assert!(
        matches!(&error, TableError::DifferentIndex { index, .. } if index == "held"),
        "{error}"
    );
    let mut other_ttl = things();
    other_ttl.ttl_attribute = None;
    let error = dynamo.ensure(&other_ttl).await.unwrap_err();
    assert!(
        matches!(&error, TableError::DifferentTtl { found, .. } if found == "expires"),
        "{error}"
    );
    assert!(get(&client, "kept").await.is_some());
}

#[tokio::test]
async fn a_table_whose_making_was_cut_off_is_made_anew_unless_it_holds_something() {
    let folder = TempDir::new().unwrap();
    let dynamo = Dynamo::open(folder.path()).unwrap();
    let client = dynamo.client();
    let description = things();
    let table = Table {
        client: &client,
        description: &description,
    };
    // What stands after the first commits of a creation: no index, no tag.
    let make = || {
        client
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(table.key_schema(&description.key).unwrap()))
            .set_attribute_definitions(Some(table.definitions([&description.key]).unwrap()))
            .send()
    };
    make().await.unwrap();
    let torso = described(&dynamo).await.table_id;
    dynamo.ensure(&description).await.unwrap();
    let made = described(&dynamo).await;
    assert_ne!(made.table_id, torso);
    assert_eq!(made.global_secondary_indexes().len(), 1);

    client.delete_table().table_name(TABLE).send().await.unwrap();
    make().await.unwrap();
    put_new(&client, "somebody's", "1").await.unwrap();
    dynamo.ensure(&description).await.unwrap();
    assert!(get(&client, "somebody's").await.is_some());
    assert_eq!(described(&dynamo).await.global_secondary_indexes().len(), 1);
}

#[tokio::test]
async fn a_description_that_is_not_valid_is_refused_with_the_reason() {
    let dynamo = Dynamo::memory().unwrap();
    let mut short = things();
    short.name = "t".into();
    assert!(matches!(dynamo.ensure(&short).await, Err(TableError::Call { .. })));
    let mut two_types = things();
    two_types.indexes[0].key.partition = attribute("pk", AttributeKind::Binary);
    assert!(matches!(dynamo.ensure(&two_types).await, Err(TableError::Call { .. })));
    assert!(dynamo.health().is_none());
}
