/*
 * HeadBucket and GetBucketLocation.
 */

#ifndef _NGX_HTTP_SPROX_BUCKET_H_INCLUDED_
#define _NGX_HTTP_SPROX_BUCKET_H_INCLUDED_


#include "ngx_http_sprox.h"


/*
 * Some alias serves ctx->s3.bucket.  The location is the region of the
 * origin, from the configuration.  HeadBucket asks the origin whether the
 * bucket is there; what it said holds as long as the policy's `valid`.
 */
ngx_int_t ngx_http_sprox_bucket_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);


#endif /* _NGX_HTTP_SPROX_BUCKET_H_INCLUDED_ */
