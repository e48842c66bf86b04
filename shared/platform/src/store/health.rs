//! What is remembered of how an endpoint answers, in the table `events`: one item an endpoint, written when attempts fail and
//! when one succeeds after that, never while all succeed (docs/DATA.md). The item is the truth about a hold; the endpoint's
//! attribute in `config` tells it to ingest and dispatcher. Decides nothing: the rules are `redial_domain::hold`'s.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, Select};
use futures_util::FutureExt as _;
use redial_domain::delivery::DeliveryState;
use redial_domain::hold::{FORGIVEN_MS, HoldReason, Numbers, WINDOW_MS, next_probe_at};
use redial_domain::{EndpointId, ReplayId, TenantId, Timestamp};

use super::{Store, StoreError, dynamo, n, s};
use crate::item::Item;
use crate::keys;

/// Seconds after its last write for which the item is kept: far longer than until an endpoint is disabled.
const KEPT_S: i64 = 30 * 86_400;
/// Looks of the sweeper after an endpoint was let go: the first has everything drained that is held, the second what was
/// being held just then.
pub const DRAIN_LOOKS: u32 = 2;

/// The last failure of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// What went wrong (`delivery::attempt_code`).
    pub code: String,
}

/// What is known of how an endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its attempts of late.
    pub numbers: Numbers,
    /// The last failure.
    pub last_failure: Option<LastFailure>,
    /// Since when it is on hold, and why.
    pub open: Option<(Timestamp, HoldReason)>,
    /// Probes sent since.
    pub probes: u32,
    /// Looks that the sweeper takes yet at what is held, after it was let go.
    pub drain_looks: u32,
    /// When it was last let go.
    pub let_go_at: Option<Timestamp>,
    /// The last job that was asked for to let go what is held: there is no second one while it is at work.
    pub drain: Option<ReplayId>,
    /// When the sweeper looks at it.
    pub due_at: Option<Timestamp>,
    /// When its failures were last forgiven ([`Store::forgive_health`]).
    pub forgiven_at: Option<Timestamp>,
}

impl Health {
    /// True if it is on hold, or on its way there.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.open.is_some() || self.numbers.failures_in_row > 0 || self.numbers.failed > 0
    }

    /// True if failures were forgiven so lately that these are not.
    #[must_use]
    pub fn was_just_forgiven(&self, now: Timestamp) -> bool {
        self.forgiven_at.is_some_and(|at| now.millis_since(at) < FORGIVEN_MS)
    }
}

pub(super) fn read_health(item: &Item, now: Timestamp) -> Health {
    let count = |name: &str| item.get_number(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let in_window = item
        .get_moment("wb")
        .is_some_and(|begin| now.millis_since(begin) < WINDOW_MS);
    let reason = match item.get_text("or") {
        Some("failure_share") => HoldReason::FailureShare,
        _ => HoldReason::FailuresInRow,
    };
    Health {
        numbers: Numbers {
            failures_in_row: count("f"),
            failing_since: item.get_moment("fs"),
            failed: if in_window { count("wf") } else { 0 },
            succeeded: if in_window { count("ws") } else { 0 },
        },
        last_failure: item.get_moment("lf").map(|at| LastFailure {
            at,
            status: item.get_number("hs").and_then(|status| u16::try_from(status).ok()),
            code: item.get_text("cd").unwrap_or_default().to_owned(),
        }),
        open: item.get_moment("op").map(|since| (since, reason)),
        probes: count("pb"),
        drain_looks: count("dr"),
        let_go_at: item.get_moment("lg"),
        drain: item.get_text("jb").and_then(|text| ReplayId::parse(text).ok()),
        due_at: item.get_moment("qt"),
        forgiven_at: item.get_moment("fo"),
    }
}

impl Store {
    /// What is known of how an endpoint answers, strongly read; `None`: nothing but success, for a month.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn health(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        now: Timestamp,
    ) -> Result<Option<Health>, StoreError> {
        let item = self
            .get(&self.tables.events, &keys::health(tenant, endpoint), true)
            .await?;
        Ok(item.map(|item| read_health(&item, now)))
    }

    /// What is known of how some endpoints of a tenant answer, strongly read: those of which anything but success is known. The
    /// ids must be distinct.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn healths(
        &self,
        tenant: &TenantId,
        endpoints: &[EndpointId],
        now: Timestamp,
    ) -> Result<HashMap<EndpointId, Health>, StoreError> {
        let keys: Vec<_> = endpoints
            .iter()
            .map(|endpoint| keys::health(tenant, endpoint))
            .collect();
        let items = self.get_all(&self.tables.events, &keys, true).await?;
        let known = |item: &Item| Some((keys::health_of(&item.key())?.1, read_health(item, now)));
        Ok(items.iter().filter_map(known).collect())
    }

    /// Puts an endpoint on hold and in the list of what is due, for its first probe; false if it is on hold already.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn open(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        reason: HoldReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let reason = match reason {
            HoldReason::FailuresInRow => "failures_in_row",
            HoldReason::FailureShare => "failure_share",
        };
        let set = "SET op = :now, #or = :or, pb = :zero, q = :q, qt = :qt, #ttl = :ttl REMOVE dr";
        let update = self
            .health_update(tenant, endpoint, set, now)
            .condition_expression("attribute_not_exists(op)")
            .expression_attribute_names("#or", "or")
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":or", s(reason))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":q", s(keys::DUE_HEALTH))
            .expression_attribute_values(":qt", n(next_probe_at(0, now).as_millis()));
        Ok(written(update).await?.is_some())
    }

    /// Lets an endpoint go after a success; the sweeper has what is held drained. False if it is not on hold.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn close(&self, tenant: &TenantId, endpoint: &EndpointId, now: Timestamp) -> Result<bool, StoreError> {
        let set =
            "SET f = :zero, dr = :dr, lg = :now, q = :q, qt = :now, #ttl = :ttl REMOVE op, #or, pb, fs, wb, wf, ws";
        let update = self
            .health_update(tenant, endpoint, set, now)
            .condition_expression("attribute_exists(op)")
            .expression_attribute_names("#or", "or")
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":dr", n(DRAIN_LOOKS.into()))
            .expression_attribute_values(":q", s(keys::DUE_HEALTH))
            .expression_attribute_values(":now", n(now.as_millis()));
        Ok(written(update).await?.is_some())
    }

    /// Says when the sweeper looks at an endpoint next (`None`: not at all) and what it has done by then, if nobody has said
    /// so since `before` was read.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn look_at_health_again(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        before: &Health,
        after: &Health,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut set = "SET pb = :pb, dr = :dr, #ttl = :ttl".to_owned();
        if after.drain.is_some() {
            set.push_str(", jb = :jb");
        }
        let expression = match after.due_at {
            Some(_) => format!("{set}, q = :q, qt = :qt"),
            None => format!("{set} REMOVE q, qt"),
        };
        let mut update = self
            .health_update(tenant, endpoint, &expression, now)
            .expression_attribute_values(":pb", n(after.probes.into()))
            .expression_attribute_values(":dr", n(after.drain_looks.into()));
        if let Some(drain) = &after.drain {
            update = update.expression_attribute_values(":jb", s(drain.as_str()));
        }
        if let Some(due_at) = after.due_at {
            update = update
                .expression_attribute_values(":q", s(keys::DUE_HEALTH))
                .expression_attribute_values(":qt", n(due_at.as_millis()));
        }
        let update = match before.due_at {
            Some(due_at) => update
                .condition_expression("qt = :before")
                .expression_attribute_values(":before", n(due_at.as_millis())),
            None => update.condition_expression("attribute_not_exists(qt)"),
        };
        Ok(written(update).await?.is_some())
    }

    /// Has the sweeper look at what is held for an endpoint at `at`, and once more after that: it is about to be deleted, and
    /// whoever does not know that yet may hold something still. One that is on hold is looked at anyway.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn look_when_gone(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .health_update(tenant, endpoint, "SET dr = :dr, q = :q, qt = :qt, #ttl = :ttl", now)
            .condition_expression("attribute_not_exists(op) OR attribute_not_exists(q)")
            .expression_attribute_values(":dr", n(DRAIN_LOOKS.into()))
            .expression_attribute_values(":q", s(keys::DUE_HEALTH))
            .expression_attribute_values(":qt", n(at.as_millis()));
        written(update).await.map(|_| ())
    }

    /// Notes which job lets go what is held for an endpoint.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn note_drain(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        drain: &ReplayId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .health_update(tenant, endpoint, "SET jb = :jb, #ttl = :ttl", now)
            .expression_attribute_values(":jb", s(drain.as_str()));
        written(update).await.map(|_| ())
    }

    /// Forgets how an endpoint answered, because somebody asked for it to be delivered to, and notes that; false if that was
    /// done less than [`FORGIVEN_MS`] ago.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn forgive_health(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update =
            "SET fo = :now, #ttl = :ttl REMOVE f, fs, lf, hs, cd, wb, wf, ws, op, #or, pb, dr, jb, q, qt, sb, sa, sn";
        let update = self
            .health_update(tenant, endpoint, update, now)
            .condition_expression("attribute_not_exists(fo) OR fo <= :before")
            .expression_attribute_names("#or", "or")
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":before", n(now.as_millis() - FORGIVEN_MS));
        Ok(written(update).await?.is_some())
    }

    /// Forgets how an endpoint answered: there was nothing to be forgiven, or it is gone.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn forget_health(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<(), StoreError> {
        self.delete_all(&self.tables.events, &[keys::health(tenant, endpoint)])
            .await
    }

    /// How many deliveries of an endpoint wait in the queue for their next attempt, `limit` and more counted as `limit`; as
    /// of a second ago or so. One query.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn count_waiting(&self, tenant: &TenantId, endpoint: &EndpointId, limit: u32) -> Result<u32, StoreError> {
        let partition = keys::state_partition(tenant, endpoint, DeliveryState::Retrying);
        let query = self
            .client
            .query()
            .table_name(&self.tables.events)
            .index_name(keys::BY_STATE)
            .key_condition_expression("w = :w")
            .expression_attribute_values(":w", s(partition))
            .select(Select::Count)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query.send().boxed().await.map_err(dynamo("Query"))?;
        Ok(u32::try_from(page.count).unwrap_or(0))
    }

    pub(super) fn health_update(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        expression: &str,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.events)
            .set_key(Some(Item::from(&keys::health(tenant, endpoint)).0))
            .update_expression(expression)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", n(now.as_secs() + KEPT_S))
            .return_values(ReturnValue::AllNew)
    }
}

/// The item as it is after an update; `None` if its condition was not met.
pub(super) async fn written(update: UpdateItemFluentBuilder) -> Result<Option<Item>, StoreError> {
    match update.send().boxed().await {
        Ok(done) => Ok(Some(Item(done.attributes.unwrap_or_default()))),
        Err(error) if is_refused(&error) => Ok(None),
        Err(error) => Err(dynamo("UpdateItem")(error)),
    }
}

fn is_refused<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    let error = error.as_service_error();
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
