/*
 * The floor: a blocking socket for each thread, a request that was written beforehand, and an
 * answer that is searched, not parsed. No TLS, no timeout, no cancel, no second try.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include "posix_on_windows.h"
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include "subject.h"

struct mine {
    int fd;
    size_t size;
    char request[1024];
    char answer[4096];
};

static const char *version(void)
{
    return "a socket";
}

static void *open_target(const struct bench_target *target)
{
    struct bench_target *copy = malloc(sizeof *copy);

    if (copy != NULL) {
        *copy = *target;
    }
    return copy;
}

static void detach(void *argument)
{
    struct mine *mine = argument;

    close(mine->fd);
    free(mine);
}

static void *attach(void *shared)
{
    const struct bench_target *target = shared;
    struct mine *mine = calloc(1, sizeof *mine);
    struct sockaddr_in address;
    int yes = 1;

    if (mine == NULL) {
        return NULL;
    }
    mine->size = (size_t)snprintf(
        mine->request, sizeof mine->request,
        "POST " BENCH_PATH " HTTP/1.1\r\nHost: " BENCH_HOST ":%d\r\nUser-Agent: libmfa/0.1.0\r\n"
        "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nAccept-Encoding: identity\r\nContent-Length: %zu\r\n\r\n"
        BENCH_BODY,
        target->port, target->token, strlen(BENCH_BODY));
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)target->port);
    inet_pton(AF_INET, BENCH_HOST, &address.sin_addr);
    mine->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (mine->fd >= 0 && connect(mine->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        setsockopt(mine->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0) {
        return mine;
    }
    perror("the server");
    detach(mine);
    return NULL;
}

/* Where the answer's body begins, once all of it is there; NULL before. */
static const char *whole_body(const char *answer, size_t filled)
{
    const char *end = strstr(answer, "\r\n\r\n");
    const char *length = strstr(answer, "Content-Length: ");

    if (end == NULL || length == NULL || length > end) {
        return NULL;
    }
    end += 4;
    return (size_t)(end - answer) + strtoul(length + 16, NULL, 10) <= filled ? end : NULL;
}

static int call(void *argument)
{
    struct mine *mine = argument;
    const char *body = NULL;
    size_t filled = 0;

    if (send(mine->fd, mine->request, mine->size, MSG_NOSIGNAL) != (ssize_t)mine->size) {
        return 0;
    }
    while (body == NULL) {
        ssize_t n = recv(mine->fd, mine->answer + filled, sizeof mine->answer - 1 - filled, 0);

        if (n <= 0) {
            return 0;
        }
        filled += (size_t)n;
        mine->answer[filled] = '\0';
        body = whole_body(mine->answer, filled);
    }
    return strncmp(mine->answer, "HTTP/1.1 200 ", 13) == 0 && strstr(body, "\"result\":0") != NULL &&
           strstr(body, "\"transaction_id\":4242") != NULL &&
           strstr(body, "\"transaction_status\":1") != NULL &&
           strstr(body, "\"transaction_complete_result\":0") != NULL;
}

const struct bench_subject *bench_subject(void)
{
    static const struct bench_subject subject = {"bare socket", version, 0, open_target, attach,
                                                 call,          detach,  free};

    return &subject;
}
