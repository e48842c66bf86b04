//! DynamoDB as it bills. The engine tells what a request consumed if it is asked to (`ReturnConsumedCapacity`), so every
//! request is made to ask; `tests` hold what it tells against AWS's pages. It tells nothing of a request that it refuses,
//! where AWS bills conditions that do not hold: those are sized here.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>

use std::collections::BTreeMap;

use bytes::Bytes;
use dynoxide::types::{Item, item_size};
use serde_json::{Map, Value, json};

use super::Used;
use crate::connector::{Answer, Service};

/// Bytes of an item that a write unit covers.
pub(crate) const WRITE_UNIT_BYTES: usize = 1024;
/// What a write in a transaction costs of one outside. <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>
const TRANSACTION: u64 = 2;

/// How a request asks to be told what it consumed: with the indexes apart.
const ASK: (&str, &str) = ("ReturnConsumedCapacity", "INDEXES");
/// Where the answer tells it.
const TOLD: &str = "ConsumedCapacity";
/// The key attributes of every table of the template.
const KEY: [&str; 2] = ["pk", "sk"];

/// What refused requests are refused with, if they are billed.
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";
const TRANSACTION_CANCELED: &str = "TransactionCanceledException";

/// Answers a request by `service` and says what it is billed as.
pub(super) async fn answer(service: &impl Service, operation: &str, body: Bytes) -> (Answer, Used) {
    let request = serde_json::from_slice::<Map<String, Value>>(&body).ok();
    let Some(mut request) = request.filter(|_| is_billed(operation)) else {
        return (service.answer(operation, body).await, Used::request());
    };
    request.insert(ASK.0.to_owned(), ASK.1.into());
    let asking = Value::Object(request);
    let answer = service.answer(operation, asking.to_string().into()).await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut used = Used::request();
    if answer.status == 200 {
        used += consumed(operation, &told[TOLD]);
    } else if let Some(writes) = refused(service, &asking, &told).await {
        used.writes = writes;
        used.refused = 1;
    }
    (answer, used)
}

/// True for the operations that read or write items.
fn is_billed(operation: &str) -> bool {
    reads(operation)
        || matches!(
            operation,
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems"
        )
}

fn reads(operation: &str) -> bool {
    matches!(
        operation,
        "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan"
    )
}

/// Reads what the engine tells: of one table, or of each.
fn consumed(operation: &str, told: &Value) -> Used {
    let tables = match told {
        Value::Array(tables) => tables.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let mut used = Used::default();
    for table in tables {
        // A transaction that is repeated with its token only reads.
        if reads(operation) || table["ReadCapacityUnits"].is_number() {
            used.half_reads += halves(&table["CapacityUnits"]);
        } else {
            used.writes += halves(&table["CapacityUnits"]) / 2;
            let indexes = table["GlobalSecondaryIndexes"].as_object().into_iter().flatten();
            let indexes = indexes.map(|(_, index)| halves(&index["CapacityUnits"]) / 2);
            used.index_writes += indexes.sum::<u64>();
        }
    }
    used
}

/// Twice a number of units; every number of units is a multiple of a half.
fn halves(units: &Value) -> u64 {
    (units.as_f64().unwrap_or(0.0) * 2.0).round() as u64
}

/// What a write is billed as whose condition does not hold: by the larger of the item that is there and the new one, at least
/// a unit. `None` if it was refused for something else. Of a canceled transaction AWS does not say; here every one of its
/// items counts as if it was written, the most that it can be.
async fn refused(service: &impl Service, request: &Value, told: &Value) -> Option<u64> {
    let kind = told["__type"].as_str()?;
    let is = |name| kind.rsplit('#').next() == Some(name);
    if is(CONDITION_FAILED) {
        return Some(refused_item(service, request).await);
    }
    if !is(TRANSACTION_CANCELED) {
        return None;
    }
    let mut units = 0;
    for action in request["TransactItems"].as_array()? {
        for write in action.as_object()?.values() {
            units += TRANSACTION * refused_item(service, write).await;
        }
    }
    Some(units)
}

async fn refused_item(service: &impl Service, write: &Value) -> u64 {
    let new = write.get("Item").map_or(0, item_bytes);
    let there = there(service, write).await.map_or(0, |item| item_bytes(&item));
    write_units(new.max(there))
}

/// The item that a write is about, as it is.
async fn there(service: &impl Service, write: &Value) -> Option<Value> {
    let holder = write.get("Key").or_else(|| write.get("Item"))?;
    let key: BTreeMap<&str, &Value> = KEY.iter().map(|name| (*name, &holder[*name])).collect();
    let get = json!({ "TableName": write["TableName"], "Key": key, "ConsistentRead": true });
    let answer = service.answer("GetItem", get.to_string().into()).await;
    let mut answer: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(answer["Item"].take()).filter(Value::is_object)
}

/// The size of an item by AWS's rules; 0 for what is none.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
#[must_use]
pub fn item_bytes(item: &Value) -> usize {
    serde_json::from_value::<Item>(item.clone()).map_or(0, |item| item_size(&item))
}

/// The write units of an item of that size.
pub(crate) fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as u64
}
