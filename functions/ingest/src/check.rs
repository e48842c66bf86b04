//! Whether an event's type may be posted and its `data` fits the type's schema. Types that ship cost no read; a tenant's own
//! are read once for each version of its settings, and only if an event needs them. Compiles no schema twice while it is
//! kept, and never tells, logs or counts a value of the payload.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use futures_util::future::join_all;
use redial_domain::event::{Content, PostedEvent};
use redial_domain::misfit::Misfit;
use redial_domain::{Invalid, TenantId, catalogue};
use redial_platform::Clock;
use redial_platform::problem::Problem;
use redial_platform::store::config::{Tenant, TenantConfig, Validation};
use redial_platform::store::event_types::{OwnEventType, TypeState};
use redial_platform::store::{Store, StoreError};
use redial_schema::{EventSchema, Schemas};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::configs::{Configs, Unread};

/// Misfits of one event that are told: an answer to 500 events stays below the 6 MB of Lambda's answers. docs/LIMITS.md.
const MAX_TOLD: usize = 3;
/// Milliseconds that a request checks the data of one tenant's own types: a schema that is slow to check must not keep the
/// events of others waiting. docs/LIMITS.md.
const MAX_CHECK_MS: i64 = 1_000;
/// Milliseconds that a request checks the data of all tenants' own types: a batch names as many tenants as it likes.
/// docs/LIMITS.md.
const MAX_REQUEST_CHECK_MS: i64 = 3_000;
/// Bytes of tenants' own types that are kept in memory; beyond it they are read anew.
const MAX_KEPT_BYTES: usize = 32 * 1024 * 1024;

/// Something that the platform should know of an event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// `data_invalid`: the data does not fit the schema of its type. `data_not_checked`: it would have taken too long to
    /// find out. `event_type_deprecated`: the type is going to be archived.
    #[schema(example = "data_invalid")]
    code: &'static str,
    /// The field that it is about.
    #[schema(example = "data.duration_s")]
    field: String,
    /// One sentence for a person, without the value.
    detail: String,
}

/// A tenant's own types, as of one version of its settings.
#[derive(Debug, Default)]
struct OwnTypes {
    version: u64,
    bytes: usize,
    types: HashMap<String, OwnType>,
}

#[derive(Debug)]
struct OwnType {
    state: TypeState,
    schema: Arc<str>,
}

impl OwnTypes {
    fn new(version: u64, found: Vec<OwnEventType>) -> Self {
        let mut own = Self {
            version,
            ..Self::default()
        };
        for event_type in found {
            let schema: Arc<str> = event_type.schema.to_string().into();
            own.bytes += schema.len();
            let state = event_type.state;
            own.types.insert(event_type.name.to_string(), OwnType { state, schema });
        }
        own
    }
}

/// The types that events may have. Made once for an execution environment.
#[derive(Debug)]
pub(crate) struct EventTypes {
    store: Store,
    clock: Clock,
    schemas: Schemas,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    own: HashMap<TenantId, Arc<OwnTypes>>,
    bytes: usize,
}

impl EventTypes {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            schemas: Schemas::default(),
            kept: Mutex::default(),
        }
    }

    /// What the events of a request are checked by.
    pub(crate) async fn for_request<'a>(
        &'a self,
        posted: impl Iterator<Item = &PostedEvent>,
        configs: &Configs,
    ) -> Check<'a> {
        let unshipped = posted.filter(|event| catalogue::find(event.content.event_type.as_str()).is_none());
        let tenants: HashSet<&TenantId> = unshipped.map(|event| &event.tenant).collect();
        let configs = tenants
            .into_iter()
            .filter_map(|tenant| configs.of(tenant).ok().flatten());
        let read = configs.map(|config| async move {
            let tenant = config.tenant.id.clone();
            let own = self.own(config).await.map_err(|error| {
                tracing::error!(%error, %tenant, "ingest.types_not_read");
                Unread
            });
            (tenant, own)
        });
        Check {
            types: self,
            own: join_all(read).await.into_iter().collect(),
            spent: Spent::default(),
        }
    }

    async fn own(&self, config: &TenantConfig) -> Result<Arc<OwnTypes>, StoreError> {
        let tenant = &config.tenant.id;
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .own
            .get(tenant)
            .cloned();
        if let Some(own) = kept.filter(|own| own.version == config.version) {
            return Ok(own);
        }
        // Read after the version was: at least as new as it says.
        let own = Arc::new(OwnTypes::new(config.version, self.store.event_types(tenant).await?));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + own.bytes > MAX_KEPT_BYTES {
            *kept = Kept::default();
        }
        kept.bytes += own.bytes;
        if let Some(before) = kept.own.insert(tenant.clone(), Arc::clone(&own)) {
            kept.bytes -= before.bytes;
        }
        Ok(own)
    }
}

/// Checks the events of one request.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    types: &'a EventTypes,
    own: HashMap<TenantId, Result<Arc<OwnTypes>, Unread>>,
    spent: Spent,
}

/// How long the events of a request were checked so far.
#[derive(Debug, Default)]
struct Spent {
    by_tenant_ms: HashMap<TenantId, i64>,
    all_ms: i64,
}

impl Spent {
    /// Why no more of a tenant's events are checked, if so.
    fn too_long(&self, tenant: &TenantId) -> Option<&'static str> {
        let of_tenant_ms = self.by_tenant_ms.get(tenant).copied().unwrap_or_default();
        if of_tenant_ms >= MAX_CHECK_MS {
            Some(
                "checking the events before it took the second that a tenant has in a request: send fewer at once, or \
                 simplify the schemas of your types",
            )
        } else if self.all_ms >= MAX_REQUEST_CHECK_MS {
            Some(
                "checking the events before it, of other tenants too, took the three seconds that a request has: send fewer \
                 at once",
            )
        } else {
            None
        }
    }

    fn add(&mut self, tenant: &TenantId, ms: i64) {
        *self.by_tenant_ms.entry(tenant.clone()).or_default() += ms;
        self.all_ms += ms;
    }
}

impl Check<'_> {
    /// Lets an event pass, with what the platform should know of it.
    ///
    /// # Errors
    /// 422 `event_type_unknown` or `event_type_archived`; with validation `reject` also `data_invalid` and
    /// `data_not_checked`. 500 if the tenant's types could not be read.
    pub(crate) fn pass(&mut self, tenant: &Tenant, content: &Content) -> Result<Vec<Warning>, Problem> {
        let name = content.event_type.as_str();
        let mut warnings = Vec::new();
        if catalogue::find(name).is_some() {
            if tenant.validation != Validation::Off {
                let schema = self.types.schemas.shipped(name).transpose();
                let found = schema.map_or(Found::Nothing, |schema| find(schema, content));
                warnings.extend(found.judge(tenant.validation)?);
            }
            return Ok(warnings);
        }
        let own = match self.own.get(&tenant.id) {
            Some(Ok(own)) => Arc::clone(own),
            Some(Err(Unread)) => return Err(Problem::internal()),
            None => Arc::default(),
        };
        match own.types.get(name) {
            None if tenant.allow_unknown_types => {}
            None => {
                let detail = format!(
                    "{name} is not in the catalogue: GET /v1/tenants/{}/event-types lists what is",
                    tenant.id
                );
                return Err(refuse("event_type_unknown", "type", detail));
            }
            Some(own) if own.state == TypeState::Archived => {
                let detail = format!("{name} is archived: post another type, or restore it");
                return Err(refuse("event_type_archived", "type", detail));
            }
            Some(own) => {
                if own.state == TypeState::Deprecated {
                    let detail = format!("{name} is deprecated and going to be archived");
                    warnings.push(Warning {
                        code: "event_type_deprecated",
                        field: "type".to_owned(),
                        detail,
                    });
                }
                if tenant.validation != Validation::Off {
                    warnings.extend(self.own_schema(&tenant.id, own, content).judge(tenant.validation)?);
                }
            }
        }
        Ok(warnings)
    }

    fn own_schema(&mut self, tenant: &TenantId, own: &OwnType, content: &Content) -> Found {
        if let Some(detail) = self.spent.too_long(tenant) {
            return Found::NotChecked(detail.to_owned());
        }
        let began = self.types.clock.now();
        let found = find(self.types.schemas.own(&own.schema), content);
        self.spent.add(tenant, self.types.clock.now().millis_since(began));
        found
    }
}

fn refuse(code: &'static str, field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).at(field)
}

/// What a look at an event's data found.
#[derive(Debug)]
enum Found {
    /// It fits.
    Nothing,
    /// It does not fit.
    Misfits(Vec<Misfit>),
    /// Nobody knows, because of this.
    NotChecked(String),
}

fn find(schema: Result<Arc<EventSchema>, Invalid>, content: &Content) -> Found {
    let schema = match schema {
        Ok(schema) => schema,
        Err(error) => {
            let event_type = content.event_type.as_str();
            tracing::error!(%error, event_type, "ingest.schema_unusable");
            return Found::NotChecked("its schema is not one that can be checked: set it again".to_owned());
        }
    };
    // It was read through already, so it can be read.
    let data: Value = serde_json::from_str(content.data.get()).unwrap_or_default();
    match schema.misfits(&data) {
        Ok(misfits) if misfits.is_empty() => Found::Nothing,
        Ok(misfits) => Found::Misfits(misfits),
        Err(too_costly) => Found::NotChecked(too_costly.to_string()),
    }
}

impl Found {
    fn judge(self, validation: Validation) -> Result<Vec<Warning>, Problem> {
        let is_refused = validation == Validation::Reject;
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Misfits(mut misfits) => {
                misfits.truncate(MAX_TOLD);
                match misfits.first() {
                    Some(first) if is_refused => {
                        let mut problem = refuse("data_invalid", &first.field(), first.detail.clone());
                        problem.misfits = misfits;
                        Err(problem)
                    }
                    _ => Ok(misfits.into_iter().map(Warning::from).collect()),
                }
            }
            Self::NotChecked(detail) if is_refused => Err(refuse("data_not_checked", "data", detail)),
            Self::NotChecked(detail) => Ok(vec![Warning {
                code: "data_not_checked",
                field: "data".to_owned(),
                detail,
            }]),
        }
    }
}

impl From<Misfit> for Warning {
    fn from(misfit: Misfit) -> Self {
        Self {
            code: "data_invalid",
            field: misfit.field(),
            detail: misfit.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_is_refused_only_where_misfits_are() {
        let found = || Found::NotChecked("too large".to_owned());
        let warned = found().judge(Validation::Warn).unwrap();
        assert_eq!(
            (warned.len(), warned[0].code, warned[0].field.as_str()),
            (1, "data_not_checked", "data")
        );
        let refused = found().judge(Validation::Reject).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (422, "data_not_checked"));
    }

    #[test]
    fn a_request_checks_for_three_seconds_however_many_tenants_it_names() {
        let tenant = |n: usize| TenantId::parse(&format!("t{n}")).unwrap();
        let mut spent = Spent::default();
        for n in 0..3 {
            assert_eq!(spent.too_long(&tenant(n)), None);
            spent.add(&tenant(n), MAX_CHECK_MS - 1);
            assert_eq!(spent.too_long(&tenant(n)), None);
            spent.add(&tenant(n), 1);
            assert!(
                spent
                    .too_long(&tenant(n))
                    .is_some_and(|why| why.contains("a tenant has"))
            );
        }
        assert!(
            spent
                .too_long(&tenant(3))
                .is_some_and(|why| why.contains("of other tenants"))
        );
    }

    #[test]
    fn an_answer_tells_the_first_misfits_and_names_the_first() {
        let misfits = (0..9)
            .map(|n| Misfit::new(&format!("/turns/{n}"), "/items/type", "is wrong"))
            .collect();
        let refused = Found::Misfits(misfits).judge(Validation::Reject).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_deref()),
            ("data_invalid", Some("data.turns.0"))
        );
        assert_eq!(refused.misfits.len(), MAX_TOLD);
    }
}
