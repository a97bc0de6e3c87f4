/*
 * Warm: what was cached of an object that changed is fetched again, before
 * anybody asks for it: `reload TIME warm`.
 *
 * Whoever learns of another version, by a crawl or an event, says what was
 * known before.  If slices of that are cached, the object is queued, and a
 * job of the kind "warm", one for each bucket, fetches the same slices of the
 * version that there is now, and the last one where the last one was cached.
 *
 * Clients go first: the fetches are read-ahead, and few at a time.
 */

#ifndef _NGX_HTTP_SPROX_WARM_H_INCLUDED_
#define _NGX_HTTP_SPROX_WARM_H_INCLUDED_


#include "ngx_http_sprox_job.h"


/* A generation: 20 digits are more than 64 bits. */
#define NGX_HTTP_SPROX_WARM_VERSION_MAX  20


/* What was known of an object before something was learned. */

typedef struct {
    sprox_object_t              object;    /* what names its slices, in text */
    unsigned                    known:1;   /* and may be cached */
    u_char                      text[SPROX_ETAG_MAX
                                     + NGX_HTTP_SPROX_WARM_VERSION_MAX];
} ngx_http_sprox_warm_was_t;


extern const ngx_http_sprox_job_kind_t  ngx_http_sprox_warm_kind;


/* Configuration: the queue's zone, if any alias wants it. */
ngx_int_t ngx_http_sprox_warm_init(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);

/* A worker begins. */
void ngx_http_sprox_warm_start(ngx_http_sprox_main_conf_t *mcf);

/*
 * Around whatever may put another version of an object: before() fills in
 * *was, after() compares, and queues.  *was may be kept in between, but not
 * be copied.  Neither costs anything where nobody wants it.
 */
void ngx_http_sprox_warm_before(ngx_http_sprox_warm_was_t *was,
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t key);
void ngx_http_sprox_warm_after(ngx_http_sprox_warm_was_t *was,
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t key);

/* Now and then: jobs for what is queued and has none. */
void ngx_http_sprox_warm_due(ngx_http_sprox_main_conf_t *mcf);


#endif /* _NGX_HTTP_SPROX_WARM_H_INCLUDED_ */
