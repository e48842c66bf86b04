//! What a request of the AWS SDK needs: which actions on which resources, with which partition keys. Reads the same JSON
//! that the services get. A request that cannot be told is not let through.

use std::collections::{BTreeMap, BTreeSet};

use redial_platform::invoke::invoked_function;
use serde_json::{Map, Value};

use super::{Permissions, attributes};

const UPDATE: &str = "dynamodb:UpdateItem";

/// A service that functions call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    DynamoDb,
    Kms,
    Lambda,
    Sqs,
}

impl Api {
    /// Its name in actions.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::Kms => "kms",
            Self::Lambda => "lambda",
            Self::Sqs => "sqs",
        }
    }
}

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) keys: BTreeSet<String>,
    pub(super) attributes: BTreeSet<String>,
}

/// The items of a batch or transaction that are of one table.
type Keys = BTreeSet<String>;
/// Names of attributes.
type Names = BTreeSet<String>;

impl Permissions {
    /// Everything that a request needs; `None` if that cannot be told.
    pub(super) fn needed(&self, api: Api, operation: &str, body: &[u8]) -> Option<Vec<Access>> {
        if api == Api::Lambda {
            // Which function it is, the path says; what it gets is its own business.
            return Some(vec![Access {
                action: "lambda:InvokeFunction".to_owned(),
                resource: invoked_function(operation)?.to_owned(),
                keys: Keys::new(),
                attributes: Names::new(),
            }]);
        }
        let body: Value = serde_json::from_slice(body).ok()?;
        let plain = |resource: &str| {
            vec![Access {
                action: format!("{}:{operation}", api.prefix()),
                resource: resource.to_owned(),
                keys: Keys::new(),
                attributes: Names::new(),
            }]
        };
        match api {
            Api::DynamoDb => self.of_tables(operation, &body),
            Api::Lambda => None,
            // The last part of an ARN; an id is whole.
            Api::Kms => Some(plain(body["KeyId"].as_str()?.rsplit('/').next()?)),
            Api::Sqs => {
                let queue = body["QueueUrl"].as_str()?.rsplit('/').next()?.to_owned();
                // A batch of any of them is the same action.
                let action = format!("sqs:{}", operation.trim_end_matches("Batch"));
                Some(vec![Access {
                    action,
                    ..plain(&queue).pop()?
                }])
            }
        }
    }

    fn of_tables(&self, operation: &str, body: &Value) -> Option<Vec<Access>> {
        let one = |keys: Keys| {
            let table = body["TableName"].as_str()?;
            let index = body["IndexName"].as_str();
            let index = index.map_or_else(String::new, |index| format!("/index/{index}"));
            Some(vec![Access {
                action: format!("dynamodb:{operation}"),
                resource: format!("{table}{index}"),
                keys,
                attributes: Names::new(),
            }])
        };
        match operation {
            "PutItem" => one(self.keys_of(body, [&body["Item"]])?),
            "GetItem" | "DeleteItem" => one(self.keys_of(body, [&body["Key"]])?),
            "UpdateItem" => {
                let access = one(self.keys_of(body, [&body["Key"]])?)?.pop()?;
                let attributes = attributes::of_update(body)?;
                Some(vec![Access { attributes, ..access }])
            }
            // An index has partition keys of its own: no condition is on them.
            "Query" if !body["IndexName"].is_null() => one(Keys::new()),
            "Query" => one(Keys::from([self.queried(body)?])),
            "BatchGetItem" => self.batch(operation, body, |table| {
                table["Keys"].as_array().map(|keys| keys.iter().collect())
            }),
            "BatchWriteItem" => self.batch(operation, body, |table| {
                let writes = table.as_array()?.iter();
                let item = |write: &'_ Value| match &write["PutRequest"] {
                    Value::Null => "/DeleteRequest/Key",
                    _ => "/PutRequest/Item",
                };
                writes.map(|write| write.pointer(item(write))).collect()
            }),
            "TransactGetItems" | "TransactWriteItems" => self.transaction(body),
            _ => one(Keys::new()),
        }
    }

    /// The partition keys of items of the table that `request` names.
    fn keys_of<'a>(&self, request: &Value, items: impl IntoIterator<Item = &'a Value>) -> Option<Keys> {
        self.keys_in(request["TableName"].as_str()?, items)
    }

    fn keys_in<'a>(&self, table: &str, items: impl IntoIterator<Item = &'a Value>) -> Option<Keys> {
        let name = self.partition_key(table)?;
        let key = |item: &Value| item[name]["S"].as_str().map(str::to_owned);
        items.into_iter().map(key).collect()
    }

    /// The partition that a query reads: its key condition says that the partition key is equal to a value.
    fn queried(&self, body: &Value) -> Option<String> {
        let name = self.partition_key(body["TableName"].as_str()?)?;
        let names = &body["ExpressionAttributeNames"];
        let is_key = |text: &str| text == name || names[text].as_str() == Some(name);
        let mut conditions = body["KeyConditionExpression"].as_str()?.split(" AND ");
        let value = conditions.find_map(|condition| {
            let (key, value) = condition.split_once(" = ")?;
            is_key(key.trim()).then_some(value.trim())
        })?;
        body["ExpressionAttributeValues"][value]["S"]
            .as_str()
            .map(str::to_owned)
    }

    /// A batch is one action for each of its tables.
    fn batch(
        &self,
        operation: &str,
        body: &Value,
        items: impl Fn(&Value) -> Option<Vec<&Value>>,
    ) -> Option<Vec<Access>> {
        let tables: &Map<String, Value> = body["RequestItems"].as_object()?;
        let of_table = |(table, requests): (&String, &Value)| {
            Some(Access {
                action: format!("dynamodb:{operation}"),
                resource: table.clone(),
                keys: self.keys_in(table, items(requests)?)?,
                attributes: Names::new(),
            })
        };
        tables.iter().map(of_table).collect()
    }

    /// A transaction needs the action of each of its items. AWS does not document whether a condition on partition keys
    /// sees those of one item or of all; here it sees all of the table, so that what is granted is granted either way. The
    /// same goes for the attributes of its updates.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
    fn transaction(&self, body: &Value) -> Option<Vec<Access>> {
        let mut actions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut keys: BTreeMap<&str, Keys> = BTreeMap::new();
        let mut updated: BTreeMap<&str, Names> = BTreeMap::new();
        for item in body["TransactItems"].as_array()? {
            for (kind, request) in item.as_object()? {
                let (action, place) = match kind.as_str() {
                    "ConditionCheck" => ("dynamodb:ConditionCheckItem", "Key"),
                    "Delete" => ("dynamodb:DeleteItem", "Key"),
                    "Get" => ("dynamodb:GetItem", "Key"),
                    "Put" => ("dynamodb:PutItem", "Item"),
                    "Update" => (UPDATE, "Key"),
                    _ => return None,
                };
                let table = request["TableName"].as_str()?;
                actions.entry(table).or_default().insert(action.to_owned());
                keys.entry(table)
                    .or_default()
                    .extend(self.keys_of(request, [&request[place]])?);
                if action == UPDATE {
                    updated
                        .entry(table)
                        .or_default()
                        .extend(attributes::of_update(request)?);
                }
            }
        }
        let of_table = |(table, actions): (&str, BTreeSet<String>)| {
            let keys = keys.get(table).cloned().unwrap_or_default();
            let updated = updated.get(table).cloned().unwrap_or_default();
            let access = move |action: String| Access {
                attributes: if action == UPDATE {
                    updated.clone()
                } else {
                    Names::new()
                },
                action,
                resource: table.to_owned(),
                keys: keys.clone(),
            };
            actions.into_iter().map(access).collect::<Vec<_>>()
        };
        Some(actions.into_iter().flat_map(of_table).collect())
    }
}
