/* The least server that can be written: one thread, epoll, no parser but a search for the end of the head.
 *
 * Rules: it speaks to bench/served.py as bench/server.py does: a line with its port, then its CPU time in nanoseconds
 * for each line that comes. It ends with its standard input. It is sent what the bench sends and checks nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, REQUEST_BYTES_MAX = 65536, EVENTS_MAX = 256 };

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"hello\":\"world\"}";

static struct { int used; char data[REQUEST_BYTES_MAX]; } connections[CONNECTIONS_MAX];

/* How many bytes the first request has, or 0 while it is not whole. */
static int request_bytes(const char *data, int used)
{
    const char *end = memmem(data, used, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    const char *length = memmem(data, end - data, "Content-Length: ", 16);
    int whole = (int)(end - data) + 4 + (length ? atoi(length + 16) : 0);
    return whole <= used ? whole : 0;
}

/* Answer what there is; returns 0 where the connection is at its end. */
static int serve(int socket)
{
    char *data = connections[socket].data;
    int *used = &connections[socket].used;
    ssize_t got = read(socket, data + *used, REQUEST_BYTES_MAX - *used);
    if (got <= 0)
        return 0;
    *used += (int)got;
    for (int bytes; (bytes = request_bytes(data, *used)) > 0;) {
        *used -= bytes;
        memmove(data, data + bytes, *used);
        if (write(socket, ANSWER, sizeof ANSWER - 1) != sizeof ANSWER - 1)
            return 0;
    }
    return *used < REQUEST_BYTES_MAX;
}

static void watch(int epoll, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0)
        exit(1);
}

static int told(void)
{
    char line[64];
    if (read(0, line, sizeof line) <= 0)
        return 0;
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    printf("%lld\n", spent.tv_sec * 1000000000LL + spent.tv_nsec);
    return fflush(stdout) == 0;
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1, epoll = epoll_create1(0), listening = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&address, size) != 0 || listen(listening, 1024) != 0)
        return 1;
    getsockname(listening, (struct sockaddr *)&address, &size);
    printf("{\"port\": %d, \"key\": \"\"}\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(epoll, 0);
    watch(epoll, listening);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int at = 0; at < count; at++) {
            int descriptor = events[at].data.fd;
            if (descriptor == 0) {
                if (!told())
                    return 0;
            } else if (descriptor == listening) {
                int opened = accept(listening, NULL, NULL);
                if (opened < 0 || opened >= CONNECTIONS_MAX)
                    return 1;
                setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connections[opened].used = 0;
                watch(epoll, opened);
            } else if (!serve(descriptor)) {
                close(descriptor);
            }
        }
    }
}
