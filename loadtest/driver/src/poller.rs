//! One session's polls, one after the other.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;

use crate::inbox::{Batch, Inbox};
use crate::ledger::Note;
use crate::run::Run;

/// After a poll that was refused or broken off.
const PAUSE: Duration = Duration::from_millis(100);

/// Polls until it is dropped, beginning so long after the start of the run. `of_pair` says whose messages come in it: the
/// pair and the session's place there.
pub async fn poll(run: Rc<Run>, mut inbox: Inbox, of_pair: Option<(usize, usize)>, begin: Duration) {
    tokio::time::sleep_until((run.start + begin).into()).await;
    let mut is_failing = false;
    loop {
        let polled = poll_once(&run, &mut inbox, of_pair).await;
        run.figures.borrow_mut().failing -= usize::from(is_failing);
        is_failing = polled.is_err();
        run.figures.borrow_mut().failing += usize::from(is_failing);
        if let Err(error) = polled {
            run.figures.borrow_mut().failed_polls += 1;
            if run.figures.borrow().failed_polls == 1 {
                eprintln!("a poll failed, later ones are only counted: {error:#}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn poll_once(run: &Run, inbox: &mut Inbox, of_pair: Option<(usize, usize)>) -> Result<()> {
    let Batch { resync_required, texts } = inbox.next().await?;
    let now = run.start.elapsed();
    let mut figures = run.figures.borrow_mut();
    figures.polls += u64::from(run.is_measured(now));
    figures.resyncs += u64::from(resync_required);
    for text in texts {
        // What somebody else writes to our people is none of ours.
        if let (Some((pair, place)), Some(note)) = (of_pair, Note::parse(&text)) {
            let is_new = run.ledgers[pair].borrow_mut().arrived(place, note.number);
            if is_new && run.is_measured(note.due) {
                figures.delivery.record(now.saturating_sub(note.due));
            }
        }
    }
    Ok(())
}
