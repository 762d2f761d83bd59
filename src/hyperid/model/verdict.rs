//! Whether a schedule went as the contract says, from what the provider was asked and the program told.
//!
//! Written from the contract and not from the code: it knows nothing of the policy's states.

use std::time::Duration;

use super::script::{MOST_CONNECTING, MOST_LATE, Plan, Verdict};
use super::world::{Asked, Endpoint, Kind, Record, Told, World};
use super::{MOST_AWAY, the_end};
use crate::clock::Instant;
use crate::error::Code;
use crate::hyperid::policy::WITHDRAW_TIME;
use crate::hyperid::{Decision, Transaction, WaitEnd};

/// A program that is away, wakes late, and then sleeps and wakes late again; and something to spare.
const LATE: Duration = Duration::from_millis(MOST_AWAY + 2 * MOST_LATE + 5);

/// The same in the other direction: what is reckoned from a moment a little before the true one.
const EARLY: Duration = Duration::from_millis(5);

macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

/// How often what is looked for came up: a check that meets nothing shows nothing.
#[derive(Debug, Default)]
pub(super) struct Seen {
    approvals: u64,
    other_answers: u64,
    timeouts: u64,
    cancels: u64,
    withdrawn: u64,
    unknown_outcomes: u64,
    other_errors: u64,
    second_starts: u64,
    polls: u64,
    second_looks: u64,
    refused_tokens: u64,
    updates: u64,
    held_all: u64,
}

impl Seen {
    pub(super) fn add(&mut self, more: &Seen) {
        self.approvals += more.approvals;
        self.other_answers += more.other_answers;
        self.timeouts += more.timeouts;
        self.cancels += more.cancels;
        self.withdrawn += more.withdrawn;
        self.unknown_outcomes += more.unknown_outcomes;
        self.other_errors += more.other_errors;
        self.second_starts += more.second_starts;
        self.polls += more.polls;
        self.second_looks += more.second_looks;
        self.refused_tokens += more.refused_tokens;
        self.updates += more.updates;
        self.held_all += more.held_all;
    }

    pub(super) fn check(&self, is_for_waiter: bool) {
        let counts = [
            self.approvals,
            self.other_answers,
            self.timeouts,
            self.cancels,
            self.withdrawn,
            self.unknown_outcomes,
            self.other_errors,
            self.second_starts,
            self.polls,
            self.second_looks,
            self.refused_tokens,
            self.updates,
            // One that waits alone shares no 429 with anybody.
            self.held_all + u64::from(!is_for_waiter),
        ];
        assert!(counts.iter().all(|count| *count > 0), "something never came up: {self:?}");
    }
}

/// Everything about one wait.
struct Wait<'w> {
    plan: &'w Plan,
    record: &'w Record,
    asked: Vec<(usize, &'w Asked)>,
    added: Instant,
    ended: Instant,
    end: &'w WaitEnd,
}

pub(super) fn look(world: &World) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let state = world.state.borrow();
    for (number, (plan, record)) in world.script.waits.iter().zip(&state.records).enumerate() {
        let why = |why: String| format!("wait {number}: {why}");
        let asked = state.asked.iter().enumerate().filter(|(_, asked)| asked.wait == Some(number)).collect();
        let (ended, end) =
            the_end(&record.told).ok_or_else(|| why("its last event is not its end".into()))?;
        let added = record.added.ok_or_else(|| why("it was never added".into()))?;
        let wait = Wait { plan, record, asked, added, ended, end };
        wait.look(world, &state.asked, &mut seen).map_err(why)?;
    }
    let is_for_waiter = state.records.iter().any(|record| record.ticket != 0);
    let most = world.script.max_connections as usize;
    ensure!(!is_for_waiter || state.most_open <= most, "{} connections of {most}", state.most_open);
    Ok(seen)
}

impl Wait<'_> {
    fn look(&self, world: &World, all: &[Asked], seen: &mut Seen) -> Result<(), String> {
        self.the_end_is_true()?;
        self.the_end_is_in_time()?;
        self.nothing_follows_a_cancel()?;
        self.the_code_is_deserved(world, seen)?;
        self.starts(all, seen)?;
        self.events(seen)?;
        self.polls(world, all, seen)?;
        self.nothing_is_sent_with_a_refused_token(world, all)?;
        self.an_answer_is_not_lost()?;
        self.a_decision_is_soon_known(world)
    }

    fn deadline(&self) -> Instant {
        self.added + self.plan.timeout
    }

    fn poll_until(&self) -> Instant {
        self.deadline() - self.plan.reserve()
    }

    /// Its cancel, if that came before its end.
    fn cancelled(&self) -> Option<(Instant, bool, usize)> {
        self.record.cancelled.filter(|(at, ..)| *at <= self.ended)
    }

    fn asked_for(&self, endpoint: Endpoint) -> impl Iterator<Item = (usize, &Asked)> {
        self.asked.iter().copied().filter(move |(_, asked)| asked.endpoint == endpoint)
    }

    fn is_ok(&self) -> bool {
        self.end.result.is_ok()
    }

    fn the_end_is_true(&self) -> Result<(), String> {
        let Transaction { decision, transaction_id, .. } = self.end.transaction;
        ensure!(!decision.is_approved() || self.is_ok(), "an approval beside an error");
        ensure!(!decision.is_approved() || self.record.approval_told, "an approval that nobody gave");
        let is_final = !matches!(decision, Decision::None | Decision::Pending);
        ensure!(!self.is_ok() || is_final, "an answer that says nothing");
        let id = self.record.id.unwrap_or_default();
        ensure!(transaction_id == 0 || transaction_id == id, "it is another's transaction");
        ensure!(self.plan.asks || transaction_id == id, "the id is lost");
        if let (Some((_, Some(verdict))), true) = (self.record.final_told, self.is_ok()) {
            let is_same = decision_of(verdict, decision);
            ensure!(is_same || decision == Decision::Unknown, "told {verdict:?}, says {decision:?}");
        }
        Ok(())
    }

    fn the_end_is_in_time(&self) -> Result<(), String> {
        // A blocking provider that is asked just then takes its time.
        let pause = self.plan.gifts.iter().map(|(delay, _)| *delay).max().unwrap_or_default();
        let pause = if self.record.ticket == 0 { pause } else { Duration::ZERO };
        let latest = self.deadline() + pause + LATE;
        ensure!(self.ended <= latest, "it ended {:?} after its deadline", self.ended - self.deadline());
        let Some((at, withdraws, _)) = self.cancelled() else { return Ok(()) };
        let most = if withdraws { WITHDRAW_TIME } else { Duration::ZERO };
        ensure!(self.ended <= at + most + pause + LATE, "it ended {:?} after its cancel", self.ended - at);
        Ok(())
    }

    fn nothing_follows_a_cancel(&self) -> Result<(), String> {
        let Some((_, false, asked)) = self.cancelled() else { return Ok(()) };
        let after = self.asked.iter().find(|(place, _)| *place >= asked);
        ensure!(
            after.is_none(),
            "after its cancel it asked for {:?}",
            after.map(|(_, asked)| asked.endpoint)
        );
        Ok(())
    }

    fn the_code_is_deserved(&self, world: &World, seen: &mut Seen) -> Result<(), String> {
        let Err(error) = &self.end.result else {
            let is_approval = self.end.transaction.decision.is_approved();
            *(if is_approval { &mut seen.approvals } else { &mut seen.other_answers }) += 1;
            return Ok(());
        };
        // By its own account: the program may have heard of it later.
        let ended = self.added + self.end.transaction.elapsed;
        // A blocking provider that was asked before the cancel may give up after it.
        let is_asked = |at| self.record.ticket == 0 && self.record.given.iter().any(|given| *given >= at);
        // Who has had enough of an update may have had it of the last one; and who wakes late finds the
        // cancel together with what came before it.
        let is_wish = self.plan.enough_at.is_none() && !world.script.is_sloppy;
        let came_before = is_wish && self.cancelled().is_some_and(|(at, ..)| at <= ended && !is_asked(at));
        ensure!(error.code == Code::Cancelled || !came_before, "cancelled, and it says {error}");
        match error.code {
            Code::Timeout => {
                seen.timeouts += 1;
                ensure!(self.ended >= self.poll_until(), "a timeout before its time");
            }
            Code::Cancelled => {
                seen.cancels += 1;
                ensure!(self.cancelled().is_some(), "nobody cancelled it");
            }
            Code::Internal | Code::Busy | Code::Forked | Code::NotEnded => return Err(format!("{error}")),
            _ => seen.other_errors += 1,
        }
        seen.withdrawn += u64::from(error.withdrawn);
        ensure!(!error.withdrawn || self.record.cancel_told, "nobody said that it was withdrawn");
        seen.unknown_outcomes += u64::from(error.outcome_unknown);
        Ok(())
    }

    fn starts(&self, all: &[Asked], seen: &mut Seen) -> Result<(), String> {
        let starts: Vec<_> = self.asked_for(Endpoint::Start).collect();
        ensure!(self.plan.asks || starts.is_empty(), "a wait asks nobody");
        ensure!(self.record.pushes <= 1, "the person was asked {} times", self.record.pushes);
        ensure!(starts.len() <= 2, "{} starts", starts.len());
        let outcome_unknown = self.end.result.as_ref().is_err_and(|error| error.outcome_unknown);
        let was_asked = self.record.pushes > 0;
        let knows = self.end.transaction.transaction_id != 0;
        ensure!(
            !self.plan.asks || !was_asked || knows || outcome_unknown,
            "the person was asked: it says no"
        );
        ensure!(!outcome_unknown || !starts.is_empty(), "an outcome unknown of a start that was none");
        if let [(place, first), (next, second)] = starts[..] {
            seen.second_starts += 1;
            ensure!(first.refused_properly, "a second start after {:?}", first.kind);
            ensure!(first.token != second.token, "a second start with the refused token");
            ensure!(
                self.plan.asks_for_token || self.plan.unasked_gift.is_some(),
                "nobody gave another token"
            );
            let mut between = all[place + 1..next].iter().filter(|asked| {
                let is_refused = asked.endpoint == Endpoint::Availability && asked.refused_properly;
                is_refused && asked.token == first.token && asked.is_first
            });
            ensure!(
                first.is_first || between.next().is_some(),
                "a second start on a slipped refusal, perhaps"
            );
        }
        Ok(())
    }

    fn events(&self, seen: &mut Seen) -> Result<(), String> {
        let is_for_waiter = self.record.ticket != 0;
        let (mut started, mut tokens, mut ends, mut last_update) = (0, 0, 0, None);
        for (at, told) in &self.record.told {
            ensure!(ends == 0, "something came after the end");
            match told {
                Told::Started(so_far) => {
                    started += 1;
                    ensure!(self.plan.asks && started == 1, "a STARTED too many");
                    ensure!(last_update.is_none(), "an UPDATE before STARTED");
                    ensure!(Some(so_far.transaction_id) == self.record.id, "STARTED with another id");
                }
                Told::Update(so_far) => {
                    seen.updates += 1;
                    ensure!(!is_for_waiter || self.plan.updates, "an UPDATE that nobody wanted");
                    ensure!(!is_for_waiter || !so_far.decision.is_approved(), "APPROVED beside an UPDATE");
                    let is_approval = so_far.decision.is_approved();
                    ensure!(!is_approval || self.record.approval_told, "an approval in an update");
                    ensure!(last_update < Some(so_far.polls), "an UPDATE twice");
                    let is_answer = matches!(so_far.decision, Decision::Approved(_) | Decision::Denied);
                    ensure!(!is_answer || self.is_ok(), "an answer that was shown is lost");
                    last_update = Some(so_far.polls);
                }
                Told::TokenRefused => {
                    tokens += 1;
                    seen.refused_tokens += 1;
                    ensure!(self.plan.asks_for_token, "a TOKEN_REFUSED that nobody wanted");
                    let given = self.record.given.iter().filter(|given| *given <= at).count();
                    ensure!(tokens <= given + 1, "a TOKEN_REFUSED while one is open");
                }
                Told::Ended(_) => ends += 1,
            }
        }
        let Transaction { transaction_id, polls, .. } = self.end.transaction;
        ensure!(started == 1 || !self.plan.asks || transaction_id == 0, "the STARTED is lost");
        // A poll with which the wait failed makes one; the final answer, and one that is given up, none.
        let code = self.end.result.as_ref().err().map(|error| error.code);
        let failed = code.is_some_and(|code| !matches!(code, Code::Cancelled | Code::Timeout));
        let is_last = |update: u32| update == polls || (update + 1 == polls && !failed);
        // A poll that is cancelled half way makes none.
        let wants_updates = (self.plan.updates || !is_for_waiter) && self.cancelled().is_none();
        let is_complete = polls == 0 || (polls == 1 && !failed) || last_update.is_some_and(is_last);
        ensure!(!wants_updates || is_complete, "the last UPDATE is lost: {last_update:?} of {polls}");
        Ok(())
    }

    /// No poll sooner than the schedule, and what it names besides, allow.
    fn polls(&self, world: &World, all: &[Asked], seen: &mut Seen) -> Result<(), String> {
        let Some(known) = self.known_since() else { return Ok(()) };
        let Plan { min_interval, max_interval, timeout, .. } = *self.plan;
        let last_look = (self.poll_until() - (timeout / 8).min(Duration::from_secs(1))).max(known);
        let default = if self.plan.asks { min_interval } else { Duration::ZERO };
        let mut may_poll = (known + self.plan.first_poll.unwrap_or(default)).min(last_look);
        let (mut looks_twice, mut is_muddled) = (false, false);
        let mut last: Option<&Asked> = None;
        let withdraws_from = self.withdraws_from();
        for (_, poll) in self.asked_for(Endpoint::Status) {
            seen.polls += 1;
            if withdraws_from.is_some_and(|from| poll.at >= from) {
                // The last look is under no schedule.
                return Ok(());
            }
            let again = last.is_some_and(|last| last.kind == Kind::Wrong && !last.is_first && poll.is_first);
            let with_new_token = last.is_some_and(|last| {
                last.kind == Kind::RefusedToken && self.record.given.iter().any(|given| *given <= poll.at)
            });
            if is_muddled {
                // What it has read instead, nobody knows.
            } else if looks_twice {
                seen.second_looks += 1;
                ensure!(poll.is_first, "a second look on a connection that has served");
            } else if !again && !with_new_token {
                let early = may_poll.saturating_duration_since(poll.at);
                ensure!(early <= EARLY, "a poll {early:?} too early, after {:?}", last.map(|last| last.kind));
                let held = self.held_until(world, all, poll, seen).filter(|_| poll.at < last_look);
                ensure!(held.is_none(), "a poll while its waiter was told to hold back");
            }
            looks_twice = match poll.kind {
                Kind::UnnamedApproval => true,
                Kind::Sound => false,
                _ => looks_twice,
            };
            is_muddled = poll.kind == Kind::Muddled || (is_muddled && poll.kind != Kind::Sound);
            last = Some(poll);
            let answered = poll.answered.unwrap_or_else(|| self.gave_up(world, poll));
            let tenth = answered.saturating_duration_since(known) / 10;
            let interval = min_interval.max(tenth).min(max_interval);
            let hold = match poll.kind {
                Kind::TooMany(hold) => hold,
                Kind::Trouble(hold) => hold.min(3 * max_interval),
                _ => Duration::ZERO,
            };
            let in_turn = answered + interval.max(hold);
            may_poll = in_turn.min((answered + min_interval).max(last_look));
        }
        Ok(())
    }

    /// Until when a 429 that was told to others holds this poll back, if one does.
    fn held_until(&self, world: &World, all: &[Asked], poll: &Asked, seen: &mut Seen) -> Option<Instant> {
        // Where turns are waited for, or a connection, it may have been under way already.
        let under_way = Duration::from_millis(MOST_CONNECTING) + LATE;
        if self.record.ticket == 0 || (world.script.max_connections as usize) < world.script.waits.len() {
            return None;
        }
        let mut told: Vec<_> = all.iter().filter(|asked| asked.endpoint == Endpoint::Status).collect();
        told.retain(|asked| asked.answered.is_some_and(|at| at + under_way < poll.at));
        told.sort_by_key(|asked| asked.answered);
        let mut in_a_row: Vec<&str> = Vec::new();
        let mut until = None;
        for asked in told {
            let (Kind::TooMany(hold), Some(at)) = (asked.kind, asked.answered) else {
                in_a_row.clear();
                continue;
            };
            if !in_a_row.contains(&asked.token.as_str()) {
                in_a_row.push(&asked.token);
            }
            let is_about_all = in_a_row.len() >= 3;
            seen.held_all += u64::from(is_about_all);
            if is_about_all || asked.token == poll.token {
                until = until.max(Some(at + hold));
            }
        }
        until.filter(|until| *until > poll.at + EARLY)
    }

    /// When a poll without an answer may have been given up at the earliest.
    fn gave_up(&self, world: &World, poll: &Asked) -> Instant {
        poll.at
            + world.script.request_timeout.saturating_sub(Duration::from_millis(MOST_CONNECTING + MOST_LATE))
    }

    fn known_since(&self) -> Option<Instant> {
        if !self.plan.asks {
            return Some(self.added);
        }
        self.record.id_told.map(|(at, _)| at)
    }

    fn withdraws_from(&self) -> Option<Instant> {
        let wish = self.cancelled().filter(|(_, withdraws, _)| *withdraws).map(|(at, ..)| at);
        let by_deadline = self.plan.cancel_on_timeout.then(|| self.poll_until());
        [wish, by_deadline].into_iter().flatten().min()
    }

    /// Between a TOKEN_REFUSED and what is given for it nothing is sent, but to withdraw.
    fn nothing_is_sent_with_a_refused_token(&self, world: &World, all: &[Asked]) -> Result<(), String> {
        let script = &world.script;
        let has_turns = script.max_connections as usize >= script.waits.len();
        let is_calm = script.faults == 0 && script.busy.is_none() && has_turns;
        for refused in &self.record.refusals_told {
            let given = self.record.given.iter().find(|given| *given >= refused);
            let until = given.copied().unwrap_or(self.ended).min(self.withdraws_from().unwrap_or(self.ended));
            let sent = self.asked.iter().find(|(_, asked)| asked.at > *refused && asked.at < until);
            ensure!(sent.is_none(), "it asked {sent:?} while its token was refused");
            let Some(given) = given.copied().filter(|_| is_calm) else { continue };
            let soon = given + Duration::from_millis(MOST_CONNECTING) + LATE;
            let its = format!("token-{}-", self.plan.owner);
            let mut later = all.iter().filter(|asked| asked.at >= given && asked.at <= soon);
            let goes_on = later.any(|asked| asked.token.starts_with(&its));
            ensure!(goes_on || self.ended <= soon, "a token was given, and nothing came of it");
        }
        Ok(())
    }

    /// A final state that was read wins over all that comes later.
    fn an_answer_is_not_lost(&self) -> Result<(), String> {
        let Some((told, verdict)) = self.record.final_told else { return Ok(()) };
        let wish = self.cancelled().map(|(at, ..)| at);
        // What a waiter's network has brought is read before the clock.
        let late = if self.record.ticket == 0 { LATE } else { Duration::ZERO };
        let is_too_late = told + late >= self.deadline() || wish.is_some_and(|at| at <= told + LATE);
        let is_withdrawn = self.withdraws_from().is_some_and(|from| told + LATE >= from);
        ensure!(
            is_too_late || is_withdrawn || self.is_ok(),
            "told {verdict:?}, and ended with {:?}",
            self.end.result
        );
        Ok(())
    }

    /// Where nothing is in its way, an answer is known by the next poll.
    fn a_decision_is_soon_known(&self, world: &World) -> Result<(), String> {
        let script = &world.script;
        let expire = script.waits.iter().any(|plan| plan.expires_at_start);
        let is_calm = script.faults == 0
            && script.busy.is_none()
            && !expire
            && script.expiries.iter().all(Vec::is_empty);
        let (Some((delay, verdict)), Some(known), Some(began)) =
            (self.plan.decided, self.known_since(), self.record.began)
        else {
            return Ok(());
        };
        if !is_calm || self.record.cancelled.is_some() || self.record.withdrawn.is_some() {
            return Ok(());
        }
        // All that the others of its waiter may have to be asked first.
        let crowd = script.waits.len() as u64 * (script.latency + MOST_CONNECTING + MOST_LATE) * 2;
        let exchange = Duration::from_millis(crowd) + LATE;
        let first = known + self.plan.first_poll.unwrap_or(self.plan.min_interval);
        let decided = (began + delay).max(first);
        let tenth = (decided - known) / 10;
        let interval = self.plan.min_interval.max(tenth + exchange) * 5 / 4;
        let latest = decided + interval.min(self.plan.max_interval) + 2 * exchange;
        if latest >= self.poll_until() - exchange {
            return Ok(());
        }
        ensure!(self.is_ok(), "{verdict:?} was never learned: {:?}", self.end.result);
        ensure!(self.ended <= latest, "{verdict:?} was learned {:?} late", self.ended - latest);
        Ok(())
    }
}

fn decision_of(verdict: Verdict, decision: Decision) -> bool {
    match verdict {
        Verdict::Approved => decision.is_approved(),
        Verdict::Denied => decision == Decision::Denied,
        Verdict::Expired => decision == Decision::Expired,
        Verdict::Failed => decision == Decision::Failed,
        Verdict::Declined => decision == Decision::Cancelled,
    }
}
