/*
 * A kernel under pressure: every few writes to a TCP socket take nothing (EAGAIN) or only a few bytes. Preloaded into a test's process
 * (short-writes.test.ts); says at the end how often it did so. The sequence is the same each time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t state = 88172645463325252ull;
static long count;

static size_t below(size_t most) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (size_t)(state % most);
}

static int is_tcp(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return 0;
  return address.ss_family == AF_INET || address.ss_family == AF_INET6;
}

/* How many of `bytes` this write may take; 0: none. */
static size_t taken(int fd, size_t bytes) {
  if (bytes == 0 || !is_tcp(fd)) return bytes;
  size_t luck = below(6);
  if (luck > 1) return bytes;
  count++;
  if (luck == 0) return 0;
  return 1 + below(bytes > 20 ? 20 : bytes);
}

static ssize_t nothing(void) {
  errno = EAGAIN;
  return -1;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
  size_t some = taken(fd, size);
  return size > 0 && some == 0 ? nothing() : real(fd, bytes, some, flags);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  size_t some = taken(fd, size);
  return size > 0 && some == 0 ? nothing() : real(fd, bytes, some);
}

ssize_t writev(int fd, const struct iovec *parts, int amount) {
  ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
  if (amount == 0) return real(fd, parts, amount);
  size_t some = taken(fd, parts[0].iov_len);
  if (some == parts[0].iov_len) return real(fd, parts, amount);
  if (some == 0) return nothing();
  struct iovec first = {parts[0].iov_base, some};
  return real(fd, &first, 1);
}

__attribute__((destructor)) static void report(void) {
  dprintf(2, "short writes: %ld\n", count);
}
