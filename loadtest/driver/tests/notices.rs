//! The program against servers that are not as they should be: what it says of them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How a server treats messages. Where it is not all of them, it is each whose number ends in 3.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Honest,
    Loses,
    Doubles,
    Refuses,
    /// Answers the later half after `LATE`.
    Stalls,
    FailsPolls,
}

const RATE: u64 = 100;
const LATE: Duration = Duration::from_millis(700);
const TAKES: usize = 5;

/// What waits for each reader. A chat's id and a session's is its reader's name, and a token its owner's.
type Queues = (Mutex<HashMap<String, Vec<String>>>, Condvar);

/// Serves until the test's process ends.
fn serve(way: Way) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let queues = Arc::new(Queues::default());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let queues = Arc::clone(&queues);
            thread::spawn(move || converse(&stream.unwrap(), way, &queues));
        }
    });
    url
}

/// Answers what is asked over one connection; `None` where the other is gone.
fn converse(stream: &TcpStream, way: Way, queues: &Queues) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut path, mut user, mut length) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            } else if let Some(token) = line.strip_prefix("authorization: Bearer ") {
                token.clone_into(&mut user);
            } else if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse().unwrap();
            } else if path.is_empty() {
                line.split(' ').nth(1).unwrap().clone_into(&mut path);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = answer(&path, &user, &body, way, queues);
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\n\r\n", answer.len());
        (&mut &*stream).write_all(format!("{head}{answer}").as_bytes()).ok()?;
    }
}

fn answer(path: &str, user: &str, body: &Value, way: Way, (queues, told): &Queues) -> (u16, Value) {
    match path {
        "/v1/users/register" => (200, json!({"user": {"token": body["user"]["username"]}})),
        "/v1/chats/private" => (201, json!({"chat_id": body["target_username"]})),
        "/v1/messages/poll/start" => (200, json!({"session_id": user})),
        "/v1/messages/send" => {
            let text = body["message"]["payload"].as_str().unwrap().to_owned();
            let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
            let is_chosen = number % 10 == 3;
            if is_chosen && way == Way::Refuses {
                return (429, Value::Null);
            }
            if number > RATE / 2 && way == Way::Stalls {
                thread::sleep(LATE);
            }
            let times = match way {
                Way::Loses if is_chosen => 0,
                Way::Doubles if is_chosen => 2,
                _ => 1,
            };
            let reader = body["message"]["chat_id"].as_str().unwrap().to_owned();
            queues.lock().unwrap().entry(reader).or_default().extend(vec![text; times]);
            told.notify_all();
            (202, Value::Null)
        }
        _ if way == Way::FailsPolls => (503, Value::Null),
        poll => {
            let reader = poll.rsplit('/').next().unwrap();
            let is_empty = |queues: &mut HashMap<_, Vec<String>>| queues.get(reader).is_none_or(Vec::is_empty);
            let mut queues = told.wait_while(queues.lock().unwrap(), is_empty).unwrap();
            let texts = queues.remove(reader).unwrap();
            let messages: Vec<_> = texts.iter().map(|text| json!({"text": text})).collect();
            (200, json!({"resync_required": false, "messages": messages}))
        }
    }
}

/// Whether it exits with success, and its report.
fn load(way: Way, options: &[&str]) -> (bool, Value) {
    let rate = RATE.to_string();
    let common =
        ["--url", &serve(way), "--json", "--rate", &rate, "--duration", "1", "--warm-up", "0", "--senders", "1"];
    let output = Command::new(env!("CARGO_BIN_EXE_pychat-load")).args(common).args(options).output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.success(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn faults(report: &Value) -> String {
    report["faults"].to_string()
}

/// Expects a report that is as it should be. A busy machine may keep the last sends of the second from being begun, or
/// answered, in time; so there are a few takes.
fn expect(way: Way, options: &[&str], is_right: impl Fn(bool, &Value) -> bool) {
    let mut report = Value::Null;
    for _ in 0..TAKES {
        let (is_sound, found) = load(way, options);
        if is_right(is_sound, &found) {
            return;
        }
        report = found;
    }
    panic!("{report:#}");
}

#[test]
fn all_is_well_with_an_honest_server() {
    expect(Way::Honest, &["--idle-polls", "7"], |is_sound, report| {
        is_sound
            && (&report["delivered"], &report["polls"], &report["polls_held"]) == (&json!(100), &json!(8), &json!(8))
    });
}

#[test]
fn a_lost_message_is_missed() {
    expect(Way::Loses, &[], |is_sound, report| {
        !is_sound && faults(report).contains("10 accepted messages did not come")
    });
}

#[test]
fn a_doubled_message_is_seen() {
    expect(Way::Doubles, &[], |is_sound, report| !is_sound && faults(report).contains("10 messages came twice"));
}

#[test]
fn a_refused_send_is_a_fault_unless_the_server_is_to_be_overloaded() {
    expect(Way::Refuses, &[], |is_sound, report| {
        !is_sound
            && faults(report).contains("10 sends were refused")
            && faults(report).contains("90.0 sends a second were done of 100")
    });
    expect(Way::Refuses, &["--overload"], |is_sound, _| is_sound);
}

#[test]
fn polls_that_are_not_held_are_a_fault() {
    expect(Way::FailsPolls, &["--overload", "--idle-polls", "7"], |is_sound, report| {
        !is_sound && report["polls_held"] == 0
    });
}

#[test]
fn what_ends_after_the_time_is_in_the_latencies() {
    let (is_sound, report) = load(Way::Stalls, &[]);
    let late = LATE.as_millis() as f64;
    assert!(report["sends"]["ms"]["p90"].as_f64() >= Some(late), "{report:#}");
    assert!(report["delivery_ms"]["p90"].as_f64() >= Some(late), "{report:#}");
    assert!(!is_sound, "{report:#}");
}

#[test]
fn what_was_never_begun_is_in_the_latencies() {
    let (is_sound, report) = load(Way::Stalls, &["--connections", "1"]);
    assert!(report["sends"]["given_up"].as_u64() >= Some(40), "{report:#}");
    assert!(report["sends"]["ms"]["p90"].as_f64() >= Some(200.0), "{report:#}");
    assert!(report["lateness_ms"]["max"].as_f64() >= Some(400.0), "{report:#}");
    assert!(!is_sound, "{report:#}");
}
