/* The application under observation: an HTTP/1.1 server with one thread, poll and keep-alive that does next to
 * nothing, so that what an agent adds stands out. Answers every GET with the same body.
 *
 * usage: httpd PORT [BODY_BYTES]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 256, BUFFER = 16384 };

struct client {
    int fd;
    size_t held;
    char buffer[BUFFER];
};

static struct client clients[CLIENTS];
static int count;
static char answer[8192];
static int answer_length;

static int listen_on(int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 128)) {
        perror("httpd: listen");
        exit(1);
    }
    return fd;
}

static void accept_one(int listener) {
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    clients[count].fd = fd;
    clients[count].held = 0;
    count++;
}

/* Reads what is there and answers each whole request. Whether the client is still connected. */
static int serve(struct client *client) {
    ssize_t n = read(client->fd, client->buffer + client->held, BUFFER - client->held);
    if (n <= 0)
        return 0;
    client->held += n;
    for (;;) {
        char *end = memmem(client->buffer, client->held, "\r\n\r\n", 4);
        if (!end)
            return client->held < BUFFER;
        size_t head = end + 4 - client->buffer;
        client->held -= head;
        memmove(client->buffer, client->buffer + head, client->held);
        if (write(client->fd, answer, answer_length) < 0)
            return 0;
    }
}

int main(int argc, char **argv) {
    int body = argc > 2 ? atoi(argv[2]) : 100;
    if (argc < 2 || body < 0 || body > 4096) {
        fprintf(stderr, "usage: httpd PORT [BODY_BYTES, at most 4096]\n");
        return 2;
    }
    char *filler = malloc(body + 1);
    memset(filler, 'x', body);
    answer_length = snprintf(answer, sizeof answer,
                             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%.*s", body,
                             body, filler);
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(atoi(argv[1]));
    for (;;) {
        struct pollfd polled[CLIENTS + 1];
        polled[0] = (struct pollfd){.fd = count < CLIENTS ? listener : -1, .events = POLLIN};
        for (int i = 0; i < count; i++)
            polled[i + 1] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
        if (poll(polled, count + 1, -1) < 0)
            continue;
        for (int i = count - 1; i >= 0; i--) {
            if (!polled[i + 1].revents || serve(&clients[i]))
                continue;
            close(clients[i].fd);
            clients[i] = clients[--count];
        }
        if (polled[0].revents)
            accept_one(listener);
    }
}
