//! Heads of answers: good ones as they come, bad ones as a failure of their own kind; and the request as it is sent.

use bytes::Bytes;
use redial_domain::outcome::FailureCode;
use redial_egress::{MAX_RESPONSE_HEADERS, OurFault, Post};

use crate::canary::Canary;
use crate::fixtures::{AMPLE, SHORT, Setup, answered, failed};
use crate::receiver::Receiver;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn the_request_carries_exactly_what_was_given_and_each_header_once() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    let url = setup.egress.admit(&format!("{}?a=1&b=%20", receiver.url())).unwrap();
    let headers = [
        ("X-Custom", "theirs"),
        ("Authorization", "Bearer theirs"),
        ("content-type", "application/json"),
        ("user-agent", "Redial/0.1.0"),
        ("authorization", "Bearer ours"),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let body = Bytes::from_static(b"{\"type\":\"call.ended\"}");
    let exchange = setup
        .egress
        .post(Post {
            whose: "acme",
            url: url.as_str(),
            headers,
            body: body.clone(),
            timeout: AMPLE,
        })
        .await
        .unwrap();
    assert_eq!(answered(exchange).status, 200);

    let requests = receiver.requests();
    let [request] = requests.as_slice() else {
        panic!("one request: {requests:?}")
    };
    assert!(
        request.head.starts_with("POST /hook?a=1&b=%20 HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert_eq!(request.body, body);
    assert_eq!(request.header("host"), [receiver.address.to_string()]);
    assert_eq!(request.header("authorization"), ["Bearer ours"]);
    assert_eq!(request.header("x-custom"), ["theirs"]);
    assert_eq!(request.header("user-agent"), ["Redial/0.1.0"]);
    assert_eq!(request.header("content-type"), ["application/json"]);
    assert_eq!(request.header("content-length"), [body.len().to_string()]);
    for absent in [
        "transfer-encoding",
        "accept-encoding",
        "referer",
        "cookie",
        "te",
        "connection",
    ] {
        assert!(request.header(absent).is_empty(), "{absent}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_our_fault_and_its_value_is_not_shown() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    let url = setup.egress.admit(&receiver.url()).unwrap();
    let headers = vec![("x-secret".to_owned(), "CANARY\r\nx-evil: 1".to_owned())];
    let fault = setup
        .egress
        .post(Post {
            whose: "acme",
            url: url.as_str(),
            headers,
            body: Bytes::new(),
            timeout: AMPLE,
        })
        .await
        .unwrap_err();
    assert!(
        matches!(&fault, OurFault::Header { name, .. } if name == "x-secret"),
        "{fault:?}"
    );
    assert!(!format!("{fault:?} {fault}").contains("CANARY"));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn every_final_status_is_an_answer() {
    let setup = Setup::local();
    for status in [200, 201, 299, 300, 304, 400, 404, 410, 429, 500, 502, 504, 599, 999] {
        let receiver = Receiver::answering(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        let answer = answered(setup.post(&receiver.url(), AMPLE).await);
        assert_eq!((answer.status, answer.truncated), (status, false));
    }
}

#[tokio::test]
async fn no_redirect_of_any_kind_is_followed() {
    let canary = Canary::perch().await;
    let setup = Setup::local();
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for location in [
            format!("http://{}/", canary.address()),
            format!("//{}/", canary.address()),
        ] {
            let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\nrefresh: 0;url={location}\r\n");
            let receiver = Receiver::answering(format!("{head}content-length: 0\r\n\r\n")).await;
            assert_eq!(answered(setup.post(&receiver.url(), AMPLE).await).status, status);
            assert_eq!(receiver.requests().len(), 1);
        }
    }
    canary.assert_never_reached().await;
}

#[tokio::test]
async fn a_redirect_to_the_same_host_is_not_followed_either() {
    let head = "HTTP/1.1 308 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::answering(head).await;
    assert_eq!(answered(Setup::local().post(&receiver.url(), AMPLE).await).status, 308);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn retry_after_is_passed_on_as_it_came() {
    let setup = Setup::local();
    for value in ["0", "-5", "1000000000", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "120"] {
        let head = format!("HTTP/1.1 429 Slow Down\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
        let receiver = Receiver::answering(head).await;
        assert_eq!(
            answered(setup.post(&receiver.url(), AMPLE).await)
                .retry_after
                .as_deref(),
            Some(value)
        );
    }
    let receiver = Receiver::answering(b"HTTP/1.1 503 X\r\nretry-after: \xff\xfe\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answered(setup.post(&receiver.url(), AMPLE).await).retry_after, None);
}

#[tokio::test]
async fn two_hundred_and_fifty_six_headers_pass_and_more_fail_fast() {
    let setup = Setup::local();
    let with_headers = |count: usize| {
        let headers: String = (1..count).map(|n| format!("x-{n}: v\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")
    };
    let receiver = Receiver::answering(with_headers(MAX_RESPONSE_HEADERS)).await;
    assert_eq!(answered(setup.post(&receiver.url(), AMPLE).await).status, 200);
    for count in [MAX_RESPONSE_HEADERS + 1, 10_000] {
        let receiver = Receiver::answering(with_headers(count)).await;
        let exchange = setup.post(&receiver.url(), AMPLE).await;
        assert!(
            u128::from(exchange.duration_ms) < AMPLE.as_millis() / 2,
            "{} ms",
            exchange.duration_ms
        );
        assert_eq!(failed(exchange), FailureCode::ProtocolError);
    }
}

#[tokio::test]
async fn an_endless_header_line_is_cut_off() {
    let receiver = Receiver::start(|mut connection| async move {
        connection.answer("HTTP/1.1 200 OK\r\nx-endless: ").await;
        while connection.send([b'a'; 4096]).await {}
    })
    .await;
    let exchange = Setup::local().post(&receiver.url(), AMPLE).await;
    assert!(
        u128::from(exchange.duration_ms) < AMPLE.as_millis() / 2,
        "{} ms",
        exchange.duration_ms
    );
    assert_eq!(failed(exchange), FailureCode::ProtocolError);
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    let setup = Setup::local();
    for bytes in [
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "<html>hello</html>\r\n\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ] {
        let receiver = Receiver::answering(bytes).await;
        assert_eq!(
            failed(setup.post(&receiver.url(), AMPLE).await),
            FailureCode::ProtocolError,
            "{bytes:?}"
        );
        assert_eq!(receiver.requests().len(), 1, "{bytes:?}");
    }
}

#[tokio::test]
async fn early_hints_are_passed_over_and_an_endless_row_of_them_is_a_timeout() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(3);
    let setup = Setup::local();
    let receiver = Receiver::answering(format!("{hints}{OK}")).await;
    assert_eq!(answered(setup.post(&receiver.url(), AMPLE).await).status, 200);

    let receiver = Receiver::start(|mut connection| async move {
        connection.request().await;
        while connection.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await {}
    })
    .await;
    assert_eq!(failed(setup.post(&receiver.url(), SHORT).await), FailureCode::Timeout);
}

#[tokio::test]
async fn an_endless_row_of_early_hints_does_not_stop_the_others() {
    let flood = Receiver::start(|mut connection| async move {
        connection.request().await;
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_500);
        while connection.send(&hints).await {}
    })
    .await;
    let (setup, good) = (Setup::local(), Receiver::answering(OK).await);
    let timeout = std::time::Duration::from_secs(2);
    let flood_url = flood.url();
    let (flooded, others) = tokio::join!(setup.post(&flood_url, timeout), async {
        for _ in 0..5 {
            let exchange = setup.post(&good.url(), AMPLE).await;
            assert!(exchange.duration_ms < 2_000, "{} ms", exchange.duration_ms);
            answered(exchange);
        }
    });
    let () = others;
    assert!(flooded.duration_ms < 3_000, "{} ms", flooded.duration_ms);
    assert_eq!(failed(flooded), FailureCode::Timeout);
}

/// Two parsers read a URL, ours and the HTTP client's: what the one takes the other must, and mean the same.
#[tokio::test]
async fn every_url_that_is_accepted_is_asked_for_as_it_was_read() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    let origin = format!("http://{}", receiver.address);
    let mut expected = Vec::new();
    let odd = [
        "",
        "?",
        "?x",
        "//",
        "/.",
        "/../a",
        "/%",
        "/%zz%2",
        "/é/ü",
        "?q=é",
        "/\u{10ffff}",
        "?a?b?c",
    ];
    let each = (0x21..0x7f_u8).map(|c| format!("/a{0}b?x={0}y", char::from(c)));
    for path in odd.map(str::to_owned).into_iter().chain(each) {
        let Ok(url) = setup.egress.admit(&format!("{origin}{path}")) else {
            continue;
        };
        expected.push(url.url()[url::Position::BeforePath..url::Position::AfterQuery].to_owned());
        assert_eq!(answered(setup.post(url.as_str(), AMPLE).await).status, 200, "{path}");
    }
    let requests = receiver.requests();
    let asked = requests.iter().map(|request| request.head.split(' ').nth(1).unwrap());
    assert_eq!(asked.collect::<Vec<_>>(), expected);
    assert!(expected.len() > 90, "{expected:?}");
}
