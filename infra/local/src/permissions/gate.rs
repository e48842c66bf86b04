//! The gate before the services: each function calls through one of its own, which refuses what the function's role does
//! not grant, as AWS does, and notes what was asked.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::request::Api;
use super::{Call, Permissions};
use crate::connector::{Answer, Service};

/// Permissions that are enforced, and what was asked of them.
#[derive(Debug)]
pub struct Gate {
    permissions: Permissions,
    granted: Mutex<BTreeSet<Call>>,
    denied: Mutex<BTreeSet<Call>>,
}

impl Gate {
    /// Lets through what these permissions grant.
    #[must_use]
    pub fn new(permissions: Permissions) -> Arc<Self> {
        Arc::new(Self {
            permissions,
            granted: Mutex::default(),
            denied: Mutex::default(),
        })
    }

    /// What was let through.
    #[must_use]
    pub fn granted(&self) -> BTreeSet<Call> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was refused since the last call.
    #[must_use]
    pub fn take_denied(&self) -> BTreeSet<Call> {
        std::mem::take(&mut self.denied.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The refusal of a request, if any part of it is not granted.
    fn refusal(&self, function: &str, api: Api, operation: &str, body: &[u8]) -> Option<Answer> {
        let Some(needed) = self.permissions.needed(api, operation, body) else {
            let call = Call {
                function: function.to_owned(),
                action: format!("{}:{operation}", api.prefix()),
                resource: "unknown".to_owned(),
                keys: BTreeSet::new(),
                attributes: BTreeSet::new(),
            };
            return Some(self.deny(api, call));
        };
        for access in needed {
            let call = Call {
                function: function.to_owned(),
                action: access.action,
                resource: access.resource,
                keys: access.keys,
                attributes: access.attributes,
            };
            if !self.permissions.allow(&call) {
                return Some(self.deny(api, call));
            }
            self.granted.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
        }
        None
    }

    fn deny(&self, api: Api, call: Call) -> Answer {
        let Call {
            function,
            action,
            resource,
            ..
        } = &call;
        tracing::error!(function, action, resource, "permissions.denied");
        let text = format!(
            "{function} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
             allows the {action} action"
        );
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
        match api {
            Api::DynamoDb => Answer::error(400, "com.amazon.coral.service#AccessDeniedException", &text),
            Api::Kms => Answer::error(400, "AccessDeniedException", &text),
            Api::Lambda => Answer {
                headers: vec![("x-amzn-errortype", "AccessDeniedException".to_owned())],
                ..Answer::error(403, "AccessDeniedException", &text)
            },
            Api::Sqs => Answer {
                headers: vec![("x-amzn-query-error", "AccessDenied;Sender".to_owned())],
                ..Answer::error(403, "com.amazon.coral.service#AccessDeniedException", &text)
            },
        }
    }
}

/// A function, as the services see it.
#[derive(Clone)]
pub struct Caller {
    function: String,
    gate: Arc<Gate>,
}

impl Caller {
    /// The function of that name in the template.
    #[must_use]
    pub fn new(function: impl Into<String>, gate: &Arc<Gate>) -> Self {
        Self {
            function: function.into(),
            gate: Arc::clone(gate),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.function).finish()
    }
}

/// A service behind the gate; without a caller, whoever runs this process is asking and may everything.
pub(crate) struct Guarded<S> {
    pub(crate) service: S,
    pub(crate) api: Api,
    pub(crate) caller: Option<Caller>,
}

impl<S: Service> Service for Guarded<S> {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let refusal = self.caller.as_ref().and_then(|caller| {
            let Caller { function, gate } = caller;
            gate.refusal(function, self.api, operation, &body)
        });
        match refusal {
            Some(refusal) => refusal,
            None => self.service.answer(operation, body).await,
        }
    }
}
