/*
 * sprox_admin in the configuration: the location and its token.
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_admin.h"
#include "ngx_http_sprox_credfile.h"
#include "sprox_digest.h"


#define NGX_HTTP_SPROX_TOKEN_MAX   1024


static char *ngx_http_sprox_conf_token(ngx_conf_t *cf,
    ngx_http_sprox_loc_conf_t *slcf, ngx_str_t *path);
static const char *ngx_http_sprox_conf_digest(sprox_str_t text,
    u_char *digest);


char *
ngx_http_sprox_set_admin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    char                        *rv;
    ngx_str_t                   *value, path;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);
    mcf->told = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    rv = ngx_http_sprox_conf_handler(cf, conf, ngx_http_sprox_admin_handler);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    slcf->admin = 1;

    /* paths are what stands behind its name */

#if (NGX_PCRE)
    if (clcf->regex) {
        return "needs a location with a prefix, such as \"location "
               "/_sprox/\"";
    }
#endif

    if (clcf->exact_match || clcf->named) {
        return "needs a location with a prefix, such as \"location "
               "/_sprox/\"";
    }

    if (cf->args->nelts == 1) {
        slcf->token = NULL;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (ngx_strncmp(value[1].data, "token_file=", 11) != 0
        || value[1].len == 11)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"sprox_admin\": "
                           "write token_file=PATH, or nothing", &value[1]);
        return NGX_CONF_ERROR;
    }

    path.data = value[1].data + 11;
    path.len = value[1].len - 11;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_sprox_conf_token(cf, slcf, &path);
}


/* The token itself is not kept. */

static char *
ngx_http_sprox_conf_token(ngx_conf_t *cf, ngx_http_sprox_loc_conf_t *slcf,
    ngx_str_t *path)
{
    char                        *rv;
    u_char                     **token;
    const char                  *why;
    sprox_str_t                  text;
    ngx_http_sprox_credfile_t   *file;
    ngx_http_sprox_credfiles_t   files;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);

    token = ngx_array_push(&mcf->tokens);
    slcf->token = ngx_pcalloc(cf->pool, SPROX_SHA256_LEN);

    if (token == NULL || slcf->token == NULL) {
        return NGX_CONF_ERROR;
    }

    *token = slcf->token;

    files.n = 0;

    file = ngx_http_sprox_credfile_add(&files, ngx_http_sprox_to_core(*path),
                                       cf->log);
    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_http_sprox_credfile_read(file, cf->log);

    rv = NGX_CONF_ERROR;

    if (file->err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, file->err,
                           "the token_file \"%V\" of \"sprox_admin\" cannot "
                           "be read", path);
        goto done;
    }

    why = file->why;

    if (why == NULL) {
        text = sprox_str_make(file->data, file->len);
        why = ngx_http_sprox_conf_digest(text, slcf->token);
    }

    if (why != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the token_file \"%V\" of \"sprox_admin\" is of "
                           "no use: %s; write one line into it, such as "
                           "\"openssl rand -hex 32\" makes", path, why);
        goto done;
    }

    rv = NGX_CONF_OK;

done:

    ngx_http_sprox_credfiles_free(&files);

    return rv;
}


/* Before nginx can log anything of a request. */

ngx_int_t
ngx_http_sprox_conf_tokens(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_handler_pt        *handler;
    ngx_http_core_main_conf_t  *cmcf;

    if (mcf->tokens.nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_http_sprox_admin_hide;

    return NGX_OK;
}


/* NULL, or what is wrong. */

static const char *
ngx_http_sprox_conf_digest(sprox_str_t text, u_char *digest)
{
    size_t  i;

    while (text.len && (text.data[text.len - 1] == LF
                        || text.data[text.len - 1] == CR))
    {
        text.len--;
    }

    text = sprox_str_trim(text);

    if (text.len == 0) {
        return "it is empty";
    }

    if (text.len > NGX_HTTP_SPROX_TOKEN_MAX) {
        return "the token is too long";
    }

    /* what can stand in a header */

    for (i = 0; i < text.len; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f) {
            return "the token has other characters than letters, digits and "
                   "signs";
        }
    }

    return sprox_sha256(text, digest) == SPROX_OK
           ? NULL : "its digest cannot be made";
}
