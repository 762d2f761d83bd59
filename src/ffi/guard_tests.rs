//! No export is forgotten: each is declared to the guard as what it is, and is in every list whose
//! tests must hold for all of them.
//!
//! The measure is the header, as build.rs makes it from this folder; that the library exports what the
//! header declares is for `cargo xtask test symbols` to see.

use std::collections::{BTreeMap, BTreeSet};

use super::Export;
use crate::error::Provider;
use crate::ffi::{cancel, capillary, error, event, hyperid, transaction, version, waiter};

const EXPORTS: &[&Export] = &[
    &version::VERSION,
    &version::ABI_VERSION,
    &version::STRUCT_SIZE,
    &error::CODE_NAME,
    &error::CODE_MESSAGE,
    &cancel::CANCEL_NEW,
    &cancel::CANCEL_TRIGGER,
    &cancel::CANCEL_FREE,
    &transaction::IS_APPROVED,
    &hyperid::NEW,
    &hyperid::FREE,
    &hyperid::AVAILABILITY,
    &hyperid::TWO_FACTOR_TYPES,
    &hyperid::START,
    &hyperid::STATUS,
    &hyperid::CANCEL,
    &hyperid::WAIT,
    &hyperid::CONFIRM,
    &hyperid::CONTROL_CODE,
    &event::IS_APPROVED,
    &waiter::NEW,
    &waiter::FREE,
    &waiter::CONFIRM,
    &waiter::WAIT,
    &waiter::CANCEL,
    &waiter::CANCEL_ALL,
    &waiter::GIVE_TOKEN,
    &waiter::NEXT,
    &waiter::COUNT,
    &waiter::WAKE,
    &waiter::FD,
    &capillary::NEW,
    &capillary::FREE,
    &capillary::IS_MFA_REGISTERED,
];

const HEADER: &str = include_str!(concat!(env!("OUT_DIR"), "/mfa.h"));
const SYMBOLS: &str = include_str!("../../tests/symbols.txt");
const PANICS: &str = include_str!("../../tests/c/panic.c");
/// The tables and the checks of misuse, by the names of the exports.
const MISUSE: &[&str] = &[
    include_str!("../../tests/c/misuse.h"),
    include_str!("../../tests/c/misuse_clients.c"),
    include_str!("../../tests/c/misuse_answers.c"),
    include_str!("../../tests/c/misuse_cancels.c"),
    include_str!("../../tests/c/misuse_waiters.c"),
];
/// What cannot fail is misused there too.
const PLAIN: &[&str] =
    &[include_str!("../../tests/c/layout.c"), include_str!("../../tests/c/version_and_codes.c")];

type Names = BTreeSet<&'static str>;

/// The header's functions: each name with its declaration.
fn declarations() -> BTreeMap<&'static str, &'static str> {
    let code = HEADER.split("/*").filter_map(|part| part.rsplit("*/").next());
    let statements = code.flat_map(|code| code.split([';', '{', '}'])).map(str::trim);
    let functions = statements.filter(|it| !it.contains("typedef") && !it.contains('#'));
    let named = |it: &'static str| Some((it.split_once('(')?.0.rsplit([' ', '*']).next()?, it));
    functions.filter_map(named).filter(|(name, _)| name.starts_with("mfa_")).collect()
}

fn exports_where(is_wanted: impl Fn(&str) -> bool) -> Names {
    declarations().into_iter().filter(|(_, text)| is_wanted(text)).map(|(name, _)| name).collect()
}

fn assert_lists_all(list: &str, listed: &Names) {
    let exports = exports_where(|_| true);
    let (forgotten, unknown) = (&exports - listed, listed - &exports);
    assert!(forgotten.is_empty(), "{list} lacks {forgotten:?}");
    assert!(unknown.is_empty(), "{list} has {unknown:?}, which is no export");
}

/// The words that come behind `before`.
fn words_behind(before: &str, text: &'static str) -> Names {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(before).skip(1).filter_map(|it| it.split(is_end).next()).collect()
}

#[test]
fn each_export_is_declared_to_the_guard() {
    let declared: Names = EXPORTS.iter().map(|export| export.name).collect();
    assert_lists_all("EXPORTS", &declared);
    assert_eq!(EXPORTS.len(), declared.len(), "a name stands twice");
}

#[test]
fn each_export_says_its_provider_and_whether_it_asks_a_person() {
    let declarations = declarations();
    for export in EXPORTS {
        let provider = match export.name.split('_').nth(1) {
            Some("hyperid" | "waiter") => Provider::HyperId,
            Some("capillary") => Provider::Capillary,
            _ => Provider::None,
        };
        assert_eq!(export.provider, provider, "{}", export.name);
        // Whoever asks is told what to ask. What a waiter is told it sends later.
        let is_told = declarations[export.name].contains("const mfa_request *");
        let asks = is_told && !export.name.starts_with("mfa_waiter_");
        assert_eq!(export.asks_a_person, asks, "{}", export.name);
    }
}

#[test]
fn each_export_is_in_the_list_of_symbols() {
    let listed: Names = SYMBOLS.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_lists_all("tests/symbols.txt", &listed);
}

#[test]
fn each_export_panics_in_the_c_tests() {
    let planted = &words_behind("plant(\"", PANICS) | &words_behind("{ \"", PANICS);
    assert_lists_all("tests/c/panic.c", &planted);
}

#[test]
fn each_export_that_can_fail_is_misused_in_the_c_tests() {
    let misused: Names = MISUSE.iter().flat_map(|text| words_behind("\"", text)).collect();
    let forgotten = &exports_where(|text| text.starts_with("mfa_code ")) - &misused;
    assert!(forgotten.is_empty(), "tests/c/misuse* lack {forgotten:?}");
}

#[test]
fn each_export_that_takes_something_is_misused_in_the_c_tests() {
    let texts = || MISUSE.iter().chain(PLAIN);
    let is_called = |name: &str| texts().any(|text| text.contains(&format!("{name}(")));
    let mut forgotten = exports_where(|text| !text.ends_with("(void)"));
    forgotten.retain(|name| !is_called(name));
    assert!(forgotten.is_empty(), "tests/c/misuse*, layout.c and version_and_codes.c lack {forgotten:?}");
}
