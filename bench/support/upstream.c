/**
 * An upstream that speaks OpenAI chat completions as server-sent events, open loop: token i of a stream is due at its
 * start + i / rate, whatever the reader does. The request's model says what it wants: "r<tokens per second>n<tokens>",
 * e.g. "r50n400" or "r0.25n9". Any GET is answered 200. Prints {"port":…} and ends when stdin does.
 *
 * All streams of a round have one rate, so a queue of streams in the order of their next due moment stays sorted when the
 * served one goes to its end: no heap, no timers. A stream that could not write waits outside the queue for EPOLLOUT.
 */
#include "wire.h"

#define BODY_MAX 65536
#define BATCH 32

struct stream {
  int fd;
  int running, blocked;
  uint32_t sequence, tokens;
  uint64_t due, interval;
  unsigned char *in;
  size_t have;
  unsigned char *rest;
  size_t rest_have, rest_at;
  struct stream *next;
};

static int poller;
static struct stream *first, *last;
static unsigned char event_text[2048];
static size_t event_bytes, token_at;
static uint64_t served, behind_max;

static const char *HEAD =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

static size_t chunk(unsigned char *out, const char *data) {
  return (size_t)sprintf((char *)out, "%zx\r\n%s\r\n", strlen(data), data);
}

static const char *frame_of(char *out, const char *delta, const char *reason, const char *extra) {
  sprintf(out,
          "data: {\"id\":\"chatcmpl-B4nchUpstr3amBench00001\",\"object\":\"chat.completion.chunk\",\"created\":1763900000,"
          "\"model\":\"bench\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,"
          "\"delta\":%s,\"logprobs\":null,\"finish_reason\":%s}]%s}\n\n",
          delta, reason, extra);
  return out;
}

static void prepare(void) {
  char text[1024];
  frame_of(text, "{\"content\":\"~......:............... \"}", "null", "");
  event_bytes = chunk(event_text, text);
  token_at = (size_t)((unsigned char *)strchr((char *)event_text, '~') - event_text);
}

static void enqueue(struct stream *s) {
  s->next = NULL;
  if (last) last->next = s;
  else first = s;
  last = s;
}

static void drop(struct stream *s) {
  if (first == s) {
    first = s->next;
    if (!first) last = NULL;
  } else {
    for (struct stream *p = first; p; p = p->next) {
      if (p->next != s) continue;
      p->next = s->next;
      if (last == s) last = p;
      break;
    }
  }
  epoll_ctl(poller, EPOLL_CTL_DEL, s->fd, NULL);
  close(s->fd);
  free(s->in);
  free(s->rest);
  free(s);
}

static void watch(struct stream *s, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = s};
  epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
}

/** Writes, and keeps what does not fit. The stream then waits for EPOLLOUT. */
static void put(struct stream *s, const unsigned char *bytes, size_t length) {
  ssize_t done = s->rest_have ? 0 : send(s->fd, bytes, length, MSG_NOSIGNAL);
  if (done < 0) done = 0;
  if ((size_t)done == length) return;
  s->rest = realloc(s->rest, s->rest_have + length - (size_t)done);
  memcpy(s->rest + s->rest_have, bytes + done, length - (size_t)done);
  s->rest_have += length - (size_t)done;
  s->blocked = 1;
  watch(s, EPOLLIN | EPOLLOUT);
}

static void finish(struct stream *s) {
  unsigned char out[2048];
  char text[1024];
  size_t n = chunk(out, frame_of(text, "{}", "\"stop\"", ""));
  sprintf(text,
          "data: {\"id\":\"chatcmpl-B4nchUpstr3amBench00001\",\"object\":\"chat.completion.chunk\",\"created\":1763900000,"
          "\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%u,\"total_tokens\":%u}}\n\n",
          s->tokens, s->tokens + 9);
  n += chunk(out + n, text);
  n += chunk(out + n, "data: [DONE]\n\n");
  memcpy(out + n, "0\r\n\r\n", 5);
  s->running = 0;
  put(s, out, n + 5);
}

/** Everything due by now, at most BATCH tokens in one write. */
static void serve(struct stream *s, uint64_t now) {
  static unsigned char out[BATCH * 1024];
  size_t n = 0;
  if (now - s->due > behind_max) behind_max = now - s->due;
  for (int i = 0; i < BATCH && s->sequence < s->tokens && s->due <= now; i++) {
    memcpy(out + n, event_text, event_bytes);
    put_token(out + n + token_at, s->sequence++, s->due);
    n += event_bytes;
    s->due += s->interval;
    served++;
  }
  if (n) put(s, out, n);
  if (s->sequence == s->tokens) finish(s);
}

static void start(struct stream *s, const char *body) {
  double rate = 0;
  unsigned tokens = 0;
  const char *model = strstr(body, "\"model\":");
  const char *quote = model ? strchr(model + 8, '"') : NULL;
  if (!quote || sscanf(quote + 1, "r%lfn%u", &rate, &tokens) != 2 || !(rate > 0) || !tokens) {
    static const char bad[] = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n"
                              "{\"error\":{\"message\":\"model is r<n>n<n>\"}}\n";
    put(s, (const unsigned char *)bad, sizeof bad - 1);
    return;
  }
  unsigned char out[2048];
  char text[1024];
  size_t n = (size_t)sprintf((char *)out, "%s", HEAD);
  n += chunk(out + n, frame_of(text, "{\"role\":\"assistant\",\"content\":\"\"}", "null", ""));
  put(s, out, n);
  s->running = 1;
  s->sequence = 0;
  s->tokens = tokens;
  s->interval = (uint64_t)(SECOND / rate);
  s->due = now_ns() + s->interval;
  if (!s->blocked) enqueue(s);
}

/** One request after the other on a connection; never two at once. */
static int requests(struct stream *s) {
  for (;;) {
    if (s->running) return 1;
    s->in[s->have] = 0;
    char *end = strstr((char *)s->in, "\r\n\r\n");
    if (!end) return s->have < BODY_MAX;
    size_t head = (size_t)(end + 4 - (char *)s->in), length = 0;
    char *field = strcasestr((char *)s->in, "\r\ncontent-length:");
    if (field && field < end) length = strtoul(field + 17, NULL, 10);
    if (head + length > BODY_MAX) return 0;
    if (s->have < head + length) return 1;
    if (!memcmp(s->in, "GET ", 4)) {
      static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
      put(s, (const unsigned char *)ok, sizeof ok - 1);
    } else {
      unsigned char kept = s->in[head + length];
      s->in[head + length] = 0;
      start(s, (char *)s->in + head);
      s->in[head + length] = kept;
    }
    memmove(s->in, s->in + head + length, s->have - head - length);
    s->have -= head + length;
  }
}

static void readable(struct stream *s) {
  if (!s->in) s->in = malloc(BODY_MAX + 1);
  ssize_t n = recv(s->fd, s->in + s->have, BODY_MAX - s->have, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    drop(s);
    return;
  }
  s->have += (size_t)n;
  if (!requests(s)) drop(s);
}

static void writable(struct stream *s) {
  ssize_t n = send(s->fd, s->rest + s->rest_at, s->rest_have - s->rest_at, MSG_NOSIGNAL);
  if (n < 0) return;
  s->rest_at += (size_t)n;
  if (s->rest_at < s->rest_have) return;
  s->rest_at = s->rest_have = 0;
  s->blocked = 0;
  watch(s, EPOLLIN);
  if (s->running) enqueue(s);
}

static void accept_all(int listener) {
  for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
    no_block(fd);
    no_delay(fd);
    struct stream *s = calloc(1, sizeof *s);
    s->fd = fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
  }
}

static int listen_any(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) fail("upstream: cannot listen: %s", strerror(errno));
  getsockname(fd, (struct sockaddr *)&at, &size);
  no_block(fd);
  printf("{\"port\":%d}\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

int main(void) {
  all_files();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1000);
  prepare();
  poller = epoll_create1(0);
  int listener = listen_any();
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  struct stream input = {.fd = 0};
  e.data.ptr = &input;
  epoll_ctl(poller, EPOLL_CTL_ADD, 0, &e);
  struct epoll_event events[256];
  for (;;) {
    uint64_t now = now_ns();
    while (first && first->due <= now) {
      struct stream *s = first;
      first = s->next;
      if (!first) last = NULL;
      serve(s, now);
      if (s->running && !s->blocked) enqueue(s);
    }
    struct timespec wait = {.tv_sec = 1};
    if (first) {
      now = now_ns();
      uint64_t ns = first->due > now ? first->due - now : 0;
      wait.tv_sec = (time_t)(ns / SECOND);
      wait.tv_nsec = (long)(ns % SECOND);
    }
    int n = epoll_pwait2(poller, events, 256, &wait, NULL);
    for (int i = 0; i < n; i++) {
      struct stream *s = events[i].data.ptr;
      if (!s) {
        accept_all(listener);
        continue;
      }
      if (s == &input) {
        char line[256];
        if (read(0, line, sizeof line) <= 0) return 0;
        // Any line asks for the figures so far.
        printf("{\"served\":%llu,\"behindMaxUs\":%llu,\"cpuNs\":%llu}\n", (unsigned long long)served,
               (unsigned long long)behind_max / 1000, (unsigned long long)own_cpu_ns());
        fflush(stdout);
        behind_max = 0;
        continue;
      }
      if (events[i].events & EPOLLOUT) writable(s);
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(s);
    }
  }
}
