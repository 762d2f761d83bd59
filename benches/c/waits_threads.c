/*
 * libmfa's blocking calls: a thread for each wait. Besides what waits.h says it knows:
 *
 *     closed TRANSPORT THREADS COUNT    COUNT waits for what is approved already, on so many threads
 */
#include "waits.h"

/* docs/server.md: what a thread that does nothing but wait can have. */
#define STACK (128 * 1024)

static mfa_hyperid *client;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long errors;
static long next_wait;
static long count;

static void open_client(int is_tls)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    FILE *file = fopen(waits_ca_file, "r");
    char *ca = calloc(1, 65536);
    char url[64];

    need(file != NULL && ca != NULL && fread(ca, 1, 65535, file) > 0, waits_ca_file);
    fclose(file);
    snprintf(url, sizeof url, "%s://127.0.0.1:%d", is_tls ? "https" : "http", waits_ports[is_tls]);
    options.base_url = url;
    options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    options.ca_pem = is_tls ? ca : NULL;
    options.request_timeout_ms = WAITS_REQUEST_TIMEOUT_MS;
    options.connect_timeout_ms = WAITS_CONNECT_TIMEOUT_MS;
    options.max_idle_connections = WAITS_MOST_CONNECTIONS;
    need(mfa_hyperid_new(&options, &client, &err) == MFA_OK, err.message);
    free(ca);
}

static void take_result(mfa_code code, const mfa_transaction *answer, const mfa_error *err)
{
    pthread_mutex_lock(&lock);
    if (mfa_is_approved(code, answer)) {
        waits_note_approval(answer->transaction_id);
    } else if (errors++ == 0) {
        fprintf(stderr, "libmfa: %s: %s\n", mfa_code_name(err->code), err->message);
    }
    pthread_mutex_unlock(&lock);
}

static void *confirm(void *argument)
{
    mfa_request request = MFA_REQUEST_INIT;
    mfa_call_options call = MFA_CALL_OPTIONS_INIT;
    mfa_transaction answer = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    char token[WAITS_TOKEN_LENGTH + 1];
    mfa_code code;

    waits_token(token, (long)(intptr_t)argument);
    request.question = WAITS_QUESTION;
    call.timeout_ms = WAITS_TIMEOUT_MS;
    code = mfa_hyperid_confirm(client, token, &request, NULL, &call, &answer, &err);
    take_result(code, &answer, &err);
    return NULL;
}

static void waits(long over_ms, const char *file)
{
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    int64_t began = now_ns();
    pthread_attr_t attributes;
    long started = 0;
    long i;

    need(threads != NULL && pthread_attr_init(&attributes) == 0, "pthread_attr_init");
    need(pthread_attr_setstacksize(&attributes, STACK) == 0, "pthread_attr_setstacksize");
    waits_expect(count);
    while (started < count) {
        for (; started < waits_come(began, count, over_ms); started++) {
            int failed = pthread_create(&threads[started], &attributes, confirm,
                                        (void *)(intptr_t)started);

            if (failed != 0) {
                printf("failed: %ld threads, and then: %s\n", started, strerror(failed));
                fflush(stdout);
                exit(1);
            }
        }
        pause_ms(1);
    }
    for (i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    waits_write_approvals(file);
    printf("ok errors=%ld approved=%ld\n", errors, waits_approved);
    free(threads);
}

static void *wait_again_and_again(void *unused)
{
    char token[WAITS_TOKEN_LENGTH + 1];

    for (;;) {
        mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
        mfa_call_options call = MFA_CALL_OPTIONS_INIT;
        mfa_transaction answer = MFA_TRANSACTION_INIT;
        mfa_error err = MFA_ERROR_INIT;
        long number = __atomic_fetch_add(&next_wait, 1, __ATOMIC_SEQ_CST);
        mfa_code code;

        if (number >= count) {
            return unused;
        }
        waits_token(token, number % 10000);
        wait.min_interval_ms = 1;
        call.timeout_ms = WAITS_TIMEOUT_MS;
        code = mfa_hyperid_wait(client, token, 2000000000 + number, &wait, &call, &answer, &err);
        take_result(code, &answer, &err);
    }
}

static void make_waits(long number_of_threads, long many)
{
    pthread_t threads[64];
    long i;

    need(number_of_threads <= 64, "at most 64 threads");
    count = next_wait + many;
    for (i = 0; i < number_of_threads; i++) {
        need(pthread_create(&threads[i], NULL, wait_again_and_again, NULL) == 0, "pthread_create");
    }
    for (i = 0; i < number_of_threads; i++) {
        pthread_join(threads[i], NULL);
    }
    next_wait = count;
}

static void closed(long number_of_threads)
{
    struct timespec before, after;
    long many = count;
    int64_t began;

    waits_expect(many + many / 10);
    make_waits(number_of_threads, many / 10);
    began = now_ns();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    make_waits(number_of_threads, many);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    printf("ok errors=%ld approved=%ld cpu_ns=%lld wall_ns=%lld\n", errors, waits_approved,
           ((long long)(after.tv_sec - before.tv_sec) * NS_PER_S + after.tv_nsec - before.tv_nsec) /
               many,
           (long long)((now_ns() - began) / many));
}

static int obey(const char *command, int is_tls, const char *rest)
{
    char file[256] = "";
    long second = 0;

    if (strcmp(command, "version") == 0) {
        printf("ok version=libmfa %s\n", mfa_version());
        return 1;
    }
    open_client(is_tls);
    if (strcmp(command, "waits") == 0 && sscanf(rest, "%ld %ld %255s", &count, &second, file) == 3) {
        waits(second, file);
    } else if (strcmp(command, "closed") == 0 && sscanf(rest, "%ld %ld", &second, &count) == 2) {
        closed(second);
    } else {
        return 0;
    }
    mfa_hyperid_free(client);
    return 1;
}

int main(int argc, char **argv)
{
    return waits_main(argc, argv, obey);
}
