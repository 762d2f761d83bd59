//! Many thousand random schedules on a simulated clock, against a scripted provider, for both drivers.
//!
//! Everything is the library's own but time, connecting and the provider (`clock::simulated`). After each
//! schedule `verdict` looks at what the provider was asked and what the program was told.
//!
//! `MFA_MODEL_SCHEDULES` sets how many, for a waiter, and
//! three times as many for blocking calls. A failure names its seed; with it in
//! `MFA_MODEL_SEED` that schedule alone is run, and told step by step:
//!
//!     MFA_MODEL_SEED=42 cargo test --lib model -- --nocapture

mod provider;
mod script;
mod verdict;
mod world;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use zeroize::Zeroizing;

use self::script::{Gift, Plan, Random, Script, When};
use self::world::{Deed, Told, World};
use super::{EventKind, HyperId, TicketOptions, Transaction, WaitEnd, WaitOptions, Waiter, WaiterOptions};
use crate::clock::{Instant, simulated};
use crate::options::{CallOptions, ClientOptions};
use crate::time::Cancel;

const DEFAULT_SCHEDULES: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[derive(Clone, Copy, PartialEq)]
enum Driver {
    Blocking,
    Waiter,
}

#[test]
fn blocking_calls_keep_their_word_in_any_schedule() {
    run_many(Driver::Blocking);
}

#[test]
fn a_waiter_keeps_its_word_in_any_schedule() {
    run_many(Driver::Waiter);
}

#[test]
fn a_seed_gives_one_course() {
    let clients = Clients::new();
    for driver in [Driver::Blocking, Driver::Waiter] {
        for seed in 0..50 {
            let [first, second] = [(); 2].map(|()| run(driver, seed, &clients, false).course());
            assert_eq!(first, second, "seed {seed}");
        }
    }
}

fn run_many(driver: Driver) {
    let clients = Clients::new();
    if let Some(seed) = number("MFA_MODEL_SEED") {
        verdict::look(&run(driver, seed, &clients, true)).unwrap();
        return;
    }
    let mut seen = verdict::Seen::default();
    let schedules = number("MFA_MODEL_SCHEDULES").unwrap_or(DEFAULT_SCHEDULES);
    // A waiter's have several waits.
    let schedules = if driver == Driver::Blocking { 3 * schedules } else { schedules };
    for seed in 0..schedules {
        let looked = catch_unwind(AssertUnwindSafe(|| verdict::look(&run(driver, seed, &clients, false))));
        match looked {
            Ok(Ok(more)) => seen.add(&more),
            Ok(Err(why)) => panic!("MFA_MODEL_SEED={seed}: {why}"),
            Err(panic) => {
                println!("MFA_MODEL_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    println!("{seen:?}");
    // A model in which nothing happens shows nothing; and few schedules may miss something.
    if schedules >= 1_000 {
        seen.check(driver == Driver::Waiter);
    }
}

/// One for each request timeout. They live as long as the process, since what the program does while the
/// waiter waits is done through the world, which the thread holds.
struct Clients([(Duration, &'static HyperId); 2], Cell<i64>);

impl Clients {
    fn new() -> Self {
        let client = |seconds| {
            let timeout = Duration::from_secs(seconds);
            let options = ClientOptions::new().base_url("http://127.0.0.1:9").allow_loopback_http(true);
            let client = HyperId::new(&options.request_timeout(timeout).max_idle_connections(4)).unwrap();
            (timeout, &*Box::leak(Box::new(client)))
        };
        Clients([client(2), client(30)], Cell::new(0))
    }

    fn with(&self, request_timeout: Duration) -> &'static HyperId {
        self.0.iter().find(|(timeout, _)| *timeout == request_timeout).expect("there is one").1
    }
}

fn run(driver: Driver, seed: u64, clients: &Clients, is_loud: bool) -> Rc<World> {
    let mut random = Random::new(seed);
    let script = Script::draw(&mut random, driver == Driver::Waiter);
    let client = clients.with(script.request_timeout);
    let world = Rc::new(World::new(script, random, Instant::now(), clients.1.get(), is_loud));
    let inside = simulated::enter(world.clone());
    world.state.borrow_mut().begin = Instant::now();
    if is_loud {
        println!("{:#?}", world.script);
    }
    match driver {
        Driver::Blocking => block(&world, client),
        Driver::Waiter => drive(&world, client),
    }
    simulated::pass(Instant::now(), || false);
    world.set_hands(None);
    clients.1.set(world.state.borrow().next_id);
    drop(inside);
    // Nothing of this schedule is left for the next.
    client.http.slipped();
    world
}

fn question(wait: usize) -> String {
    format!("question {wait}")
}

fn tell(world: &World, wait: usize, told: Told) {
    world.say(format_args!("wait {wait} is told {told:?}"));
    world.record(wait, |record| record.told.push((Instant::now(), told)));
}

/// When the program acts on this wait by itself.
fn plan_deeds(world: &World, wait: usize, plan: &Plan) {
    let now = Instant::now();
    if let Some((When::After(delay), withdraw)) = plan.cancelled {
        world.does(now + delay, Deed::Cancel(wait, withdraw));
    }
}

// ---- The blocking driver. ----

fn block(world: &Rc<World>, client: &HyperId) {
    let plan = world.script.waits[0].clone();
    let cancel = Cancel::new();
    let (deed_of, triggered) = (world.clone(), cancel.clone());
    world.set_hands(Some(Rc::new(move |deed| {
        if let Deed::Cancel(wait, _) = deed {
            deed_of.note_cancel(*wait, false);
            triggered.trigger();
        }
    })));
    world.record(0, |record| record.added = Some(Instant::now()));
    plan_deeds(world, 0, &plan);
    let mut call = CallOptions::new().timeout(plan.timeout);
    // Those who have had enough say so in one way or the other.
    let cancels_in_update = plan.enough_at.is_some() && plan.updates;
    call.cancel = (plan.cancelled.is_some() || cancels_in_update).then_some(&cancel);
    let mut updates = 0;
    let mut on_update = |so_far: &Transaction| {
        updates += 1;
        let is_start = plan.asks && updates == 1;
        tell(world, 0, if is_start { Told::Started(*so_far) } else { Told::Update(*so_far) });
        if plan.enough_at == Some(updates) {
            world.note_cancel(0, false);
            if !cancels_in_update {
                return ControlFlow::Break(());
            }
            cancel.trigger();
        }
        ControlFlow::Continue(())
    };
    let mut provider = || {
        tell(world, 0, Told::TokenRefused);
        gift(world, 0).and_then(|(delay, token)| {
            simulated::pass(Instant::now() + delay, || false);
            world.record(0, |record| record.given.push(Instant::now()));
            token.map(Zeroizing::new)
        })
    };
    let mut wait: WaitOptions<'_> = plan.wait_options().on_update(&mut on_update);
    if plan.asks_for_token {
        wait = wait.access_token_provider(&mut provider);
    }
    let end = if plan.asks {
        client.confirm(&world.token(0), &script::request(&question(0)), &mut wait, &call)
    } else {
        client.wait(&world.token(0), world.begin(0), &mut wait, &call)
    };
    tell(world, 0, Told::Ended(end));
}

/// What the program gives, and after what time; `None`: nothing.
fn gift(world: &World, wait: usize) -> Option<(Duration, Option<String>)> {
    let place = world.record(wait, |record| {
        record.refusals_told.push(Instant::now());
        record.gifts += 1;
        record.gifts - 1
    });
    let (delay, gift) = world.script.waits[wait].gifts.get(place).copied()?;
    match gift {
        Gift::Fresh => Some((delay, Some(world.fresh_token(wait)))),
        Gift::Same => Some((delay, Some(world.token(wait)))),
        Gift::Unusable => Some((delay, Some("no token".to_owned()))),
        Gift::GivesUp => Some((delay, None)),
        Gift::Nothing => None,
    }
}

// ---- The waiter. ----

/// Longer than any program stays away from `next`.
const MOST_AWAY: u64 = 30;

fn drive(world: &Rc<World>, client: &'static HyperId) {
    let options = WaiterOptions::new().max_connections(world.script.max_connections);
    let waiter = Rc::new(Waiter::new(client, &options).unwrap());
    let (deed_of, does) = (world.clone(), waiter.clone());
    world.set_hands(Some(Rc::new(move |deed| act(&deed_of, &does, deed))));
    let begin = Instant::now();
    for (wait, plan) in world.script.waits.iter().enumerate() {
        if plan.added.is_zero() {
            act(world, &waiter, &Deed::Add(wait));
        } else {
            world.does(begin + plan.added, Deed::Add(wait));
        }
    }
    if let Some((delay, withdraw)) = world.script.all_cancelled {
        world.does(begin + delay, Deed::CancelAll(withdraw));
    }
    let mut ended = 0;
    while ended < world.script.waits.len() {
        let (timeout, away, draws) = {
            let random = &mut world.state.borrow_mut().random;
            let away = if random.percent(10) { random.millis(0, MOST_AWAY) } else { Duration::ZERO };
            (random.millis(0, 2_000), away, random.percent(5))
        };
        if draws {
            world.does(begin + begin.elapsed() + timeout / 2, Deed::Wake);
        }
        simulated::pass(Instant::now() + away, || false);
        let Some(event) = waiter.next(timeout).unwrap() else {
            assert!(begin.elapsed() < Duration::from_secs(300), "a wait never ends");
            continue;
        };
        let wait = event.user_data;
        assert_eq!(event.ticket, world.record(wait, |record| record.ticket), "another's user_data");
        ended += usize::from(matches!(event.kind, EventKind::Ended(_)));
        note(world, wait, event.kind);
    }
    assert_eq!(waiter.count(), 0);
    assert!(waiter.next(Duration::from_secs(60)).unwrap().is_none(), "an event after the last one");
}

fn act(world: &Rc<World>, waiter: &Waiter<'static>, deed: &Deed) {
    let ticket = |wait: usize| world.record(wait, |record| record.ticket);
    match deed {
        Deed::Add(wait) => add(world, waiter, *wait),
        Deed::Cancel(wait, withdraw) => {
            waiter.cancel(ticket(*wait), *withdraw).unwrap();
            world.note_cancel(*wait, *withdraw);
        }
        Deed::CancelAll(withdraw) => {
            waiter.cancel_all(*withdraw).unwrap();
            (0..world.script.waits.len()).for_each(|wait| world.note_cancel(wait, *withdraw));
        }
        Deed::Give(wait, token) => {
            // What cannot be used is refused, and the wait goes on as it was.
            if waiter.give_token(ticket(*wait), token.as_deref()).is_ok() {
                world.record(*wait, |record| record.given.push(Instant::now()));
            }
        }
        Deed::Wake => waiter.wake(),
    }
}

fn add(world: &World, waiter: &Waiter<'static>, wait: usize) {
    let plan = &world.script.waits[wait];
    let options = TicketOptions::new()
        .timeout(plan.timeout)
        .report_updates(plan.updates)
        .ask_for_token(plan.asks_for_token)
        .user_data(wait);
    world.record(wait, |record| record.added = Some(Instant::now()));
    let announce = |ticket| world.record(wait, |record| record.ticket = ticket);
    let (token, question) = (world.token(wait), question(wait));
    let added = if plan.asks {
        waiter.confirm(&token, &script::request(&question), &plan.wait_options(), options, announce)
    } else {
        waiter.wait(&token, world.begin(wait), &plan.wait_options(), options, announce)
    };
    added.unwrap();
    plan_deeds(world, wait, plan);
    if let Some(delay) = plan.unasked_gift {
        let token = world.fresh_token(wait);
        world.does(Instant::now() + delay, Deed::Give(wait, Some(token)));
    }
}

fn note(world: &World, wait: usize, kind: EventKind) {
    match kind {
        EventKind::Started(so_far) => tell(world, wait, Told::Started(so_far)),
        EventKind::Update(so_far) => tell(world, wait, Told::Update(so_far)),
        EventKind::Ended(end) => tell(world, wait, Told::Ended(end)),
        EventKind::TokenRefused(..) => {
            tell(world, wait, Told::TokenRefused);
            let Some((delay, token)) = gift(world, wait) else { return };
            world.does(Instant::now() + delay, Deed::Give(wait, token));
        }
    }
}

fn the_end(told: &[(Instant, Told)]) -> Option<(Instant, &WaitEnd)> {
    match told.last() {
        Some((at, Told::Ended(end))) => Some((*at, end)),
        _ => None,
    }
}
