/*
 * Drives one subject, at the word of whoever holds its standard input:
 *
 *     throughput SUBJECT.so PLAIN_PORT TLS_PORT CA_FILE
 *
 *     run TRANSPORT THREADS MS     calls from so many threads for so long
 *     calls TRANSPORT COUNT        so many calls from one thread, for those who watch from outside
 *     idle TRANSPORT COUNT         so many connections, first in use at once and then idle
 *     first TRANSPORT              from dlopen to the first answer; once, and as the first command
 *     version                      what the subject is made of
 *
 * TRANSPORT is plain or tls. Each command is answered with one line: "ok name=value...", or
 * "failed" and why. Connections and threads stay for the next command, so several drivers can be
 * run by turns, each as warm as it was. It ends with its standard input.
 */
#include "check.h"

#include <dlfcn.h>
#include <sys/resource.h>

#include "subject.h"

#define MOST_THREADS 512
/* Of each thread and run; calls beyond them are counted but not timed. */
#define MOST_TIMED 32768
#define TOKEN "bench-token-of-a-usual-length-0123456789abcdef"
/* The server answers it late, so that no two calls share a connection. */
#define SLOW_TOKEN "bench-slow"

/* The process's own, of all its threads. */
static int64_t cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static long context_switches(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

/* How many threads this process has; -1 where the system does not say. */
static int threads_now(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];
    int count = -1;

    while (status != NULL && count < 0 && fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "Threads: %d", &count);
    }
    if (status != NULL) {
        fclose(status);
    }
    return count;
}

/* The subject ----------------------------------------------------------------------------------- */

static const struct bench_subject *subject;
static struct bench_target targets[2];
static int64_t dlopen_began;

static void load(const char *file)
{
    const struct bench_subject *(*find)(void);
    void *library;

    dlopen_began = now_ns();
    library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "failed: %s\n", dlerror());
        exit(2);
    }
    *(void **)&find = dlsym(library, "bench_subject");
    need(find != NULL, "the subject has no bench_subject");
    subject = find();
}

static void *open_subject(int is_tls)
{
    void *shared = subject->open(&targets[is_tls]);

    need(shared != NULL, "open");
    return shared;
}

/* A function of alloc_count.c, if that is loaded. */
static long long counted(const char *name)
{
    long long (*count)(void);

    *(void **)&count = dlsym(RTLD_DEFAULT, name);
    return count == NULL ? -1 : count();
}

/* run ------------------------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    struct team *team;
    int run;
    long calls;
    long errors;
    int64_t ended;
    uint32_t *times;
};

/*
 * The threads of one kind of run. Each team has its own shared state, because a pool of connections
 * that has served more threads than now serves fewer of them worse.
 */
struct team {
    int is_tls;
    int threads;
    void *shared;
    struct worker *workers;
    struct team *next;
};

static struct team *teams;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begin = PTHREAD_COND_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
/* The run under way: its number, whose it is, until when, and how many have not ended. */
static int run_number;
static struct team *run_team;
static int64_t run_until;
static int running;

static void call_until_the_end(struct worker *worker, void *mine)
{
    int64_t before = now_ns();

    worker->calls = 0;
    worker->errors = 0;
    do {
        int right = subject->call(mine);
        int64_t after = now_ns();

        if (worker->calls < MOST_TIMED) {
            worker->times[worker->calls] = (uint32_t)(after - before);
        }
        worker->calls++;
        worker->errors += !right;
        before = after;
    } while (before < run_until);
    worker->ended = before;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    void *mine = subject->attach(worker->team->shared);

    need(mine != NULL, "attach");
    pthread_mutex_lock(&lock);
    for (;;) {
        while (run_team != worker->team || run_number == worker->run) {
            pthread_cond_wait(&begin, &lock);
        }
        worker->run = run_number;
        pthread_mutex_unlock(&lock);
        call_until_the_end(worker, mine);
        pthread_mutex_lock(&lock);
        running--;
        pthread_cond_signal(&finished);
    }
    return NULL;
}

static void start_worker(struct worker *worker, struct team *team)
{
    worker->team = team;
    worker->times = malloc(MOST_TIMED * sizeof *worker->times);
    need(worker->times != NULL, "malloc");
    /* So that the run itself meets no page for the first time. */
    memset(worker->times, 1, MOST_TIMED * sizeof *worker->times);
    need(pthread_create(&worker->thread, NULL, work, worker) == 0, "pthread_create");
}

/* The team for this kind of run; it is made for the first one. */
static struct team *team_of(int is_tls, int threads)
{
    struct team *team = teams;
    int i;

    while (team != NULL && (team->is_tls != is_tls || team->threads != threads)) {
        team = team->next;
    }
    if (team != NULL) {
        return team;
    }
    team = calloc(1, sizeof *team);
    need(team != NULL, "malloc");
    team->is_tls = is_tls;
    team->threads = threads;
    team->shared = open_subject(is_tls);
    team->workers = calloc((size_t)threads, sizeof *team->workers);
    need(team->workers != NULL, "malloc");
    team->next = teams;
    teams = team;
    for (i = 0; i < threads; i++) {
        start_worker(&team->workers[i], team);
    }
    return team;
}

/* This one, and those that make calls. */
static int own_threads(void)
{
    const struct team *team;
    int count = 1;

    for (team = teams; team != NULL; team = team->next) {
        count += team->threads;
    }
    return count;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(const struct team *team, int64_t began, int64_t cpu, long switches,
                   int most_threads)
{
    const struct worker *all = team->workers;
    uint32_t *times = malloc((size_t)team->threads * MOST_TIMED * sizeof *times);
    size_t timed = 0;
    long calls = 0;
    long errors = 0;
    int64_t ended = began;
    int i;

    need(times != NULL, "malloc");
    for (i = 0; i < team->threads; i++) {
        size_t count = (size_t)(all[i].calls < MOST_TIMED ? all[i].calls : MOST_TIMED);

        memcpy(times + timed, all[i].times, count * sizeof *times);
        timed += count;
        calls += all[i].calls;
        errors += all[i].errors;
        ended = all[i].ended > ended ? all[i].ended : ended;
    }
    qsort(times, timed, sizeof *times, ascending);
    printf("ok calls=%ld errors=%ld wall_ns=%lld cpu_ns=%lld p50_ns=%lu p99_ns=%lu switches=%ld "
           "threads=%d\n",
           calls, errors, (long long)(ended - began), (long long)cpu,
           (unsigned long)times[timed / 2], (unsigned long)times[timed * 99 / 100], switches,
           most_threads);
    free(times);
}

static void run(int is_tls, int threads, int milliseconds)
{
    struct team *team;
    int64_t began;
    int64_t cpu;
    long switches;
    int most_threads;

    need(threads > 0 && threads <= MOST_THREADS && milliseconds > 0, "run's numbers");
    team = team_of(is_tls, threads);
    pthread_mutex_lock(&lock);
    run_team = team;
    running = threads;
    run_number++;
    switches = context_switches();
    cpu = cpu_ns();
    began = now_ns();
    run_until = began + (int64_t)milliseconds * 1000000;
    pthread_cond_broadcast(&begin);
    pthread_mutex_unlock(&lock);
    most_threads = threads_now() - own_threads();
    pthread_mutex_lock(&lock);
    while (running > 0) {
        pthread_cond_wait(&finished, &lock);
    }
    pthread_mutex_unlock(&lock);
    cpu = cpu_ns() - cpu;
    report(team, began, cpu, context_switches() - switches, most_threads);
}

/* calls, idle, first ---------------------------------------------------------------------------- */

static void *attach(void *shared)
{
    void *mine = subject->attach(shared);

    need(mine != NULL, "attach");
    return mine;
}

static void calls(int is_tls, int count)
{
    void *mine = attach(open_subject(is_tls));
    long long allocations;
    long errors = 0;
    int i;

    /* The connection is made, and every buffer has its size. */
    for (i = 0; i < 10; i++) {
        errors += !subject->call(mine);
    }
    allocations = counted("bench_allocations");
    for (i = 0; i < count; i++) {
        errors += !subject->call(mine);
    }
    allocations = counted("bench_allocations") - allocations;
    printf("ok calls=%d errors=%ld allocations=%lld\n", count, errors, allocations);
    subject->detach(mine);
}

static void *call_once(void *mine)
{
    return subject->call(mine) ? mine : NULL;
}

static void idle(int is_tls, int count)
{
    pthread_t threads[MOST_THREADS];
    void *mine[MOST_THREADS];
    long errors = 0;
    long long before;
    void *shared;
    int i;

    need(count > 0 && count <= MOST_THREADS, "idle's number");
    targets[is_tls].token = SLOW_TOKEN;
    shared = open_subject(is_tls);
    before = counted("bench_bytes_in_use");
    for (i = 0; i < count; i++) {
        mine[i] = attach(shared);
        need(pthread_create(&threads[i], NULL, call_once, mine[i]) == 0, "pthread_create");
    }
    for (i = 0; i < count; i++) {
        void *right = NULL;

        pthread_join(threads[i], &right);
        errors += right == NULL;
    }
    printf("ok calls=%d errors=%ld bytes=%lld\n", count, errors,
           counted("bench_bytes_in_use") - before);
    /* The connections stay: whoever asked may look at them from outside. */
}

static void first(int is_tls)
{
    void *mine = attach(open_subject(is_tls));
    int right = subject->call(mine);

    printf("ok calls=1 errors=%d wall_ns=%lld\n", !right, (long long)(now_ns() - dlopen_began));
}

/* Commands -------------------------------------------------------------------------------------- */

static void obey(const char *line)
{
    char command[16] = "";
    char transport[16] = "";
    int numbers[2] = {0, 0};
    int is_tls;

    sscanf(line, "%15s %15s %d %d", command, transport, &numbers[0], &numbers[1]);
    is_tls = strcmp(transport, "tls") == 0;
    if (strcmp(command, "version") == 0) {
        printf("ok version=%s\n", subject->version());
    } else if (is_tls && !subject->can_tls) {
        printf("failed: %s has no TLS\n", subject->name);
    } else if (strcmp(command, "run") == 0) {
        run(is_tls, numbers[0], numbers[1]);
    } else if (strcmp(command, "calls") == 0) {
        calls(is_tls, numbers[0]);
    } else if (strcmp(command, "idle") == 0) {
        idle(is_tls, numbers[0]);
    } else if (strcmp(command, "first") == 0) {
        first(is_tls);
    } else {
        printf("failed: it does not know '%s'\n", command);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[128];
    int i;

    if (argc != 5) {
        fprintf(stderr, "usage: throughput SUBJECT.so PLAIN_PORT TLS_PORT CA_FILE\n");
        return 2;
    }
    for (i = 0; i < 2; i++) {
        targets[i].is_tls = i;
        targets[i].port = atoi(argv[2 + i]);
        targets[i].ca_file = argv[4];
        targets[i].token = TOKEN;
    }
    load(argv[1]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        obey(line);
    }
    return 0;
}
