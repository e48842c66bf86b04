//! What is remembered of the tests of a tenant's endpoints, in the table `events`: one item for each tenant that tests, in a
//! partition of its own (docs/DATA.md), read and written on condition that nobody was faster, so that all execution
//! environments of the API count together. Must never hold what a test sent or was answered.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::{Store, StoreError, dynamo, n};
use crate::item::Item;
use crate::keys;
use crate::test_limit::{TestLease, TestRefusal, Tests};

/// Times that a test is counted against others. Each time somebody else was admitted or came to an end, and only
/// [`MAX_RUNNING`](crate::test_limit::MAX_RUNNING) run at once.
const TRIES: usize = 12;
/// Seconds after its last write for which the item is kept. It says nothing after a minute.
const KEPT_S: i64 = 3_600;
/// Grows with every write.
const VERSION: &str = "v";
const TENANT: &str = "g";
const ENDPOINTS: &str = "e";
const RUNNING: &str = "r";

impl Store {
    /// Counts one test of an endpoint, which runs until its lease ends or is given back with
    /// [`end_test`](Self::end_test); or says why it may not be made. One read and one write, repeated if others were faster.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn begin_test(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        lease: &TestLease,
        now: Timestamp,
    ) -> Result<Option<TestRefusal>, StoreError> {
        for _ in 0..TRIES {
            let item = self.get(&self.tables.events, &keys::tests(tenant), true).await?;
            let item = item.unwrap_or_default();
            let mut tests = read(&item);
            if let Err(refusal) = tests.admit(endpoint, lease, now) {
                return Ok(Some(refusal));
            }
            let version = item.get_number(VERSION);
            let update = self
                .of_tests(tenant, "SET g = :g, e = :e, r = :r, v = :v, #ttl = :ttl")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":g", n(tests.tenant.map_or(0, Timestamp::as_millis)))
                .expression_attribute_values(":e", moments(&tests.endpoints))
                .expression_attribute_values(":r", moments(&tests.running))
                .expression_attribute_values(":v", n(version.unwrap_or(0) + 1))
                .expression_attribute_values(":ttl", n(now.as_secs() + KEPT_S));
            let update = match version {
                None => update.condition_expression("attribute_not_exists(v)"),
                Some(version) => update
                    .condition_expression("v = :before")
                    .expression_attribute_values(":before", n(version)),
            };
            if written(update).await? {
                return Ok(None);
            }
        }
        // So many at once is as good as too many.
        Ok(Some(TestRefusal::Running))
    }

    /// Gives a lease back: its test is over. Nothing happens if it has ended by itself.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn end_test(&self, tenant: &TenantId, lease: &TestLease) -> Result<(), StoreError> {
        let update = self
            .of_tests(tenant, "SET v = v + :one REMOVE r.#lease")
            .condition_expression("attribute_exists(r.#lease)")
            .expression_attribute_names("#lease", &lease.id)
            .expression_attribute_values(":one", n(1));
        written(update).await?;
        Ok(())
    }

    fn of_tests(&self, tenant: &TenantId, expression: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.events)
            .set_key(Some(Item::from(&keys::tests(tenant)).0))
            .update_expression(expression)
    }
}

fn read(item: &Item) -> Tests {
    let moments = |name: &str| -> BTreeMap<String, Timestamp> {
        let members = item
            .0
            .get(name)
            .and_then(|value| value.as_m().ok())
            .into_iter()
            .flatten();
        let moment = |value: &AttributeValue| value.as_n().ok()?.parse().ok().map(Timestamp::from_millis);
        members
            .filter_map(|(id, value)| Some((id.clone(), moment(value)?)))
            .collect()
    };
    Tests {
        tenant: item.get_moment(TENANT),
        endpoints: moments(ENDPOINTS),
        running: moments(RUNNING),
    }
}

fn moments(by_id: &BTreeMap<String, Timestamp>) -> AttributeValue {
    let members = by_id.iter().map(|(id, at)| (id.clone(), n(at.as_millis())));
    AttributeValue::M(members.collect::<HashMap<_, _>>())
}

/// False if the condition was not met.
async fn written(update: UpdateItemFluentBuilder) -> Result<bool, StoreError> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
        {
            Ok(false)
        }
        Err(error) => Err(dynamo("UpdateItem")(error)),
    }
}
