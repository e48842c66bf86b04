//! How fast a receiver may talk. hyper reads and parses as long as bytes come: of an endless row of `103 Early Hints`, frames
//! or TLS records it takes what the machine can, in one go, while the other deliveries of the batch stand still and deadlines
//! pass unseen. So what comes on a connection is read in small parts, and no more of it than an honest receiver ever sends.
//!
//! It lies under TLS: a handshake is metered too. It must never change or drop a byte, and never hold back what is written.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use crate::stopwatch::Stopwatch;

/// Over what time a receiver's bytes are counted. docs/LIMITS.md.
pub const READ_PERIOD: Duration = Duration::from_millis(100);

/// Bytes that are read from one connection within [`READ_PERIOD`]; the rest waits in the system's buffers, and then with the
/// receiver. An answer is at most 16 KiB of body and some headers, ten of them at once on one connection of HTTP/2.
/// docs/LIMITS.md.
pub const MAX_READ_IN_PERIOD: usize = 128 * 1024;

/// Bytes that are read at once: as much as a TLS record holds.
const READ_AT_ONCE: usize = 16 * 1024;

/// A connection that is read no faster than that.
pub(crate) struct Metered<S> {
    stream: S,
    period: Stopwatch,
    read: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            period: Stopwatch::start(),
            read: 0,
            pause: None,
        }
    }

    /// What is metered.
    pub(crate) const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Waits until something may be read.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if self.period.elapsed() >= READ_PERIOD {
                self.period = Stopwatch::start();
                self.read = 0;
            }
            if self.read < MAX_READ_IN_PERIOD {
                return Poll::Ready(());
            }
            self.pause = Some(Box::pin(sleep_until(self.period.started_at() + READ_PERIOD)));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx));
        let count = if into.remaining() <= READ_AT_ONCE {
            // As most are. What is only a part must be set to zero first, also if nothing is there to be read.
            let before = into.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
            into.filled().len() - before
        } else {
            let mut part = ReadBuf::new(into.initialize_unfilled_to(READ_AT_ONCE));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            let count = part.filled().len();
            into.advance(count);
            count
        };
        self.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_read_whole_and_no_faster_than_it_may() {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let sent: Vec<u8> = (0..MAX_READ_IN_PERIOD * 5 / 2).map(|n| (n % 251) as u8).collect();
        let all = sent.clone();
        let writing = tokio::spawn(async move { theirs.write_all(&all).await });
        let began = Stopwatch::start();
        let (mut metered, mut read) = (Metered::new(ours), Vec::new());
        metered.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(read == sent, "{} bytes of {}", read.len(), sent.len());
        assert!(began.elapsed() >= READ_PERIOD * 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_honest_answer_waits_for_nothing() {
        let (ours, mut theirs) = tokio::io::duplex(MAX_READ_IN_PERIOD);
        let mut metered = Metered::new(ours);
        let began = Stopwatch::start();
        for _ in 0..4 {
            theirs.write_all(&[0; MAX_READ_IN_PERIOD / 4]).await.unwrap();
            metered.read_exact(&mut [0; MAX_READ_IN_PERIOD / 4]).await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
