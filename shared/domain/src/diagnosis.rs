//! What one request to an endpoint says about it, for the person who has to mend it: where it failed, what is known about
//! why, and a sentence for either. Pure text: what happens to a delivery is `delivery::decide`'s business alone.

use serde::{Deserialize, Serialize};

use crate::delivery::attempt_code;
use crate::outcome::{FailureCode, Outcome};

/// The part of a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing was sent: Redial does not connect to this address.
    Policy,
    /// Looking up the host name.
    Dns,
    /// Making the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The connection was there and ended before an answer.
    Request,
    /// Waiting for the answer, or what it said.
    Response,
}

/// What is known of a failure beyond its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The lookup failed: no such name, or its name servers do not answer.
    NameUnknown,
    /// The name exists and has no address.
    NameWithoutAddress,
    /// The name has more addresses than are tried.
    TooManyAddresses,
    /// The lookup took too long.
    LookupTooSlow,
    /// Nobody listens at the address and port.
    Refused,
    /// There is no way to the address.
    Unreachable,
    /// The certificate's time is over.
    CertificateExpired,
    /// The certificate's time has not come.
    CertificateNotYetValid,
    /// The certificate is for other names.
    CertificateForAnotherName,
    /// The certificate signs itself.
    CertificateSelfSigned,
    /// No public authority vouches for the certificate, as far as the chain that was sent shows.
    CertificateUntrusted,
    /// The certificate is revoked, broken, or made for something else.
    CertificateInvalid,
    /// No version or cipher in common.
    TlsTooOld,
    /// What answered does not speak TLS.
    NotTls,
    /// The receiver broke the handshake off.
    HandshakeRefused,
}

/// What a request says about its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// True if a delivery would have succeeded.
    pub ok: bool,
    /// The stable code that an attempt would have.
    pub code: &'static str,
    /// What failed; `None` if nothing did.
    pub failed_at: Option<Step>,
    /// What happened, a sentence.
    pub explanation: String,
    /// What to mend, a sentence; `None` if nothing is to be mended.
    pub advice: Option<&'static str>,
}

/// Says what came of a request. `step` is how far it had come, `timeout_ms` how long it might take.
#[must_use]
pub fn diagnose(outcome: &Outcome, step: Step, cause: Option<Cause>, timeout_ms: u32) -> Diagnosis {
    let (explanation, advice) = match outcome {
        Outcome::Answered(answer) => answered(answer.status),
        Outcome::Failed(code) => failed(*code, step, cause, timeout_ms),
    };
    let code = attempt_code(outcome);
    let ok = code == "ok";
    Diagnosis {
        ok,
        code,
        failed_at: (!ok).then(|| failed_at(outcome, step)),
        explanation,
        advice,
    }
}

const fn failed_at(outcome: &Outcome, step: Step) -> Step {
    match outcome {
        Outcome::Failed(FailureCode::Blocked) => Step::Policy,
        Outcome::Failed(FailureCode::DnsFailed) => Step::Dns,
        Outcome::Failed(FailureCode::ConnectFailed) => Step::Connect,
        Outcome::Failed(FailureCode::TlsFailed) => Step::Tls,
        Outcome::Failed(FailureCode::ConnectTimeout) => match step {
            Step::Tls => Step::Tls,
            _ => Step::Connect,
        },
        Outcome::Failed(FailureCode::ConnectionClosed) => Step::Request,
        Outcome::Failed(FailureCode::Timeout | FailureCode::ProtocolError) | Outcome::Answered(_) => Step::Response,
    }
}

fn answered(status: u16) -> (String, Option<&'static str>) {
    let advice = match status {
        200..=299 => None,
        300..=399 => Some(
            "Set the endpoint's URL to the address that the Location header names: a redirect would send body and \
             signature to somebody else.",
        ),
        401 | 403 => Some(
            "The receiver does not accept how the request authenticates: compare the endpoint's authentication and \
             secret with what the receiver expects.",
        ),
        404 | 405 => Some("Check the path of the URL, and that the receiver takes POST there."),
        408 | 504 => Some("The receiver or its gateway ran out of time: answer 2xx at once and work afterwards."),
        410 => Some(
            "410 means gone for good: a delivery that gets it is dead and disables the endpoint. Answer another status \
             unless that is meant.",
        ),
        413 => Some("The receiver takes no body of this size: raise its limit, or set the endpoint's payload to thin."),
        415 => Some("The receiver must take content-type: application/json."),
        429 => Some("The receiver wants fewer requests: set the endpoint's rate limit."),
        500..=599 => Some("The receiver, or a proxy before it, failed: its own log says why."),
        _ => Some("Answer any status of 200 to 299 to say that the event arrived."),
    };
    let explanation = match status {
        200..=299 => format!("The receiver answered {status}: a delivery would have succeeded."),
        300..=399 => format!("The receiver answered {status}, a redirect, which is never followed."),
        _ => format!("The receiver answered {status}: only 200 to 299 says that an event arrived."),
    };
    (explanation, advice)
}

fn failed(code: FailureCode, step: Step, cause: Option<Cause>, timeout_ms: u32) -> (String, Option<&'static str>) {
    let (explanation, advice) = match code {
        // The same words whatever was refused, and nothing about what lies there.
        FailureCode::Blocked => (
            "The URL, or an address that its host name resolves to, is one that Redial does not connect to.".to_owned(),
            "Use a host whose every address, IPv4 and IPv6, is public: private, loopback and reserved ones are refused.",
        ),
        FailureCode::DnsFailed => name(cause),
        FailureCode::ConnectFailed => connection(cause),
        FailureCode::ConnectTimeout if step == Step::Tls => (
            "The TCP connection was made, and the TLS handshake did not end in time.".to_owned(),
            "Check that this port speaks TLS, and that no firewall lets the connection in and drops what follows.",
        ),
        FailureCode::ConnectTimeout => (
            "The receiver did not take the connection in time.".to_owned(),
            "A firewall or security group often drops packets without an answer: let in the addresses that Redial \
             sends from, on the URL's port.",
        ),
        FailureCode::TlsFailed => tls(cause),
        FailureCode::Timeout => (
            format!("The receiver took the request, and no answer came within {timeout_ms} ms."),
            "Answer 2xx at once and work afterwards, or raise the endpoint's timeout_ms.",
        ),
        FailureCode::ConnectionClosed => (
            "The receiver closed the connection without an answer.".to_owned(),
            "The receiver's own log, or that of a proxy before it, says why: a crash, a limit, a rule of a firewall.",
        ),
        FailureCode::ProtocolError => (
            "What came back is no HTTP answer, or has too many or too large headers.".to_owned(),
            "Check that an HTTP server listens on this port, and that it answers with fewer headers.",
        ),
    };
    (explanation, Some(advice))
}

fn name(cause: Option<Cause>) -> (String, &'static str) {
    let explanation = match cause {
        Some(Cause::NameWithoutAddress) => "The host name exists and has no address.",
        Some(Cause::TooManyAddresses) => "The host name has more addresses than Redial tries.",
        Some(Cause::LookupTooSlow) => "The name servers of the host name did not answer in time.",
        _ => "The host name did not resolve: there is no such name, or its name servers fail.",
    };
    let advice = match cause {
        Some(Cause::TooManyAddresses) => "Let the name have at most 16 addresses.",
        _ => "Check the spelling of the URL's host, and that it has a public A or AAAA record.",
    };
    (explanation.to_owned(), advice)
}

fn connection(cause: Option<Cause>) -> (String, &'static str) {
    match cause {
        Some(Cause::Unreachable) => (
            "There is no route to the receiver's address.".to_owned(),
            "Check the host name's A and AAAA records: one of them may lead nowhere.",
        ),
        _ => (
            "The receiver refused the connection.".to_owned(),
            "Check that a server listens on the URL's host and port, and that no firewall rejects it.",
        ),
    }
}

fn tls(cause: Option<Cause>) -> (String, &'static str) {
    let (explanation, advice) = match cause {
        Some(Cause::CertificateExpired) => ("The receiver's certificate has expired.", "Renew the certificate."),
        Some(Cause::CertificateNotYetValid) => (
            "The receiver's certificate is not valid yet.",
            "Wait until its notBefore, or have it issued anew with the right time.",
        ),
        Some(Cause::CertificateForAnotherName) => (
            "The receiver's certificate is not for the URL's host.",
            "Use a host name that the certificate lists, or a certificate for this one; check SNI if one address \
             serves many names.",
        ),
        Some(Cause::CertificateSelfSigned) => (
            "The receiver's certificate signs itself.",
            "Use a certificate of a public authority, such as Let's Encrypt.",
        ),
        Some(Cause::CertificateUntrusted) => (
            "No public authority vouches for the receiver's certificate.",
            "Use a certificate of a public authority, not a self-signed one, and send its intermediate certificates \
             along.",
        ),
        Some(Cause::CertificateInvalid) => (
            "The receiver's certificate is not acceptable: it is broken, revoked, or not for servers.",
            "Have the certificate issued anew by a public authority.",
        ),
        Some(Cause::TlsTooOld) => (
            "The receiver and Redial have no TLS version or cipher in common.",
            "Let the receiver speak TLS 1.2 or 1.3.",
        ),
        Some(Cause::NotTls) => (
            "What listens on this port does not speak TLS.",
            "Check the port of the URL: https is usually on 443.",
        ),
        _ => (
            "The receiver broke off the TLS handshake.",
            "Check that this port speaks TLS, that the server knows the URL's host name, and that it asks for no client \
             certificate.",
        ),
    };
    (explanation.to_owned(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Answer;

    const TIMEOUT_MS: u32 = 10_000;

    fn of_status(status: u16) -> Diagnosis {
        let answer = Answer {
            status,
            ..Answer::default()
        };
        diagnose(&Outcome::Answered(answer), Step::Response, None, TIMEOUT_MS)
    }

    #[test]
    fn only_a_2xx_is_well_and_needs_no_advice() {
        for status in 200..1000 {
            let found = of_status(status);
            assert_eq!(found.ok, status < 300, "{status}");
            assert_eq!(found.advice.is_none(), found.ok, "{status}");
            assert_eq!(found.failed_at.is_none(), found.ok, "{status}");
            assert!(found.explanation.contains(&status.to_string()), "{status}");
        }
        assert!(of_status(410).advice.unwrap().contains("disables the endpoint"));
        assert!(of_status(302).explanation.contains("never followed"));
    }

    #[test]
    fn every_failure_names_its_step_and_what_to_mend() {
        for (code, step) in [
            (FailureCode::Blocked, Step::Policy),
            (FailureCode::DnsFailed, Step::Dns),
            (FailureCode::ConnectFailed, Step::Connect),
            (FailureCode::ConnectTimeout, Step::Connect),
            (FailureCode::TlsFailed, Step::Tls),
            (FailureCode::Timeout, Step::Response),
            (FailureCode::ConnectionClosed, Step::Request),
            (FailureCode::ProtocolError, Step::Response),
        ] {
            let found = diagnose(&Outcome::Failed(code), Step::Connect, None, TIMEOUT_MS);
            assert_eq!((found.ok, found.code), (false, code.as_str()));
            assert_eq!(found.failed_at, Some(step), "{code:?}");
            assert!(found.advice.is_some(), "{code:?}");
        }
        let late = Outcome::Failed(FailureCode::ConnectTimeout);
        assert_eq!(diagnose(&late, Step::Tls, None, TIMEOUT_MS).failed_at, Some(Step::Tls));
    }

    #[test]
    fn what_was_refused_is_told_in_one_way_only() {
        let blocked = Outcome::Failed(FailureCode::Blocked);
        let plain = diagnose(&blocked, Step::Policy, None, TIMEOUT_MS);
        for cause in [Cause::Refused, Cause::NotTls, Cause::LookupTooSlow] {
            assert_eq!(diagnose(&blocked, Step::Tls, Some(cause), 1_000), plain);
        }
    }

    #[test]
    fn each_fault_of_a_certificate_has_a_sentence_of_its_own() {
        let causes = [
            Cause::CertificateExpired,
            Cause::CertificateNotYetValid,
            Cause::CertificateForAnotherName,
            Cause::CertificateSelfSigned,
            Cause::CertificateUntrusted,
            Cause::CertificateInvalid,
            Cause::TlsTooOld,
            Cause::NotTls,
            Cause::HandshakeRefused,
        ];
        let failed = Outcome::Failed(FailureCode::TlsFailed);
        let sentences: std::collections::BTreeSet<String> = causes
            .iter()
            .map(|cause| diagnose(&failed, Step::Tls, Some(*cause), TIMEOUT_MS).explanation)
            .collect();
        assert_eq!(sentences.len(), causes.len());
    }
}
