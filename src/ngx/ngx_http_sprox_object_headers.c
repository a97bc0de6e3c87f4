
/*
 * The response headers of an object.
 */

#include "ngx_http_sprox_object.h"
#include "ngx_http_sprox_error.h"


/* What a query may set in a response (S3 API, GetObject). */

static const struct {
    sprox_str_t  name;
    sprox_str_t  header;
} ngx_http_sprox_overrides[] = {
    { sprox_str("response-cache-control"), sprox_str("Cache-Control") },
    { sprox_str("response-content-disposition"),
      sprox_str("Content-Disposition") },
    { sprox_str("response-content-encoding"), sprox_str("Content-Encoding") },
    { sprox_str("response-content-language"), sprox_str("Content-Language") },
    { sprox_str("response-content-type"), sprox_str("Content-Type") },
    { sprox_str("response-expires"), sprox_str("Expires") },
    { { 0, NULL }, { 0, NULL } }
};


static ngx_int_t ngx_http_sprox_object_kept(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx, sprox_str_t headers);
static ngx_int_t ngx_http_sprox_object_set(ngx_http_request_t *r,
    sprox_str_t name, sprox_str_t value);
static const sprox_query_arg_t *ngx_http_sprox_object_override(
    ngx_http_sprox_ctx_t *ctx, sprox_str_t header);


ngx_int_t
ngx_http_sprox_object_headers(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx, const sprox_object_t *object,
    ngx_uint_t status, uint64_t start, uint64_t end, uint64_t parts)
{
    u_char                   *p;
    ngx_str_t                 name, value;
    ngx_uint_t                i;
    ngx_table_elt_t          *h;
    const sprox_query_arg_t  *arg;

    r->headers_out.status = status;
    r->headers_out.content_length_n = status == NGX_HTTP_NOT_MODIFIED
                                      ? -1 : (off_t) (end - start);

    if (object->last_modified) {
        r->headers_out.last_modified_time = object->last_modified / 1000;
    }

    /* ranges and conditions are answered here, and nothing is coded */

    r->allow_ranges = 0;
    r->disable_not_modified = 1;
    r->gzip_tested = 1;
    r->gzip_ok = 0;

    if (object->etag.len) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->hash = 1;
        ngx_str_set(&h->key, "ETag");
        h->value.len = object->etag.len;
        h->value.data = ngx_pnalloc(r->pool, object->etag.len);
        if (h->value.data == NULL) {
            h->hash = 0;
            return NGX_ERROR;
        }

        ngx_memcpy(h->value.data, object->etag.data, object->etag.len);
        ngx_http_sprox_header_end(h);
        r->headers_out.etag = h;
    }

    ngx_str_set(&name, "Accept-Ranges");
    ngx_str_set(&value, "bytes");

    if (ngx_http_sprox_add_header(r, name, value) != NGX_OK
        || ngx_http_sprox_add_request_id(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (status == NGX_HTTP_PARTIAL_CONTENT) {
        p = ngx_pnalloc(r->pool, sizeof("bytes -/") - 1 + 3 * NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_str_set(&name, "Content-Range");
        value.data = p;
        value.len = ngx_sprintf(p, "bytes %uL-%uL/%uL", start, end - 1,
                                object->size)
                    - p;

        if (ngx_http_sprox_add_header(r, name, value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (parts) {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_str_set(&name, "x-amz-mp-parts-count");
        value.data = p;
        value.len = ngx_sprintf(p, "%uL", parts) - p;

        if (ngx_http_sprox_add_header(r, name, value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_sprox_object_kept(r, ctx, object->headers) != NGX_OK) {
        return NGX_ERROR;
    }

    if (status != NGX_HTTP_NOT_MODIFIED) {

        for (i = 0; ngx_http_sprox_overrides[i].name.len; i++) {
            arg = sprox_query_get(&ctx->s3.query,
                                  ngx_http_sprox_overrides[i].name);

            if (arg
                && ngx_http_sprox_object_set(r,
                                   ngx_http_sprox_overrides[i].header,
                                   arg->value)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        if (r->headers_out.content_type.len == 0) {
            ngx_str_set(&r->headers_out.content_type, "binary/octet-stream");
            r->headers_out.content_type_len = r->headers_out.content_type.len;
        }
    }

    return NGX_OK;
}


/* The kept lines, "name: value\r\n" each. */

static ngx_int_t
ngx_http_sprox_object_kept(ngx_http_request_t *r, ngx_http_sprox_ctx_t *ctx,
    sprox_str_t headers)
{
    size_t       colon, end;
    sprox_str_t  line, name, value;

    while (headers.len) {
        end = sprox_str_find(headers, sprox_str_lit("\r\n"), 0);
        if (end == (size_t) -1) {
            break;
        }

        line = sprox_str_make(headers.data, end);
        headers = sprox_str_from(headers, end + 2);

        colon = sprox_str_find(line, sprox_str_lit(": "), 0);
        if (colon == (size_t) -1) {
            continue;
        }

        name = sprox_str_make(line.data, colon);
        value = sprox_str_from(line, colon + 2);

        if (r->headers_out.status == NGX_HTTP_NOT_MODIFIED
            && (sprox_str_case_eq(name, sprox_str_lit("content-type"))
                || sprox_str_case_eq(name, sprox_str_lit("content-encoding"))))
        {
            continue;
        }

        if (ngx_http_sprox_object_override(ctx, name)) {
            continue;
        }

        if (ngx_http_sprox_object_set(r, name, value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_object_set(ngx_http_request_t *r, sprox_str_t name,
    sprox_str_t value)
{
    ngx_str_t         copy;
    ngx_table_elt_t  *h;

    copy.len = value.len;
    copy.data = ngx_pnalloc(r->pool, value.len + name.len);
    if (copy.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy.data, value.data, value.len);

    if (sprox_str_case_eq(name, sprox_str_lit("content-type"))) {
        r->headers_out.content_type = copy;
        r->headers_out.content_type_len = copy.len;
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->value = copy;
    h->key.len = name.len;
    h->key.data = copy.data + copy.len;
    ngx_memcpy(h->key.data, name.data, name.len);
    ngx_http_sprox_header_end(h);

    /*
     * Not as r->headers_out.content_encoding: "gunzip on" would take it for
     * nginx's to decode, and change the bytes and their number.
     */

    return NGX_OK;
}


static const sprox_query_arg_t *
ngx_http_sprox_object_override(ngx_http_sprox_ctx_t *ctx, sprox_str_t header)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_sprox_overrides[i].name.len; i++) {

        if (sprox_str_case_eq(header, ngx_http_sprox_overrides[i].header)) {
            return sprox_query_get(&ctx->s3.query,
                                   ngx_http_sprox_overrides[i].name);
        }
    }

    return NULL;
}
