//! A million idle sessions are swept while messages are sent and sessions opened: what the sweep costs a send.
//!
//!     cargo bench --bench sweep
//!
//! Its last line is the figures as JSON. A send is the whole of `Api::send` but the limiter, which is off: token, body,
//! chat, queue. Its p99 during the sweep, of which each part is measured by itself, is to be within 1.5 times of
//! before. Takes a minute and 2 GB, and wants two idle cores. The allocator is part of what is measured: what the sweep
//! frees is where the next messages go. Neither the limiter's own sweep, nor users who keep another session, are in it.

use std::ops::RangeFrom;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pychat_core::api::Api;
use pychat_core::api::token::{ISSUER, Verifier};
use pychat_core::hub::directory::{Chat, Member, User};
use pychat_core::hub::session::SessionId;
use pychat_core::hub::settings::{HistorySettings, LimiterSettings, Settings};
use pychat_core::hub::{Hub, Micros, RELEASE_REST, UserId};
use pychat_core::process::release_memory;
use serde_json::{Value, json};

const IDLE: UserId = 1_000_000;
/// They are sent to; the idle ones have no more use than to be swept.
const ACTIVE: UserId = 1_000;
const SENDER: UserId = IDLE + ACTIVE;
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
/// Before the sweep, and again after it.
const CALM: Duration = Duration::from_secs(3);
/// The default of `GC_TASK_CONFIG.inter_shard_pause_ms`, which is Python's.
const SHARD_PAUSE: Duration = Duration::from_millis(100);
/// A new session every millisecond, so that there are writers, whom readers of the same shard wait for.
const OPEN_EVERY: Duration = Duration::from_millis(1);
/// Messages that a session is left with before somebody reads it, out of the measured time.
const UNREAD: usize = 100;

fn main() {
    let api = Api::new(Verifier::new(KEY).unwrap_or_else(|_| panic!("long enough")));
    let (hub, now) = (&api.hub, api.clock.now());
    let limiter = LimiterSettings { is_enabled: false, ..Settings::default().limiter };
    // Nobody here writes to a database.
    let history = HistorySettings { is_enabled: false, ..Settings::default().history };
    hub.apply(Settings { max_users_amount: usize::MAX, limiter, history, ..Settings::default() });
    (0..IDLE).for_each(|user| _ = open(hub, user, now - 2 * hub.settings().session_idle_timeout));
    let name = "ann".into();
    hub.directory.put_user(User { id: SENDER, username: name, revision: 0, token_generation: 0, deleted: false });
    let active: Vec<_> = (IDLE..SENDER).map(|user| Recipient::new(hub, user, now)).collect();

    let calm = || std::thread::sleep(CALM);
    let close = || {
        let swept: usize = (0..hub.shard_count())
            .map(|shard| {
                let closed = hub.sweep(shard, now);
                std::thread::sleep(SHARD_PAUSE);
                closed
            })
            .sum();
        assert_eq!(swept, IDLE as usize);
    };
    let free = || hub.release_swept(|| std::thread::sleep(RELEASE_REST));
    let mut newcomers = (2 * IDLE..).step_by(IDLE as usize).map(|first| first..);
    let mut measure = |part: &str, event: &(dyn Fn() + Sync)| {
        let began = Instant::now();
        let took = sends_during(&api, &active, newcomers.next().expect("there are more"), event);
        report(part, began.elapsed(), took)
    };
    let before = measure("before", &calm);
    let parts = [measure("closing", &close), measure("freeing", &free), measure("giving back", &release_memory)];
    let after = measure("after", &calm);
    println!("{}", json!({"before": before, "during": parts, "after": after}));
}

fn open(hub: &Hub, user: UserId, now: Micros) -> SessionId {
    hub.open(user, now).expect("there is room").id()
}

/// Who is sent to: in a chat with the sender.
struct Recipient {
    user: UserId,
    session: SessionId,
    /// A request to send to the chat.
    body: Vec<u8>,
}

impl Recipient {
    fn new(hub: &Hub, user: UserId, now: Micros) -> Self {
        let members = [user, SENDER].map(|user| Member { user, may_post: true });
        hub.directory.put_chat(Chat::new(format!("pc:{user}").into(), user, members.into()));
        let body = format!(r#"{{"message":{{"chat_id":"pc:{user}","payload":"how are you?"}}}}"#);
        Self { user, session: open(hub, user, now), body: body.into() }
    }
}

/// What each send took, in nanoseconds, while `event` went on and newcomers opened sessions.
fn sends_during(api: &Api, active: &[Recipient], newcomers: RangeFrom<UserId>, event: &(dyn Fn() + Sync)) -> Vec<u32> {
    let now = api.clock.now();
    let seconds = now / 1_000_000;
    let claims = json!({"iss": ISSUER, "id": SENDER, "jti": "", "iat": seconds, "exp": seconds + 600, "gen": 0});
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(KEY));
    let authorization = format!("Bearer {}", token.expect("the claims are JSON"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");

    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            event();
            over.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            for user in newcomers.take_while(|_| !is_over()) {
                open(&api.hub, user, now);
                std::thread::sleep(OPEN_EVERY);
            }
        });
        let mut took = Vec::with_capacity(1 << 24);
        while !is_over() {
            for recipient in std::iter::repeat_n(active, UNREAD).flatten() {
                let began = Instant::now();
                let reply = runtime.block_on(api.send(Some(&authorization), &recipient.body));
                took.push(began.elapsed().as_nanos() as u32);
                assert_eq!(reply.status, 202);
            }
            for recipient in active {
                let reader = api.hub.read(recipient.user, &recipient.session, now).expect("it is not idle");
                let taken = reader.gather(UNREAD);
                assert_eq!((taken.messages, taken.refused), (UNREAD, 0));
                reader.commit(&taken, |_| {});
            }
        }
        took
    })
}

/// Prints the figures and returns them.
fn report(part: &str, lasted: Duration, mut took: Vec<u32>) -> Value {
    took.sort_unstable();
    let at = |share: f64| f64::from(took[((took.len() - 1) as f64 * share) as usize]) / 1_000.0;
    let (p50, p99, rare, longest) = (at(0.5), at(0.99), at(0.999), at(1.0));
    let (sends, sec) = (took.len(), lasted.as_secs_f64());
    println!(
        "{part:12}{sec:5.1} s, {sends} sends: p50 {p50:.2} us, p99 {p99:.2}, p99.9 {rare:.2}, longest {longest:.0}"
    );
    json!({"part": part, "sec": sec, "p50_us": p50, "p99_us": p99, "p999_us": rare, "longest_us": longest})
}
