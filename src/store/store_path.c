
/*
 * Opening what lies below a bucket, and nothing else.
 *
 * The kernel does it when it can (openat2(), Linux 5.6):
 *
 *     RESOLVE_BENEATH          no "..", no absolute link leads out
 *     RESOLVE_NO_SYMLINKS      no link is followed, wherever it leads
 *     RESOLVE_NO_MAGICLINKS    nor those of /proc
 *
 * Otherwise (ENOSYS, or EPERM from a sandbox that does not know the call)
 * each segment is opened in turn, with O_NOFOLLOW, from the one before it.
 * Both refuse the same things; keys with ".." never get here.
 */

#include "sprox_store_path.h"

#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>


/* Of <linux/openat2.h>, which older systems lack; the ABI is fixed. */

#ifndef SYS_openat2
#define SYS_openat2                    437
#endif

#define SPROX_STORE_NO_MAGICLINKS      0x02
#define SPROX_STORE_NO_SYMLINKS        0x04
#define SPROX_STORE_BENEATH            0x08

/* A rename elsewhere may make the kernel's check inconclusive: EAGAIN. */
#define SPROX_STORE_OPEN_TRIES         16

#define SPROX_STORE_PATH_FLAGS         (O_PATH|O_NOFOLLOW|O_CLOEXEC)
#define SPROX_STORE_OPEN_FLAGS                                                \
    (O_NOFOLLOW|O_NOCTTY|O_NONBLOCK|O_CLOEXEC)


typedef struct {
    uint64_t  flags;
    uint64_t  mode;
    uint64_t  resolve;
} sprox_store_how_t;


static int sprox_store_walk_to(int fd, const char *path, int flags);


int
sprox_store_open(const sprox_store_dir_t *dir, const char *path, int flags)
{
    int                fd, n;
    sprox_store_how_t  how;

    flags |= (flags & O_PATH) ? SPROX_STORE_PATH_FLAGS
                              : SPROX_STORE_OPEN_FLAGS;

    if (dir->plain) {
        return sprox_store_walk_to(dir->fd, path, flags);
    }

    how.flags = (uint64_t) flags;
    how.mode = 0;
    how.resolve = SPROX_STORE_BENEATH | SPROX_STORE_NO_SYMLINKS
                  | SPROX_STORE_NO_MAGICLINKS;

    n = 0;

    do {
        fd = (int) syscall(SYS_openat2, dir->fd, path, &how, sizeof(how));

    } while (fd == -1 && (errno == EINTR || errno == EAGAIN)
             && ++n < SPROX_STORE_OPEN_TRIES);

    if (fd == -1 && (errno == ENOSYS || errno == EPERM)) {
        return sprox_store_walk_to(dir->fd, path, flags);
    }

    return fd;
}


static int
sprox_store_walk_to(int fd, const char *path, int flags)
{
    int          at, next, err;
    size_t       len;
    char         name[SPROX_STORE_NAME_MAX + 1];
    const char  *slash;

    at = fd;

    for ( ;; ) {
        slash = strchr(path, '/');
        len = slash ? (size_t) (slash - path) : strlen(path);

        if (len == 0 || len > SPROX_STORE_NAME_MAX) {
            next = -1;
            err = ENOENT;

        } else {
            memcpy(name, path, len);
            name[len] = '\0';

            next = openat(at, name, slash ? SPROX_STORE_PATH_FLAGS|O_DIRECTORY
                                          : flags);
            err = errno;
        }

        if (at != fd) {
            (void) close(at);
        }

        if (next == -1 || slash == NULL) {
            errno = err;
            return next;
        }

        at = next;
        path = slash + 1;
    }
}


/*
 * What it is comes before opening it for reading: to open a FIFO lets its
 * writer go on, and opening a device may do anything.
 */

int
sprox_store_open_file(const sprox_store_dir_t *dir, const char *path,
    struct stat *st)
{
    int  fd, rc, err;

    fd = sprox_store_open(dir, path, O_PATH);
    if (fd == -1) {
        return -1;
    }

    rc = fstat(fd, st);
    err = errno;

    (void) close(fd);

    if (rc == -1 || !S_ISREG(st->st_mode)) {
        errno = (rc == -1) ? err : ENOENT;
        return -1;
    }

    fd = sprox_store_open(dir, path, O_RDONLY);
    if (fd == -1) {
        return -1;
    }

    rc = fstat(fd, st);
    err = errno;

    if (rc == -1 || !S_ISREG(st->st_mode)) {
        (void) close(fd);
        errno = (rc == -1) ? err : ENOENT;
        return -1;
    }

    return fd;
}


int
sprox_store_absent(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
    case ENXIO:                     /* it has become a socket or device */
        return 1;

    default:
        return 0;
    }
}


int
sprox_store_segment(sprox_str_t name)
{
    if (name.len == 0 || name.len > SPROX_STORE_NAME_MAX) {
        return 0;
    }

    if (name.data[0] == '.') {

        if (name.len == 1 || (name.len == 2 && name.data[1] == '.')) {
            return 0;
        }

        if (sprox_str_starts(name, sprox_str_lit(SPROX_STORE_TEMPORARY))) {
            return 0;
        }
    }

    return memchr(name.data, '\0', name.len) == NULL;
}


int
sprox_store_key(sprox_str_t key)
{
    size_t  end;

    if (key.len == 0 || key.len > SPROX_KEY_MAX) {
        return 0;
    }

    for ( ;; ) {
        end = sprox_str_find(key, sprox_str_lit("/"), 0);

        if (end == (size_t) -1) {
            return sprox_store_segment(key);
        }

        if (!sprox_store_segment(sprox_str_make(key.data, end))) {
            return 0;
        }

        key = sprox_str_from(key, end + 1);
    }
}


sprox_str_t
sprox_store_etag(const struct stat *st, char buf[SPROX_STORE_ETAG_MAX])
{
    int  n;

    n = snprintf(buf, SPROX_STORE_ETAG_MAX, "\"%llx%09llx-%llx-%llx\"",
                 (unsigned long long) st->st_mtim.tv_sec,
                 (unsigned long long) st->st_mtim.tv_nsec,
                 (unsigned long long) st->st_size,
                 (unsigned long long) st->st_ino);

    return sprox_str_make(buf, (size_t) n);
}
