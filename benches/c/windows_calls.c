/*
 * On Windows: what processor time a call takes through libmfa, and through a bare Winsock socket.
 *
 * PORT ROUNDS CALLS: in each round so many calls of the one, then of the other, to the same server in
 * clear. Prints for each round the microseconds that a call of either kept the process busy (user and
 * system), the bare socket's first.
 */
#include <stdio.h>
#include <stdlib.h>

#include <windows.h>

#include "subject.h"

/* Each file of a subject is compiled with a name of its own for its one export. */
const struct bench_subject *bare_subject(void);
const struct bench_subject *mfa_subject(void);

/* What kept this process busy, in hundreds of nanoseconds. */
static unsigned long long busy(void)
{
    FILETIME created, ended, kernel, user;

    if (!GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user)) {
        fprintf(stderr, "GetProcessTimes failed\n");
        exit(2);
    }
    return (((unsigned long long)kernel.dwHighDateTime << 32) | kernel.dwLowDateTime) +
           (((unsigned long long)user.dwHighDateTime << 32) | user.dwLowDateTime);
}

/* Microseconds a call. */
static double measure(const struct bench_subject *subject, void *mine, int calls)
{
    unsigned long long before = busy();
    int i;

    for (i = 0; i < calls; i++) {
        if (!subject->call(mine)) {
            fprintf(stderr, "%s: a call failed\n", subject->name);
            exit(1);
        }
    }
    return (double)(busy() - before) / 10.0 / calls;
}

int main(int argc, char **argv)
{
    const struct bench_subject *subjects[2] = {bare_subject(), mfa_subject()};
    void *shared[2];
    void *mine[2];
    struct bench_target target = {0, 0, NULL, "bench-token"};
    int rounds, calls, round, i;

    if (argc != 4) {
        fprintf(stderr, "usage: windows_calls PORT ROUNDS CALLS\n");
        return 2;
    }
    target.port = atoi(argv[1]);
    rounds = atoi(argv[2]);
    calls = atoi(argv[3]);
    for (i = 0; i < 2; i++) {
        shared[i] = subjects[i]->open(&target);
        mine[i] = shared[i] == NULL ? NULL : subjects[i]->attach(shared[i]);
        if (mine[i] == NULL) {
            return 1;
        }
        /* Connected, and all that is made once is made. */
        measure(subjects[i], mine[i], 50);
    }
    for (round = 0; round < rounds; round++) {
        double of_each[2];

        for (i = 0; i < 2; i++) {
            of_each[i] = measure(subjects[i], mine[i], calls);
        }
        printf("%.2f %.2f\n", of_each[0], of_each[1]);
        fflush(stdout);
    }
    for (i = 0; i < 2; i++) {
        subjects[i]->detach(mine[i]);
        subjects[i]->close(shared[i]);
    }
    return 0;
}
