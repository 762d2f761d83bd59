//! The world of one schedule: a provider that lies, loses and delays as its script says, and what the
//! program does meanwhile. It notes all that is asked, and all that it has told.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use super::provider;
use super::script::{MOST_CONNECTING, MOST_LATE, Random, Script, Verdict, When};
use crate::clock::Instant;
use crate::clock::simulated;
use crate::hyperid::{Transaction, WaitEnd};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Endpoint {
    Availability,
    Start,
    Status,
    Cancel,
}

/// What an answer is, to the one who asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// None has come: not yet, or never.
    None,
    /// Sound.
    Sound,
    /// An approval that does not say whose.
    UnnamedApproval,
    RefusedToken,
    /// Such as breaks the protocol or is about something else.
    Wrong,
    /// Trouble that may pass, after so long.
    Trouble(Duration),
    /// HTTP 429, with so long a Retry-After.
    TooMany(Duration),
    /// Any other refusal.
    Refusal,
    /// On a connection on which something else has come, or may.
    Muddled,
}

/// A request as the provider has seen it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) endpoint: Endpoint,
    /// Whose; not known of availability where several share a token.
    pub(super) wait: Option<usize>,
    pub(super) token: String,
    pub(super) connection: usize,
    /// It is the first on its connection.
    pub(super) is_first: bool,
    /// Nothing has come on it that nobody asked for.
    pub(super) was_clean: bool,
    pub(super) kind: Kind,
    /// When its answer, or the end of its connection, had been sent whole.
    pub(super) answered: Option<Instant>,
    /// A refusal of the token in the endpoint's own words: HTTP 200, JSON.
    pub(super) refused_properly: bool,
}

/// What becomes known with an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum News {
    Nothing,
    Id(i64),
    /// A state that is final.
    Final(Option<Verdict>),
    Cancelled,
}

/// An answer, or what there is in its place.
pub(super) struct Reply {
    pub(super) pieces: Vec<(Duration, Vec<u8>)>,
    /// The connection ends with it.
    pub(super) closes: bool,
    pub(super) kind: Kind,
    pub(super) news: News,
    pub(super) refused_properly: bool,
}

/// What the program does.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Add(usize),
    Cancel(usize, bool),
    CancelAll(bool),
    Give(usize, Option<String>),
    Wake,
}

enum Happening {
    Send { connection: usize, bytes: Vec<u8>, last_of: Option<Box<LastPiece>> },
    Does(Deed),
}

struct LastPiece {
    asked: usize,
    closes: bool,
    kind: Kind,
    news: News,
    refused_properly: bool,
}

/// What the program was told.
#[derive(Debug)]
pub(super) enum Told {
    Started(Transaction),
    Update(Transaction),
    TokenRefused,
    Ended(WaitEnd),
}

impl Told {
    pub(super) fn is_started(&self) -> bool {
        matches!(self, Told::Started(_))
    }
}

/// What has become of one wait.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) added: Option<Instant>,
    pub(super) ticket: u64,
    /// The transaction, once the provider has it.
    pub(super) id: Option<i64>,
    pub(super) began: Option<Instant>,
    pub(super) withdrawn: Option<Instant>,
    pub(super) is_start_seen: bool,
    /// How often the person was asked.
    pub(super) pushes: u32,
    /// The answer to start has been sent.
    pub(super) id_told: Option<(Instant, i64)>,
    /// The provider has said, of this transaction, that it is approved.
    pub(super) approval_told: bool,
    pub(super) unnamed_approval_told: bool,
    /// A final state has been sent, on a clean connection.
    pub(super) final_told: Option<(Instant, Option<Verdict>)>,
    pub(super) cancel_told: bool,
    /// When the program wanted it to end, whether withdrawn, and how much had been asked until then.
    pub(super) cancelled: Option<(Instant, bool, usize)>,
    /// The next of its tokens, and of its gifts.
    pub(super) gifts: usize,
    /// When tokens were refused to the program's face, and given by it.
    pub(super) refusals_told: Vec<Instant>,
    pub(super) given: Vec<Instant>,
    pub(super) told: Vec<(Instant, Told)>,
}

pub(super) struct Connection {
    stream: Option<UnixStream>,
    input: Vec<u8>,
    has_served: bool,
    /// Something has been sent on it that nobody asked for.
    pub(super) is_muddled: bool,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) begin: Instant,
    pub(super) records: Vec<Record>,
    pub(super) asked: Vec<Asked>,
    pub(super) connections: Vec<Connection>,
    open: Vec<usize>,
    pub(super) most_open: usize,
    pub(super) tokens: Vec<usize>,
    pub(super) expired: Vec<String>,
    pub(super) next_id: i64,
    happenings: BTreeMap<(Instant, u64), Happening>,
    order: u64,
}

type Hands = Rc<dyn Fn(&Deed)>;

pub(super) struct World {
    pub(super) script: Script,
    pub(super) state: RefCell<State>,
    hands: RefCell<Option<Hands>>,
    /// Tells of everything.
    is_loud: bool,
    /// Mixes everything that happens into a number, by which two courses are compared.
    course: Cell<u64>,
}

impl World {
    pub(super) fn new(script: Script, random: Random, begin: Instant, first_id: i64, is_loud: bool) -> Self {
        let owners = script.waits.len();
        let state = State {
            random,
            begin,
            records: script.waits.iter().map(|_| Record::default()).collect(),
            asked: Vec::new(),
            connections: Vec::new(),
            open: Vec::new(),
            most_open: 0,
            tokens: vec![0; owners],
            expired: Vec::new(),
            next_id: first_id,
            happenings: BTreeMap::new(),
            order: 0,
        };
        let (hands, course) = (RefCell::default(), Cell::new(0));
        World { script, state: RefCell::new(state), hands, is_loud, course }
    }

    /// Who does what the program does.
    pub(super) fn set_hands(&self, hands: Option<Hands>) {
        self.hands.replace(hands);
    }

    pub(super) fn does(&self, at: Instant, deed: Deed) {
        // Never in the instant in which something comes: which of them is first would be anybody's guess.
        let at = at + Duration::from_nanos(500);
        self.state.borrow_mut().happens(at, Happening::Does(deed));
    }

    pub(super) fn say(&self, what: std::fmt::Arguments<'_>) {
        let now = Instant::now() - self.state.borrow().begin;
        let mixed = self.course.get().rotate_left(7) ^ now.as_nanos() as u64;
        self.course.set(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if self.is_loud {
            println!("{:>9.3} {what}", now.as_secs_f64());
        }
    }

    pub(super) fn course(&self) -> u64 {
        self.course.get()
    }

    /// The token of this wait's owner that is handed out at present.
    pub(super) fn token(&self, wait: usize) -> String {
        let owner = self.script.waits[wait].owner;
        token(owner, self.state.borrow().tokens[owner])
    }

    pub(super) fn fresh_token(&self, wait: usize) -> String {
        self.state.borrow_mut().tokens[self.script.waits[wait].owner] += 1;
        self.token(wait)
    }

    pub(super) fn record<T>(&self, wait: usize, note: impl FnOnce(&mut Record) -> T) -> T {
        note(&mut self.state.borrow_mut().records[wait])
    }

    pub(super) fn note_cancel(&self, wait: usize, withdraw: bool) {
        let asked = self.state.borrow().asked.len();
        let withdraw = withdraw || self.script.waits[wait].withdraw_on_cancel;
        self.record(wait, |record| {
            if record.added.is_some() && record.cancelled.is_none() {
                record.cancelled = Some((Instant::now(), withdraw, asked));
            }
        });
        self.say(format_args!("wait {wait} is cancelled, withdrawn: {withdraw}"));
    }

    /// The transaction begins.
    pub(super) fn begin(&self, wait: usize) -> i64 {
        let state = &mut *self.state.borrow_mut();
        state.next_id += 1;
        let record = &mut state.records[wait];
        record.id = Some(state.next_id);
        record.began = Some(Instant::now());
        state.next_id
    }

    fn answer(&self, asked: Asked) {
        self.say(format_args!(
            "{:?} of {:?} on {} with {}",
            asked.endpoint, asked.wait, asked.connection, asked.token
        ));
        self.cancel_in_the_midst(&asked);
        let connection = asked.connection;
        let number = {
            let mut state = self.state.borrow_mut();
            state.asked.push(asked.clone());
            state.asked.len() - 1
        };
        let reply = provider::reply(self, &asked);
        let state = &mut *self.state.borrow_mut();
        let mut at = asked.at;
        let last = reply.pieces.len().saturating_sub(1);
        for (place, (delay, bytes)) in reply.pieces.into_iter().enumerate() {
            at += delay;
            let (closes, kind, news) = (reply.closes, reply.kind, reply.news);
            let refused_properly = reply.refused_properly;
            let last_of = (place == last)
                .then(|| Box::new(LastPiece { asked: number, closes, kind, news, refused_properly }));
            state.happens(at, Happening::Send { connection, bytes, last_of });
        }
    }

    fn cancel_in_the_midst(&self, asked: &Asked) {
        let Some(wait) = asked.wait else { return };
        let Some((When::AfterRequest(count, delay), withdraw)) = self.script.waits[wait].cancelled else {
            return;
        };
        let before = self.state.borrow().asked.iter().filter(|asked| asked.wait == Some(wait)).count();
        if before + 1 == count {
            self.does(asked.at + delay, Deed::Cancel(wait, withdraw));
        }
    }

    /// Sends what nobody has asked for.
    pub(super) fn send_unasked(&self, connection: usize, at: Instant, bytes: Vec<u8>) {
        let mut state = self.state.borrow_mut();
        // What comes next on it may be taken for something else, from now on.
        state.connections[connection].is_muddled = true;
        state.happens(at, Happening::Send { connection, bytes, last_of: None });
    }

    fn send(&self, connection: usize, bytes: &[u8], last: Option<Box<LastPiece>>) {
        let state = &mut *self.state.borrow_mut();
        let its = &mut state.connections[connection];
        let Some(stream) = &mut its.stream else { return };
        let sent = stream.write_all(bytes);
        let Some(last) = last else { return };
        if last.closes {
            its.stream = None;
            state.open.retain(|other| *other != connection);
        }
        if sent.is_err() {
            return;
        }
        let is_muddled = its.is_muddled;
        let asked = &mut state.asked[last.asked];
        let now = Instant::now();
        asked.answered = Some(now);
        asked.refused_properly = last.refused_properly;
        asked.kind = if is_muddled { Kind::Muddled } else { last.kind };
        let Some(wait) = asked.wait else { return };
        let record = &mut state.records[wait];
        match last.news {
            News::Nothing => {}
            News::Id(id) => {
                if !is_muddled {
                    record.id_told = record.id_told.or(Some((now, id)));
                }
            }
            News::Cancelled => record.cancel_told = true,
            News::Final(verdict) => {
                let is_approval = verdict == Some(Verdict::Approved);
                let is_unnamed = last.kind == Kind::UnnamedApproval;
                // A second look counts where nothing else can have come.
                let is_proof =
                    !is_unnamed || (record.unnamed_approval_told && asked.is_first && asked.was_clean);
                record.approval_told |= is_approval;
                record.unnamed_approval_told |= is_approval && is_unnamed;
                record.cancel_told |= verdict == Some(Verdict::Declined);
                if !is_muddled && is_proof {
                    record.final_told = record.final_told.or(Some((now, verdict)));
                }
            }
        }
    }

    /// Each request that has come, with its connection, and whether it is the first there.
    fn read_all(&self) -> Vec<(usize, bool, Vec<u8>)> {
        let state = &mut *self.state.borrow_mut();
        let mut whole = Vec::new();
        let mut piece = [0; 4096];
        for connection in std::mem::take(&mut state.open) {
            let its = &mut state.connections[connection];
            let is_open = loop {
                let Some(stream) = &mut its.stream else { break false };
                match stream.read(&mut piece) {
                    Ok(amount) if amount > 0 => its.input.extend_from_slice(&piece[..amount]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                    _ => {
                        its.stream = None;
                        break false;
                    }
                }
            };
            if is_open {
                state.open.push(connection);
            }
            // What was sent counts, also where the connection has ended since.
            while let Some(request) = take_request(&mut its.input) {
                let is_first = !std::mem::replace(&mut its.has_served, true);
                whole.push((connection, is_first, request));
            }
        }
        state.most_open = state.most_open.max(state.open.len());
        whole
    }
}

impl State {
    fn happens(&mut self, at: Instant, what: Happening) {
        self.order += 1;
        self.happenings.insert((at, self.order), what);
    }
}

impl simulated::World for World {
    fn settle(&self) {
        for (connection, is_first, request) in self.read_all() {
            self.answer(provider::read(self, (connection, is_first), &request));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.state.borrow().happenings.first_key_value().map(|((at, _), _)| *at)
    }

    fn happen(&self) {
        let first = self.state.borrow_mut().happenings.pop_first();
        match first {
            None => {}
            Some((_, Happening::Send { connection, bytes, last_of })) => {
                self.say(format_args!("{} bytes on {connection}", bytes.len()));
                self.send(connection, &bytes, last_of);
            }
            Some((_, Happening::Does(deed))) => {
                self.say(format_args!("{deed:?}"));
                let hands = self.hands.borrow().clone();
                if let Some(hands) = hands {
                    hands(&deed);
                }
            }
        }
    }

    fn lateness(&self) -> Duration {
        let random = &mut self.state.borrow_mut().random;
        if self.script.is_sloppy && random.percent(20) { random.millis(0, MOST_LATE) } else { Duration::ZERO }
    }

    fn connect(&self) -> (Duration, io::Result<UnixStream>) {
        let state = &mut *self.state.borrow_mut();
        let most = if state.random.percent(30) { MOST_CONNECTING } else { 0 };
        let takes = state.random.millis(0, most);
        let is_faulty = state.random.below(1000) < self.script.faults;
        if is_faulty && state.random.percent(50) {
            return (takes, Err(ErrorKind::ConnectionRefused.into()));
        }
        let (ours, theirs) = UnixStream::pair().expect("the system has sockets");
        ours.set_nonblocking(true).expect("it does not wait");
        let mut connection =
            Connection { stream: Some(ours), input: Vec::new(), has_served: false, is_muddled: false };
        if is_faulty && state.random.percent(30) {
            // It speaks before it is spoken to.
            connection.is_muddled = true;
            let lie = provider::http(200, "", &provider::state(None, (1, 0)));
            let sent = connection.stream.as_mut().map(|stream| stream.write_all(&lie));
            sent.expect("it is open").expect("there is room");
        }
        state.open.push(state.connections.len());
        state.connections.push(connection);
        (takes, Ok(theirs))
    }

    fn random(&self) -> u64 {
        self.state.borrow_mut().random.next()
    }
}

pub(super) fn token(owner: usize, number: usize) -> String {
    format!("token-{owner}-{number}")
}

/// The first request, once it is whole.
fn take_request(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    const END: &[u8] = b"\r\n\r\n";
    let head = input.windows(END.len()).position(|bytes| bytes == END)? + END.len();
    let text = std::str::from_utf8(&input[..head]).ok()?.to_ascii_lowercase();
    let length: usize = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    (input.len() >= head + length).then(|| input.drain(..head + length).collect())
}
