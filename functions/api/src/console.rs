//! The web console: files that are part of the program (`build.rs` lists them), and its shell for every page, which a script
//! draws. Asks no store and no key: whatever the console shows it asks this API for, like everybody else.

use std::io::Read as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use flate2::read::GzDecoder;
use redial_domain::frame::FrameAncestors;
use redial_platform::problem::Problem;

use crate::Api;

mod files {
    use super::File;

    include!(concat!(env!("OUT_DIR"), "/console.rs"));
}

/// Where the console is.
pub(crate) const PATH: &str = "/console";
/// What every page begins with.
const SHELL: &str = "index.html";
/// The name may stay while the content changes: to be asked for each time, and answered 304 if it has not.
const ASK_AGAIN: &str = "no-cache";
/// The path changes with the content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A file of the console.
struct File {
    /// Below `/console/`.
    path: &'static str,
    /// Its content type.
    kind: &'static str,
    /// Of its content.
    digest: &'static str,
    /// It, packed: as it is, only the few readers want it that take no gzip, and the zip of the function has it once.
    gzip: &'static [u8],
}

impl File {
    fn plain(&self) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        GzDecoder::new(self.gzip).read_to_end(&mut plain)?;
        Ok(plain)
    }
}

/// The pages and files. They are no part of the API, and its description does not have them.
pub(crate) fn routes() -> axum::Router<Arc<Api>> {
    axum::Router::new()
        .route(PATH, get(serve))
        .route("/console/", get(serve))
        .route("/console/{*path}", get(serve))
}

async fn serve(State(api): State<Arc<Api>>, uri: Uri, asked: HeaderMap) -> Result<Response, Problem> {
    let (file, cache) = find(uri.path()).ok_or_else(|| Problem::not_found("file"))?;
    let packed = takes_gzip(&asked);
    let tag = format!("\"{}{}\"", file.digest, if packed { "-gz" } else { "" });
    let mut response = if is_known(&asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if packed {
        Body::from(file.gzip).into_response()
    } else {
        Body::from(file.plain().map_err(|_| Problem::internal())?).into_response()
    };
    let is_whole = response.status().is_success();
    let headers = response.headers_mut();
    if is_whole {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
        if packed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // A quoted digest is a header's value.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    protect(headers, &api.frame_ancestors);
    Ok(response)
}

/// docs/SECURITY.md §4: scripts, styles and requests of this origin and no others, nothing inline.
fn protect(headers: &mut HeaderMap, ancestors: &FrameAncestors) {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors {}",
        ancestors.directive()
    );
    // Origins were read strictly, so they make a header.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if ancestors.is_none() {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// The file that a path names, and how long it may be kept. What names none is a page, and so the shell, unless it lies where
/// files do: a script that is missing must not look like HTML.
fn find(path: &str) -> Option<(&'static File, &'static str)> {
    let path = path.strip_prefix(PATH).unwrap_or_default().trim_start_matches('/');
    let versioned = path.strip_prefix("v-").and_then(|rest| rest.split_once('/'));
    let (name, cache) = match versioned {
        Some((build, name)) if build == files::BUILD => (name, FOR_EVER),
        // A page that was opened before an update asks for the rest of it: the new one is better than none.
        Some((_, name)) => (name, ASK_AGAIN),
        None => (path, ASK_AGAIN),
    };
    match by_name(name) {
        Some(file) => Some((file, cache)),
        None if versioned.is_some() || lies_among_files(name) => None,
        None => by_name(SHELL).map(|shell| (shell, ASK_AGAIN)),
    }
}

fn by_name(name: &str) -> Option<&'static File> {
    let found = files::FILES.binary_search_by(|file| file.path.cmp(name));
    found.ok().and_then(|at| files::FILES.get(at))
}

/// True below a folder that has files, and for a name with an ending at the top. Pages below have ids in their paths, which may
/// have dots.
fn lies_among_files(name: &str) -> bool {
    match name.split_once('/') {
        Some((folder, _)) => {
            let is_in = |file: &File| file.path.split_once('/').is_some_and(|(of, _)| of == folder);
            files::FILES.iter().any(is_in)
        }
        None => name.contains('.'),
    }
}

/// True if the reader says that it takes gzip (RFC 9110 section 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        is_gzip && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// True if the reader has it already (RFC 9110 section 13.1.2). A proxy may have made the tag a weak one.
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> Option<&'static str> {
        find(path).map(|(file, _)| file.path)
    }

    #[test]
    fn every_file_is_found_under_its_name_and_for_ever_under_its_build() {
        assert!(files::FILES.is_sorted_by_key(|file| file.path));
        for file in files::FILES {
            let (found, cache) = find(&format!("/console/{}", file.path)).unwrap();
            assert_eq!((found.path, cache), (file.path, ASK_AGAIN));
            let (found, cache) = find(&format!("/console/v-{}/{}", files::BUILD, file.path)).unwrap();
            assert_eq!((found.path, cache), (file.path, FOR_EVER));
            let (found, cache) = find(&format!("/console/v-older/{}", file.path)).unwrap();
            assert_eq!((found.path, cache), (file.path, ASK_AGAIN));
        }
    }

    #[test]
    fn pages_are_the_shell_whatever_ids_they_name() {
        for page in [
            "/console",
            "/console/",
            "/console/sign-in",
            "/console/portal",
            "/console/t/acme/endpoints/ep_1",
            "/console/t/acme/deliveries/evt_1.ep_1",
            "/console/t/acme/event-types/call.ended",
            "/console/t/acme/event-types/app.js",
            "/console/t/%ff",
            "/console/../../etc/passwd",
        ] {
            assert_eq!(named(page), Some(SHELL), "{page}");
        }
    }

    #[test]
    fn a_file_that_is_missing_is_no_page() {
        for path in [
            "/console/favicon.ico",
            "/console/nothing.js",
            "/console/v-x/nothing.js",
            "/console/v-x/t/acme",
        ] {
            assert_eq!(named(path), None, "{path}");
        }
        let folder = files::FILES
            .iter()
            .find_map(|file| file.path.split_once('/'))
            .unwrap()
            .0;
        assert_eq!(named(&format!("/console/{folder}/nothing")), None);
    }

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            takes_gzip(&headers)
        };
        assert!(asked("gzip") && asked("br, GZIP;q=0.5") && asked("deflate, gzip; q=1"));
        assert!(!asked("") && !asked("br") && !asked("gzip;q=0") && !asked("identity, x-gzip2"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
