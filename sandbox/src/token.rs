//! People, their tokens, and what a token in a request amounts to.

use std::time::{Duration, Instant};

use crate::behaviour::Ending;
use crate::behaviour::{
    Behaviour, Credential, Edit, Effect, Instead, Part, Plan, Slip, THINKING, Trait, Wire,
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

/// What is wrong with a caller, if anything. The order is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Invalid,
    Expired,
    NoScope,
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

    pub(crate) fn added(profile: User) -> Result<Person, crate::BehaviourError> {
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
    polls: u64,
    hits: Vec<u64>,
}

impl Token {
    pub(crate) fn new(person: String, parts: Vec<Part>, access: Access) -> Token {
        Token {
            person,
            parts,
            scopes: access.scopes,
            // A life too long for the clock is a life without end.
            expires_at: access.lives.and_then(|life| Instant::now().checked_add(life)),
            revoked: false,
            polls: 0,
            hits: Vec::new(),
        }
    }

    /// What this request, with this token, at this endpoint, meets. Counts it.
    pub(crate) fn meet(&mut self, person: &Person, endpoint: Endpoint) -> Caller {
        let parts: Vec<Part> = self.parts.iter().chain(&person.parts).cloned().collect();
        self.hits.resize(parts.len(), 0);
        let mut caller = Caller::new(self.person.clone(), person);
        caller.standing = self.standing(endpoint);
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

    fn standing(&self, endpoint: Endpoint) -> Standing {
        let scope = match endpoint {
            Endpoint::Registered => None,
            Endpoint::Types => Some(SCOPE_SECOND_FACTOR),
            _ => Some(SCOPE_MFA_CLIENT),
        };
        if self.revoked {
            return Standing::Invalid;
        }
        if self.expires_at.is_some_and(|at| at <= Instant::now()) {
            return Standing::Expired;
        }
        match scope {
            Some(scope) if !self.scopes.iter().any(|s| s == scope) => Standing::NoScope,
            _ => Standing::Good,
        }
    }
}

/// Who calls, and everything that is to happen to this one request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) person: String,
    pub(crate) profile: User,
    pub(crate) plan: Plan,
    pub(crate) standing: Standing,
    pub(crate) instead: Option<Instead>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) slip: Option<Slip>,
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
            standing: Standing::Good,
            instead: None,
            edits: Vec::new(),
            wires: Vec::new(),
            slip: None,
            hidden: Duration::ZERO,
            planned: false,
        }
    }

    /// A caller nobody knows: no faults, only a refusal.
    pub(crate) fn stranger() -> Caller {
        let mut caller = Caller::new(String::new(), &Person::magic());
        caller.standing = Standing::Invalid;
        caller
    }

    fn take(&mut self, effect: Effect, polls: u64) {
        match effect {
            // The first plan and the first replacement win: the token's own stand before the person's.
            Effect::Plan(plan) if !self.planned => (self.plan, self.planned) = (plan, true),
            Effect::Plan(_) => {}
            Effect::Instead(instead) => self.instead = self.instead.or(Some(instead)),
            Effect::Trait(one) => self.take_trait(one),
            Effect::Credential(one) => self.take_credential(one, polls),
            Effect::Edit(edit) => self.edits.push(edit),
            Effect::Wire(wire) => self.wires.push(wire),
            Effect::Slip(slip) => self.slip = self.slip.or(Some(slip)),
            Effect::Hidden(time) => self.hidden = self.hidden.max(time),
        }
    }

    fn take_trait(&mut self, one: Trait) {
        match one {
            Trait::NoApp => {
                self.profile.app_linked = false;
                self.profile.methods.retain(|method| *method != 0);
            }
            Trait::Methods(list) => self.profile.methods = list,
            Trait::Device(name) => self.profile.devices = vec![name],
            Trait::Registered => self.profile.registered = true,
            Trait::NotRegistered => self.profile.registered = false,
        }
    }

    fn take_credential(&mut self, one: Credential, polls: u64) {
        let standing = match one {
            Credential::Invalid => Standing::Invalid,
            Credential::Expired => Standing::Expired,
            Credential::ExpiresAfter(limit) if polls >= limit => Standing::Expired,
            Credential::ExpiresAfter(_) => Standing::Good,
            Credential::NoScope => Standing::NoScope,
        };
        if self.standing == Standing::Good {
            self.standing = standing;
        }
    }
}
