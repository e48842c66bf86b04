//! What an error of the HTTP client means: the customer's doing, by its code, or ours. Told apart by the types in
//! the error's chain, never by its text.

use std::error::Error;
use std::io;

use redial_domain::outcome::FailureCode;

use crate::post::OurFault;
use crate::resolver::{LookupError, VettingError};

/// Too many open files, in this process or the system; no memory; no buffers: Linux error numbers that
/// [`io::ErrorKind`] has no stable name for.
const OUR_OS_ERRORS: [i32; 4] = [12, 23, 24, 105];

/// What the chain of causes holds.
#[derive(Default)]
struct Causes {
    vetting: Option<FailureCode>,
    lookup_stopped: bool,
    our_resources: bool,
    tls: bool,
    our_use: bool,
    not_http: bool,
    connection_ended: bool,
    in_handshake: bool,
}

/// Understands an error of the HTTP client: what the customer sees of it, or our fault. It should hold no URL any
/// more, as it may become part of a log.
pub(crate) fn understand(error: reqwest::Error) -> Result<FailureCode, OurFault> {
    let causes = Causes::of(&error);
    if let Some(code) = causes.vetting {
        return Ok(code);
    }
    if causes.lookup_stopped {
        return Err(OurFault::Stopped(error));
    }
    if causes.our_resources {
        return Err(OurFault::Resources(error));
    }
    if causes.tls {
        return Ok(FailureCode::TlsFailed);
    }
    if error.is_connect() {
        return Ok(match (error.is_timeout(), causes.in_handshake) {
            (true, _) => FailureCode::ConnectTimeout,
            (false, true) => FailureCode::TlsFailed,
            (false, false) => FailureCode::ConnectFailed,
        });
    }
    if causes.our_use || error.is_builder() {
        return Err(OurFault::Client(error));
    }
    if causes.not_http {
        return Ok(FailureCode::ProtocolError);
    }
    if error.is_timeout() {
        return Ok(FailureCode::Timeout);
    }
    // Whatever a later version of the client adds is a protocol error until it is known.
    let code = if causes.connection_ended {
        FailureCode::ConnectionClosed
    } else {
        FailureCode::ProtocolError
    };
    Ok(code)
}

impl Causes {
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
            match vetting {
                VettingError::Refused(_) => self.vetting = Some(FailureCode::Blocked),
                VettingError::Lookup(LookupError::Stopped(_)) => self.lookup_stopped = true,
                VettingError::TooMany
                | VettingError::NoAddress
                | VettingError::TooSlow
                | VettingError::Lookup(LookupError::NotResolved(_)) => self.vetting = Some(FailureCode::DnsFailed),
            }
        } else if cause.is::<rustls::Error>() {
            self.tls = true;
        } else if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            self.our_use |= http.is_user();
            self.not_http |= http.is_parse();
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

    fn note_io(&mut self, io: &io::Error) {
        use io::ErrorKind as Kind;
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
        // The TLS connector wraps the error of its handshake, an io::Error, in another one; TCP's come bare.
        self.in_handshake |= io
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<io::Error>())
            .is_some();
    }
}

/// The next cause. An [`io::Error`] that wraps another error skips it in `source`, so that one is taken by hand.
fn below<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}
