//! One connection's sends, one after the other.

use std::rc::Rc;

use hyper::Method;

use crate::client::Client;
use crate::ledger::Note;
use crate::run::Run;
use crate::v1;
use crate::v2;

pub async fn send(run: Rc<Run>, mut client: Client) {
    while let Some(due) = run.pace.next().await {
        let lateness = run.start.elapsed().saturating_sub(due);
        let of_pair = run.next_pair();
        let pair = &run.pairs[of_pair];
        let number = run.ledgers[of_pair].borrow_mut().next();
        let text = Note { number, due }.text(run.text_bytes);
        let body = match run.peer {
            Some(peer) => peer.message(&pair.chat_id, &text),
            None if run.client_ids => v2::message(&text, number),
            None => v1::message(&pair.chat_id, &text),
        };
        let answer = match pair.authorization() {
            Ok(authorization) => client.ask(Method::POST, &pair.send_path, Some(&authorization), body).await,
            Err(error) => Err(error),
        };
        let is_accepted = answer.as_ref().is_ok_and(|answer| answer.is_success());
        if is_accepted {
            run.ledgers[of_pair].borrow_mut().accepted(number);
        }
        let mut figures = run.figures.borrow_mut();
        figures.so_far += u64::from(is_accepted);
        if run.is_measured(due) {
            figures.lateness.record(lateness);
        }
        figures.sends.record(&run, due, &answer);
    }
}
