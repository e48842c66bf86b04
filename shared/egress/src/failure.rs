//! What an error of the HTTP client means: the customer's doing, by its code and what else is known of it, or ours. Told
//! apart by the types in the error's chain, never by its text.

use std::error::Error;
use std::io;

use redial_domain::diagnosis::Cause;
use redial_domain::outcome::FailureCode;
use rustls::{AlertDescription, CertificateError};

use crate::connect::ConnectFailure;
use crate::post::OurFault;
use crate::resolver::{LookupError, VettingError};

/// What the HTTP client says of a request that it could not finish. Holds neither URL nor header.
pub type ClientError = hyper_util::client::legacy::Error;

/// Too many open files, in this process or the system; no memory; no buffers: Linux error numbers that
/// [`io::ErrorKind`] has no stable name for.
const OUR_OS_ERRORS: [i32; 4] = [12, 23, 24, 105];

/// Why there is no answer, as the customer caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: FailureCode,
    pub(crate) cause: Option<Cause>,
}

impl Failure {
    /// The deadline passed.
    pub(crate) const fn late(code: FailureCode) -> Self {
        let cause = match code {
            FailureCode::DnsFailed => Some(Cause::LookupTooSlow),
            _ => None,
        };
        Self { code, cause }
    }
}

/// What the chain of causes holds.
#[derive(Default)]
struct Causes {
    vetting: Option<FailureCode>,
    lookup_stopped: bool,
    crowded: bool,
    our_resources: bool,
    tls: bool,
    our_use: bool,
    not_http: bool,
    connection_ended: bool,
    timed_out: bool,
    in_handshake: bool,
    known: Option<Cause>,
}

/// Understands an error of the HTTP client: what the customer sees of it, or our fault.
pub(crate) fn understand(error: ClientError) -> Result<Failure, OurFault> {
    let causes = Causes::of(&error);
    let cause = causes.known;
    causes.code(error).map(|code| Failure { code, cause })
}

impl Causes {
    fn code(self, error: ClientError) -> Result<FailureCode, OurFault> {
        if let Some(code) = self.vetting {
            return Ok(code);
        }
        if self.lookup_stopped {
            return Err(OurFault::Stopped(error));
        }
        if self.crowded {
            return Err(OurFault::Crowded);
        }
        if self.our_resources {
            return Err(OurFault::Resources(error));
        }
        if self.tls {
            return Ok(FailureCode::TlsFailed);
        }
        if error.is_connect() {
            return Ok(match (self.timed_out, self.in_handshake) {
                (true, _) => FailureCode::ConnectTimeout,
                (false, true) => FailureCode::TlsFailed,
                (false, false) => FailureCode::ConnectFailed,
            });
        }
        if self.our_use {
            return Err(OurFault::Client(error));
        }
        if self.not_http {
            return Ok(FailureCode::ProtocolError);
        }
        if self.timed_out {
            return Ok(FailureCode::Timeout);
        }
        // Whatever a later version of the client adds is a protocol error until it is known.
        Ok(if self.connection_ended {
            FailureCode::ConnectionClosed
        } else {
            FailureCode::ProtocolError
        })
    }

    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut causes = Self::default();
        let mut next = Some(error);
        while let Some(cause) = next {
            causes.note(cause);
            next = below(cause);
        }
        causes
    }

    fn note(&mut self, cause: &(dyn Error + 'static)) {
        if let Some(vetting) = cause.downcast_ref::<VettingError>() {
            self.note_vetting(vetting);
        } else if let Some(connect) = cause.downcast_ref::<ConnectFailure>() {
            self.timed_out |= matches!(connect, ConnectFailure::TooSlow);
            self.in_handshake |= matches!(connect, ConnectFailure::Tls(_));
        } else if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            self.tls = true;
            self.known = Some(of_tls(tls));
        } else if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            self.our_use |= http.is_user();
            self.not_http |= http.is_parse();
            self.timed_out |= http.is_timeout();
            self.connection_ended |=
                http.is_incomplete_message() || http.is_closed() || http.is_canceled() || http.is_body_write_aborted();
        } else if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            self.not_http |= h2.is_library();
            // GOAWAY or RST_STREAM of the receiver, whatever its reason: it ended the exchange.
            self.connection_ended |= h2.is_remote();
            if let Some(io) = h2.get_io() {
                self.note_io(io);
            }
        } else if let Some(io) = cause.downcast_ref::<io::Error>() {
            self.note_io(io);
        }
    }

    fn note_vetting(&mut self, vetting: &VettingError) {
        let unresolved = match vetting {
            VettingError::Refused(_) => {
                self.vetting = Some(FailureCode::Blocked);
                return;
            }
            VettingError::Lookup(LookupError::Stopped(_) | LookupError::Closed(_)) => {
                self.lookup_stopped = true;
                return;
            }
            VettingError::Crowded => {
                self.crowded = true;
                return;
            }
            VettingError::TooMany => Cause::TooManyAddresses,
            VettingError::NoAddress => Cause::NameWithoutAddress,
            VettingError::TooSlow => Cause::LookupTooSlow,
            VettingError::Lookup(LookupError::NotResolved(_)) => Cause::NameUnknown,
        };
        self.vetting = Some(FailureCode::DnsFailed);
        self.known = Some(unresolved);
    }

    fn note_io(&mut self, io: &io::Error) {
        use io::ErrorKind as Kind;
        let unconnected = match io.kind() {
            Kind::ConnectionRefused => Some(Cause::Refused),
            Kind::HostUnreachable | Kind::NetworkUnreachable => Some(Cause::Unreachable),
            _ => None,
        };
        self.known = self.known.or(unconnected);
        let ours = io.raw_os_error().is_some_and(|number| OUR_OS_ERRORS.contains(&number));
        self.our_resources |= ours || matches!(io.kind(), Kind::AddrNotAvailable | Kind::OutOfMemory);
        self.connection_ended |= matches!(
            io.kind(),
            Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::BrokenPipe
                | Kind::NotConnected
                | Kind::UnexpectedEof
        );
        self.timed_out |= io.kind() == Kind::TimedOut;
    }
}

/// What TLS says of the receiver.
fn of_tls(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidCertificate(reason) => of_certificate(reason),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity) => {
            Cause::TlsTooOld
        }
        rustls::Error::InvalidMessage(_) => Cause::NotTls,
        _ => Cause::HandshakeRefused,
    }
}

fn of_certificate(reason: &CertificateError) -> Cause {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Cause::CertificateNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Cause::CertificateForAnotherName
        }
        // Of an authority that only calls itself like a public one, the signature is wrong.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Cause::CertificateUntrusted,
        // An authority's own certificate in place of a server's: what `openssl req -x509` makes.
        CertificateError::Other(other) if matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) => {
            Cause::CertificateSelfSigned
        }
        _ => Cause::CertificateInvalid,
    }
}

/// The next cause. An [`io::Error`] that wraps another error skips it in `source`, so that one is taken by hand.
fn below<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}
