
/*
 * Warm: which changed objects are fetched again.
 *
 *   before() --- put --- after(): another version, and slices of the old one
 *                          |      are cached
 *                          v
 *                        queue (ngx_http_sprox_warm_queue.c)
 *                          |
 *                          v
 *                        job (ngx_http_sprox_warm_job.c)
 *
 * What may be cached of an object lies in places: each is a chain of tiers
 * and a slice size that some policy writes to.
 */

#include "ngx_http_sprox_warm_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_reach.h"
#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_zone.h"


/*
 * An object of so few slices is queued only if one of them is cached: most
 * are not, and the queue is short.
 */
#define NGX_HTTP_SPROX_WARM_FEW       16


static ngx_uint_t ngx_http_sprox_warm_worth(ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_spec_t *spec, const sprox_object_t *was);
static ngx_int_t ngx_http_sprox_warm_job(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, ngx_http_sprox_job_info_t *info);
static ngx_http_sprox_origin_t *ngx_http_sprox_warm_origin(
    ngx_http_sprox_main_conf_t *mcf, sprox_str_t name);


ngx_int_t
ngx_http_sprox_warm_init(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                i;
    ngx_http_sprox_alias_t  **alias;

    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (alias[i]->warm) {
            return ngx_http_sprox_warm_queue_init(cf, &mcf->warm_zone);
        }
    }

    return NGX_OK;
}


void
ngx_http_sprox_warm_start(ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_warm_job_start();
    ngx_http_sprox_warm_queue_start(mcf->warm_zone);
}


void
ngx_http_sprox_warm_before(ngx_http_sprox_warm_was_t *was,
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t key)
{
    u_char          *p;
    sprox_object_t  *o;
    static uint8_t   buf[SPROX_OBJECT_BUF];

    was->known = 0;

    if (!origin->warm || !ngx_http_sprox_warm_queue_there()) {
        return;
    }

    o = &was->object;

    if (ngx_http_sprox_zone_get(origin, bucket, key, o, buf) != SPROX_OK
        || !sprox_object_pinned(o))
    {
        return;
    }

    /* a version that is longer is no generation: it names no slices */

    if (o->version.len > NGX_HTTP_SPROX_WARM_VERSION_MAX) {
        o->version = sprox_str_lit("");
    }

    p = ngx_cpymem(was->text, o->etag.data, o->etag.len);
    o->etag.data = was->text;

    ngx_memcpy(p, o->version.data, o->version.len);
    o->version.data = p;

    o->headers = sprox_str_null;
    o->storage_class = sprox_str_null;
    o->sequencer = sprox_str_null;

    was->known = 1;
}


void
ngx_http_sprox_warm_after(ngx_http_sprox_warm_was_t *was,
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t key)
{
    sprox_object_t               object;
    ngx_http_sprox_spec_t        spec;
    ngx_http_sprox_alias_t      *alias;
    ngx_http_sprox_main_conf_t  *mcf;
    static uint8_t               buf[SPROX_OBJECT_BUF];

    if (!was->known
        || ngx_http_sprox_zone_get(origin, bucket, key, &object, buf)
           != SPROX_OK
        || object.absent || object.doubted
        || sprox_object_same(&was->object, &object))
    {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_sprox_module);

    ngx_memzero(&spec, sizeof(ngx_http_sprox_spec_t));

    spec.origin = origin;
    spec.bucket = bucket;
    spec.key = key;

    alias = ngx_http_sprox_reach(origin, bucket, key, 1);

    if (alias == NULL
        || !ngx_http_sprox_warm_worth(mcf, &spec, &was->object))
    {
        return;
    }

    if (ngx_http_sprox_warm_queue_add(origin, bucket, key, &was->object)
        != NGX_OK)
    {
        ngx_http_sprox_count_unwarmed(alias);
        return;
    }

    (void) ngx_http_sprox_warm_job(alias, bucket, NULL);

    ngx_http_sprox_warm_poke();
}


/* Whether something of an object is cached, or it is too large to tell. */

static ngx_uint_t
ngx_http_sprox_warm_worth(ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_spec_t *spec, const sprox_object_t *was)
{
    uint64_t     index, count;
    ngx_uint_t   i, found;
    sprox_buf_t  key;

    sprox_buf_init(&key, &ngx_http_sprox_mem_heap);

    found = 0;

    for (i = 0; !found && i < mcf->places.nelts; i++) {

        if (!ngx_http_sprox_warm_place(mcf, i, spec)) {
            continue;
        }

        count = sprox_slice_count(spec->slice, was->size);
        found = count > NGX_HTTP_SPROX_WARM_FEW;

        for (index = 0; !found && index < count; index++) {
            found = ngx_http_sprox_warm_cached(spec, was, index, &key);
        }
    }

    sprox_buf_free(&key);

    return found;
}


/* Whether fills write to a place: then the spec becomes what they write. */

ngx_uint_t
ngx_http_sprox_warm_place(ngx_http_sprox_main_conf_t *mcf, ngx_uint_t n,
    ngx_http_sprox_spec_t *spec)
{
    ngx_http_sprox_place_t  *place;

    place = mcf->places.elts;
    place += n;

    if (place->tiers == NULL) {
        return 0;
    }

    spec->zones = place->tiers;
    spec->cache = ngx_http_sprox_cache_last(spec->zones);
    spec->slice = place->slice;
    spec->fill = place->fill;

    return 1;
}


ngx_uint_t
ngx_http_sprox_warm_cached(ngx_http_sprox_spec_t *spec,
    const sprox_object_t *was, uint64_t index, sprox_buf_t *key)
{
    u_char  md5[NGX_HTTP_CACHE_KEY_LEN];

    key->len = 0;
    sprox_slice_key(key, ngx_http_sprox_to_core(spec->origin->name),
                    spec->bucket, spec->key, was, spec->slice, index);

    if (sprox_buf_rc(key) != SPROX_OK) {
        return 0;
    }

    ngx_http_sprox_cache_md5(sprox_buf_get(key), md5);

    return ngx_http_sprox_tier_exists(spec, md5);
}


static ngx_int_t
ngx_http_sprox_warm_job(ngx_http_sprox_alias_t *alias, sprox_str_t bucket,
    ngx_http_sprox_job_info_t *info)
{
    ngx_http_sprox_job_spec_t  spec;

    spec.kind = NGX_HTTP_SPROX_JOB_WARM;
    spec.alias = alias;
    spec.origin = alias->origin;
    spec.bucket = bucket;
    spec.prefix = sprox_str_lit("");

    return ngx_http_sprox_job_add(&spec, 1, info);
}


void
ngx_http_sprox_warm_due(ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                        i, drop;
    ngx_http_sprox_alias_t           *alias;
    ngx_http_sprox_origin_t          *origin;
    ngx_http_sprox_job_info_t         info;
    static ngx_http_sprox_warm_item_t items[2];
    ngx_http_sprox_warm_item_t       *item, *last;

    if (!ngx_http_sprox_warm_queue_there()) {
        return;
    }

    ngx_http_sprox_warm_poke();

    item = &items[0];
    last = NULL;
    alias = NULL;
    drop = 0;

    for (i = 0; i < NGX_HTTP_SPROX_WARM_ITEMS; i++) {

        if (ngx_http_sprox_warm_queue_at(i, item) != NGX_OK) {
            continue;
        }

        if (last == NULL || !sprox_str_eq(item->origin, last->origin)
            || !sprox_str_eq(item->bucket, last->bucket))
        {
            origin = ngx_http_sprox_warm_origin(mcf, item->origin);
            alias = origin ? ngx_http_sprox_reach(origin, item->bucket,
                                                  item->key, 1)
                           : NULL;

            /* a configuration without it, or somebody canceled the job */

            drop = (alias == NULL
                    || (ngx_http_sprox_warm_job(alias, item->bucket, &info)
                        == NGX_ABORT
                        && info.state == NGX_HTTP_SPROX_JOB_CANCELED));
        }

        if (drop) {
            ngx_http_sprox_warm_queue_remove(item->id);

            if (alias) {
                ngx_http_sprox_count_unwarmed(alias);
            }
        }

        last = alias ? item : NULL;
        item = (item == &items[0]) ? &items[1] : &items[0];
    }
}


static ngx_http_sprox_origin_t *
ngx_http_sprox_warm_origin(ngx_http_sprox_main_conf_t *mcf, sprox_str_t name)
{
    ngx_uint_t                 i;
    ngx_http_sprox_origin_t  **origin;

    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(origin[i]->name), name)) {
            return origin[i];
        }
    }

    return NULL;
}
