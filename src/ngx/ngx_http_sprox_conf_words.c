
/*
 * The policy's words, as they are read: one setter for sprox_WORD in http,
 * server and location and for WORD in blocks.  What the values mean together
 * is checked in ngx_http_sprox_conf_policy.c, when all is read.
 */

#include "ngx_http_sprox_conf.h"


static time_t ngx_http_sprox_parse_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *others);
static char *ngx_http_sprox_set_time(ngx_conf_t *cf, ngx_command_t *cmd,
    time_t *slot, const char *word, time_t meaning, const char *others);


/* Seconds out of the value, or NGX_ERROR with its line written. */

static time_t
ngx_http_sprox_parse_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *others)
{
    time_t  sec;

    sec = ngx_parse_time(value, 1);

    if (sec == (time_t) NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": write a time "
                           "such as 30s, 5m or 7d%s", value, &cmd->name,
                           others);
    }

    return sec;
}


/*
 * A word that takes a time, or another word that means one; slot is where its
 * value goes.
 */

static char *
ngx_http_sprox_set_time(ngx_conf_t *cf, ngx_command_t *cmd, time_t *slot,
    const char *word, time_t meaning, const char *others)
{
    ngx_str_t  *value;

    if (*slot != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (word && ngx_strcmp(value[1].data, word) == 0) {
        *slot = meaning;
        return NGX_CONF_OK;
    }

    *slot = ngx_http_sprox_parse_time(cf, cmd, &value[1], others);

    return *slot == (time_t) NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
}


char *
ngx_http_sprox_set_valid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    return ngx_http_sprox_set_time(cf, cmd, &slcf->policy.valid, "immutable",
                                   NGX_HTTP_SPROX_VALID_IMMUTABLE,
                                   ", 0, or \"immutable\"");
}


char *
ngx_http_sprox_set_valid_missing(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    return ngx_http_sprox_set_time(cf, cmd, &slcf->policy.valid_missing, NULL,
                                   0, ", or 0");
}


char *
ngx_http_sprox_set_stale(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    return ngx_http_sprox_set_time(cf, cmd, &slcf->policy.stale, "off", 0,
                                   ", or \"off\"");
}


char *
ngx_http_sprox_set_slice(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (slcf->policy.slice != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || !sprox_slice_valid((uint64_t) size)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": write a power of "
                           "two from 64k to 64m", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    slcf->policy.slice = (size_t) size;

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_fill(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (slcf->policy.fill != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    /* against the slice itself it is checked when all levels are read */

    if (size <= 0 || size % SPROX_SLICE_MIN != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": write a size that "
                           "is a multiple of the slice, such as 2m",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    slcf->policy.fill = (size_t) size;

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_read_ahead(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (slcf->policy.read_ahead != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_strcmp(value[1].data, "off") == 0 ? 0
                                                 : ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size > NGX_HTTP_SPROX_READ_AHEAD_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": write a size up "
                           "to %dm, such as 32m, or \"off\"",
                           &value[1], &cmd->name,
                           NGX_HTTP_SPROX_READ_AHEAD_MAX / 1024 / 1024);
        return NGX_CONF_ERROR;
    }

    slcf->policy.read_ahead = (size_t) size;

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_list(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ngx_str_t                *value;
    ngx_uint_t                n;
    ngx_http_sprox_policy_t  *policy;

    policy = &slcf->policy;

    if (policy->list != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = cf->args->nelts;

    if (n == 2 && ngx_strcmp(value[1].data, "origin") == 0) {
        policy->list = NGX_HTTP_SPROX_LIST_ORIGIN;
        return NGX_CONF_OK;
    }

    if (n == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        policy->list = NGX_HTTP_SPROX_LIST_OFF;
        return NGX_CONF_OK;
    }

    if (n == 3 && ngx_strcmp(value[1].data, "cached") == 0) {
        policy->list = NGX_HTTP_SPROX_LIST_CACHED;
        policy->list_valid = ngx_http_sprox_parse_time(cf, cmd, &value[2],
                                                       "");

        if (policy->list_valid == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V cached\" needs a time above 0: write "
                               "\"%V origin\" to ask each time", &cmd->name,
                               &cmd->name);
            return NGX_CONF_ERROR;
        }

        return policy->list_valid == NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
    }

    if (n == 2 && ngx_strcmp(value[1].data, "catalog") == 0) {
        policy->list = NGX_HTTP_SPROX_LIST_CATALOG;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": write \"origin\", "
                       "\"cached TIME\", \"catalog\" or \"off\"", &value[1],
                       &cmd->name);

    return NGX_CONF_ERROR;
}


char *
ngx_http_sprox_set_reload(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->policy.reload != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "warm") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\": write a "
                               "time alone, or with \"warm\"", &value[2],
                               &cmd->name);
            return NGX_CONF_ERROR;
        }

        slcf->policy.reload_warm = 1;
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (slcf->policy.reload_warm) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V off\" cannot be \"warm\": write \"%V 1d "
                               "warm\" where events tell of all changes",
                               &cmd->name, &cmd->name);
            return NGX_CONF_ERROR;
        }

        slcf->policy.reload = 0;
        return NGX_CONF_OK;
    }

    slcf->policy.reload = ngx_http_sprox_parse_time(cf, cmd, &value[1],
                                                    ", or \"off\"");

    if (slcf->policy.reload == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs a time above 0, or \"off\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    return slcf->policy.reload == NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
}


char *
ngx_http_sprox_set_head(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->policy.head != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "origin") == 0) {
        slcf->policy.head = NGX_HTTP_SPROX_HEAD_ORIGIN;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "listing") == 0) {
        slcf->policy.head = NGX_HTTP_SPROX_HEAD_LISTING;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": write \"origin\" or "
                       "\"listing\"", &value[1], &cmd->name);

    return NGX_CONF_ERROR;
}
