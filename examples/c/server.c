/*
 * A server: many people look at their phones at once, and one thread waits for all of them, in an
 * epoll loop beside its other work. (Linux; with kqueue or poll(2) the program is the same.)
 *
 *     server --url BASE_URL [--token TOKEN] [--fresh-token TOKEN] [--people N] [--timeout SECONDS]
 *            [--save FILE] [QUESTION]
 *
 * It asks N people (200; 0: nobody), all with the same token, which may also stand in the
 * environment's MFA_TOKEN; a real server has a token for each. When a token is refused as expired or
 * invalid, the fresh one takes its place. It ends when nobody is waited for.
 *
 * SIGINT and SIGTERM end it at once, and nothing is lost: FILE tells who is being asked, and the next
 * run with the same FILE goes on waiting for those whose requests are on their phones. Without a FILE
 * nobody would come back for them, so they are withdrawn. A second signal does not wait for that.
 *
 * Exit status: 0 everybody approved, 1 somebody did not, 2 something went wrong, 3 it was told to stop.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <mfa.h>

enum { APPROVED = 0, NOT_APPROVED = 1, FAILED = 2, STOPPED = 3 };

enum {
    MOST_PEOPLE = 20000,
    /* So many events, and then the loop's other descriptors have their turn. */
    EVENTS_AT_ONCE = 64,
    /* For a request whose time passed while no server was running: one look, in case it was answered. */
    LAST_LOOK_SECONDS = 5
};

struct settings {
    const char *url;
    const char *token;
    const char *fresh_token; /* NULL: there is none */
    const char *question;
    const char *file;
    long people;
    long timeout;
};

/* Somebody who is asked. The `user_data` of a wait points here, so it stays where it is. */
struct person {
    int is_asked;
    uint64_t ticket; /* 0: not waited for */
    int64_t id;      /* of the transaction; 0: not known */
    int64_t until;   /* the deadline, by the clock on the wall: a monotonic one ends with the machine */
};

struct server {
    const struct settings *settings;
    mfa_hyperid *client;
    mfa_waiter *waiter;
    FILE *notes; /* NULL: none are kept */
    int loop;
    int signals;
    int is_stopping;
    long last; /* the highest number in use */
    long not_yet_started;
    long approved, not_approved, failed, unknown, going_on;
    struct person people[MOST_PEOPLE + 1];
};

static long number_of(const struct server *server, const struct person *person)
{
    return (long)(person - server->people);
}

/* What the person's web page would show. */
static void tell(const struct server *server, const struct person *person, const char *text)
{
    printf("%ld: %s\n", number_of(server, person), text);
}

static void explain(const mfa_error *err)
{
    fprintf(stderr, "%s: %s\n%s\n", mfa_code_name(err->code), err->message,
            mfa_code_message(err->code));
}

/* The notes: a line for each step, "STEP PERSON NUMBER", so that also a crash loses nothing ----- */

#define FIRST_LINE "people asked by libmfa's server example\n"
#define ASKING "asking" /* before the request is sent; until when */
#define STARTED "started" /* as soon as the id is known; the id */
#define ENDED "ended" /* when nothing more is to be done; 0 */

/* A server has a database for this, which also survives a power cut. No token is noted: after a
 * restart the person's session has one. Returns 0 when it cannot be noted. */
static int note(const struct server *server, const struct person *person, const char *step,
                int64_t value)
{
    if (server->notes == NULL) {
        return 1;
    }
    fprintf(server->notes, "%s %ld %lld\n", step, number_of(server, person), (long long)value);
    if (fflush(server->notes) != 0) {
        perror(server->settings->file);
        return 0;
    }
    return 1;
}

static int read_note(struct server *server, const char *line)
{
    char step[8];
    long number;
    long long value;
    struct person *person;

    if (sscanf(line, "%7s %ld %lld", step, &number, &value) != 3 || number < 1 ||
        number > MOST_PEOPLE) {
        return 0;
    }
    person = &server->people[number];
    if (strcmp(step, ASKING) == 0) {
        person->is_asked = 1;
        person->id = 0;
        person->until = value;
    } else if (strcmp(step, STARTED) == 0) {
        person->id = value;
    } else if (strcmp(step, ENDED) == 0) {
        person->is_asked = 0;
    } else {
        return 0;
    }
    if (number > server->last) {
        server->last = number;
    }
    return 1;
}

static int is_anybody_asked(const struct server *server)
{
    long i;

    for (i = 1; i <= server->last; i++) {
        if (server->people[i].is_asked) {
            return 1;
        }
    }
    return 0;
}

/* Returns 0 when the file is none of ours. */
static int read_notes(struct server *server)
{
    char line[100];
    long whole = 0;

    while (fgets(line, sizeof line, server->notes) != NULL) {
        if (strchr(line, '\n') == NULL && feof(server->notes)) {
            break; /* The last run died in the middle of it: it must not be taken for another id. */
        }
        if (whole == 0 ? strcmp(line, FIRST_LINE) != 0 : !read_note(server, line)) {
            return 0;
        }
        whole = ftell(server->notes);
    }
    /* An unfinished first line would be a file that nobody began here. */
    if (whole == 0 && ftell(server->notes) != 0) {
        return 0;
    }
    if (!is_anybody_asked(server)) {
        whole = 0;
        server->last = 0;
    }
    return ftruncate(fileno(server->notes), whole) == 0;
}

static int open_notes(struct server *server)
{
    const char *file = server->settings->file;

    if (file == NULL) {
        return 1;
    }
    server->notes = fopen(file, "a+");
    if (server->notes == NULL) {
        perror(file);
        return 0;
    }
    rewind(server->notes);
    if (!read_notes(server)) {
        fprintf(stderr, "%s is not a file of this program's; it was left alone.\n", file);
        return 0;
    }
    fseek(server->notes, 0, SEEK_END);
    if (ftell(server->notes) == 0) {
        fputs(FIRST_LINE, server->notes);
    }
    return fflush(server->notes) == 0;
}

/* Asking, and going on with what an earlier run has asked ---------------------------------------- */

static void use_defaults(const struct server *server, mfa_wait_options *wait)
{
    /* When time is up, the request is taken back instead of left on the phone. */
    wait->cancel_on_timeout = 1;
    /* Without it a token that expires while somebody thinks ends the wait. */
    wait->flags = server->settings->fresh_token != NULL ? MFA_WAIT_ASK_FOR_TOKEN : 0;
}

static int ask(struct server *server, struct person *person)
{
    const struct settings *settings = server->settings;
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    char code[3];
    char text[80];

    if (mfa_control_code(code, sizeof code, &err) != MFA_OK) {
        explain(&err);
        return 0;
    }
    snprintf(text, sizeof text, "approve only if your phone shows the code %s", code);
    tell(server, person, text);
    request.question = settings->question;
    request.code = code;
    use_defaults(server, &wait);
    options.timeout_ms = (uint32_t)settings->timeout * 1000;
    person->is_asked = 1;
    person->until = (int64_t)time(NULL) + settings->timeout;
    /* Before the request is sent: who dies now knows afterwards that the person may have been asked. */
    if (!note(server, person, ASKING, person->until)) {
        return 0;
    }
    if (mfa_waiter_confirm(server->waiter, settings->token, &request, &wait, &options, person,
                           &person->ticket, &err) == MFA_OK) {
        server->not_yet_started++;
        return 1;
    }
    /* No ticket, no event, and nothing was sent. */
    explain(&err);
    person->is_asked = 0;
    note(server, person, ENDED, 0);
    return 0;
}

/* Returns whether the person is waited for. */
static int go_on(struct server *server, struct person *person)
{
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    int64_t left = person->until - (int64_t)time(NULL);

    if (left < LAST_LOOK_SECONDS) {
        left = LAST_LOOK_SECONDS;
    }
    use_defaults(server, &wait);
    options.timeout_ms = (uint32_t)left * 1000;
    if (mfa_waiter_wait(server->waiter, server->settings->token, person->id, &wait, &options, person,
                        &person->ticket, &err) == MFA_OK) {
        return 1;
    }
    /* An earlier run has asked, so it stays noted: what is wrong is this run's token, perhaps. */
    explain(&err);
    server->failed++;
    return 0;
}

/* The request may be on the phone, and nobody knows its id: nothing reads its answer, nothing can
 * withdraw it. To ask again at once would show the person two requests. */
static void outcome_unknown(struct server *server, struct person *person)
{
    server->unknown++;
    tell(server, person, "a request may have reached your phone; decline it, and sign in again when it "
                         "has gone");
    /* Who can still be told of it while the server stops? So the next run says it again. */
    if (!server->is_stopping) {
        person->is_asked = 0;
        note(server, person, ENDED, 0);
    }
}

static void go_on_with_all(struct server *server)
{
    long waiting = 0;
    long i;

    for (i = 1; i <= server->last; i++) {
        struct person *person = &server->people[i];

        if (person->is_asked && person->id > 0) {
            waiting += go_on(server, person);
        } else if (person->is_asked) {
            outcome_unknown(server, person);
        }
    }
    if (server->last > 0) {
        printf("Going on with %ld requests.\n", waiting);
    }
}

static int ask_all(struct server *server)
{
    long asked;

    for (asked = 0; asked < server->settings->people; asked++) {
        if (server->last == MOST_PEOPLE) {
            fprintf(stderr, "%d people are all that fit.\n", (int)MOST_PEOPLE);
            return 0;
        }
        if (!ask(server, &server->people[++server->last])) {
            return 0;
        }
    }
    return 1;
}

/* Events --------------------------------------------------------------------------------------- */

static const char *in_words(int32_t decision)
{
    switch (decision) {
    case MFA_DECISION_DENIED:
        return "you denied it";
    case MFA_DECISION_EXPIRED:
        return "the request expired before you answered";
    case MFA_DECISION_CANCELLED:
        return "the request was cancelled";
    default:
        return "the request failed";
    }
}

static void has_started(struct server *server, struct person *person, const mfa_transaction *known)
{
    /* First of all: from here on another run can go on with it. */
    person->id = known->transaction_id;
    note(server, person, STARTED, person->id);
    if (--server->not_yet_started == 0) {
        printf("All requests are on the phones.\n");
    }
}

/* Ended, because the server stops. */
static void was_stopped(struct server *server, struct person *person, const mfa_transaction *last,
                        const mfa_error *why)
{
    if (why->flags & MFA_ERROR_WITHDRAWN) {
        tell(server, person, "the server restarts, your request was taken back; sign in again");
    } else if (last->transaction_id > 0 && server->notes != NULL) {
        server->going_on++;
        return; /* It stays noted. */
    } else if (last->transaction_id > 0) {
        tell(server, person, "the server stops, and your request could not be taken back; decline it");
    } else {
        tell(server, person, "the server restarts, you were not asked; sign in again");
    }
    note(server, person, ENDED, 0);
}

/* A real server asks the person's session, which may take its time: nothing is sent for this person
 * meanwhile, the others' waits go on, and mfa_waiter_give_token may come later and from any thread. It must
 * be a token of the same person; one that is refused, too, ends the wait. */
static void token_is_refused(struct server *server, const struct person *person, const mfa_error *why)
{
    mfa_error err = MFA_ERROR_INIT;

    explain(why);
    if (mfa_waiter_give_token(server->waiter, person->ticket, server->settings->fresh_token, &err) !=
        MFA_OK) {
        explain(&err);
    }
}

/* It failed, and nothing waits for it any more. */
static void has_failed(struct server *server, const struct person *person, const mfa_transaction *last,
                       const mfa_error *why)
{
    server->failed++;
    explain(why);
    if (last->transaction_id > 0 && !(why->flags & MFA_ERROR_WITHDRAWN) &&
        why->code != MFA_ERR_TRANSACTION_NOT_FOUND) {
        tell(server, person, "this did not work, and the request may still be on your phone: decline it, "
                             "and sign in again");
    } else {
        tell(server, person, "this did not work; sign in again");
    }
}

static void has_ended(struct server *server, struct person *person, const mfa_event *event,
                      const mfa_transaction *answer, const mfa_error *why)
{
    person->ticket = 0;
    if (person->id == 0) {
        server->not_yet_started--;
    }
    /* The only question that opens the door: neither ENDED nor MFA_OK says that somebody approved.
     * Opening it twice must do no harm, should the server die before it has noted the end. */
    if (mfa_event_is_approved(event, answer)) {
        server->approved++;
        tell(server, person, "approved, welcome");
    } else if (event->code == MFA_OK) {
        server->not_approved++;
        tell(server, person, in_words(answer->decision));
    } else if (why->flags & MFA_ERROR_OUTCOME_UNKNOWN) {
        outcome_unknown(server, person);
        return;
    } else if (event->code == MFA_ERR_CANCELLED) {
        was_stopped(server, person, answer, why);
        return;
    } else {
        has_failed(server, person, answer, why);
    }
    person->is_asked = 0;
    note(server, person, ENDED, 0);
}

/* Returns 0 when the waiter cannot go on. */
static int take_events(struct server *server)
{
    int i;

    for (i = 0; i < EVENTS_AT_ONCE; i++) {
        mfa_event event = MFA_EVENT_INIT;
        mfa_transaction transaction = MFA_TRANSACTION_INIT;
        mfa_error why = MFA_ERROR_INIT;
        mfa_error err = MFA_ERROR_INIT;

        if (mfa_waiter_next(server->waiter, 0, &event, &transaction, &why, &err) != MFA_OK) {
            explain(&err);
            return 0;
        }
        if (event.kind == MFA_EVENT_NONE) {
            return 1;
        }
        if (event.kind == MFA_EVENT_STARTED) {
            has_started(server, event.user_data, &transaction);
        } else if (event.kind == MFA_EVENT_TOKEN_REFUSED) {
            token_is_refused(server, event.user_data, &why);
        } else if (event.kind == MFA_EVENT_ENDED) {
            has_ended(server, event.user_data, &event, &transaction, &why);
        }
    }
    /* There may be more: the descriptor stays readable. */
    return 1;
}

/* The loop ------------------------------------------------------------------------------------- */

static void set_of_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
}

/* What is on a phone may stay there: the next run asks for the answer. But a request whose id is not
 * known yet could not be found again: that one is withdrawn, for which libmfa reads the answer to its
 * start, for 2 s at most. */
static int stop(struct server *server)
{
    uint32_t all = server->notes != NULL ? 0 : MFA_CANCEL_WITHDRAW;
    mfa_error err = MFA_ERROR_INIT;
    struct signalfd_siginfo taken;
    sigset_t signals;
    long i;

    if (read(server->signals, &taken, sizeof taken) != (ssize_t)sizeof taken) {
        return 1;
    }
    server->is_stopping = 1;
    /* The next one ends the program. */
    set_of_signals(&signals);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    for (i = 1; i <= server->last; i++) {
        const struct person *person = &server->people[i];

        if (person->ticket != 0 && person->id == 0 &&
            mfa_waiter_cancel(server->waiter, person->ticket, MFA_CANCEL_WITHDRAW, &err) != MFA_OK) {
            explain(&err);
        }
    }
    if (mfa_waiter_cancel_all(server->waiter, all, &err) != MFA_OK) {
        explain(&err);
        return 0;
    }
    /* Now each has its ENDED to come, and the loop goes on until all are taken. */
    return 1;
}

static int add_to_loop(int loop, int descriptor)
{
    struct epoll_event event;

    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    return descriptor >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/* Signals come through a descriptor, like everything else. */
static int make_loop(struct server *server)
{
    sigset_t signals;

    set_of_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    server->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    server->loop = epoll_create1(EPOLL_CLOEXEC);
    /* Here a server adds the socket that it listens on, too. */
    if (add_to_loop(server->loop, server->signals) &&
        add_to_loop(server->loop, (int)mfa_waiter_fd(server->waiter))) {
        return 1;
    }
    perror("epoll");
    return 0;
}

static int serve(struct server *server)
{
    int waits = (int)mfa_waiter_fd(server->waiter);

    /* A server has no end of its own. This one ends when nobody is waited for. */
    while (mfa_waiter_count(server->waiter) > 0) {
        struct epoll_event ready[8];
        int count;
        int i;

        fflush(stdout);
        count = epoll_wait(server->loop, ready, 8, -1);
        if (count < 0 && errno != EINTR) {
            perror("epoll_wait");
            return 0;
        }
        for (i = 0; i < count; i++) {
            int went_well = 1;

            if (ready[i].data.fd == waits) {
                went_well = take_events(server);
            } else if (ready[i].data.fd == server->signals) {
                went_well = stop(server);
            }
            if (!went_well) {
                return 0;
            }
        }
    }
    return 1;
}

static int make_waiter(struct server *server)
{
    const char *url = server->settings->url;
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_waiter_options waiter = MFA_WAITER_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;

    options.base_url = url;
    if (strncmp(url, "http://", 7) == 0) {
        /* For a sandbox on this machine; libmfa refuses http to any other. */
        options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    }
    /* Each is a descriptor. More people than connections take turns. */
    waiter.max_connections = 64;
    if (mfa_hyperid_new(&options, &server->client, &err) != MFA_OK ||
        mfa_waiter_new(server->client, &waiter, &server->waiter, &err) != MFA_OK) {
        explain(&err);
        return 0;
    }
    return 1;
}

static int run(struct server *server)
{
    int went_well;

    if (!open_notes(server) || !make_waiter(server) || !make_loop(server)) {
        return FAILED;
    }
    go_on_with_all(server);
    /* Who could not be asked is no reason to forget the others. */
    went_well = ask_all(server);
    went_well = serve(server) && went_well;
    printf("%ld approved, %ld not approved, %ld failed, %ld of unknown outcome, %ld go on.\n",
           server->approved, server->not_approved, server->failed, server->unknown,
           server->going_on);
    if (!went_well || server->failed > 0) {
        return FAILED;
    }
    if (server->is_stopping) {
        return STOPPED;
    }
    return server->not_approved + server->unknown > 0 ? NOT_APPROVED : APPROVED;
}

static void close_all(struct server *server)
{
    /* All events were taken, so nothing of a person is in it any more. It goes before its client. */
    mfa_waiter_free(server->waiter);
    mfa_hyperid_free(server->client);
    if (server->notes != NULL) {
        fclose(server->notes);
    }
    if (server->loop >= 0) {
        close(server->loop);
    }
    if (server->signals >= 0) {
        close(server->signals);
    }
}

static int usage(void)
{
    fprintf(stderr,
            "usage: server --url BASE_URL [--token TOKEN] [--fresh-token TOKEN] [--people N] "
            "[--timeout SECONDS] [--save FILE] [QUESTION]\n"
            "The token may also stand in the environment's MFA_TOKEN. N: at most %d.\n",
            (int)MOST_PEOPLE);
    return 0;
}

/* Returns 0 when it is not a whole number from `least` to `most`. */
static int read_number(const char *text, long least, long most, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && *number >= least && *number <= most;
}

static int read_option(const char *option, const char *value, struct settings *settings)
{
    if (strcmp(option, "--url") == 0) {
        settings->url = value;
    } else if (strcmp(option, "--token") == 0) {
        settings->token = value;
    } else if (strcmp(option, "--fresh-token") == 0) {
        settings->fresh_token = value;
    } else if (strcmp(option, "--save") == 0) {
        settings->file = value;
    } else if (strcmp(option, "--people") == 0) {
        return read_number(value, 0, MOST_PEOPLE, &settings->people);
    } else if (strcmp(option, "--timeout") == 0) {
        return read_number(value, 1, 86400, &settings->timeout);
    } else {
        return 0;
    }
    return 1;
}

/* Returns 0 when the arguments cannot be used. */
static int read_arguments(int argc, char **argv, struct settings *settings)
{
    int i;

    memset(settings, 0, sizeof *settings);
    settings->token = getenv("MFA_TOKEN");
    settings->question = "Sign in?";
    settings->people = 200;
    settings->timeout = 120;
    for (i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            settings->question = argv[i];
        } else if (i + 1 == argc || !read_option(argv[i], argv[i + 1], settings)) {
            return usage();
        } else {
            i++;
        }
    }
    /* So many requests are not sent to HyperID itself because somebody forgot an option. */
    return settings->url != NULL && settings->token != NULL ? 1 : usage();
}

int main(int argc, char **argv)
{
    static struct server server;
    struct settings settings;
    int status;

    if (!read_arguments(argc, argv, &settings)) {
        return FAILED;
    }
    server.settings = &settings;
    server.loop = -1;
    server.signals = -1;
    status = run(&server);
    close_all(&server);
    return status;
}
