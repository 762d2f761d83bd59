//! People, their tokens, and what a token in a request amounts to.

use std::time::{Duration, Instant};

use crate::behaviour::Ending;
use crate::behaviour::{
    Behaviour, BehaviourError, DeliveryFault, Desync, Edit, Effect, Part, Plan, ProfileChange, Replacement,
    THINKING, TokenFault,
};
use crate::endpoint::Endpoint;

/// The scope of HyperID's `mfa-client/*`.
pub const SCOPE_MFA_CLIENT: &str = "mfa-client";
/// The scope of HyperID's `2fa/*`.
pub const SCOPE_SECOND_FACTOR: &str = "second-factor-auth-client";

/// A person that a test adds.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Has linked the authenticator app.
    pub app_linked: bool,
    /// HyperID's `auth_types`.
    pub methods: Vec<i64>,
    /// Registered devices; empty: any device is known.
    pub devices: Vec<String>,
    /// Capillary: MFA is registered.
    pub registered: bool,
    /// Behaviours as in a magic token, without `sandbox-` and `#PERSON`. Without a decision in it the
    /// person is asked on the page (`phone`). Empty: just that.
    pub behaviour: String,
}

impl Default for User {
    fn default() -> User {
        User {
            app_linked: true,
            methods: vec![0, 3],
            devices: Vec::new(),
            registered: true,
            behaviour: String::new(),
        }
    }
}

/// What an issued token grants.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Scopes; see [`SCOPE_MFA_CLIENT`] and [`SCOPE_SECOND_FACTOR`].
    pub scopes: Vec<String>,
    /// How long it is good; `None`: until it is revoked. Zero: expired from the start.
    pub lives: Option<Duration>,
}

impl Default for Access {
    fn default() -> Access {
        Access { scopes: vec![SCOPE_MFA_CLIENT.to_owned(), SCOPE_SECOND_FACTOR.to_owned()], lives: None }
    }
}

/// What a token is worth at an endpoint. The order is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenStatus {
    Valid,
    Invalid,
    Expired,
    InsufficientScope,
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) profile: User,
    pub(crate) parts: Vec<Part>,
    pub(crate) plan: Plan,
}

impl Person {
    /// Somebody whom only magic tokens speak of.
    pub(crate) fn magic() -> Person {
        let plan = Plan::After(Ending::Approve, THINKING);
        Person { profile: User::default(), parts: Vec::new(), plan }
    }

    pub(crate) fn added(profile: User) -> Result<Person, BehaviourError> {
        let parts = match profile.behaviour.as_str() {
            "" => Vec::new(),
            spec => Behaviour::parse(spec)?.parts,
        };
        Ok(Person { profile, parts, plan: Plan::Phone })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) person: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<Instant>,
    pub(crate) revoked: bool,
    /// Given to a person, not made up of behaviours: the person is asked, unless a behaviour of the person's says
    /// otherwise. Even if magic tokens speak of somebody of the same name, who would approve unasked.
    issued: bool,
    polls: u64,
    hits: Vec<u64>,
}

impl Token {
    pub(crate) fn issued(person: String, access: Access) -> Token {
        Token { issued: true, ..Token::new(person, Vec::new(), access) }
    }

    pub(crate) fn new(person: String, parts: Vec<Part>, access: Access) -> Token {
        Token {
            person,
            parts,
            scopes: access.scopes,
            // A life too long for the clock is a life without end.
            expires_at: access.lives.and_then(|life| Instant::now().checked_add(life)),
            revoked: false,
            issued: false,
            polls: 0,
            hits: Vec::new(),
        }
    }

    /// Who calls with this token, and what is to happen to this request at this endpoint. Counts it.
    pub(crate) fn resolve(&mut self, person: &Person, endpoint: Endpoint) -> Caller {
        let parts: Vec<Part> = self.parts.iter().chain(&person.parts).cloned().collect();
        self.hits.resize(parts.len(), 0);
        let mut caller = Caller::new(self.person.clone(), person);
        if self.issued {
            caller.plan = Plan::Phone;
        }
        caller.token_status = self.status(endpoint);
        for (part, hits) in parts.into_iter().zip(&mut self.hits) {
            if !part.endpoints.contains(endpoint) {
                continue;
            }
            *hits += 1;
            if part.times.is_none_or(|times| *hits <= times) {
                caller.take(part.effect, self.polls);
            }
        }
        if endpoint == Endpoint::Status {
            self.polls += 1;
        }
        caller
    }

    fn status(&self, endpoint: Endpoint) -> TokenStatus {
        let scope = match endpoint {
            Endpoint::Registered => None,
            Endpoint::Types => Some(SCOPE_SECOND_FACTOR),
            _ => Some(SCOPE_MFA_CLIENT),
        };
        if self.revoked {
            return TokenStatus::Invalid;
        }
        if self.expires_at.is_some_and(|at| at <= Instant::now()) {
            return TokenStatus::Expired;
        }
        match scope {
            Some(scope) if !self.scopes.iter().any(|s| s == scope) => TokenStatus::InsufficientScope,
            _ => TokenStatus::Valid,
        }
    }
}

/// Who calls, and everything that is to happen to this one request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) person: String,
    pub(crate) profile: User,
    pub(crate) plan: Plan,
    pub(crate) token_status: TokenStatus,
    /// For the person at the keyboard, if the token is not known at all.
    pub(crate) why_unknown: Option<String>,
    pub(crate) replacement: Option<Replacement>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) delivery_faults: Vec<DeliveryFault>,
    pub(crate) desync: Option<Desync>,
    /// A transaction younger than this is not found.
    pub(crate) hidden: Duration,
    planned: bool,
}

impl Caller {
    fn new(name: String, person: &Person) -> Caller {
        Caller {
            person: name,
            profile: person.profile.clone(),
            plan: person.plan,
            token_status: TokenStatus::Valid,
            why_unknown: None,
            replacement: None,
            edits: Vec::new(),
            delivery_faults: Vec::new(),
            desync: None,
            hidden: Duration::ZERO,
            planned: false,
        }
    }

    /// A caller nobody knows: no faults, only a refusal.
    pub(crate) fn unknown(why: impl Into<String>) -> Caller {
        let mut caller = Caller::new(String::new(), &Person::magic());
        caller.token_status = TokenStatus::Invalid;
        caller.why_unknown = Some(why.into());
        caller
    }

    /// Why its token is invalid, for the person at the keyboard.
    pub(crate) fn why_invalid(&self) -> String {
        self.why_unknown.clone().unwrap_or_else(|| "the token is revoked, or plays an invalid one".to_owned())
    }

    fn take(&mut self, effect: Effect, polls: u64) {
        match effect {
            // The first plan and the first replacement win: the token's own stand before the person's.
            Effect::Plan(plan) if !self.planned => (self.plan, self.planned) = (plan, true),
            Effect::Plan(_) => {}
            Effect::Replacement(replacement) => self.replacement = self.replacement.or(Some(replacement)),
            Effect::Profile(one) => self.change_profile(one),
            Effect::Token(one) => self.apply_token_fault(one, polls),
            Effect::Edit(edit) => self.edits.push(edit),
            Effect::Delivery(fault) => self.delivery_faults.push(fault),
            Effect::Desync(desync) => self.desync = self.desync.or(Some(desync)),
            Effect::Hidden(time) => self.hidden = self.hidden.max(time),
        }
    }

    fn change_profile(&mut self, one: ProfileChange) {
        match one {
            ProfileChange::NoApp => {
                self.profile.app_linked = false;
                self.profile.methods.retain(|method| *method != 0);
            }
            ProfileChange::Methods(list) => self.profile.methods = list,
            ProfileChange::Device(name) => self.profile.devices = vec![name],
            ProfileChange::Registered => self.profile.registered = true,
            ProfileChange::NotRegistered => self.profile.registered = false,
        }
    }

    fn apply_token_fault(&mut self, one: TokenFault, polls: u64) {
        let status = match one {
            TokenFault::Invalid => TokenStatus::Invalid,
            TokenFault::Expired => TokenStatus::Expired,
            TokenFault::ExpiresAfter(limit) if polls >= limit => TokenStatus::Expired,
            TokenFault::ExpiresAfter(_) => TokenStatus::Valid,
            TokenFault::InsufficientScope => TokenStatus::InsufficientScope,
        };
        if self.token_status == TokenStatus::Valid {
            self.token_status = status;
        }
    }
}
