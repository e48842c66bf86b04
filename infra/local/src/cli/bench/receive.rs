//! The receiver of a bench, in a process of its own, so that its CPU is not the server's. One thread; it notes when a request
//! is there as a whole, and answers. It ends when the bench that started it is gone.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, BufRead as _, Write as _};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use redial_platform::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use super::arguments::FailingKind;
use super::board::{Answer, Board, Signed};
use super::error::{BenchError, Part};
use super::moment::now_ns;
use super::single::on_one_thread;
use super::words::{Cells, Order, Ready};
use crate::cli::error::{CliError, Finish};

/// Largest request taken, in bytes: an event of 256 KiB in any envelope fits.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long an endpoint that hangs holds a request: longer than any timeout, which is at most 30 s.
const HANG: Duration = Duration::from_secs(60);
/// How long to wait when no connection can be taken.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Orders as they are read.
type Orders = mpsc::UnboundedReceiver<Result<Order, BenchError>>;

/// What all connections share.
#[derive(Default)]
struct Receiver {
    board: RefCell<Board>,
    failing_kind: RefCell<Option<FailingKind>>,
    /// How many deliveries somebody waits for.
    wanted: RefCell<Option<u64>>,
    reached: Notify,
}

/// Receives until the standard input ends.
pub(super) async fn run(port: u16) -> Result<Finish, CliError> {
    on_one_thread("receiver", move || receive(port)).await?;
    Ok(Finish::Complete)
}

async fn receive(port: u16) -> Result<(), BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(BenchError::Machine)?;
    let port = listener.local_addr().map_err(BenchError::Machine)?.port();
    let orders = orders()?;
    say(&Ready { port }, &[])?;
    let receiver = Rc::new(Receiver::default());
    let mut obeyed = tokio::task::spawn_local(obey_all(orders, Rc::clone(&receiver)));
    loop {
        tokio::select! {
            taken = listener.accept() => match taken {
                Ok((stream, _)) => {
                    receiver.board.borrow_mut().counts.connections += 1;
                    tokio::task::spawn_local(converse(stream, Rc::clone(&receiver)));
                }
                // No file handles: those who are there first have to go.
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            },
            ended = &mut obeyed => return ended.map_err(|_| BenchError::DriverGone)?,
        }
    }
}

/// Obeys until there are no more orders.
async fn obey_all(mut orders: Orders, receiver: Rc<Receiver>) -> Result<(), BenchError> {
    while let Some(order) = orders.recv().await {
        obey(order?, &receiver).await?;
    }
    Ok(())
}

/// What the bench says, line by line, until it says no more. The thread waits in a read that nothing can cut off, and ends
/// with the process.
fn orders() -> Result<Orders, BenchError> {
    let (send, orders) = mpsc::unbounded_channel();
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let order = serde_json::from_str(&line).map_err(|source| BenchError::NotUnderstood {
                part: Part::Receiver,
                source,
            });
            if send.send(order).is_err() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("orders".to_owned());
    thread.spawn(read).map_err(BenchError::Machine)?;
    Ok(orders)
}

async fn obey(order: Order, receiver: &Receiver) -> Result<(), BenchError> {
    match order {
        Order::Expect(expected) => {
            receiver.failing_kind.replace(Some(expected.failing_kind));
            receiver.board.replace(Board::of(expected));
        }
        Order::Wait { want, at_most_ms } => {
            if receiver.board.borrow().counts.delivered < want {
                receiver.wanted.replace(Some(want));
                // Reached or not: the counts say it.
                let _ = tokio::time::timeout(Duration::from_millis(at_most_ms), receiver.reached.notified()).await;
                receiver.wanted.replace(None);
            }
        }
        Order::Tell => {
            let board = receiver.board.borrow();
            let cells = board.cells();
            let line = Cells { cells: cells.len() };
            let mut bytes = Vec::with_capacity(line.bytes());
            cells.iter().for_each(|cell| cell.write(&mut bytes));
            return say(&line, &bytes);
        }
    }
    let counts = receiver.board.borrow().counts;
    say(&counts, &[])
}

/// A line to the bench, and what follows it.
fn say(line: &impl serde::Serialize, bytes: &[u8]) -> Result<(), BenchError> {
    let part = Part::Receiver;
    let text = serde_json::to_string(line).map_err(|source| BenchError::NotUnderstood { part, source })?;
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}")
        .and_then(|()| out.write_all(bytes))
        .and_then(|()| out.flush());
    written.map_err(|source| BenchError::Pipe { part, source })
}

async fn converse(stream: TcpStream, receiver: Rc<Receiver>) {
    // An answer is a few bytes, which must not wait for more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| take(request, Rc::clone(&receiver)));
    // A sender that hangs up is no failure of ours.
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn take(request: Request<Incoming>, receiver: Rc<Receiver>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(answer(StatusCode::BAD_REQUEST));
    };
    let body = body.to_bytes();
    let at_ns = now_ns();
    let place = head.uri.path().strip_prefix("/e/").and_then(|place| place.parse().ok());
    let taken = {
        let mut board = receiver.board.borrow_mut();
        let taken = board.take(place, &body, at_ns);
        if board.is_to_be_checked() {
            let header = |name: &str| {
                head.headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or("")
            };
            let signed = Signed {
                id: header("webhook-id"),
                timestamp: header("webhook-timestamp"),
                signature: header("webhook-signature"),
            };
            board.check(signed, &body, Clock::System.now());
        }
        if receiver
            .wanted
            .borrow()
            .is_some_and(|want| board.counts.delivered >= want)
        {
            receiver.reached.notify_one();
            receiver.wanted.replace(None);
        }
        taken
    };
    Ok(answer(match taken {
        Answer::Taken => StatusCode::NO_CONTENT,
        Answer::Unknown => StatusCode::NOT_FOUND,
        Answer::Failed => {
            let kind = *receiver.failing_kind.borrow();
            if kind == Some(FailingKind::Hang) {
                tokio::time::sleep(HANG).await;
            }
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }))
}

fn answer(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}
