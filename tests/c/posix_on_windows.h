/*
 * What the C tests use of POSIX' sockets, over Winsock. The compiler is mingw's, which brings the rest:
 * pthread.h, unistd.h and clock_gettime.
 */
#ifndef MFA_TESTS_POSIX_ON_WINDOWS_H
#define MFA_TESTS_POSIX_ON_WINDOWS_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Nothing raises SIGPIPE here, and no program inherits a socket of these. */
#define MSG_NOSIGNAL 0
#define F_SETFD 1
#define F_SETFL 2
#define FD_CLOEXEC 1
#define O_NONBLOCK 1

__attribute__((constructor)) static void start_winsock(void)
{
    WSADATA data;

    WSAStartup(MAKEWORD(2, 2), &data);
}

static inline int posix_fcntl(int fd, int command, int flags)
{
    u_long on = flags == O_NONBLOCK;

    return command == F_SETFL ? ioctlsocket((SOCKET)fd, (long)FIONBIO, &on) : 0;
}

static inline int posix_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    SOCKET accepted = accept((SOCKET)fd, address, size);

    errno = WSAGetLastError() == WSAEWOULDBLOCK ? EAGAIN : EINVAL;
    if (accepted == INVALID_SOCKET) {
        return -1;
    }
    /* Where POSIX gives a socket that waits, Windows gives one like the listener. */
    posix_fcntl((int)accepted, F_SETFL, 0);
    return (int)accepted;
}

static inline int posix_setsockopt(int fd, int level, int name, const void *value, int size)
{
    return setsockopt((SOCKET)fd, level, name, (const char *)value, size);
}

/* WSAPoll takes no empty list, and no entry without a socket. */
static inline int posix_poll(struct pollfd *list, unsigned count, int timeout_ms)
{
    struct pollfd valid[256];
    unsigned place[256];
    unsigned used = 0;
    unsigned i;
    int ready;

    for (i = 0; i < count; i++) {
        list[i].revents = 0;
        if (list[i].fd != INVALID_SOCKET && used < 256) {
            valid[used] = list[i];
            place[used++] = i;
        }
    }
    if (used == 0) {
        Sleep((DWORD)timeout_ms);
        return 0;
    }
    ready = WSAPoll(valid, used, timeout_ms);
    for (i = 0; i < used; i++) {
        list[place[i]].revents = valid[i].revents;
    }
    return ready;
}

/* A socket that only the other one sends to. */
static inline int posix_pipe(int ends[2])
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ends[0] = (int)socket(AF_INET, SOCK_DGRAM, 0);
    ends[1] = (int)socket(AF_INET, SOCK_DGRAM, 0);
    if (bind((SOCKET)ends[0], (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname((SOCKET)ends[0], (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    return connect((SOCKET)ends[1], (struct sockaddr *)&address, sizeof address);
}

#define fcntl posix_fcntl
#define accept posix_accept
#define setsockopt posix_setsockopt
#define poll posix_poll
#define pipe posix_pipe
/* The tests write to sockets and pipes alone, and close nothing else. */
#define write(fd, bytes, size) send((SOCKET)(fd), bytes, (int)(size), 0)
#define close(fd) closesocket((SOCKET)(fd))

#endif
