/*
 * A process that is killed when it has just made a temporary file, for
 * LD_PRELOAD: once, while the file named by KILLED_OPEN exists, which is
 * deleted then.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>


int
open64(const char *path, int flags, ...)
{
    int          fd;
    mode_t       mode;
    va_list      args;
    const char  *flag;

    static int (*next)(const char *, int, ...);

    if (next == NULL) {
        next = (int (*)(const char *, int, ...)) dlsym(RTLD_NEXT, "open64");
    }

    va_start(args, flags);
    mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);

    fd = next(path, flags, mode);

    flag = getenv("KILLED_OPEN");

    if (fd != -1 && (flags & O_CREAT) && (flags & O_EXCL) && flag
        && unlink(flag) == 0)
    {
        raise(SIGKILL);
    }

    return fd;
}
