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
    CHECK(mfa_sandbox_struct_size("other") == 0 && mfa_sandbox_struct_size(NULL) == 0);
    CHECK(strstr(mfa_sandbox_behaviours(), "lose-start") != NULL);
    CHECK(mfa_sandbox_version()[0] != '\0');
    refusals(sandbox);
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
