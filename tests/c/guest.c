/*
 * The host process is a guest house: no SIGPIPE, no trouble from signals, a forked child that uses
 * its own connections, descriptors and threads that do not grow, an environment left alone.
 *
 * Optional, from the environment:
 *   MFA_TEST_LIBRARY    the path of libmfa.so: checks that it stays loaded once loaded
 *   MFA_TEST_TLS_URL    the https address of a sandbox, and
 *   MFA_TEST_TLS_CA     the file of its authority: checks that SSLKEYLOGFILE is not looked at
 *
 * Under valgrind leave the last two out: it cannot follow the assembly of the library's ciphers
 * and takes what they decrypt for uninitialised. Children end by SIGKILL, with a leak summary that
 * counts for nothing: --child-silent-after-fork=yes keeps it quiet.
 */
#include "check.h"

#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define AVAILABLE "{\"result\":0,\"is_available\":true}"
#define PENDING "{\"result\":0,\"transaction_status\":0}"
#define APPROVED "{\"result\":0,\"transaction_status\":1,\"transaction_complete_result\":0}"

static mfa_code ask(const mfa_hyperid *client, const char *token, uint32_t timeout_ms)
{
    mfa_call_options options = within(timeout_ms, NULL);
    mfa_availability a = MFA_AVAILABILITY_INIT;
    mfa_code code = mfa_hyperid_availability(client, token, &options, &a, NULL);

    return code == MFA_OK && !a.available ? MFA_ERR_INTERNAL : code;
}

/* SIGPIPE --------------------------------------------------------------------------------------- */

static const enum peer_does rude[] = { PEER_CLOSES_AT_ONCE, PEER_CLOSES_ON_BYTES,
                                       PEER_RESETS_AT_ONCE, PEER_RESETS_ON_BYTES };

/* A request larger than what a socket takes at once: its end is sent to a peer that has gone. */
static mfa_code start_with_much_text(const mfa_hyperid *client)
{
    static char text[32001];
    mfa_call_options options = within(1000, NULL);
    mfa_request request = MFA_REQUEST_INIT;
    int64_t id = 0;

    memset(text, 'q', sizeof text - 1);
    request.question = text;
    request.device_desc = text;
    request.device_id = text;
    return mfa_hyperid_start(client, "token", &request, &options, &id, NULL);
}

static void a_peer_that_goes(enum peer_does does, int tls)
{
    struct peer peer;
    mfa_hyperid *client;
    int failed = 0;
    int i;

    peer_start(&peer, does, "");
    client = hyperid_at(tls ? peer.listener.tls_url : peer.listener.url);
    for (i = 0; i < 15; i++) {
        failed += start_with_much_text(client) != MFA_OK;
    }
    failed += ask(client, "token", 300) != MFA_OK;
    check_int(tls ? "no SIGPIPE from a peer that goes, with TLS" : "no SIGPIPE from a peer that goes",
              failed, 16);
    mfa_hyperid_free(client);
    peer_stop(&peer);
}

static void no_sigpipe(void)
{
    struct sigaction action;
    size_t i;

    /* As it comes: a SIGPIPE would end this program. */
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(SIGPIPE, &action, NULL);
    for (i = 0; i < sizeof rude / sizeof rude[0]; i++) {
        a_peer_that_goes(rude[i], 0);
        a_peer_that_goes(rude[i], 1);
    }
    sigaction(SIGPIPE, NULL, &action);
    check(action.sa_handler == SIG_DFL, "SIGPIPE's disposition is left alone", "it was changed");
}

/* EINTR ----------------------------------------------------------------------------------------- */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

static void set_timer(long microseconds)
{
    struct itimerval timer;

    memset(&timer, 0, sizeof timer);
    timer.it_interval.tv_usec = microseconds;
    timer.it_value.tv_usec = microseconds;
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Without SA_RESTART each interrupted system call of the library returns EINTR. */
static void a_rain_of_signals(const char *url)
{
    struct sigaction action;
    mfa_hyperid *client = hyperid_at(url);
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code;
    int failed = 0;
    int i;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    request.question = "Sign in?";
    wait.min_interval_ms = 50;
    set_timer(1000);
    for (i = 0; i < 20; i++) {
        mfa_hyperid *fresh = hyperid_at(url);

        failed += ask(fresh, "sandbox-slow-5", 20000) != MFA_OK;
        failed += ask(client, "sandbox-approve", 20000) != MFA_OK;
        mfa_hyperid_free(fresh);
    }
    code = mfa_hyperid_confirm(client, "sandbox-approve+slow-20", &request, &wait, NULL, &t, &err);
    set_timer(0);
    check_int("calls under a rain of signals", failed, 0);
    check(mfa_is_approved(code, &t), "confirm under a rain of signals", "%s (%s)",
          mfa_code_name(code), err.message);
    check(alarms > 20, "the rain fell", "%d drops", (int)alarms);
    mfa_hyperid_free(client);
}

/* A receive that waits begins anew after each signal, and still ends in time. */
static void a_deadline_under_a_rain_of_signals(void)
{
    struct peer peer;
    mfa_hyperid *client;
    int64_t began;
    mfa_code code;

    peer_start(&peer, PEER_IS_SILENT, "");
    client = hyperid_at(peer.listener.url);
    set_timer(1000);
    began = now_ms();
    code = ask(client, "token", 2300);
    set_timer(0);
    check_int("a deadline under a rain of signals", code, MFA_ERR_TIMEOUT);
    check(now_ms() - began >= 2300, "it was not cut short", "%ld ms", (long)(now_ms() - began));
    mfa_hyperid_free(client);
    peer_stop(&peer);
}

/* fork ------------------------------------------------------------------------------------------ */

/*
 * What `work` returns in a child; 255: the child did not come to its end.
 *
 * The child tells it through a pipe and ends by SIGKILL: it has none of its parent's threads but
 * all of their memory, which a leak checker would count as lost at an exit.
 */
static int in_a_child(int (*work)(mfa_hyperid *client), mfa_hyperid *client)
{
    unsigned char result = 255;
    int ends[2];
    pid_t child;

    need(pipe(ends) == 0, "pipe");
    fflush(stdout);
    child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        result = (unsigned char)work(client);
        need(write(ends[1], &result, 1) == 1, "write to the pipe");
        kill(getpid(), SIGKILL);
    }
    close(ends[1]);
    while (read(ends[0], &result, 1) < 0 && errno == EINTR) {
    }
    close(ends[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    return result;
}

static int use_it(mfa_hyperid *client)
{
    int failed = ask(client, "child", 20000) != MFA_OK || ask(client, "child", 20000) != MFA_OK;

    mfa_hyperid_free(client);
    return failed;
}

static int use_it_in_a_grandchild(mfa_hyperid *client)
{
    return ask(client, "child", 20000) != MFA_OK || in_a_child(use_it, client) != 0 ||
           ask(client, "child", 20000) != MFA_OK;
}

static void forked_children(void)
{
    struct peer peer;
    mfa_hyperid *client;

    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    client = hyperid_at(peer.listener.url);
    check_int("before the fork", ask(client, "parent", 20000), MFA_OK);
    check_int("a child uses its parent's client", in_a_child(use_it, client), 0);
    check_int("on a connection of its own", peer_count(&peer, &peer.requests_on[1]), 2);
    check_int("after the fork", ask(client, "parent", 20000), MFA_OK);
    check(peer_count(&peer, &peer.requests_on[0]) == 2 && peer_count(&peer, &peer.connections) == 2,
          "the parent's connection serves the parent alone", "%d requests on it, %d connections",
          peer_count(&peer, &peer.requests_on[0]), peer_count(&peer, &peer.connections));
    check_int("a grandchild", in_a_child(use_it_in_a_grandchild, client), 0);
    check_int("each generation on connections of its own", peer_count(&peer, &peer.connections), 4);
    check_int("after all forks", ask(client, "parent", 20000), MFA_OK);
    check_int("still on the first connection", peer_count(&peer, &peer.requests_on[0]), 3);
    mfa_hyperid_free(client);
    peer_stop(&peer);
}

struct wait_job {
    mfa_hyperid *client;
    mfa_transaction out;
    mfa_code code;
};

static void *wait_in_a_thread(void *argument)
{
    struct wait_job *job = (struct wait_job *)argument;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;

    wait.min_interval_ms = 1;
    wait.max_interval_ms = 1;
    job->code = mfa_hyperid_wait(job->client, "token", 9, &wait, NULL, &job->out, NULL);
    return NULL;
}

static int read_state(mfa_hyperid *client)
{
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_call_options options = within(20000, NULL);

    return mfa_hyperid_status(client, "child", 9, &options, &t, NULL) != MFA_OK;
}

/* The lock that a thread of the parent held while forking stays locked in the child. */
static void forked_while_busy(void)
{
    struct peer peer;
    struct wait_job job;
    pthread_t thread;
    static const mfa_transaction empty = MFA_TRANSACTION_INIT;
    int failed = 0;
    int i;

    peer_start(&peer, PEER_ANSWERS, PENDING);
    job.client = hyperid_at(peer.listener.url);
    job.out = empty;
    need(pthread_create(&thread, NULL, wait_in_a_thread, &job) == 0, "pthread_create");
    peer_wait_for(&peer, &peer.requests, 3);
    for (i = 0; i < 20; i++) {
        failed += in_a_child(read_state, job.client) != 0;
    }
    check_int("children of a busy parent", failed, 0);
    peer_set(&peer, PEER_ANSWERS, APPROVED);
    pthread_join(thread, NULL);
    check(mfa_is_approved(job.code, &job.out), "the busy parent goes on", "%s",
          mfa_code_name(job.code));
    mfa_hyperid_free(job.client);
    peer_stop(&peer);
}

static mfa_cancel *shared_cancel;

static int trigger_it(mfa_hyperid *client)
{
    (void)client;
    mfa_cancel_trigger(shared_cancel);
    return 0;
}

/* A child's trigger is the child's wish, not its parent's. */
static void a_child_triggers(void)
{
    struct peer peer;
    mfa_hyperid *client;
    mfa_call_options options;
    mfa_availability a = MFA_AVAILABILITY_INIT;
    mfa_error err = MFA_ERROR_INIT;

    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    client = hyperid_at(peer.listener.url);
    shared_cancel = mfa_cancel_new();
    options = within(20000, shared_cancel);
    check_code("a call with a cancel",
               mfa_hyperid_availability(client, "parent", &options, &a, &err), MFA_OK, &err);
    in_a_child(trigger_it, client);
    check_code("a child's trigger does not reach its parent",
               mfa_hyperid_availability(client, "parent", &options, &a, &err), MFA_OK, &err);
    mfa_cancel_trigger(shared_cancel);
    check_code("the parent's own does",
               mfa_hyperid_availability(client, "parent", &options, &a, &err), MFA_ERR_CANCELLED,
               &err);
    mfa_cancel_free(shared_cancel);
    mfa_hyperid_free(client);
    peer_stop(&peer);
}

/* Descriptors and threads ----------------------------------------------------------------------- */

static int entries_of(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;

    if (directory == NULL) {
        return -1;
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* A bit of everything, and all of it put away again. */
static void live(const char *url)
{
    struct listener closed;
    struct peer peer;
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client;
    mfa_hyperid *refused;
    mfa_hyperid *sandbox = hyperid_at(url);
    int i;

    closed_port(&closed);
    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    client = hyperid_at(peer.listener.url);
    refused = hyperid_at(closed.url);
    for (i = 0; i < 10; i++) {
        mfa_call_options options = within(20000, cancel);
        mfa_availability a = MFA_AVAILABILITY_INIT;

        ask(client, "token", 1000);
        mfa_hyperid_availability(client, "token", &options, &a, NULL);
        ask(refused, "token", 5);
        ask(sandbox, "sandbox-slow-200", 5);
        ask(sandbox, "sandbox-token-expired", 1000);
        ask(sandbox, "sandbox-close-mid-answer", 20);
    }
    mfa_hyperid_free(client);
    mfa_hyperid_free(refused);
    mfa_hyperid_free(sandbox);
    mfa_cancel_free(cancel);
    peer_stop(&peer);
}

/* How many there are, once there are no more than that; a joined thread takes a moment to be gone. */
static int settled(const char *folder, int most)
{
    int64_t until = now_ms() + 20000;

    while (entries_of(folder) > most && now_ms() < until) {
        pause_ms(1);
    }
    return entries_of(folder);
}

static void nothing_grows(const char *url)
{
    int files;
    int threads;
    int i;

    live(url);
    files = entries_of("/proc/self/fd");
    threads = entries_of("/proc/self/task");
    if (files < 0 || threads < 0) {
        printf("skipped descriptors and threads: there is no /proc here\n");
        return;
    }
    for (i = 0; i < 5; i++) {
        live(url);
    }
    check_int("descriptors do not grow", settled("/proc/self/fd", files), files);
    check(settled("/proc/self/task", threads) <= threads, "threads do not grow", "more than %d", threads);
}

/* A client's connections are closed with it, and kept only up to the given number. */
static void idle_connections(void)
{
    struct peer peer;
    mfa_client_options options;
    mfa_hyperid *client;
    int before;

    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    options = loopback_options(peer.listener.url);
    client = hyperid_with(&options);
    before = entries_of("/proc/self/fd");
    check_int("a call for its connection", ask(client, "token", 20000), MFA_OK);
    mfa_hyperid_free(client);
    if (before >= 0) {
        /* The peer's end closes when it has seen ours closed. */
        check_int("a freed client leaves no connection", settled("/proc/self/fd", before), before);
    }
    peer_stop(&peer);
}

/* The environment, errno, the library file ------------------------------------------------------ */

static void errno_is_not_used(void)
{
    struct peer peer;
    mfa_hyperid *client;
    int failed = 0;
    int i;

    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    client = hyperid_at(peer.listener.url);
    for (i = 0; i < 140; i++) {
        errno = i;
        failed += ask(client, "token", 20000) != MFA_OK;
    }
    check_int("whatever errno says before a call", failed, 0);
    mfa_hyperid_free(client);
    peer_stop(&peer);
}

static char *whole_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = (char *)calloc(1, 65536);

    need(file != NULL && text != NULL, path);
    need(fread(text, 1, 65535, file) > 0, path);
    fclose(file);
    return text;
}

static void temporary_path(char *path, size_t size, const char *what)
{
    const char *directory = getenv("TMPDIR");

    snprintf(path, size, "%s/mfa-test-%s-%ld", directory != NULL ? directory : "/tmp", what,
             (long)getpid());
}

static void no_key_log(void)
{
    const char *url = getenv("MFA_TEST_TLS_URL");
    const char *ca = getenv("MFA_TEST_TLS_CA");
    char path[300];
    char *pem;
    struct stat status;
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_hyperid *client;

    if (url == NULL || ca == NULL) {
        printf("skipped SSLKEYLOGFILE: MFA_TEST_TLS_URL and MFA_TEST_TLS_CA are not set\n");
        return;
    }
    temporary_path(path, sizeof path, "keys");
    setenv("SSLKEYLOGFILE", path, 1);
    pem = whole_file(ca);
    options.base_url = url;
    options.ca_pem = pem;
    client = hyperid_with(&options);
    check_int("a call over TLS", ask(client, "sandbox-approve", 20000), MFA_OK);
    check(stat(path, &status) != 0 && errno == ENOENT, "SSLKEYLOGFILE is not looked at",
          "there is a file");
    check_int("and another on the kept connection", ask(client, "sandbox-approve", 20000), MFA_OK);
    mfa_hyperid_free(client);
    options.ca_pem = NULL;
    client = hyperid_with(&options);
    check_int("the built-in roots do not trust it", ask(client, "sandbox-approve", 20000),
              MFA_ERR_TLS);
    mfa_hyperid_free(client);
    unsetenv("SSLKEYLOGFILE");
    free(pem);
    unlink(path);
}

extern char **environ;

static int environment_reads;

/* In place of libc's, for the library too: it counts. */
char *getenv(const char *name)
{
    size_t length = strlen(name);
    char **entry;

    environment_reads++;
    for (entry = environ; *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

/* A host may change its environment from another thread: it is read only when a flag asks. */
static void the_environment_is_not_read(void)
{
    struct peer peer;
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_hyperid *client;

    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    environment_reads = 0;
    client = hyperid_at(peer.listener.url);
    check_int("a call that reads no environment", ask(client, "token", 5000), MFA_OK);
    mfa_hyperid_free(client);
    options.base_url = "https://api.example.com";
    mfa_hyperid_free(hyperid_with(&options));
    check_int("reads of the environment, unasked", environment_reads, 0);
    options.flags = MFA_CLIENT_PROXY_FROM_ENV;
    mfa_hyperid_free(hyperid_with(&options));
    check(environment_reads > 0, "reads of the environment, asked for", "none was seen");
    peer_stop(&peer);
}

/* Proxies are taken from the environment only when a flag asks. */
static void no_proxy_from_the_environment(void)
{
    static const char *const names[] = { "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                         "all_proxy", "ALL_PROXY" };
    struct peer peer;
    struct listener proxy;
    mfa_hyperid *client;
    size_t i;

    listener_open(&proxy, 4);
    peer_start(&peer, PEER_ANSWERS, AVAILABLE);
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv(names[i], proxy.url, 1);
    }
    client = hyperid_at(peer.listener.url);
    check_int("a call beside a proxy in the environment", ask(client, "token", 5000), MFA_OK);
    check(listener_saw_nothing(&proxy), "the proxy was not asked", "it was");
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
    mfa_hyperid_free(client);
    peer_stop(&peer);
    listener_close(&proxy);
}

static void copy_file(const char *from, const char *to)
{
    static char block[65536];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    size_t n;

    need(in != NULL, from);
    need(out != NULL, to);
    while ((n = fread(block, 1, sizeof block, in)) > 0) {
        need(fwrite(block, 1, n, out) == n, to);
    }
    fclose(in);
    need(fclose(out) == 0, to);
}

/* The program itself is linked with the library; so a copy of the file is loaded and let go. */
static void stays_loaded(void)
{
    const char *library = getenv("MFA_TEST_LIBRARY");
    char path[300];
    void *handle;
    void *again;

    if (library == NULL) {
        printf("skipped dlclose: MFA_TEST_LIBRARY is not set\n");
        return;
    }
    temporary_path(path, sizeof path, "copy.so");
    copy_file(library, path);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    check(handle != NULL, "dlopen", "%s", handle == NULL ? dlerror() : "");
    if (handle != NULL) {
        check(dlsym(handle, "mfa_hyperid_confirm") != NULL, "dlsym", "there is no such function");
        dlclose(handle);
        again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
        check(again != NULL, "it stays loaded after dlclose", "it is gone");
    }
    unlink(path);
}

int main(void)
{
    const char *url = sandbox_url("MFA_TEST_HYPERID_URL");

    no_sigpipe();
    a_rain_of_signals(url);
    a_deadline_under_a_rain_of_signals();
    forked_children();
    forked_while_busy();
    a_child_triggers();
    nothing_grows(url);
    idle_connections();
    errno_is_not_used();
    no_key_log();
    the_environment_is_not_read();
    no_proxy_from_the_environment();
    stays_loaded();
    return check_finish();
}
