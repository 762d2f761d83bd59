//! What HyperID would know and say.

use std::collections::{HashMap, HashSet};

use bench_server::{AVAILABILITY, START, STATUS, find};
use rustix::time::{ClockId, clock_gettime};

/// By one of the system's clocks.
pub fn clock_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

pub fn now_ns() -> u64 {
    clock_ns(ClockId::Monotonic)
}

pub struct Answer {
    pub text: String,
    /// The transaction whose final answer it is.
    pub final_of: Option<i64>,
}

/// What HyperID would know.
#[derive(Default)]
pub struct Provider {
    answer_ns: u64,
    /// Never the same in the server's life: clients remember what they have had.
    last_id: i64,
    /// When each is approved.
    approved_at: HashMap<i64, u64>,
    /// The first final answer of each.
    pub written: Vec<(i64, u64)>,
    is_written: HashSet<i64>,
    pub availabilities: u64,
    pub starts: u64,
    pub polls: u64,
}

impl Provider {
    pub fn reset(&mut self, answer_ns: u64) {
        *self = Provider { answer_ns, last_id: self.last_id, ..Provider::default() };
    }

    /// `None`: no request that it knows.
    pub fn answer(&mut self, path: &[u8], body: &[u8]) -> Option<Answer> {
        match path {
            STATUS => self.status(body),
            START => Some(self.start()),
            AVAILABILITY => {
                self.availabilities += 1;
                Some(json("{\"result\":0,\"is_available\":true}", None))
            }
            _ => None,
        }
    }

    fn start(&mut self) -> Answer {
        self.starts += 1;
        self.last_id += 1;
        self.approved_at.insert(self.last_id, now_ns() + self.answer_ns);
        json(&format!("{{\"result\":0,\"transaction_id\":{}}}", self.last_id), None)
    }

    fn status(&mut self, body: &[u8]) -> Option<Answer> {
        self.polls += 1;
        let (id, now) = (transaction_id(body)?, now_ns());
        let answer_ns = self.answer_ns;
        let approved_at = *self.approved_at.entry(id).or_insert_with(|| now + at_random(id, 2 * answer_ns));
        let is_approved = now >= approved_at;
        let text = format!(
            "{{\"result\":0,\"transaction_id\":{id},\"transaction_status\":{},\"transaction_complete_result\":0}}",
            i32::from(is_approved)
        );
        Some(json(&text, is_approved.then_some(id)))
    }

    /// The next thing that happens is the write.
    pub fn wrote_final(&mut self, id: i64) {
        if self.is_written.insert(id) {
            self.written.push((id, now_ns()));
        }
    }
}

/// To a request that nobody knows.
pub fn not_found() -> Answer {
    Answer { text: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), final_of: None }
}

fn json(body: &str, final_of: Option<i64>) -> Answer {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
    Answer { text: format!("{head} {length}\r\n\r\n{body}"), final_of }
}

/// The same for the same id, below `most`.
fn at_random(id: i64, most: u64) -> u64 {
    let mixed = id.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    most / (1 << 24) * mixed
}

fn transaction_id(body: &[u8]) -> Option<i64> {
    let name = b"\"transaction_id\":";
    let digits = &body[find(body, name)? + name.len()..];
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..count]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(provider: &mut Provider, id: i64) -> Answer {
        provider.answer(STATUS, format!("{{\"transaction_id\":{id}}}").as_bytes()).expect("an answer")
    }

    #[test]
    fn a_transaction_is_approved_in_its_time_and_its_first_final_answer_counts() {
        let mut provider = Provider::default();
        provider.reset(u64::MAX / 2);
        let started = provider.answer(START, b"{}").expect("an answer");
        assert!(started.text.ends_with("{\"result\":0,\"transaction_id\":1}"));
        assert_eq!(status(&mut provider, 1).final_of, None);
        provider.reset(0);
        assert!(provider.answer(START, b"{}").is_some_and(|answer| answer.text.contains(":2}")));
        let answer = status(&mut provider, 2);
        assert!(answer.text.contains("\"transaction_status\":1") && answer.final_of == Some(2));
        provider.wrote_final(2);
        provider.wrote_final(2);
        assert_eq!(provider.written.len(), 1);
        assert!(provider.answer(STATUS, b"{}").is_none() && provider.answer(b"/", b"").is_none());
    }

    #[test]
    fn what_others_started_is_answered_at_random_within_the_time() {
        let times: Vec<_> = (0..1000).map(|id| at_random(1_000_000_000 + id, 1 << 30)).collect();
        assert!(times.iter().all(|time| *time < 1 << 30));
        let early = times.iter().filter(|time| **time < 1 << 29).count();
        assert!((400..600).contains(&early), "{early}");
        assert_eq!(at_random(7, 0), 0);
    }
}
