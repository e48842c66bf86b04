//! What an execution environment tells of the attempts that it made at an endpoint: the write that adds it to the item that
//! `health` reads. Decides nothing, and never writes for an endpoint that nothing failed at.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::FutureExt as _;
use redial_domain::hold::WINDOW_MS;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::health::{Health, LastFailure, read_health, written};
use super::{Store, StoreError, dynamo, n, s};
use crate::item::Item;

/// Times that an observation is tried against others.
const TRIES: usize = 5;

/// What an execution environment saw of an endpoint since it last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Failures after the last success that it saw.
    pub failed_in_row: u32,
    /// The last success that it saw: what failed in a row before is over.
    pub succeeded_at: Option<Timestamp>,
    /// All failures; at least 1.
    pub failed: u32,
    /// All successes within the window.
    pub succeeded: u32,
    /// The first failure after the last success.
    pub first_failed_at: Timestamp,
    /// The last failure.
    pub last_failure: LastFailure,
}

/// What is known of an endpoint with an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// All that is known now.
    pub health: Health,
    /// Failures in a row before: whose observation takes them over a threshold is told by it.
    pub failures_before: u32,
}

/// Whether an observation goes on with what is stored or begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct GoesOn {
    /// The window.
    window: bool,
    /// The failures in a row: no success after the last one stored.
    row: bool,
}

impl GoesOn {
    /// As the stored item says, if there is one.
    fn with(item: Option<&Item>, seen: &Observation, now: Timestamp) -> Self {
        let moment = |name: &str| item.and_then(|item| item.get_moment(name));
        Self {
            window: moment("wb").is_some_and(|begin| now.millis_since(begin) < WINDOW_MS),
            row: seen
                .succeeded_at
                .is_none_or(|succeeded| moment("lf").is_some_and(|failed| failed > succeeded)),
        }
    }
}

impl Store {
    /// Adds what an environment saw, failures among it; answers what is known with it. One write, two if a window or a row of
    /// failures begins anew, more only if others write at the same time.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails, or others were faster again and again.
    pub async fn observe(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        seen: &Observation,
        now: Timestamp,
    ) -> Result<Observed, StoreError> {
        // What an endpoint that fails now and then needs; a refusal tells what this one does.
        let mut goes_on = GoesOn {
            window: true,
            row: seen.succeeded_at.is_none(),
        };
        for _ in 0..TRIES {
            match self
                .observation(tenant, endpoint, seen, goes_on, now)
                .send()
                .boxed()
                .await
            {
                Ok(done) => {
                    let health = read_health(&Item(done.attributes.unwrap_or_default()), now);
                    let added = if goes_on.row { seen.failed_in_row } else { u32::MAX };
                    let failures_before = health.numbers.failures_in_row.saturating_sub(added);
                    return Ok(Observed {
                        health,
                        failures_before,
                    });
                }
                Err(error) => match refused_by(error) {
                    Ok(item) => goes_on = GoesOn::with(item.as_ref(), seen, now),
                    Err(error) => return Err(dynamo("UpdateItem")(error)),
                },
            }
        }
        Err(StoreError::Conflict("the health of an endpoint"))
    }

    /// The write of an observation; refused if it goes on with what does not, or the other way round.
    fn observation(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        seen: &Observation,
        goes_on: GoesOn,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let (mut set, mut add) = ("SET lf = :lf, hs = :hs, cd = :cd, #ttl = :ttl".to_owned(), Vec::new());
        let (mut remove, mut values) = ("", Vec::new());
        let mut condition = if goes_on.window {
            add.push("wf :wf, ws :ws");
            "wb > :begin".to_owned()
        } else {
            set.push_str(", wb = :now, wf = :wf, ws = :ws");
            values.push((":now", now.as_millis()));
            "(attribute_not_exists(wb) OR wb <= :begin)".to_owned()
        };
        if let Some(succeeded) = seen.succeeded_at {
            condition.push_str(if goes_on.row {
                " AND lf > :succeeded"
            } else {
                " AND (attribute_not_exists(lf) OR lf <= :succeeded)"
            });
            values.push((":succeeded", succeeded.as_millis()));
        }
        match (goes_on.row, seen.failed_in_row) {
            // Others' failures came after all that it saw.
            (true, 0) => {}
            (true, _) => {
                set.push_str(", fs = if_not_exists(fs, :fs)");
                add.push("f :f");
            }
            (false, 0) => {
                set.push_str(", f = :f");
                remove = " REMOVE fs";
            }
            (false, _) => set.push_str(", f = :f, fs = :fs"),
        }
        if seen.failed_in_row > 0 {
            values.push((":fs", seen.first_failed_at.as_millis()));
        }
        if seen.failed_in_row > 0 || !goes_on.row {
            values.push((":f", seen.failed_in_row.into()));
        }
        values.extend([
            (":lf", seen.last_failure.at.as_millis()),
            (":hs", seen.last_failure.status.unwrap_or(0).into()),
            (":wf", seen.failed.into()),
            (":ws", seen.succeeded.into()),
            (":begin", now.as_millis() - WINDOW_MS),
        ]);
        let add = if add.is_empty() {
            String::new()
        } else {
            format!(" ADD {}", add.join(", "))
        };
        let update = self
            .health_update(tenant, endpoint, &format!("{set}{remove}{add}"), now)
            .condition_expression(condition)
            .expression_attribute_values(":cd", s(&seen.last_failure.code))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        values.into_iter().fold(update, |update, (name, value)| {
            update.expression_attribute_values(name, n(value))
        })
    }

    /// Notes a success after failures, and how many there were within the window: nothing fails in a row any more. A hold
    /// stays. Nothing if nothing is known of the endpoint.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn observe_success(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        succeeded: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Of a window that is over the numbers count nothing.
        let update = self
            .health_update(tenant, endpoint, "SET f = :zero, #ttl = :ttl REMOVE fs ADD ws :ws", now)
            .condition_expression("attribute_exists(lf)")
            .expression_attribute_values(":ws", n(succeeded.into()))
            .expression_attribute_values(":zero", n(0));
        written(update).await.map(|_| ())
    }
}

/// The item as it is, if an update was refused by its condition; otherwise the error.
fn refused_by<R>(error: SdkError<UpdateItemError, R>) -> Result<Option<Item>, SdkError<UpdateItemError, R>> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => Ok(refusal.item.clone().map(Item)),
        _ => Err(error),
    }
}
