//! The console's pages and files as they are served: what they are, how long they may be kept, and what they may do.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;

use super::stand::{Reply, Stand};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

async fn get(stand: &Stand, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    stand.respond(request.body(Body::empty()).unwrap()).await
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

/// What the shell names below `/console/`.
fn named(shell: &str) -> BTreeSet<String> {
    let quoted = shell.split('"').filter(|part| part.starts_with("/console/"));
    let files = quoted.filter(|path| path.rsplit('/').next().is_some_and(|name| name.contains('.')));
    files.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_page_is_the_shell_and_needs_no_key() {
    let stand = Stand::new().await;
    let shell = get(&stand, "/console", &[]).await;
    assert_eq!(shell.status, 200);
    assert_eq!(shell.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(shell.headers["cache-control"], "no-cache");
    for page in [
        "/console/",
        "/console/sign-in",
        "/console/portal?lang=ar",
        "/console/t/acme/endpoints",
        "/console/t/acme/deliveries/e1.ep_1",
        "/console/t/acme/event-types/call.ended",
    ] {
        assert_eq!(get(&stand, page, &[]).await, shell, "{page}");
    }
    for wrong in ["POST", "DELETE", "PUT"] {
        let request = Request::builder().method(wrong).uri("/console").body(Body::empty());
        let reply = stand.respond(request.unwrap()).await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"));
    }
}

#[tokio::test]
async fn what_the_shell_names_is_there_and_may_be_kept_for_ever() {
    let stand = Stand::new().await;
    let named = named(&text(&get(&stand, "/console", &[]).await));
    assert!(named.iter().any(|path| path.ends_with(".js")) && named.iter().any(|path| path.ends_with(".css")));
    for path in &named {
        let reply = get(&stand, path, &[]).await;
        assert_eq!(reply.status, 200, "{path}");
        let expected = match path.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{path}: {other}"),
        };
        assert_eq!(reply.headers["content-type"], expected, "{path}");
        assert_eq!(
            reply.headers["cache-control"], "public, max-age=31536000, immutable",
            "{path} is named without its version"
        );
        // The same under the path that does not change, for a while only.
        let (_, rest) = path.strip_prefix("/console/").unwrap().split_once('/').unwrap();
        let plain = get(&stand, &format!("/console/{rest}"), &[]).await;
        assert_eq!((plain.status, &plain.body), (200, &reply.body), "{path}");
        assert_eq!(plain.headers["cache-control"], "no-cache");
    }
    for missing in ["/console/nothing.js", "/console/v-0/nothing.js", "/console/lib/nothing"] {
        let reply = get(&stand, missing, &[]).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{missing}");
        assert_eq!(reply.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn pages_may_run_their_own_scripts_and_be_framed_by_nobody() {
    let stand = Stand::new().await;
    let named = named(&text(&get(&stand, "/console", &[]).await));
    for path in named.iter().map(String::as_str).chain(["/console", "/console/t/acme"]) {
        let reply = get(&stand, path, &[]).await;
        assert_eq!(reply.headers["content-security-policy"], POLICY, "{path}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert_eq!(reply.headers["referrer-policy"], "no-referrer");
        assert_eq!(reply.headers["x-frame-options"], "DENY");
    }
}

#[tokio::test]
async fn a_file_is_packed_for_whoever_takes_it_and_sent_once() {
    let stand = Stand::new().await;
    let plain = get(&stand, "/console", &[]).await;
    let packed = get(&stand, "/console", &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(!plain.headers.contains_key("content-encoding"));
    assert_eq!(plain.headers["vary"], "accept-encoding");
    assert_ne!(plain.headers["etag"], packed.headers["etag"]);
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    for (reply, accepted) in [(&plain, ""), (&packed, "gzip")] {
        let tag = reply.headers["etag"].to_str().unwrap();
        for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let headers = [("if-none-match", known.as_str()), ("accept-encoding", accepted)];
            let again = get(&stand, "/console", &headers).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
            assert_eq!(again.headers["etag"], tag);
        }
        let headers = [("if-none-match", "\"x\""), ("accept-encoding", accepted)];
        assert_eq!(get(&stand, "/console", &headers).await.status, 200);
    }
}

/// Bytes that the first page may take, packed.
const FIRST_PAGE_BYTES: usize = 150 * 1024;

#[tokio::test]
async fn the_shell_is_short_and_names_nothing_of_others() {
    let stand = Stand::new().await;
    let shell = text(&get(&stand, "/console", &[]).await);
    assert!(!shell.contains("http://") && !shell.contains("https://") && !shell.contains("style="));
    let inline = shell.split("<script").skip(1).filter(|script| !script.contains("src="));
    assert_eq!(inline.count(), 0);
    let mut bytes = 0;
    for path in named(&shell) {
        let reply = get(&stand, &path, &[("accept-encoding", "gzip")]).await;
        bytes += reply.body.len();
    }
    assert!(bytes <= FIRST_PAGE_BYTES, "{bytes} bytes");
}
