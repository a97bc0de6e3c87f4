/*
 * A worker whose turn of the event loop takes long, for LD_PRELOAD: while the
 * file named by HELD_PURGE exists, who is about to read a PURGE waits; the
 * first to do so makes a file of that name with ".held" behind it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_US   1000


typedef ssize_t (*recv_pt)(int, void *, size_t, int);


static void
hold(void)
{
    int          made;
    char         held[4096];
    const char  *flag;

    flag = getenv("HELD_PURGE");

    if (flag == NULL || access(flag, F_OK) != 0) {
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
recv(int fd, void *buf, size_t size, int flags)
{
    char            begin[5];
    static recv_pt  next;

    if (next == NULL) {
        next = (recv_pt) dlsym(RTLD_NEXT, "recv");
    }

    if (next(fd, begin, sizeof(begin), MSG_PEEK|MSG_DONTWAIT) == sizeof(begin)
        && memcmp(begin, "PURGE", sizeof(begin)) == 0)
    {
        hold();
    }

    return next(fd, buf, size, flags);
}
