/*
 * sprox_admin, shared by ngx_http_sprox_admin.c (who may ask for what) and
 * _admin_json.c (what is told).
 */

#ifndef _NGX_HTTP_SPROX_ADMIN_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_ADMIN_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_admin.h"
#include "ngx_http_sprox_crawl.h"
#include <jansson.h>


/*
 * Each is a new reference, or NULL: memory.  bucket: of the alias' origin;
 * empty: the one that it is always in.
 */
json_t *ngx_http_sprox_admin_job(ngx_http_sprox_job_info_t *info);
json_t *ngx_http_sprox_admin_jobs(void);
json_t *ngx_http_sprox_admin_alias(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket);
json_t *ngx_http_sprox_admin_aliases(ngx_http_sprox_main_conf_t *mcf);

/*
 * Answers with a document, and gives up the reference to it.  Returns what
 * a content handler returns.
 */
ngx_int_t ngx_http_sprox_admin_send(ngx_http_request_t *r, ngx_uint_t status,
    json_t *json);


#endif /* _NGX_HTTP_SPROX_ADMIN_PRIVATE_H_INCLUDED_ */
