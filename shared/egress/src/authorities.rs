//! Reads the certificate authorities that an operator trusts besides the bundled ones: for receivers whose certificates a
//! private authority issues. They make no address a target: that is `redial_domain::address`'s business alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// What stands at this place of the list is no certificate of an authority.
#[derive(Debug, thiserror::Error)]
#[error("certificate authority {place} is not one")]
pub struct InvalidAuthority {
    place: usize,
    #[source]
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("it is not base64; write a PEM file without its first and last line and without line ends")]
    Base64(#[from] base64::DecodeError),
    #[error("it is not a certificate")]
    Certificate(#[from] rustls::Error),
    #[error("it is not PEM")]
    Pem(#[from] pem::Error),
    #[error("the file holds no certificate in PEM (BEGIN CERTIFICATE)")]
    Nothing,
}

/// Reads certificates: DER in base64 (the inner lines of a PEM file), separated by commas; white space does not count.
///
/// # Errors
/// [`InvalidAuthority`] names the first one, counted from 1, that cannot be trusted.
pub fn authorities(list: &str) -> Result<Vec<CertificateDer<'static>>, InvalidAuthority> {
    let list: String = list.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let texts = list.split(',').filter(|text| !text.is_empty());
    texts
        .zip(1..)
        .map(|(text, place)| read(text).map_err(|reason| InvalidAuthority { place, reason }))
        .collect()
}

/// Reads certificates as PEM files hold them, one after another; text between them does not count.
///
/// # Errors
/// [`InvalidAuthority`] names the first one, counted from 1, that cannot be trusted; or there is none.
pub fn authorities_of_pem(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidAuthority> {
    let read = |certificate: Result<CertificateDer<'static>, pem::Error>| trustworthy(certificate?);
    let found: Vec<_> = CertificateDer::pem_slice_iter(file)
        .zip(1..)
        .map(|(certificate, place)| read(certificate).map_err(|reason| InvalidAuthority { place, reason }))
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        let (place, reason) = (1, Reason::Nothing);
        return Err(InvalidAuthority { place, reason });
    }
    Ok(found)
}

fn read(text: &str) -> Result<CertificateDer<'static>, Reason> {
    trustworthy(CertificateDer::from(STANDARD.decode(text)?))
}

fn trustworthy(certificate: CertificateDer<'static>) -> Result<CertificateDer<'static>, Reason> {
    RootCertStore::empty().add(certificate.clone())?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn authority() -> CertificateDer<'static> {
        let params = CertificateParams::new(Vec::new()).unwrap();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn no_authority_is_trusted_that_nobody_named() {
        for nothing in ["", " ", ","] {
            assert!(authorities(nothing).unwrap().is_empty());
        }
    }

    #[test]
    fn the_inner_lines_of_pem_files_are_read() {
        let (one, two) = (authority(), authority());
        let (first, second) = (STANDARD.encode(&one), STANDARD.encode(&two));
        let (head, tail) = first.split_at(64);
        assert_eq!(authorities(&format!("{head}\n{tail}, {second}")).unwrap(), [one, two]);
    }

    #[test]
    fn pem_files_are_read_whole() {
        let (one, two) = (authority(), authority());
        let pem = |certificate: &CertificateDer<'_>| {
            let text = STANDARD.encode(certificate);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let file = format!("ours\n{}\ntheirs\n{}", pem(&one), pem(&two));
        assert_eq!(authorities_of_pem(file.as_bytes()).unwrap(), [one.clone(), two]);
        let broken = format!("{}{}", pem(&one), pem(&b"foo".to_vec().into()));
        for (file, place) in [("", 1), ("no certificate", 1), (&broken, 2)] {
            assert_eq!(authorities_of_pem(file.as_bytes()).unwrap_err().place, place, "{file}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_by_its_place() {
        let good = STANDARD.encode(authority());
        for (list, place) in [("-----BEGIN", 1), (&format!("{good},Zm9v") as &str, 2)] {
            assert_eq!(authorities(list).unwrap_err().place, place);
        }
    }
}
