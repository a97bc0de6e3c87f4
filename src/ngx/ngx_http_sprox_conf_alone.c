/*
 * Directives that stand alone, without a block or a policy: sprox_catalog,
 * sprox_domain, sprox_control.
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_persist.h"
#include "ngx_http_sprox_zone.h"


static ngx_int_t ngx_http_sprox_conf_catalog(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_str_t *value);


char *
ngx_http_sprox_set_catalog(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_main_conf_t  *mcf = conf;

    u_char      *colon;
    ssize_t      size;
    ngx_int_t    rc;
    ngx_str_t   *value, name, text;
    ngx_uint_t   i;

    if (mcf->catalog_zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = 0;
    ngx_str_null(&name);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0 && name.len == 0) {

            name.data = value[i].data + 5;
            colon = (u_char *) ngx_strchr(name.data, ':');

            if (colon == NULL || colon == name.data) {
                goto invalid;
            }

            name.len = colon - name.data;

            text.data = colon + 1;
            text.len = value[i].data + value[i].len - text.data;
            size = ngx_parse_size(&text);

            if (size == NGX_ERROR) {
                goto invalid;
            }

            continue;
        }

        rc = ngx_http_sprox_conf_catalog(cf, mcf, &value[i]);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {
            goto invalid;
        }
    }

    if (name.len == 0) {
        return "has no zone: write zone=NAME:SIZE, such as zone=catalog:256m";
    }

    if (mcf->catalog_interval && mcf->catalog_file.len == 0) {
        return "has \"interval=\" without \"file=\": add file=PATH, or leave "
               "it out";
    }

    if (mcf->catalog_interval == 0) {
        mcf->catalog_interval = NGX_HTTP_SPROX_PERSIST_INTERVAL;
    }

    mcf->catalog_zone = ngx_http_sprox_zone_add(cf, &name, size);

    return mcf->catalog_zone ? NGX_CONF_OK : NGX_CONF_ERROR;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"sprox_catalog\": write "
                       "zone=NAME:SIZE, such as zone=catalog:256m, and after "
                       "it file=PATH and interval=TIME, %d ms at least",
                       &value[i], NGX_HTTP_SPROX_PERSIST_INTERVAL_MIN);
    return NGX_CONF_ERROR;
}


/* file= and interval=; NGX_DECLINED: it is neither, or not a good one. */

static ngx_int_t
ngx_http_sprox_conf_catalog(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_str_t *value)
{
    ngx_int_t  interval;
    ngx_str_t  text;

    if (ngx_strncmp(value->data, "file=", 5) == 0 && value->len > 5
        && mcf->catalog_file.len == 0)
    {
        mcf->catalog_file.data = value->data + 5;
        mcf->catalog_file.len = value->len - 5;

        return ngx_conf_full_name(cf->cycle, &mcf->catalog_file, 0);
    }

    if (ngx_strncmp(value->data, "interval=", 9) == 0
        && mcf->catalog_interval == 0)
    {
        text.data = value->data + 9;
        text.len = value->len - 9;

        interval = ngx_parse_time(&text, 0);

        if (interval >= NGX_HTTP_SPROX_PERSIST_INTERVAL_MIN) {
            mcf->catalog_interval = interval;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


char *
ngx_http_sprox_set_domain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_main_conf_t  *mcf = conf;

    u_char            *text;
    ngx_str_t         *value, *domain, *other;
    ngx_uint_t         i, k;
    const char        *why;
    sprox_endpoint_t   ep;

    if (mcf->domains.nelts != 0) {
        return "is duplicate: write all names in one";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        ngx_strlow(value[i].data, value[i].data, value[i].len);

        /* what may stand as the host of a URL may stand here, but a port */

        text = ngx_pnalloc(cf->pool, sizeof("http://") - 1 + value[i].len);
        if (text == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memcpy(text, "http://", sizeof("http://") - 1);
        ngx_memcpy(text + sizeof("http://") - 1, value[i].data, value[i].len);

        if (sprox_endpoint_parse(sprox_str_make(text, sizeof("http://") - 1
                                                      + value[i].len),
                                 &ep, &why)
            != SPROX_OK
            || ep.ipv4 || ep.ipv6 || ep.host.len != value[i].len)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\" in \"sprox_domain\": "
                               "write the name that bucket names stand in "
                               "front of, such as s3.example.com", &value[i]);
            return NGX_CONF_ERROR;
        }

        other = mcf->domains.elts;

        for (k = 0; k < mcf->domains.nelts; k++) {
            if (other[k].len == value[i].len
                && ngx_memcmp(other[k].data, value[i].data, value[i].len)
                   == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate name \"%V\" in "
                                   "\"sprox_domain\"", &value[i]);
                return NGX_CONF_ERROR;
            }
        }

        domain = ngx_array_push(&mcf->domains);
        if (domain == NULL) {
            return NGX_CONF_ERROR;
        }

        *domain = value[i];
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_control(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;
    ngx_cidr_t  *cidr;

    if (slcf->control != NGX_CONF_UNSET_PTR) {
        return "is duplicate: write all addresses in one";
    }

    slcf->control = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                     sizeof(ngx_cidr_t));
    if (slcf->control == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(slcf->control);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(cidr, sizeof(ngx_cidr_t));

#if (NGX_HAVE_UNIX_DOMAIN)

        if (ngx_strcmp(value[i].data, "unix:") == 0) {
            cidr->family = AF_UNIX;
            continue;
        }

#endif

        rc = ngx_ptocidr(&value[i], cidr);

        if (rc == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid address \"%V\" in \"sprox_control\": "
                               "write an address, a network such as "
                               "10.0.0.0/8, or \"unix:\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of %V are meaningless",
                               &value[i]);
        }
    }

    return NGX_CONF_OK;
}
