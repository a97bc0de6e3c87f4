
/*
 * The walk of a bucket's tree in the byte order of its keys.
 *
 * A file system hands out names in no order, and there may be more than fit
 * into memory.  So each level of the tree holds a batch: the smallest names
 * greater than where it stands, kept by a bounded heap while the directory
 * is read once.  A batch that was used up is followed by the next one, the
 * directory read again.
 *
 *     bucket/            batch: a.txt  b/  b0.csv ...
 *       b/               batch: 1.csv  2.csv  x/
 *         x/             batch: data.parquet
 *         ^ the deepest level; the path is bucket + "b/x/data.parquet"
 *
 * A directory's name is compared with its '/': only so is the order of the
 * names at each level the order of the whole keys ("b-1" < "b/1" < "b0").
 *
 * Descriptors: one directory is open at a time, found again by its path.
 * Memory: SPROX_STORE_NAMES_MAX names and SPROX_STORE_NAMES_MIN more for
 * each level; the length of keys bounds the depth to half of SPROX_KEY_MAX.
 *
 * Cost of a page: every directory on the way is read once for each batch (a
 * batch is a page, when the directories hold no more than that), plus one
 * fstatat() for each object found.  A directory of n files is paged in
 * n/1000 readings; one of 100,000 takes 30 ms (on ext4, whose part is 20).
 * With the delimiter "/" a directory is looked into until its first file.
 * Other delimiters look at each key that they roll up.  A tree of very many
 * directories without any file is walked to its end: only cancel stops that.
 *
 * A directory that vanishes meanwhile is empty; one that may not be read is
 * an error: half a listing would pass for a whole one.
 */

#include "sprox_store_walk.h"

#include <sys/syscall.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>


/* How often a scan looks whether it is still wanted, in entries. */
#define SPROX_STORE_CANCEL_STEP   1024


struct sprox_store_level_s {
    sprox_store_level_t   *up;
    size_t                 base;     /* length of path that is this directory,
                                        with its '/' */
    sprox_store_names_t    batch;
    size_t                 pos;
    sprox_store_name_t    *last;     /* of the batch before: the bound */
};


/* What getdents64() writes. */

typedef struct {
    uint64_t        ino;
    int64_t         off;
    unsigned short  reclen;
    uint8_t         type;
    char            name[];
} sprox_store_dirent_t;


static sprox_rc_t sprox_store_walk_push(sprox_store_walk_t *w, size_t base);
static void sprox_store_walk_pop(sprox_store_walk_t *w);
static sprox_rc_t sprox_store_walk_batch(sprox_store_walk_t *w,
    sprox_store_level_t *level);
static sprox_rc_t sprox_store_walk_scan(sprox_store_walk_t *w,
    sprox_store_level_t *level);
static sprox_rc_t sprox_store_walk_entry(sprox_store_walk_t *w,
    sprox_store_level_t *level, sprox_store_dirent_t *ent);
static uint8_t sprox_store_walk_type(sprox_store_walk_t *w, uint8_t type,
    const char *name);
static int sprox_store_walk_wanted(sprox_store_walk_t *w,
    sprox_store_level_t *level, sprox_str_t name);
static int sprox_store_walk_key(sprox_store_walk_t *w,
    const sprox_store_level_t *level, sprox_str_t name);
static int sprox_store_walk_skips(const sprox_store_walk_t *w, size_t len);
static sprox_rc_t sprox_store_walk_dir(sprox_store_walk_t *w,
    sprox_store_level_t *level);
static sprox_rc_t sprox_store_walk_file(sprox_store_walk_t *w,
    sprox_store_level_t *level);
static sprox_rc_t sprox_store_walk_any(sprox_store_walk_t *w);
static sprox_rc_t sprox_store_walk_fd(sprox_store_walk_t *w,
    sprox_store_level_t *level);
static sprox_rc_t sprox_store_walk_failed(sprox_store_walk_t *w,
    const char *what);


sprox_rc_t
sprox_store_walk_open(sprox_store_walk_t *w)
{
    size_t       i, begin;
    sprox_str_t  base;

    w->fd = -1;
    w->slash = sprox_str_eq(w->delimiter, sprox_str_lit("/"));

    w->dirents = sprox_alloc(w->mem, SPROX_STORE_DIRENTS);
    w->skipped = sprox_alloc(w->mem, SPROX_KEY_MAX);

    if (w->dirents == NULL || w->skipped == NULL) {
        return SPROX_NOMEM;
    }

    if (w->prefix.len > SPROX_KEY_MAX) {
        return SPROX_OK;
    }

    /* the directory of the prefix; without a level the walk is at its end */

    begin = 0;

    for (i = 0; i < w->prefix.len; i++) {

        if (w->prefix.data[i] != '/') {
            continue;
        }

        if (!sprox_store_segment(sprox_str_make(w->prefix.data + begin,
                                                i - begin)))
        {
            return SPROX_OK;
        }

        begin = i + 1;
    }

    base = sprox_str_make(w->prefix.data, begin);

    if (sprox_str_cmp(base, w->after) < 0 && !sprox_str_starts(w->after, base))
    {
        return SPROX_OK;
    }

    if (base.len != 0) {
        memcpy(w->path, base.data, base.len);
    }

    w->filter = base.len;

    return sprox_store_walk_push(w, base.len);
}


void
sprox_store_walk_close(sprox_store_walk_t *w)
{
    while (w->level) {
        sprox_store_walk_pop(w);
    }

    if (w->fd != -1) {
        (void) close(w->fd);
        w->fd = -1;
    }

    sprox_free(w->mem, w->dirents);
    sprox_free(w->mem, w->skipped);

    w->dirents = NULL;
    w->skipped = NULL;
}


sprox_rc_t
sprox_store_walk_next(sprox_store_walk_t *w)
{
    sprox_rc_t            rc;
    sprox_store_name_t   *name;
    sprox_store_level_t  *level;

    for ( ;; ) {

        if (w->found) {
            return SPROX_OK;
        }

        level = w->level;

        if (level == NULL) {
            return SPROX_DONE;
        }

        if ((level->pos == level->batch.n && !level->batch.more)
            || sprox_store_walk_skips(w, level->base))
        {
            sprox_store_walk_pop(w);
            continue;
        }

        if (level->pos == level->batch.n) {

            rc = sprox_store_walk_batch(w, level);
            if (rc != SPROX_OK) {
                return rc;
            }

            continue;
        }

        name = level->batch.names[level->pos++];

        memcpy(w->path + level->base, name->text, name->len);
        w->len = level->base + name->len;

        if (sprox_store_walk_skips(w, w->len)) {
            continue;
        }

        if (w->path[w->len - 1] == '/') {
            rc = sprox_store_walk_dir(w, level);

        } else {
            rc = sprox_store_walk_file(w, level);
        }

        if (rc == SPROX_AGAIN) {
            continue;
        }

        if (rc == SPROX_OK && w->want > 1) {
            w->want--;
        }

        return rc;
    }
}


/* Whether path[0, len) lies below the common prefix found last. */

static int
sprox_store_walk_skips(const sprox_store_walk_t *w, size_t len)
{
    return w->skip && len >= w->skip
           && memcmp(w->path, w->skipped, w->skip) == 0;
}


/* SPROX_OK: it is an item; SPROX_AGAIN: it is none, or was entered. */

static sprox_rc_t
sprox_store_walk_dir(sprox_store_walk_t *w, sprox_store_level_t *level)
{
    sprox_rc_t  rc;

    if (w->buckets) {
        w->len--;
        w->is_prefix = 0;

        rc = sprox_store_walk_fd(w, level);
        if (rc != SPROX_OK) {
            return (rc == SPROX_NOT_FOUND) ? SPROX_AGAIN : rc;
        }

        w->path[w->len] = '\0';

        if (fstatat(w->fd, (char *) w->path, &w->st, AT_SYMLINK_NOFOLLOW)
            == -1)
        {
            if (sprox_store_absent(errno)) {
                return SPROX_AGAIN;
            }

            return sprox_store_walk_failed(w, "fstatat()");
        }

        return S_ISDIR(w->st.st_mode) ? SPROX_OK : SPROX_AGAIN;
    }

    /* only at the level of the prefix do directories roll up */

    if (w->slash && level->up == NULL) {

        rc = sprox_store_walk_any(w);
        if (rc == SPROX_OK) {
            w->is_prefix = 1;
        }

        return rc;
    }

    rc = sprox_store_walk_push(w, w->len);

    return (rc == SPROX_OK) ? SPROX_AGAIN : rc;
}


static sprox_rc_t
sprox_store_walk_file(sprox_store_walk_t *w, sprox_store_level_t *level)
{
    size_t       at;
    sprox_rc_t   rc;
    sprox_str_t  path;

    if (w->delimiter.len && !w->slash) {

        path = sprox_str_make(w->path, w->len);
        at = sprox_str_find(path, w->delimiter, w->prefix.len);

        if (at != (size_t) -1) {
            w->len = at + w->delimiter.len;
            w->skip = w->len;
            memcpy(w->skipped, w->path, w->skip);

            if (sprox_str_eq(sprox_str_make(w->path, w->len), w->after)) {
                return SPROX_AGAIN;
            }

            w->is_prefix = 1;

            return SPROX_OK;
        }
    }

    rc = sprox_store_walk_fd(w, level);
    if (rc != SPROX_OK) {
        return (rc == SPROX_NOT_FOUND) ? SPROX_AGAIN : rc;
    }

    w->path[w->len] = '\0';

    if (fstatat(w->fd, (char *) w->path + level->base, &w->st,
                AT_SYMLINK_NOFOLLOW)
        == -1)
    {
        if (sprox_store_absent(errno)) {
            return SPROX_AGAIN;
        }

        return sprox_store_walk_failed(w, "fstatat()");
    }

    if (!S_ISREG(w->st.st_mode)) {
        return SPROX_AGAIN;
    }

    w->is_prefix = 0;

    return SPROX_OK;
}


/*
 * Whether any object lies below the directory that path names: S3 shows no
 * common prefix without one.  SPROX_OK or SPROX_AGAIN.
 */

static sprox_rc_t
sprox_store_walk_any(sprox_store_walk_t *w)
{
    sprox_rc_t           rc;
    sprox_store_walk_t  *below;

    below = sprox_alloc(w->mem, sizeof(sprox_store_walk_t));
    if (below == NULL) {
        return SPROX_NOMEM;
    }

    memset(below, 0, sizeof(sprox_store_walk_t));

    below->mem = w->mem;
    below->dir = w->dir;
    below->cancel = w->cancel;
    below->prefix = sprox_str_make(w->path, w->len);
    below->after = w->after;
    below->want = SPROX_STORE_NAMES_MAX;
    below->any = 1;

    rc = sprox_store_walk_open(below);

    if (rc == SPROX_OK) {
        rc = sprox_store_walk_next(below);
    }

    w->entries += below->entries;

    if (rc == SPROX_DONE) {
        rc = SPROX_AGAIN;

    } else if (rc == SPROX_INVALID) {
        w->what = below->what;
        w->err = below->err;
        memcpy(w->path, below->path, sizeof(w->path));
        w->len = below->len;
    }

    sprox_store_walk_close(below);
    sprox_free(w->mem, below);

    return rc;
}


static sprox_rc_t
sprox_store_walk_push(sprox_store_walk_t *w, size_t base)
{
    sprox_store_level_t  *level;

    level = sprox_alloc(w->mem, sizeof(sprox_store_level_t));
    if (level == NULL) {
        return SPROX_NOMEM;
    }

    memset(level, 0, sizeof(sprox_store_level_t));

    level->up = w->level;
    level->base = base;

    w->level = level;

    return sprox_store_walk_batch(w, level);
}


static void
sprox_store_walk_pop(sprox_store_walk_t *w)
{
    sprox_store_level_t  *level;

    level = w->level;

    if (w->fd != -1 && w->fd_base == level->base) {
        (void) close(w->fd);
        w->fd = -1;
    }

    w->names -= level->batch.n;

    sprox_store_names_free(&level->batch, w->mem);
    sprox_free(w->mem, level->last);

    w->level = level->up;

    sprox_free(w->mem, level);
}


/* The next batch of a level; w->level is that level. */

static sprox_rc_t
sprox_store_walk_batch(sprox_store_walk_t *w, sprox_store_level_t *level)
{
    size_t                max;
    sprox_rc_t            rc;
    sprox_store_names_t  *batch;

    batch = &level->batch;

    w->names -= batch->n;

    if (batch->n) {
        sprox_free(w->mem, level->last);
        level->last = batch->names[--batch->n];
    }

    sprox_store_names_free(batch, w->mem);
    level->pos = 0;

    max = w->want;

    if (max + w->names > SPROX_STORE_NAMES_MAX) {
        max = (w->names < SPROX_STORE_NAMES_MAX)
              ? SPROX_STORE_NAMES_MAX - w->names : 0;
    }

    batch->max = (max > SPROX_STORE_NAMES_MIN) ? max : SPROX_STORE_NAMES_MIN;

    rc = sprox_store_walk_scan(w, level);

    w->names += batch->n;

    if (rc == SPROX_OK) {
        sprox_store_names_sort(batch);
    }

    return (rc == SPROX_NOT_FOUND) ? SPROX_OK : rc;
}


static sprox_rc_t
sprox_store_walk_scan(sprox_store_walk_t *w, sprox_store_level_t *level)
{
    long                   n, i;
    sprox_rc_t             rc;
    sprox_store_dirent_t  *ent;

    rc = sprox_store_walk_fd(w, level);
    if (rc != SPROX_OK) {
        return rc;
    }

    if (lseek(w->fd, 0, SEEK_SET) == -1) {
        w->len = level->base;
        return sprox_store_walk_failed(w, "lseek()");
    }

    for ( ;; ) {
        n = syscall(SYS_getdents64, w->fd, w->dirents, SPROX_STORE_DIRENTS);

        if (n == 0) {
            return SPROX_OK;
        }

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            w->len = level->base;

            return (errno == ENOENT) ? SPROX_OK
                                 : sprox_store_walk_failed(w, "getdents64()");
        }

        for (i = 0; i < n; i += ent->reclen) {
            ent = (sprox_store_dirent_t *) (w->dirents + i);

            if (w->entries++ % SPROX_STORE_CANCEL_STEP == 0
                && atomic_load_explicit(w->cancel, memory_order_relaxed))
            {
                return SPROX_INVALID;
            }

            rc = sprox_store_walk_entry(w, level, ent);
            if (rc != SPROX_OK) {
                return rc;
            }

            if (w->found) {
                return SPROX_OK;
            }
        }
    }
}


/* Keeps the entry, when it is one of the smallest that are wanted. */

static sprox_rc_t
sprox_store_walk_entry(sprox_store_walk_t *w, sprox_store_level_t *level,
    sprox_store_dirent_t *ent)
{
    size_t       len;
    uint8_t      type;
    sprox_str_t  name;

    len = strlen(ent->name);

    if (!sprox_store_segment(sprox_str_make(ent->name, len))) {
        return SPROX_OK;
    }

    type = sprox_store_walk_type(w, ent->type, ent->name);

    if (type == DT_DIR) {
        ent->name[len++] = '/';         /* in place of its NUL */

    } else if (type != DT_REG) {
        return SPROX_OK;
    }

    name = sprox_str_make(ent->name, len);

    if (!sprox_store_walk_key(w, level, name)
        || !sprox_store_walk_wanted(w, level, name))
    {
        return SPROX_OK;
    }

    if (w->any && type == DT_REG) {
        w->found = 1;
        return SPROX_OK;
    }

    return sprox_store_names_keep(&level->batch, w->mem, name);
}


static uint8_t
sprox_store_walk_type(sprox_store_walk_t *w, uint8_t type, const char *name)
{
    struct stat  st;

    if (type != DT_UNKNOWN) {
        return type;
    }

    /* some file systems never tell */

    if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return DT_UNKNOWN;
    }

    return S_ISREG(st.st_mode) ? DT_REG
                               : (S_ISDIR(st.st_mode) ? DT_DIR : DT_UNKNOWN);
}


/* Whether the name is, or holds, keys that may be listed at all. */

static int
sprox_store_walk_key(sprox_store_walk_t *w, const sprox_store_level_t *level,
    sprox_str_t name)
{
    size_t  len;

    len = level->base + name.len;

    if (name.data[name.len - 1] == '/') {

        if (w->buckets) {
            return sprox_bucket_valid(sprox_str_make(name.data, name.len - 1));
        }

        len++;                          /* something follows */

    } else if (w->buckets) {
        return 0;
    }

    if (len > SPROX_KEY_MAX) {
        return 0;
    }

    return level->up != NULL
           || sprox_str_starts(name, sprox_str_from(w->prefix, w->filter));
}


/* Whether it comes after what was asked for, and after what was passed. */

static int
sprox_store_walk_wanted(sprox_store_walk_t *w, sprox_store_level_t *level,
    sprox_str_t name)
{
    size_t       n;
    sprox_str_t  after;

    if (level->last
        && sprox_str_cmp(name, sprox_store_name(level->last)) <= 0)
    {
        return 0;
    }

    if (w->skip > level->base) {

        n = w->skip - level->base;

        if (memcmp(w->path, w->skipped, level->base) == 0 && name.len >= n
            && memcmp(name.data, w->skipped + level->base, n) == 0)
        {
            return 0;
        }
    }

    if (!sprox_str_starts(w->after, sprox_str_make(w->path, level->base))) {
        return 1;
    }

    after = sprox_str_from(w->after, level->base);

    if (sprox_str_cmp(name, after) > 0) {
        return 1;
    }

    /* a directory on the way to where the listing goes on */

    if (name.data[name.len - 1] != '/' || !sprox_str_starts(after, name)) {
        return 0;
    }

    /* unless it was the last common prefix of the page before */

    return after.len > name.len || !w->slash || level->up != NULL;
}


/*
 * Opens a level's directory, unless it is the one that is open.
 * SPROX_NOT_FOUND: it has gone.
 */

static sprox_rc_t
sprox_store_walk_fd(sprox_store_walk_t *w, sprox_store_level_t *level)
{
    int   fd;
    char  path[sizeof(w->path)];

    if (w->fd != -1) {

        if (w->fd_base == level->base) {
            return SPROX_OK;
        }

        (void) close(w->fd);
        w->fd = -1;
    }

    if (level->base == 0) {
        memcpy(path, ".", 2);

    } else {
        memcpy(path, w->path, level->base - 1);
        path[level->base - 1] = '\0';
    }

    fd = sprox_store_open(&w->dir, path, O_RDONLY|O_DIRECTORY);

    if (fd == -1) {
        if (sprox_store_absent(errno)) {
            return SPROX_NOT_FOUND;
        }

        w->len = level->base;
        return sprox_store_walk_failed(w, "opening the directory");
    }

    w->fd = fd;
    w->fd_base = level->base;

    return SPROX_OK;
}


static sprox_rc_t
sprox_store_walk_failed(sprox_store_walk_t *w, const char *what)
{
    w->err = errno;
    w->what = what;

    return SPROX_INVALID;
}
