/*
 * A system whose clock is set, for LD_PRELOAD: it is as many milliseconds
 * ahead as the file named by WRONG_CLOCK says. The monotonic clock goes on, or
 * is as far ahead as the file named by WRONG_UPTIME says.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


static long long
ahead(const char *name)
{
    int          fd;
    char         text[32];
    ssize_t      n;
    const char  *path;

    path = getenv(name);

    if (path == NULL) {
        return 0;
    }

    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    n = read(fd, text, sizeof(text) - 1);
    close(fd);

    text[n > 0 ? n : 0] = '\0';

    return atoll(text);
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int          rc;
    long long    ms;
    const char  *name;

    static int (*next)(clockid_t, struct timespec *);

    if (next == NULL) {
        next = (int (*)(clockid_t, struct timespec *))
                   dlsym(RTLD_NEXT, "clock_gettime");
    }

    rc = next(id, ts);

    name = id == CLOCK_REALTIME ? "WRONG_CLOCK"
           : id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE
           ? "WRONG_UPTIME" : NULL;

    if (rc == 0 && name != NULL) {
        ms = ts->tv_nsec / 1000000 + ahead(name);
        ts->tv_nsec = ts->tv_nsec % 1000000 + (ms % 1000 + 1000) % 1000
                                              * 1000000;
        ts->tv_sec += ms / 1000 - (ms % 1000 < 0);
    }

    return rc;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec  ts;

    (void) zone;

    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *out)
{
    struct timespec  ts;

    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }

    if (out) {
        *out = ts.tv_sec;
    }

    return ts.tv_sec;
}
