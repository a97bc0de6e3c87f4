/*
 * What regions are in the catalog's zone: each function is one critical
 * section around the core's of that name.
 */

#include "ngx_http_sprox_zone_private.h"


sprox_rc_t
ngx_http_sprox_zone_region_open(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint32_t *id)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_enter(&at, origin, bucket, SPROX_SPACE_MAKE)
        == SPROX_OK)
    {
        at.rc = sprox_catalog_region_open_locked(at.catalog, at.space, prefix,
                                                 id);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_region_get(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, sprox_region_t *region)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_region_get_locked(at.catalog, at.space, prefix,
                                                region);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_region_complete(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint32_t id, int64_t crawled)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_region_complete_locked(at.catalog, at.space,
                                                     prefix, id, crawled);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_region_incomplete(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_region_incomplete_locked(at.catalog, at.space,
                                                       prefix);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_region_drop(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_region_drop_locked(at.catalog, at.space, prefix);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_covered(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t *crawled)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_covered_locked(at.catalog, at.space, prefix,
                                             crawled);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_region_owner(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, uint32_t id, int64_t crawled,
    const sprox_owner_t *owner)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_region_owner_locked(at.catalog, at.space, prefix,
                                                  id, crawled, owner);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_owner(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, sprox_owner_t *owner,
    uint8_t *buf)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_owner_locked(at.catalog, at.space, prefix, owner,
                                           buf);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_sweep(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_catalog_cursor_t *cursor, sprox_str_t upto,
    int64_t before, size_t n, uint64_t *removed)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        n = ngx_min(n, NGX_HTTP_SPROX_ZONE_STEP);
        at.rc = sprox_catalog_sweep_locked(at.catalog, at.space, cursor, upto,
                                           before, n, removed);
    }

    return ngx_http_sprox_zone_leave(&at);
}
