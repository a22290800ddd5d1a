//! What was sent and what came: which messages are missing, which came twice.

use std::fmt::Write;
use std::time::Duration;

/// A set of small numbers.
#[derive(Debug, Default)]
struct Numbers {
    words: Vec<u64>,
}

impl Numbers {
    /// False where it was in there already.
    fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many of these are not in `others`.
    fn missing_in(&self, others: &Self) -> u64 {
        let other = |place: usize| others.words.get(place).copied().unwrap_or(0);
        self.words.iter().enumerate().map(|(place, word)| u64::from((word & !other(place)).count_ones())).sum()
    }
}

/// One message as its text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Among its sender's.
    pub number: usize,
    /// When it was due, counted from the start of the run.
    pub due: Duration,
}

/// Characters that a text may have.
const LONGEST: usize = 4_096;

impl Note {
    /// The note as a text of at least `bytes` bytes.
    pub fn text(self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes.max(32));
        let _ = write!(text, "{} {} ", self.number, self.due.as_micros());
        let filling = if bytes > LONGEST { '…' } else { '.' };
        while text.len() + filling.len_utf8() <= bytes {
            text.push(filling);
        }
        // The server trims.
        text.truncate(text.trim_end().len());
        text
    }

    /// Reads a text that `text` made.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let number = words.next()?.parse().ok()?;
        let due = Duration::from_micros(words.next()?.parse().ok()?);
        Some(Self { number, due })
    }
}

/// One sender's messages: which were accepted, and what came of them in each session of its reader.
#[derive(Debug, Default)]
pub struct Ledger {
    next: usize,
    accepted: Numbers,
    sessions: Vec<Numbers>,
    doubled: u64,
}

impl Ledger {
    pub fn new(sessions: usize) -> Self {
        Self { sessions: (0..sessions).map(|_| Numbers::default()).collect(), ..Self::default() }
    }

    /// A number for the next message.
    pub fn next(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub fn accepted(&mut self, number: usize) {
        self.accepted.insert(number);
    }

    /// Notes that a session got the message. False where it had it already.
    pub fn arrived(&mut self, session: usize, number: usize) -> bool {
        let is_new = self.sessions[session].insert(number);
        self.doubled += u64::from(!is_new);
        is_new
    }

    /// Messages that were accepted and have not come, counted in sessions.
    pub fn missing(&self) -> u64 {
        self.sessions.iter().map(|session| self.accepted.missing_in(session)).sum()
    }

    /// Messages that came again.
    pub fn doubled(&self) -> u64 {
        self.doubled
    }

    /// Messages that came, counted in sessions.
    pub fn delivered(&self) -> u64 {
        self.sessions.iter().map(Numbers::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_came_twice_is_counted_by_session() {
        let mut ledger = Ledger::new(2);
        for _ in 0..100 {
            let number = ledger.next();
            ledger.accepted(number);
        }
        for number in 0..100 {
            assert!(ledger.arrived(0, number));
        }
        assert!(ledger.arrived(1, 70));
        assert!(!ledger.arrived(1, 70));
        assert_eq!((ledger.missing(), ledger.doubled(), ledger.delivered()), (99, 1, 101));
    }

    #[test]
    fn what_was_refused_may_be_missing() {
        let mut ledger = Ledger::new(1);
        ledger.next();
        assert_eq!(ledger.missing(), 0);
    }

    #[test]
    fn a_note_is_read_back() {
        let note = Note { number: 17, due: Duration::from_micros(1_234_567) };
        for bytes in [0, 12, 13, 14, 100] {
            let text = note.text(bytes);
            assert_eq!(Note::parse(&text), Some(note));
            assert!(text.len() >= bytes && text == text.trim());
        }
        let longest = note.text(12_000);
        assert_eq!(Note::parse(&longest), Some(note));
        assert!(longest.len() > 11_990 && longest.chars().count() <= LONGEST);
        assert_eq!(Note::parse("hello"), None);
    }
}
