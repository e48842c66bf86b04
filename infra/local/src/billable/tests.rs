//! What is counted, against AWS's rules: the engine's answers and our own sums for what it says nothing about.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, Select, TransactWriteItem};
use serde_json::json;

use super::metered::Metered;
use super::*;
use crate::connector;
use crate::dynamodb::Dynamo;
use crate::permissions::Api;
use crate::template::Template;

const TABLE: &str = "EventsTable";
/// An item is as large as its keys' names and values (2 + 2, 2 + 1) and the rest.
const KEY_BYTES: usize = 7;

struct Bench {
    client: Client,
    billable: Billable,
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

impl Bench {
    async fn new() -> Self {
        let dynamo = Dynamo::memory().unwrap();
        for table in &Template::built_in().unwrap().tables {
            dynamo.ensure(table).await.unwrap();
        }
        let billable = Billable::default();
        let client = connector::dynamodb_client(Metered {
            service: dynamo,
            api: Api::DynamoDb,
            meter: Some(Meter::new(billable.clone(), "Test")),
        });
        Self { client, billable }
    }

    /// Puts an item of so many bytes; `w` puts it into an index.
    async fn put(&self, sk: &str, bytes: usize, w: Option<&str>) {
        let in_index = w.map_or(0, |w| 1 + w.len());
        let put = self.client.put_item().table_name(TABLE);
        let put = put
            .item("pk", s("p1"))
            .item("sk", s(sk))
            .item("x", s("y".repeat(bytes - KEY_BYTES - 1 - in_index)));
        let put = match w {
            Some(w) => put.item("w", s(w)),
            None => put,
        };
        put.send().await.unwrap();
    }

    /// What was used since `before`.
    fn since(&self, before: &Usage) -> Used {
        self.billable.usage().since(before).sum(|_| true)
    }
}

/// Half reads, writes, those of indexes, refused.
fn units(used: Used) -> (u64, u64, u64, u64) {
    (used.half_reads, used.writes, used.index_writes, used.refused)
}

#[tokio::test]
async fn a_write_is_a_unit_for_each_kb_that_is_begun_of_the_larger_of_before_and_after() {
    let bench = Bench::new().await;
    for (bytes, writes) in [(1024, 1), (1025, 2), (4096, 4), (100, 4)] {
        let before = bench.billable.usage();
        bench.put("1", bytes, None).await;
        assert_eq!(units(bench.since(&before)), (0, writes, 0, 0), "{bytes}");
    }
}

#[tokio::test]
async fn an_index_is_written_when_an_item_joins_changes_or_leaves_it_and_twice_when_it_moves() {
    let bench = Bench::new().await;
    for (w, table_and_index) in [
        (Some("a"), (0, 2, 1, 0)),
        // The same again: the index does not change.
        (Some("a"), (0, 1, 0, 0)),
        (Some("b"), (0, 3, 2, 0)),
        (None, (0, 2, 1, 0)),
        (None, (0, 1, 0, 0)),
    ] {
        let before = bench.billable.usage();
        bench.put("1", 900, w).await;
        assert_eq!(units(bench.since(&before)), table_and_index, "{w:?}");
    }
}

#[tokio::test]
async fn a_read_is_a_unit_for_4_kb_half_of_it_if_it_need_not_be_the_latest_and_also_of_nothing() {
    let bench = Bench::new().await;
    bench.put("1", 4096, None).await;
    bench.put("2", 4097, None).await;
    for (sk, consistent, half_reads) in [
        ("1", true, 2),
        ("1", false, 1),
        ("2", true, 4),
        ("2", false, 2),
        ("9", true, 2),
        ("9", false, 1),
    ] {
        let before = bench.billable.usage();
        let get = bench
            .client
            .get_item()
            .table_name(TABLE)
            .key("pk", s("p1"))
            .key("sk", s(sk));
        get.consistent_read(consistent).send().await.unwrap();
        assert_eq!(units(bench.since(&before)), (half_reads, 0, 0, 0), "{sk} {consistent}");
    }
}

#[tokio::test]
async fn a_query_is_billed_by_the_sum_of_what_it_looked_at_whatever_it_answers() {
    let bench = Bench::new().await;
    for n in 0..10 {
        bench.put(&n.to_string(), 1000, None).await;
    }
    let query = || {
        let query = bench
            .client
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :p");
        query.expression_attribute_values(":p", s("p1"))
    };
    // 10,000 bytes are three times 4 KB, rounded up once.
    let filtered = query()
        .filter_expression("x = :n")
        .expression_attribute_values(":n", s("none"));
    let nothing = query().expression_attribute_values(":p", s("nobody"));
    for (query, half_reads) in [
        (query(), 3),
        (query().consistent_read(true), 6),
        (query().select(Select::Count), 3),
        (query().projection_expression("sk"), 3),
        (filtered, 3),
        (query().limit(4), 1),
        (nothing, 1),
    ] {
        let before = bench.billable.usage();
        query.send().await.unwrap();
        assert_eq!(units(bench.since(&before)), (half_reads, 0, 0, 0));
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_billed_by_the_larger_of_what_is_there_and_what_was_to_be() {
    let bench = Bench::new().await;
    bench.put("1", 3000, None).await;
    let keys = |n: &str| (s("p1"), s(n));
    for (sk, bytes, writes) in [("1", 100, 3), ("1", 5000, 5)] {
        let before = bench.billable.usage();
        let (pk, sk) = keys(sk);
        let put = bench.client.put_item().table_name(TABLE).item("pk", pk).item("sk", sk);
        let put = put
            .item("x", s("y".repeat(bytes - KEY_BYTES - 1)))
            .condition_expression("attribute_not_exists(pk)");
        assert!(put.send().await.is_err());
        assert_eq!(units(bench.since(&before)), (0, writes, 0, 1), "{bytes}");
    }
    for (sk, writes) in [("1", 3), ("absent", 1)] {
        let before = bench.billable.usage();
        let (pk, sk) = keys(sk);
        let update = bench.client.update_item().table_name(TABLE).key("pk", pk).key("sk", sk);
        let update = update
            .update_expression("SET y = :one")
            .condition_expression("y = :one");
        let update = update
            .expression_attribute_values(":one", s("1"))
            .return_values(ReturnValue::AllNew);
        assert!(update.send().await.is_err());
        assert_eq!(units(bench.since(&before)), (0, writes, 0, 1));
    }
}

#[tokio::test]
async fn a_transaction_costs_twice_also_one_that_is_canceled_but_not_for_its_indexes() {
    let bench = Bench::new().await;
    let put = |sk: &str, condition: &str| {
        let put = Put::builder().table_name(TABLE).item("pk", s("p1")).item("sk", s(sk));
        let put = put.item("w", s("in")).condition_expression(condition).build();
        TransactWriteItem::builder().put(put.unwrap()).build()
    };
    let none = "attribute_not_exists(pk)";
    let before = bench.billable.usage();
    let both = bench
        .client
        .transact_write_items()
        .transact_items(put("1", none))
        .transact_items(put("2", none));
    both.send().await.unwrap();
    assert_eq!(units(bench.since(&before)), (0, 6, 2, 0));
    let before = bench.billable.usage();
    let canceled = bench
        .client
        .transact_write_items()
        .transact_items(put("1", none))
        .transact_items(put("3", none));
    assert!(canceled.send().await.is_err());
    assert_eq!(units(bench.since(&before)), (0, 4, 0, 1));
}

#[test]
fn sqs_bills_each_64_kib_of_a_request_and_groups_besides() {
    let entry = |bytes: usize, group: bool| {
        let mut entry = json!({"Id": "1", "MessageBody": "x".repeat(bytes)});
        if group {
            entry["MessageGroupId"] = "ep_1".into();
        }
        entry
    };
    for (operation, body, used) in [
        ("SendMessage", entry(1, false), (1, 0)),
        ("SendMessage", entry(64 * 1024, true), (1, 1)),
        ("SendMessage", entry(64 * 1024 + 1, true), (2, 2)),
        (
            "SendMessageBatch",
            json!({"Entries": vec![entry(6_000, true); 10]}),
            (1, 1),
        ),
        (
            "SendMessageBatch",
            json!({"Entries": vec![entry(7_000, true); 10]}),
            (2, 2),
        ),
        ("GetQueueAttributes", json!({}), (1, 0)),
    ] {
        let counted = sqs::of_request(operation, body.to_string().as_bytes());
        assert_eq!(
            (counted.requests, (counted.units, counted.grouped)),
            (1, used),
            "{operation}"
        );
    }
    let attributes = json!({"a": {"DataType": "String", "StringValue": "v"}});
    let body = json!({"MessageBody": "x".repeat(64 * 1024 - 7), "MessageAttributes": attributes});
    assert_eq!(sqs::of_request("SendMessage", body.to_string().as_bytes()).units, 2);
}

#[test]
fn a_request_is_written_with_who_asks_and_numbers_that_are_not_zero() {
    let billable = Billable::default();
    billable.invoked("Ingest");
    billable.invoked("Ingest");
    billable.add(
        "Ingest",
        DYNAMODB,
        "GetItem",
        Used {
            half_reads: 2,
            ..Used::request()
        },
    );
    let first = billable.usage();
    billable.invoked("Api");
    let written = serde_json::to_value(first).unwrap();
    let expected =
        json!({"Ingest lambda Invoke": {"requests": 2}, "Ingest dynamodb GetItem": {"requests": 1, "half_reads": 2}});
    assert_eq!(written, expected);
}

#[tokio::test]
async fn the_file_is_there_from_the_beginning_and_has_everything_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("used.json");
    let (billable, lines) = (Billable::default(), lines::Lines::default());
    let report = report::Report::begin(path.clone(), billable.clone(), lines).unwrap();
    let read = || serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(read(), json!({"used": {}, "log": {"lines": 0, "bytes": 0}}));
    billable.invoked("Ingest");
    report.end().await;
    assert_eq!(read()["used"], json!({"Ingest lambda Invoke": {"requests": 1}}));
    let nowhere = folder.path().join("none/used.json");
    let refused = report::Report::begin(nowhere, billable, lines::Lines::default());
    assert!(refused.is_err());
}
