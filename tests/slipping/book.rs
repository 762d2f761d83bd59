//! The provider's book: whose each transaction is, which call asked for it, and what its script has
//! brought about so far. What the tests believe is what stands here.

use std::collections::{HashMap, HashSet};

use super::chance::Chance;

/// How the person ends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Approve,
    Deny,
    Expire,
    Decline,
    Fail,
    /// The server tells a state that nobody knows, for ever.
    Riddle,
    Never,
}

impl Ending {
    pub const ALL: [Ending; 7] = [
        Ending::Approve,
        Ending::Deny,
        Ending::Expire,
        Ending::Decline,
        Ending::Fail,
        Ending::Riddle,
        Ending::Never,
    ];

    /// `transaction_status` and `transaction_complete_result`. The latter is 0 in a pending answer too.
    fn on_the_wire(self) -> (i32, i32) {
        match self {
            Ending::Approve => (1, 0),
            Ending::Deny => (1, 1),
            Ending::Expire => (2, 0),
            Ending::Fail => (3, 0),
            Ending::Decline => (4, 0),
            Ending::Riddle => (9, 0),
            Ending::Never => (0, 0),
        }
    }
}

/// What the person does, and at which look at the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    pub ending: Ending,
    pub at_look: u32,
}

impl Script {
    /// As it travels in the request itself, so that the book has it from the question and from
    /// nothing else.
    pub fn text(self) -> String {
        format!("{} {}", self.ending as usize, self.at_look)
    }

    fn parse(text: &str) -> Script {
        let (ending, at_look) = text.split_once(' ').unwrap();
        Script { ending: Ending::ALL[ending.parse::<usize>().unwrap()], at_look: at_look.parse().unwrap() }
    }
}

/// What becomes of a token is in its name, so that caller and server agree without talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Good,
    /// Refused everywhere.
    Dead,
    /// Good until the first start with it, which is refused as everything after it is.
    Late,
    /// Refused where a transaction's state is read or changed.
    Brief,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub person: usize,
    pub kind: Kind,
    pub number: u64,
}

impl Token {
    pub fn text(&self) -> String {
        format!("{}-{}-{}", self.person, self.kind as usize, self.number)
    }

    fn parse(text: &str) -> Token {
        let mut parts = text.split('-').map(|part| part.parse::<u64>().unwrap());
        let mut next = || parts.next().unwrap();
        let (person, kind, number) = (next() as usize, next() as usize, next());
        Token { person, kind: [Kind::Good, Kind::Dead, Kind::Late, Kind::Brief][kind], number }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Availability,
    Start,
    Status,
    Cancel,
}

impl Endpoint {
    pub fn of(path: &str) -> Endpoint {
        match path {
            "/mfa-client/availability-check" => Endpoint::Availability,
            "/mfa-client/transaction/start/v2" => Endpoint::Start,
            "/mfa-client/transaction/status-get" => Endpoint::Status,
            "/mfa-client/transaction/cancel" => Endpoint::Cancel,
            other => panic!("a request to {other}"),
        }
    }
}

/// A request as far as the provider reads it.
pub struct Asked<'a> {
    pub endpoint: Endpoint,
    pub token: &'a str,
    pub body: &'a str,
}

/// An answer with its place in the story.
pub struct Answer {
    pub person: usize,
    pub bytes: Vec<u8>,
    /// It says no, and names nobody.
    pub is_refusal: bool,
}

pub struct Transaction {
    pub owner: usize,
    /// The call that asked.
    pub tag: u64,
    script: Script,
    looks: u32,
    /// What has happened; `Never`: nothing yet.
    pub state: Ending,
}

/// A start that reached the provider.
pub struct Started {
    pub token: String,
    /// 0: a push was sent.
    pub result: i32,
}

pub struct Book {
    /// Whether status and cancel answers name their transaction.
    has_ids: bool,
    /// Whether another person's transaction is "not found", as a provider must have it.
    is_strict: bool,
    next_id: i64,
    transactions: HashMap<i64, Transaction>,
    starts: HashMap<u64, Vec<Started>>,
    expired: HashSet<String>,
}

const HTTP_503: i32 = 503;

impl Book {
    pub fn new(has_ids: bool, is_strict: bool) -> Self {
        Book {
            has_ids,
            is_strict,
            next_id: 1000,
            transactions: HashMap::new(),
            starts: HashMap::new(),
            expired: HashSet::new(),
        }
    }

    pub fn transaction(&self, id: i64) -> Option<&Transaction> {
        self.transactions.get(&id)
    }

    pub fn starts(&self) -> &HashMap<u64, Vec<Started>> {
        &self.starts
    }

    pub fn starts_so_far(&self) -> i64 {
        self.next_id
    }

    /// Answers; `moody`: now and then with a refusal out of the blue.
    pub fn answer(&mut self, asked: &Asked<'_>, moody: bool, chance: &mut Chance) -> Answer {
        let token = Token::parse(asked.token);
        let refusal = match self.refused_token(asked, &token) {
            Some(result) => Some(result),
            None if moody && chance.one_in(60) => Some(mood(asked.endpoint, chance)),
            None => None,
        };
        let outcome = match (asked.endpoint, refusal) {
            (Endpoint::Start, refusal) => self.start(asked, &token, refusal),
            (_, Some(result)) => Err(result),
            (Endpoint::Availability, _) => Ok(r#"{"result":0,"is_available":true}"#.to_owned()),
            (Endpoint::Status, _) => self.status(asked, &token),
            (Endpoint::Cancel, _) => self.cancel(asked, &token, chance),
        };
        let is_refusal = outcome.is_err();
        let bytes = match outcome {
            Ok(body) => http("200 OK", &body),
            Err(HTTP_503) => http("503 Service Unavailable", "<html>later</html>"),
            Err(result) => http("200 OK", &refusal_body(result, asked.endpoint, chance)),
        };
        Answer { person: token.person, bytes, is_refusal }
    }

    fn refused_token(&mut self, asked: &Asked<'_>, token: &Token) -> Option<i32> {
        let is_refused = match token.kind {
            Kind::Good => false,
            Kind::Dead => true,
            Kind::Late if asked.endpoint == Endpoint::Start => {
                self.expired.insert(asked.token.to_owned());
                true
            }
            Kind::Late => self.expired.contains(asked.token),
            Kind::Brief => matches!(asked.endpoint, Endpoint::Status | Endpoint::Cancel),
        };
        // "Token expired" and "token invalid".
        is_refused.then_some(if token.number % 2 == 0 { -4 } else { -5 })
    }

    fn start(&mut self, asked: &Asked<'_>, token: &Token, refusal: Option<i32>) -> Result<String, i32> {
        let tag = text_field(asked.body, "device_id").parse().unwrap();
        let started = Started { token: asked.token.to_owned(), result: refusal.unwrap_or(0) };
        self.starts.entry(tag).or_default().push(started);
        if let Some(result) = refusal {
            return Err(result);
        }
        let script = Script::parse(text_field(asked.body, "device_desc"));
        let id = self.next_id;
        self.next_id += 1;
        let transaction = Transaction { owner: token.person, tag, script, looks: 0, state: Ending::Never };
        self.transactions.insert(id, transaction);
        Ok(format!(r#"{{"result":0,"transaction_id":{id}}}"#))
    }

    fn own(&mut self, id: i64, token: &Token) -> Result<&mut Transaction, i32> {
        let is_strict = self.is_strict;
        let found = self.transactions.get_mut(&id);
        found.filter(|found| found.owner == token.person || !is_strict).ok_or(-6)
    }

    fn status(&mut self, asked: &Asked<'_>, token: &Token) -> Result<String, i32> {
        let id = asked_id(asked.body);
        let found = self.own(id, token)?;
        found.looks += 1;
        if found.state == Ending::Never && found.looks >= found.script.at_look {
            found.state = found.script.ending;
        }
        let (status, complete) = found.state.on_the_wire();
        let name = if self.has_ids { format!(r#""transaction_id":{id},"#) } else { String::new() };
        Ok(format!(
            r#"{{"result":0,{name}"transaction_status":{status},"transaction_complete_result":{complete}}}"#
        ))
    }

    fn cancel(&mut self, asked: &Asked<'_>, token: &Token, chance: &mut Chance) -> Result<String, i32> {
        let id = asked_id(asked.body);
        let has_ids = self.has_ids;
        let found = self.own(id, token)?;
        match found.state {
            Ending::Never | Ending::Riddle => found.state = Ending::Decline,
            Ending::Expire => return Err(-8),
            Ending::Approve | Ending::Deny | Ending::Fail => return Err(-9),
            Ending::Decline => return Err(-10),
        }
        let name = has_ids && chance.one_in(2);
        Ok(if name { format!(r#"{{"result":0,"transaction_id":{id}}}"#) } else { r#"{"result":0}"#.into() })
    }
}

/// A refusal for no reason. Never of a token: for those there is a rule.
fn mood(endpoint: Endpoint, chance: &mut Chance) -> i32 {
    let moods: [i32; 4] = match endpoint {
        Endpoint::Availability => [-1, -1, -3, HTTP_503],
        Endpoint::Start => [-1, -2, -8, HTTP_503],
        Endpoint::Status => [-1, -1, -6, HTTP_503],
        Endpoint::Cancel => [-1, -6, -6, HTTP_503],
    };
    moods[chance.below(4) as usize]
}

/// The real server prints the fields of a success in refusals too.
fn refusal_body(result: i32, endpoint: Endpoint, chance: &mut Chance) -> String {
    let rest = match endpoint {
        _ if chance.one_in(2) => "",
        Endpoint::Availability => r#","is_available":false"#,
        Endpoint::Start | Endpoint::Cancel => r#","transaction_id":0"#,
        Endpoint::Status => r#","transaction_id":0,"transaction_status":0,"transaction_complete_result":0"#,
    };
    format!(r#"{{"result":{result}{rest}}}"#)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn text_field<'b>(body: &'b str, name: &str) -> &'b str {
    let (_, rest) = body.split_once(&format!(r#""{name}":""#)).unwrap();
    rest.split_once('"').unwrap().0
}

fn asked_id(body: &str) -> i64 {
    body.rsplit(':').next().unwrap().trim_end_matches('}').parse().unwrap()
}
