/*
 * Files in nginx's cache: entries of proxy_cache_path zones that sprox
 * writes and reads itself.  nginx's manager and loader treat them as their
 * own.
 *
 *   +--------------------+-----------+---------------+------- - - -+
 *   | nginx cache header | KEY: line | length and    | the bytes   |
 *   |                    |           | block, padded |             |
 *   +--------------------+-----------+---------------+------- - - -+
 *   0                                header_start    body_start
 *
 * The block says what the bytes are (sprox_slice_meta_t for slices).
 * body_start is rounded up, so that entries of one key written by two
 * workers, with headers of slightly different length, have the same.
 */

#ifndef _NGX_HTTP_SPROX_CACHE_H_INCLUDED_
#define _NGX_HTTP_SPROX_CACHE_H_INCLUDED_


#include "ngx_http_sprox_temp.h"


#define NGX_HTTP_SPROX_BODY_ALIGN   1024

/* nginx's header and a KEY line, our block: what may stand before bytes. */
#define NGX_HTTP_SPROX_BODY_MAX     (32 * 1024)


/* An entry that is being written. */

typedef struct {
    ngx_pool_t             *pool;       /* the caller's */
    ngx_http_request_t      request;    /* a shell for nginx's functions */
    ngx_connection_t        connection;
    ngx_temp_file_t         temp_file;
    ngx_http_sprox_temp_t  *temp;
    u_char                 *head;       /* base bytes that are written first;
                                           NULL: none */
    off_t                   base;       /* where the bytes start */
    unsigned                open:1;
} ngx_http_sprox_cache_writer_t;


/* An entry that was found. */

typedef struct {
    ngx_http_cache_t    *cache;
    ngx_file_t           file;          /* its fd is closed with the pool */
    sprox_str_t          block;         /* in the pool */
    off_t                base;
    off_t                length;        /* of the bytes */
} ngx_http_sprox_cache_entry_t;


/* What a zone remembers of the use of an entry. */

typedef struct {
    ngx_uint_t           uses;          /* its being written is one */
    time_t               used;          /* the latest; seconds */
} ngx_http_sprox_cache_use_t;


/* The file cache behind a zone of `cache`. */
ngx_http_file_cache_t *ngx_http_sprox_cache_zone(ngx_shm_zone_t *zone);

/*
 * The one that is written to, of the zones of `cache`, in their order: the
 * last; NULL: there is none.
 */
ngx_http_file_cache_t *ngx_http_sprox_cache_last(ngx_array_t *zones);

/* MD5 of a key, as nginx names its files. */
void ngx_http_sprox_cache_md5(sprox_str_t key,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);

/*
 * The name of an entry's file, with a zero at its end, which is returned;
 * NULL: it is longer than size.
 */
u_char *ngx_http_sprox_cache_name(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], u_char *name, size_t size);

/*
 * Whether a zone has the entry, as far as memory tells; the disk is asked
 * only while the loader is not done.
 */
ngx_uint_t ngx_http_sprox_cache_exists(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);

/* The same, and how it was used; of what only the disk knows: never. */
ngx_uint_t ngx_http_sprox_cache_peek(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], ngx_http_sprox_cache_use_t *use);

/* Whether a zone is so far beyond its max_size that it is better left. */
ngx_uint_t ngx_http_sprox_cache_full(ngx_http_file_cache_t *cache);

/*
 * Whether a zone still has the entry, in the file of that number (0: of
 * any).  use: it was used, for nginx's LRU.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_http_sprox_cache_touch(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN], ngx_file_uniq_t uniq,
    ngx_uint_t use);

/* The latest use was none: a reader of what it had asked for itself. */
void ngx_http_sprox_cache_unuse(ngx_http_file_cache_t *cache,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);

/*
 * Opens an entry for a client's request, in memory of pool (which also
 * closes it: destroy the pool to let go).  *entry->cache NULL at first;
 * after NGX_AGAIN (aio threads: r->write_event_handler will be called) call
 * again with the same entry.  NGX_OK; NGX_DECLINED: not there, or not
 * readable; NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_cache_open(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_file_cache_t *cache, sprox_str_t key,
    ngx_http_sprox_cache_entry_t *entry);

/* The same at once, whatever "aio" says: never NGX_AGAIN. */
ngx_int_t ngx_http_sprox_cache_open_now(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_http_file_cache_t *cache, sprox_str_t key,
    ngx_http_sprox_cache_entry_t *entry);

/*
 * Begins an entry; make() makes its file.  valid: seconds, as nginx's
 * "valid_sec".  Everything is in pool, which must outlive readers of the
 * descriptor; the file is removed with the pool unless it was committed.
 * NGX_OK or NGX_ERROR (logged).
 */
ngx_int_t ngx_http_sprox_cache_create(ngx_http_sprox_cache_writer_t *w,
    ngx_pool_t *pool, ngx_log_t *log, ngx_http_file_cache_t *cache,
    sprox_str_t key, sprox_str_t block, time_t valid);

/*
 * The temporary file of an entry that was begun, beside its final place, with
 * header and block.  In any thread that has the writer and its pool to itself.
 * NGX_OK or NGX_ERROR (logged).
 */
ngx_int_t ngx_http_sprox_cache_make(ngx_http_sprox_cache_writer_t *w,
    ngx_log_t *log);

/* Whether make() made it. */
ngx_uint_t ngx_http_sprox_cache_made(ngx_http_sprox_cache_writer_t *w);

/*
 * Begins the copy of an entry of another zone, and makes its file: nothing is
 * written yet.  The caller writes the whole file, nginx's header first, to
 * w->temp_file.file.fd; base: where the bytes start in it.
 */
ngx_int_t ngx_http_sprox_cache_clone(ngx_http_sprox_cache_writer_t *w,
    ngx_pool_t *pool, ngx_log_t *log, ngx_http_file_cache_t *cache,
    sprox_str_t key, off_t base);

/* Writes bytes at an offset of the body.  NGX_OK or NGX_ERROR (logged). */
ngx_int_t ngx_http_sprox_cache_write(ngx_http_sprox_cache_writer_t *w,
    u_char *p, size_t n, off_t offset);

/* The entry is whole: it becomes visible. */
void ngx_http_sprox_cache_commit(ngx_http_sprox_cache_writer_t *w);

/* After commit(): the descriptor is not needed any more. */
void ngx_http_sprox_cache_close(ngx_http_sprox_cache_writer_t *w);

/* It will never be whole. */
void ngx_http_sprox_cache_abort(ngx_http_sprox_cache_writer_t *w);

/*
 * Deletes an entry and frees its disk.  *bytes: its size on disk, header
 * and all.  NGX_OK, NGX_DECLINED (there was none) or NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_cache_delete(ngx_http_file_cache_t *cache,
    sprox_str_t key, ngx_log_t *log, off_t *bytes);


#endif /* _NGX_HTTP_SPROX_CACHE_H_INCLUDED_ */
