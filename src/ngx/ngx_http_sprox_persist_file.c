/*
 * The catalog's file, for one who may wait for the disk.
 *
 *   PATH        the last complete snapshot
 *   PATH.tmp    one that is being written; who writes has it locked (flock):
 *               a lock goes with its process, so what a killed one leaves is
 *               simply written over
 *   PATH.bad    what stood at PATH and was no snapshot
 *
 * Reading has two passes over one descriptor: the first looks whether the
 * file is whole, the second puts what it holds.
 *
 * Two nginx may share the file: the old and the new one of a binary upgrade.
 * Each knows a snapshot by its random id, reads the other's, and replaces
 * only what it has read.
 */

#include "ngx_http_sprox_persist_file.h"
#include "ngx_http_sprox_zone.h"

#include "sprox_digest.h"

#include <openssl/rand.h>
#include <sys/file.h>


#define NGX_HTTP_SPROX_PERSIST_CHUNK    (256 * 1024)

/* Objects that are put, or written, in one holding of the lock. */
#define NGX_HTTP_SPROX_PERSIST_PUTS     256
#define NGX_HTTP_SPROX_PERSIST_GETS     128

/* Bytes after which the disk is waited for: no fsync() takes long then. */
#define NGX_HTTP_SPROX_PERSIST_SYNC     (8 * 1024 * 1024)

#define NGX_HTTP_SPROX_PERSIST_TRIES    3


static ngx_int_t ngx_http_sprox_persist_failed(
    ngx_http_sprox_persist_file_t *f, const char *failed);
static ngx_int_t ngx_http_sprox_persist_head(
    ngx_http_sprox_persist_file_t *f, ngx_fd_t fd, u_char *head);
static ngx_int_t ngx_http_sprox_persist_same(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_read(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_import(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_set_aside(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_temp(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_write(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_finish(
    ngx_http_sprox_persist_file_t *f);
static ngx_int_t ngx_http_sprox_persist_doubt_one(
    ngx_http_sprox_persist_file_t *f, u_char *path);


/* Of the threads: the heap, without nginx's log lines. */

static void *
ngx_http_sprox_persist_alloc(void *ctx, size_t size)
{
    return malloc(size);
}


static void
ngx_http_sprox_persist_free(void *ctx, void *p)
{
    free(p);
}


static const sprox_mem_t  ngx_http_sprox_persist_mem = {
    ngx_http_sprox_persist_alloc,
    ngx_http_sprox_persist_free,
    NULL
};


void
ngx_http_sprox_persist_file_init(ngx_http_sprox_persist_file_t *f,
    ngx_http_sprox_persist_sh_t *sh)
{
    ngx_memzero(f, sizeof(ngx_http_sprox_persist_file_t));

    f->sh = sh;
    f->fd = NGX_INVALID_FILE;
    f->user = (ngx_uid_t) NGX_CONF_UNSET_UINT;

    sprox_buf_init(&f->out, &ngx_http_sprox_persist_mem);
}


static ngx_int_t
ngx_http_sprox_persist_failed(ngx_http_sprox_persist_file_t *f,
    const char *failed)
{
    f->err = ngx_errno;
    f->failed = failed;

    return NGX_ERROR;
}


/* NGX_OK; NGX_DECLINED: it has none, for it is too short; NGX_ERROR. */

static ngx_int_t
ngx_http_sprox_persist_head(ngx_http_sprox_persist_file_t *f, ngx_fd_t fd,
    u_char *head)
{
    ssize_t  n;

    n = pread(fd, head, SPROX_SNAPSHOT_HEAD, 0);

    if (n == -1) {
        return ngx_http_sprox_persist_failed(f, "pread()");
    }

    return n == SPROX_SNAPSHOT_HEAD ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_sprox_persist_look(ngx_http_sprox_persist_file_t *f)
{
    ngx_int_t               rc;
    struct stat             st;
    sprox_catalog_t        *catalog;
    sprox_catalog_stats_t   stats;

    ngx_http_sprox_persist_close(f);

    f->begun = ngx_http_sprox_now_exact();

    catalog = ngx_http_sprox_zone_lock();
    f->epoch = sprox_catalog_epoch_locked(catalog);
    sprox_catalog_stats_locked(catalog, &stats);
    ngx_http_sprox_zone_unlock();

    f->changes = stats.changes;

    /* a FIFO must not hold up the thread */

    f->fd = open((char *) f->path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (f->fd == NGX_INVALID_FILE) {
        return ngx_errno == NGX_ENOENT
               ? NGX_DONE : ngx_http_sprox_persist_failed(f, "open()");
    }

    if (fstat(f->fd, &st) == -1) {
        return ngx_http_sprox_persist_failed(f, "fstat()");
    }

    if (!S_ISREG(st.st_mode)) {
        ngx_set_errno(NGX_EINVAL);
        return ngx_http_sprox_persist_failed(f, "open() of what is no file");
    }

    rc = ngx_http_sprox_persist_same(f);

    if (rc == NGX_OK && f->epoch == f->sh->epoch) {
        ngx_http_sprox_persist_close(f);
        return NGX_DECLINED;
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* NGX_OK: what is open is what was seen last. */

static ngx_int_t
ngx_http_sprox_persist_same(ngx_http_sprox_persist_file_t *f)
{
    u_char                 head[SPROX_SNAPSHOT_HEAD];
    ngx_int_t              rc;
    sprox_snapshot_head_t  h;

    rc = ngx_http_sprox_persist_head(f, f->fd, head);

    if (rc != NGX_OK) {
        return rc;
    }

    if (sprox_snapshot_head_read(head, &h, NULL) != SPROX_OK
        || ngx_memcmp(h.id, f->sh->id, SPROX_SNAPSHOT_ID) != 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_persist_load(ngx_http_sprox_persist_file_t *f)
{
    int64_t    until;
    ngx_int_t  rc;

    if (!f->reading) {
        f->reading = 1;
        f->import = 0;
        f->doubted = 0;
        f->offset = 0;

        if (f->chunk == NULL) {
            f->chunk = malloc(NGX_HTTP_SPROX_PERSIST_CHUNK);
        }

        if (f->chunk == NULL
            || sprox_snapshot_reader_init(&f->reader,
                                          &ngx_http_sprox_persist_mem)
               != SPROX_OK)
        {
            ngx_set_errno(NGX_ENOMEM);
            return ngx_http_sprox_persist_failed(f, "malloc()");
        }
    }

    until = ngx_http_sprox_now_exact() + NGX_HTTP_SPROX_PERSIST_STEP;

    do {
        rc = ngx_http_sprox_persist_read(f);
    } while (rc == NGX_AGAIN && ngx_http_sprox_now_exact() < until);

    if (rc == NGX_DECLINED) {
        return ngx_http_sprox_persist_set_aside(f);
    }

    f->took = (ngx_msec_t) (ngx_http_sprox_now_exact() - f->begun);

    return rc;
}


/* One chunk.  NGX_DECLINED: the file is bad. */

static ngx_int_t
ngx_http_sprox_persist_read(ngx_http_sprox_persist_file_t *f)
{
    ssize_t      n;
    sprox_rc_t   rc;
    sprox_str_t  in;

    n = pread(f->fd, f->chunk, NGX_HTTP_SPROX_PERSIST_CHUNK, f->offset);

    if (n == -1) {
        return ngx_http_sprox_persist_failed(f, "pread()");
    }

    f->offset += n;
    in = sprox_str_make(f->chunk, n);

    do {
        rc = sprox_snapshot_read(&f->reader, &in);

        if (rc == SPROX_OK && f->import
            && ngx_http_sprox_persist_import(f) != NGX_OK)
        {
            return NGX_ERROR;
        }

    } while (rc == SPROX_OK && in.len);

    if (rc == SPROX_OK || rc == SPROX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != SPROX_DONE) {
        return NGX_DECLINED;
    }

    f->objects = f->reader.counts.objects;
    f->age = ngx_max(f->begun - f->reader.head.time, 0);
    ngx_memcpy(f->id, f->reader.head.id, SPROX_SNAPSHOT_ID);

    if (f->import) {
        return NGX_OK;
    }

    /* it is whole: once more */

    f->doubted = f->reader.head.state == SPROX_SNAPSHOT_TOLD
                 || (f->reader.head.state != SPROX_SNAPSHOT_SHUT
                     && ngx_memcmp(f->reader.head.boot, f->boot,
                                   SPROX_SNAPSHOT_ID)
                        != 0);

    sprox_snapshot_reader_free(&f->reader);

    if (sprox_snapshot_reader_init(&f->reader, &ngx_http_sprox_persist_mem)
        != SPROX_OK)
    {
        ngx_set_errno(NGX_ENOMEM);
        return ngx_http_sprox_persist_failed(f, "malloc()");
    }

    f->import = 1;
    f->offset = 0;

    return NGX_AGAIN;
}


/*
 * Puts a block.  What somebody told of while it is read was told of an older
 * state than the file's: whatever was proved before is doubted.
 */

static ngx_int_t
ngx_http_sprox_persist_import(ngx_http_sprox_persist_file_t *f)
{
    int64_t                   told;
    sprox_rc_t                rc;
    sprox_catalog_t          *catalog;
    sprox_snapshot_import_t   how;

    how.now = ngx_http_sprox_now_exact();
    how.wanted = ngx_http_sprox_persist_wanted;
    how.data = f->mcf;
    how.doubted = f->doubted;

    do {
        catalog = ngx_http_sprox_zone_lock();

        told = f->sh->told;
        how.since = told ? told + 1 : 0;

        if (f->doubted && how.since < f->begun) {
            how.since = f->begun;
        }

        rc = sprox_snapshot_import_locked(&f->reader, catalog,
                                          NGX_HTTP_SPROX_PERSIST_PUTS, &how);

        ngx_http_sprox_zone_share();

    } while (rc == SPROX_AGAIN);

    f->sh->loaded = f->reader.counts.objects;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_persist_set_aside(ngx_http_sprox_persist_file_t *f)
{
    f->why = f->reader.error;
    f->at = f->reader.offset;
    f->rename_err = 0;

    if (ngx_rename_file(f->path, f->bad) == NGX_FILE_ERROR) {
        f->rename_err = ngx_errno;
    }

    ngx_http_sprox_persist_close(f);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_sprox_persist_create(ngx_http_sprox_persist_file_t *f)
{
    ngx_int_t               rc;
    sprox_catalog_t        *catalog;
    sprox_catalog_stats_t   stats;
    sprox_snapshot_head_t   head;

    ngx_http_sprox_persist_close(f);

    f->begun = ngx_http_sprox_now_exact();

    rc = ngx_http_sprox_persist_temp(f);

    if (rc != NGX_OK) {
        return rc;
    }

    f->writing = 1;
    f->offset = 0;
    f->synced = 0;
    f->out.len = 0;

    if (RAND_bytes(f->id, SPROX_SNAPSHOT_ID) != 1) {
        ngx_set_errno(0);
        return ngx_http_sprox_persist_failed(f, "RAND_bytes()");
    }

    ngx_memcpy(head.id, f->id, SPROX_SNAPSHOT_ID);
    ngx_memcpy(head.boot, f->boot, SPROX_SNAPSHOT_ID);
    head.time = f->begun;
    head.state = f->state;

    if (sprox_buf_reserve(&f->out, NGX_HTTP_SPROX_PERSIST_CHUNK
                                   + SPROX_SNAPSHOT_BLOCK_MAX)
        != SPROX_OK)
    {
        ngx_set_errno(NGX_ENOMEM);
        return ngx_http_sprox_persist_failed(f, "malloc()");
    }

    sprox_snapshot_head_write(f->out.data, &head);
    f->out.len = SPROX_SNAPSHOT_HEAD;

    /* who tells from here on marks this one, too: see _finish() */

    if (ngx_http_sprox_persist_write(f) != NGX_OK) {
        return NGX_ERROR;
    }

    f->sh->marked = 0;
    f->sh->soon = 0;

    catalog = ngx_http_sprox_zone_lock();
    sprox_snapshot_begin_locked(&f->writer, catalog);
    sprox_catalog_stats_locked(catalog, &stats);
    ngx_http_sprox_zone_unlock();

    f->changes = stats.changes;

    return f->writer.epoch == f->sh->epoch ? NGX_OK : NGX_ABORT;
}


/*
 * Opens and locks the temporary file.  The master does this as root in a
 * folder that is not root's: no link is followed.
 */

static ngx_int_t
ngx_http_sprox_persist_temp(ngx_http_sprox_persist_file_t *f)
{
    ngx_uint_t   i;
    struct stat  st, there;

    for (i = 0; i < NGX_HTTP_SPROX_PERSIST_TRIES; i++) {

        f->fd = open((char *) f->temp,
                     O_RDWR|O_CREAT|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC, 0600);

        if (f->fd == NGX_INVALID_FILE) {

            /* of another user, who may be gone; the folder is ours */

            if (ngx_delete_file(f->temp) == NGX_FILE_ERROR) {
                return ngx_http_sprox_persist_failed(f, "open()");
            }

            continue;
        }

        if (flock(f->fd, LOCK_EX|LOCK_NB) == -1) {
            if (ngx_errno == EWOULDBLOCK) {
                ngx_http_sprox_persist_close(f);
                return NGX_BUSY;
            }

            return ngx_http_sprox_persist_failed(f, "flock()");
        }

        /* it may have got another name between the two */

        if (fstat(f->fd, &st) == -1) {
            return ngx_http_sprox_persist_failed(f, "fstat()");
        }

        if (lstat((char *) f->temp, &there) == -1
            || there.st_ino != st.st_ino || there.st_dev != st.st_dev)
        {
            ngx_http_sprox_persist_close(f);
            continue;
        }

        if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
            ngx_http_sprox_persist_close(f);

            if (ngx_delete_file(f->temp) == NGX_FILE_ERROR) {
                return ngx_http_sprox_persist_failed(f, "unlink()");
            }

            continue;
        }

        if (ftruncate(f->fd, 0) == -1 || fchmod(f->fd, 0600) == -1
            || (f->user != (ngx_uid_t) NGX_CONF_UNSET_UINT
                && fchown(f->fd, f->user, f->group) == -1))
        {
            return ngx_http_sprox_persist_failed(f, "ftruncate()");
        }

        return NGX_OK;
    }

    return NGX_BUSY;
}


ngx_int_t
ngx_http_sprox_persist_save(ngx_http_sprox_persist_file_t *f)
{
    int64_t           until;
    sprox_rc_t        rc;
    sprox_catalog_t  *catalog;

    until = ngx_http_sprox_now_exact() + NGX_HTTP_SPROX_PERSIST_STEP;

    do {
        catalog = ngx_http_sprox_zone_lock();

        rc = sprox_snapshot_write_locked(&f->writer, catalog,
                                         NGX_HTTP_SPROX_PERSIST_GETS,
                                         &f->out);
        ngx_http_sprox_zone_share();

        if (rc == SPROX_NOT_FOUND) {
            return NGX_ABORT;
        }

        if (rc == SPROX_NOMEM) {
            ngx_set_errno(NGX_ENOMEM);
            return ngx_http_sprox_persist_failed(f, "malloc()");
        }

        if ((rc == SPROX_DONE || f->out.len >= NGX_HTTP_SPROX_PERSIST_CHUNK)
            && ngx_http_sprox_persist_write(f) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (rc == SPROX_DONE) {
            return ngx_http_sprox_persist_finish(f);
        }

    } while (ngx_http_sprox_now_exact() < until);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_sprox_persist_write(ngx_http_sprox_persist_file_t *f)
{
    ssize_t  n;

    n = pwrite(f->fd, f->out.data, f->out.len, f->offset);

    if (n != (ssize_t) f->out.len) {

        if (n != -1) {
            ngx_set_errno(NGX_ENOSPC);
        }

        return ngx_http_sprox_persist_failed(f, "pwrite()");
    }

    f->offset += n;
    f->out.len = 0;

    if (f->offset - f->synced >= NGX_HTTP_SPROX_PERSIST_SYNC) {
        f->synced = f->offset;

        if (fdatasync(f->fd) == -1) {
            return ngx_http_sprox_persist_failed(f, "fdatasync()");
        }
    }

    return NGX_OK;
}


/*
 * The lock is held, so nobody else puts a file there between the look and
 * the rename.  Who tells writes into both files, and then sets `marked`, or
 * `owed` where that failed: what is not seen here, is written into what is
 * here or there by then, or will be.
 */

static ngx_int_t
ngx_http_sprox_persist_finish(ngx_http_sprox_persist_file_t *f)
{
    ngx_fd_t   fd, temp;
    ngx_int_t  rc;

    if (fsync(f->fd) == -1) {
        return ngx_http_sprox_persist_failed(f, "fsync()");
    }

    temp = f->fd;
    rc = NGX_OK;

    f->fd = open((char *) f->path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (f->fd != NGX_INVALID_FILE) {
        rc = ngx_http_sprox_persist_same(f);
        (void) ngx_close_file(f->fd);

    } else if (ngx_errno != NGX_ENOENT) {
        rc = ngx_http_sprox_persist_failed(f, "open()");
    }

    f->fd = temp;

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_ERROR : NGX_ABORT;
    }

    if ((f->sh->marked || f->sh->owed)
        && pwrite(f->fd, sprox_snapshot_state(SPROX_SNAPSHOT_TOLD),
                  SPROX_SNAPSHOT_STATE, SPROX_SNAPSHOT_STATE_AT)
           != SPROX_SNAPSHOT_STATE)
    {
        return ngx_http_sprox_persist_failed(f, "pwrite()");
    }

    if (ngx_rename_file(f->temp, f->path) == NGX_FILE_ERROR) {
        return ngx_http_sprox_persist_failed(f, "rename()");
    }

    f->writing = 0;
    f->objects = f->writer.counts.objects;

    fd = open((char *) f->folder, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd != NGX_INVALID_FILE) {
        (void) fsync(fd);
        (void) ngx_close_file(fd);
    }

    f->took = (ngx_msec_t) (ngx_http_sprox_now_exact() - f->begun);

    return NGX_OK;
}


void
ngx_http_sprox_persist_close(ngx_http_sprox_persist_file_t *f)
{
    if (f->writing) {
        (void) ngx_delete_file(f->temp);
    }

    if (f->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(f->fd);
        f->fd = NGX_INVALID_FILE;
    }

    if (f->reading) {
        sprox_snapshot_reader_free(&f->reader);
    }

    free(f->chunk);
    f->chunk = NULL;

    sprox_buf_free(&f->out);

    f->reading = 0;
    f->writing = 0;
}


ngx_int_t
ngx_http_sprox_persist_doubt(ngx_http_sprox_persist_file_t *f)
{
    /* in this order: what has got the other name meanwhile is found there */

    if (ngx_http_sprox_persist_doubt_one(f, f->temp) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sprox_persist_doubt_one(f, f->path);
}


/* What is no snapshot is left as it is. */

static ngx_int_t
ngx_http_sprox_persist_doubt_one(ngx_http_sprox_persist_file_t *f,
    u_char *path)
{
    u_char                 head[SPROX_SNAPSHOT_HEAD];
    ngx_fd_t               fd;
    ngx_int_t              rc;
    sprox_snapshot_head_t  h;

    fd = open((char *) path, O_RDWR|O_NONBLOCK|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        return ngx_errno == NGX_ENOENT
               ? NGX_OK : ngx_http_sprox_persist_failed(f, "open()");
    }

    rc = ngx_http_sprox_persist_head(f, fd, head);

    if (rc == NGX_OK && sprox_snapshot_head_read(head, &h, NULL) == SPROX_OK
        && pwrite(fd, sprox_snapshot_state(SPROX_SNAPSHOT_TOLD),
                  SPROX_SNAPSHOT_STATE, SPROX_SNAPSHOT_STATE_AT)
           != SPROX_SNAPSHOT_STATE)
    {
        rc = ngx_http_sprox_persist_failed(f, "pwrite()");
    }

    (void) ngx_close_file(fd);

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}
