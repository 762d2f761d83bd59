"""What a binding of the day on which this ABI began to be judged does: ctypes, and nothing of ours.

It is never changed (README.md says when it may be): the structures, numbers and signatures were
written from the header beside it, and whatever libmfa becomes, they must go on working against it.
As in program.c, every struct ends where that header says and is followed by bytes that no library
may look at, and only facts that hold for good are checked.

    python3 program.py LIBRARY         with MFA_TEST_HYPERID_URL and MFA_TEST_CAPILLARY_URL set
"""

import ctypes as c
import os
import sys

MFA_ABI_VERSION = 1
PATIENT_MS = 20000

i32, u32, i64, text, address = c.c_int32, c.c_uint32, c.c_int64, c.c_char_p, c.c_void_p

# Numbers ------------------------------------------------------------------------------------------

CODES = {
    "MFA_OK": 0,
    "MFA_ERR_INVALID_ARGUMENT": 1,
    "MFA_ERR_NULL_POINTER": 2,
    "MFA_ERR_STRUCT_SIZE": 3,
    "MFA_ERR_INVALID_UTF8": 4,
    "MFA_ERR_INVALID_URL": 5,
    "MFA_ERR_INSECURE_URL": 6,
    "MFA_ERR_INVALID_CA": 7,
    "MFA_ERR_TIMEOUT": 110,
    "MFA_ERR_DNS": 111,
    "MFA_ERR_CONNECT": 112,
    "MFA_ERR_CONNECT_TIMEOUT": 113,
    "MFA_ERR_TLS": 114,
    "MFA_ERR_CONNECTION_LOST": 115,
    "MFA_ERR_REQUEST_TIMEOUT": 116,
    "MFA_ERR_PROXY": 117,
    "MFA_ERR_MALFORMED_ANSWER": 210,
    "MFA_ERR_ANSWER_TOO_LARGE": 211,
    "MFA_ERR_CONTRADICTORY_ANSWER": 212,
    "MFA_ERR_HTTP_STATUS": 213,
    "MFA_ERR_TOKEN_EXPIRED": 310,
    "MFA_ERR_TOKEN_INVALID": 311,
    "MFA_ERR_ACCESS_DENIED": 312,
    "MFA_ERR_UNAVAILABLE": 460,
    "MFA_ERR_RATE_LIMITED": 461,
    "MFA_ERR_PROVIDER_INVALID_PARAMETERS": 462,
    "MFA_ERR_TRANSACTION_NOT_FOUND": 463,
    "MFA_ERR_DEVICE_NOT_FOUND": 464,
    "MFA_ERR_TEMPLATE_NOT_FOUND": 465,
    "MFA_ERR_ALREADY_EXPIRED": 466,
    "MFA_ERR_ALREADY_COMPLETED": 467,
    "MFA_ERR_ALREADY_CANCELLED": 468,
    "MFA_ERR_AUTHENTICATOR_NOT_LINKED": 469,
    "MFA_ERR_PROVIDER_REFUSED": 470,
    "MFA_ERR_CANCELLED": 550,
    "MFA_ERR_INTERNAL": 900,
}
NAMES = {number: name for name, number in CODES.items()}

MFA_PROVIDER_NONE, MFA_PROVIDER_HYPERID, MFA_PROVIDER_CAPILLARY = 0, 1, 2
MFA_ERROR_RETRYABLE, MFA_ERROR_OUTCOME_UNKNOWN = 1, 2
MFA_CLIENT_ALLOW_LOOPBACK_HTTP, MFA_CLIENT_PROXY_FROM_ENV = 1, 2
MFA_LOG_OFF, MFA_LOG_ERROR, MFA_LOG_WARN, MFA_LOG_INFO, MFA_LOG_DEBUG = 0, 1, 2, 3, 4
MFA_DECISION_NONE, MFA_DECISION_APPROVED, MFA_DECISION_DENIED, MFA_DECISION_EXPIRED = 0, 1, 2, 3
MFA_DECISION_CANCELLED, MFA_DECISION_FAILED, MFA_DECISION_PENDING, MFA_DECISION_UNKNOWN = 4, 5, 6, 7
MFA_REQUEST_ANY_CODE = 1
MFA_METHOD_APP, MFA_METHOD_TOTP, MFA_METHOD_SMS, MFA_METHOD_EMAIL, MFA_METHOD_OTHER = 1, 2, 4, 8, 16
MFA_REGISTRATION_NONE, MFA_REGISTRATION_REGISTERED = 0, 1
MFA_REGISTRATION_NOT_REGISTERED, MFA_REGISTRATION_NOT_ENABLED = 2, 3

# Structures ---------------------------------------------------------------------------------------

mfa_log_fn = c.CFUNCTYPE(None, address, i32, text)
mfa_update_fn = c.CFUNCTYPE(i32, address, address)
mfa_token_fn = c.CFUNCTYPE(address, address)


class mfa_error(c.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("code", i32),
        ("provider", i32),
        ("has_provider_code", i32),
        ("provider_code", i32),
        ("http_status", i32),
        ("retry_after_ms", u32),
        ("flags", u32),
        ("attempts", u32),
        ("os_error", i32),
        ("message", c.c_char * 256),
    ]


class mfa_client_options(c.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("base_url", text),
        ("request_timeout_ms", u32),
        ("connect_timeout_ms", u32),
        ("ca_pem", text),
        ("proxy_url", text),
        ("user_agent", text),
        ("max_idle_connections", u32),
        ("log_level", i32),
        ("log", mfa_log_fn),
        ("log_user_data", address),
        ("client_cert_pem", text),
        ("client_key_pem", text),
        ("headers", text),
    ]


class mfa_call_options(c.Structure):
    _fields_ = [("struct_size", u32), ("timeout_ms", u32), ("cancel", address)]


class mfa_availability(c.Structure):
    _fields_ = [("struct_size", u32), ("available", i32)]


class mfa_two_factor_types(c.Structure):
    _fields_ = [("struct_size", u32), ("methods", u32), ("count", u32), ("raw", i32 * 16)]


class mfa_transaction(c.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("decision", i32),
        ("transaction_id", i64),
        ("raw_status", i32),
        ("raw_complete_result", i32),
        ("polls", u32),
        ("elapsed_ms", u32),
    ]


class mfa_registration(c.Structure):
    _fields_ = [("struct_size", u32), ("state", i32), ("raw_code", i32), ("http_status", i32)]


class mfa_request(c.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("template_id", i32),
        ("reserved", u32),
        ("question", text),
        ("values_json", text),
        ("code", text),
        ("device_id", text),
        ("device_desc", text),
        ("ip", text),
    ]


class mfa_wait_options(c.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("first_poll_ms", u32),
        ("min_interval_ms", u32),
        ("max_interval_ms", u32),
        ("cancel_on_timeout", i32),
        ("flags", u32),
        ("on_update", mfa_update_fn),
        ("on_update_user_data", address),
        ("access_token_provider", mfa_token_fn),
        ("access_token_provider_user_data", address),
    ]


# By name: the size on 64 bits.
SIZES = {
    mfa_error: 296,
    mfa_client_options: 96,
    mfa_call_options: 16,
    mfa_availability: 8,
    mfa_two_factor_types: 76,
    mfa_transaction: 32,
    mfa_registration: 16,
    mfa_request: 64,
    mfa_wait_options: 56,
}

# Each function: its result, and its parameters. Handles and structs are addresses.
FUNCTIONS = {
    "mfa_version": (text, []),
    "mfa_abi_version": (u32, []),
    "mfa_struct_size": (c.c_size_t, [text]),
    "mfa_code_name": (text, [i32]),
    "mfa_code_message": (text, [i32]),
    "mfa_cancel_new": (address, []),
    "mfa_cancel_trigger": (None, [address]),
    "mfa_cancel_free": (None, [address]),
    "mfa_is_approved": (i32, [i32, address]),
    "mfa_control_code": (i32, [text, u32, address]),
    "mfa_hyperid_new": (i32, [address, c.POINTER(address), address]),
    "mfa_hyperid_free": (None, [address]),
    "mfa_hyperid_availability": (i32, [address, text, address, address, address]),
    "mfa_hyperid_two_factor_types": (i32, [address, text, address, address, address]),
    "mfa_hyperid_start": (i32, [address, text, address, address, c.POINTER(i64), address]),
    "mfa_hyperid_status": (i32, [address, text, i64, address, address, address]),
    "mfa_hyperid_cancel": (i32, [address, text, i64, address, address]),
    "mfa_hyperid_wait": (i32, [address, text, i64, address, address, address, address]),
    "mfa_hyperid_confirm": (i32, [address, text, address, address, address, address, address]),
    "mfa_capillary_new": (i32, [address, c.POINTER(address), address]),
    "mfa_capillary_free": (None, [address]),
    "mfa_capillary_is_mfa_registered": (i32, [address, text, text, text, address, address, address]),
}

# Checks -------------------------------------------------------------------------------------------

passed = failed = 0


def check(ok, name, what=""):
    global passed, failed
    if ok:
        passed += 1
        print(f"ok {name}: {what}")
    else:
        failed += 1
        print(f"not ok {name}: {what}")


def equal(name, what, got, wanted):
    check(got == wanted, name, f"{what} ({got!r}, wanted {wanted!r})")


# Memory -------------------------------------------------------------------------------------------

BEHIND = b"\xa5" * 128
blocks = []


def make(struct, told=None, litter=False, **fields):
    """A struct of the size that the header says, or is told, and behind it what nobody may touch."""
    size = told or c.sizeof(struct)
    block = bytearray(size) + bytearray(BEHIND)
    if litter:
        block[4:size] = b"\x5a" * (size - 4)
    # Anchored, so that it stays where it is for as long as the checks go on.
    made = struct.from_buffer(block)
    made.struct_size = size
    for name, value in fields.items():
        setattr(made, name, value)
    blocks.append((made, block, size))
    return made


def at(struct):
    return c.addressof(struct) if struct is not None else None


def memory_is_whole(name):
    whole = all(bytes(block[size:]) == BEHIND and made.struct_size == size for made, block, size in blocks)
    check(whole, name, "no struct_size was changed, and nothing behind a struct")
    blocks.clear()


def error():
    return make(mfa_error, litter=True)


def transaction():
    return make(mfa_transaction, litter=True)


def within(timeout_ms, cancel=None):
    return make(mfa_call_options, timeout_ms=timeout_ms, cancel=cancel)


def quick(**fields):
    return make(mfa_wait_options, first_poll_ms=1, min_interval_ms=50, max_interval_ms=200, **fields)


def question(**fields):
    return make(mfa_request, question=b"Sign in?", code=b"42", **fields)


persons = 0


def person(behaviours):
    """A token of a person of its own; the sandbox remembers people."""
    global persons
    persons += 1
    return f"sandbox-{behaviours}#p{os.getpid()}-{persons}".encode()


def same_person(behaviours, token):
    return f"sandbox-{behaviours}#".encode() + token.split(b"#")[1]


def check_call(name, got, wanted, err):
    """The code, and that `err` tells the same."""
    same = got == err.code == CODES[wanted] and (err.message == b"") == (wanted == "MFA_OK")
    check(same, name, f"{NAMES.get(got, got)}, wanted {wanted} (err: {err.code}, {err.message!r})")


# What the library says of itself ------------------------------------------------------------------


def load(path):
    library = c.CDLL(path)
    for name, (result, parameters) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    return library


def the_library():
    equal("library", "its ABI version", mfa.mfa_abi_version(), MFA_ABI_VERSION)
    check(mfa.mfa_version() != b"", "library", "its version")
    for name, number in CODES.items():
        equal(name, "is called so", mfa.mfa_code_name(number), name.encode())
        check(mfa.mfa_code_message(number) != b"", name, "has a text")
    equal("library", "a number without a name", mfa.mfa_code_name(99999), b"MFA_ERR_?")
    for struct, size in SIZES.items():
        if c.sizeof(address) == 8:
            equal(struct.__name__, "its size here", c.sizeof(struct), size)
        there = mfa.mfa_struct_size(struct.__name__.encode())
        check(there >= c.sizeof(struct), struct.__name__, f"it has not become smaller: {there}")
    equal("library", "no such struct", mfa.mfa_struct_size(b"mfa_no_struct"), 0)


def what_is_approved():
    t = make(mfa_transaction)
    decisions = [MFA_DECISION_NONE, MFA_DECISION_APPROVED, MFA_DECISION_DENIED, MFA_DECISION_EXPIRED]
    decisions += [MFA_DECISION_CANCELLED, MFA_DECISION_FAILED, MFA_DECISION_PENDING, MFA_DECISION_UNKNOWN]
    for decision in decisions:
        t.decision = decision
        approved = mfa.mfa_is_approved(CODES["MFA_OK"], at(t))
        equal("mfa_is_approved", f"decision {decision}", approved, int(decision == MFA_DECISION_APPROVED))
        equal("mfa_is_approved", "not beside a code", mfa.mfa_is_approved(CODES["MFA_ERR_TIMEOUT"], at(t)), 0)
    equal("mfa_is_approved", "not NULL", mfa.mfa_is_approved(0, None), 0)
    code = c.create_string_buffer(b"???")
    err = error()
    check_call("mfa_control_code", mfa.mfa_control_code(code, 4, at(err)), "MFA_OK", err)
    check(len(code.value) == 2 and code.value.isdigit(), "mfa_control_code", code.value)
    memory_is_whole("mfa_is_approved")


# Clients ------------------------------------------------------------------------------------------


def new(name, options, err):
    handle = address(1)
    code = getattr(mfa, name)(at(options), c.byref(handle), at(err))
    return code, handle.value


def options_for(url, **fields):
    return make(mfa_client_options, base_url=url, flags=MFA_CLIENT_ALLOW_LOOPBACK_HTTP, **fields)


def a_client(name, url):
    err = error()
    code, handle = new(name, options_for(url), err)
    check_call(name, code, "MFA_OK", err)
    check(err.provider in (MFA_PROVIDER_NONE, MFA_PROVIDER_HYPERID, MFA_PROVIDER_CAPILLARY), name, "reset")
    if handle is None:
        sys.exit(f"not ok setup: {name}")
    return handle


def every_option():
    lines = []
    log = mfa_log_fn(lambda user_data, level, message: lines.append((user_data, level, message)))
    fields = {"user_agent": b"first/1", "headers": b"X-First: 1", "max_idle_connections": 2}
    options = options_for(
        hyperid_url,
        request_timeout_ms=PATIENT_MS,
        connect_timeout_ms=PATIENT_MS,
        log=log,
        log_level=MFA_LOG_DEBUG,
        log_user_data=4711,
        **fields,
    )
    err, a = error(), make(mfa_availability, litter=True)
    code, handle = new("mfa_hyperid_new", options, err)
    check_call("all options", code, "MFA_OK", err)
    code = mfa.mfa_hyperid_availability(handle, person("approve"), None, at(a), at(err))
    check_call("all options", code, "MFA_OK", err)
    mfa.mfa_hyperid_free(handle)
    levels = [MFA_LOG_ERROR, MFA_LOG_WARN, MFA_LOG_INFO, MFA_LOG_DEBUG]
    well = all(user_data == 4711 and level in levels and message for user_data, level, message in lines)
    check(lines and well, "all options", f"{len(lines)} log lines")
    memory_is_whole("all options")


def refused_clients():
    for what, wanted, fields in [
        ("a URL with a user", "MFA_ERR_INVALID_URL", {"base_url": b"https://user@example.com"}),
        ("a URL in clear", "MFA_ERR_INSECURE_URL", {"base_url": b"http://example.com"}),
        ("a URL that is not UTF-8", "MFA_ERR_INVALID_UTF8", {"base_url": b"\xff"}),
        ("a CA that is none", "MFA_ERR_INVALID_CA", {"ca_pem": b"no certificate"}),
        ("a certificate alone", "MFA_ERR_INVALID_ARGUMENT", {"client_cert_pem": b"no certificate"}),
        ("a key alone", "MFA_ERR_INVALID_ARGUMENT", {"client_key_pem": b"no key"}),
        ("a proxy of another kind", "MFA_ERR_INVALID_URL", {"proxy_url": b"gopher://example.com"}),
        ("an unknown flag", "MFA_ERR_INVALID_ARGUMENT", {"flags": 1 << 31}),
        ("an unknown level", "MFA_ERR_INVALID_ARGUMENT", {"log_level": 1000}),
    ]:
        for name in ["mfa_hyperid_new", "mfa_capillary_new"]:
            err = error()
            options = make(mfa_client_options, **{"base_url": b"https://example.com", **fields})
            code, handle = new(name, options, err)
            check_call(f"{name}, {what}", code, wanted, err)
            check(handle is None, name, "no client")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    err = error()
    options = options_for(hyperid_url, log_level=MFA_LOG_OFF)
    options.flags |= MFA_CLIENT_PROXY_FROM_ENV
    code, handle = new("mfa_hyperid_new", options, err)
    check_call("the environment's proxy", code, "MFA_OK", err)
    mfa.mfa_hyperid_free(handle)
    memory_is_whole("clients")


# Calls --------------------------------------------------------------------------------------------


def availability():
    for behaviours, wanted, available in [
        ("approve", "MFA_OK", 1),
        ("no-app", "MFA_OK", 0),
        ("token-invalid", "MFA_ERR_TOKEN_INVALID", 0),
        ("html-404@availability", "MFA_ERR_HTTP_STATUS", 0),
        ("oversize@availability", "MFA_ERR_ANSWER_TOO_LARGE", 0),
    ]:
        err, a = error(), make(mfa_availability, litter=True)
        code = mfa.mfa_hyperid_availability(client, person(behaviours), None, at(a), at(err))
        check_call(behaviours, code, wanted, err)
        equal(behaviours, "available", a.available, available)
    err, a = error(), make(mfa_availability)
    code = mfa.mfa_hyperid_availability(client, person("rate-limited-7"), at(within(5000)), at(a), at(err))
    check_call("rate limited", code, "MFA_ERR_RATE_LIMITED", err)
    told = (err.retry_after_ms, err.http_status, err.has_provider_code, err.flags & MFA_ERROR_RETRYABLE)
    equal("rate limited", "when to come back", told, (7000, 429, 0, MFA_ERROR_RETRYABLE))
    memory_is_whole("availability")


def two_factor_types():
    for behaviours, wanted, methods, count, first, last in [
        ("methods-none", "MFA_OK", 0, 0, -1, -1),
        ("methods-1,2", "MFA_OK", MFA_METHOD_TOTP | MFA_METHOD_SMS, 2, 1, -1),
        ("methods-3,0", "MFA_OK", MFA_METHOD_EMAIL | MFA_METHOD_APP, 2, 3, -1),
        ("methods-254", "MFA_OK", MFA_METHOD_OTHER, 1, 254, -1),
        ("methods-0,1,2,3,0,1,2,3,0,1,2,3,0,1,2,3,0", "MFA_OK", 15, 17, 0, 3),
        ("no-scope", "MFA_ERR_ACCESS_DENIED", 0, 0, -1, -1),
    ]:
        err, types = error(), make(mfa_two_factor_types, litter=True)
        code = mfa.mfa_hyperid_two_factor_types(client, person(behaviours), None, at(types), at(err))
        check_call(behaviours, code, wanted, err)
        got = (types.methods, types.count, types.raw[0], types.raw[15])
        equal(behaviours, "what was said", got, (methods, count, first, last))
    memory_is_whole("methods")


def start(token, request, wanted="MFA_OK"):
    err, started = error(), i64(-1)
    options = at(within(PATIENT_MS))
    code = mfa.mfa_hyperid_start(client, token, at(request), options, c.byref(started), at(err))
    check_call("start", code, wanted, err)
    check((started.value > 0) == (wanted == "MFA_OK"), "start", f"the id: {started.value}")
    return started.value


def cancel(token, transaction_id, wanted="MFA_OK"):
    err = error()
    code = mfa.mfa_hyperid_cancel(client, token, transaction_id, at(within(PATIENT_MS)), at(err))
    check_call("cancel", code, wanted, err)


def status(token, transaction_id, wanted="MFA_OK", options=None, t=None):
    err = error()
    t = t or transaction()
    code = mfa.mfa_hyperid_status(client, token, transaction_id, at(options), at(t), at(err))
    check_call("status", code, wanted, err)
    return t, err


def step_by_step():
    token = person("phone")
    number = start(token, question())
    t, _ = status(token, number)
    got = (t.decision, t.transaction_id, t.raw_status, t.raw_complete_result)
    equal("status", "pending", got, (MFA_DECISION_PENDING, number, 0, 0))
    check(t.polls > 0 and t.elapsed_ms < 2**31, "status", "polls")
    cancel(token, number)
    t, _ = status(token, number)
    equal("status", "cancelled", (t.decision, t.raw_status), (MFA_DECISION_CANCELLED, 4))
    cancel(token, number, "MFA_ERR_ALREADY_CANCELLED")
    t, err = status(token, number + 1000000, "MFA_ERR_TRANSACTION_NOT_FOUND")
    got = (t.decision, t.raw_status, t.raw_complete_result)
    equal("status", "reset", got, (MFA_DECISION_NONE, -1, -1))
    got = (err.provider, err.has_provider_code, err.provider_code, err.http_status, err.os_error)
    equal("status", "the refusal", got, (MFA_PROVIDER_HYPERID, 1, -6, 200, 0))
    token = person("approve-after-0")
    number = start(token, question())
    t, err = transaction(), error()
    options = at(within(PATIENT_MS))
    code = mfa.mfa_hyperid_wait(client, token, number, at(quick()), options, at(t), at(err))
    check_call("wait", code, "MFA_OK", err)
    check(mfa.mfa_is_approved(code, at(t)) == 1 and t.transaction_id == number, "wait", "approved")
    cancel(token, number, "MFA_ERR_ALREADY_COMPLETED")
    memory_is_whole("step by step")


def confirm(token, wait, timeout_ms, wanted):
    err, t = error(), transaction()
    options = at(within(timeout_ms))
    code = mfa.mfa_hyperid_confirm(client, token, at(question()), at(wait), options, at(t), at(err))
    check_call(token.decode(), code, wanted, err)
    return code, t, err


def people_decide():
    for behaviours, decision, raw_status in [
        ("approve", MFA_DECISION_APPROVED, 1),
        ("deny", MFA_DECISION_DENIED, 1),
        ("expire-after-90", MFA_DECISION_EXPIRED, 2),
        ("failed-after-90", MFA_DECISION_FAILED, 3),
        ("declined-after-90", MFA_DECISION_CANCELLED, 4),
    ]:
        code, t, _ = confirm(person(behaviours), quick(), PATIENT_MS, "MFA_OK")
        equal(behaviours, "what was read", (t.decision, t.raw_status), (decision, raw_status))
        approved = mfa.mfa_is_approved(code, at(t))
        equal(behaviours, "approved", approved, int(decision == MFA_DECISION_APPROVED))
    for behaviours, wanted, flags, number in [
        ("no-app", "MFA_ERR_AUTHENTICATOR_NOT_LINKED", 0, 0),
        ("token-expired", "MFA_ERR_TOKEN_EXPIRED", 0, -4),
        ("refuse--2@start", "MFA_ERR_PROVIDER_INVALID_PARAMETERS", 0, -2),
        ("refuse--7@start", "MFA_ERR_DEVICE_NOT_FOUND", 0, -7),
        ("refuse--1@start", "MFA_ERR_UNAVAILABLE", MFA_ERROR_RETRYABLE, -1),
        ("lose-start+phone", "MFA_ERR_CONNECTION_LOST", MFA_ERROR_OUTCOME_UNKNOWN, 0),
    ]:
        _, t, err = confirm(person(behaviours), quick(), PATIENT_MS, wanted)
        known = err.flags & (MFA_ERROR_RETRYABLE | MFA_ERROR_OUTCOME_UNKNOWN)
        equal(behaviours, "what err says", (known, err.provider_code), (flags, number))
        check(t.decision != MFA_DECISION_APPROVED, behaviours, "not approved")
    memory_is_whole("people decide")


def ends_of_a_wait():
    token = person("phone")
    _, t, _ = confirm(token, quick(), 1500, "MFA_ERR_TIMEOUT")
    equal("no answer", "decision", t.decision, MFA_DECISION_PENDING)
    cancel(token, t.transaction_id)
    token = person("phone")
    _, t, _ = confirm(token, quick(cancel_on_timeout=1), 2000, "MFA_ERR_TIMEOUT")
    cancel(token, t.transaction_id, "MFA_ERR_ALREADY_CANCELLED")

    seen = []

    @mfa_update_fn
    def on_update(user_data, so_far):
        known = mfa_transaction.from_address(so_far)
        seen.append((user_data, known.struct_size >= c.sizeof(mfa_transaction), known.transaction_id))
        return int(len(seen) == 2)

    token = person("phone")
    wait = quick(on_update=on_update, on_update_user_data=4711)
    _, t, _ = confirm(token, wait, PATIENT_MS, "MFA_ERR_CANCELLED")
    equal("on_update", "what it saw", seen, [(4711, True, t.transaction_id)] * 2)
    stop = mfa.mfa_cancel_new()
    mfa.mfa_cancel_trigger(stop)
    t, _ = status(token, t.transaction_id, "MFA_ERR_CANCELLED", within(PATIENT_MS, stop))
    equal("cancel object", "no decision", t.decision, MFA_DECISION_NONE)
    mfa.mfa_cancel_free(stop)
    mfa.mfa_cancel_trigger(None)
    mfa.mfa_cancel_free(None)
    memory_is_whole("ends of a wait")


def tokens_expire():
    token = person("token-expires-after-2+approve-after-400")
    fresh, asked = c.create_string_buffer(same_person("approve", token)), []

    @mfa_token_fn
    def give(user_data):
        asked.append(user_data)
        return c.addressof(fresh)

    wait = quick(access_token_provider=give, access_token_provider_user_data=4711)
    code, t, _ = confirm(token, wait, PATIENT_MS, "MFA_OK")
    equal("a fresh token", "asked for once", asked, [4711])
    equal("a fresh token", "approved", mfa.mfa_is_approved(code, at(t)), 1)
    memory_is_whole("tokens")


def requests():
    token = person("phone")
    device = {"device_id": b"device", "device_desc": b"a laptop", "ip": b"192.0.2.1"}
    asked = question(template_id=4, flags=MFA_REQUEST_ANY_CODE, **device)
    asked.code = b"any text"
    cancel(token, start(token, asked))
    cancel(token, start(token, make(mfa_request, template_id=2, values_json=b'{"a":"b"}')))
    start(token, question(values_json=b"{}"), "MFA_ERR_INVALID_ARGUMENT")
    start(token, question(reserved=1), "MFA_ERR_INVALID_ARGUMENT")
    start(token, question(flags=1 << 31), "MFA_ERR_INVALID_ARGUMENT")
    start(token, None, "MFA_ERR_NULL_POINTER")
    memory_is_whole("requests")


def sizes():
    token = person("approve")
    short = transaction()
    short.struct_size -= 1
    short.decision = MFA_DECISION_APPROVED
    status(token, 1, "MFA_ERR_STRUCT_SIZE", t=short)
    equal("a short out struct", "no decision", short.decision, MFA_DECISION_NONE)
    short.struct_size += 1
    asked = question()
    asked.struct_size -= 1
    start(token, asked, "MFA_ERR_STRUCT_SIZE")
    asked.struct_size += 1

    # Of a later day: longer, and zero beyond what anybody knows.
    err, t = make(mfa_error, 4096), make(mfa_transaction, 4096)
    asked, wait = make(mfa_request, 4096), make(mfa_wait_options, 4096)
    options = make(mfa_call_options, 4096, timeout_ms=PATIENT_MS)
    asked.question, wait.min_interval_ms, wait.max_interval_ms = b"Sign in?", 50, 200
    rest = at(asked), at(wait), at(options), at(t), at(err)
    code = mfa.mfa_hyperid_confirm(client, person("approve"), *rest)
    check_call("longer", code, "MFA_OK", err)
    equal("longer", "approved", mfa.mfa_is_approved(code, at(t)), 1)
    code = mfa.mfa_hyperid_confirm(client, person("deny"), *rest)
    equal("longer", "denied", (code, t.decision), (0, MFA_DECISION_DENIED))
    memory_is_whole("sizes")


def registration():
    for behaviours, brand, wanted, state, number in [
        ("registered", b"demo-brand", "MFA_OK", MFA_REGISTRATION_REGISTERED, 200),
        ("not-registered", b"demo-brand", "MFA_OK", MFA_REGISTRATION_NOT_REGISTERED, 404),
        ("registered", b"no-mfa-brand", "MFA_OK", MFA_REGISTRATION_NOT_ENABLED, 1513),
        ("token-expired", b"demo-brand", "MFA_ERR_TOKEN_EXPIRED", MFA_REGISTRATION_NONE, -1),
        ("contradiction", b"demo-brand", "MFA_ERR_CONTRADICTORY_ANSWER", MFA_REGISTRATION_NONE, -1),
    ]:
        err, r = error(), make(mfa_registration, litter=True)
        answer = at(within(PATIENT_MS)), at(r), at(err)
        code = mfa.mfa_capillary_is_mfa_registered(capillary, brand, b"device", person(behaviours), *answer)
        check_call(behaviours, code, wanted, err)
        http_status = 200 if wanted == "MFA_OK" else 0
        got = (r.state, r.raw_code, r.http_status)
        equal(behaviours, "what was read", got, (state, number, http_status))
    memory_is_whole("registration")


hyperid_url = os.environ["MFA_TEST_HYPERID_URL"].encode()
capillary_url = os.environ["MFA_TEST_CAPILLARY_URL"].encode()
mfa = load(sys.argv[1])
the_library()
what_is_approved()
client = a_client("mfa_hyperid_new", hyperid_url)
capillary = a_client("mfa_capillary_new", capillary_url)
every_option()
refused_clients()
availability()
two_factor_types()
step_by_step()
people_decide()
ends_of_a_wait()
tokens_expire()
requests()
sizes()
registration()
mfa.mfa_capillary_free(capillary)
mfa.mfa_hyperid_free(client)
mfa.mfa_capillary_free(None)
mfa.mfa_hyperid_free(None)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
