/*
 * Answers that are no object: S3 errors, XML documents, JSON.
 */

#ifndef _NGX_HTTP_SPROX_ERROR_H_INCLUDED_
#define _NGX_HTTP_SPROX_ERROR_H_INCLUDED_


#include "ngx_http_sprox.h"


/*
 * Sends an S3 error with its XML (no body for HEAD) and x-amz-request-id.
 * message: NULL for the table's own text.  Returns what a content handler
 * returns; the caller finalises the request with it.
 */
ngx_int_t ngx_http_sprox_send_error(ngx_http_request_t *r,
    sprox_error_code_t code, const char *message);

/*
 * An origin's answer passed on: its status (400 and above), its code and
 * message when it sent a document, else what S3 would send for the status;
 * bucket and key in the clients' words.  What clients must not see (an
 * origin's 401/403 over our own signature stays 403 AccessDenied with the
 * origin's message; redirects become 502).
 */
ngx_int_t ngx_http_sprox_send_origin_error(ngx_http_request_t *r,
    int status, const sprox_error_t *error);

/*
 * Sends a whole body.  type: a content type; body: in r->pool.  Used for
 * XML and JSON.  Adds x-amz-request-id.
 */
ngx_int_t ngx_http_sprox_send_body(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, sprox_str_t body);

/*
 * Adds a response header; name and value must live as long as r->pool.
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_add_header(ngx_http_request_t *r, ngx_str_t name,
    ngx_str_t value);

/* x-amz-request-id of this request; without a ctx it has none. */
ngx_int_t ngx_http_sprox_add_request_id(ngx_http_request_t *r);


#endif /* _NGX_HTTP_SPROX_ERROR_H_INCLUDED_ */
