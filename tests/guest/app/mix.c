/* What the load does not use: requests and answers of many small pieces by writev, readv, sendmsg and recvmsg, over TCP
 * and over a Unix stream socket, and DNS over UDP. Both ends are this program: it says what it did, in numbers that the
 * scenario compares with the spans.
 *
 * usage: mix COUNT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIECES = 8, BUFFER = 4096 };

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

/* Writes a text in pieces: by writev, or by sendmsg. */
static void send_pieces(int fd, const char *text, int by_message) {
    struct iovec pieces[PIECES];
    size_t length = strlen(text), done = 0;
    for (int i = 0; i < PIECES; i++) {
        size_t end = i == PIECES - 1 ? length : length * (i + 1) / PIECES;
        pieces[i] = (struct iovec){.iov_base = (char *)text + done, .iov_len = end - done};
        done = end;
    }
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = PIECES};
    ssize_t sent = by_message ? sendmsg(fd, &message, MSG_NOSIGNAL) : writev(fd, pieces, PIECES);
    check(sent == (ssize_t)length, "mix: send");
}

/* Reads until the text ends with `end`: by readv, or by recvmsg. 0: the peer closed. */
static int receive_pieces(int fd, char *text, const char *end, int by_message) {
    size_t held = 0;
    do {
        struct iovec pieces[2] = {{text + held, 16}, {text + held + 16, BUFFER - held - 17}};
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
        ssize_t n = by_message ? recvmsg(fd, &message, 0) : readv(fd, pieces, 2);
        check(n >= 0, "mix: receive");
        if (n == 0)
            return 0;
        held += n;
        text[held] = 0;
    } while (!strstr(text, end));
    return 1;
}

static void *serve(void *argument) {
    int fd = accept(*(int *)argument, NULL, NULL);
    char text[BUFFER];
    check(fd >= 0, "mix: accept");
    for (int i = 0; receive_pieces(fd, text, "\r\n\r\n", i & 1); i++)
        send_pieces(fd, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanswer.", i & 1);
    close(fd);
    return NULL;
}

static void requests(int listener, struct sockaddr *address, socklen_t size, const char *kind, int count) {
    pthread_t server;
    char text[BUFFER];
    check(!pthread_create(&server, NULL, serve, &listener), "mix: thread");
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    check(!connect(fd, address, size), "mix: connect");
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "GET /%s/%d HTTP/1.1\r\nHost: mix\r\nUser-Agent: mix\r\n\r\n", kind, i);
        send_pieces(fd, text, i & 1);
        check(receive_pieces(fd, text, "answer.", i & 1), "mix: answer");
    }
    close(fd);
    pthread_join(server, NULL);
    close(listener);
}

/* Asks itself for the address of a name, and answers. */
static void questions(int count) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from;
    int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
    check(!bind(server, (struct sockaddr *)&address, sizeof address), "mix: bind");
    check(!connect(client, (struct sockaddr *)&address, sizeof address), "mix: connect");
    for (int i = 0; i < count; i++) {
        unsigned char packet[512] = {i >> 8, i, 1, 0, 0, 1};
        char name[16];
        socklen_t size = sizeof from;
        int length = snprintf(name, sizeof name, "n%d", i), at = 12;
        packet[at++] = length;
        memcpy(packet + at, name, length);
        at += length;
        memcpy(packet + at, "\3mix\0\0\1\0\1", 9);
        at += 9;
        struct iovec halves[2] = {{packet, 10}, {packet + 10, at - 10}};
        check(writev(client, halves, 2) == at, "mix: question");
        check(recvfrom(server, packet, sizeof packet, 0, (struct sockaddr *)&from, &size) == at, "mix: asked");
        packet[2] = 0x81;
        packet[3] = 0x80;
        packet[7] = 1;
        memcpy(packet + at, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1", 16);
        at += 16;
        check(sendto(server, packet, at, 0, (struct sockaddr *)&from, size) == at, "mix: reply");
        check(recv(client, packet, sizeof packet, 0) == at, "mix: replied");
    }
    close(client);
    close(server);
}

int main(int argc, char **argv) {
    int count = argc == 2 ? atoi(argv[1]) : 0;
    if (count <= 0) {
        fprintf(stderr, "usage: mix COUNT\n");
        return 2;
    }
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/mix"};
    socklen_t size = sizeof tcp;
    int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0);
    check(!bind(a, (struct sockaddr *)&tcp, size) && !listen(a, 1), "mix: listen");
    check(!getsockname(a, (struct sockaddr *)&tcp, &size), "mix: getsockname");
    unlink(local.sun_path);
    check(!bind(b, (struct sockaddr *)&local, sizeof local) && !listen(b, 1), "mix: listen");
    requests(a, (struct sockaddr *)&tcp, sizeof tcp, "tcp", count);
    requests(b, (struct sockaddr *)&local, sizeof local, "unix", count);
    questions(count);
    printf("mix: %d requests over TCP, %d over a Unix socket, %d questions\n", count, count, count);
    return 0;
}
