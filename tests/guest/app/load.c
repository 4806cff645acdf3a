/* The load: one thread, poll, keep-alive connections, every request with a path of its own so that lost and doubled
 * spans can be told apart.
 *
 * usage: load now                                       the monotonic clock in nanoseconds
 *        load PORT COUNT RATE CONNECTIONS FIRST [CGROUP...]
 *
 * Requests /r/FIRST, /r/FIRST+1, ...; RATE is in requests a second, 0 is a closed loop. Prints one JSON line: how
 * long it took, latencies, and the CPU time that each named cgroup used meanwhile.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 64, GROUPS = 8, BUFFER = 8192 };

struct connection {
    int fd, busy;
    uint64_t since;
    size_t held;
    char buffer[BUFFER];
};

static struct connection connections[CONNECTIONS];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static uint64_t cpu_of(const char *group) {
    char path[256], line[256];
    uint64_t usec = 0;
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/cpu.stat", group);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "usage_usec %" SCNu64, &usec) == 1)
            break;
    fclose(file);
    return usec;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void connect_all(int port, int n) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < n; i++) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
            perror("load: connect");
            exit(1);
        }
        connections[i].fd = fd;
    }
}

static void request(struct connection *c, long number, uint64_t since) {
    char text[256];
    int length = snprintf(text, sizeof text, "GET /r/%ld HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load\r\n\r\n", number);
    c->since = since;
    c->busy = 1;
    c->held = 0;
    if (write(c->fd, text, length) != length) {
        perror("load: write");
        exit(1);
    }
}

/* Reads what is there. 1: the response is whole, 0: not yet, -1: it was not a 200. */
static int response(struct connection *c) {
    ssize_t n = read(c->fd, c->buffer + c->held, BUFFER - 1 - c->held);
    if (n <= 0) {
        fprintf(stderr, "load: the server closed the connection\n");
        exit(1);
    }
    c->held += n;
    c->buffer[c->held] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end)
        return 0;
    char *length = strcasestr(c->buffer, "content-length:");
    if (c->held < (size_t)(end + 4 - c->buffer) + (length ? strtoul(length + 15, NULL, 10) : 0))
        return 0;
    return strncmp(c->buffer, "HTTP/1.1 200", 12) ? -1 : 1;
}

int main(int argc, char **argv) {
    if (argc == 2) {
        printf("%" PRIu64 "\n", now());
        return 0;
    }
    if (argc < 6) {
        fprintf(stderr, "usage: load now | load PORT COUNT RATE CONNECTIONS FIRST [CGROUP...]\n");
        return 2;
    }
    int count = atoi(argv[2]), rate = atoi(argv[3]), n = atoi(argv[4]), groups = argc - 6;
    long first = atol(argv[5]);
    if (n > CONNECTIONS)
        n = CONNECTIONS;
    if (groups > GROUPS)
        groups = GROUPS;
    uint64_t *latency = calloc(count, sizeof *latency), gap = rate ? UINT64_C(1000000000) / rate : 0, before[GROUPS];
    connect_all(atoi(argv[1]), n);
    for (int i = 0; i < groups; i++)
        before[i] = cpu_of(argv[6 + i]);
    int sent = 0, done = 0, bad = 0;
    uint64_t start = now(), next = start;
    while (done < count) {
        uint64_t t = now();
        for (int i = 0; i < n && sent < count && (!gap || next <= t); i++) {
            if (connections[i].busy)
                continue;
            request(&connections[i], first + sent, gap ? next : t);
            sent++;
            next += gap;
        }
        struct pollfd polled[CONNECTIONS];
        int idle = 0;
        for (int i = 0; i < n; i++) {
            polled[i] = (struct pollfd){.fd = connections[i].busy ? connections[i].fd : -1, .events = POLLIN};
            idle |= !connections[i].busy;
        }
        struct timespec wait, *until = NULL;
        if (gap && idle && sent < count) {
            t = now();
            uint64_t left = next > t ? next - t : 0;
            wait = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
            until = &wait;
        }
        if (ppoll(polled, n, until, NULL) <= 0)
            continue;
        for (int i = 0; i < n; i++) {
            if (!connections[i].busy || !polled[i].revents)
                continue;
            int r = response(&connections[i]);
            if (!r)
                continue;
            bad += r < 0;
            latency[done++] = now() - connections[i].since;
            connections[i].busy = 0;
        }
    }
    uint64_t elapsed = now() - start;
    qsort(latency, count, sizeof *latency, by_value);
    printf("{\"n\":%d,\"bad\":%d,\"rate\":%d,\"elapsed_ns\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64, count, bad, rate,
           elapsed, latency[count / 2], latency[count - 1 - count / 100]);
    for (int i = 0; i < groups; i++)
        printf(",\"cpu_us_%s\":%" PRIu64, argv[6 + i], cpu_of(argv[6 + i]) - before[i]);
    printf("}\n");
    return 0;
}
