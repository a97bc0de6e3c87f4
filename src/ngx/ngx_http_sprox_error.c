
/*
 * Answers that are no object: S3 errors, XML documents, JSON.
 */

#include "ngx_http_sprox_error.h"


#define NGX_HTTP_SPROX_MESSAGE_MAX   1024


static ngx_int_t ngx_http_sprox_send_code(ngx_http_request_t *r,
    ngx_uint_t status, sprox_str_t code, sprox_str_t message);
static sprox_error_code_t ngx_http_sprox_error_for(int status);


ngx_int_t
ngx_http_sprox_send_error(ngx_http_request_t *r, sprox_error_code_t code,
    const char *message)
{
    sprox_str_t                text;
    const sprox_error_info_t  *info;

    info = sprox_error_info(code);

    text = message ? sprox_str_make(message, ngx_strlen(message))
                   : info->message;

    return ngx_http_sprox_send_code(r, info->status, info->code, text);
}


ngx_int_t
ngx_http_sprox_send_origin_error(ngx_http_request_t *r, int status,
    const sprox_error_t *error)
{
    sprox_str_t          message;
    sprox_error_code_t   code;

    code = ngx_http_sprox_error_for(status);

    /*
     * Our own credentials were refused, or the origin sends us elsewhere:
     * nothing that a client could mend, and nothing it should read.
     */

    if (error->code.len == 0 || status < 400 || status == 401
        || code == SPROX_ERR_BAD_GATEWAY
        || sprox_str_eq(error->code, sprox_str_lit("SignatureDoesNotMatch"))
        || sprox_str_eq(error->code, sprox_str_lit("InvalidAccessKeyId"))
        || sprox_str_eq(error->code, sprox_str_lit("ExpiredToken"))
        || sprox_str_eq(error->code, sprox_str_lit("InvalidToken"))
        || sprox_str_eq(error->code, sprox_str_lit("RequestTimeTooSkewed"))
        || sprox_str_eq(error->code,
                        sprox_str_lit("AuthorizationHeaderMalformed")))
    {
        return ngx_http_sprox_send_error(r, code, NULL);
    }

    message = error->message;
    message.len = ngx_min(message.len, NGX_HTTP_SPROX_MESSAGE_MAX);

    return ngx_http_sprox_send_code(r, status, error->code, message);
}


/* What a status without a document stands for. */

static sprox_error_code_t
ngx_http_sprox_error_for(int status)
{
    switch (status) {

    case 400:
        return SPROX_ERR_INVALID_REQUEST;

    case 401:
    case 403:
        return SPROX_ERR_ACCESS_DENIED;

    case 404:
    case 410:
        return SPROX_ERR_NO_SUCH_KEY;

    case 405:
        return SPROX_ERR_METHOD_NOT_ALLOWED;

    case 412:
        return SPROX_ERR_PRECONDITION_FAILED;

    case 416:
        return SPROX_ERR_INVALID_RANGE;

    case 429:
    case 503:
        return SPROX_ERR_SLOW_DOWN;

    case 500:
        return SPROX_ERR_INTERNAL_ERROR;

    case 501:
        return SPROX_ERR_NOT_IMPLEMENTED;

    case 504:
        return SPROX_ERR_GATEWAY_TIMEOUT;

    default:
        return SPROX_ERR_BAD_GATEWAY;
    }
}


static ngx_int_t
ngx_http_sprox_send_code(ngx_http_request_t *r, ngx_uint_t status,
    sprox_str_t code, sprox_str_t message)
{
    sprox_buf_t            body;
    sprox_str_t            bucket, key, id;
    ngx_uint_t             level;
    ngx_http_sprox_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sprox_module);

    bucket = ctx->s3.bucket;
    key = ctx->s3.key;
    id = sprox_str_make(ctx->request_id, sizeof(ctx->request_id));

    /* 501: what the client asked for, not what went wrong here */

    level = (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
             && status != NGX_HTTP_NOT_IMPLEMENTED) ? NGX_LOG_ERR
                                                    : NGX_LOG_INFO;

    ngx_log_error(level, r->connection->log, 0,
                  "sprox: answered %ui %*s: %*s; request id %*s", status,
                  code.len, code.data, message.len, message.data,
                  id.len, id.data);

    sprox_buf_init(&body, &ctx->mem);
    sprox_error_write(&body, code, message, bucket, key, id);

    if (sprox_buf_rc(&body) != SPROX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_send_body(r, status, "application/xml",
                                    sprox_buf_get(&body));
}


ngx_int_t
ngx_http_sprox_send_body(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, sprox_str_t body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body.len;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.last_modified_time = -1;

    r->allow_ranges = 0;
    r->disable_not_modified = 1;
    r->gzip_tested = 1;
    r->gzip_ok = 0;

    /* S3 answers a HEAD without a body, and so without its length */

    if (r->method == NGX_HTTP_HEAD && status >= NGX_HTTP_BAD_REQUEST) {
        ngx_http_clear_content_length(r);
        r->header_only = 1;
    }

    if (ngx_http_sprox_add_request_id(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->start = (u_char *) body.data;
    b->pos = b->start;
    b->last = b->start + body.len;
    b->end = b->last;
    b->memory = body.len ? 1 : 0;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_sprox_add_header(ngx_http_request_t *r, ngx_str_t name,
    ngx_str_t value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = name;
    h->value = value;
    ngx_http_sprox_header_end(h);

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_add_request_id(ngx_http_request_t *r)
{
    ngx_str_t              name, value;
    ngx_http_sprox_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sprox_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    ngx_str_set(&name, "x-amz-request-id");
    value.len = sizeof(ctx->request_id);
    value.data = ctx->request_id;

    return ngx_http_sprox_add_header(r, name, value);
}
