/**
 * The WebSocket load generator: one thread, one epoll set, frames masked beforehand. Cheaper than any server it measures,
 * and it prints its own CPU time so that this can be checked.
 *
 *   load MODE key=value …      (prints one JSON line at the end; see usage())
 *
 *   echo    conns, outstanding, bytes            closed loop: `outstanding` frames wait per connection
 *   echo    conns, rate, bytes                   open loop: messages due at a fixed total rate
 *   stream  conns, request, tokens [, rampms]    sends `request` on every connection, takes tokens until the terminal frame
 *   sink    conns                                takes tokens that come by themselves
 *   idle    conns                                holds the connections; prints "open", leaves when stdin ends
 *   hold    conns, request                       the same, but each asks, and open are those that have their first token
 *   quiet                                        spins on both cores: how much time the host took away
 *
 * Every echoed frame and every token is checked for order; `tokens` also for completeness. In the window [warm, warm + seconds)
 * counts, latencies and the server's CPU time (pid=…, all threads, from schedstat) are taken at the same two moments.
 */
#include "wire.h"

#define INPUT_BYTES (256 * 1024)
#define BUCKETS (40 * 32)
#define THREADS_MAX 64
#define MASK 0x3d21fa37u

static struct {
  const char *mode, *path, *request, *header;
  int port, conns, outstanding, bytes, pid, rampms, core;
  /** Streams over HTTP: a POST each, answered as chunks of Server-Sent Events. */
  int post;
  unsigned tokens;
  double rate, warm, seconds, grace;
} ask = {.path = "/ws", .conns = 100, .outstanding = 1, .bytes = 64, .warm = 0.3, .seconds = 1, .grace = 15, .core = -1};

struct conn {
  int fd;
  /** Next sequence number to send, next expected. */
  uint32_t sending, expecting;
  unsigned char *rest;
  size_t rest_have;
  uint64_t *sent_at;
  int started, ended;
  /** The head of the HTTP answer is over. */
  int headed;
};

static struct conn *conns;
static int poller, measuring;
static uint64_t messages, tokens, frames_all, tokens_all, out_of_order, foreign, broken, ended, bytes_in, wakeups;
static uint64_t histogram[BUCKETS];
/** Sent moments are kept in a ring of this size - 1. */
static uint32_t sent_mask;
static unsigned char *frame, *request_frame;
static size_t frame_bytes, payload_at, request_bytes;
static char failure[256];

// Latency: 32 buckets per power of two, of microseconds.

static void note(uint64_t ns) {
  uint64_t value = ns / 1000;
  int bucket = (int)value;
  if (value >= 32) {
    int power = 63 - __builtin_clzll(value);
    bucket = (power - 4) * 32 + (int)(value >> (power - 5)) - 32;
  }
  if (bucket >= BUCKETS) bucket = BUCKETS - 1;
  histogram[bucket]++;
}

static double percentile(double share) {
  uint64_t all = 0, seen = 0;
  for (int i = 0; i < BUCKETS; i++) all += histogram[i];
  if (!all) return 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if ((double)seen < share * (double)all) continue;
    if (i < 32) return i;
    return (double)((uint64_t)(32 + i % 32) << (i / 32 - 1));
  }
  return 0;
}

// CPU time of the server, thread by thread.

struct cpu {
  int count;
  int tid[THREADS_MAX];
  uint64_t ns[THREADS_MAX];
};

static void read_cpu(struct cpu *into) {
  into->count = 0;
  if (!ask.pid) return;
  char path[64], line[128];
  snprintf(path, sizeof path, "/proc/%d/task", ask.pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *e; (e = readdir(folder)) && into->count < THREADS_MAX;) {
    if (e->d_name[0] == '.') continue;
    char file[400];
    snprintf(file, sizeof file, "%s/%s/schedstat", path, e->d_name);
    int fd = open(file, O_RDONLY);
    if (fd < 0) continue;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    if (n <= 0) continue;
    line[n] = 0;
    into->tid[into->count] = atoi(e->d_name);
    into->ns[into->count++] = strtoull(line, NULL, 10);
  }
  closedir(folder);
}

static struct cpu cpu_before, cpu_after;
static uint64_t own_before, own_after, window_from, window_to;

static void print_cpu(void) {
  uint64_t all = 0, main_thread = 0;
  for (int i = 0; i < cpu_after.count; i++) {
    uint64_t before = 0;
    for (int k = 0; k < cpu_before.count; k++)
      if (cpu_before.tid[k] == cpu_after.tid[i]) before = cpu_before.ns[k];
    all += cpu_after.ns[i] - before;
    if (cpu_after.tid[i] == ask.pid) main_thread = cpu_after.ns[i] - before;
  }
  printf("\"cpuNs\":%llu,\"mainNs\":%llu,\"threads\":%d,", (unsigned long long)all, (unsigned long long)main_thread,
         cpu_after.count);
}

static void window_opens(void) {
  read_cpu(&cpu_before);
  own_before = own_cpu_ns();
  window_from = now_ns();
  measuring = 1;
}

static void window_closes(void) {
  measuring = 0;
  window_to = now_ns();
  own_after = own_cpu_ns();
  read_cpu(&cpu_after);
}

// Frames.

static unsigned char *masked(const unsigned char *payload, size_t length, size_t *total, size_t *start) {
  unsigned char *out = malloc(length + 14);
  size_t n = 0;
  uint32_t mask = MASK;
  out[n++] = 0x81;
  if (length < 126) out[n++] = (unsigned char)(0x80 | length);
  else if (length < 65536) {
    out[n++] = 0x80 | 126;
    out[n++] = (unsigned char)(length >> 8);
    out[n++] = (unsigned char)length;
  } else fail("load: request too long");
  memcpy(out + n, &mask, 4);
  n += 4;
  *start = n;
  for (size_t i = 0; i < length; i++) out[n + i] = payload[i] ^ (unsigned char)(mask >> (8 * (i & 3)));
  *total = n + length;
  return out;
}

static void write_all(struct conn *c, const unsigned char *bytes, size_t length) {
  while (length) {
    ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      struct pollfd p = {.fd = c->fd, .events = POLLOUT};
      poll(&p, 1, 1000);
      continue;
    }
    if (n <= 0) return;
    bytes += n;
    length -= (size_t)n;
  }
}

/** `count` echo messages in one write; the sequence number stands in the first 8 bytes. */
static void send_echo(struct conn *c, int count, uint64_t due) {
  static unsigned char out[1 << 20];
  unsigned char digits[8];
  size_t n = 0;
  uint32_t mask = MASK;
  for (int i = 0; i < count; i++) {
    memcpy(out + n, frame, frame_bytes);
    c->sent_at[c->sending & sent_mask] = due;
    put_hex(digits, c->sending++, 8);
    for (int k = 0; k < 8; k++) out[n + payload_at + (size_t)k] = digits[k] ^ (unsigned char)(mask >> (8 * (k & 3)));
    n += frame_bytes;
    if (n + frame_bytes > sizeof out) {
      write_all(c, out, n);
      n = 0;
    }
  }
  write_all(c, out, n);
}

static void take_echo(struct conn *c, const unsigned char *payload, size_t length, uint64_t now) {
  uint64_t sequence;
  if (length != (size_t)ask.bytes || !get_hex(payload, 8, &sequence)) {
    foreign++;
    return;
  }
  if ((uint32_t)sequence != c->expecting) out_of_order++;
  c->expecting = (uint32_t)sequence + 1;
  if (measuring) {
    messages++;
    note(now - c->sent_at[sequence & sent_mask]);
  }
}

static void take_token(struct conn *c, uint32_t sequence, uint64_t due, uint64_t now) {
  tokens_all++;
  if (sequence != c->expecting) {
    out_of_order++;
    if (!failure[0]) snprintf(failure, sizeof failure, "token %u where %u was due", sequence, c->expecting);
  }
  c->expecting = sequence + 1;
  if (measuring) {
    tokens++;
    note(now - due);
  }
}

static int holds(const unsigned char *in, size_t length, const char *word) {
  return memmem(in, length < 120 ? length : 120, word, strlen(word)) != NULL;
}

static void take_delta(struct conn *c, const unsigned char *payload, size_t length, uint64_t now) {
  const unsigned char *at = payload, *end = payload + length;
  while ((at = memchr(at, '~', (size_t)(end - at))) && end - at >= TOKEN_BYTES) {
    uint32_t sequence;
    uint64_t due;
    if (get_token(at, &sequence, &due)) {
      take_token(c, sequence, due, now);
      at += TOKEN_BYTES;
    } else at++;
  }
}

static void take_event(struct conn *c, const unsigned char *payload, size_t length, uint64_t now) {
  if (measuring) messages++;
  if (ask.mode[1] == 'i' || holds(payload, length, "output_text.delta\"")) {
    take_delta(c, payload, length, now);
    return;
  }
  if (holds(payload, length, "\"response.completed\"")) {
    ended++;
    c->ended = 1;
    if (ask.tokens && c->expecting != ask.tokens) {
      broken++;
      snprintf(failure, sizeof failure, "stream ended after %u of %u tokens", c->expecting, ask.tokens);
    }
  } else if (holds(payload, length, "\"error\"") || holds(payload, length, "\"response.failed\"")) {
    broken++;
    ended++;
    c->ended = 1;
    const unsigned char *from = memmem(payload, length, "\"error\":{", 9);
    if (!from) from = payload;
    size_t rest = length - (size_t)(from - payload);
    snprintf(failure, sizeof failure, "%.*s", (int)(rest < 200 ? rest : 200), from);
    for (char *q = failure; *q; q++)
      if (*q == '"' || *q == '\\' || *q < ' ') *q = '\'';
  }
}

static void lost(struct conn *c) {
  if (c->fd < 0) return;
  epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
  close(c->fd);
  c->fd = -1;
  if (!c->ended) {
    c->ended = 1;
    ended++;
    broken++;
    if (!failure[0]) snprintf(failure, sizeof failure, "the server closed a connection");
  }
}

/** Takes whole frames from `in`; returns the bytes used. */
static size_t take_frames(struct conn *c, const unsigned char *in, size_t have, uint64_t now, int *echoes) {
  size_t at = 0;
  while (have - at >= 2) {
    size_t head = 2, length = in[at + 1] & 127;
    if (length == 126) {
      head = 4;
      if (have - at < 4) break;
      length = (size_t)in[at + 2] << 8 | in[at + 3];
    } else if (length == 127) {
      head = 10;
      if (have - at < 10) break;
      length = 0;
      for (int i = 2; i < 10; i++) length = length << 8 | in[at + (size_t)i];
    }
    if (have - at < head + length) break;
    const unsigned char *payload = in + at + head;
    int opcode = in[at] & 15;
    if (opcode == 1 || opcode == 2) {
      frames_all++;
      if (ask.mode[0] == 'e') {
        take_echo(c, payload, length, now);
        ++*echoes;
      } else take_event(c, payload, length, now);
    } else if (opcode == 9) {
      size_t total, start;
      unsigned char *pong = masked(payload, length, &total, &start);
      pong[0] = 0x8a;
      write_all(c, pong, total);
      free(pong);
    } else if (opcode == 8) {
      snprintf(failure, sizeof failure, "closed by the server with %d",
               length >= 2 ? payload[0] << 8 | payload[1] : 1005);
      lost(c);
      return have;
    }
    at += head + length;
  }
  return at;
}

/** The events of one chunk: a server writes whole ones. */
static void take_chunk(struct conn *c, const unsigned char *in, size_t length, uint64_t now) {
  const unsigned char *end = in + length;
  while (in < end) {
    const unsigned char *data = memmem(in, (size_t)(end - in), "data: ", 6);
    if (!data) return;
    data += 6;
    const unsigned char *line = memchr(data, '\n', (size_t)(end - data));
    if (!line) line = end;
    frames_all++;
    take_event(c, data, (size_t)(line - data), now);
    in = line;
  }
}

/** Takes the head and whole chunks from `in`; returns the bytes used. */
static size_t take_chunks(struct conn *c, const unsigned char *in, size_t have, uint64_t now) {
  size_t at = 0;
  if (!c->headed) {
    const unsigned char *end = memmem(in, have, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(in, "HTTP/1.1 200", 12)) fail("load: refused: %.*s", (int)(have < 400 ? have : 400), in);
    c->headed = 1;
    at = (size_t)(end - in) + 2;
  }
  for (;;) {
    size_t from = at;
    while (from < have && (in[from] == '\r' || in[from] == '\n')) from++;
    const unsigned char *line = memchr(in + from, '\n', have - from);
    if (!line) return at;
    size_t length = strtoul((const char *)in + from, NULL, 16), start = (size_t)(line - in) + 1;
    if (have - start < length) return at;
    take_chunk(c, in + start, length, now);
    at = start + length;
    if (!length) return have;
  }
}

static void readable(struct conn *c) {
  static unsigned char input[INPUT_BYTES * 2];
  size_t have = c->rest_have;
  if (have) memcpy(input, c->rest, have);
  if (have >= INPUT_BYTES) fail("load: a frame above %d bytes", INPUT_BYTES);
  ssize_t n = recv(c->fd, input + have, INPUT_BYTES, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    lost(c);
    return;
  }
  if (measuring) bytes_in += (uint64_t)n;
  have += (size_t)n;
  uint64_t now = now_ns();
  int echoes = 0;
  size_t used = ask.post ? take_chunks(c, input, have, now) : take_frames(c, input, have, now, &echoes);
  size_t left = used < have ? have - used : 0;
  if (left) {
    if (left > c->rest_have || !c->rest) c->rest = realloc(c->rest, left < 4096 ? 4096 : left);
    memcpy(c->rest, input + used, left);
  } else if (c->rest) {
    free(c->rest);
    c->rest = NULL;
  }
  c->rest_have = left;
  if (echoes && ask.rate == 0 && c->fd >= 0) send_echo(c, echoes, now);
}

// Opening.

static int dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)ask.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int tries = 0; connect(fd, (struct sockaddr *)&to, sizeof to); tries++) {
    if (tries > 50) fail("load: cannot connect: %s", strerror(errno));
    usleep(20000);
  }
  if (ask.post) {
    no_delay(fd);
    no_block(fd);
    return fd;
  }
  char hello[1024];
  int n = snprintf(hello, sizeof hello,
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
                   ask.path, ask.port, ask.header ? ask.header : "", ask.header ? "\r\n" : "");
  if (send(fd, hello, (size_t)n, MSG_NOSIGNAL) != n) fail("load: cannot send the handshake");
  return fd;
}

/** Takes the answer to the handshake, and not one byte of the frames behind it. */
static void upgraded(int fd) {
  char answer[4096], *end = NULL;
  ssize_t have = 0;
  for (int tries = 0; !end; tries++) {
    have = recv(fd, answer, sizeof answer - 1, MSG_PEEK);
    if (have <= 0 || tries > 1000) fail("load: handshake refused: connection closed");
    answer[have] = 0;
    end = strstr(answer, "\r\n\r\n");
    if (!end) usleep(1000);
  }
  if (memcmp(answer, "HTTP/1.1 101", 12)) fail("load: handshake refused: %s", answer);
  have = end + 4 - answer;
  if (recv(fd, answer, (size_t)have, 0) != have) fail("load: handshake cut");
  no_delay(fd);
  no_block(fd);
}

static void open_all(void) {
  conns = calloc((size_t)ask.conns, sizeof *conns);
  sent_mask = 4095;
  if (ask.rate == 0)
    for (sent_mask = 1; sent_mask < (uint32_t)ask.outstanding; sent_mask = sent_mask * 2 + 1) {
    }
  poller = epoll_create1(0);
  const int together = 64;
  for (int from = 0; from < ask.conns; from += together) {
    int to = from + together < ask.conns ? from + together : ask.conns;
    for (int i = from; i < to; i++) conns[i].fd = dial();
    for (int i = from; i < to; i++) {
      if (!ask.post) upgraded(conns[i].fd);
      if (ask.mode[0] == 'e') conns[i].sent_at = calloc(sent_mask + 1, sizeof(uint64_t));
      struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
      epoll_ctl(poller, EPOLL_CTL_ADD, conns[i].fd, &e);
    }
  }
}

/** Waits at most until `until`, takes what came. */
static void turn(uint64_t until) {
  struct epoll_event events[512];
  uint64_t now = now_ns(), ns = until > now ? until - now : 0;
  struct timespec wait = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
  int n = epoll_pwait2(poller, events, 512, &wait, NULL);
  if (measuring) wakeups++;
  for (int i = 0; i < n; i++) {
    struct conn *c = events[i].data.ptr;
    if (c->fd >= 0) readable(c);
  }
}

// The modes.

static void run_window(uint64_t begin, void (*before_turn)(uint64_t now), uint64_t (*next)(void)) {
  uint64_t from = begin + (uint64_t)(ask.warm * 1e9), to = from + (uint64_t)(ask.seconds * 1e9);
  for (;;) {
    uint64_t now = now_ns();
    if (!measuring && !window_from && now >= from) window_opens();
    if (measuring && now >= to) {
      window_closes();
      return;
    }
    if (before_turn) before_turn(now);
    uint64_t until = measuring ? to : from, other = next ? next() : 0;
    turn(other && other < until ? other : until);
  }
}

static uint64_t due_at;
static int due_conn;

static void send_due(uint64_t now) {
  uint64_t step = (uint64_t)(1e9 / ask.rate);
  for (; due_at <= now; due_at += step, due_conn = (due_conn + 1) % ask.conns)
    if (conns[due_conn].fd >= 0) send_echo(&conns[due_conn], 1, due_at);
}

static uint64_t next_due(void) { return due_at; }

static void run_echo(void) {
  unsigned char payload[65536];
  if (ask.bytes < 8 || ask.bytes > 60000) fail("load: bytes must be 8 to 60000");
  memset(payload, 'm', sizeof payload);
  frame = masked(payload, (size_t)ask.bytes, &frame_bytes, &payload_at);
  uint64_t begin = now_ns();
  if (ask.rate > 0) {
    due_at = begin;
    run_window(begin, send_due, next_due);
  } else {
    for (int i = 0; i < ask.conns; i++) send_echo(&conns[i], ask.outstanding, begin);
    run_window(begin, NULL, NULL);
  }
}

static uint64_t ramp_from;
static int ramp_next;

static uint64_t ramp_due(void) {
  if (ramp_next >= ask.conns) return 0;
  return ramp_from + (uint64_t)ask.rampms * 1000000ull * (uint64_t)ramp_next / (uint64_t)ask.conns;
}

static void send_requests(uint64_t now) {
  while (ramp_next < ask.conns && ramp_due() <= now) write_all(&conns[ramp_next++], request_frame, request_bytes);
}

static void prepare_request(void) {
  size_t start;
  if (!ask.request) fail("load: this mode needs request=");
  if (ask.post) {
    size_t room = strlen(ask.request) + strlen(ask.path) + 200;
    request_frame = malloc(room);
    request_bytes = (size_t)snprintf((char *)request_frame, room,
                                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                                     "Content-Length: %zu\r\n\r\n%s",
                                     ask.path, ask.port, strlen(ask.request), ask.request);
  } else request_frame = masked((const unsigned char *)ask.request, strlen(ask.request), &request_bytes, &start);
}

static void run_stream(void) {
  prepare_request();
  ramp_from = now_ns();
  run_window(ramp_from + (uint64_t)ask.rampms * 1000000ull, send_requests, ramp_due);
  uint64_t deadline = now_ns() + (uint64_t)(ask.grace * 1e9);
  while (ended < (uint64_t)ask.conns && now_ns() < deadline) turn(now_ns() + 100000000ull);
  for (int i = 0; i < ask.conns; i++)
    if (!conns[i].ended) {
      broken++;
      if (!failure[0]) snprintf(failure, sizeof failure, "a stream had %u tokens and no end in time", conns[i].expecting);
    }
}

static void run_sink(void) { run_window(now_ns(), NULL, NULL); }

/** Says that all is open, and stays so until stdin ends. */
static void run_idle(void) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poller, EPOLL_CTL_ADD, 0, &e);
  printf("{\"open\":%d}\n", ask.conns);
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    int n = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < n; i++) {
      char line[256];
      if (events[i].data.ptr) readable(events[i].data.ptr);
      else if (read(0, line, sizeof line) <= 0) return;
    }
  }
}

/** Every connection asks once; open is what has its first token. */
static void run_hold(void) {
  prepare_request();
  uint64_t deadline = now_ns() + 60 * SECOND;
  for (int i = 0; i < ask.conns; i++) {
    write_all(&conns[i], request_frame, request_bytes);
    if (i % 16 == 15) turn(now_ns() + 1000000);
  }
  for (int i = 0; i < ask.conns; i++) {
    while (!conns[i].expecting && now_ns() < deadline) turn(now_ns() + 100000000ull);
    if (!conns[i].expecting) fail("load: a stream has no first token after a minute");
  }
  run_idle();
}

/** One spinner per core: milliseconds per second that somebody else had. */
static void run_quiet(void) {
  int cores = (int)sysconf(_SC_NPROCESSORS_ONLN), ends[2];
  if (pipe(ends)) fail("load: no pipe");
  for (int core = 0; core < cores; core++) {
    if (fork()) continue;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
    uint64_t from = now_ns(), last = from, gaps = 0, to = from + (uint64_t)(ask.seconds * 1e9);
    while (last < to) {
      uint64_t now = now_ns();
      if (now - last > 300000) gaps += now - last;
      last = now;
    }
    double share = (double)gaps / (double)(last - from);
    _exit(write(ends[1], &share, sizeof share) == sizeof share ? 0 : 1);
  }
  double worst = 0, share;
  for (int i = 0; i < cores; i++) {
    if (read(ends[0], &share, sizeof share) != sizeof share) fail("load: a spinner died");
    if (share > worst) worst = share;
  }
  while (wait(NULL) > 0) {
  }
  printf("{\"gapShare\":%.5f,\"cores\":%d}\n", worst, cores);
}

static void usage(void) { fail("usage: load echo|stream|sink|idle|hold|quiet port=N [key=value …]"); }

static void parse(int argc, char **argv) {
  if (argc < 2) usage();
  ask.mode = argv[1];
  for (int i = 2; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (!value) usage();
    *value++ = 0;
    const char *key = argv[i];
    if (!strcmp(key, "port")) ask.port = atoi(value);
    else if (!strcmp(key, "path")) ask.path = value;
    else if (!strcmp(key, "header")) ask.header = value;
    else if (!strcmp(key, "request")) ask.request = value;
    else if (!strcmp(key, "conns")) ask.conns = atoi(value);
    else if (!strcmp(key, "outstanding")) ask.outstanding = atoi(value);
    else if (!strcmp(key, "bytes")) ask.bytes = atoi(value);
    else if (!strcmp(key, "post")) ask.post = atoi(value);
    else if (!strcmp(key, "pid")) ask.pid = atoi(value);
    else if (!strcmp(key, "rampms")) ask.rampms = atoi(value);
    else if (!strcmp(key, "tokens")) ask.tokens = (unsigned)atoi(value);
    else if (!strcmp(key, "rate")) ask.rate = atof(value);
    else if (!strcmp(key, "warm")) ask.warm = atof(value);
    else if (!strcmp(key, "seconds")) ask.seconds = atof(value);
    else if (!strcmp(key, "grace")) ask.grace = atof(value);
    else fail("load: unknown key %s", key);
  }
}

static void report(void) {
  printf("{");
  print_cpu();
  printf("\"ownNs\":%llu,\"seconds\":%.6f,\"messages\":%llu,\"tokens\":%llu,\"bytes\":%llu,\"wakeups\":%llu,"
         "\"framesAll\":%llu,\"tokensAll\":%llu,\"outOfOrder\":%llu,\"foreign\":%llu,\"ended\":%llu,\"broken\":%llu,"
         "\"p50Us\":%.0f,\"p90Us\":%.0f,\"p99Us\":%.0f,\"p999Us\":%.0f,\"maxUs\":%.0f,\"failure\":\"%s\"}\n",
         (unsigned long long)(own_after - own_before), (double)(window_to - window_from) / 1e9,
         (unsigned long long)messages, (unsigned long long)tokens, (unsigned long long)bytes_in,
         (unsigned long long)wakeups, (unsigned long long)frames_all, (unsigned long long)tokens_all,
         (unsigned long long)out_of_order, (unsigned long long)foreign, (unsigned long long)ended,
         (unsigned long long)broken, percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
         percentile(1), failure);
}

int main(int argc, char **argv) {
  parse(argc, argv);
  all_files();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1000);
  if (!strcmp(ask.mode, "quiet")) {
    run_quiet();
    return 0;
  }
  if (!ask.port) usage();
  open_all();
  if (!strcmp(ask.mode, "idle")) {
    run_idle();
    return 0;
  }
  if (!strcmp(ask.mode, "hold")) {
    run_hold();
    return 0;
  }
  if (!strcmp(ask.mode, "echo")) run_echo();
  else if (!strcmp(ask.mode, "stream")) run_stream();
  else if (!strcmp(ask.mode, "sink")) run_sink();
  else usage();
  report();
  return 0;
}
