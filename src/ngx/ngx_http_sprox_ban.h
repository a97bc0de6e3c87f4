/*
 * PURGE of a prefix or of a bucket: a ban, which every worker obeys from that
 * moment on, and a job that deletes what lies in the caches behind it.
 */

#ifndef _NGX_HTTP_SPROX_BAN_H_INCLUDED_
#define _NGX_HTTP_SPROX_BAN_H_INCLUDED_


#include "ngx_http_sprox_job.h"


/*
 * Whether the key that a PURGE names ends with the '*' that stands for all
 * keys that begin so.  A key that ends with that byte itself is written %2A.
 */
ngx_uint_t ngx_http_sprox_ban_asked(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);

/*
 * Bans what lies below ctx->s3.key (without its '*'; empty: all of the
 * bucket) in each alias that serves some of it.  Answers 200 with
 * {"jobs": [ID, ...]}: the deletions behind it.  Whoever may not was refused
 * before.
 */
ngx_int_t ngx_http_sprox_ban_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx);

/*
 * Queues the deletions of bans that have none (of a table that was full, or
 * of an nginx that ended), and lifts the bans that have done their work.
 * Called now and then by one worker or several.
 */
void ngx_http_sprox_ban_resume(ngx_http_sprox_main_conf_t *mcf);

/* In _sweep.c. */
extern const ngx_http_sprox_job_kind_t  ngx_http_sprox_purge_kind;


#endif /* _NGX_HTTP_SPROX_BAN_H_INCLUDED_ */
