/*
 * A race that must be reported: two threads have their answers written to one place, which is the caller's
 * error. It lies in the library's own code, so that a report shows that this is watched.
 */
#define _POSIX_C_SOURCE 200809L

#include <mfa.h>
#include <pthread.h>
#include <stdio.h>

static const mfa_hyperid *client;
static mfa_transaction place = MFA_TRANSACTION_INIT;
static pthread_barrier_t both;

static void *ask(void *nothing)
{
    for (int i = 0; i < 100; i++) {
        /* One after the other is no race, and a busy machine may run them so. */
        pthread_barrier_wait(&both);
        /* Refused before a byte is sent. */
        mfa_hyperid_status(client, "token", 0, NULL, &place, NULL);
    }
    return nothing;
}

int main(void)
{
    mfa_hyperid *made = NULL;
    if (mfa_hyperid_new(NULL, &made, NULL) != MFA_OK) {
        return 2;
    }
    client = made;
    pthread_t threads[2];
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, ask, NULL) != 0) {
            return 2;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    mfa_hyperid_free(made);
    puts("both have ended");
    return 0;
}
