//! What the events of one batch say, and the bodies made of it: each read once and each body built once, however many
//! messages of the batch are about the same event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use redial_domain::endpoint::EndpointSettings;
use redial_domain::event::Content;
use redial_domain::profile::{BodyParts, Payload, Profile};
use redial_domain::{EventId, TenantId, Timestamp};
use redial_platform::blob;
use redial_platform::message::DeliveryMessage;
use redial_platform::store::{Store, StoreError};
use tokio::sync::OnceCell;

type Cell<T> = Arc<OnceCell<T>>;
type EventKey = (TenantId, EventId);

/// The contents and bodies of one batch.
#[derive(Default)]
pub(crate) struct Contents {
    contents: Mutex<HashMap<EventKey, Cell<Option<Arc<Content>>>>>,
    bodies: Mutex<HashMap<(EventKey, Profile, Payload), Cell<Bytes>>>,
}

fn cell<K: std::hash::Hash + Eq, T>(cells: &Mutex<HashMap<K, Cell<T>>>, key: K) -> Cell<T> {
    Arc::clone(
        cells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default(),
    )
}

impl Contents {
    /// What the event of a message says: from the message, or from the table if it is too long to ride. `None`: it is no
    /// longer stored.
    pub(crate) async fn of(
        &self,
        message: &DeliveryMessage,
        store: &Store,
        now: Timestamp,
    ) -> Result<Option<Arc<Content>>, StoreError> {
        let cell = cell(&self.contents, (message.tenant.clone(), message.event.clone()));
        let content = cell.get_or_try_init(|| async {
            if let Some(riding) = &message.content {
                return Ok(Some(Arc::new(blob::from_riding(riding)?)));
            }
            let event = store.event(&message.tenant, &message.event, now).await?;
            event.map(|event| event.content().map(Arc::new)).transpose()
        });
        content.await.cloned()
    }

    /// The body of a delivery in the profile of its endpoint.
    pub(crate) async fn body(
        &self,
        message: &DeliveryMessage,
        content: &Content,
        settings: &EndpointSettings,
        analysis_url: Option<&str>,
        api_origin: &str,
    ) -> Result<Bytes, serde_json::Error> {
        let event = (message.tenant.clone(), message.event.clone());
        let cell = cell(&self.bodies, (event, settings.profile, settings.payload));
        let body = cell.get_or_try_init(|| async {
            let parts = BodyParts {
                tenant: &message.tenant,
                event: &message.event,
                accepted_at: message.accepted_at(),
                content,
                api_origin,
                payload: settings.payload,
                analysis_url,
            };
            settings.profile.body(&parts).map(Bytes::from)
        });
        body.await.cloned()
    }
}
