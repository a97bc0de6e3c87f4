/*
 * Private to the store: the walk of a bucket's tree in the byte order of
 * its keys.
 */

#ifndef SPROX_STORE_WALK_H
#define SPROX_STORE_WALK_H


#include "sprox_store_path.h"

#include <stdatomic.h>


/* Bytes of a directory that are read at once. */
#define SPROX_STORE_DIRENTS       (32 * 1024)

/* Names that one walk holds, over all levels; and the least of one level. */
#define SPROX_STORE_NAMES_MAX     4096
#define SPROX_STORE_NAMES_MIN     16


typedef struct sprox_store_level_s  sprox_store_level_t;


/* A name of a directory that is a candidate; a directory ends with '/'. */

typedef struct {
    size_t   len;
    uint8_t  text[];
} sprox_store_name_t;


/* The smallest of the names that were offered; zeroed at first. */

typedef struct {
    sprox_store_name_t  **names;     /* a heap, then sorted */
    size_t                n;
    size_t                cap;
    size_t                max;       /* that are kept */
    unsigned              more:1;    /* others were not kept */
} sprox_store_names_t;


static inline sprox_str_t
sprox_store_name(const sprox_store_name_t *name)
{
    return sprox_str_make(name->text, name->len);
}


/* SPROX_OK (it was kept, or is too great) or SPROX_NOMEM. */
sprox_rc_t sprox_store_names_keep(sprox_store_names_t *batch,
    const sprox_mem_t *mem, sprox_str_t name);

/* Once, when all were offered. */
void sprox_store_names_sort(sprox_store_names_t *batch);

/* Frees all; the batch is zeroed. */
void sprox_store_names_free(sprox_store_names_t *batch,
    const sprox_mem_t *mem);


typedef struct {

    /* set by whoever opens the walk, and unchanged as long as it lasts */

    const sprox_mem_t        *mem;
    sprox_store_dir_t         dir;        /* the bucket, or the root */
    const atomic_int         *cancel;
    sprox_str_t               prefix;
    sprox_str_t               delimiter;
    sprox_str_t               after;      /* only what is greater */
    size_t                    want;       /* items that will be asked for */
    unsigned                  buckets:1;  /* valid bucket names below dir, and
                                             nothing deeper */
    unsigned                  any:1;      /* stop at the first file in
                                             directory order, tell only
                                             that there is one */

    /* the item found */

    uint8_t                   path[SPROX_KEY_MAX + SPROX_STORE_NAME_MAX + 2];
    size_t                    len;
    unsigned                  is_prefix:1;
    struct stat               st;         /* of an object or a bucket */

    /* an error */

    const char               *what;
    int                       err;        /* errno; path tells where */

    uint64_t                  entries;    /* directory entries read so far */

    /* private */

    sprox_store_level_t      *level;      /* the deepest */
    size_t                    filter;     /* where the prefix's last segment
                                             begins: base of the first level */
    size_t                    names;
    int                       fd;         /* directory of level fd_base */
    size_t                    fd_base;
    size_t                    skip;       /* path[0, skip) of the last common
                                             prefix: see skipped */
    uint8_t                  *skipped;
    uint8_t                  *dirents;
    unsigned                  slash:1;    /* the delimiter is "/" */
    unsigned                  found:1;
} sprox_store_walk_t;


/*
 * Begins.  w was zeroed and its first part set.  SPROX_OK or SPROX_NOMEM;
 * close() in both cases.
 */
sprox_rc_t sprox_store_walk_open(sprox_store_walk_t *w);

/*
 * The next item in order: SPROX_OK; SPROX_DONE: there is none; SPROX_NOMEM;
 * SPROX_INVALID: what, err and path say what failed, or canceled (what is
 * NULL).
 */
sprox_rc_t sprox_store_walk_next(sprox_store_walk_t *w);

void sprox_store_walk_close(sprox_store_walk_t *w);


#endif /* SPROX_STORE_WALK_H */
