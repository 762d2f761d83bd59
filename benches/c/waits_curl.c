/*
 * libcurl's multi interface and cJSON, as a careful program uses them: `curl_multi_socket_action` and
 * epoll on one thread, both timeouts, certificates checked, the same bound on connections as libmfa's,
 * and libmfa's schedule, written by hand. VARIANT:
 *
 *     each   a handle for each wait, set up once and used for all of its requests
 *     pool   as many handles as there may be connections; a request waits for a free one
 *
 * What a real program would need besides is left out: retries, tokens that expire, deadlines of a whole
 * wait, withdrawing.
 */
#include "waits.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>

enum stage { AVAILABILITY, START, STATUS };

struct wait {
    int64_t id;
    int64_t known_at;
    char *bearer;
    enum stage stage;
    struct handle *handle; /* Its own; NULL in a pool */
    long next_in_queue;
};

struct handle {
    CURL *curl;
    struct wait *wait;
    /* The token's line before those that all requests have; libcurl only reads it. */
    struct curl_slist headers;
    char body[64];
    char answer[1024];
    size_t filled;
    struct handle *next_free;
};

static CURLM *multi;
static int loop;
static int64_t curl_timer_at = INT64_MAX;
static struct curl_slist *common_headers;
static char urls[3][128];
static char base[64];

static struct wait *all;
static long count;
static long added;
static long ended;
static long errors;

static int is_pool;
static struct handle *free_handles;
/* Waits whose time has come, and who wait for a handle. */
static long queue_first = -1;
static long queue_last = -1;

/* What libcurl wants to be told ----------------------------------------------------------------- */

static int watch(CURL *curl, curl_socket_t fd, int what, void *user_data, void *known)
{
    struct epoll_event event;

    (void)curl;
    (void)user_data;
    memset(&event, 0, sizeof event);
    event.data.fd = fd;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    epoll_ctl(loop, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(multi, fd, &count);
    return 0;
}

static int set_curl_timer(CURLM *its, long ms, void *user_data)
{
    (void)its;
    (void)user_data;
    curl_timer_at = ms < 0 ? INT64_MAX : now_ns() + ms * NS_PER_MS;
    return 0;
}

static size_t take(char *bytes, size_t size, size_t amount, void *user_data)
{
    struct handle *handle = user_data;

    amount *= size;
    if (amount > sizeof handle->answer - handle->filled) {
        return 0;
    }
    memcpy(handle->answer + handle->filled, bytes, amount);
    handle->filled += amount;
    return amount;
}

/* Handles --------------------------------------------------------------------------------------- */

static struct handle *make_handle(int is_tls)
{
    struct handle *handle = calloc(1, sizeof *handle);
    CURL *curl = curl_easy_init();
    int bad = 0;

    need(handle != NULL && curl != NULL, "curl_easy_init");
    handle->curl = curl;
    handle->headers.next = common_headers;
    bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "libmfa/0.1.0") != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WAITS_REQUEST_TIMEOUT_MS) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)WAITS_CONNECT_TIMEOUT_MS) !=
           CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, handle) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_PRIVATE, handle) != CURLE_OK;
    if (is_tls) {
        bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, waits_ca_file) != CURLE_OK;
    }
    need(!bad, "curl_easy_setopt");
    return handle;
}

static void send_request(struct handle *handle, struct wait *wait)
{
    const char *body = handle->body;
    int bad = 0;

    if (wait->stage == STATUS) {
        snprintf(handle->body, sizeof handle->body, "{\"transaction_id\":%lld}", (long long)wait->id);
    } else {
        body = wait->stage == START ? WAITS_START_BODY : "{}";
    }
    handle->wait = wait;
    handle->filled = 0;
    handle->headers.data = wait->bearer;
    bad |= curl_easy_setopt(handle->curl, CURLOPT_URL, urls[wait->stage]) != CURLE_OK;
    bad |= curl_easy_setopt(handle->curl, CURLOPT_HTTPHEADER, &handle->headers) != CURLE_OK;
    bad |= curl_easy_setopt(handle->curl, CURLOPT_POSTFIELDS, body) != CURLE_OK;
    bad |= curl_easy_setopt(handle->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body)) != CURLE_OK;
    bad |= curl_multi_add_handle(multi, handle->curl) != CURLM_OK;
    need(!bad, "a request");
}

static void send_next(long number)
{
    struct wait *wait = &all[number];

    if (!is_pool) {
        send_request(wait->handle, wait);
    } else if (free_handles != NULL) {
        struct handle *handle = free_handles;

        free_handles = handle->next_free;
        send_request(handle, wait);
    } else {
        wait->next_in_queue = -1;
        if (queue_first < 0) {
            queue_first = number;
        } else {
            all[queue_last].next_in_queue = number;
        }
        queue_last = number;
    }
}

static void give_back(struct handle *handle)
{
    if (!is_pool) {
        return;
    }
    handle->next_free = free_handles;
    free_handles = handle;
    if (queue_first >= 0) {
        long number = queue_first;

        queue_first = all[number].next_in_queue;
        send_next(number);
    }
}

/* Answers --------------------------------------------------------------------------------------- */

/* -1: it is not there. */
static int64_t whole_number(const cJSON *json, const char *name)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsNumber(field) ? (int64_t)field->valuedouble : -1;
}

static void wait_ends(struct wait *wait)
{
    ended++;
    free(wait->bearer);
    wait->bearer = NULL;
}

/* Returns 0 when it is no answer to this request. */
static int take_answer(struct wait *wait, const cJSON *json)
{
    int64_t now = now_ns();
    long number = wait - all;

    if (whole_number(json, "result") != 0) {
        return 0;
    }
    switch (wait->stage) {
    case AVAILABILITY:
        wait->stage = START;
        send_next(number);
        return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "is_available"));
    case START:
        wait->id = whole_number(json, "transaction_id");
        wait->known_at = now;
        wait->stage = STATUS;
        waits_set_timer(number, now + NS_PER_S);
        return wait->id > 0;
    default:
        if (whole_number(json, "transaction_id") != wait->id) {
            return 0;
        }
        if (whole_number(json, "transaction_status") != 1) {
            waits_set_timer(number, waits_next_poll(now, wait->known_at));
        } else if (whole_number(json, "transaction_complete_result") == 0) {
            waits_note_approval(wait->id);
            wait_ends(wait);
        }
        return 1;
    }
}

static void take_done(CURL *curl, CURLcode code)
{
    struct handle *handle;
    struct wait *wait;
    cJSON *json = NULL;
    long status = 0;
    int is_sound;

    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &handle);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(multi, curl);
    wait = handle->wait;
    if (code == CURLE_OK && status == 200) {
        json = cJSON_ParseWithLength(handle->answer, handle->filled);
    }
    is_sound = json != NULL && take_answer(wait, json);
    cJSON_Delete(json);
    if (!is_sound) {
        if (errors++ == 0) {
            fprintf(stderr, "libcurl: %s, HTTP %ld\n", curl_easy_strerror(code), status);
        }
        if (wait->stage == STATUS) {
            waits_set_timer(wait - all, waits_next_poll(now_ns(), wait->known_at));
        } else {
            wait_ends(wait);
        }
    }
    give_back(handle);
}

static void take_messages(void)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            take_done(message->easy_handle, message->data.result);
        }
    }
}

/* The loop -------------------------------------------------------------------------------------- */

static void begin_wait(int is_tls)
{
    static const char line[] = "Authorization: Bearer ";
    struct wait *wait = &all[added];

    wait->bearer = malloc(sizeof line + WAITS_TOKEN_LENGTH);
    need(wait->bearer != NULL, "malloc");
    memcpy(wait->bearer, line, sizeof line);
    waits_token(wait->bearer + sizeof line - 1, added);
    if (!is_pool) {
        wait->handle = make_handle(is_tls);
    }
    send_next(added++);
}

static int time_to_next(void)
{
    int64_t now = now_ns();
    int64_t first = waits_first_timer() < curl_timer_at ? waits_first_timer() : curl_timer_at;

    if (added < count && first > now + NS_PER_MS) {
        return 1;
    }
    if (first == INT64_MAX) {
        return -1;
    }
    return first <= now ? 0 : (int)((first - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void come_round(void)
{
    struct epoll_event events[256];
    int ready = epoll_wait(loop, events, 256, time_to_next());
    int running;
    int i;

    for (i = 0; i < ready; i++) {
        int fd = events[i].data.fd;
        int what = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);

        if (fd == waits_ticker) {
            waits_tick(1);
        } else {
            curl_multi_socket_action(multi, fd, what, &running);
        }
    }
    if (curl_timer_at <= now_ns()) {
        curl_timer_at = INT64_MAX;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_messages();
}

static void waits(int is_tls, long over_ms, const char *file)
{
    int64_t began = now_ns();
    long number;

    all = calloc((size_t)count, sizeof *all);
    need(all != NULL, "calloc");
    waits_expect(count);
    waits_timers_for(count);
    waits_start_ticker(loop);
    while (ended < count && now_ns() < began + WAITS_TIMEOUT_MS * NS_PER_MS) {
        while (added < waits_come(began, count, over_ms)) {
            begin_wait(is_tls);
        }
        while ((number = waits_take_timer(now_ns())) >= 0) {
            send_next(number);
        }
        come_round();
    }
    waits_write_approvals(file);
    printf("ok errors=%ld approved=%ld", errors, waits_approved);
    waits_print_stalls();
}

static void open_multi(int is_tls)
{
    static const char *paths[] = {WAITS_PATH_AVAILABILITY, WAITS_PATH_START, WAITS_PATH_STATUS};
    static const char *lines[] = {"Content-Type: application/json", "Accept: application/json",
                                  "Accept-Encoding: identity"};
    int i;

    need(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "curl_global_init");
    multi = curl_multi_init();
    loop = epoll_create1(EPOLL_CLOEXEC);
    need(multi != NULL && loop >= 0, "curl_multi_init");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_curl_timer);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)WAITS_MOST_CONNECTIONS);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)WAITS_MOST_CONNECTIONS);
    snprintf(base, sizeof base, "%s://127.0.0.1:%d", is_tls ? "https" : "http", waits_ports[is_tls]);
    for (i = 0; i < 3; i++) {
        snprintf(urls[i], sizeof urls[i], "%s%s", base, paths[i]);
        common_headers = curl_slist_append(common_headers, lines[i]);
    }
    is_pool = strcmp(waits_variant, "pool") == 0;
    for (i = 0; is_pool && i < WAITS_MOST_CONNECTIONS; i++) {
        struct handle *handle = make_handle(is_tls);

        handle->next_free = free_handles;
        free_handles = handle;
    }
}

static int obey(const char *command, int is_tls, const char *rest)
{
    char file[256];
    long over_ms;

    if (strcmp(command, "version") == 0) {
        printf("ok version=%s cJSON/%s\n", curl_version(), cJSON_Version());
        return 1;
    }
    if (strcmp(command, "waits") == 0 && sscanf(rest, "%ld %ld %255s", &count, &over_ms, file) == 3) {
        open_multi(is_tls);
        waits(is_tls, over_ms, file);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    return waits_main(argc, argv, obey);
}
