//! The command line.

use std::time::Duration;

use clap::{ArgGroup, Parser};
use hyper::Uri;

use crate::peers::Peer;

/// Sends to a pychat server and counts what arrives.
///
/// Each sender is one of a pair: it writes to a reader of its own, whose sessions are polled all the time. Every message
/// carries the time it was due, and every session keeps a list of what came: at the end nothing may be missing and
/// nothing may have come twice.
#[derive(Clone, Debug, Parser)]
#[command(name = "pychat-load", version, group(ArgGroup::new("load").required(true).args(["rate", "saturate"])))]
pub struct Config {
    /// The server's public address.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: Uri,

    /// Load one of the servers of `loadtest/peers` instead of pychat.
    #[arg(long, value_enum)]
    pub peer: Option<Peer>,

    /// Sends a second, begun at fixed times however slow the answers are; latency counts from when a send was due.
    #[arg(long, value_name = "PER_SEC", value_parser = parse_rate)]
    pub rate: Option<f64>,

    /// Each connection sends again as soon as it is answered, so that the server sets the pace.
    #[arg(long)]
    pub saturate: bool,

    /// Seconds that are measured. Tokens are not renewed: a server's last an hour by default.
    #[arg(long = "duration", value_name = "SEC", default_value = "10", value_parser = parse_seconds)]
    pub duration: Duration,

    /// Seconds before that, which are not.
    #[arg(long, value_name = "SEC", default_value = "2", value_parser = parse_seconds)]
    pub warm_up: Duration,

    /// Pairs of a sender and a reader. All are registered first, some 20 ms of a core each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub senders: u32,

    /// Connections that the sends go over, and as many for each kind of requests beside: so many can be under way.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,

    /// Sessions of each reader; every one gets every message of its sender, and holds a poll.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions: u32,

    /// Further polls, held for people to whom nobody writes, five each.
    #[arg(long, default_value_t = 0)]
    pub idle_polls: u32,

    /// Sign-ins begun a second beside the sends, with the right password.
    #[arg(long, value_name = "PER_SEC", value_parser = parse_rate)]
    pub logins: Option<f64>,

    /// Requests for a user's profile begun a second beside the sends.
    #[arg(long, value_name = "PER_SEC", value_parser = parse_rate)]
    pub profiles: Option<f64>,

    /// Send by version 2 of the API, each message with a client id.
    #[arg(long)]
    pub client_ids: bool,

    /// Send each message with a token that the server has not seen before, signed here: needs the server's key in
    /// PYCHAT_AUTH__SIGNING_KEY.
    #[arg(long, conflicts_with = "peer")]
    pub cold_tokens: bool,

    /// Bytes of a message's text, as far as it is longer than what it must say. Above 4,096, which is the most
    /// characters that a text may have, of characters of three bytes.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(..=12_000))]
    pub text_bytes: u32,

    /// Ask for more than the server can do: what is refused, not answered or never begun then fails nothing.
    #[arg(long)]
    pub overload: bool,

    /// Print JSON instead of a table. Progress goes to standard error in any case.
    #[arg(long)]
    pub json: bool,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1e6).contains(&rate) { Ok(rate) } else { Err("not in 0.001 to 1,000,000".to_owned()) }
}
