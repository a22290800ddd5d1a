//! Bodies: a request's read whole and bounded, an answer's that knows when its first byte is written and when it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::progress::{Phase, Progress};
use crate::api::Polled;

/// The request's body, or a prefix longer than `limit`: what lies beyond is not read. `None` where the client broke off.
pub async fn read(mut body: Incoming, limit: usize) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        // Nearly every body comes in one piece, which then needs no copy.
        if whole.is_empty() && body.is_end_stream() {
            return Some(data);
        }
        whole.extend_from_slice(&data);
        if whole.len() > limit {
            break;
        }
    }
    Some(whole.freeze())
}

/// An answer's body. While it exists its connection is at work; after it, idle.
pub struct AnswerBody {
    content: Content,
    progress: Arc<Progress>,
}

enum Content {
    /// Our own: one piece, and what takes its messages off the session when it goes out.
    Whole {
        data: Option<Bytes>,
        polled: Option<Polled>,
    },
    Forwarded(Incoming),
}

impl AnswerBody {
    pub fn whole(data: Vec<u8>, polled: Option<Polled>, progress: Arc<Progress>) -> Self {
        Self { content: Content::Whole { data: Some(data.into()), polled }, progress }
    }

    pub fn forwarded(body: Incoming, progress: Arc<Progress>) -> Self {
        Self { content: Content::Forwarded(body), progress }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.progress.enter(Phase::Idle);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.content {
            Content::Whole { data, polled } => {
                if let Some(polled) = polled.take() {
                    polled.commit();
                }
                Poll::Ready(data.take().map(|data| Ok(Frame::data(data))))
            }
            Content::Forwarded(body) => Poll::Ready(ready!(Pin::new(body).poll_frame(cx))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole { data, .. } => data.is_none(),
            Content::Forwarded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Content::Forwarded(body) => body.size_hint(),
        }
    }
}

/// A request's body on its way to the application, bounded.
pub struct ForwardedBody {
    body: Incoming,
    left: usize,
    progress: Arc<Progress>,
}

/// The body went over its bound.
#[derive(Debug)]
pub struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request body is over its bound")
    }
}

impl std::error::Error for TooLarge {}

impl ForwardedBody {
    pub fn new(body: Incoming, limit: usize, progress: Arc<Progress>) -> Self {
        Self { body, left: limit, progress }
    }
}

impl Drop for ForwardedBody {
    fn drop(&mut self) {
        self.progress.advance(Phase::Body, Phase::Working);
    }
}

impl Body for ForwardedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame?;
        let Some(left) = self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
            return Poll::Ready(Some(Err(TooLarge.into())));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
