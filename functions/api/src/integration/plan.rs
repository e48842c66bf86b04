//! What a list of webhooks means for the endpoints that are stored: which stay, which change, which go, which are new. Pure.
//!
//! The URL is the identity. An endpoint that wants nothing is `inactive` with an empty filter, as an empty filter of one that
//! is not wants everything.

use std::sync::Arc;

use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::filter::Filter;
use redial_domain::profile::Profile;
use redial_domain::profile::webhook_resource::WebhookResource;
use redial_domain::{EndpointId, Timestamp};
use redial_platform::store::config::StoredEndpoint;
use serde_json::{Map, Value, json};
use url::Url;

/// What to store.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Changed, and new.
    pub(super) put: Vec<StoredEndpoint>,
    /// Not wanted any more.
    pub(super) delete: Vec<EndpointId>,
    /// How many of `put` are changed ones; they come first.
    changed: usize,
    /// Of those the ones whose URL is another text now: their place in the list.
    respelled: Vec<usize>,
}

impl Plan {
    /// True if what is stored is what is wanted.
    pub(super) const fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }

    /// How many endpoints there will be where there were `before`.
    pub(super) const fn count_after(&self, before: usize) -> usize {
        (before + self.put.len())
            .saturating_sub(self.changed)
            .saturating_sub(self.delete.len())
    }

    /// URLs that stand for a stored one in another spelling, which nobody has checked yet.
    pub(super) fn respelled<'a>(&self, wanted: &'a [WebhookResource]) -> Vec<(usize, &'a str)> {
        let places = self.respelled.iter();
        places.map(|n| (*n, wanted[*n].url.as_str())).collect()
    }

    /// The endpoints as they will be.
    pub(super) fn after<'a>(&'a self, stored: &'a [Arc<StoredEndpoint>]) -> impl Iterator<Item = &'a Endpoint> {
        let is_old = |id: &EndpointId| self.delete.contains(id) || self.put.iter().any(|new| new.endpoint.id == *id);
        let stay = stored.iter().map(|stored| &stored.endpoint);
        stay.filter(move |endpoint| !is_old(&endpoint.id))
            .chain(self.put.iter().map(|stored| &stored.endpoint))
    }
}

/// True if both texts are one URL; texts that are none are one if they are equal.
pub(super) fn is_same_url(a: &str, b: &str) -> bool {
    a == b || matches!((Url::parse(a), Url::parse(b)), (Ok(a), Ok(b)) if a == b)
}

/// What a new endpoint is asked to be, as a request would.
pub(super) fn chosen(resource: &WebhookResource) -> Map<String, Value> {
    let members = [
        ("url", json!(resource.url)),
        ("profile", json!(Profile::Utel)),
        ("event_types", json!(resource.event_types())),
    ];
    members
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// The state of a new endpoint.
pub(super) fn state_of_new(resource: &WebhookResource) -> EndpointState {
    if resource.event_types().is_empty() {
        EndpointState::Inactive
    } else {
        EndpointState::Active
    }
}

/// The endpoints of the profile, by URL, oldest first.
pub(super) fn listing<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> Vec<WebhookResource> {
    let mut ours: Vec<&Endpoint> = endpoints.filter(|endpoint| is_ours(endpoint)).collect();
    ours.sort_by_key(|endpoint| (endpoint.created_at, endpoint.id.clone()));
    let mut listed: Vec<WebhookResource> = Vec::new();
    for endpoint in &ours {
        let url = &endpoint.settings.url;
        if !listed.iter().any(|resource| is_same_url(&resource.url, url)) {
            let same = ours.iter().filter(|other| is_same_url(&other.settings.url, url));
            listed.push(shown(url, &same.copied().collect::<Vec<_>>()));
        }
    }
    listed
}

fn is_ours(endpoint: &Endpoint) -> bool {
    endpoint.settings.profile == Profile::Utel
}

/// True if an endpoint asks for nothing.
fn wants_nothing(endpoint: &Endpoint) -> bool {
    endpoint.state == EndpointState::Inactive && endpoint.settings.filter.event_types.is_empty()
}

/// What stands for the endpoints of one URL: whatever one of them asks for.
fn shown(url: &str, same: &[&Endpoint]) -> WebhookResource {
    let filters = same.iter().filter(|endpoint| !wants_nothing(endpoint));
    let filters: Vec<Filter> = filters
        .map(|endpoint| Filter {
            event_types: endpoint.settings.filter.event_types.clone(),
            ..Filter::default()
        })
        .collect();
    WebhookResource::of(url, |name| filters.iter().any(|filter| filter.matches(name, None)))
}

/// The endpoint with what `resource` wants. An inactive one that wants something begins, as its customer sees no state to
/// switch; one that wants nothing any more ends. Any other state is left alone.
fn switched(endpoint: &mut Endpoint, resource: &WebhookResource) {
    let event_types = resource.event_types();
    if event_types.is_empty() {
        endpoint.state = EndpointState::Inactive;
    } else if endpoint.state == EndpointState::Inactive {
        endpoint.state = EndpointState::Active;
    }
    endpoint.settings.filter.event_types = event_types;
}

/// Compares what is stored with what is wanted. Answers what to store, but for the new ones: their places in `wanted`.
pub(super) fn compare(
    stored: &[Arc<StoredEndpoint>],
    wanted: &[WebhookResource],
    now: Timestamp,
) -> (Plan, Vec<usize>) {
    let mut ours: Vec<&Arc<StoredEndpoint>> = stored.iter().filter(|stored| is_ours(&stored.endpoint)).collect();
    ours.sort_by_key(|stored| (stored.endpoint.created_at, stored.endpoint.id.clone()));
    let (mut plan, mut new) = (Plan::default(), Vec::new());
    for (n, resource) in wanted.iter().enumerate() {
        let (same, others): (Vec<_>, Vec<_>) = ours
            .iter()
            .copied()
            .partition(|stored| is_same_url(&stored.endpoint.settings.url, &resource.url));
        ours = others;
        let Some((oldest, more)) = same.split_first() else {
            new.push(n);
            continue;
        };
        let endpoints: Vec<&Endpoint> = same.iter().map(|stored| &stored.endpoint).collect();
        let is_respelled = oldest.endpoint.settings.url != resource.url;
        let is_switched = shown(&resource.url, &endpoints) != *resource;
        let mut after = StoredEndpoint::clone(oldest);
        if is_switched {
            switched(&mut after.endpoint, resource);
            plan.delete.extend(more.iter().map(|stored| stored.endpoint.id.clone()));
        }
        if is_respelled {
            after.endpoint.settings.url.clone_from(&resource.url);
            plan.respelled.push(n);
        }
        if is_switched || is_respelled {
            after.endpoint.updated_at = now;
            plan.put.push(after);
        }
    }
    plan.delete.extend(ours.iter().map(|stored| stored.endpoint.id.clone()));
    plan.changed = plan.put.len();
    (plan, new)
}
