//! Whoever sends half a request is left alone after a while, and takes nobody's place for longer.

use axum::routing::post;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

const SHORT: Duration = Duration::from_millis(300);
const AMPLE: Duration = Duration::from_secs(30);
const WHOLE: &str = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";

struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<io::Result<()>>,
}

async fn served(bounds: Bounds) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", post(|body: String| async move { body }));
    let (stop, stopped) = watch::channel(false);
    let ended = tokio::spawn(serve(listener, router, bounds, stopped));
    Served { address, stop, ended }
}

async fn sent(served: &Served, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What comes until the connection is ended.
async fn until_ended(mut stream: TcpStream) -> String {
    let mut read = String::new();
    let ended = tokio::time::timeout(AMPLE, stream.read_to_string(&mut read)).await;
    assert!(ended.is_ok(), "still open after {read:?}");
    read
}

async fn answered(stream: &mut TcpStream) -> String {
    let mut read = vec![0; 4096];
    let count = tokio::time::timeout(AMPLE, stream.read(&mut read))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(read[..count].to_vec()).unwrap()
}

#[tokio::test]
async fn half_a_request_is_ended_and_a_whole_one_answered() {
    let bounds = Bounds {
        head: SHORT,
        body: SHORT,
        ..Bounds::SERVED
    };
    let served = served(bounds).await;
    for half in ["", "POST / HT", "POST / HTTP/1.1\r\nhost: localhost\r\nx: "] {
        let read = until_ended(sent(&served, half).await).await;
        assert!(!read.contains(" 200 "), "{half:?}: {read}");
    }
    let half_a_body = WHOLE.strip_suffix("}").unwrap();
    let read = until_ended(sent(&served, half_a_body).await).await;
    assert!(read.starts_with("HTTP/1.1 400"), "{read}");
    let mut whole = sent(&served, WHOLE).await;
    assert!(answered(&mut whole).await.starts_with("HTTP/1.1 200 OK"));
    // And is not kept for ever.
    until_ended(whole).await;
}

#[tokio::test]
async fn who_finds_no_place_waits_for_one() {
    let bounds = Bounds {
        head: SHORT,
        connections: 2,
        ..Bounds::SERVED
    };
    let served = served(bounds).await;
    let silent = [sent(&served, "").await, sent(&served, "POST").await];
    let mut third = sent(&served, WHOLE).await;
    assert!(answered(&mut third).await.starts_with("HTTP/1.1 200 OK"));
    for stream in silent {
        until_ended(stream).await;
    }
}

#[tokio::test]
async fn it_stops_when_it_is_told() {
    let served = served(Bounds::SERVED).await;
    let mut idle = sent(&served, WHOLE).await;
    answered(&mut idle).await;
    served.stop.send(true).unwrap();
    tokio::time::timeout(AMPLE, served.ended)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(until_ended(idle).await, "");
}
