/*
 * How many objects are known of an alias.  Where a region counts them, that
 * is known at once; where none does, or one that covers more, the catalog is
 * walked, in steps, so that other requests have their turn.
 */

#include "ngx_http_sprox_admin_private.h"
#include "ngx_http_sprox_steps.h"


typedef struct {
    ngx_http_sprox_alias_t   *alias;
    sprox_str_t               bucket;
    sprox_region_t            counted;
    sprox_catalog_cursor_t    cursor;
} ngx_http_sprox_count_t;


static ngx_int_t ngx_http_sprox_count_step(ngx_http_request_t *r, void *data);
static sprox_rc_t ngx_http_sprox_count_object(void *data, sprox_str_t key,
    const sprox_object_t *object);


ngx_int_t
ngx_http_sprox_admin_count(ngx_http_request_t *r,
    ngx_http_sprox_alias_t *alias, sprox_str_t bucket)
{
    sprox_str_t              prefix;
    sprox_region_t           region;
    ngx_http_sprox_count_t  *count;

    if ((bucket.len == 0
         && ngx_http_sprox_region_bucket(alias, &bucket) != NGX_OK)
        || ngx_http_sprox_region(alias, bucket, &prefix) != NGX_OK
        || ngx_http_sprox_admin_counted(alias, bucket, prefix, &region))
    {
        return ngx_http_sprox_admin_send(r, NGX_HTTP_OK,
                   ngx_http_sprox_admin_alias(alias, bucket, NULL));
    }

    count = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_count_t));

    if (count == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    count->alias = alias;
    count->bucket = bucket;

    sprox_catalog_cursor_init(&count->cursor, prefix, sprox_str_null,
                              sprox_str_null);

    return ngx_http_sprox_steps(r, ngx_http_sprox_count_step, count, 0);
}


/* Under one holding of the catalog's lock. */

static ngx_int_t
ngx_http_sprox_count_step(ngx_http_request_t *r, void *data)
{
    ngx_http_sprox_count_t *count = data;

    if (ngx_http_sprox_zone_list(count->alias->origin, count->bucket,
                                 &count->cursor, NGX_HTTP_SPROX_ZONE_STEP,
                                 ngx_http_sprox_count_object, count)
        == SPROX_AGAIN)
    {
        return NGX_AGAIN;
    }

    return ngx_http_sprox_admin_send(r, NGX_HTTP_OK,
                                     ngx_http_sprox_admin_alias(count->alias,
                                                              count->bucket,
                                                           &count->counted));
}


static sprox_rc_t
ngx_http_sprox_count_object(void *data, sprox_str_t key,
    const sprox_object_t *object)
{
    ngx_http_sprox_count_t  *count;

    count = data;

    if (object->absent) {
        return SPROX_OK;
    }

    count->counted.objects++;
    count->counted.bytes += object->size;

    return SPROX_OK;
}
