/*
 * Tiers: the zones of `cache A B ...`.  A slice is looked for in their
 * order; fills write to the last, which keeps everything; what is hot in one
 * is copied into the one above (the rule and the bounds are in
 * sprox_tier.h).  A copy above is one more, so what a zone evicts is still
 * in those below, and whatever becomes of a copy costs no reader anything.
 *
 * Only caches of several zones have anything of this to do.
 */

#ifndef _NGX_HTTP_SPROX_TIER_H_INCLUDED_
#define _NGX_HTTP_SPROX_TIER_H_INCLUDED_


#include "ngx_http_sprox_fill.h"
#include "ngx_http_sprox_open.h"
#include "sprox_tier.h"


/* A slice that was found: which, where, and how. */

typedef struct {
    ngx_http_sprox_spec_t          *spec;
    ngx_uint_t                      tier;
    sprox_str_t                     key;     /* of the slice */
    u_char                         *md5;
    ngx_http_sprox_cache_entry_t   *entry;
    ngx_http_sprox_open_t          *open;    /* NULL: it was opened now */
    ngx_uint_t                      hot;
} ngx_http_sprox_tier_hit_t;


/* Once a worker. */
void ngx_http_sprox_tier_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

ngx_uint_t ngx_http_sprox_tiers(ngx_http_sprox_spec_t *spec);

ngx_http_file_cache_t *ngx_http_sprox_tier_cache(ngx_http_sprox_spec_t *spec,
    ngx_uint_t tier);

/* Whether any tier has the slice, as far as memory tells. */
ngx_uint_t ngx_http_sprox_tier_exists(ngx_http_sprox_spec_t *spec,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);

/*
 * A slice is read from a tier: the tiers below are told of the use, so that
 * they keep it; when it is hot, a copy into the tier above may begin.
 */
void ngx_http_sprox_tier_hit(ngx_http_sprox_tier_hit_t *hit);

/* Bytes that were sent out of a tier, for the metrics. */
void ngx_http_sprox_tier_count(ngx_http_sprox_spec_t *spec, ngx_uint_t tier,
    off_t bytes);


#endif /* _NGX_HTTP_SPROX_TIER_H_INCLUDED_ */
