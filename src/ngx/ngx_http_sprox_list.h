/*
 * Listings and what else is asked of buckets: ListObjects, ListObjectsV2,
 * ListBuckets, HeadBucket, GetBucketLocation.
 */

#ifndef _NGX_HTTP_SPROX_LIST_H_INCLUDED_
#define _NGX_HTTP_SPROX_LIST_H_INCLUDED_


#include "ngx_http_sprox.h"


/* Returns what a content handler returns (NGX_DONE while it goes on). */
ngx_int_t ngx_http_sprox_list_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);

/*
 * What a line of an origin's page tells of an object is put into the
 * catalog; sent: when the page was asked for, in ms since 1970.  As for
 * ngx_http_sprox_zone_put(); SPROX_LIMIT: also a key or a size that no
 * object can have.
 */
sprox_rc_t ngx_http_sprox_list_teach(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, const sprox_list_item_t *item, int64_t sent);

/* Whether some alias serves the virtual bucket of that name. */
ngx_uint_t ngx_http_sprox_list_has_bucket(ngx_http_sprox_main_conf_t *mcf,
    sprox_str_t bucket);

/* Of a page in the cache: how its key begins, and when it was asked for (ms;
   0: its block cannot be read). */
void ngx_http_sprox_list_key_begin(sprox_buf_t *key, sprox_str_t origin,
    sprox_str_t bucket);
int64_t ngx_http_sprox_list_page_sent(sprox_str_t block);


#endif /* _NGX_HTTP_SPROX_LIST_H_INCLUDED_ */
