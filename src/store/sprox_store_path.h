/*
 * Private to the store: opening what lies below a directory, and nothing
 * else; and which keys there can be.
 */

#ifndef SPROX_STORE_PATH_H
#define SPROX_STORE_PATH_H


#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sys/types.h>
#include <sys/stat.h>
#include <stdio.h>

#include "sprox_store.h"


#define SPROX_STORE_NAME_MAX   255   /* bytes of a segment: a file's name */


/* An open directory that nothing leaves. */

typedef struct {
    int       fd;                    /* O_PATH; -1: none */
    unsigned  plain:1;               /* never try openat2() */
} sprox_store_dir_t;


/*
 * Opens path (NUL-terminated, "." or segments that sprox_store_segment()
 * takes, joined by single '/') below dir.  No symbolic link is followed,
 * not even one that stays inside.  A descriptor, or -1 with errno: ELOOP,
 * ENOTDIR or EXDEV when something in the way is no directory.
 */
int sprox_store_open(const sprox_store_dir_t *dir, const char *path,
    int flags);

/*
 * Opens a regular file for reading and tells what it is.  Anything else
 * (directory, FIFO, device, socket, symbolic link) is not opened at all:
 * -1 with ENOENT.
 */
int sprox_store_open_file(const sprox_store_dir_t *dir, const char *path,
    struct stat *st);

/* Whether errno says that there is no such thing (and never will fail). */
int sprox_store_absent(int err);

/* Whether a file or directory of that name can be part of a key. */
int sprox_store_segment(sprox_str_t name);

/* Whether a file may have that key. */
int sprox_store_key(sprox_str_t key);


/*
 * The ETag: made of the time of last change in nanoseconds, size and inode,
 * so it is the same after a restart and another one after a change.  The '-'
 * keeps clients from taking it for an MD5.
 */

#define SPROX_STORE_ETAG_MAX   80

sprox_str_t sprox_store_etag(const struct stat *st,
    char buf[SPROX_STORE_ETAG_MAX]);


#endif /* SPROX_STORE_PATH_H */
