/*
 * Descriptors: none of the library's is ever 0, 1 or 2; and what a forked child has closed and opened
 * anew (as a daemon does) is its own: neither written to nor closed by the number that it once had.
 *
 * Optional, from the environment: MFA_TEST_TLS_URL, the https address of a sandbox, and
 * MFA_TEST_TLS_CA, the file of its authority.
 */
/* MAP_ANONYMOUS is not in POSIX. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "check.h"

#include <netdb.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

/* More than the process has open when it forks. */
#define OWN_FILES 200

/* What a child finds out; it has no other way to tell, since it closes everything. */
struct findings {
    int came_to_its_end;
    int files;
    int touched;
    int closed;
    mfa_code code;
    mfa_code second_code;
    int64_t took_ms;
    int standard;
    int looked_up;
};

static struct findings *found;

static struct {
    mfa_hyperid *client;
    mfa_hyperid *tls;
    mfa_hyperid *named;
    mfa_cancel *cancel;
} inherited;

/* Runs `work` in a child that ends by SIGKILL: a leak checker would count its parent's threads'
 * memory as lost at an exit. */
static void in_a_child(const char *name, void (*work)(void))
{
    pid_t child;

    memset(found, 0, sizeof *found);
    fflush(stdout);
    child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        work();
        found->came_to_its_end = 1;
        kill(getpid(), SIGKILL);
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    check(found->came_to_its_end, name, "the child did not come to its end");
}

static mfa_code ask_with(const mfa_hyperid *client, mfa_cancel *cancel, uint32_t timeout_ms)
{
    mfa_call_options options = within(timeout_ms, cancel);
    mfa_availability a = MFA_AVAILABILITY_INIT;

    return mfa_hyperid_availability(client, "sandbox-approve", &options, &a, NULL);
}

/* A daemon -------------------------------------------------------------------------------------- */

static int own[OWN_FILES];

/* As daemons do it: everything is closed, and what is opened next gets the old numbers. */
static void become_a_daemon(void)
{
    char path[] = "/tmp/mfa-test-own-XXXXXX";
    int fd;
    int i;

    for (fd = 0; fd < OWN_FILES; fd++) {
        close(fd);
    }
    for (i = 0; i < OWN_FILES; i++) {
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
        own[i] = mkstemp(path);
        unlink(path);
        found->files += own[i] == i;
    }
}

static void look_at_own_files(void)
{
    struct stat status;
    int i;

    for (i = 0; i < OWN_FILES; i++) {
        if (fstat(own[i], &status) != 0) {
            found->closed++;
        } else if (status.st_size != 0 || !S_ISREG(status.st_mode)) {
            found->touched++;
        }
    }
}

static void check_own_files(const char *name)
{
    check(found->files == OWN_FILES, "the child's own files have the old numbers", "%d of %d",
          found->files, OWN_FILES);
    check(found->touched == 0 && found->closed == 0, name, "%d were written to, %d were closed",
          found->touched, found->closed);
}

static void trigger_as_a_daemon(void)
{
    become_a_daemon();
    mfa_cancel_trigger(inherited.cancel);
    look_at_own_files();
}

static void free_as_a_daemon(void)
{
    become_a_daemon();
    mfa_hyperid_free(inherited.client);
    mfa_hyperid_free(inherited.tls);
    mfa_hyperid_free(inherited.named);
    mfa_cancel_free(inherited.cancel);
    look_at_own_files();
}

static void on_alarm(int number)
{
    int before = errno;

    (void)number;
    mfa_cancel_trigger(inherited.cancel);
    errno = before;
}

/* From a signal handler, which may be all that such a process has. */
static void trigger_soon(void)
{
    struct sigaction action;
    struct itimerval timer;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    /* So that nothing but the cancel object's own bell ends a wait. */
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    memset(&timer, 0, sizeof timer);
    timer.it_value.tv_usec = 100000;
    setitimer(ITIMER_REAL, &timer, NULL);
}

static struct peer silent_peer;
static mfa_hyperid *silent_client;

static void wait_and_trigger(void)
{
    int64_t began = now_ms();

    trigger_soon();
    found->code = ask_with(silent_client, inherited.cancel, 60000);
    found->took_ms = now_ms() - began;
    found->second_code = ask_with(inherited.client, inherited.cancel, 60000);
}

static void wait_as_a_daemon(void)
{
    become_a_daemon();
    wait_and_trigger();
    mfa_hyperid_free(silent_client);
    mfa_hyperid_free(inherited.client);
    mfa_cancel_free(inherited.cancel);
    look_at_own_files();
}

static void wait_as_a_grandchild(void)
{
    pid_t child;

    become_a_daemon();
    /* The child has a bell of its own now. */
    found->second_code = ask_with(inherited.client, inherited.cancel, 20000);
    child = fork();
    if (child == 0) {
        wait_as_a_daemon();
        _exit(0);
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void use_as_a_daemon(void)
{
    become_a_daemon();
    found->code = ask_with(inherited.client, inherited.cancel, 20000);
    found->second_code = inherited.tls == NULL ? MFA_OK : ask_with(inherited.tls, NULL, 20000);
    look_at_own_files();
}

static void check_cancelled(const char *name)
{
    check(found->code == MFA_ERR_CANCELLED && found->took_ms < 100 + GENEROUS_MS, name,
          "%s after %ld ms", mfa_code_name(found->code), (long)found->took_ms);
    check_int("and so is every later call", found->second_code, MFA_ERR_CANCELLED);
}

static void daemons(void)
{
    in_a_child("a daemon triggers its parent's cancel object", trigger_as_a_daemon);
    check_own_files("a trigger leaves a daemon's own files alone");
    in_a_child("a daemon frees what it inherited", free_as_a_daemon);
    check_own_files("frees leave a daemon's own files alone");
    in_a_child("a daemon uses what it inherited", use_as_a_daemon);
    check_int("with a call that can be cancelled", found->code, MFA_OK);
    check_int("and one over TLS", found->second_code, MFA_OK);
    check_own_files("calls leave a daemon's own files alone");
    in_a_child("a daemon waits, and triggers", wait_as_a_daemon);
    check_cancelled("a daemon's own wait is cancelled");
    check_own_files("waits leave a daemon's own files alone");
    in_a_child("a daemon's child waits, and triggers", wait_as_a_grandchild);
    check_cancelled("a grandchild's own wait is cancelled");
    in_a_child("a child that closes nothing waits, and triggers", wait_and_trigger);
    check_cancelled("a child's own wait is cancelled");
    check_int("the parent's calls go on", ask_with(inherited.client, inherited.cancel, 20000), MFA_OK);
}

/* Closed standard descriptors ------------------------------------------------------------------- */

/* How many of 0, 1 and 2 are open. */
static int open_standard(void)
{
    int count = 0;
    int fd;

    for (fd = 0; fd < 3; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static int is_child;

/*
 * In place of the C library's: what is open while the resolver is at work. The linker and the loader
 * take a program's definition first. What the real one opens in there is not libmfa's.
 */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)result;
    if (is_child) {
        found->standard += open_standard();
        found->looked_up++;
    }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

static mfa_cancel *own_cancel;

static int32_t count_standard(void *user_data, const mfa_transaction *so_far)
{
    (void)user_data;
    (void)so_far;
    found->standard += open_standard();
    return 0;
}

/* Every descriptor that a client can have: connections, TLS, a cancel's bell, a look-up's. */
static void live_without_standard_descriptors(void)
{
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_call_options options;
    mfa_transaction t = MFA_TRANSACTION_INIT;

    is_child = 1;
    close(0);
    close(1);
    close(2);
    own_cancel = mfa_cancel_new();
    found->code = ask_with(inherited.client, own_cancel, 20000);
    found->standard += open_standard();
    found->second_code = inherited.tls == NULL ? MFA_OK : ask_with(inherited.tls, own_cancel, 20000);
    found->standard += open_standard();
    ask_with(inherited.named, own_cancel, 5000);
    found->standard += open_standard();
    options = within(300, own_cancel);
    wait.on_update = count_standard;
    wait.min_interval_ms = 10;
    mfa_hyperid_wait(inherited.client, "sandbox-approve", 999, &wait, &options, &t, NULL);
    /* What the host writes to its standard error goes nowhere, not to the server. */
    found->touched = write(2, "Bearer of bad news\n", 19) != -1;
}

static void without_standard_descriptors(void)
{
    in_a_child("a life without standard descriptors", live_without_standard_descriptors);
    check_int("a call there", found->code, MFA_OK);
    check_int("a call over TLS there", found->second_code, MFA_OK);
    check(found->looked_up > 0, "a look-up there", "there was none");
    check_int("none of ours is 0, 1 or 2", found->standard, 0);
    check_int("the host's standard error does not go to a server", found->touched, 0);
}

/* ----------------------------------------------------------------------------------------------- */

static mfa_hyperid *tls_client(void)
{
    static char pem[65536];
    const char *url = getenv("MFA_TEST_TLS_URL");
    const char *ca = getenv("MFA_TEST_TLS_CA");
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    FILE *file;

    if (url == NULL || ca == NULL) {
        printf("skipped TLS: MFA_TEST_TLS_URL and MFA_TEST_TLS_CA are not set\n");
        return NULL;
    }
    file = fopen(ca, "r");
    need(file != NULL && fread(pem, 1, sizeof pem - 1, file) > 0, ca);
    fclose(file);
    options.base_url = url;
    options.ca_pem = pem;
    return hyperid_with(&options);
}

int main(void)
{
    void *shared = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    need(shared != MAP_FAILED, "mmap");
    found = (struct findings *)shared;
    peer_start(&silent_peer, PEER_IS_SILENT, "");
    silent_client = hyperid_at(silent_peer.listener.url);
    inherited.client = hyperid_at(sandbox_url("MFA_TEST_HYPERID_URL"));
    inherited.tls = tls_client();
    inherited.named = hyperid_at("https://name.test");
    inherited.cancel = mfa_cancel_new();
    /* Each has what it can have: idle connections, and the bell that a call with a cancel makes. */
    check_int("a call before the forks", ask_with(inherited.client, inherited.cancel, 20000), MFA_OK);
    if (inherited.tls != NULL) {
        check_int("a call over TLS before the forks", ask_with(inherited.tls, NULL, 20000), MFA_OK);
    }
    daemons();
    without_standard_descriptors();
    mfa_hyperid_free(inherited.client);
    mfa_hyperid_free(inherited.tls);
    mfa_hyperid_free(inherited.named);
    mfa_hyperid_free(silent_client);
    mfa_cancel_free(inherited.cancel);
    peer_stop(&silent_peer);
    return check_finish();
}
