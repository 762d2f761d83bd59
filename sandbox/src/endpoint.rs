//! The six provider calls, and sets of them.

/// One of the six provider calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Availability,
    Types,
    Start,
    Status,
    Cancel,
    Registered,
}

impl Endpoint {
    pub(crate) const EACH: [Endpoint; 6] = [
        Endpoint::Availability,
        Endpoint::Types,
        Endpoint::Start,
        Endpoint::Status,
        Endpoint::Cancel,
        Endpoint::Registered,
    ];

    /// The word after `@`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Endpoint::Availability => "availability",
            Endpoint::Types => "types",
            Endpoint::Start => "start",
            Endpoint::Status => "status",
            Endpoint::Cancel => "cancel",
            Endpoint::Registered => "registered",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::Availability => "/mfa-client/availability-check",
            Endpoint::Types => "/2fa/types/get",
            Endpoint::Start => "/mfa-client/transaction/start/v2",
            Endpoint::Status => "/mfa-client/transaction/status-get",
            Endpoint::Cancel => "/mfa-client/transaction/cancel",
            Endpoint::Registered => "/auth/v1/mfa/token/isMfaRegistered",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of endpoints, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints(u8);

pub(crate) const HYPERID: Endpoints = Endpoints(0b01_1111);
pub(crate) const START: Endpoints = Endpoints(0b00_0100);
pub(crate) const STATUS: Endpoints = Endpoints(0b00_1000);
pub(crate) const BY_ID: Endpoints = Endpoints(0b01_1000);
pub(crate) const CAPILLARY: Endpoints = Endpoints(0b10_0000);
pub(crate) const ALL: Endpoints = Endpoints(0b11_1111);

impl Endpoints {
    pub(crate) fn contains(self, endpoint: Endpoint) -> bool {
        self.0 & endpoint.bit() != 0
    }

    /// Reads the words behind `@`.
    pub(crate) fn parse(words: &str) -> Option<Endpoints> {
        let mut bits = 0;
        for word in words.split(',') {
            bits |= Endpoint::EACH.iter().find(|e| e.word() == word)?.bit();
        }
        Some(Endpoints(bits))
    }

    pub(crate) fn describe(self) -> String {
        match self {
            ALL => "every endpoint".to_owned(),
            HYPERID => "HyperID".to_owned(),
            _ => Endpoint::EACH
                .iter()
                .filter(|e| self.contains(**e))
                .map(|e| e.word())
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}
