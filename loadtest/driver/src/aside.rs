//! Requests beside the sends, at a rate of their own: what they do to the sends, and what becomes of them.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::client::{Address, Client};
use crate::figures::Outcomes;
use crate::pace::Pace;
use crate::run::Run;
use crate::v1::Aside;

/// One kind of them.
pub struct Asides {
    pub name: &'static str,
    pub pace: Pace,
    pub outcomes: RefCell<Outcomes>,
    /// Asked for in turn.
    requests: Vec<Aside>,
    address: Rc<Address>,
}

impl Asides {
    pub fn new(name: &'static str, pace: Pace, requests: Vec<Aside>, address: &Rc<Address>) -> Rc<Self> {
        let outcomes = RefCell::default();
        Rc::new(Self { name, pace, outcomes, requests, address: Rc::clone(address) })
    }

    /// Asks over so many connections until the pace ends.
    pub async fn ask(self: Rc<Self>, run: Rc<Run>, connections: u32) -> Result<()> {
        let mut asking = JoinSet::new();
        for number in 0..connections as usize {
            let client = Client::connected_to(&self.address).await?;
            asking.spawn_local(Rc::clone(&self).ask_over(client, Rc::clone(&run), number));
        }
        self.pace.run().await?;
        self.outcomes.borrow_mut().give_up(&run, &self.pace);
        asking.join_all().await;
        Ok(())
    }

    async fn ask_over(self: Rc<Self>, mut client: Client, run: Rc<Run>, number: usize) {
        for request in self.requests.iter().cycle().skip(number) {
            let Some(due) = self.pace.next().await else { return };
            let Aside { method, path, authorization, body } = request.clone();
            let answer = client.ask(method, &path, Some(&authorization), body).await;
            self.outcomes.borrow_mut().record(&run, due, &answer);
        }
    }
}
