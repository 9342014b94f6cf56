/**
 * What the load generator and the upstream share: time, token format, CPU time of a process, small socket helpers.
 *
 * A token is 24 bytes of text: '~', sequence number (6 hex digits), ':', the moment it was due (15 hex digits of
 * CLOCK_MONOTONIC nanoseconds), ' '. So the client can check order and completeness and compute the latency from the
 * moment a token was due, not from the moment somebody came to send it.
 */
#ifndef MILLRACE_BENCH_WIRE_H
#define MILLRACE_BENCH_WIRE_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_BYTES 24
#define SECOND 1000000000ull

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static inline uint64_t own_cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(2);
}

static inline void put_hex(unsigned char *at, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) at[i] = (unsigned char)"0123456789abcdef"[value & 15];
}

/** False when a byte is no hex digit. */
static inline int get_hex(const unsigned char *at, int digits, uint64_t *value) {
  uint64_t v = 0;
  for (int i = 0; i < digits; i++) {
    unsigned c = at[i];
    unsigned digit = c - '0' <= 9 ? c - '0' : c - 'a' <= 5 ? c - 'a' + 10 : 255;
    if (digit == 255) return 0;
    v = v << 4 | digit;
  }
  *value = v;
  return 1;
}

static inline void put_token(unsigned char *at, uint32_t sequence, uint64_t due) {
  at[0] = '~';
  put_hex(at + 1, sequence, 6);
  at[7] = ':';
  put_hex(at + 8, due, 15);
  at[23] = ' ';
}

static inline int get_token(const unsigned char *at, uint32_t *sequence, uint64_t *due) {
  uint64_t n;
  if (at[0] != '~' || at[7] != ':' || at[23] != ' ') return 0;
  if (!get_hex(at + 1, 6, &n) || !get_hex(at + 8, 15, due)) return 0;
  *sequence = (uint32_t)n;
  return 1;
}

static inline void no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline void no_block(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

static inline void all_files(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}
#endif
