/* The least client that can be written, for servers that are too quick for one in Python: see bench/load.py.
 *
 * Rules: its arguments are a port and a number of connections. Requests come on its standard input, each behind its
 * length in eight bytes. Each connection sends its next request when its last one was answered. It prints the
 * nanoseconds that it took from the first request to the last answer. An answer that is neither 200 nor 201 ends it with 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 1024, ANSWER_BYTES_MAX = 65536, EVENTS_MAX = 256 };

static char *requests, *next_request, *end_of_requests;
static struct { int used; char data[ANSWER_BYTES_MAX + 1]; } answers[DESCRIPTORS_MAX];

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void read_requests(void)
{
    size_t size = 0, room = 1 << 20;
    requests = malloc(room);
    for (size_t got; (got = fread(requests + size, 1, room - size, stdin)) > 0;) {
        size += got;
        if (size == room)
            requests = realloc(requests, room *= 2);
    }
    next_request = requests;
    end_of_requests = requests + size;
}

/* Send the next request; returns 0 where none is left. */
static int send_next(int socket)
{
    if (next_request == end_of_requests)
        return 0;
    uint64_t length;
    memcpy(&length, next_request, 8);
    if (write(socket, next_request + 8, length) != (ssize_t)length)
        fail("A request was not taken in one piece.");
    next_request += 8 + length;
    return 1;
}

/* Whether the answer is whole. */
static int take(int socket)
{
    char *data = answers[socket].data;
    ssize_t got = read(socket, data + answers[socket].used, ANSWER_BYTES_MAX - answers[socket].used);
    if (got <= 0)
        fail("The server ended a connection.");
    answers[socket].used += (int)got;
    data[answers[socket].used] = 0;
    char *end = strstr(data, "\r\n\r\n");
    if (end == NULL)
        return 0;
    char *length = strcasestr(data, "content-length: ");
    if ((strncmp(data, "HTTP/1.1 200 ", 13) && strncmp(data, "HTTP/1.1 201 ", 13)) || length == NULL || length > end)
        fail(data);
    if (answers[socket].used - (end + 4 - data) < atoi(length + 16))
        return 0;
    answers[socket].used = 0;
    return 1;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int main(int count, char **arguments)
{
    if (count != 3)
        fail("PORT CONNECTIONS < REQUESTS");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(atoi(arguments[1]));
    int connections = atoi(arguments[2]), opened[DESCRIPTORS_MAX], busy = 0, one = 1, epoll = epoll_create1(0);
    read_requests();
    for (int at = 0; at < connections; at++) {
        int descriptor = opened[at] = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
        if (descriptor >= DESCRIPTORS_MAX || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0)
            fail("The server cannot be reached.");
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    }
    int64_t begun = now();
    for (int at = 0; at < connections; at++)
        busy += send_next(opened[at]);
    while (busy > 0) {
        struct epoll_event events[EVENTS_MAX];
        int found = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int at = 0; at < found; at++)
            if (take(events[at].data.fd) && !send_next(events[at].data.fd))
                busy--;
    }
    printf("%lld\n", (long long)(now() - begun));
    return 0;
}
