/*
 * sprox_admin, shared by ngx_http_sprox_admin.c (who may ask for what),
 * _admin_json.c (what is told) and _admin_count.c (what takes its time).
 */

#ifndef _NGX_HTTP_SPROX_ADMIN_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_ADMIN_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_admin.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_zone.h"
#include <jansson.h>


/*
 * Each is a new reference, or NULL: memory.  bucket: of the alias' origin;
 * empty: the one that it is always in.  counted: objects and bytes of its
 * region, where that is none of the catalog's; NULL: not known.
 */
json_t *ngx_http_sprox_admin_job(ngx_http_sprox_job_info_t *info);
json_t *ngx_http_sprox_admin_alias(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, const sprox_region_t *counted);

/*
 * Answers with all jobs, or all aliases, in steps.  Return what a content
 * handler returns.
 */
ngx_int_t ngx_http_sprox_admin_jobs(ngx_http_request_t *r);
ngx_int_t ngx_http_sprox_admin_aliases(ngx_http_request_t *r);

/*
 * Whether the catalog has counted what is below a prefix.  *region: as it
 * is, and empty when there is none.
 */
ngx_uint_t ngx_http_sprox_admin_counted(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, sprox_str_t prefix, sprox_region_t *region);

/*
 * Answers with what is known of an alias in a bucket; objects that no region
 * counts are counted, in steps.  Returns what a content handler returns.
 */
ngx_int_t ngx_http_sprox_admin_count(ngx_http_request_t *r,
    ngx_http_sprox_alias_t *alias, sprox_str_t bucket);

/*
 * Answers with a document, and gives up the reference to it.  Returns what
 * a content handler returns.
 */
ngx_int_t ngx_http_sprox_admin_send(ngx_http_request_t *r, ngx_uint_t status,
    json_t *json);

/*
 * Writes a document at a buffer's end, and gives up the reference to it.
 * NGX_OK; NGX_ERROR: memory, and the text is not whole.
 */
ngx_int_t ngx_http_sprox_admin_dump(sprox_buf_t *buf, json_t *json);

/* Answers with a text, of r->pool, that was made so. */
ngx_int_t ngx_http_sprox_admin_send_text(ngx_http_request_t *r,
    ngx_uint_t status, sprox_buf_t *buf);


#endif /* _NGX_HTTP_SPROX_ADMIN_PRIVATE_H_INCLUDED_ */
