/*
 * libcurl's easy interface and cJSON, as a careful program uses them: one handle for each thread,
 * set up once and used again, with both timeouts, certificates checked, and no signals.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <curl/curl.h>

#include "subject.h"

struct mine {
    CURL *curl;
    struct curl_slist *headers;
    char answer[4096];
    size_t filled;
};

static const char *version(void)
{
    static char text[256];

    snprintf(text, sizeof text, "%s cJSON/%s", curl_version(), cJSON_Version());
    return text;
}

static void *open_target(const struct bench_target *target)
{
    struct bench_target *copy = malloc(sizeof *copy);

    if (copy != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        *copy = *target;
        return copy;
    }
    free(copy);
    return NULL;
}

static size_t take(char *bytes, size_t size, size_t count, void *user_data)
{
    struct mine *mine = user_data;
    size_t amount = size * count;

    if (amount > sizeof mine->answer - mine->filled) {
        return 0;
    }
    memcpy(mine->answer + mine->filled, bytes, amount);
    mine->filled += amount;
    return amount;
}

static void detach(void *argument)
{
    struct mine *mine = argument;

    curl_easy_cleanup(mine->curl);
    curl_slist_free_all(mine->headers);
    free(mine);
}

static int set_up(struct mine *mine, const struct bench_target *target)
{
    CURL *curl = mine->curl;
    char url[128];
    char bearer[128];
    const char *lines[] = {bearer, "Content-Type: application/json", "Accept: application/json",
                           "Accept-Encoding: identity"};
    size_t i;
    int bad = 0;

    snprintf(url, sizeof url, "%s://" BENCH_HOST ":%d" BENCH_PATH,
             target->is_tls ? "https" : "http", target->port);
    snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", target->token);
    for (i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        mine->headers = curl_slist_append(mine->headers, lines[i]);
    }
    bad |= curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, mine->headers) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "libmfa/0.1.0") != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, BENCH_BODY) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(BENCH_BODY)) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)BENCH_TIMEOUT_MS) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)BENCH_CONNECT_TIMEOUT_MS) !=
           CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, mine) != CURLE_OK;
    if (target->is_tls) {
        /* That the certificate and its name are checked is libcurl's default. */
        bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, target->ca_file) != CURLE_OK;
    }
    return !bad;
}

static void *attach(void *shared)
{
    struct mine *mine = calloc(1, sizeof *mine);

    if (mine == NULL) {
        return NULL;
    }
    mine->curl = curl_easy_init();
    if (mine->curl != NULL && set_up(mine, shared)) {
        return mine;
    }
    detach(mine);
    return NULL;
}

static int is_number(const cJSON *json, const char *name, double value)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsNumber(field) && field->valuedouble == value;
}

static int call(void *argument)
{
    struct mine *mine = argument;
    long status = 0;
    CURLcode code;
    cJSON *json;
    int approved;

    mine->filled = 0;
    code = curl_easy_perform(mine->curl);
    if (code != CURLE_OK) {
        fprintf(stderr, "%s\n", curl_easy_strerror(code));
        return 0;
    }
    curl_easy_getinfo(mine->curl, CURLINFO_RESPONSE_CODE, &status);
    json = cJSON_ParseWithLength(mine->answer, mine->filled);
    approved = status == 200 && is_number(json, "result", 0) &&
               is_number(json, "transaction_id", BENCH_ID) &&
               is_number(json, "transaction_status", 1) &&
               is_number(json, "transaction_complete_result", 0);
    cJSON_Delete(json);
    return approved;
}

static void close_target(void *shared)
{
    free(shared);
    curl_global_cleanup();
}

const struct bench_subject *bench_subject(void)
{
    static const struct bench_subject subject = {"libcurl", version, 1, open_target, attach, call,
                                                 detach,    close_target};

    return &subject;
}
