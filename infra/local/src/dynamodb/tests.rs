//! DynamoDB through the real AWS SDK client, on disk unless durability does not matter.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, PutRequest, ReturnValuesOnConditionCheckFailure as OnFailure,
    TransactWriteItem, WriteRequest,
};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;

pub(super) const TABLE: &str = "things";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn key(name: &str) -> Attribute {
    Attribute {
        name: name.into(),
        kind: AttributeKind::String,
    }
}

fn index(name: &str, partition: &str) -> IndexDescription {
    IndexDescription {
        name: name.into(),
        key: Key {
            partition: key(partition),
            sort: Some(key("sk")),
        },
        projection: Projection::All,
    }
}

/// A table with the key `pk` and `sk`, the index `held` on the attribute `endpoint`, and expiry by `expires`.
pub(super) fn things() -> TableDescription {
    TableDescription {
        name: TABLE.into(),
        key: Key {
            partition: key("pk"),
            sort: Some(key("sk")),
        },
        indexes: vec![index("held", "endpoint")],
        ttl_attribute: Some("expires".into()),
    }
}

async fn in_memory() -> (Dynamo, Client) {
    let dynamo = Dynamo::memory().unwrap();
    dynamo.ensure(&things()).await.unwrap();
    let client = dynamo.client();
    (dynamo, client)
}

pub(super) async fn on_disk(folder: &Path) -> (Dynamo, Client) {
    let dynamo = Dynamo::open(folder).unwrap();
    dynamo.ensure(&things()).await.unwrap();
    let client = dynamo.client();
    (dynamo, client)
}

pub(super) async fn put_new(
    client: &Client,
    pk: impl Into<String>,
    value: impl Into<String>,
) -> Result<PutItemOutput, SdkError<PutItemError>> {
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", text(pk))
        .item("sk", text("-"))
        .item("value", text(value))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(OnFailure::AllOld)
        .send()
        .await
}

pub(super) async fn get(client: &Client, pk: &str) -> Option<HashMap<String, AttributeValue>> {
    let got = client
        .get_item()
        .table_name(TABLE)
        .key("pk", text(pk))
        .key("sk", text("-"))
        .send()
        .await;
    got.unwrap().item
}

pub(super) fn stored(pk: &str, attributes: &[(&str, AttributeValue)]) -> HashMap<String, AttributeValue> {
    let keys = [("pk", text(pk)), ("sk", text("-"))];
    keys.iter()
        .chain(attributes)
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_conditional_puts_of_one_key_one_wins_and_the_others_get_its_item() {
    let folder = TempDir::new().unwrap();
    let (_dynamo, client) = on_disk(folder.path()).await;
    let puts = (0..64).map(|i| {
        let client = client.clone();
        tokio::spawn(async move { put_new(&client, "evt_1", format!("caller {i}")).await })
    });
    let results: Vec<_> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let winner = results.iter().position(Result::is_ok).unwrap();
    for refused in results.into_iter().filter_map(Result::err) {
        let PutItemError::ConditionalCheckFailedException(refused) = refused.into_service_error() else {
            panic!("another error than a failed condition");
        };
        assert_eq!(refused.item().unwrap()["value"], text(format!("caller {winner}")));
    }
}

#[tokio::test]
async fn a_canceled_transaction_says_why_per_item_and_changes_nothing() {
    let (_dynamo, client) = in_memory().await;
    put_new(&client, "taken", "first").await.unwrap();
    let put = |pk: &str| {
        Put::builder()
            .table_name(TABLE)
            .set_item(Some(stored(pk, &[])))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .unwrap()
    };
    let error = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put("fresh")).build())
        .transact_items(TransactWriteItem::builder().put(put("taken")).build())
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_transaction_canceled_exception());
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(error) =
        error
    else {
        unreachable!()
    };
    let codes: Vec<_> = error
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(error.cancellation_reasons()[1].item().unwrap()["value"], text("first"));
    assert_eq!(get(&client, "fresh").await, None);
}

#[tokio::test]
async fn a_transaction_writes_all_or_nothing_and_its_token_makes_a_repeat_harmless() {
    let (_dynamo, client) = in_memory().await;
    put_new(&client, "old", "1").await.unwrap();
    let send = || {
        let update = aws_sdk_dynamodb::types::Update::builder()
            .table_name(TABLE)
            .set_key(Some(stored("counter", &[])))
            .update_expression("ADD n :one")
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .build()
            .unwrap();
        let delete = Delete::builder()
            .table_name(TABLE)
            .set_key(Some(stored("old", &[])))
            .build()
            .unwrap();
        let check = ConditionCheck::builder()
            .table_name(TABLE)
            .set_key(Some(stored("absent", &[])))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .unwrap();
        client
            .transact_write_items()
            .client_request_token("token-1")
            .transact_items(TransactWriteItem::builder().update(update).build())
            .transact_items(TransactWriteItem::builder().delete(delete).build())
            .transact_items(TransactWriteItem::builder().condition_check(check).build())
            .send()
    };
    send().await.unwrap();
    send().await.unwrap();
    assert_eq!(
        get(&client, "counter").await.unwrap()["n"],
        AttributeValue::N("1".into())
    );
    assert_eq!(get(&client, "old").await, None);
}

#[tokio::test]
async fn a_batch_writes_25_items_and_refuses_26() {
    let (_dynamo, client) = in_memory().await;
    let requests = |count: usize| -> Vec<WriteRequest> {
        (0..count)
            .map(|i| {
                PutRequest::builder()
                    .set_item(Some(stored(&format!("k{i:02}"), &[])))
                    .build()
                    .unwrap()
            })
            .map(|put| WriteRequest::builder().put_request(put).build())
            .collect()
    };
    let written = client
        .batch_write_item()
        .request_items(TABLE, requests(25))
        .send()
        .await
        .unwrap();
    assert!(written.unprocessed_items().unwrap().is_empty());
    let scanned = client
        .scan()
        .table_name(TABLE)
        .select(aws_sdk_dynamodb::types::Select::Count)
        .send()
        .await
        .unwrap();
    assert_eq!(scanned.count(), 25);
    let error = client
        .batch_write_item()
        .request_items(TABLE, requests(26))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("ValidationException"));
}

#[tokio::test]
async fn a_query_stops_after_a_megabyte_and_goes_on_from_its_cursor() {
    let (_dynamo, client) = in_memory().await;
    for i in 0..8 {
        let item = stored(
            "big",
            &[("sk", text(format!("{i}"))), ("value", text("x".repeat(300_000)))],
        );
        client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item))
            .send()
            .await
            .unwrap();
    }
    let query = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", text("big"));
    let first = query.clone().send().await.unwrap();
    assert!(first.count() < 8 && first.last_evaluated_key().is_some());
    let mut pages = query.into_paginator().items().send();
    let mut sort_keys = Vec::new();
    while let Some(item) = pages.next().await {
        sort_keys.push(item.unwrap()["sk"].as_s().unwrap().clone());
    }
    assert_eq!(sort_keys, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn an_item_is_in_a_sparse_index_only_while_it_has_the_attribute() {
    let (_dynamo, client) = in_memory().await;
    let held = || async {
        let query = client
            .query()
            .table_name(TABLE)
            .index_name("held")
            .key_condition_expression("endpoint = :e");
        query
            .expression_attribute_values(":e", text("ep_1"))
            .send()
            .await
            .unwrap()
            .count()
    };
    put_new(&client, "d1", "-").await.unwrap();
    assert_eq!(held().await, 0);
    let update = |expression: &str| {
        let key = stored("d1", &[]);
        client
            .update_item()
            .table_name(TABLE)
            .set_key(Some(key))
            .update_expression(expression)
    };
    let set = update("SET endpoint = :e").expression_attribute_values(":e", text("ep_1"));
    set.send().await.unwrap();
    assert_eq!(held().await, 1);
    update("REMOVE endpoint").send().await.unwrap();
    assert_eq!(held().await, 0);
}

#[tokio::test]
async fn binary_attributes_come_back_byte_for_byte() {
    let folder = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    {
        let (_dynamo, client) = on_disk(folder.path()).await;
        let item = stored("bin", &[("body", AttributeValue::B(Blob::new(bytes.clone())))]);
        client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item))
            .send()
            .await
            .unwrap();
    }
    let (_dynamo, client) = on_disk(folder.path()).await;
    assert_eq!(
        get(&client, "bin").await.unwrap()["body"],
        AttributeValue::B(Blob::new(bytes))
    );
}

#[tokio::test]
async fn the_engines_refusals_are_the_typed_errors_of_the_sdk() {
    let (_dynamo, client) = in_memory().await;
    let missing = client
        .get_item()
        .table_name("nowhere")
        .key("pk", text("a"))
        .send()
        .await
        .unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
    let no_key = client
        .put_item()
        .table_name(TABLE)
        .item("sk", text("-"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(no_key.into_service_error().code(), Some("ValidationException"));
    let big = stored("big", &[("value", text("x".repeat(410_000)))]);
    let too_big = client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(big))
        .send()
        .await
        .unwrap_err();
    assert_eq!(too_big.into_service_error().code(), Some("ValidationException"));
    let unknown = client.describe_limits().send().await.unwrap_err();
    assert_eq!(unknown.into_service_error().code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn what_cannot_be_read_is_the_callers_fault_not_the_storages() {
    let (dynamo, _client) = in_memory().await;
    let no_json = dynamo.answer("PutItem", Bytes::from_static(b"{")).await;
    assert_eq!(
        (no_json.status, no_json.body.windows(13).any(|w| w == b"Serialization")),
        (400, true)
    );
    let no_name = dynamo.answer("DescribeTimeToLive", Bytes::from_static(b"{}")).await;
    assert_eq!(no_name.status, 400);
    let told: serde_json::Value = serde_json::from_slice(&no_name.body).unwrap();
    assert_eq!(told["__type"], "com.amazon.coral.validate#ValidationException");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .starts_with("The parameter 'TableName' is required"),
        "{told}"
    );
    assert!(dynamo.health().is_none());
}
