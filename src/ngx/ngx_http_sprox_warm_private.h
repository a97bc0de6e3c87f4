/*
 * Warm, shared by its files: ngx_http_sprox_warm.c (what is found),
 * _warm_queue.c (the objects that wait, in shared memory), _warm_job.c (what
 * fetches them).
 */

#ifndef _NGX_HTTP_SPROX_WARM_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_WARM_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_warm.h"
#include "ngx_http_sprox_fill.h"


/* Objects that wait, of all buckets; what comes then is dropped. */
#define NGX_HTTP_SPROX_WARM_ITEMS     1024

#define NGX_HTTP_SPROX_WARM_TEXT_MAX                                         \
    (2 * NGX_HTTP_SPROX_JOB_NAME_MAX + SPROX_KEY_MAX + SPROX_ETAG_MAX        \
     + NGX_HTTP_SPROX_WARM_VERSION_MAX)


/* An object that waits: a copy. */

typedef struct {
    uint64_t                    id;
    sprox_str_t                 origin;    /* its name; strings: in text */
    sprox_str_t                 bucket;
    sprox_str_t                 key;
    sprox_object_t              was;       /* the version that is cached */
    u_char                      text[NGX_HTTP_SPROX_WARM_TEXT_MAX];
} ngx_http_sprox_warm_item_t;


/* _warm.c */

/* Whether fills write to place n: then the spec becomes what they write. */
ngx_uint_t ngx_http_sprox_warm_place(ngx_http_sprox_main_conf_t *mcf,
    ngx_uint_t n, ngx_http_sprox_spec_t *spec);

/* Whether a slice of a version is cached in the spec's place; key: scratch. */
ngx_uint_t ngx_http_sprox_warm_cached(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *was, uint64_t index, sprox_buf_t *key);


/* _warm_job.c */

/* A worker begins: no job runs in it. */
void ngx_http_sprox_warm_job_start(void);

/* Lanes of this worker's job without an object look for one. */
void ngx_http_sprox_warm_poke(void);


/* _warm_queue.c */

/* The zone.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_warm_queue_init(ngx_conf_t *cf,
    ngx_shm_zone_t **zone);

/* A worker begins; zone NULL: nothing is queued. */
void ngx_http_sprox_warm_queue_start(ngx_shm_zone_t *zone);

ngx_uint_t ngx_http_sprox_warm_queue_there(void);

/* NGX_OK; NGX_BUSY: the queue is full; NGX_ERROR: a name is too long. */
ngx_int_t ngx_http_sprox_warm_queue_add(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, const sprox_object_t *was);

/* The first of a bucket whose id is above.  NGX_OK or NGX_DECLINED. */
ngx_int_t ngx_http_sprox_warm_queue_next(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, uint64_t above, ngx_http_sprox_warm_item_t *item);

/* In slot n, below .._WARM_ITEMS.  NGX_OK or NGX_DECLINED. */
ngx_int_t ngx_http_sprox_warm_queue_at(ngx_uint_t n,
    ngx_http_sprox_warm_item_t *item);

void ngx_http_sprox_warm_queue_remove(uint64_t id);

/*
 * It failed: it becomes the last, with a new id.  NGX_OK; NGX_DECLINED: that
 * was so `max` times, and it was removed.
 */
ngx_int_t ngx_http_sprox_warm_queue_again(uint64_t id, ngx_uint_t max);


#endif /* _NGX_HTTP_SPROX_WARM_PRIVATE_H_INCLUDED_ */
