/*
 * A walk over all files of a cache zone, by threads: for what is known by no
 * name, such as the slices of all objects below a prefix.
 *
 * A zone's nodes hold only the MD5 of a key; the key stands in the file.  So
 * the folders are read, and the head of each file, in the thread pool; what
 * is found is told in the event loop, some files at a time.
 */

#ifndef _NGX_HTTP_SPROX_WALK_H_INCLUDED_
#define _NGX_HTTP_SPROX_WALK_H_INCLUDED_


#include "ngx_http_sprox_cache.h"


/* Files that are looked at by one task, and told at once. */
#define NGX_HTTP_SPROX_WALK_FILES   256


typedef struct ngx_http_sprox_walk_s  ngx_http_sprox_walk_t;


/* A file that was found, valid until the walk goes on. */

typedef struct {
    sprox_str_t  key;
} ngx_http_sprox_walk_file_t;


/*
 * Called by the thread, for each file with a key of ours: whether it is one
 * that is looked for.  block: as in _cache.h; empty: it cannot be read.  It
 * touches nothing but data that the event loop leaves alone meanwhile.
 */
typedef ngx_uint_t (*ngx_http_sprox_walk_match_pt)(void *data,
    sprox_str_t key, sprox_str_t block);

/*
 * Called from the event loop.  n files that match; rc: NGX_AGAIN: there may
 * be more, after walk_next(); NGX_DONE: that was all; NGX_ERROR: the folder
 * cannot be read, a line was written.  It may call walk_free().
 */
typedef void (*ngx_http_sprox_walk_pt)(void *data,
    ngx_http_sprox_walk_file_t *files, ngx_uint_t n, ngx_int_t rc);


/*
 * A walk that has not begun, or NULL.  Its data is set once there is a pool
 * for it.
 */
ngx_http_sprox_walk_t *ngx_http_sprox_walk_create(ngx_log_t *log,
    ngx_thread_pool_t *tp, ngx_http_file_cache_t *cache,
    ngx_http_sprox_walk_match_pt match, ngx_http_sprox_walk_pt found);

/* data: of found(); sought: of match(), in the pool. */
void ngx_http_sprox_walk_set(ngx_http_sprox_walk_t *walk, void *data,
    void *sought);

/* Looks at some files; found() is called.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_walk_next(ngx_http_sprox_walk_t *walk);

/* Ends it, also while a thread is at it: found() is not called any more. */
void ngx_http_sprox_walk_free(ngx_http_sprox_walk_t *walk);

/* Lives as long as the walk and any task of it: for match()'s data. */
ngx_pool_t *ngx_http_sprox_walk_pool(ngx_http_sprox_walk_t *walk);


#endif /* _NGX_HTTP_SPROX_WALK_H_INCLUDED_ */
