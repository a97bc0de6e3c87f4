
/*
 * The job behind a ban: what it covers is taken out of the catalog and out of
 * the caches.  The ban is lifted later; see _ban.c.
 *
 *   ban --> catalog, some keys a turn --> zone --> next zone --> done
 *    ^                                     |                      |
 *    |                                   walk: by threads;        |
 *    |                                   deleting: some a turn    |
 *    +------------- a later ban of the same prefix ---------------+
 *
 * The caches are read file by file, so that slices go of objects that the
 * catalog no longer knows.
 */

#include "ngx_http_sprox_ban.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_list.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_steps.h"
#include "ngx_http_sprox_walk.h"
#include "ngx_http_sprox_zone.h"


/* Keys under one holding of the catalog's lock. */
#define NGX_HTTP_SPROX_SWEEP_STEP   128


/* What a thread looks for; in the walk's pool. */

typedef struct {
    sprox_str_t                  slices;    /* how their keys begin */
    sprox_str_t                  pages;
    int64_t                      time;      /* of the ban */
} ngx_http_sprox_sought_t;


typedef struct {
    ngx_http_sprox_job_t        *job;
    ngx_http_sprox_main_conf_t  *mcf;
    int64_t                      time;      /* of the ban */
    sprox_catalog_cursor_t       cursor;
    ngx_event_t                  event;
    ngx_uint_t                   place;
    ngx_http_sprox_walk_t       *walk;
    ngx_http_file_cache_t       *cache;     /* the walk's */
    ngx_http_sprox_walk_file_t  *files;     /* to be deleted */
    ngx_uint_t                   nfiles;
    ngx_int_t                    rc;        /* of the walk */
    uint64_t                     slices;    /* deleted */
    off_t                        bytes;
    unsigned                     banned:1;  /* there is a ban still */
    unsigned                     catalog:1; /* its turn is over */
} ngx_http_sprox_sweep_t;


static ngx_int_t ngx_http_sprox_sweep_run(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_sweep_stop(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_sweep_event(ngx_event_t *ev);
static void ngx_http_sprox_sweep_begin(ngx_http_sprox_sweep_t *s);
static ngx_int_t ngx_http_sprox_sweep_catalog(ngx_http_sprox_sweep_t *s);
static ngx_int_t ngx_http_sprox_sweep_files(ngx_http_sprox_sweep_t *s);
static ngx_int_t ngx_http_sprox_sweep_zone(ngx_http_sprox_sweep_t *s);
static ngx_http_file_cache_t *ngx_http_sprox_sweep_next(
    ngx_http_sprox_sweep_t *s);
static ngx_int_t ngx_http_sprox_sweep_sought(ngx_http_sprox_sweep_t *s,
    ngx_pool_t *pool, ngx_http_sprox_sought_t **sought);
static ngx_uint_t ngx_http_sprox_sweep_match(void *data, sprox_str_t key,
    sprox_str_t block);
static void ngx_http_sprox_sweep_found(void *data,
    ngx_http_sprox_walk_file_t *files, ngx_uint_t n, ngx_int_t rc);
static void ngx_http_sprox_sweep_over(ngx_http_sprox_sweep_t *s);


const ngx_http_sprox_job_kind_t  ngx_http_sprox_purge_kind = {
    ngx_string("purge"),
    NGX_HTTP_SPROX_JOB_PURGE,
    1,
    ngx_http_sprox_sweep_run,
    ngx_http_sprox_sweep_stop,
    0
};


static ngx_int_t
ngx_http_sprox_sweep_run(ngx_http_sprox_job_t *job)
{
    ngx_http_sprox_sweep_t  *s;

    s = ngx_pcalloc(job->pool, sizeof(ngx_http_sprox_sweep_t));
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->job = job;
    s->mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                 ngx_http_sprox_module);
    job->data = s;

    s->event.handler = ngx_http_sprox_sweep_event;
    s->event.data = s;
    s->event.log = job->log;

    ngx_http_sprox_sweep_begin(s);

    ngx_post_event(&s->event, &ngx_posted_next_events);

    return NGX_OK;
}


static void
ngx_http_sprox_sweep_stop(ngx_http_sprox_job_t *job)
{
    ngx_http_sprox_sweep_t  *s;

    s = job->data;

    if (s->event.posted) {
        ngx_delete_posted_event(&s->event);
    }

    if (s->walk) {
        ngx_http_sprox_walk_free(s->walk);
        s->walk = NULL;
    }
}


/* The ban as it stands now: one that came later may have taken its place. */

static void
ngx_http_sprox_sweep_begin(ngx_http_sprox_sweep_t *s)
{
    s->catalog = 0;
    s->place = 0;

    s->banned = (ngx_http_sprox_zone_ban_of(s->job->origin, s->job->bucket,
                                            s->job->prefix, &s->time)
                 == SPROX_OK);

    sprox_catalog_cursor_init(&s->cursor, s->job->prefix, sprox_str_null,
                              sprox_str_null);
}


static void
ngx_http_sprox_sweep_event(ngx_event_t *ev)
{
    uint64_t                 began;
    ngx_int_t                rc;
    ngx_http_sprox_sweep_t  *s;

    s = ev->data;
    began = ngx_http_sprox_steps_clock();

    do {

        if (!s->banned) {
            ngx_http_sprox_sweep_over(s);
            return;
        }

        if (!s->catalog) {
            rc = ngx_http_sprox_sweep_catalog(s);

        } else if (s->nfiles) {
            rc = ngx_http_sprox_sweep_files(s);

        } else {
            rc = ngx_http_sprox_sweep_zone(s);
        }

        if (rc == NGX_AGAIN) {

            /* a thread is at it: found() will be called */

            return;
        }

        if (rc == NGX_ERROR) {
            ngx_http_sprox_job_again(s->job, "the caches could not be read "
                                     "or changed");
            return;
        }

    } while (ngx_http_sprox_steps_clock() - began
             < NGX_HTTP_SPROX_STEPS_TURN);

    ngx_post_event(ev, &ngx_posted_next_events);
}


static ngx_int_t
ngx_http_sprox_sweep_catalog(ngx_http_sprox_sweep_t *s)
{
    uint64_t    removed;
    sprox_rc_t  rc;

    removed = 0;

    rc = ngx_http_sprox_zone_sweep(s->job->origin, s->job->bucket, &s->cursor,
                                   sprox_str_null, s->time,
                                   NGX_HTTP_SPROX_SWEEP_STEP, &removed);

    s->catalog = (rc != SPROX_AGAIN);

    return NGX_OK;
}


/* One of those that the walk has found. */

static ngx_int_t
ngx_http_sprox_sweep_files(ngx_http_sprox_sweep_t *s)
{
    off_t                        bytes;
    ngx_int_t                    rc;
    ngx_http_sprox_walk_file_t  *file;

    file = s->files++;
    s->nfiles--;

    rc = ngx_http_sprox_cache_delete(s->cache, file->key, s->job->log, &bytes);

    if (rc == NGX_OK) {
        s->slices++;
        s->bytes += bytes;

        ngx_http_sprox_count_purged(1);
        ngx_http_sprox_job_save(s->job, s->slices, 0, NULL);
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* The walk goes on, in this zone or the next. */

static ngx_int_t
ngx_http_sprox_sweep_zone(ngx_http_sprox_sweep_t *s)
{
    int64_t                   swept;
    ngx_pool_t               *pool;
    ngx_http_sprox_sought_t  *sought;

    if (s->walk && s->rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (s->walk && s->rc == NGX_DONE) {
        ngx_http_sprox_walk_free(s->walk);
        s->walk = NULL;
    }

    if (s->walk == NULL) {

        s->cache = ngx_http_sprox_sweep_next(s);

        if (s->cache == NULL) {

            /* all is gone; is there a later ban? */

            swept = s->time;
            ngx_http_sprox_sweep_begin(s);
            s->banned = s->banned && s->time != swept;

            return NGX_OK;
        }

        s->walk = ngx_http_sprox_walk_create(s->job->log,
                                             s->mcf->thread_pool, s->cache,
                                             ngx_http_sprox_sweep_match,
                                             ngx_http_sprox_sweep_found);
        if (s->walk == NULL) {
            return NGX_ERROR;
        }

        pool = ngx_http_sprox_walk_pool(s->walk);

        if (ngx_http_sprox_sweep_sought(s, pool, &sought) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_sprox_walk_set(s->walk, s, sought);
    }

    return ngx_http_sprox_walk_next(s->walk) == NGX_OK ? NGX_AGAIN
                                                       : NGX_ERROR;
}


/* Slices of several sizes may lie in one zone: it is walked over once. */

static ngx_http_file_cache_t *
ngx_http_sprox_sweep_next(ngx_http_sprox_sweep_t *s)
{
    ngx_uint_t               i, n;
    ngx_http_sprox_place_t  *places;

    places = s->mcf->places.elts;

    for (n = s->place; n < s->mcf->places.nelts; n++) {

        for (i = 0; i < n && places[i].zone != places[n].zone; i++) {
            /* void */
        }

        if (i == n) {
            s->place = n + 1;
            return ngx_http_sprox_cache_zone(places[n].zone);
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_sprox_sweep_sought(ngx_http_sprox_sweep_t *s, ngx_pool_t *pool,
    ngx_http_sprox_sought_t **sought)
{
    sprox_mem_t               *mem;
    sprox_buf_t                slices, pages;
    sprox_str_t                origin;
    ngx_http_sprox_sought_t   *what;

    mem = ngx_palloc(pool, sizeof(sprox_mem_t));
    what = ngx_palloc(pool, sizeof(ngx_http_sprox_sought_t));

    if (mem == NULL || what == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sprox_mem_pool(mem, pool);

    sprox_buf_init(&slices, mem);
    sprox_buf_init(&pages, mem);

    origin = ngx_http_sprox_to_core(s->job->origin->name);

    sprox_slice_key_begin(&slices, origin, s->job->bucket, s->job->prefix);
    ngx_http_sprox_list_key_begin(&pages, origin, s->job->bucket);

    if (sprox_buf_rc(&slices) != SPROX_OK || sprox_buf_rc(&pages) != SPROX_OK)
    {
        return NGX_ERROR;
    }

    what->slices = sprox_buf_get(&slices);
    what->pages = sprox_buf_get(&pages);
    what->time = s->time;

    *sought = what;

    return NGX_OK;
}


/*
 * In the thread.  What cannot tell when it was proved is deleted as well; so
 * are pages of listings, of whatever prefix: they are few and soon old.
 */

static ngx_uint_t
ngx_http_sprox_sweep_match(void *data, sprox_str_t key, sprox_str_t block)
{
    ngx_http_sprox_sought_t *sought = data;

    int64_t             proved;
    sprox_slice_meta_t  meta;

    if (sprox_str_starts(key, sought->pages)) {
        proved = ngx_http_sprox_list_page_sent(block);

        return sprox_proof(proved, ngx_http_sprox_now_exact()) < sought->time;
    }

    if (!sprox_str_starts(key, sought->slices)) {
        return 0;
    }

    if (sprox_slice_meta_read(block, &meta) != SPROX_OK) {
        return 1;
    }

    proved = meta.object.proved;

    return sprox_proof(proved, ngx_http_sprox_now_exact()) < sought->time;
}


static void
ngx_http_sprox_sweep_found(void *data, ngx_http_sprox_walk_file_t *files,
    ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_sprox_sweep_t *s = data;

    s->files = files;
    s->nfiles = n;
    s->rc = rc;

    ngx_post_event(&s->event, &ngx_posted_events);
}


/* Listings of what was purged come from the origin until it is crawled. */

static void
ngx_http_sprox_sweep_over(ngx_http_sprox_sweep_t *s)
{
    ngx_uint_t                i;
    ngx_http_sprox_alias_t  **aliases;

    aliases = s->mcf->aliases.elts;

    for (i = 0; i < s->mcf->aliases.nelts; i++) {
        if (aliases[i]->crawl && aliases[i]->origin == s->job->origin) {
            (void) ngx_http_sprox_crawl_want(aliases[i], s->job->bucket);
        }
    }

    ngx_http_sprox_job_end(s->job, NGX_HTTP_SPROX_JOB_DONE, 0,
                           "%uL files, %O bytes", s->slices, s->bytes);
}
