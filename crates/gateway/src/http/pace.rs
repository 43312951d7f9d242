//! Patience with the other side of a connection: for its next byte, and on average for all of them.
//!
//! A deadline alone would either be too short for a large body on a slow line, or long enough to hold memory for hours at a byte
//! every few seconds. So there are two: no wait may last longer than the pause, and all waits together no longer than the pause
//! and what the bytes that moved take at the slowest pace. Only waiting counts: what we take ourselves is nobody's fault.
//!
//! A timer exists only while something is waited for. A write that the system takes at once arms none.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// The slowest pace of a body that a client sends: 20 MB take at most 43 minutes. Less than any line that people send images over.
const SENT: u64 = 8 * 1024;

/// The slowest pace at which a client takes an answer. Lower, because an answer is long text: a modem reads faster.
const TAKEN: u64 = 1024;

/// How patient we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pause: Duration,
    bytes_per_s: u64,
}

impl Pace {
    /// For what clients send.
    pub(super) fn of_body(pause: Duration) -> Self {
        Self { pause, bytes_per_s: SENT }
    }

    /// For what clients are sent.
    pub(super) fn of_answer(pause: Duration) -> Self {
        Self { pause, bytes_per_s: TAKEN }
    }

    /// How long the next wait may last, when so many bytes have moved and so long has been waited for them.
    fn next_wait(self, moved: u64, waited: Duration) -> Duration {
        let whole = Duration::from_millis(moved.saturating_mul(1_000) / self.bytes_per_s);
        self.pause.min((self.pause + whole).saturating_sub(waited))
    }
}

/// The waits of one transfer.
#[derive(Debug)]
pub(super) struct Waiting {
    pace: Pace,
    /// Bytes since the first wait: what moved before it, nobody had to be patient for.
    moved: u64,
    waited: Duration,
    /// It is over then, however fast it goes.
    ends_at: Option<Instant>,
    now: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Waiting {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, moved: 0, waited: Duration::ZERO, ends_at: None, now: None }
    }

    /// A wait is too long after this, whatever has moved.
    pub(super) fn end_at(&mut self, ends_at: Option<Instant>) {
        self.ends_at = ends_at;
    }

    /// So many bytes moved, so nothing is waited for any more.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.now.take() {
            self.waited += since.elapsed();
        }
        if self.waited > Duration::ZERO {
            self.moved = self.moved.saturating_add(bytes as u64);
        }
    }

    /// Whether its end has come. Nobody was waited for: it has none, however long it takes.
    pub(super) fn is_over(&self) -> bool {
        self.waited > Duration::ZERO && self.ends_at.is_some_and(|ends_at| Instant::now() >= ends_at)
    }

    /// To be polled while nothing moves: ready when it has been waited for too long.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (_, timer) = self.now.get_or_insert_with(|| {
            let now = Instant::now();
            let due = now + self.pace.next_wait(self.moved, self.waited);
            let due = self.ends_at.map_or(due, |ends_at| due.min(ends_at));
            (now, Box::pin(tokio::time::sleep_until(due)))
        });
        timer.as_mut().poll(context)
    }
}

/// The body did not come in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub(super) struct Late;

/// A body that has to come at some pace, whoever reads it.
pub(super) struct Paced<B> {
    body: B,
    waiting: Waiting,
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, pause: Duration) -> Self {
        Self { body, waiting: Waiting::new(Pace::of_body(pause)) }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = bytes::Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = bytes::Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, bytes::Bytes::len),
                Some(Err(_)) | None => 0,
            };
            self.waiting.moved(bytes);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.waiting.poll_late(context));
        Poll::Ready(Some(Err(Box::new(Late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_wait_is_as_long_as_the_pause_unless_all_of_it_goes_too_slowly() {
        let body = Pace::of_body(MINUTE);
        let answer = Pace::of_answer(MINUTE);
        let cases = [
            (body, 0, 0, 60),
            (body, 0, 59, 1),
            (body, 0, 61, 0),
            // A byte in five seconds buys nothing.
            (body, 12, 59, 1),
            // A phone at 64 kbit/s may go on for as long as it takes.
            (body, 20 << 20, 40 * 60, 60),
            (body, 20 << 20, 43 * 60, 40),
            (body, 20 << 20, 44 * 60, 0),
            (answer, 1 << 20, 17 * 60, 60),
            (answer, 1 << 20, 19 * 60, 0),
        ];
        for (pace, moved, waited, expected) in cases {
            let next = pace.next_wait(moved, Duration::from_secs(waited));
            assert_eq!(next.as_secs(), expected, "{pace:?}: {moved} bytes, {waited} s");
        }
    }

    /// How a body of such pieces ends that come with such pauses between them: bytes, and whether they were all.
    async fn read(pieces: usize, size: usize, between: Duration) -> (usize, bool, Duration) {
        let queue: VecDeque<Bytes> = (0..pieces).map(|_| Bytes::from(vec![b'x'; size])).collect();
        let stream = futures_util::stream::unfold(queue, move |mut queue| async move {
            let piece = queue.pop_front()?;
            tokio::time::sleep(between).await;
            Some((Ok::<_, std::convert::Infallible>(Frame::data(piece)), queue))
        });
        let mut body = Paced::new(StreamBody::new(Box::pin(stream)), MINUTE);
        let (begun, mut bytes) = (Instant::now(), 0);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Err(error) => {
                    assert!(error.is::<Late>());
                    return (bytes, false, begun.elapsed());
                }
            }
        }
        (bytes, true, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_cut_when_it_drips_or_stops_and_not_when_the_line_is_slow() {
        let seconds = Duration::from_secs;
        let (_, whole, after) = read(20 << 20, 1, seconds(5)).await;
        assert!(!whole && after <= seconds(61), "a byte in five seconds: {after:?}");
        let (bytes, whole, after) = read(3, 1024, seconds(70)).await;
        assert_eq!((bytes, whole, after), (0, false, seconds(60)), "it stops");
        let (bytes, whole, _) = read(20 << 6, 16 << 10, Duration::from_millis(1_900)).await;
        assert_eq!((bytes, whole), (20 << 20, true), "20 MB at 8.6 KB a second");
        let (bytes, whole, after) = read(20 << 6, 16 << 10, Duration::from_millis(2_500)).await;
        assert!(!whole && bytes > 1 << 20, "6.5 KB a second are too slow in the end: {bytes} in {after:?}");
        let (bytes, whole, _) = read(50, 10, seconds(1)).await;
        assert_eq!((bytes, whole), (500, true), "a small body may take its time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_has_an_end_if_it_is_given_one_and_without_a_wait_it_has_no_timer() {
        let mut waiting = Waiting::new(Pace::of_answer(MINUTE));
        (0..1_000).for_each(|_| waiting.moved(1 << 20));
        assert!(waiting.now.is_none() && waiting.moved == 0, "nobody waited");
        waiting.end_at(Some(Instant::now() + Duration::from_secs(90)));
        let begun = Instant::now();
        for _ in 0..3 {
            let moved = tokio::time::timeout(Duration::from_secs(40), std::future::poll_fn(|c| waiting.poll_late(c)));
            if moved.await.is_ok() {
                break;
            }
            waiting.moved(1 << 20);
        }
        assert_eq!(begun.elapsed().as_secs(), 90, "however much moves");
    }
}
