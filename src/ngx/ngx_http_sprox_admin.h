/*
 * sprox_admin: jobs and aliases as JSON, for operators and their programs.
 *
 *   GET    jobs                    {"jobs": [...]}
 *   GET    jobs/ID                 a job
 *   DELETE jobs/ID                 cancels it
 *   GET    aliases                 {"aliases": [...]}
 *   GET    aliases/NAME            what is known of an alias
 *   POST   aliases/NAME/crawl      202 and the job
 *   POST   events                  see ngx_http_sprox_events.h
 *
 * below the location's own name.  What goes wrong is {"message": "..."}.
 */

#ifndef _NGX_HTTP_SPROX_ADMIN_H_INCLUDED_
#define _NGX_HTTP_SPROX_ADMIN_H_INCLUDED_


#include "ngx_http_sprox.h"


/* The content handler of sprox_admin. */
ngx_int_t ngx_http_sprox_admin_handler(ngx_http_request_t *r);

/*
 * In the phase before nginx may refuse a request and log it: a query with a
 * token of sprox_admin is hidden, wherever it was sent.  NGX_DECLINED.
 */
ngx_int_t ngx_http_sprox_admin_hide(ngx_http_request_t *r);

/*
 * An answer of the location's own: a status and one line for whoever asks.
 * Returns what a content handler returns.
 */
ngx_int_t ngx_http_sprox_admin_message(ngx_http_request_t *r,
    ngx_uint_t status, const char *message);


#endif /* _NGX_HTTP_SPROX_ADMIN_H_INCLUDED_ */
