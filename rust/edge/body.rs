//! Bodies: a request's read whole and bounded, or bounded on its way through; an answer's, in one piece, that knows when it
//! ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::places::{Places, Room, SMALL_BODY, UnreadRoom};
use super::progress::{Phase, Progress};

/// How much of a body is taken from the wire. A client whose body is cut off may miss the answer, for its connection is
/// closed; so only what is far beyond the bound is cut off.
const MAX_DRAINED: usize = 1_000_000;

/// A request's body as far as it was read.
pub struct Whole {
    /// The body, or a prefix longer than the limit.
    pub data: Bytes,
    /// More was still to come, so that the connection is of no further use.
    pub cut_off: bool,
    _room: Option<Room>,
}

/// Reads a request's body, keeping little more than `limit` of it.
pub async fn read(mut body: Incoming, limit: usize, places: &Places) -> Result<Whole, BodyError> {
    let mut kept = Kept::new(places);
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        // Nearly every body comes in one piece, which then needs no copy.
        if size == 0 && body.is_end_stream() {
            return Ok(Whole { data: part, cut_off: false, _room: None });
        }
        size += part.len();
        if kept.data.len() <= limit {
            kept.add(&part)?;
        }
        if size > MAX_DRAINED {
            return Ok(Whole { data: kept.data.freeze(), cut_off: true, _room: kept.room });
        }
    }
    Ok(Whole { data: kept.data.freeze(), cut_off: false, _room: kept.room })
}

/// Takes a body that nobody reads from the wire, so that the client comes to read its answer. Whether that was all of it.
pub async fn drain(mut body: Incoming) -> bool {
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        size += frame.data_ref().map_or(0, Bytes::len);
        if size > MAX_DRAINED {
            return false;
        }
    }
    true
}

/// What has come of a body, with room for it where it is long.
struct Kept<'a> {
    data: BytesMut,
    room: Option<Room>,
    places: &'a Places,
}

impl<'a> Kept<'a> {
    fn new(places: &'a Places) -> Self {
        Self { data: BytesMut::new(), room: None, places }
    }

    fn add(&mut self, part: &[u8]) -> Result<(), BodyError> {
        if self.room.is_none() && self.data.len() + part.len() > SMALL_BODY {
            self.room = Some(self.places.room().ok_or(BodyError::NoRoom)?);
        }
        self.data.extend_from_slice(part);
        Ok(())
    }
}

/// Waits for all of an answer of the application's. It is copied, else a few bytes of it would keep the whole buffer of the
/// connection that it came by.
pub async fn gather(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut data = Vec::with_capacity(body.size_hint().lower() as usize);
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame?.into_data() else { continue };
        data.extend_from_slice(&part);
    }
    Ok(data)
}

/// An answer's body. hyper lets go of it when it has its one piece, and of the piece when that is written.
pub struct AnswerBody {
    data: Option<Bytes>,
    progress: Arc<Progress>,
}

/// An answer that takes room until it is written.
struct Unread {
    data: Vec<u8>,
    _room: UnreadRoom,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl AnswerBody {
    /// Our own.
    pub fn whole(data: Vec<u8>, progress: Arc<Progress>) -> Self {
        Self { data: Some(data.into()), progress }
    }

    /// The application's.
    pub fn forwarded(data: Vec<u8>, room: UnreadRoom, progress: Arc<Progress>) -> Self {
        // An answer to a HEAD has none, whatever length it tells.
        let data = (!data.is_empty()).then(|| Bytes::from_owner(Unread { data, _room: room }));
        Self { data, progress }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.progress.over();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// A request's body on its way to the application, bounded.
pub struct ForwardedBody {
    /// What has come of it already.
    first: Bytes,
    /// That is all.
    pub is_whole: bool,
    body: Incoming,
    left: usize,
    progress: Arc<Progress>,
    _room: Option<Room>,
}

/// Why a body could not be taken.
#[derive(Debug)]
pub enum BodyError {
    TooLarge,
    /// As many long ones are held as may be.
    NoRoom,
    /// Not framed as HTTP has it, or the client left.
    Broken,
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is over its bound",
            Self::NoRoom => "there is no room for the request body",
            Self::Broken => "the request body is broken",
        })
    }
}

impl std::error::Error for BodyError {}

impl ForwardedBody {
    /// Waits for all of a body, or, of one that is longer, for a little more than `enough`. The rest is passed on as it
    /// comes.
    pub async fn begun(
        mut body: Incoming,
        enough: usize,
        limit: usize,
        progress: Arc<Progress>,
        places: &Places,
    ) -> Result<Self, BodyError> {
        let mut kept = Kept::new(places);
        while kept.data.len() <= enough
            && let Some(frame) = body.frame().await
        {
            let Ok(part) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            kept.add(&part)?;
        }
        let is_whole = kept.data.len() <= enough;
        let left = limit.checked_sub(kept.data.len()).ok_or(BodyError::TooLarge)?;
        Ok(Self { is_whole, first: kept.data.freeze(), body, left, progress, _room: kept.room })
    }
}

impl Drop for ForwardedBody {
    fn drop(&mut self) {
        self.progress.advance(Phase::Body, Phase::Working);
    }
}

impl Body for ForwardedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let Ok(frame) = frame else { return Poll::Ready(Some(Err(BodyError::Broken))) };
        let Some(left) = self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What is left to come of a body that ends with its last chunk is not known until then.
        let rest = if self.body.is_end_stream() { Some(0) } else { self.body.size_hint().exact() };
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(self.first.len() as u64 + rest))
    }
}
