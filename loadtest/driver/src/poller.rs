//! One session's polls, one after the other.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use hyper::Method;

use crate::client::Client;
use crate::ledger::Note;
use crate::run::Run;
use crate::setup::Session;
use crate::v1::Batch;

/// After a poll that was refused or broken off.
const PAUSE: Duration = Duration::from_millis(100);

/// Polls until it is dropped. `of_pair` says whose messages come in it: the pair and the session's place there.
pub async fn poll(run: Rc<Run>, mut client: Client, session: Session, of_pair: Option<(usize, usize)>) {
    loop {
        if let Err(error) = poll_once(&run, &mut client, &session, of_pair).await {
            run.figures.borrow_mut().failed_polls += 1;
            if run.figures.borrow().failed_polls == 1 {
                eprintln!("a poll failed, later ones are only counted: {error:#}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn poll_once(run: &Run, client: &mut Client, session: &Session, of_pair: Option<(usize, usize)>) -> Result<()> {
    let answer = client.ask(Method::GET, &session.path, Some(&session.owner.authorization), "").await?;
    let now = run.start.elapsed();
    let Batch { resync_required, messages } = Batch::of(&answer)?;
    let mut figures = run.figures.borrow_mut();
    figures.resyncs += u64::from(resync_required);
    for message in messages {
        // What somebody else writes to our people is none of ours.
        if let (Some((pair, place)), Some(note)) = (of_pair, Note::parse(&message.text)) {
            let is_new = run.ledgers[pair].borrow_mut().arrived(place, note.number);
            if is_new && run.is_measured(note.due) {
                figures.delivery.record(now.saturating_sub(note.due));
            }
        }
    }
    Ok(())
}
