
/*
 * When somebody told last of a change: see ngx_http_sprox_told.h.
 *
 *   event of  a/b/c.parquet  ->  ""  "a/"  "a/b/"       all become `when`
 *   page of   a/b/c          ->            "a/b/"       was it sent before?
 */

#include "ngx_http_sprox_told.h"
#include "ngx_http_sprox_zone.h"


static ngx_atomic_t *ngx_http_sprox_told_slot(ngx_http_sprox_told_sh_t *sh,
    sprox_str_t name, sprox_str_t prefix);
static size_t ngx_http_sprox_told_next(sprox_str_t prefix, size_t from);


void
ngx_http_sprox_told(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t key, int64_t when)
{
    u_char                     buf[SPROX_CATALOG_NAME_MAX];
    size_t                     len;
    ngx_uint_t                 depth;
    sprox_str_t                name;
    ngx_atomic_t              *slot;
    ngx_atomic_uint_t          was;
    ngx_http_sprox_told_sh_t  *sh;

    sh = ngx_http_sprox_zone_told();

    if (sh == NULL
        || ngx_http_sprox_zone_name(origin, bucket, buf, &name) != SPROX_OK)
    {
        return;
    }

    len = 0;

    for (depth = 0; depth <= NGX_HTTP_SPROX_TOLD_DEPTH; depth++) {
        slot = ngx_http_sprox_told_slot(sh, name,
                                        sprox_str_make(key.data, len));

        do {
            was = *slot;
        } while (was < (ngx_atomic_uint_t) when
                 && !ngx_atomic_cmp_set(slot, was, (ngx_atomic_uint_t) when));

        len = ngx_http_sprox_told_next(key, len);

        if (len == 0) {
            break;
        }
    }
}


ngx_uint_t
ngx_http_sprox_told_since(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t prefix, int64_t sent)
{
    u_char                     buf[SPROX_CATALOG_NAME_MAX];
    size_t                     len, next;
    ngx_uint_t                 depth;
    sprox_str_t                name;
    ngx_http_sprox_told_sh_t  *sh;

    sh = ngx_http_sprox_zone_told();

    if (sh == NULL
        || ngx_http_sprox_zone_name(origin, bucket, buf, &name) != SPROX_OK)
    {
        return 0;
    }

    len = 0;

    for (depth = 0; depth < NGX_HTTP_SPROX_TOLD_DEPTH; depth++) {
        next = ngx_http_sprox_told_next(prefix, len);

        if (next == 0) {
            break;
        }

        len = next;
    }

    return sent <= sh->since
           || (ngx_atomic_uint_t) sent
              < *ngx_http_sprox_told_slot(sh, name,
                                          sprox_str_make(prefix.data, len));
}


static ngx_atomic_t *
ngx_http_sprox_told_slot(ngx_http_sprox_told_sh_t *sh, sprox_str_t name,
    sprox_str_t prefix)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2((u_char *) name.data, name.len);

    if (prefix.len) {
        hash = hash * 31 + ngx_murmur_hash2((u_char *) prefix.data,
                                            prefix.len);
    }

    return &sh->told[hash % NGX_HTTP_SPROX_TOLD_SLOTS];
}


/* Where the next '/' ends; 0: there is none. */

static size_t
ngx_http_sprox_told_next(sprox_str_t prefix, size_t from)
{
    u_char  *p;

    if (from == prefix.len) {
        return 0;
    }

    p = ngx_strlchr((u_char *) prefix.data + from,
                    (u_char *) prefix.data + prefix.len, '/');

    return p ? (size_t) (p + 1 - (u_char *) prefix.data) : 0;
}
