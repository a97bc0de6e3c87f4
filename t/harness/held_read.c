/*
 * A disk that does not answer, for LD_PRELOAD: while the file named by
 * HELD_READ exists, reads of files below the folder named by HELD_READ_DIR
 * wait, but for short ones; the first to do so makes a file of that name with ".held" behind it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_US   1000
#define SHORT     64


static int
below(int fd, const char *dir)
{
    ssize_t  n;
    char     link[64], path[4096];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path));

    return n > (ssize_t) strlen(dir) && memcmp(path, dir, strlen(dir)) == 0;
}


static void
hold(int fd, size_t size)
{
    int          made;
    char         held[4096];
    const char  *flag, *dir;

    flag = getenv("HELD_READ");
    dir = getenv("HELD_READ_DIR");

    if (flag == NULL || dir == NULL || access(flag, F_OK) != 0
        || size <= SHORT || !below(fd, dir))
    {
        return;
    }

    snprintf(held, sizeof(held), "%s.held", flag);
    made = open(held, O_CREAT|O_WRONLY, 0644);
    close(made);

    while (access(flag, F_OK) == 0) {
        usleep(LOOK_US);
    }
}


ssize_t
pread64(int fd, void *buf, size_t size, off64_t offset)
{
    static ssize_t (*next)(int, void *, size_t, off64_t);

    hold(fd, size);

    if (next == NULL) {
        next = (ssize_t (*)(int, void *, size_t, off64_t))
                   dlsym(RTLD_NEXT, "pread64");
    }

    return next(fd, buf, size, offset);
}


ssize_t
pread(int fd, void *buf, size_t size, off_t offset)
{
    return pread64(fd, buf, size, offset);
}
