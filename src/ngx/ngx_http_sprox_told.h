/*
 * When somebody told last of a change below a prefix: what was asked for
 * before, and kept as it came (the pages of `list cached`), is not fresh.
 *
 * A table of moments in the catalog's zone, by origin, bucket and prefix up
 * to a '/': no entry belongs to one alone, so that a page may be asked for
 * again though nothing in it has changed, but none is kept that may have.
 */

#ifndef _NGX_HTTP_SPROX_TOLD_H_INCLUDED_
#define _NGX_HTTP_SPROX_TOLD_H_INCLUDED_


#include "ngx_http_sprox.h"


#define NGX_HTTP_SPROX_TOLD_SLOTS  1024

/* Deeper ones are told apart no more. */
#define NGX_HTTP_SPROX_TOLD_DEPTH  8


/* In shared memory, zeroed when it is made. */

typedef struct {
    int64_t                   since;    /* ms: nobody knows what was told
                                           before; 0: nothing was */
    ngx_atomic_t              told[NGX_HTTP_SPROX_TOLD_SLOTS];     /* ms */
} ngx_http_sprox_told_sh_t;


/* Something changed at that key, at `when` (ms) or before.  Takes no lock. */
void ngx_http_sprox_told(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t key, int64_t when);

/*
 * Whether something of that prefix may have changed since `sent` (ms).
 * Takes no lock.
 */
ngx_uint_t ngx_http_sprox_told_since(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t sent);


#endif /* _NGX_HTTP_SPROX_TOLD_H_INCLUDED_ */
