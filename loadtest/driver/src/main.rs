//! `pychat-load`: a load at a fixed rate, and the count of what became of it.
//!
//! `setup` makes people and sessions; `run` lets `pace` say when a send is due, `sender` send, `poller` read and `aside`
//! ask for other things; `ledger` knows what is missing, `figures` how long things took, `report` tells; `mint` makes tokens. `v1` and `v2` alone
//! know the API's routes and bodies, `peers` those of the servers that pychat is compared with; `inbox` is what they have in
//! common.

mod aside;
mod client;
mod config;
mod figures;
mod inbox;
mod ledger;
mod mint;
mod pace;
mod peers;
mod poller;
mod progress;
mod report;
mod run;
mod sender;
mod setup;
mod v1;
mod v2;

use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Result;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::LocalSet;

use client::Address;
use config::Config;
use report::Report;

fn main() -> ExitCode {
    let config = Config::parse();
    let report = match drive(&config) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("pychat-load: {error:#}");
            return ExitCode::from(2);
        }
    };
    if config.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("numbers always encode"));
    } else {
        println!("{report}");
    }
    if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn drive(config: &Config) -> Result<Report> {
    raise_open_files_limit()?;
    let address = Rc::new(Address::new(&config.url)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let scene = match config.peer {
            Some(peer) => peer.scene(config)?,
            None => {
                eprintln!("registering {} users", 2 * config.senders);
                setup::set_up(&address, config).await?
            }
        };
        run::run(&address, config, scene).await
    })
}

/// Every held poll is an open file, and the usual limit is 1,024.
fn raise_open_files_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
