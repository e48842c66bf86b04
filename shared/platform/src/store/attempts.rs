//! Failed attempts in the table `events`, a row each, beside the record of their delivery. Never decides what is one.

use redial_domain::{DeliveryId, EventId, TenantId};

use super::deliveries::{AttemptRecord, DeliveryRecord};
use super::{Store, StoreError};
use crate::blob;
use crate::item::Item;
use crate::keys;

pub(super) fn read_attempt(item: &Item, n: u32, response: Vec<u8>) -> Option<AttemptRecord> {
    Some(AttemptRecord {
        n,
        at: item.get_moment("la")?,
        status: item.get_number("hs").and_then(|status| u16::try_from(status).ok()),
        code: item.get_text("cd")?.to_owned(),
        duration_ms: u32::try_from(item.get_number("ms")?).ok()?,
        next: item.get_text("why").unwrap_or_default().to_owned(),
        response,
    })
}

impl Store {
    /// Writes the row of a record's last attempt, again if its sentence has changed.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_attempt(&self, record: &DeliveryRecord) -> Result<(), StoreError> {
        let Some(last) = &record.last else { return Ok(()) };
        let mut row = Item::from(&keys::attempt(&record.tenant, &record.id, last.n))
            .moment("la", last.at)
            .maybe_number("hs", last.status.map(i64::from))
            .text("cd", last.code.as_str())
            .number("ms", last.duration_ms.into())
            .text("why", last.next.as_str())
            .number("ttl", record.expires_at.as_secs());
        if !last.response.is_empty() {
            row = row.bytes("rb", blob::pack(&last.response)?);
        }
        self.put(&self.tables.events, row).await
    }

    /// The failed attempts of all deliveries of an event, by delivery and number.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a row cannot be read.
    pub async fn failed_attempts(
        &self,
        tenant: &TenantId,
        event: &EventId,
    ) -> Result<Vec<(DeliveryId, AttemptRecord)>, StoreError> {
        self.attempt_rows(tenant, event, " ", "~").await
    }

    /// The failed attempts of one delivery, by number.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a row cannot be read.
    pub async fn failed_attempts_of(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let prefix = keys::attempts_prefix(id);
        let rows = self
            .attempt_rows(tenant, &id.event, &prefix, &format!("{prefix}~"))
            .await?;
        Ok(rows.into_iter().map(|(_, attempt)| attempt).collect())
    }

    async fn attempt_rows(
        &self,
        tenant: &TenantId,
        event: &EventId,
        from: &str,
        to: &str,
    ) -> Result<Vec<(DeliveryId, AttemptRecord)>, StoreError> {
        let query = self.partition(&self.tables.events, &keys::attempts_partition(tenant, event), from, to);
        let items = self.query_all(query.consistent_read(true), usize::MAX).await?;
        items.iter().map(|item| read_attempt_row(event, item)).collect()
    }
}

pub(super) fn read_attempt_row(event: &EventId, item: &Item) -> Result<(DeliveryId, AttemptRecord), StoreError> {
    let sk = item.key().sk;
    let mut parts = sk.split('/');
    let (endpoint, replay, number) = (parts.next(), parts.next(), parts.next());
    let written = match replay {
        Some("") | None => format!("{event}.{}", endpoint.unwrap_or_default()),
        Some(replay) => format!("{event}.{}.{replay}", endpoint.unwrap_or_default()),
    };
    let id = item.need("sk", DeliveryId::parse(&written).ok())?;
    let number = item.need("sk", number.and_then(|number| number.parse().ok()))?;
    let response = item.get_bytes("rb").map(blob::unpack).transpose()?.unwrap_or_default();
    let attempt = item.need("la", read_attempt(item, number, response))?;
    Ok((id, attempt))
}
