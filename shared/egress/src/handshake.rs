//! Notes when TLS begins. Nothing says that a TCP connection is there and its handshake starts, but rustls looks for a
//! session to resume at that very moment. There never is one: each handshake is a whole one, with the certificate that the
//! receiver has now.

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use crate::progress;

/// A memory of sessions that keeps none.
#[derive(Debug)]
pub(crate) struct NoteHandshakes;

impl ClientSessionStore for NoteHandshakes {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        progress::handshaking();
        None
    }
}
