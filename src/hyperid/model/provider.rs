//! How the provider answers: by its protocol, or with one of all the faults that are thought of.

use std::time::Duration;

use super::script::Verdict;
use super::world::{Asked, Endpoint, Kind, News, Reply, World};
use crate::clock::Instant;

/// Reads a request.
pub(super) fn read(world: &World, (connection, is_first): (usize, bool), request: &[u8]) -> Asked {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").expect("it is whole");
    let path = head.split(' ').nth(1).expect("it has a path");
    let endpoint = match path {
        "/mfa-client/availability-check" => Endpoint::Availability,
        "/mfa-client/transaction/start/v2" => Endpoint::Start,
        "/mfa-client/transaction/status-get" => Endpoint::Status,
        "/mfa-client/transaction/cancel" => Endpoint::Cancel,
        other => panic!("asked for {other}"),
    };
    let token = head.split("Bearer ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a token");
    let state = world.state.borrow();
    let wait = match endpoint {
        Endpoint::Availability => the_only_one_of(world, token),
        Endpoint::Start => {
            let number = body.split("question ").nth(1).expect("a question");
            Some(
                number
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
                    .parse()
                    .expect("a number"),
            )
        }
        Endpoint::Status | Endpoint::Cancel => {
            let id: i64 =
                body.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("an id");
            state.records.iter().position(|record| record.id == Some(id))
        }
    };
    let was_clean = !state.connections[connection].is_muddled;
    Asked {
        at: Instant::now(),
        endpoint,
        wait,
        token: token.to_owned(),
        connection,
        is_first,
        was_clean,
        kind: if was_clean { Kind::None } else { Kind::Muddled },
        answered: None,
        refused_properly: false,
    }
}

fn owner(token: &str) -> usize {
    token.split('-').nth(1).and_then(|owner| owner.parse().ok()).expect("a token of ours")
}

fn the_only_one_of(world: &World, token: &str) -> Option<usize> {
    let waits = world.script.waits.iter().enumerate();
    let mut its = waits.filter(|(_, plan)| plan.owner == owner(token)).map(|(wait, _)| wait);
    its.next().filter(|_| its.next().is_none())
}

/// Whether the token is good, now.
fn is_good(world: &World, token: &str) -> bool {
    let number: usize = token.split('-').nth(2).and_then(|number| number.parse().ok()).expect("a token");
    let state = world.state.borrow();
    let since = Instant::now() - state.begin;
    !state.expired.iter().any(|expired| expired == token)
        && world.script.expiries[owner(token)].get(number).is_none_or(|expiry| since < *expiry)
}

pub(super) fn http(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn retry_after(seconds: u64) -> String {
    format!("Retry-After: {seconds}\r\n")
}

fn refusal(number: i32) -> String {
    format!(r#"{{"result":{number}}}"#)
}

/// `status-get`'s answer.
pub(super) fn state(id: Option<i64>, (status, complete): (i32, i32)) -> String {
    let name = id.map(|id| format!(r#""transaction_id":{id},"#)).unwrap_or_default();
    format!(r#"{{"result":0,{name}"transaction_status":{status},"transaction_complete_result":{complete}}}"#)
}

impl Reply {
    fn new(bytes: Vec<u8>, kind: Kind) -> Self {
        let pieces = vec![(Duration::ZERO, bytes)];
        Reply { pieces, closes: false, kind, news: News::Nothing, refused_properly: false }
    }

    fn json(body: &str, kind: Kind) -> Self {
        Reply::new(http(200, "", body), kind)
    }

    fn with(self, news: News) -> Self {
        Reply { news, ..self }
    }

    /// The connection ends behind it.
    fn closing(self) -> Self {
        Reply { closes: true, ..self }
    }

    fn refused_token(number: i32) -> Self {
        Reply { refused_properly: true, ..Reply::json(&refusal(number), Kind::RefusedToken) }
    }

    /// The connection ends without an answer.
    fn lost() -> Self {
        Reply::new(Vec::new(), Kind::Trouble(Duration::ZERO)).closing()
    }

    /// No answer ever comes.
    fn silence() -> Self {
        Reply { pieces: Vec::new(), ..Reply::lost() }
    }

    fn too_many(seconds: u64, body: &str) -> Self {
        Reply { kind: Kind::TooMany(Duration::from_secs(seconds)), ..Reply::trouble(429, seconds, body) }
    }

    fn trouble(status: u16, seconds: u64, body: &str) -> Self {
        let headers = if seconds == 0 { String::new() } else { retry_after(seconds) };
        Reply::new(http(status, &headers, body), Kind::Trouble(Duration::from_secs(seconds)))
    }
}

pub(super) fn reply(world: &World, asked: &Asked) -> Reply {
    let (is_faulty, latency) = {
        let random = &mut world.state.borrow_mut().random;
        (random.below(1000) < world.script.faults, random.millis(0, world.script.latency))
    };
    let mut reply = match asked.endpoint {
        // A transaction that nobody has.
        Endpoint::Status | Endpoint::Cancel if asked.wait.is_none() => {
            Reply::json(&refusal(-6), Kind::Refusal)
        }
        Endpoint::Availability => availability(world, asked, is_faulty),
        Endpoint::Start => start(world, asked, is_faulty),
        Endpoint::Status => status(world, asked, is_faulty),
        Endpoint::Cancel => cancel(world, asked, is_faulty),
    };
    if let Some((delay, _)) = reply.pieces.first_mut() {
        *delay += latency;
    }
    reply
}

fn draw(world: &World, end: u64) -> u64 {
    world.state.borrow_mut().random.below(end)
}

/// 0 to 20 seconds, often none.
fn draw_seconds(world: &World) -> u64 {
    world.state.borrow_mut().random.pick(&[0, 0, 1, 3, 20])
}

/// What may come to any question. `lie`: what an approval would look like here.
fn common_fault(world: &World, lie: &str) -> Reply {
    let whole = http(200, "", lie);
    match draw(world, 14) {
        0 => Reply::lost(),
        1 => Reply::new(whole[..whole.len() - 3].to_vec(), Kind::Trouble(Duration::ZERO)).closing(),
        2 => Reply::new(b"garbage\r\n\r\n".to_vec(), Kind::Wrong),
        3 => Reply::trouble(503, draw_seconds(world), lie),
        4 => Reply::too_many(draw_seconds(world), lie),
        5 => Reply::trouble(500, 0, lie),
        6 => Reply::trouble(408, 0, lie),
        7 => Reply::json(&lie.replacen(r#"{"result":0,"#, r#"{"result":0,"result":0,"#, 1), Kind::Wrong),
        8 => Reply::json(&lie.replacen(r#""result":0"#, r#""result":0.0"#, 1), Kind::Wrong),
        9 => Reply::silence(),
        10 => Reply::json(&lie.replacen(r#""result":0"#, r#""result":-1"#, 1), Kind::Trouble(Duration::ZERO)),
        11 => Reply::json(&lie.replacen(r#""result":0"#, r#""result":-3"#, 1), Kind::Refusal),
        12 => Reply::new(http(401, "", ""), Kind::RefusedToken),
        _ => Reply::refused_token(-4),
    }
}

fn availability(world: &World, asked: &Asked, is_faulty: bool) -> Reply {
    let yes = r#"{"result":0,"is_available":true}"#;
    if is_faulty {
        return match draw(world, 4) {
            0 => Reply::json(r#"{"result":0,"is_available":false}"#, Kind::Sound),
            // It belongs to another question.
            1 => Reply::json(&state(None, (1, 0)), Kind::Wrong),
            _ => common_fault(world, yes),
        };
    }
    if !is_good(world, &asked.token) {
        return Reply::refused_token(-4);
    }
    Reply::json(yes, Kind::Sound)
}

fn start(world: &World, asked: &Asked, is_faulty: bool) -> Reply {
    let wait = asked.wait.expect("the question says whose");
    let is_again = world.record(wait, |record| std::mem::replace(&mut record.is_start_seen, true));
    if world.script.waits[wait].expires_at_start && !is_again {
        world.state.borrow_mut().expired.push(asked.token.clone());
    }
    let may_be_carried_out = is_good(world, &asked.token);
    // Asks the person, and returns what says so.
    let push = || {
        let id = world.begin(wait);
        world.record(wait, |record| record.pushes += 1);
        (id, format!(r#"{{"result":0,"transaction_id":{id}}}"#))
    };
    if is_faulty {
        let fault = draw(world, 14);
        return match fault {
            // Carried out, and not told so.
            0..=6 if may_be_carried_out => {
                let (id, yes) = push();
                match fault {
                    0 => Reply::lost(),
                    1 => Reply::silence(),
                    2 => Reply::trouble(503, 0, &yes),
                    3 => Reply::json(r#"{"result":0}"#, Kind::Wrong),
                    4 => Reply::json(&state(Some(id), (1, 0)), Kind::Wrong),
                    // With another start's id, where there was one.
                    _ => {
                        let other = an_id_that_was_told(world);
                        Reply::json(&format!(r#"{{"result":0,"transaction_id":{other}}}"#), Kind::Wrong)
                    }
                }
            }
            7 => Reply::json(&refusal(-2), Kind::Refusal),
            8 => Reply::json(&refusal(-8), Kind::Refusal),
            9 => Reply::new(http(401, "", &refusal(-4)), Kind::RefusedToken),
            _ => common_fault(world, r#"{"result":0,"transaction_id":7}"#),
        };
    }
    if !may_be_carried_out {
        return Reply::refused_token(-5);
    }
    let (id, yes) = push();
    Reply::json(&yes, Kind::Sound).with(News::Id(id))
}

/// 0: none.
fn an_id_that_was_told(world: &World) -> i64 {
    let state = world.state.borrow();
    let told = state.records.iter().filter(|record| record.told.iter().any(|(_, told)| told.is_started()));
    told.filter_map(|record| record.id_told).map(|(_, id)| id).next().unwrap_or_default()
}

/// What has become of the transaction, if anything has.
fn verdict(world: &World, wait: usize) -> Option<Verdict> {
    let (began, withdrawn) = world.record(wait, |record| (record.began, record.withdrawn));
    let plan = &world.script.waits[wait];
    let decided = began.zip(plan.decided).map(|(began, (delay, verdict))| (began + delay, verdict));
    match (decided, withdrawn) {
        (Some((at, verdict)), None) if at <= Instant::now() => Some(verdict),
        (Some((at, verdict)), Some(withdrawn)) if at <= withdrawn => Some(verdict),
        (_, Some(_)) => Some(Verdict::Declined),
        _ => None,
    }
}

fn status(world: &World, asked: &Asked, is_faulty: bool) -> Reply {
    let wait = asked.wait.expect("somebody's");
    let id = world.record(wait, |record| record.id).expect("it has one");
    let since = Instant::now() - world.state.borrow().begin;
    if world.script.busy.is_some_and(|(from, length)| since >= from && since < from + length) {
        return Reply::too_many(draw_seconds(world), &state(Some(id), (1, 0)));
    }
    if !is_faulty || draw(world, 4) == 0 {
        return told_state(world, asked, wait, id, is_faulty);
    }
    let lie = state(Some(id), (1, 0));
    match draw(world, 16) {
        0 => Reply::json(&state(Some(id + 1_000_000), (1, 0)), Kind::Wrong),
        // Another's, slipped: it does not say whose. It cannot be the first on its connection.
        1 if !asked.is_first => {
            world.state.borrow_mut().connections[asked.connection].is_muddled = true;
            Reply::json(&state(None, (1, 0)), Kind::UnnamedApproval)
        }
        2 => Reply::json(&state(Some(id), (7, 0)), Kind::Sound),
        3 => Reply::json(&state(Some(id), (1, 2)), Kind::Sound).with(News::Final(None)),
        4 => Reply::json(
            &format!(r#"{{"result":0,"transaction_id":{id},"transaction_status":1}}"#),
            Kind::Wrong,
        ),
        5 => Reply::json(&lie.replacen(r#""result":0"#, r#""result":0,"is_available":true"#, 1), Kind::Wrong),
        6 => Reply::new(http(302, "Location: /\r\n", &lie), Kind::Trouble(Duration::ZERO)),
        7 => Reply::new(http(403, "", "<html>"), Kind::Trouble(Duration::ZERO)),
        8 => Reply::new(http(404, "", &lie), Kind::Trouble(Duration::ZERO)),
        9 => Reply::new(http(200, "", "<html>"), Kind::Trouble(Duration::ZERO)),
        10 => Reply::new(http(403, "", &refusal(-3)), Kind::Refusal),
        11 => Reply::json(&refusal(-6), Kind::Trouble(Duration::ZERO)),
        12 => Reply::json(&state(Some(id), (0, 0)), Kind::Sound),
        _ => common_fault(world, &lie),
    }
}

/// The truth, in one way or another.
fn told_state(world: &World, asked: &Asked, wait: usize, id: i64, is_odd: bool) -> Reply {
    if !is_good(world, &asked.token) {
        return Reply::refused_token(-4);
    }
    let verdict = verdict(world, wait);
    let name = world.script.waits[wait].is_named.then_some(id);
    let body = state(name, verdict.map_or((0, 0), Verdict::on_the_wire));
    let is_unnamed_approval = name.is_none() && verdict == Some(Verdict::Approved);
    let kind = if is_unnamed_approval { Kind::UnnamedApproval } else { Kind::Sound };
    let news = if verdict.is_some() { News::Final(verdict) } else { News::Nothing };
    let reply = Reply::json(&body, kind).with(news);
    if !is_odd {
        return reply;
    }
    let lie = http(200, "", &state(None, (1, 0)));
    match draw(world, 5) {
        // And then once more, unasked, with an approval: at once, or when somebody else asks there.
        0 => {
            let bytes = [http(200, "", &body), lie].concat();
            world.state.borrow_mut().connections[asked.connection].is_muddled = true;
            Reply { pieces: vec![(Duration::ZERO, bytes)], ..reply }
        }
        1 => {
            let later = Instant::now() + Duration::from_millis(400 + draw(world, 3_000));
            world.send_unasked(asked.connection, later, lie);
            reply
        }
        2 => reply.closing(),
        3 => {
            let bytes = http(200, "", &body);
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            let pause = Duration::from_millis(draw(world, 1_500));
            Reply { pieces: vec![(Duration::ZERO, head.to_vec()), (pause, tail.to_vec())], ..reply }
        }
        _ => {
            let bytes = http(200, "", &body);
            Reply { pieces: vec![(Duration::from_millis(draw(world, 4_000)), bytes)], ..reply }
        }
    }
}

fn cancel(world: &World, asked: &Asked, is_faulty: bool) -> Reply {
    let wait = asked.wait.expect("somebody's");
    let fault = is_faulty.then(|| draw(world, 5));
    if fault.is_some_and(|fault| fault > 1) {
        return common_fault(world, r#"{"result":0,"transaction_id":7}"#);
    }
    if !is_good(world, &asked.token) {
        return Reply::refused_token(-4);
    }
    let reply = match verdict(world, wait) {
        None => {
            world.record(wait, |record| record.withdrawn = Some(Instant::now()));
            Reply::json(r#"{"result":0}"#, Kind::Sound).with(News::Cancelled)
        }
        Some(Verdict::Declined) => Reply::json(&refusal(-10), Kind::Refusal).with(News::Cancelled),
        Some(Verdict::Expired) => Reply::json(&refusal(-8), Kind::Refusal),
        Some(_) => Reply::json(&refusal(-9), Kind::Refusal),
    };
    match fault {
        // Carried out, and not told so.
        Some(0) => Reply::lost(),
        Some(_) => Reply::silence(),
        None => reply,
    }
}
