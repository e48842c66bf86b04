//! The data keys in the table `config`: each as KMS wrapped it, and one item that says which is the newest and how far the
//! endpoints' secrets have been sealed under it. Never a key that is not wrapped.

use futures_util::FutureExt as _;
use redial_domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::{json, parse};
use super::{Store, StoreError, dynamo, is_refused, n};
use crate::item::Item;
use crate::keys;

/// The first version of the data key: that of installations whose key was never rotated.
pub const FIRST_VERSION: u32 = 1;
/// Counts the writes of the item that says which data keys there are.
const REVISION: &str = "r";

/// Which data keys there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataKeys {
    /// The version that seals.
    pub current: u32,
    /// When that became the newest; `None`: the first one, which is as old as the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// Older ones that still open what they sealed.
    #[serde(default)]
    pub readable: Vec<u32>,
    /// Older ones that are gone: nothing was sealed under them any more.
    #[serde(default)]
    pub retired: Vec<Retired>,
    /// The latest walk over all endpoints since the rotation, which seals their secrets anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
}

/// A data key that was retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Its version.
    pub version: u32,
    /// When.
    pub at: Timestamp,
}

/// A walk over all tenants, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began.
    pub began_at: Timestamp,
    /// The last tenant that it is done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When it had seen all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Tenants that it is done with.
    #[serde(default)]
    pub tenants: u64,
    /// Endpoints of these.
    #[serde(default)]
    pub endpoints: u64,
    /// Endpoints whose secrets were sealed anew. One that a crash repeats is counted once.
    #[serde(default)]
    pub resealed: u64,
    /// Tenants and endpoints that could not be read or opened, and so are what they were.
    #[serde(default)]
    pub unreadable: u64,
    /// The first of them: `tenant`, or `tenant/endpoint`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_unreadable: Vec<String>,
}

impl Default for DataKeys {
    fn default() -> Self {
        Self {
            current: FIRST_VERSION,
            rotated_at: None,
            readable: Vec::new(),
            retired: Vec::new(),
            pass: None,
        }
    }
}

impl DataKeys {
    /// True if what was sealed under `version` opens.
    #[must_use]
    pub fn opens(&self, version: u32) -> bool {
        version == self.current || self.readable.contains(&version)
    }
}

/// The data keys, and the revision that they were read at: who writes them says which one it knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredDataKeys {
    /// The data keys.
    pub keys: DataKeys,
    /// 0: nothing was ever rotated.
    pub revision: i64,
}

impl Store {
    /// The data key of that version as KMS wrapped it; `None`: there is none, or it was retired.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the stored item cannot be read.
    pub async fn wrapped_data_key(&self, version: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.get(&self.tables.config, &keys::data_key(version), true).await?;
        let kept = item.filter(|item| item.get_number("rt").is_none());
        let wrapped = kept.map(|item| Ok(item.need("w", item.get_bytes("w"))?.to_vec()));
        wrapped.transpose()
    }

    /// Stores the wrapped data key of that version; false if there is one already, which stays: whoever comes second reads
    /// the first one's.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_wrapped_data_key(&self, version: u32, wrapped: Vec<u8>) -> Result<bool, StoreError> {
        let item = Item::from(&keys::data_key(version)).bytes("w", wrapped);
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.config)
            .set_item(Some(item.0));
        match put
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .boxed()
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(dynamo("PutItem")(error)),
        }
    }

    /// Puts a mark in the place of a wrapped data key: what it sealed never opens again, and no other key takes its version.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn retire_data_key(&self, version: u32, at: Timestamp) -> Result<(), StoreError> {
        let item = Item::from(&keys::data_key(version)).number("rt", at.as_millis());
        let put = self.client.put_item().table_name(&self.tables.config);
        put.set_item(Some(item.0))
            .send()
            .boxed()
            .await
            .map_err(dynamo("PutItem"))?;
        Ok(())
    }

    /// Which data keys there are, strongly read. Where nothing was ever rotated, the first.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the stored item cannot be read.
    pub async fn data_keys(&self) -> Result<StoredDataKeys, StoreError> {
        let item = self.get(&self.tables.config, &keys::data_keys(), true).await?;
        let Some(item) = item else {
            return Ok(StoredDataKeys::default());
        };
        Ok(StoredDataKeys {
            keys: parse(&item, "j")?,
            revision: item.need(REVISION, item.get_number(REVISION))?,
        })
    }

    /// Stores which data keys there are, if nobody did since `revision`; answers the new revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody did.
    pub async fn put_data_keys(&self, data_keys: &DataKeys, revision: i64) -> Result<i64, StoreError> {
        let next = revision + 1;
        let item = Item::from(&keys::data_keys())
            .text("j", json(data_keys))
            .number(REVISION, next);
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.config)
            .set_item(Some(item.0));
        let put = if revision == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("r = :expected")
                .expression_attribute_values(":expected", n(revision))
        };
        match put.send().boxed().await {
            Ok(_) => Ok(next),
            Err(error) if is_refused(&error) => Err(StoreError::Conflict("the data keys")),
            Err(error) => Err(dynamo("PutItem")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_keys_are_read_as_the_first_release_with_rotations_wrote_them_and_with_more() {
        let read = |text: &str| serde_json::from_str::<DataKeys>(text).unwrap();
        let least = read(r#"{"current":2,"later":true}"#);
        assert_eq!((least.current, least.opens(2), least.opens(1)), (2, true, false));
        let text = concat!(
            r#"{"current":3,"rotated_at":"2026-11-20T05:03:46.258Z","readable":[2],"#,
            r#""retired":[{"version":1,"at":"2026-11-20T05:03:46.258Z"}],"#,
            r#""pass":{"began_at":"2026-11-20T05:03:46.258Z","after":"acme","tenants":1,"endpoints":2,"#,
            r#""resealed":2,"unreadable":0}}"#
        );
        let whole = read(text);
        assert_eq!(serde_json::to_string(&whole).unwrap(), text);
        assert!(whole.opens(3) && whole.opens(2) && !whole.opens(1) && !whole.opens(4));
        assert_eq!(DataKeys::default().current, FIRST_VERSION);
    }
}
