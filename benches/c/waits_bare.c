/*
 * The floor for a loop: epoll, plain sockets that are used again, requests written beforehand but for
 * the id, an answer that is searched, not parsed; no TLS, deadline or cancel. It knows, besides what
 * waits.h says:
 *
 *     steady plain COUNT MS FILE    waits for what others have started; for each that ends another comes
 */
#include "waits.h"

#include <netinet/tcp.h>

#define REQUEST 2048

struct wait {
    int64_t id;
    int64_t known_at;
};

struct connection {
    int fd;
    long wait;
    char answer[1024];
    size_t filled;
    struct connection *next_idle;
};

static int loop;
static struct wait *all;
static struct connection *idle;
static long added;
static long errors;

static struct connection *open_connection(void)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct sockaddr_in address = loopback_address(waits_ports[0]);
    struct epoll_event event;
    int one = 1;

    need(connection != NULL, "calloc");
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(connect(connection->fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.ptr = connection;
    need(epoll_ctl(loop, EPOLL_CTL_ADD, connection->fd, &event) == 0, "epoll_ctl");
    return connection;
}

static void poll_wait(long number)
{
    struct connection *connection = idle;
    char token[WAITS_TOKEN_LENGTH + 1];
    char request[REQUEST];
    char body[64];
    int length;

    if (connection == NULL) {
        connection = open_connection();
    } else {
        idle = connection->next_idle;
    }
    connection->wait = number;
    connection->filled = 0;
    waits_token(token, number);
    length = snprintf(body, sizeof body, "{\"transaction_id\":%lld}", (long long)all[number].id);
    length = snprintf(request, sizeof request,
                      "POST " WAITS_PATH_STATUS " HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
                      "content-length: %d\r\nuser-agent: libmfa/0.1.0\r\naccept: application/json\r\n"
                      "accept-encoding: identity\r\ncontent-type: application/json\r\n"
                      "authorization: Bearer %s\r\n\r\n%s",
                      waits_ports[0], length, token, body);
    need(send(connection->fd, request, (size_t)length, MSG_NOSIGNAL) == length, "send");
}

static void begin_wait(long number, int64_t now)
{
    all[number].id = 1000000000 + added++;
    all[number].known_at = now;
    poll_wait(number);
}

static void take_answer(struct connection *connection)
{
    ssize_t amount = recv(connection->fd, connection->answer + connection->filled,
                          sizeof connection->answer - 1 - connection->filled, 0);
    long number = connection->wait;
    int64_t now;

    need(amount > 0, "recv");
    connection->filled += (size_t)amount;
    connection->answer[connection->filled] = 0;
    if (strchr(connection->answer, '}') == NULL) {
        return;
    }
    connection->next_idle = idle;
    idle = connection;
    now = now_ns();
    if (strstr(connection->answer, "\"transaction_status\":1,\"transaction_complete_result\":0") !=
        NULL) {
        waits_note_approval(all[number].id);
        begin_wait(number, now);
        return;
    }
    errors += strstr(connection->answer, "\"transaction_status\":0") == NULL;
    waits_set_timer(number, waits_next_poll(now, all[number].known_at));
}

static void steady(long count, long ms, const char *file)
{
    int64_t began = now_ns();
    int64_t until = began + ms * NS_PER_MS;
    long begun = 0;
    int64_t now;

    loop = epoll_create1(EPOLL_CLOEXEC);
    all = calloc((size_t)count, sizeof *all);
    need(loop >= 0 && all != NULL, "epoll_create1");
    waits_expect(count * (ms / 100 + 2));
    waits_timers_for(count);
    while ((now = now_ns()) < until) {
        struct epoll_event events[64];
        int64_t left = waits_first_timer() - now;
        long number;
        int ready, i;

        /* Spread over the first second, as libmfa's are. */
        while (begun < waits_come(began, count, 1000)) {
            begin_wait(begun++, now);
        }
        while ((number = waits_take_timer(now)) >= 0) {
            poll_wait(number);
        }
        left = waits_first_timer() - now;
        left = left < 0 ? 0 : left > 10 * NS_PER_MS ? 10 * NS_PER_MS : left;
        ready = epoll_wait(loop, events, 64,
                           begun < count ? 1 : (int)((left + NS_PER_MS - 1) / NS_PER_MS));
        for (i = 0; i < ready; i++) {
            take_answer(events[i].data.ptr);
        }
    }
    waits_write_approvals(file);
    printf("ok errors=%ld approved=%ld\n", errors, waits_approved);
}

static int obey(const char *command, int is_tls, const char *rest)
{
    char file[256];
    long count, ms;

    if (strcmp(command, "version") == 0) {
        printf("ok version=a socket\n");
        return 1;
    }
    if (!is_tls && strcmp(command, "steady") == 0 &&
        sscanf(rest, "%ld %ld %255s", &count, &ms, file) == 3) {
        steady(count, ms, file);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    return waits_main(argc, argv, obey);
}
