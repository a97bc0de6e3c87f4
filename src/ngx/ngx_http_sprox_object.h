/*
 * GET and HEAD of objects: what is known, what is asked, what is sent.
 */

#ifndef _NGX_HTTP_SPROX_OBJECT_H_INCLUDED_
#define _NGX_HTTP_SPROX_OBJECT_H_INCLUDED_


#include "ngx_http_sprox.h"


/*
 * Serves GetObject and HeadObject: ctx->alias, policy, bucket and key are
 * set.  Returns what a content handler returns (NGX_DONE while it goes on).
 */
ngx_int_t ngx_http_sprox_object_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);

/*
 * Response headers of an object, with status and length: what the origin
 * sent for it, ETag, Last-Modified, Accept-Ranges, Content-Range for 206,
 * the query's response-* overrides.  start and end: half-open.  parts: of
 * partNumber, or 0.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_object_headers(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx, const sprox_object_t *object,
    ngx_uint_t status, uint64_t start, uint64_t end, uint64_t parts);


#endif /* _NGX_HTTP_SPROX_OBJECT_H_INCLUDED_ */
