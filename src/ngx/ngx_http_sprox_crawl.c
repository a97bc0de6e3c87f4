/*
 * Which regions are to be crawled, and for which aliases.
 *
 * Where the region of one alias lies in that of another one, whose bound is
 * no looser, the crawls of the wider one do for both: the narrower begins
 * none by itself while such a crawl is queued or runs.
 */

#include "ngx_http_sprox_crawl_private.h"
#include "ngx_http_sprox_steps.h"


/* So long aliases are looked at in one turn of the event loop, in us. */
#define NGX_HTTP_SPROX_CRAWL_TURN  1000


static ngx_uint_t ngx_http_sprox_crawl_within(ngx_http_sprox_alias_t *a,
    ngx_http_sprox_alias_t *outer);
static ngx_uint_t ngx_http_sprox_crawl_waits(ngx_http_sprox_alias_t *alias);
static ngx_int_t ngx_http_sprox_crawl_wanted(ngx_http_sprox_alias_t *alias,
    ngx_http_sprox_job_spec_t *spec);


/* Of this worker: the next to be looked at, of those that others lie in and
   then of all others. */
static ngx_uint_t  ngx_http_sprox_crawl_next;


ngx_int_t
ngx_http_sprox_region(ngx_http_sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t *prefix)
{
    size_t                    end;
    const sprox_template_t   *t;
    sprox_template_values_t   values;

    ngx_memzero(&values, sizeof(sprox_template_values_t));

    if (!sprox_template_match(&alias->map.to_bucket, bucket, 1, &values, &end)
        || !alias->origin->dialect->bucket_valid(bucket))
    {
        return NGX_DECLINED;
    }

    t = &alias->map.to_prefix;

    *prefix = (t->n && t->tokens[0].var < 0) ? t->tokens[0].text
                                             : sprox_str_lit("");
    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_region_bucket(ngx_http_sprox_alias_t *alias,
    sprox_str_t *bucket)
{
    const sprox_template_t  *t;

    t = &alias->map.to_bucket;

    if (t->n != 1 || t->tokens[0].var >= 0) {
        return NGX_DECLINED;
    }

    *bucket = t->tokens[0].text;

    return NGX_OK;
}


void
ngx_http_sprox_crawl_start(ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                i, k;
    ngx_http_sprox_alias_t  **alias, *a;

    ngx_http_sprox_crawl_next = 0;

    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        a = alias[i];
        a->outer = NULL;

        for (k = 0; k < mcf->aliases.nelts; k++) {

            if (alias[k] != a && ngx_http_sprox_crawl_within(a, alias[k])
                && (a->outer == NULL
                    || ngx_http_sprox_crawl_within(a->outer, alias[k])))
            {
                a->outer = alias[k];
            }
        }
    }
}


/* The crawls of one alias do for the other: less is asked of the origin. */

static ngx_uint_t
ngx_http_sprox_crawl_within(ngx_http_sprox_alias_t *a,
    ngx_http_sprox_alias_t *outer)
{
    sprox_str_t  bucket, prefix, in, wide;

    if (!a->crawl || !outer->crawl || a->origin != outer->origin
        || ngx_http_sprox_region_bucket(a, &bucket) != NGX_OK
        || ngx_http_sprox_region_bucket(outer, &in) != NGX_OK
        || !sprox_str_eq(bucket, in)
        || ngx_http_sprox_region(a, bucket, &prefix) != NGX_OK
        || ngx_http_sprox_region(outer, bucket, &wide) != NGX_OK)
    {
        return 0;
    }

    return wide.len < prefix.len && sprox_str_starts(prefix, wide)
           && (a->reload == 0
               || (outer->reload && outer->reload <= a->reload));
}


/* A crawl that covers the alias' region is queued or runs. */

static ngx_uint_t
ngx_http_sprox_crawl_waits(ngx_http_sprox_alias_t *alias)
{
    ngx_http_sprox_job_info_t  info;
    ngx_http_sprox_job_spec_t  spec;

    if (alias->outer == NULL
        || ngx_http_sprox_region_bucket(alias->outer, &spec.bucket) != NGX_OK
        || ngx_http_sprox_region(alias->outer, spec.bucket, &spec.prefix)
           != NGX_OK)
    {
        return 0;
    }

    spec.kind = NGX_HTTP_SPROX_JOB_CRAWL;
    spec.alias = alias->outer;
    spec.origin = alias->origin;

    return ngx_http_sprox_job_last(&spec, &info) == NGX_OK
           && (info.state == NGX_HTTP_SPROX_JOB_QUEUED
               || info.state == NGX_HTTP_SPROX_JOB_RUNNING);
}


ngx_int_t
ngx_http_sprox_crawl_want(ngx_http_sprox_alias_t *alias, sprox_str_t bucket)
{
    ngx_http_sprox_job_spec_t  spec;

    /* what the catalog's file knows to be complete need not be crawled */

    if (!ngx_http_sprox_persist_ready()
        || ngx_http_sprox_region(alias, bucket, &spec.prefix) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    spec.alias = alias;
    spec.origin = alias->origin;
    spec.bucket = bucket;

    if (ngx_http_sprox_crawl_wanted(alias, &spec) != NGX_OK
        || ngx_http_sprox_crawl_waits(alias)
        || ngx_http_sprox_job_add(&spec, 1, NULL) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_crawl_ask(ngx_http_sprox_alias_t *alias, sprox_str_t bucket,
    ngx_http_sprox_job_info_t *info)
{
    int64_t                    crawled;
    ngx_http_sprox_job_spec_t  spec;

    if (ngx_http_sprox_region(alias, bucket, &spec.prefix) != NGX_OK) {
        return NGX_ERROR;
    }

    spec.alias = alias;
    spec.origin = alias->origin;
    spec.bucket = bucket;
    spec.kind = ngx_http_sprox_zone_covered(spec.origin, bucket, spec.prefix,
                                            &crawled)
                == SPROX_OK ? NGX_HTTP_SPROX_JOB_RELOAD
                            : NGX_HTTP_SPROX_JOB_CRAWL;

    return ngx_http_sprox_job_add(&spec, 0, info);
}


/* NGX_OK: the region is to be crawled, by spec->kind. */

static ngx_int_t
ngx_http_sprox_crawl_wanted(ngx_http_sprox_alias_t *alias,
    ngx_http_sprox_job_spec_t *spec)
{
    int64_t  crawled;

    if (ngx_http_sprox_zone_covered(spec->origin, spec->bucket, spec->prefix,
                                    &crawled)
        != SPROX_OK)
    {
        spec->kind = NGX_HTTP_SPROX_JOB_CRAWL;
        return NGX_OK;
    }

    spec->kind = NGX_HTTP_SPROX_JOB_RELOAD;

    /* what happened while nginx was down, nobody told */

    if (crawled < ngx_http_sprox_job_born()) {
        return NGX_OK;
    }

    if (alias->reload
        && sprox_age(crawled, ngx_http_sprox_now())
           >= (int64_t) alias->reload * 1000)
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_sprox_crawl_due(ngx_http_sprox_main_conf_t *mcf)
{
    uint64_t                  began;
    ngx_uint_t                n, inner;
    sprox_str_t               bucket;
    ngx_http_sprox_alias_t  **alias, *a;

    alias = mcf->aliases.elts;
    n = mcf->aliases.nelts;

    began = ngx_http_sprox_steps_clock();

    /* those that others lie in first, for which the others wait */

    while (ngx_http_sprox_crawl_next < 2 * n) {

        inner = ngx_http_sprox_crawl_next >= n;
        a = alias[ngx_http_sprox_crawl_next - inner * n];
        ngx_http_sprox_crawl_next++;

        if (!a->crawl || (a->outer != NULL) != inner
            || ngx_http_sprox_region_bucket(a, &bucket) != NGX_OK)
        {
            continue;
        }

        (void) ngx_http_sprox_crawl_want(a, bucket);

        if (ngx_http_sprox_steps_clock() - began
            >= NGX_HTTP_SPROX_CRAWL_TURN)
        {
            return NGX_AGAIN;
        }
    }

    ngx_http_sprox_crawl_next = 0;

    return NGX_OK;
}
