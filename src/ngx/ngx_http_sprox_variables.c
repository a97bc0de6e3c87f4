/*
 * Variables for logs: what a request was about and where its bytes came
 * from.  Not found ("-" in a log) where sprox did not serve the request.
 */

#include "ngx_http_sprox_conf.h"


typedef enum {
    NGX_HTTP_SPROX_VAR_ALIAS = 0,
    NGX_HTTP_SPROX_VAR_OPERATION,
    NGX_HTTP_SPROX_VAR_CACHE_STATUS,
    NGX_HTTP_SPROX_VAR_BYTES_HIT,
    NGX_HTTP_SPROX_VAR_BYTES_FILL,
    NGX_HTTP_SPROX_VAR_REQUEST_ID,
    NGX_HTTP_SPROX_VAR_ACCESS_KEY
} ngx_http_sprox_variable_e;


static ngx_int_t ngx_http_sprox_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sprox_variable_size(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, off_t n);


static ngx_http_variable_t  ngx_http_sprox_vars[] = {

    { ngx_string("sprox_alias"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_ALIAS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sprox_operation"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_OPERATION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sprox_cache_status"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_CACHE_STATUS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sprox_bytes_hit"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_BYTES_HIT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sprox_bytes_fill"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_BYTES_FILL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sprox_request_id"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_REQUEST_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sprox_access_key"), NULL, ngx_http_sprox_variable,
      NGX_HTTP_SPROX_VAR_ACCESS_KEY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    ngx_http_null_variable
};


ngx_int_t
ngx_http_sprox_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_sprox_vars; v->name.len != 0; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t              value;
    ngx_http_sprox_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sprox_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_str_null(&value);

    switch (data) {

    case NGX_HTTP_SPROX_VAR_ALIAS:
        if (ctx->alias != NULL) {
            value = ctx->alias->pattern;
        }
        break;

    case NGX_HTTP_SPROX_VAR_OPERATION:
        if (ctx->s3.op != SPROX_OP_NONE) {
            value = ngx_http_sprox_to_ngx(sprox_op_name(ctx->s3.op));
        }
        break;

    case NGX_HTTP_SPROX_VAR_CACHE_STATUS:
        if (ctx->cache_status != NULL) {
            value.data = (u_char *) ctx->cache_status;
            value.len = ngx_strlen(ctx->cache_status);
        }
        break;

    case NGX_HTTP_SPROX_VAR_BYTES_HIT:
        return ngx_http_sprox_variable_size(r, v, ctx->bytes_hit);

    case NGX_HTTP_SPROX_VAR_BYTES_FILL:
        return ngx_http_sprox_variable_size(r, v, ctx->bytes_fill);

    case NGX_HTTP_SPROX_VAR_REQUEST_ID:
        value.data = ctx->request_id;
        value.len = sizeof(ctx->request_id);
        break;

    default: /* NGX_HTTP_SPROX_VAR_ACCESS_KEY */
        value = ctx->access_key;
    }

    if (value.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = value.len;
    v->data = value.data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_variable_size(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, off_t n)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, "%O", n) - p;
    v->data = p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
