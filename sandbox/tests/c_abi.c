/* Built and run by c_abi.rs. Speaks HTTP by hand: this tests the sandbox, not a client. */
#include <mfa_sandbox.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static const char START[] = "/mfa-client/transaction/start/v2";
static const char TYPES[] = "/2fa/types/get";
static const char STATUS[] = "/mfa-client/transaction/status-get";

/* One request on a connection of its own; the whole answer. */
static const char *post(const char *url, const char *path, const char *token, const char *body)
{
    static char answer[4096];
    char request[2048];
    struct sockaddr_in to;
    size_t have = 0;
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const char *port = strrchr(url, ':');
    CHECK(fd >= 0 && port != NULL);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)atoi(port + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    snprintf(request, sizeof request,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"
             "Content-Type: application/json\r\nContent-Length: %u\r\n\r\n%s",
             path, token, (unsigned)strlen(body), body);
    CHECK(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
    while ((got = read(fd, answer + have, sizeof answer - 1 - have)) > 0)
        have += (size_t)got;
    answer[have] = '\0';
    close(fd);
    return answer;
}

static void refusals(mfa_sandbox *sandbox)
{
    mfa_sandbox_options options = MFA_SANDBOX_OPTIONS_INIT;
    mfa_sandbox_transaction_info info = MFA_SANDBOX_TRANSACTION_INFO_INIT;
    char larger[64] = {0};

    options.flags = 1u << 30;
    CHECK(mfa_sandbox_new(&options) == NULL);
    options.flags = 0;
    options.port = 65536;
    CHECK(mfa_sandbox_new(&options) == NULL);
    options.port = 0;
    options.struct_size = 4;
    CHECK(mfa_sandbox_new(&options) == NULL);
    options.struct_size = sizeof larger;
    memcpy(larger, &options, sizeof options);
    larger[60] = 1;
    CHECK(mfa_sandbox_new((const mfa_sandbox_options *)(void *)larger) == NULL);
    options.struct_size = sizeof options;
    options.first_id = -1;
    CHECK(mfa_sandbox_new(&options) == NULL);
    options.first_id = INT64_MAX;
    CHECK(mfa_sandbox_new(&options) == NULL);

    mfa_sandbox_free(NULL);
    CHECK(mfa_sandbox_hyperid_url(NULL) == NULL);
    CHECK(mfa_sandbox_ca_pem(sandbox) == NULL);
    CHECK(mfa_sandbox_request_count(NULL, NULL) == 0);
    CHECK(mfa_sandbox_add_token(sandbox, "x", "moon") == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_add_token(sandbox, NULL, "phone") == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_add_token(sandbox, "\xff", "phone") == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_revoke_token(sandbox, "never issued") == MFA_SANDBOX_ERR_NOT_FOUND);
    CHECK(mfa_sandbox_decide(sandbox, 1, MFA_SANDBOX_APPROVE) == MFA_SANDBOX_ERR_NOT_FOUND);
    CHECK(mfa_sandbox_decide(sandbox, 1, 77) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_transaction(sandbox, 1, NULL) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_transaction(sandbox, 1, &info) == MFA_SANDBOX_ERR_NOT_FOUND && info.status == -1);
    info.struct_size = 8;
    CHECK(mfa_sandbox_transaction(sandbox, 1, &info) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_wait_for_transaction(sandbox, 0) == 0);
    CHECK(mfa_sandbox_wait_for_requests(sandbox, NULL, 1, 0) == 0);
    CHECK(mfa_sandbox_last_request(sandbox, NULL, NULL, 0) == -1);
}

static void story(mfa_sandbox *sandbox)
{
    const char *url = mfa_sandbox_hyperid_url(sandbox);
    mfa_sandbox_transaction_info info = MFA_SANDBOX_TRANSACTION_INFO_INIT;
    char body[64], text[1024];
    int64_t id;

    CHECK(mfa_sandbox_add_token(sandbox, "mine", "phone") == MFA_SANDBOX_OK);
    CHECK(strstr(post(url, START, "mine",
                      "{\"template_id\":4,\"code\":\"42\",\"values\":\"{\\\"version\\\":1,\\\"action\\\":"
                      "{\\\"type\\\":\\\"question\\\",\\\"action_info\\\":\\\"Pay?\\\"}}\"}"),
                 "\"result\":0") != NULL);
    id = mfa_sandbox_wait_for_transaction(sandbox, 10000);
    CHECK(id > 0);
    CHECK(mfa_sandbox_transaction(sandbox, id, &info) == MFA_SANDBOX_OK);
    CHECK(info.id == id && info.status == 0 && info.template_id == 4 && info.remaining_ms > 0);
    CHECK(strcmp(info.question, "Pay?") == 0 && strcmp(info.code, "42") == 0 && info.ip[0] == '\0');
    CHECK(mfa_sandbox_decide(sandbox, id, MFA_SANDBOX_DENY) == MFA_SANDBOX_OK);
    CHECK(mfa_sandbox_decide(sandbox, id, MFA_SANDBOX_APPROVE) == MFA_SANDBOX_ERR_ENDED);
    snprintf(body, sizeof body, "{\"transaction_id\":%lld}", (long long)id);
    CHECK(strstr(post(url, STATUS, "mine", body), "\"transaction_status\":1,\"transaction_complete_result\":1") != NULL);
    CHECK(mfa_sandbox_transaction(sandbox, id, &info) == MFA_SANDBOX_OK);
    CHECK(info.status == 1 && info.complete_result == 1 && info.polls == 1 && info.remaining_ms == 0);

    CHECK(mfa_sandbox_request_count(sandbox, NULL) == 2 && mfa_sandbox_request_count(sandbox, START) == 1);
    CHECK(mfa_sandbox_wait_for_requests(sandbox, STATUS, 1, 10000) == 1);
    CHECK(mfa_sandbox_connection_count(sandbox) == 2 && mfa_sandbox_push_count(sandbox) == 1);
    CHECK(mfa_sandbox_last_request(sandbox, NULL, text, sizeof text) == (int32_t)strlen(text));
    CHECK(strncmp(text, "POST /mfa-client/transaction/status-get HTTP/1.1\r\n", 50) == 0);
    CHECK(strstr(text, "\r\n\r\n{\"transaction_id\":") != NULL);
    CHECK(mfa_sandbox_last_request(sandbox, NULL, text, 5) > 5 && strcmp(text, "POST") == 0);
    CHECK(mfa_sandbox_expire_token(sandbox, "mine") == MFA_SANDBOX_OK);
    CHECK(strstr(post(url, STATUS, "mine", body), "{\"result\":-4}") != NULL);
    CHECK(mfa_sandbox_add_brand(sandbox, "brand", 0) == MFA_SANDBOX_OK);
    CHECK(strstr(post(mfa_sandbox_capillary_url(sandbox), "/auth/v1/mfa/token/isMfaRegistered", "-",
                      "{\"brand\":\"brand\",\"deviceId\":\"d\",\"authorizedToken\":\"sandbox-registered\"}"),
                 "\"code\":1513") != NULL);
}

/* A program that was built against the first header: its options end at `reserved`, and what stands behind
 * them is not read. */
static void older_options(void)
{
    struct { uint32_t struct_size, flags, port, life_ms, idle_timeout_ms, reserved, behind[2]; } old;
    mfa_sandbox *sandbox;
    memset(&old, 0xff, sizeof old);
    old.struct_size = 24;
    old.flags = old.port = old.life_ms = old.idle_timeout_ms = old.reserved = 0;
    sandbox = mfa_sandbox_new((const mfa_sandbox_options *)(void *)&old);
    CHECK(sandbox != NULL);
    post(mfa_sandbox_hyperid_url(sandbox), START, "sandbox-phone", "{\"template_id\":2}");
    CHECK(mfa_sandbox_wait_for_transaction(sandbox, 10000) > UINT32_MAX);
    mfa_sandbox_free(sandbox);
}

/* Why there is no sandbox, and why a behaviour is none. */
static void reasons(mfa_sandbox *sandbox)
{
    mfa_sandbox_options options = MFA_SANDBOX_OPTIONS_INIT;
    char why[256] = "old";
    struct { mfa_sandbox_options known; int64_t more; } newer;

    options.port = (uint32_t)atoi(strrchr(mfa_sandbox_hyperid_url(sandbox), ':') + 1);
    CHECK(mfa_sandbox_new_why(&options, why, sizeof why) == NULL && strstr(why, "it is taken") != NULL);
    CHECK(mfa_sandbox_new_why(&options, why, 5) == NULL && strcmp(why, "port") == 0);
    CHECK(mfa_sandbox_new_why(&options, NULL, 0) == NULL);
    options.port = 70000;
    CHECK(mfa_sandbox_new_why(&options, why, sizeof why) == NULL && strstr(why, "70000 is above 65535") != NULL);
    options.port = 0;
    options.allow_origins = "http://localhost:3000 *";
    CHECK(mfa_sandbox_new_why(&options, why, sizeof why) == NULL && strstr(why, "'*' is not a page's origin") != NULL);
    options.allow_origins = "\xff";
    CHECK(mfa_sandbox_new_why(&options, why, sizeof why) == NULL && strstr(why, "not UTF-8") != NULL);
    options.allow_origins = NULL;
    options.struct_size = 4;
    CHECK(mfa_sandbox_new_why(&options, why, sizeof why) == NULL && strstr(why, "_INIT") != NULL);
    memset(&newer, 0, sizeof newer);
    newer.known.struct_size = sizeof newer;
    newer.more = 1;
    CHECK(mfa_sandbox_new_why(&newer.known, why, sizeof why) == NULL && strstr(why, "does not know") != NULL);

    CHECK(mfa_sandbox_check_behaviour("deny+slow-5", why, sizeof why) == MFA_SANDBOX_OK && why[0] == '\0');
    CHECK(mfa_sandbox_check_behaviour("aprove", why, sizeof why) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(strstr(why, "did you mean approve?") != NULL);
    CHECK(mfa_sandbox_check_behaviour(NULL, NULL, 0) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
}

/* People and their tokens, what arrived, and a new start. */
static void people(void)
{
    mfa_sandbox_options options = MFA_SANDBOX_OPTIONS_INIT;
    mfa_sandbox_transaction_info info = MFA_SANDBOX_TRANSACTION_INFO_INIT;
    mfa_sandbox_user ann = MFA_SANDBOX_USER_INIT;
    mfa_sandbox *sandbox;
    const char *url;
    char token[2048], text[1024], why[128];
    int64_t ids[2] = {0, 0};

    options.any_token = "carl";
    options.control_key = "a key with blanks is refused";
    CHECK(mfa_sandbox_new_why(&options, why, sizeof why) == NULL && strstr(why, "no blanks") != NULL);
    options.control_key = "this-is-our-own-key";
    sandbox = mfa_sandbox_new_why(&options, why, sizeof why);
    CHECK(sandbox != NULL && why[0] == '\0');
    CHECK(strcmp(mfa_sandbox_control_key(sandbox), options.control_key) == 0);
    CHECK(strstr(mfa_sandbox_control_url(sandbox), "/sandbox/v1") != NULL);
    url = mfa_sandbox_hyperid_url(sandbox);

    ann.flags = MFA_SANDBOX_USER_NO_APP | MFA_SANDBOX_USER_NOT_REGISTERED;
    ann.methods = "1, 2";
    CHECK(mfa_sandbox_add_user(sandbox, "ann", &ann) == MFA_SANDBOX_OK);
    CHECK(mfa_sandbox_issue_token(sandbox, "anns", "ann", NULL, 0) == MFA_SANDBOX_OK);
    CHECK(strstr(post(url, TYPES, "anns", "{}"), "\"auth_types\":[1,2]") != NULL);
    CHECK(strstr(post(url, START, "anns", "{\"template_id\":2}"), "\"result\":-7") != NULL);
    ann.flags = 0;
    ann.methods = "none";
    ann.devices = "one\ntwo";
    ann.behaviour = "deny-after-0";
    CHECK(mfa_sandbox_add_user(sandbox, "ann", &ann) == MFA_SANDBOX_OK);
    CHECK(strstr(post(url, TYPES, "anns", "{}"), "\"auth_types\":[]") != NULL);
    CHECK(strstr(post(url, START, "anns", "{\"template_id\":2,\"device_id\":\"three\"}"), "\"result\":-7") != NULL);
    CHECK(mfa_sandbox_set_first_id(sandbox, 5) == MFA_SANDBOX_OK);
    CHECK(strstr(post(url, START, "anns", "{\"template_id\":2,\"device_id\":\"two\"}"), "\"transaction_id\":5") != NULL);
    CHECK(strstr(post(url, STATUS, "anns", "{\"transaction_id\":5}"), "\"transaction_complete_result\":1") != NULL);
    CHECK(mfa_sandbox_set_first_id(sandbox, 5) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);

    CHECK(mfa_sandbox_issue_token(sandbox, "short", "ann", "mfa-client", 0) == MFA_SANDBOX_OK);
    CHECK(strstr(post(url, TYPES, "short", "{}"), "\"result\":-3") != NULL);
    CHECK(mfa_sandbox_issue_jwt(sandbox, "bob", NULL, 60000, token, sizeof token) == (int32_t)strlen(token));
    CHECK(strncmp(token, "eyJ", 3) == 0);
    CHECK(strstr(post(url, START, token, "{\"template_id\":2}"), "\"transaction_id\":6") != NULL);
    CHECK(mfa_sandbox_transaction(sandbox, 6, &info) == MFA_SANDBOX_OK && info.status == 0 && strcmp(info.user, "bob") == 0);
    CHECK(strstr(post(url, START, "from elsewhere", "{\"template_id\":2}"), "\"result\":-5") != NULL);
    CHECK(strstr(post(url, START, "from-elsewhere", "{\"template_id\":2}"), "\"transaction_id\":7") != NULL);
    CHECK(mfa_sandbox_transaction(sandbox, 7, &info) == MFA_SANDBOX_OK && strcmp(info.user, "carl") == 0);
    CHECK(mfa_sandbox_transactions(sandbox, ids, 2) == 3 && ids[0] == 5 && ids[1] == 6);
    CHECK(mfa_sandbox_transactions(sandbox, NULL, 0) == 3);

    CHECK(mfa_sandbox_request(sandbox, 1, text, sizeof text) == (int32_t)strlen(text));
    CHECK(strncmp(text, "POST /2fa/types/get HTTP/1.1\r\n", 30) == 0 && strstr(text, "Bearer anns\r\n") != NULL);
    CHECK(mfa_sandbox_request(sandbox, mfa_sandbox_request_count(sandbox, NULL), text, sizeof text) > 0);
    CHECK(strstr(text, "Bearer from-elsewhere") != NULL);
    CHECK(mfa_sandbox_request(sandbox, 0, text, sizeof text) == -1);
    CHECK(mfa_sandbox_request(sandbox, 1 + mfa_sandbox_request_count(sandbox, NULL), NULL, 0) == -1);
    mfa_sandbox_clear_requests(sandbox);
    CHECK(mfa_sandbox_request(sandbox, 1, text, sizeof text) == -1);

    ann.struct_size = 8;
    CHECK(mfa_sandbox_add_user(sandbox, "ann", &ann) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    ann.struct_size = sizeof ann;
    ann.flags = 1u << 30;
    CHECK(mfa_sandbox_add_user(sandbox, "ann", &ann) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    ann.flags = 0;
    ann.methods = "1,x";
    CHECK(mfa_sandbox_add_user(sandbox, "ann", &ann) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    ann.methods = NULL;
    ann.behaviour = "aprove";
    CHECK(mfa_sandbox_add_user(sandbox, "ann", &ann) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_add_user(sandbox, NULL, NULL) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_add_user(sandbox, "ann", NULL) == MFA_SANDBOX_OK);
    CHECK(mfa_sandbox_issue_token(sandbox, "t", NULL, NULL, 0) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_issue_jwt(sandbox, "bob", "\xff", 0, token, sizeof token) == -1);

    CHECK(mfa_sandbox_reset(sandbox, -1) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_reset(sandbox, 5) == MFA_SANDBOX_OK);
    CHECK(mfa_sandbox_transactions(sandbox, NULL, 0) == 0 && mfa_sandbox_request_count(sandbox, NULL) == 0);
    CHECK(mfa_sandbox_set_first_id(NULL, 5) == MFA_SANDBOX_ERR_INVALID_ARGUMENT);
    CHECK(mfa_sandbox_open_connections(NULL) == 0);
    mfa_sandbox_free(sandbox);
}

static void strictness(void)
{
    static const char SAMPLE[] = "{\"template_id\":1,\"values\":\"\"}";
    mfa_sandbox_options options = MFA_SANDBOX_OPTIONS_INIT;
    mfa_sandbox *sandbox;
    options.first_id = 7;
    sandbox = mfa_sandbox_new(&options);
    CHECK(sandbox != NULL);
    CHECK(strstr(post(mfa_sandbox_hyperid_url(sandbox), START, "sandbox-phone", SAMPLE), "\r\nSandbox-Unusual: "));
    CHECK(mfa_sandbox_wait_for_transaction(sandbox, 10000) == 7);
    CHECK(mfa_sandbox_push_count(sandbox) == 1);
    mfa_sandbox_free(sandbox);
    options.flags = MFA_SANDBOX_STRICT;
    sandbox = mfa_sandbox_new(&options);
    CHECK(sandbox != NULL);
    CHECK(strstr(post(mfa_sandbox_hyperid_url(sandbox), START, "sandbox-phone", SAMPLE), "{\"result\":-8}"));
    mfa_sandbox_free(sandbox);
}

int main(void)
{
    mfa_sandbox_options options = MFA_SANDBOX_OPTIONS_INIT;
    mfa_sandbox *sandbox = mfa_sandbox_new(NULL);
    CHECK(sandbox != NULL);
    CHECK(mfa_sandbox_struct_size("mfa_sandbox_options") == sizeof(mfa_sandbox_options));
    CHECK(mfa_sandbox_struct_size("mfa_sandbox_transaction_info") == sizeof(mfa_sandbox_transaction_info));
    CHECK(mfa_sandbox_struct_size("mfa_sandbox_user") == sizeof(mfa_sandbox_user));
    CHECK(mfa_sandbox_struct_size("other") == 0 && mfa_sandbox_struct_size(NULL) == 0);
    CHECK(strstr(mfa_sandbox_behaviours(), "lose-start") != NULL);
    CHECK(mfa_sandbox_version()[0] != '\0');
    refusals(sandbox);
    reasons(sandbox);
    people();
    story(sandbox);
    mfa_sandbox_free(sandbox);
    older_options();
    strictness();

    options.flags = MFA_SANDBOX_TLS | MFA_SANDBOX_LAN;
    options.life_ms = 1000;
    sandbox = mfa_sandbox_new(&options);
    CHECK(sandbox != NULL);
    CHECK(strncmp(mfa_sandbox_hyperid_url(sandbox), "https://127.0.0.1:", 18) == 0);
    CHECK(strstr(mfa_sandbox_phone_url(sandbox), "/phone/") != NULL);
    CHECK(strstr(mfa_sandbox_ca_pem(sandbox), "BEGIN CERTIFICATE") != NULL);
    mfa_sandbox_free(sandbox);
    puts("ok");
    return 0;
}
