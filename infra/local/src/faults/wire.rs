//! What goes wrong with a call of the SDK, in the form that the services' errors have on the wire.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::draw::{Fault, Kind, below, mix};
use super::plan::Plan;
use super::{DYNAMODB, SQS};
use crate::connector::{Answer, Broken, Service};

/// Has a service answer a call, or not.
pub(super) async fn exchange<S: Service>(
    plan: &Plan,
    service: &S,
    name: &'static str,
    operation: &str,
    body: Bytes,
) -> Result<Answer, Broken> {
    let Some(fault) = plan.draw(name, operation, |kind| happens_to(kind, operation)) else {
        return service.exchange(operation, body).await;
    };
    match fault.kind {
        Kind::Internal => return Ok(internal(name)),
        Kind::Unavailable => return Ok(unavailable(name)),
        Kind::Throttle => return Ok(throttled(name, fault)),
        Kind::Reset => return Err(Broken),
        Kind::LostAnswer => {
            service.exchange(operation, body).await?;
            return if fault.bits.is_multiple_of(2) {
                Err(Broken)
            } else {
                Ok(internal(name))
            };
        }
        Kind::Partial | Kind::ExpiredHandle => {
            if let Some(split) = split(operation, &body, fault) {
                return partial(service, operation, split).await;
            }
        }
        Kind::Delay => plan.delay(fault.bits).await,
        Kind::Stall | Kind::Duplicate | Kind::Shuffle => {}
    }
    service.exchange(operation, body).await
}

fn happens_to(kind: Kind, operation: &str) -> bool {
    match kind {
        Kind::Internal | Kind::Unavailable | Kind::Throttle | Kind::Reset | Kind::LostAnswer | Kind::Delay => true,
        Kind::Partial => {
            let sqs = ["SendMessageBatch", "ChangeMessageVisibilityBatch", "DeleteMessageBatch"];
            sqs.contains(&operation) || ["BatchWriteItem", "BatchGetItem"].contains(&operation)
        }
        Kind::ExpiredHandle => ["ChangeMessageVisibilityBatch", "DeleteMessageBatch"].contains(&operation),
        Kind::Stall | Kind::Duplicate | Kind::Shuffle => false,
    }
}

/// An error of a service: its qualified type, and for SQS the code of the protocol from before JSON, which its clients read.
fn error(service: &str, status: u16, kind: &str, code: &str, fault: &str) -> Answer {
    let mut answer = Answer::error(status, kind, "injected by the fault build");
    if service == SQS {
        answer.headers.push(("x-amzn-query-error", format!("{code};{fault}")));
    }
    answer
}

fn internal(service: &str) -> Answer {
    let kind = match service {
        DYNAMODB => "com.amazonaws.dynamodb.v20120810#InternalServerError",
        _ => "com.amazon.coral.service#InternalFailure",
    };
    error(service, 500, kind, "InternalFailure", "Receiver")
}

fn unavailable(service: &str) -> Answer {
    let kind = "com.amazon.coral.service#ServiceUnavailableException";
    error(service, 503, kind, "ServiceUnavailable", "Receiver")
}

fn throttled(service: &str, fault: Fault) -> Answer {
    let kind = match service {
        DYNAMODB if fault.bits.is_multiple_of(2) => {
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
        }
        SQS => "com.amazonaws.sqs#RequestThrottled",
        _ => "com.amazon.coral.availability#ThrottlingException",
    };
    error(service, 400, kind, "RequestThrottled", "Sender")
}

/// A batch, divided.
struct Split {
    /// What is executed; `None`: nothing.
    executed: Option<Bytes>,
    /// Where the answer says what is not, and that, in the form of the answer.
    place: &'static str,
    left: Value,
    /// The answer of a call that executes nothing.
    nothing: Value,
}

/// Executes a part of a batch, and answers for the whole.
async fn partial<S: Service>(service: &S, operation: &str, split: Split) -> Result<Answer, Broken> {
    let Split {
        executed,
        place,
        left,
        nothing,
    } = split;
    let answer = match executed {
        Some(body) => service.exchange(operation, body).await?,
        None => Answer::json(200, nothing.to_string()),
    };
    let read = serde_json::from_slice(&answer.body)
        .ok()
        .filter(|_| answer.status == 200);
    // An error of the service itself says more.
    let Some(Value::Object(mut said)) = read else {
        return Ok(answer);
    };
    match (said.get_mut(place), left) {
        (Some(Value::Array(there)), Value::Array(left)) => there.extend(left),
        (Some(Value::Object(there)), Value::Object(left)) => there.extend(left),
        (_, left) => drop(said.insert(place.to_owned(), left)),
    }
    Ok(Answer {
        body: Value::Object(said).to_string().into(),
        ..answer
    })
}

/// Divides a batch by a fault's bits, at least one entry left out; `None` if it is none.
fn split(operation: &str, body: &[u8], fault: Fault) -> Option<Split> {
    let mut request: Map<String, Value> = serde_json::from_slice(body).ok()?;
    match operation {
        "BatchWriteItem" => split_items(request, "UnprocessedItems", fault),
        "BatchGetItem" => split_items(request, "UnprocessedKeys", fault),
        _ => {
            let Value::Array(entries) = request.get_mut("Entries")?.take() else {
                return None;
            };
            let (left, taken) = divide(entries, fault.bits)?;
            let (code, sender) = match fault.kind {
                Kind::ExpiredHandle => ("ReceiptHandleIsInvalid", true),
                _ => ("InternalError", false),
            };
            let failed = |entry: &Value| json!({"Id": entry["Id"], "Code": code, "SenderFault": sender});
            let left = left.iter().map(failed).collect();
            let executed = (!taken.is_empty()).then(|| {
                request.insert("Entries".to_owned(), Value::Array(taken));
                Value::Object(request).to_string().into()
            });
            Some(Split {
                executed,
                place: "Failed",
                left: Value::Array(left),
                nothing: json!({"Successful": []}),
            })
        }
    }
}

/// Divides what is asked of the first table of a batch of items; what is asked of the others is executed.
fn split_items(mut request: Map<String, Value>, place: &'static str, fault: Fault) -> Option<Split> {
    let tables = request.get_mut("RequestItems")?.as_object_mut()?;
    let (table, mut asked) = tables
        .keys()
        .next()
        .cloned()
        .and_then(|table| tables.remove_entry(&table))?;
    // Of a read, beside what else is said of the table; a write is its entries.
    let entries = match asked.get_mut("Keys") {
        Some(keys) => keys.take(),
        None => asked.take(),
    };
    let Value::Array(entries) = entries else { return None };
    let (left, taken) = divide(entries, fault.bits)?;
    let with = |entries: Vec<Value>| match &asked {
        Value::Object(said) => {
            let mut said = said.clone();
            said.insert("Keys".to_owned(), Value::Array(entries));
            Value::Object(said)
        }
        _ => Value::Array(entries),
    };
    let left = json!({ table.as_str(): with(left) });
    if !taken.is_empty() {
        tables.insert(table, with(taken));
    }
    let executed = (!tables.is_empty()).then(|| Value::Object(request).to_string().into());
    Some(Split {
        executed,
        place,
        left,
        nothing: json!({"Responses": {}}),
    })
}

/// Divides entries: those left out, at least one, and the others.
fn divide(entries: Vec<Value>, bits: u64) -> Option<(Vec<Value>, Vec<Value>)> {
    let surely = below(bits, entries.len())?;
    let (left, taken): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .enumerate()
        .partition(|(place, _)| *place == surely || mix(bits ^ *place as u64).is_multiple_of(2));
    let values = |entries: Vec<(usize, Value)>| entries.into_iter().map(|(_, entry)| entry).collect();
    Some((values(left), values(taken)))
}
