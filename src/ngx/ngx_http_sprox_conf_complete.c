/*
 * An origin at the end of its block: the dialect decides which words make
 * sense, and what those are that were not written.
 *
 *   network   region -> endpoint -> style, TLS context
 *   file      root
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_cred.h"


static ngx_int_t ngx_http_sprox_origin_network(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);
static ngx_uint_t ngx_http_sprox_origin_regional(
    ngx_http_sprox_origin_t *origin);
static ngx_int_t ngx_http_sprox_origin_region(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);
static ngx_int_t ngx_http_sprox_origin_endpoint(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);
static ngx_int_t ngx_http_sprox_origin_style(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);
static ngx_int_t ngx_http_sprox_origin_file(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);
static ngx_int_t ngx_http_sprox_origin_ssl(ngx_conf_t *cf,
    ngx_http_sprox_origin_t *origin);


ngx_int_t
ngx_http_sprox_origin_complete(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    ngx_int_t                 rc;
    const char               *word;
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;

    if (origin->dialect == NULL) {

        /* the built-in names stand for their dialects in a block as well */

        origin->dialect = sprox_dialect(ngx_http_sprox_to_core(origin->name));

        if (origin->dialect == NULL) {
            origin->dialect = sprox_dialect(sprox_str_lit("s3"));
        }
    }

    if (origin->dialect->network) {
        rc = ngx_http_sprox_origin_network(cf, block);

    } else {
        rc = ngx_http_sprox_origin_file(cf, block);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_conf_init_uint_value(origin->keepalive, NGX_HTTP_SPROX_KEEPALIVE);
    ngx_conf_init_uint_value(origin->retries, NGX_HTTP_SPROX_RETRIES);
    ngx_conf_init_msec_value(origin->connect_timeout,
                             NGX_HTTP_SPROX_CONNECT_TIMEOUT);
    ngx_conf_init_msec_value(origin->read_timeout,
                             NGX_HTTP_SPROX_READ_TIMEOUT);
    ngx_conf_init_value(origin->verify, 1);

    ngx_conf_init_uint_value(origin->max_connections,
                             NGX_HTTP_SPROX_MAX_CONNECTIONS);
    ngx_conf_init_uint_value(origin->max_fails, NGX_HTTP_SPROX_MAX_FAILS);
    ngx_conf_init_msec_value(origin->fail_timeout,
                             NGX_HTTP_SPROX_FAIL_TIMEOUT);

    word = origin->connect_timeout == 0 ? "connect_timeout"
           : origin->read_timeout == 0 ? "read_timeout"
           : origin->fail_timeout == 0 ? "fail_timeout" : NULL;

    if (word != NULL) {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"%s\" of sprox_origin \"%V\" is 0: write a time such as 5s",
            word, &origin->name);
        return NGX_ERROR;
    }

    if (!origin->dialect->network) {

        /* a directory does not refuse connections */

        origin->max_fails = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_origin_network(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;

    if (origin->root.data != NULL) {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"root\" in sprox_origin \"%V\" is for \"dialect file\": write "
            "that dialect, or leave root out", &origin->name);
        return NGX_ERROR;
    }

    if (ngx_http_sprox_origin_region(cf, block) != NGX_OK
        || ngx_http_sprox_origin_endpoint(cf, block) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (origin->trusted_certificate.data != NULL
        && !origin->addr.endpoint.tls)
    {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"trusted_certificate\" in sprox_origin \"%V\" is for https, "
            "and \"%V\" is not: write https:// or leave it out",
            &origin->name, &origin->endpoint);
        return NGX_ERROR;
    }

    if (ngx_http_sprox_origin_style(cf, block) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sprox_origin_ssl(cf, origin);
}


/* Whether the dialect's own endpoint is another one in each region. */

static ngx_uint_t
ngx_http_sprox_origin_regional(ngx_http_sprox_origin_t *origin)
{
    return sprox_str_find(origin->dialect->endpoint, sprox_str_lit("*"), 0)
           != (size_t) -1;
}


static ngx_int_t
ngx_http_sprox_origin_region(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    char                     *value;
    ngx_uint_t                i;
    ngx_http_sprox_origin_t  *origin;

    static const char  *names[] = { "AWS_REGION", "AWS_DEFAULT_REGION" };

    origin = &block->origin;

    /*
     * The environment speaks of AWS itself: a store that was named by its
     * endpoint, and another dialect, have regions of their own.
     */

    if (origin->region.len == 0 && origin->endpoint.len == 0
        && ngx_http_sprox_origin_regional(origin))
    {
        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

            value = getenv(names[i]);

            if (value == NULL || *value == '\0') {
                continue;
            }

            if (!sprox_region_valid(sprox_str_make(value,
                                                   ngx_strlen(value))))
            {
                ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
                    "invalid region \"%s\" in the environment's %s, which "
                    "sprox_origin \"%V\" goes by: mend it, or write "
                    "\"region\" into \"sprox_origin %V { }\"", value,
                    names[i], &origin->name, &origin->name);
                return NGX_ERROR;
            }

            origin->region.len = ngx_strlen(value);
            origin->region.data = ngx_pnalloc(cf->pool, origin->region.len);
            if (origin->region.data == NULL) {
                return NGX_ERROR;
            }

            ngx_memcpy(origin->region.data, value, origin->region.len);
            break;
        }
    }

    if (origin->region.len == 0) {
        block->region_open = origin->endpoint.len == 0
                             && ngx_http_sprox_origin_regional(origin);
        origin->region = ngx_http_sprox_to_ngx(origin->dialect->region);
    }

    origin->addr.region = ngx_http_sprox_to_core(origin->region);

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_origin_relocate(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    ngx_str_t                 region;
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;
    region = ngx_http_sprox_cred_region(origin);

    if (!block->region_open || region.len == 0) {
        return NGX_OK;
    }

    /* a credential that is read again takes its own text along */

    origin->region.len = region.len;
    origin->region.data = ngx_pstrdup(cf->pool, &region);
    if (origin->region.data == NULL) {
        return NGX_ERROR;
    }

    origin->addr.region = ngx_http_sprox_to_core(origin->region);
    ngx_str_null(&origin->endpoint);

    return ngx_http_sprox_origin_endpoint(cf, block);
}


static ngx_int_t
ngx_http_sprox_origin_endpoint(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    const char               *why;
    sprox_buf_t               text;
    sprox_mem_t               mem;
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;

    if (origin->endpoint.len != 0) {
        return NGX_OK;
    }

    ngx_http_sprox_mem_pool(&mem, cf->pool);
    sprox_buf_init(&text, &mem);

    if (ngx_http_sprox_origin_regional(origin)) {
        sprox_s3_endpoint(&text, origin->addr.region);

    } else {
        sprox_buf_str(&text, origin->dialect->endpoint);
    }

    if (sprox_buf_rc(&text) != SPROX_OK) {
        return NGX_ERROR;
    }

    origin->endpoint = ngx_http_sprox_to_ngx(sprox_buf_get(&text));

    if (sprox_endpoint_parse(ngx_http_sprox_to_core(origin->endpoint),
                             &origin->addr.endpoint, &why)
        != SPROX_OK)
    {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "sprox_origin \"%V\" has no endpoint: write \"endpoint "
            "https://HOST;\"", &origin->name);
        return NGX_ERROR;
    }

    block->endpoint_known = 1;

    return NGX_OK;
}


/*
 * A bucket cannot stand in front of an address, nor of a name without a
 * dot ("localhost", "minio"), which nobody answers for below.
 */

static ngx_int_t
ngx_http_sprox_origin_style(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    sprox_endpoint_t         *ep;
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;
    ep = &origin->addr.endpoint;

    if (block->style == 1 && (ep->ipv4 || ep->ipv6)) {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"style virtual\" in sprox_origin \"%V\" needs a host name, and "
            "\"%V\" has an address: write \"style path\"", &origin->name,
            &origin->endpoint);
        return NGX_ERROR;
    }

    if (block->style == NGX_CONF_UNSET) {
        block->style = origin->dialect->virtual_style && !ep->ipv4
                       && !ep->ipv6
                       && (block->endpoint_known
                           || sprox_str_find(ep->host, sprox_str_lit("."), 0)
                              != (size_t) -1);
    }

    origin->addr.virtual_style = block->style;

    return NGX_OK;
}


/* A directory whose sub-directories are the buckets. */

static ngx_int_t
ngx_http_sprox_origin_file(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block)
{
    const char               *word;
    ngx_file_info_t           fi;
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;

    word = origin->endpoint.data ? "endpoint"
           : origin->region.data ? "region"
           : block->style != NGX_CONF_UNSET ? "style"
           : block->credentials ? "credentials"
           : origin->trusted_certificate.data ? "trusted_certificate"
           : origin->verify != NGX_CONF_UNSET ? "verify"
           : origin->keepalive != NGX_CONF_UNSET_UINT ? "keepalive"
           : origin->connect_timeout != NGX_CONF_UNSET_MSEC
             ? "connect_timeout"
           : origin->read_timeout != NGX_CONF_UNSET_MSEC ? "read_timeout"
           : origin->max_connections != NGX_CONF_UNSET_UINT
             ? "max_connections"
           : origin->max_fails != NGX_CONF_UNSET_UINT ? "max_fails"
           : origin->fail_timeout != NGX_CONF_UNSET_MSEC ? "fail_timeout"
           : NULL;

    if (word != NULL) {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"%s\" in sprox_origin \"%V\" means nothing to \"dialect "
            "file\": leave it out", word, &origin->name);
        return NGX_ERROR;
    }

    if (origin->root.len == 0) {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "sprox_origin \"%V\" has no root: write \"sprox_origin %V { "
            "dialect file; root DIR; }\", where each sub-directory of DIR is "
            "a bucket", &origin->name, &origin->name);
        return NGX_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &origin->root, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_file_info(origin->root.data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"root\" \"%V\" of sprox_origin \"%V\" is no directory that can "
            "be looked at: make it, or write another", &origin->root,
            &origin->name);
        return NGX_ERROR;
    }

    while (origin->root.len != 0
           && origin->root.data[origin->root.len - 1] == '/')
    {
        origin->root.len--;
    }

    if (origin->root.len == 0
        || origin->root.len > NGX_HTTP_SPROX_ROOT_MAX)
    {
        ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
            "\"root\" of sprox_origin \"%V\" is %s: write a directory for "
            "the store alone", &origin->name,
            origin->root.len ? "too long" : "the whole file system");
        return NGX_ERROR;
    }

    origin->cred_kind = SPROX_CRED_ANONYMOUS;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_origin_ssl(ngx_conf_t *cf, ngx_http_sprox_origin_t *origin)
{
    u_long               n;
    const char          *why;
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    if (!origin->addr.endpoint.tls) {
        return NGX_OK;
    }

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->cycle->log;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_client_session_cache(cf, ssl, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    origin->ssl = ssl;

    if (origin->trusted_certificate.data == NULL) {

        /* a missing system store shows in each handshake's own error */

        (void) SSL_CTX_set_default_verify_paths(ssl->ctx);
        ERR_clear_error();

        return NGX_OK;
    }

    if (ngx_conf_full_name(cf->cycle, &origin->trusted_certificate, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (SSL_CTX_load_verify_locations(ssl->ctx,
                              (char *) origin->trusted_certificate.data, NULL)
        == 1)
    {
        /* it leaves an error behind when it reads the end of the file */

        ERR_clear_error();

        return NGX_OK;
    }

    n = ERR_peek_error();
    why = ERR_reason_error_string(n);

    ngx_http_sprox_conf_refuse(cf, &origin->file, origin->line,
        "\"trusted_certificate\" \"%V\" of sprox_origin \"%V\" cannot be "
        "loaded (%s): write a file of certificates in PEM form",
        &origin->trusted_certificate, &origin->name,
        why ? why : ERR_GET_LIB(n) == ERR_LIB_SYS
                    ? strerror(ERR_GET_REASON(n)) : "unknown error");

    ERR_clear_error();

    return NGX_ERROR;
}
