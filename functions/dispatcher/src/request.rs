//! What a request to an endpoint carries besides its body, and the signature over both: the same for a delivery and for a
//! test, so that a test shows what a delivery sends. Never opens a secret and never sends.

use redial_domain::endpoint::EndpointSettings;
use redial_domain::{EventId, Timestamp, Traceparent, signature};
use redial_platform::seal::Credentials;

/// A body that is about to be signed.
pub(crate) struct Unsigned<'a> {
    /// The event that it is about: `webhook-id`.
    pub(crate) id: &'a EventId,
    /// The body as it is sent.
    pub(crate) body: &'a [u8],
    /// As the platform's request carried it.
    pub(crate) traceparent: Option<&'a str>,
}

impl Unsigned<'_> {
    /// All headers of the request, timestamp and signature of `now`.
    pub(crate) fn headers(
        &self,
        settings: &EndpointSettings,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Vec<(String, String)> {
        let id = self.id.as_str();
        let secrets = credentials.signing(now);
        let ours = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", settings.profile.user_agent().to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now.as_secs().to_string()),
            (
                "webhook-signature",
                signature::header(&secrets, id, now.as_secs(), self.body),
            ),
        ];
        // None of the customer's has a name of ours: those are reserved.
        let mut headers = credentials.headers(settings.profile);
        headers.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        if let Some(traceparent) = self.traceparent.and_then(Traceparent::parse) {
            headers.push(("traceparent".to_owned(), traceparent.as_str().to_owned()));
        }
        headers
    }
}
