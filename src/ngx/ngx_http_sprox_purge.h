/*
 * PURGE of one object: its slices are deleted, what is known of it is
 * forgotten.
 */

#ifndef _NGX_HTTP_SPROX_PURGE_H_INCLUDED_
#define _NGX_HTTP_SPROX_PURGE_H_INCLUDED_


#include "ngx_http_sprox.h"


/* By the connection's address: sprox_control, or loopback and unix. */
ngx_uint_t ngx_http_sprox_purge_allowed(ngx_http_request_t *r);

/*
 * ctx->alias, policy, bucket and key are set.  Answers 200 with
 * {"objects": N, "slices": N, "bytes": N}.  Whoever may not was refused
 * before.
 */
ngx_int_t ngx_http_sprox_purge_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);


#endif /* _NGX_HTTP_SPROX_PURGE_H_INCLUDED_ */
