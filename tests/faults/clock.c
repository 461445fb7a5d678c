/*
 * clock: lets the clock of a process jump, for a real, unchanged process.
 *
 *     cc -shared -fPIC -O2 -Wall -Wextra -o clock.so clock.c -ldl -lpthread
 *     LD_PRELOAD=clock.so CLOCK_CONTROL=/tmp/clock process
 *
 * CLOCK_CONTROL is a file of eight bytes: by how many nanoseconds the time of day is shifted, a signed number in the byte order
 * of the machine. It is mapped: who writes it moves the clock at once. Before it is there, the clock is right.
 *
 * Only what asks for the time of day is shifted (clock_gettime of CLOCK_REALTIME, gettimeofday, time). Monotonic clocks are not,
 * and neither is how long a wait lasts: a machine whose clock is set does the same to those.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NANOS_PER_SECOND = 1000000000 };

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static const volatile int64_t *shift;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void) {
    real_clock_gettime = (__typeof__(&clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
    if (!real_clock_gettime) _exit(127);
    const char *path = getenv("CLOCK_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) shift = map;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    pthread_once(&once, begin);
    int failed = real_clock_gettime(clock, now);
    if (failed || !shift || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    int64_t nanos = (int64_t)now->tv_nsec + *shift % NANOS_PER_SECOND;
    now->tv_sec += *shift / NANOS_PER_SECOND;
    if (nanos < 0) { nanos += NANOS_PER_SECOND; now->tv_sec--; }
    if (nanos >= NANOS_PER_SECOND) { nanos -= NANOS_PER_SECOND; now->tv_sec++; }
    now->tv_nsec = (long)nanos;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    if (failed) return failed;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return (time_t)-1;
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
