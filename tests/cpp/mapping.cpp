// Each argument reaches C as it was meant, each answer comes back whole, and what must be refused never
// gets as far as C. The functions of <mfa.h> that make calls are replaced here, so there is no server.
#include <mfa.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>

namespace fake {

static int calls;
static mfa_code returns = MFA_OK;
static std::map<std::string, std::string> texts;
static mfa_client_options client;
static mfa_call_options call;
static mfa_request request;
static mfa_wait_options wait;
static std::int64_t id;
static mfa_transaction transaction = MFA_TRANSACTION_INIT;
static std::function<void()> during;
static bool no_cancel;

static void keep(const char *name, const char *text) { texts[name] = text == nullptr ? "(null)" : text; }

static mfa_code end(const mfa_call_options *options, mfa_error *err)
{
    calls++;
    call = *options;
    if (during) {
        during();
    }
    err->code = returns;
    std::strcpy(err->message, returns == MFA_OK ? "" : "as told");
    return returns;
}

static mfa_hyperid *const hyperid = reinterpret_cast<mfa_hyperid *>(&calls);
static mfa_capillary *const capillary = reinterpret_cast<mfa_capillary *>(&calls);

static void keep_client(const mfa_client_options *options)
{
    calls++;
    client = *options;
    keep("base_url", options->base_url);
    keep("ca_pem", options->ca_pem);
    keep("proxy_url", options->proxy_url);
    keep("user_agent", options->user_agent);
    keep("client_cert_pem", options->client_cert_pem);
    keep("client_key_pem", options->client_key_pem);
    keep("headers", options->headers);
}

static mfa_code hyperid_new(const mfa_client_options *options, mfa_hyperid **out, mfa_error *)
{
    keep_client(options);
    *out = hyperid;
    return MFA_OK;
}

static mfa_code capillary_new(const mfa_client_options *options, mfa_capillary **out, mfa_error *)
{
    keep_client(options);
    *out = capillary;
    return MFA_OK;
}

inline void hyperid_free(mfa_hyperid *) {}
inline void capillary_free(mfa_capillary *) {}

static mfa_code availability(const mfa_hyperid *, const char *token, const mfa_call_options *options,
                             mfa_availability *out, mfa_error *err)
{
    keep("token", token);
    out->available = 1;
    return end(options, err);
}

static mfa_code two_factor_types(const mfa_hyperid *, const char *token, const mfa_call_options *options,
                                 mfa_two_factor_types *out, mfa_error *err)
{
    keep("token", token);
    out->methods = MFA_METHOD_SMS | MFA_METHOD_OTHER;
    out->count = 20;
    for (int i = 0; i < 16; i++) {
        out->raw[i] = 100 + i;
    }
    return end(options, err);
}

static void keep_request(const mfa_request *asked)
{
    request = *asked;
    keep("question", asked->question);
    keep("values_json", asked->values_json);
    keep("code", asked->code);
    keep("device_id", asked->device_id);
    keep("device_desc", asked->device_desc);
    keep("ip", asked->ip);
}

static mfa_code start(const mfa_hyperid *, const char *token, const mfa_request *asked,
                      const mfa_call_options *options, int64_t *out, mfa_error *err)
{
    keep("token", token);
    keep_request(asked);
    *out = 9223372036854775807;
    return end(options, err);
}

static mfa_code status(const mfa_hyperid *, const char *token, int64_t transaction_id,
                       const mfa_call_options *options, mfa_transaction *out, mfa_error *err)
{
    keep("token", token);
    id = transaction_id;
    *out = transaction;
    return end(options, err);
}

static mfa_code cancel(const mfa_hyperid *, const char *token, int64_t transaction_id,
                       const mfa_call_options *options, mfa_error *err)
{
    keep("token", token);
    id = transaction_id;
    return end(options, err);
}

static mfa_code do_wait(const mfa_hyperid *, const char *token, int64_t transaction_id,
                        const mfa_wait_options *how, const mfa_call_options *options, mfa_transaction *out,
                        mfa_error *err)
{
    keep("token", token);
    id = transaction_id;
    wait = *how;
    *out = transaction;
    return end(options, err);
}

static mfa_code confirm(const mfa_hyperid *, const char *token, const mfa_request *asked,
                        const mfa_wait_options *how, const mfa_call_options *options, mfa_transaction *out,
                        mfa_error *err)
{
    keep("token", token);
    keep_request(asked);
    wait = *how;
    *out = transaction;
    return end(options, err);
}

static mfa_code is_mfa_registered(const mfa_capillary *, const char *brand, const char *device_id,
                                  const char *token, const mfa_call_options *options, mfa_registration *out,
                                  mfa_error *err)
{
    keep("brand", brand);
    keep("device_id", device_id);
    keep("token", token);
    out->state = MFA_REGISTRATION_NOT_ENABLED;
    out->raw_code = 1513;
    out->http_status = 403;
    return end(options, err);
}

static mfa_cancel *cancel_new() { return no_cancel ? nullptr : mfa_cancel_new(); }

} // namespace fake

#define mfa_hyperid_new fake::hyperid_new
#define mfa_hyperid_free fake::hyperid_free
#define mfa_hyperid_availability fake::availability
#define mfa_hyperid_two_factor_types fake::two_factor_types
#define mfa_hyperid_start fake::start
#define mfa_hyperid_status fake::status
#define mfa_hyperid_cancel fake::cancel
#define mfa_hyperid_wait fake::do_wait
#define mfa_hyperid_confirm fake::confirm
#define mfa_capillary_new fake::capillary_new
#define mfa_capillary_free fake::capillary_free
#define mfa_capillary_is_mfa_registered fake::is_mfa_registered
#define mfa_cancel_new fake::cancel_new

#include "check.hpp"

using namespace std::string_literals;

static const std::string nul = "be\0fore"s;

static bool said(const char* name, const std::string& wanted) { return fake::texts[name] == wanted; }

static void client_options_reach_c()
{
    mfa::client_options options;
    check_code("client: defaults", mfa::hyperid::create(), MFA_OK);
    const mfa_client_options zero = MFA_CLIENT_OPTIONS_INIT;
    check(std::memcmp(&fake::client, &zero, sizeof zero) == 0, "client: the defaults are C's");
    options.base_url = "https://example.org";
    options.ca_pem = "ca";
    options.proxy_url = "http://proxy";
    options.user_agent = "me/1";
    options.client_cert_pem = "cert";
    options.client_key_pem = "key";
    options.headers = "X-One: 1\nX-Two: 2";
    options.request_timeout = 4294967295ms;
    options.connect_timeout = 3s;
    options.max_idle_connections = 4294967295;
    options.allow_loopback_http = true;
    options.log_level = mfa::log_level::info;
    check_code("client: all options", mfa::capillary::create(options), MFA_OK);
    check(said("base_url", "https://example.org") && said("ca_pem", "ca") && said("proxy_url", "http://proxy") &&
              said("user_agent", "me/1") && said("client_cert_pem", "cert") && said("client_key_pem", "key") &&
              said("headers", "X-One: 1\nX-Two: 2"),
          "client: texts");
    check(fake::client.request_timeout_ms == 4294967295 && fake::client.connect_timeout_ms == 3000 &&
              fake::client.max_idle_connections == 4294967295 && fake::client.log_level == MFA_LOG_INFO,
          "client: numbers");
    check(fake::client.flags == MFA_CLIENT_ALLOW_LOOPBACK_HTTP && fake::client.log == nullptr,
          "client: one flag, no log");
    options.proxy_from_env = true;
    options.allow_loopback_http = false;
    check_code("client: the other flag", mfa::hyperid::create(options), MFA_OK);
    check(fake::client.flags == MFA_CLIENT_PROXY_FROM_ENV, "client: the other flag reaches C");
}

static void the_log_reaches_the_callable()
{
    std::string line;
    auto level = mfa::log_level::off;
    mfa::client_options options;
    options.log = [&](mfa::log_level of, std::string_view message) {
        level = of;
        line = message;
#if defined(__cpp_exceptions)
        throw std::runtime_error("from a log");
#endif
    };
    const auto client = need(mfa::hyperid::create(options));
    fake::client.log(fake::client.log_user_data, MFA_LOG_WARN, "grün");
    check(level == mfa::log_level::warn && line == "grün", "log: level and message, and a throw is dropped");
}

static void calls_reach_c(const mfa::hyperid& client, const mfa::capillary& capillary)
{
    const mfa::cancel stop;
    auto options = within(1234ms);
    options.cancel = stop;
    fake::returns = MFA_OK;
    // Not NUL-terminated where it ends.
    const std::string_view token = std::string_view("token-and-more").substr(0, 5);

    check(client.availability(token, options).value().available(), "availability: answer");
    check(said("token", "token") && fake::call.timeout_ms == 1234 && fake::call.cancel == stop.native(),
          "availability: arguments");
    check(fake::call.struct_size == sizeof(mfa_call_options), "call options: size");
    const auto types = client.two_factor_types(token).value();
    check(types.has(mfa::method::sms) && types.has(mfa::method::other) && !types.has(mfa::method::app) &&
              !types.has(mfa::method::totp) && !types.has(mfa::method::email) && types.count() == 20 &&
              types.raw().size() == 16 && types.raw()[15] == 115,
          "two_factor_types: answer");
    check(fake::call.timeout_ms == 0 && fake::call.cancel == nullptr, "call options: defaults");

    mfa::request request;
    check(client.start(token, request).value() == INT64_MAX, "start: the id is whole");
    const mfa_request zero = MFA_REQUEST_INIT;
    check(std::memcmp(&fake::request, &zero, sizeof zero) == 0, "request: the defaults are C's");
    const std::string who = "Łucja";
    request.question = "Zapłacić 5 € — " + who + "?";
    request.values_json = "{}";
    request.template_id = 15;
    request.code = "07";
    request.any_code = true;
    request.device_id = "d";
    request.device_desc = "電話";
    request.ip = "::1";
    static_cast<void>(client.start(token, request));
    check(said("question", "Zapłacić 5 € — Łucja?") && said("values_json", "{}") && said("code", "07") &&
              said("device_id", "d") && said("device_desc", "電話") && said("ip", "::1") &&
              fake::request.template_id == 15 && fake::request.flags == MFA_REQUEST_ANY_CODE &&
              fake::request.struct_size == sizeof(mfa_request),
          "request: every field");

    static_cast<void>(client.status(token, 4294967297, options));
    check(fake::id == 4294967297 && said("token", "token"), "status: arguments");
    static_cast<void>(client.cancel(token, 4294967298, options));
    check(fake::id == 4294967298 && fake::call.timeout_ms == 1234, "cancel: arguments");
    const auto registered = capillary.is_mfa_registered("marke", "gerät", token, options).value();
    check(registered.state() == mfa::registration_state::not_enabled && registered.raw_code() == 1513 &&
              registered.http_status() == 403,
          "is_mfa_registered: answer");
    check(said("brand", "marke") && said("device_id", "gerät") && said("token", "token") &&
              fake::call.timeout_ms == 1234,
          "is_mfa_registered: arguments");
}

static void waiting_reaches_c(const mfa::hyperid& client)
{
    mfa::wait_options wait;
    static_cast<void>(client.wait("token", 7));
    check(fake::id == 7 && fake::wait.on_update == nullptr && fake::wait.access_token_provider == nullptr &&
              fake::wait.first_poll_ms == 0 && fake::wait.min_interval_ms == 0 &&
              fake::wait.max_interval_ms == 0 && fake::wait.cancel_on_timeout == 0 && fake::wait.flags == 0 &&
              fake::wait.struct_size == sizeof(mfa_wait_options),
          "wait options: defaults");
    wait.first_poll = 0ms;
    wait.min_interval = 5s;
    wait.max_interval = 1min;
    wait.cancel_on_timeout = true;
    int seen = 0;
    auto next = mfa::waiting::go_on;
    wait.on_update = [&](const mfa::snapshot& so_far) {
        seen += so_far.id() == 8 && so_far.decision() == mfa::decision::pending ? 1 : 100;
        return next;
    };
    wait.access_token_provider = [] { return std::optional<std::string>("fresh"); };
    std::int32_t went_on = -1;
    std::int32_t stopped = -1;
    std::string token;
    fake::during = [&] {
        mfa_transaction so_far = MFA_TRANSACTION_INIT;
        so_far.transaction_id = 8;
        so_far.decision = MFA_DECISION_PENDING;
        went_on = fake::wait.on_update(fake::wait.on_update_user_data, &so_far);
        next = mfa::waiting::stop;
        stopped = fake::wait.on_update(fake::wait.on_update_user_data, &so_far);
        token = fake::wait.access_token_provider(fake::wait.access_token_provider_user_data);
    };
    static_cast<void>(client.confirm("token", question(), wait));
    fake::during = nullptr;
    check(fake::wait.first_poll_ms == 0 && fake::wait.min_interval_ms == 5000 &&
              fake::wait.max_interval_ms == 60000 && fake::wait.cancel_on_timeout == 1,
          "wait options: numbers");
    check(seen == 2 && went_on == 0 && stopped != 0, "on_update: what it sees and says");
    check(token == "fresh", "access_token_provider: the token", token);
}

static void transactions_come_back(const mfa::hyperid& client)
{
    fake::transaction = MFA_TRANSACTION_INIT;
    fake::transaction.transaction_id = 4294967299;
    for (std::int32_t decision = MFA_DECISION_NONE; decision <= MFA_DECISION_UNKNOWN; decision++) {
        fake::transaction.decision = decision;
        const auto wanted = decision == MFA_DECISION_APPROVED;
        const auto read = client.status("t", 1);
        const auto waited = client.wait("t", 1);
        const auto confirmed = client.confirm("t", question());
        check(mfa::is_approved(read) == wanted && mfa::is_approved(waited) == wanted &&
                  mfa::is_approved(confirmed) == wanted && read.value().decision() == mfa::decision(decision) &&
                  confirmed.value().id() == 4294967299,
              "decision " + std::to_string(decision));
    }
    // A library that broke its promise: an approval beside an error.
    fake::transaction.decision = MFA_DECISION_APPROVED;
    fake::returns = MFA_ERR_TIMEOUT;
    for (const auto& answer : {client.status("t", 1), client.wait("t", 1), client.confirm("t", question())}) {
        check(!mfa::is_approved(answer) && !answer.ok() && answer.code() == MFA_ERR_TIMEOUT &&
                  answer.error().last_known()->id() == 4294967299,
              "beside an error: the id, and no approval");
    }
    fake::transaction.transaction_id = 0;
    check(!client.confirm("t", question()).error().last_known(), "beside an error: no id, no transaction");
    fake::returns = MFA_OK;
}

template <class Call>
static void refused(const std::string& name, Call call, mfa_code code = MFA_ERR_INVALID_ARGUMENT)
{
    const int before = fake::calls;
    const auto answer = call();
    check_code("refused: " + name, answer, code);
    check(fake::calls == before, "refused before C: " + name);
}

static void nul_bytes_are_refused(const mfa::hyperid& client, const mfa::capillary& capillary)
{
    const auto good = question();
    refused("NUL in availability's token", [&] { return client.availability(nul); });
    refused("NUL in two_factor_types' token", [&] { return client.two_factor_types(nul); });
    refused("NUL in start's token", [&] { return client.start(nul, good); });
    refused("NUL in status' token", [&] { return client.status(nul, 1); });
    refused("NUL in cancel's token", [&] { return client.cancel(nul, 1); });
    refused("NUL in wait's token", [&] { return client.wait(nul, 1); });
    refused("NUL in confirm's token", [&] { return client.confirm(nul, good); });
    refused("NUL at the end", [&] { return client.availability("token\0"s); });
    refused("only NUL", [&] { return client.availability(std::string_view("", 1)); });
    refused("NUL in the brand", [&] { return capillary.is_mfa_registered(nul, "d", "t"); });
    refused("NUL in the device", [&] { return capillary.is_mfa_registered("b", nul, "t"); });
    refused("NUL in authorized_token", [&] { return capillary.is_mfa_registered("b", "d", nul); });
    check(client.availability(nul).error().message() == "access_token holds a NUL byte", "refused: it says which");
    check(client.availability(nul).error().provider() == mfa::provider::hyperid, "refused: whose call");

    using text = std::optional<std::string>;
    for (text mfa::request::*field :
         {&mfa::request::question, &mfa::request::values_json, &mfa::request::code, &mfa::request::device_id,
          &mfa::request::device_desc, &mfa::request::ip}) {
        mfa::request request;
        request.*field = nul;
        refused("NUL in a request, start", [&] { return client.start("t", request); });
        refused("NUL in a request, confirm", [&] { return client.confirm("t", request); });
    }
    for (text mfa::client_options::*field :
         {&mfa::client_options::base_url, &mfa::client_options::ca_pem, &mfa::client_options::proxy_url,
          &mfa::client_options::user_agent, &mfa::client_options::client_cert_pem,
          &mfa::client_options::client_key_pem, &mfa::client_options::headers}) {
        mfa::client_options options;
        options.*field = nul;
        refused("NUL in client options", [&] { return mfa::hyperid::create(options); });
        refused("NUL in client options, Capillary", [&] { return mfa::capillary::create(options); });
    }
}

static void times_that_are_none_are_refused(const mfa::hyperid& client, const mfa::capillary& capillary)
{
    for (const auto time : {-1ms, 0ms, 4294967296ms, std::chrono::milliseconds::max(),
                            std::chrono::milliseconds::min()}) {
        const auto name = std::to_string(time.count()) + " ms";
        const auto options = within(time);
        refused("timeout of " + name, [&] { return client.availability("t", options); });
        refused("timeout of " + name + ", Capillary",
                [&] { return capillary.is_mfa_registered("b", "d", "t", options); });
        refused("timeout of " + name + ", confirm", [&] { return client.confirm("t", question(), {}, options); });
        for (auto field : {&mfa::client_options::request_timeout, &mfa::client_options::connect_timeout}) {
            mfa::client_options all;
            all.*field = time;
            refused("client time of " + name, [&] { return mfa::hyperid::create(all); });
        }
        for (auto field : {&mfa::wait_options::first_poll, &mfa::wait_options::min_interval,
                           &mfa::wait_options::max_interval}) {
            mfa::wait_options wait;
            wait.*field = time;
            if (time != 0ms || field != &mfa::wait_options::first_poll) {
                refused("wait time of " + name, [&] { return client.wait("t", 1, wait); });
            }
        }
    }
    mfa::client_options options;
    options.max_idle_connections = 0;
    refused("no idle connections", [&] { return mfa::hyperid::create(options); });
}

static void callables_that_throw(const mfa::hyperid& client)
{
#if defined(__cpp_exceptions)
    struct odd {
        int number;
    };
    mfa::wait_options wait;
    std::int32_t answer = 0;
    wait.on_update = [](const mfa::snapshot&) -> mfa::waiting { throw odd{17}; };
    fake::during = [&] {
        answer = fake::wait.on_update(fake::wait.on_update_user_data, &fake::transaction);
    };
    // Also in place of an approval.
    for (const auto code : {MFA_ERR_CANCELLED, MFA_OK}) {
        fake::returns = code;
        int caught = 0;
        try {
            static_cast<void>(client.wait("t", 1, wait));
        } catch (const odd& thrown) {
            caught = thrown.number;
        }
        check(caught == 17 && answer != 0, "on_update throws: it ends the wait and reaches the caller");
    }
    mfa::wait_options tokens;
    const char* given = "";
    tokens.access_token_provider = []() -> std::optional<std::string> { throw odd{18}; };
    fake::during = [&] {
        given = fake::wait.access_token_provider(fake::wait.access_token_provider_user_data);
    };
    fake::returns = MFA_ERR_TOKEN_EXPIRED;
    int caught = 0;
    try {
        static_cast<void>(client.confirm("t", question(), tokens));
    } catch (const odd& thrown) {
        caught = thrown.number;
    }
    check(caught == 18 && given == nullptr, "access_token_provider throws: it gives up and reaches the caller");
#endif
    const char* told = "";
    mfa::wait_options cut;
    cut.access_token_provider = [] { return std::optional(nul); };
    fake::during = [&] {
        told = fake::wait.access_token_provider(fake::wait.access_token_provider_user_data);
    };
    fake::returns = MFA_ERR_TOKEN_EXPIRED;
    fake::transaction.transaction_id = 5;
    const auto answered = client.wait("t", 1, cut);
    check(told == nullptr, "access_token_provider: a token with a NUL is not cut");
    check_code("access_token_provider: a token with a NUL is refused", answered, MFA_ERR_INVALID_ARGUMENT);
    check(answered.error().last_known() && answered.error().last_known()->id() == 5,
          "access_token_provider: the id stays known");
    cut.access_token_provider = [] { return std::optional<std::string>(); };
    check_code("access_token_provider: gives up", client.wait("t", 1, cut), MFA_ERR_TOKEN_EXPIRED);
    check(told == nullptr, "access_token_provider: gives up with NULL");
    fake::during = nullptr;
    fake::returns = MFA_OK;
}

static void a_cancel_object_that_is_none(const mfa::hyperid& client)
{
    fake::no_cancel = true;
    mfa::call_options options;
    options.cancel = mfa::cancel();
    fake::no_cancel = false;
    refused("a cancel object that could not be made", [&] { return client.availability("t", options); },
            MFA_ERR_INTERNAL);
    options.cancel->trigger();
}

int main()
{
    client_options_reach_c();
    the_log_reaches_the_callable();
    const auto client = need(mfa::hyperid::create());
    const auto capillary = need(mfa::capillary::create({}));
    calls_reach_c(client, capillary);
    waiting_reaches_c(client);
    transactions_come_back(client);
    nul_bytes_are_refused(client, capillary);
    times_that_are_none_are_refused(client, capillary);
    callables_that_throw(client);
    a_cancel_object_that_is_none(client);
    return check_finish();
}
