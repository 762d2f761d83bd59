//! What one schedule is to be: drawn from a seed, and from nothing else.

use std::time::Duration;

use crate::hyperid::{Request, WaitOptions};

/// splitmix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// From the one to the other, in milliseconds.
    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What the person does, or what becomes of the request without them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Approved,
    Denied,
    Expired,
    Failed,
    Declined,
}

impl Verdict {
    /// `transaction_status` and `transaction_complete_result`.
    pub(super) fn on_the_wire(self) -> (i32, i32) {
        match self {
            Verdict::Approved => (1, 0),
            Verdict::Denied => (1, 1),
            Verdict::Expired => (2, 0),
            Verdict::Failed => (3, 0),
            Verdict::Declined => (4, 0),
        }
    }
}

/// What the program gives when it is asked for a token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gift {
    Fresh,
    /// The refused one again.
    Same,
    Unusable,
    GivesUp,
    /// Nothing, ever. A blocking provider cannot do that: it gives up.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    /// Since it was added.
    After(Duration),
    /// After so many of its requests, in the midst of things.
    AfterRequest(usize, Duration),
}

/// One wait.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// A confirm; else a wait for a transaction that was started elsewhere.
    pub(super) asks: bool,
    /// Since the schedule began.
    pub(super) added: Duration,
    pub(super) timeout: Duration,
    pub(super) first_poll: Option<Duration>,
    pub(super) min_interval: Duration,
    pub(super) max_interval: Duration,
    pub(super) cancel_on_timeout: bool,
    pub(super) withdraw_on_cancel: bool,
    pub(super) updates: bool,
    pub(super) asks_for_token: bool,
    pub(super) gifts: Vec<(Duration, Gift)>,
    /// A token that comes unasked.
    pub(super) unasked_gift: Option<Duration>,
    /// Whose tokens it uses: those of this number.
    pub(super) owner: usize,
    /// Since the transaction began.
    pub(super) decided: Option<(Duration, Verdict)>,
    /// The server names the transaction in its answers.
    pub(super) is_named: bool,
    /// Its token expires just as it asks.
    pub(super) expires_at_start: bool,
    /// When, and whether it is to be withdrawn.
    pub(super) cancelled: Option<(When, bool)>,
    /// The update with which the program has enough, counted from 1.
    pub(super) enough_at: Option<u32>,
}

impl Plan {
    pub(super) fn wait_options<'a>(&self) -> WaitOptions<'a> {
        let options = WaitOptions::new()
            .min_interval(self.min_interval)
            .max_interval(self.max_interval)
            .cancel_on_timeout(self.cancel_on_timeout)
            .withdraw_on_cancel(self.withdraw_on_cancel);
        WaitOptions { first_poll: self.first_poll, ..options }
    }

    pub(super) fn reserve(&self) -> Duration {
        if self.cancel_on_timeout { (self.timeout / 4).min(Duration::from_secs(5)) } else { Duration::ZERO }
    }
}

pub(super) fn request(question: &str) -> Request<'_> {
    Request::new().question(question)
}

/// One schedule.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) waits: Vec<Plan>,
    /// For each owner, when each of their tokens ceases to be good, since the schedule began. The last
    /// one stays good.
    pub(super) expiries: Vec<Vec<Duration>>,
    /// Of a thousand requests, and of a thousand connections.
    pub(super) faults: u64,
    /// The server takes up to so many milliseconds.
    pub(super) latency: u64,
    pub(super) is_sloppy: bool,
    pub(super) request_timeout: Duration,
    pub(super) max_connections: u32,
    /// From when, and for how long, the provider tells all who poll to wait for some seconds.
    pub(super) busy: Option<(Duration, Duration)>,
    /// When all are cancelled.
    pub(super) all_cancelled: Option<(Duration, bool)>,
}

/// A sloppy system wakes a sleeper up to so many milliseconds late.
pub(super) const MOST_LATE: u64 = 40;
/// An attempt to connect takes up to so many milliseconds.
pub(super) const MOST_CONNECTING: u64 = 60;

impl Script {
    pub(super) fn draw(random: &mut Random, is_for_waiter: bool) -> Self {
        let count = if is_for_waiter { random.pick(&[1, 2, 3, 8]) } else { 1 };
        let waits: Vec<_> = (0..count).map(|number| draw_plan(random, number, is_for_waiter)).collect();
        let expire = random.percent(40);
        let expiries = waits.iter().map(|plan| if expire { draw_expiries(random, plan) } else { Vec::new() });
        let expiries = expiries.collect();
        Script {
            expiries,
            waits,
            faults: random.pick(&[0, 30, 150, 400]),
            latency: random.pick(&[0, 5, 300]),
            is_sloppy: random.percent(50),
            request_timeout: random.pick(&[Duration::from_secs(2), Duration::from_secs(30)]),
            max_connections: random.pick(&[1, 2, 4, 256]),
            busy: random.percent(15).then(|| (random.millis(0, 10_000), random.millis(0, 5_000))),
            all_cancelled: (is_for_waiter && random.percent(5))
                .then(|| (random.millis(0, 20_000), random.percent(50))),
        }
    }
}

fn draw_plan(random: &mut Random, number: usize, is_for_waiter: bool) -> Plan {
    let min = random.pick(&[100, 500, 1_000, 3_000]);
    let timeout = random.millis(min / 2, 30 * min);
    let most = random.pick(&[min, 2 * min, 10_000.max(min)]);
    let within = |random: &mut Random| random.millis(0, timeout.as_millis() as u64 * 5 / 4);
    let verdicts = [
        Verdict::Approved,
        Verdict::Approved,
        Verdict::Denied,
        Verdict::Expired,
        Verdict::Failed,
        Verdict::Declined,
    ];
    let gift = |random: &mut Random| {
        let gifts =
            [Gift::Fresh, Gift::Fresh, Gift::Fresh, Gift::Same, Gift::Unusable, Gift::GivesUp, Gift::Nothing];
        (random.millis(0, 1_500), random.pick(&gifts))
    };
    let expires_at_start = random.percent(10);
    Plan {
        asks: random.percent(60),
        added: if number == 0 || random.percent(50) { Duration::ZERO } else { random.millis(0, 10_000) },
        timeout,
        first_poll: random.percent(20).then(|| within(random)),
        min_interval: Duration::from_millis(min),
        max_interval: Duration::from_millis(most),
        cancel_on_timeout: random.percent(30),
        withdraw_on_cancel: random.percent(30),
        updates: random.percent(50),
        asks_for_token: random.percent(60),
        gifts: (0..8).map(|_| gift(random)).collect(),
        unasked_gift: (is_for_waiter && random.percent(10)).then(|| within(random)),
        // Of those in a waiter some share a token.
        owner: if number > 0 && random.percent(30) { 0 } else { number },
        decided: random.percent(80).then(|| (within(random), random.pick(&verdicts))),
        is_named: random.percent(85),
        expires_at_start,
        cancelled: random.percent(30).then(|| {
            let anywhere = within(random);
            draw_cancel(random, anywhere, expires_at_start)
        }),
        enough_at: (!is_for_waiter && random.percent(10)).then(|| 1 + random.below(6) as u32),
    }
}

/// Anywhere, or in the midst of the wait's first requests: of the third, where that is to prove what start
/// was refused with.
fn draw_cancel(random: &mut Random, anywhere: Duration, expires_at_start: bool) -> (When, bool) {
    let count = if expires_at_start { 3 } else { 1 + random.below(6) as usize };
    let after_request = When::AfterRequest(count, random.millis(0, 80));
    let when = if random.percent(50) { When::After(anywhere) } else { after_request };
    (when, random.percent(50))
}

fn draw_expiries(random: &mut Random, plan: &Plan) -> Vec<Duration> {
    let mut at = Duration::ZERO;
    let mut expiries = Vec::new();
    for _ in 0..random.below(4) {
        if random.percent(70) {
            at += random.millis(0, plan.timeout.as_millis() as u64);
        }
        expiries.push(at);
    }
    expiries
}
