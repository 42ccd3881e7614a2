/* An HTTP/1.1 server that misbehaves by plan and writes down, by its own clock, what it did to each request.

       recorder LOG < PLAN          prints its port; ends with its standard input

   PLAN   lines `BEGIN END KIND` (ns after the first request), in order and apart; then one empty line
   LOG    written at the end: 16 bytes an entry, { ns of CLOCK_MONOTONIC, what, number }

   To a request: OK answered; RESET the connection is reset; BUSY answered 503; STALL never answered; SLOW answered after
   `number` us. To everybody: DOWN the listener is closed and every connection is reset; PAUSE nothing is read.
   One thread; arrival is when epoll has told of the bytes and they have been read. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { OK, RESET, BUSY, STALL, SLOW, DOWN, PAUSE, KINDS };
enum { BEGIN = 16, END = 17 }; /* entries about windows; their number is the kind */
static const char *NAMES[KINDS] = {"ok", "reset", "busy", "stall", "slow", "down", "pause"};

#define SLOW_NS 200000000ull
#define MOST_FDS 65536
#define REPLY "\r\nserver: recorder\r\nx-meshtest-served-by: web/v1/web-1\r\ncontent-length: 2\r\n\r\nok"

struct entry { uint64_t at; uint32_t what, number; };
struct window { uint64_t begin, end; int kind; };
struct later { uint64_t at; int fd; uint32_t life; };

static struct entry *entries; static size_t noted, room;
static struct window *plan; static size_t windows, next_window;
static struct later *queue; static size_t first_later, last_later, later_room;
static int poller, timer, listener = -1, in_window, log_fd;
static uint64_t first_request;
static uint16_t port;
static uint8_t matched[MOST_FDS], open_fd[MOST_FDS]; /* bytes of "\r\n\r\n" seen; is a connection */
static uint32_t life[MOST_FDS];                      /* tells one use of a descriptor from the next */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *grow(void *array, size_t *size, size_t item) {
    *size = *size ? *size * 2 : 1 << 16;
    if (!(array = realloc(array, *size * item))) exit(1);
    return array;
}

static void note(uint64_t at, uint32_t what, uint32_t number) {
    if (noted == room) entries = grow(entries, &room, sizeof *entries);
    entries[noted++] = (struct entry){at, what, number};
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void listen_again(void) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&where, size) || listen(listener, 4096)) { perror("listen"); exit(1); }
    getsockname(listener, (struct sockaddr *)&where, &size);
    port = ntohs(where.sin_port);
    watch(listener);
}

static void cut(int fd, int reset) {
    struct linger abort = {1, 0};
    if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    open_fd[fd] = 0;
    life[fd]++;
    close(fd);
}

static void reply(int fd, int busy) {
    const char *text = busy ? "HTTP/1.1 503 Service Unavailable" REPLY : "HTTP/1.1 200 OK" REPLY;
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) cut(fd, 0);
}

static void arm(void) { /* the timer rings for the next edge of a window, or the next slow answer */
    uint64_t at = UINT64_MAX;
    if (first_request && next_window < windows)
        at = first_request + (in_window ? plan[next_window].end : plan[next_window].begin);
    if (first_later < last_later && queue[first_later].at < at) at = queue[first_later].at;
    struct itimerspec when = {0};
    if (at != UINT64_MAX) when.it_value = (struct timespec){at / 1000000000ull, at % 1000000000ull + !at};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, 0);
}

static void serve(int fd) { /* one request */
    uint64_t now = now_ns();
    int kind = in_window ? plan[next_window].kind : OK;
    if (!first_request) { first_request = now; arm(); }
    note(now, kind, kind == SLOW ? SLOW_NS / 1000 : 0);
    if (kind == RESET) cut(fd, 1);
    else if (kind == OK || kind == BUSY) reply(fd, kind == BUSY);
    else if (kind == SLOW) {
        if (last_later == later_room) queue = grow(queue, &later_room, sizeof *queue);
        queue[last_later++] = (struct later){now + SLOW_NS, fd, life[fd]};
        arm();
    }
}

static void receive(int fd) {
    static const char END_OF_HEAD[] = "\r\n\r\n";
    char data[65536];
    ssize_t size = recv(fd, data, sizeof data, 0);
    if (size <= 0) {
        if (!size || errno != EAGAIN) cut(fd, 0);
        return;
    }
    for (ssize_t i = 0; i < size && open_fd[fd]; i++) {
        matched[fd] = data[i] == END_OF_HEAD[matched[fd]] ? matched[fd] + 1 : data[i] == '\r';
        if (matched[fd] == 4) { matched[fd] = 0; serve(fd); }
    }
}

static void welcome(void) {
    int fd, on = 1;
    while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MOST_FDS) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        open_fd[fd] = 1;
        matched[fd] = 0;
        watch(fd);
    }
}

static void enter(int kind) {
    in_window = 1;
    if (kind == DOWN) {
        close(listener);
        listener = -1;
        for (int fd = 0; fd < MOST_FDS; fd++)
            if (open_fd[fd]) cut(fd, 1);
    }
    note(now_ns(), BEGIN, kind);
    if (kind == PAUSE) {
        uint64_t end = first_request + plan[next_window].end;
        struct timespec until = {end / 1000000000ull, end % 1000000000ull};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
    }
}

static void leave(int kind) {
    if (kind == DOWN) listen_again();
    note(now_ns(), END, kind);
    in_window = 0;
    next_window++;
}

static void tick(void) {
    uint64_t rings;
    if (read(timer, &rings, sizeof rings) < 0) return;
    uint64_t now = now_ns();
    while (first_later < last_later && queue[first_later].at <= now) {
        struct later *due = &queue[first_later++];
        if (open_fd[due->fd] && life[due->fd] == due->life) reply(due->fd, 0);
    }
    if (first_request && next_window < windows) {
        struct window *w = &plan[next_window];
        if (!in_window && now >= first_request + w->begin) enter(w->kind);
        else if (in_window && now >= first_request + w->end) leave(w->kind);
    }
    arm();
}

static void read_plan(void) {
    char line[200], kind[20];
    size_t size = 0;
    while (fgets(line, sizeof line, stdin) && *line != '\n') {
        struct window w = {0};
        if (sscanf(line, "%lu %lu %19s", &w.begin, &w.end, kind) != 3) exit(2);
        while (w.kind < KINDS && strcmp(kind, NAMES[w.kind])) w.kind++;
        if (w.kind == KINDS) exit(2);
        if (windows == size) plan = grow(plan, &size, sizeof *plan);
        plan[windows++] = w;
    }
}

static void write_log(void) {
    const char *data = (const char *)entries;
    size_t left = noted * sizeof *entries;
    while (left) {
        ssize_t written = write(log_fd, data, left);
        if (written < 0) exit(1);
        data += written;
        left -= written;
    }
}

int main(int count, char **arguments) {
    struct epoll_event ready[256];
    if (count != 2 || (log_fd = open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) return 2;
    setvbuf(stdin, 0, _IONBF, 0);
    read_plan();
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    listen_again();
    watch(timer);
    watch(0);
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        int ready_count = epoll_wait(poller, ready, 256, -1);
        for (int i = 0; i < ready_count; i++) {
            int fd = ready[i].data.fd;
            if (fd == 0) { write_log(); return 0; }
            if (fd == timer) tick();
            else if (fd == listener) welcome();
            else if (open_fd[fd]) receive(fd);
        }
    }
}
