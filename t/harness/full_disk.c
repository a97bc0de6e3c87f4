/*
 * A disk that is full, for LD_PRELOAD: while the file named by FULL_DISK
 * exists, writes to files below the folder named by FULL_DISK_DIR fail; and
 * while the one named by HELD_DISK exists, those by threads wait (an event
 * loop would wait for ever); who does so makes a file of that name with
 * ".held" behind it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


static int
flagged(int fd, const char *name)
{
    ssize_t      n;
    const char  *flag, *dir;
    char         link[64], path[4096];

    flag = getenv(name);
    dir = getenv("FULL_DISK_DIR");

    if (flag == NULL || dir == NULL || access(flag, F_OK) != 0) {
        return 0;
    }

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path));

    return n > (ssize_t) strlen(dir) && memcmp(path, dir, strlen(dir)) == 0;
}


static void
hold(int fd)
{
    int   made;
    char  held[4096];

    if (gettid() == getpid() || !flagged(fd, "HELD_DISK")) {
        return;
    }

    snprintf(held, sizeof(held), "%s.held", getenv("HELD_DISK"));
    made = open(held, O_CREAT|O_WRONLY, 0644);
    close(made);

    while (flagged(fd, "HELD_DISK")) {
        usleep(1000);
    }
}


ssize_t
pwrite64(int fd, const void *buf, size_t size, off64_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off64_t);

    hold(fd);

    if (flagged(fd, "FULL_DISK")) {
        errno = ENOSPC;
        return -1;
    }

    if (next == NULL) {
        next = (ssize_t (*)(int, const void *, size_t, off64_t))
                   dlsym(RTLD_NEXT, "pwrite64");
    }

    return next(fd, buf, size, offset);
}


ssize_t
pwrite(int fd, const void *buf, size_t size, off_t offset)
{
    return pwrite64(fd, buf, size, offset);
}
