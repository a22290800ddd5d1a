//! nchan's long-poll: one message an answer, and the place of the next in its headers.

use std::rc::Rc;

use anyhow::{Result, bail};
use hyper::header::{ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};

use crate::client::{Address, Client};
use crate::inbox::Batch;

pub struct LongPoll {
    client: Client,
    path: String,
    since: Vec<(HeaderName, HeaderValue)>,
}

impl LongPoll {
    pub async fn connected_to(address: &Rc<Address>, path: String) -> Result<Self> {
        Ok(Self { client: Client::connected_to(address).await?, path, since: Vec::new() })
    }

    pub async fn next(&mut self) -> Result<Batch> {
        let answer = self.client.poll(&self.path, self.since.clone()).await?;
        match answer.status {
            200 => {
                let place = |name| answer.headers.get(name).cloned().unwrap_or(HeaderValue::from_static(""));
                self.since = vec![(IF_MODIFIED_SINCE, place(LAST_MODIFIED)), (IF_NONE_MATCH, place(ETAG))];
                Ok(Batch { resync_required: false, texts: vec![String::from_utf8_lossy(&answer.body).into_owned()] })
            }
            // Nothing came within nchan's own time.
            304 | 408 => Ok(Batch { resync_required: false, texts: Vec::new() }),
            status => bail!("a poll was answered {status}"),
        }
    }
}
