//! A provider on real sockets behind something that gets whole answers out of step.
//!
//! What it *decides* is always right, and in the book; what goes out on a connection may be another
//! answer, one too many, or none.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::book::{Answer, Asked, Book, Endpoint};
use super::chance::Chance;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Everything, at random. Answers go to another connection only where they have ids.
    Storm { exchanges: bool },
    /// This person's status answers come a second time, 1 to 4 ms later. All others' take a little, as
    /// on any network, so that it is often there first.
    StatusTwice { person: usize },
    /// On the first connection every answer but the first is the previous request's, for ever.
    FirstConnectionSlips,
}

/// What becomes of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent,
    Delayed,
    /// Again, at once.
    Doubled,
    /// Again, some milliseconds later.
    AgainLater,
    /// An answer that this connection has had goes out in place of this one, which is lost.
    SlippedOnce,
    /// The previous answer goes out in place of this one, and this one in place of the next, for ever.
    SlippedForEver,
    /// Goes to another person's request that is under way, and that one's comes here.
    Exchanged,
    Withheld,
    ClosedBefore,
    ClosedAfter,
}

impl Fate {
    /// Of how many in 10,000 answers each is the fate.
    const ODDS: [(Fate, u64); 9] = [
        (Fate::Delayed, 150),
        (Fate::Doubled, 15),
        (Fate::AgainLater, 50),
        (Fate::SlippedOnce, 50),
        (Fate::SlippedForEver, 35),
        (Fate::Exchanged, 35),
        (Fate::Withheld, 12),
        (Fate::ClosedBefore, 15),
        (Fate::ClosedAfter, 25),
    ];

    fn at_random(chance: &mut Chance) -> Fate {
        let mut roll = chance.below(10_000);
        for (fate, odds) in Fate::ODDS {
            if roll < odds {
                return fate;
            }
            roll -= odds;
        }
        Fate::Sent
    }
}

/// The longest that an answer waits for another one to be exchanged with.
const EXCHANGE_TIME: Duration = Duration::from_millis(5);
/// An answer that slips is no older than so many starts: a client remembers the ids of "some
/// thousand", and is promised no more here.
const RECENT: i64 = 500;
/// How many answers back a slipped one may be from.
const BACK: usize = 6;

struct Shared {
    trouble: Trouble,
    seed: u64,
    book: Mutex<Book>,
    is_sound: AtomicBool,
    is_last_gust: AtomicBool,
    is_stopping: AtomicBool,
    offer: Mutex<Option<Offer>>,
    is_offered: AtomicBool,
    taken: Condvar,
    later: Later,
    open: Mutex<HashMap<u64, Arc<TcpStream>>>,
    fates: [AtomicUsize; 10],
    connections: AtomicUsize,
}

/// An answer that waits to be exchanged, and then the one that came for it.
struct Offer {
    person: usize,
    bytes: Vec<u8>,
    back: Option<Vec<u8>>,
}

pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub fn start(trouble: Trouble, book: Book, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            trouble,
            seed,
            book: Mutex::new(book),
            is_sound: AtomicBool::new(false),
            is_last_gust: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            offer: Mutex::default(),
            is_offered: AtomicBool::new(false),
            taken: Condvar::new(),
            later: Later::default(),
            open: Mutex::default(),
            fates: Default::default(),
            connections: AtomicUsize::new(0),
        });
        let (accepting, sending) = (shared.clone(), shared.clone());
        std::thread::spawn(move || accept(&listener, &accepting));
        std::thread::spawn(move || sending.later.run());
        Server { address, shared }
    }

    pub fn options(&self) -> mfa::ClientOptions {
        mfa::ClientOptions::new().base_url(format!("http://{}", self.address)).allow_loopback_http(true)
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.shared.book)
    }

    /// From now on nothing happens but that every connection gets out of step for ever.
    pub fn last_gust(&self) {
        self.shared.is_last_gust.store(true, Ordering::SeqCst);
    }

    /// From now on every answer goes out once and at once. A connection that is out of step stays so:
    /// what is desynchronised does not mend itself. No answer is still to come a second time.
    pub fn heal(&self) {
        self.shared.is_sound.store(true, Ordering::SeqCst);
        self.shared.later.wait_until_empty();
    }

    pub fn count(&self, fate: Fate) -> usize {
        self.shared.fates[fate as usize].load(Ordering::Relaxed)
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Whether the connection of this number has not been closed by the client.
    pub fn is_open(&self, number: u64) -> bool {
        lock(&self.shared.open).contains_key(&number)
    }

    /// Each kind of trouble that the storm should have brought.
    pub fn fates() -> impl Iterator<Item = Fate> {
        Fate::ODDS.into_iter().map(|(fate, _)| fate)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.shared.later.stop();
        for stream in lock(&self.shared.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, stream) in listener.incoming().flatten().enumerate() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        lock(&shared.open).insert(number as u64, stream.clone());
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let shared = shared.clone();
        let serve = move || {
            Connection::new(number as u64, stream, &shared).serve();
            lock(&shared.open).remove(&(number as u64));
        };
        std::thread::Builder::new().stack_size(128 * 1024).spawn(serve).unwrap();
    }
}

struct Connection<'s> {
    number: u64,
    stream: Arc<TcpStream>,
    shared: &'s Shared,
    chance: Chance,
    input: Vec<u8>,
    /// What went out last, and how many starts there had been; the newest stands first.
    sent: VecDeque<(Vec<u8>, i64)>,
    /// Out of step: what goes out in place of the next answer.
    owed: Option<Vec<u8>>,
    /// One answer too many has gone out, or will. There is never a second one: what is out of step is
    /// out by one, and no answer of one connection is exchanged into another's backlog. By two, a
    /// start's answer could come to the same person's next start with no sign of it in between.
    has_surplus: bool,
}

impl<'s> Connection<'s> {
    fn new(number: u64, stream: Arc<TcpStream>, shared: &'s Shared) -> Self {
        // The caller's sequences have the small numbers.
        let chance = Chance::new(shared.seed, number + 1_000);
        let input = Vec::with_capacity(1024);
        Connection {
            number,
            stream,
            shared,
            chance,
            input,
            sent: VecDeque::new(),
            owed: None,
            has_surplus: false,
        }
    }

    fn serve(mut self) {
        while let Some((body_at, end)) = self.read_request() {
            let answer = self.decide(body_at, end);
            self.input.drain(..end);
            if self.reply(answer).is_none() {
                return self.wait_for_the_end();
            }
        }
    }

    /// Where the next request's body begins and ends.
    fn read_request(&mut self) -> Option<(usize, usize)> {
        let mut piece = [0; 2048];
        loop {
            if let Some(at) = self.input.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.input[..at]).ok()?;
                let length: usize = header(head, "content-length").parse().ok()?;
                if self.input.len() >= at + 4 + length {
                    return Some((at + 4, at + 4 + length));
                }
            }
            match (&*self.stream).read(&mut piece) {
                Ok(n) if n > 0 => self.input.extend_from_slice(&piece[..n]),
                _ => return None,
            }
        }
    }

    fn decide(&mut self, body_at: usize, end: usize) -> (Answer, i64, Endpoint) {
        let head = std::str::from_utf8(&self.input[..body_at]).unwrap();
        let asked = Asked {
            endpoint: Endpoint::of(head.split(' ').nth(1).unwrap()),
            token: header(head, "authorization").strip_prefix("Bearer ").unwrap(),
            body: std::str::from_utf8(&self.input[body_at..end]).unwrap(),
        };
        let is_storm = matches!(self.shared.trouble, Trouble::Storm { .. });
        let moody = is_storm && !self.is_sound() && !self.is_last_gust();
        let mut book = lock(&self.shared.book);
        let answer = book.answer(&asked, moody, &mut self.chance);
        (answer, book.starts_so_far(), asked.endpoint)
    }

    fn is_sound(&self) -> bool {
        self.shared.is_sound.load(Ordering::SeqCst)
    }

    fn is_last_gust(&self) -> bool {
        self.shared.is_last_gust.load(Ordering::SeqCst)
    }

    fn fate(&mut self, answer: &Answer, endpoint: Endpoint, now: i64) -> Fate {
        if self.is_sound() {
            return Fate::Sent;
        }
        match self.shared.trouble {
            Trouble::StatusTwice { person } => {
                let is_theirs = endpoint == Endpoint::Status && answer.person == person;
                if is_theirs { Fate::AgainLater } else { Fate::Delayed }
            }
            Trouble::FirstConnectionSlips
                if self.number == 0 && self.owed.is_none() && !self.sent.is_empty() =>
            {
                Fate::SlippedForEver
            }
            Trouble::FirstConnectionSlips => Fate::Sent,
            Trouble::Storm { exchanges } => self.storm(exchanges && !answer.is_refusal, endpoint, now),
        }
    }

    fn storm(&mut self, exchanges: bool, endpoint: Endpoint, now: i64) -> Fate {
        let may_exchange = exchanges && !self.has_surplus;
        while self.sent.back().is_some_and(|(_, at)| now - at > RECENT) {
            self.sent.pop_back();
        }
        let is_first = self.sent.is_empty();
        if self.is_last_gust() {
            return if is_first || self.has_surplus { Fate::Sent } else { Fate::SlippedForEver };
        }
        // The answer that matters most is one in many only.
        if endpoint == Endpoint::Start && !is_first && self.chance.one_in(50) {
            return Fate::SlippedOnce;
        }
        match Fate::at_random(&mut self.chance) {
            Fate::SlippedOnce if is_first => Fate::Sent,
            Fate::SlippedForEver if is_first || self.has_surplus => Fate::Sent,
            Fate::Doubled | Fate::AgainLater if self.has_surplus => Fate::Sent,
            Fate::Exchanged if !may_exchange => Fate::Sent,
            // Somebody waits for an answer to exchange theirs with.
            Fate::Sent if may_exchange && self.shared.is_offered.load(Ordering::Relaxed) => Fate::Exchanged,
            fate => fate,
        }
    }

    /// `None`: nothing more will come.
    fn reply(&mut self, (answer, now, endpoint): (Answer, i64, Endpoint)) -> Option<()> {
        let fate = self.fate(&answer, endpoint, now);
        self.shared.fates[fate as usize].fetch_add(1, Ordering::Relaxed);
        let adds_one = matches!(fate, Fate::Doubled | Fate::AgainLater | Fate::SlippedForEver);
        self.has_surplus |= adds_one;
        let right = answer.bytes;
        let out = match fate {
            Fate::Withheld | Fate::ClosedBefore => {
                return self.say_nothing(fate == Fate::ClosedBefore);
            }
            // Where answers come one late, the one that was due stays due.
            Fate::SlippedOnce => {
                let back = self.chance.below(self.sent.len() as u64);
                self.sent[back as usize].0.clone()
            }
            Fate::SlippedForEver => {
                self.owed = Some(right);
                self.sent[0].0.clone()
            }
            Fate::Exchanged => self.shared.exchange(answer.person, right),
            _ => match self.owed.take() {
                Some(owed) => {
                    self.owed = Some(right);
                    owed
                }
                None => right,
            },
        };
        if fate == Fate::Delayed {
            let most = if matches!(self.shared.trouble, Trouble::Storm { .. }) { 8_000 } else { 2_000 };
            std::thread::sleep(Duration::from_micros(self.chance.between(500, most)));
        }
        (&*self.stream).write_all(&out).ok()?;
        match fate {
            Fate::Doubled => (&*self.stream).write_all(&out).ok()?,
            Fate::AgainLater => {
                let delay = Duration::from_millis(self.chance.between(1, 4));
                self.shared.later.send(delay, self.stream.clone(), out.clone());
            }
            Fate::ClosedAfter => {
                let _ = self.stream.shutdown(Shutdown::Write);
                return None;
            }
            _ => {}
        }
        self.sent.push_front((out, now));
        self.sent.truncate(BACK);
        Some(())
    }

    fn say_nothing(&self, close: bool) -> Option<()> {
        if close {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        None
    }

    /// What still comes is not read as requests: nobody would answer them.
    fn wait_for_the_end(&self) {
        let mut piece = [0; 2048];
        while matches!((&*self.stream).read(&mut piece), Ok(n) if n > 0) {}
    }
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

impl Shared {
    /// The other's answer, of somebody else whose request is under way too; `mine`: nobody came.
    fn exchange(&self, person: usize, mine: Vec<u8>) -> Vec<u8> {
        let mut place = lock(&self.offer);
        if let Some(offer) = place.as_mut() {
            if offer.person == person || offer.back.is_some() {
                return mine;
            }
            offer.back = Some(mine);
            self.is_offered.store(false, Ordering::Relaxed);
            self.taken.notify_all();
            return std::mem::take(&mut offer.bytes);
        }
        *place = Some(Offer { person, bytes: mine, back: None });
        self.is_offered.store(true, Ordering::Relaxed);
        let is_alone = |place: &mut Option<Offer>| place.as_ref().is_some_and(|offer| offer.back.is_none());
        let waited = self.taken.wait_timeout_while(place, EXCHANGE_TIME, is_alone);
        let (mut place, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.is_offered.store(false, Ordering::Relaxed);
        let offer = place.take().unwrap();
        offer.back.unwrap_or(offer.bytes)
    }
}

type Sending = (Arc<TcpStream>, Vec<u8>);

/// What is to be sent later, in order of time.
#[derive(Default)]
struct Later {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    sendings: BTreeMap<(Instant, u64), Sending>,
    count: u64,
    is_stopping: bool,
}

impl Later {
    fn send(&self, delay: Duration, stream: Arc<TcpStream>, bytes: Vec<u8>) {
        let mut queue = lock(&self.queue);
        queue.count += 1;
        let key = (Instant::now() + delay, queue.count);
        queue.sendings.insert(key, (stream, bytes));
        self.changed.notify_all();
    }

    fn run(&self) {
        let mut queue = lock(&self.queue);
        while !queue.is_stopping {
            let now = Instant::now();
            let next = queue.sendings.first_key_value().map(|((at, _), _)| *at);
            if next.is_some_and(|at| at <= now) {
                let (_, (stream, bytes)) = queue.sendings.pop_first().unwrap();
                let _ = (&*stream).write_all(&bytes);
                self.changed.notify_all();
                continue;
            }
            let time = next.map_or(Duration::from_secs(3600), |at| at - now);
            queue = self.changed.wait_timeout(queue, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wait_until_empty(&self) {
        let queue = lock(&self.queue);
        let waiting = self.changed.wait_while(queue, |queue| !queue.sendings.is_empty());
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    fn stop(&self) {
        lock(&self.queue).is_stopping = true;
        self.changed.notify_all();
    }
}
