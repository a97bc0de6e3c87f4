
/*
 * Copies of hot slices into the tier above.
 *
 *   event loop                            thread
 *
 *   hit, hot, within the budget
 *     | claim, entry and temporary
 *     | file in the upper zone
 *     +---------------------------------> the whole file, as it is
 *     commit, or abort <------------------+
 *
 * The file is the same in all zones: nginx's header and the KEY line say
 * nothing of the zone.  The source is held by a descriptor of its own, so
 * it does not matter what becomes of its name meanwhile; but a copy of what
 * was purged meanwhile must not stay.  Its claim in the table of flights is
 * under another key than the slice's, for whom nobody should wait here.
 *
 * A zone that cannot be written to is left alone for a while.  nginx's own
 * functions would log each failure as critical: they log to `quiet`, and
 * what there is to say is said here, once a minute.
 */

#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_zone.h"


#define NGX_HTTP_SPROX_TIER_CHUNK    (128 * 1024)

/* After a failure, in ms: no copies into that zone; no line about it. */
#define NGX_HTTP_SPROX_TIER_PAUSE    1000
#define NGX_HTTP_SPROX_TIER_SILENCE  60000

/* How often the tiers below are told of the use of an open slice, in ms. */
#define NGX_HTTP_SPROX_TIER_TELL     1000

/* A copy that takes longer does not keep a worker that is to exit, in ms. */
#define NGX_HTTP_SPROX_TIER_TIMEOUT  60000


typedef struct {
    ngx_thread_task_t               task;
    ngx_pool_t                     *pool;
    ngx_http_sprox_flight_t         flight;
    ngx_http_sprox_tier_t          *tier;       /* into which */
    ngx_http_file_cache_t          *from;
    ngx_http_file_cache_t          *to;
    ngx_http_sprox_origin_t        *origin;
    sprox_str_t                     bucket;
    sprox_str_t                     object;
    sprox_str_t                     key;        /* of the slice */
    u_char                          md5[NGX_HTTP_CACHE_KEY_LEN];
    ngx_http_sprox_cache_writer_t   writer;
    ngx_file_uniq_t                 uniq;       /* of the source */
    ngx_fd_t                        fd;
    off_t                           size;

    /* the thread's */
    u_char                         *buf;
    const char                     *failed;     /* NULL: all was copied */
    ngx_err_t                       err;
} ngx_http_sprox_promotion_t;


static ngx_http_sprox_tier_t *ngx_http_sprox_tier_of(ngx_shm_zone_t *zone);
static void ngx_http_sprox_tier_tell(ngx_http_sprox_tier_hit_t *hit);
static void ngx_http_sprox_tier_promote(ngx_http_sprox_tier_hit_t *hit);
static ngx_http_sprox_promotion_t *ngx_http_sprox_promotion_create(
    ngx_http_sprox_tier_hit_t *hit);
static ngx_int_t ngx_http_sprox_promotion_begin(
    ngx_http_sprox_promotion_t *p, ngx_http_sprox_tier_hit_t *hit);
static void ngx_http_sprox_promotion_copy(void *data, ngx_log_t *log);
static void ngx_http_sprox_promotion_copied(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_promotion_commit(
    ngx_http_sprox_promotion_t *p);
static void ngx_http_sprox_promotion_fail(ngx_http_sprox_promotion_t *p);
static void ngx_http_sprox_promotion_free(ngx_http_sprox_promotion_t *p);


static ngx_http_sprox_main_conf_t  *ngx_http_sprox_tier_conf;
static sprox_tier_budget_t          ngx_http_sprox_tier_budget;
static ngx_log_t                    ngx_http_sprox_tier_quiet;


void
ngx_http_sprox_tier_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_tier_conf = mcf;
    ngx_http_sprox_tier_quiet = *cycle->log;
    ngx_http_sprox_tier_quiet.log_level = NGX_LOG_ALERT;

    sprox_tier_budget_init(&ngx_http_sprox_tier_budget, ngx_current_msec);
}


ngx_uint_t
ngx_http_sprox_tiers(ngx_http_sprox_spec_t *spec)
{
    return spec->zones->nelts;
}


ngx_http_file_cache_t *
ngx_http_sprox_tier_cache(ngx_http_sprox_spec_t *spec, ngx_uint_t tier)
{
    ngx_shm_zone_t  **zone;

    zone = spec->zones->elts;

    return ngx_http_sprox_cache_zone(zone[tier]);
}


/* Its state in this worker. */

static ngx_http_sprox_tier_t *
ngx_http_sprox_tier_of(ngx_shm_zone_t *zone)
{
    ngx_uint_t              i;
    ngx_http_sprox_tier_t  *tier;

    tier = ngx_http_sprox_tier_conf->tiers.elts;

    for (i = 0; i < ngx_http_sprox_tier_conf->tiers.nelts; i++) {
        if (tier[i].zone == zone) {
            return &tier[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_sprox_tier_exists(ngx_http_sprox_spec_t *spec,
    u_char md5[NGX_HTTP_CACHE_KEY_LEN])
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_http_sprox_tiers(spec); i++) {

        if (ngx_http_sprox_cache_exists(ngx_http_sprox_tier_cache(spec, i),
                                        md5))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_sprox_tier_count(ngx_http_sprox_spec_t *spec, ngx_uint_t tier,
    off_t bytes)
{
    ngx_shm_zone_t         **zone;
    ngx_http_sprox_tier_t   *t;

    if (ngx_http_sprox_tiers(spec) < 2) {
        return;
    }

    zone = spec->zones->elts;
    t = ngx_http_sprox_tier_of(zone[tier]);

    if (t) {
        ngx_http_sprox_count_tier(t, bytes);
    }
}


void
ngx_http_sprox_tier_hit(ngx_http_sprox_tier_hit_t *hit)
{
    if (ngx_http_sprox_tiers(hit->spec) < 2) {
        return;
    }

    ngx_http_sprox_tier_tell(hit);

    if (hit->tier && hit->hot) {
        ngx_http_sprox_tier_promote(hit);
    }
}


static void
ngx_http_sprox_tier_tell(ngx_http_sprox_tier_hit_t *hit)
{
    ngx_uint_t              i;
    ngx_http_file_cache_t  *cache;

    if (hit->open) {

        if (ngx_current_msec - hit->open->told < NGX_HTTP_SPROX_TIER_TELL) {
            return;
        }

        hit->open->told = ngx_current_msec;
    }

    for (i = hit->tier + 1; i < ngx_http_sprox_tiers(hit->spec); i++) {
        cache = ngx_http_sprox_tier_cache(hit->spec, i);
        (void) ngx_http_sprox_cache_touch(cache, hit->md5, 0, 1);
    }
}


static void
ngx_http_sprox_tier_promote(ngx_http_sprox_tier_hit_t *hit)
{
    off_t                        size;
    ngx_uint_t                   i;
    ngx_shm_zone_t             **zone;
    ngx_http_sprox_tier_t       *tier;
    ngx_http_sprox_flight_t      flight;
    ngx_http_sprox_promotion_t  *p;
    u_char                       claim[NGX_HTTP_CACHE_KEY_LEN];

    zone = hit->spec->zones->elts;
    tier = ngx_http_sprox_tier_of(zone[hit->tier - 1]);
    size = hit->entry->base + hit->entry->length;

    if (tier == NULL
        || (tier->failed
            && ngx_current_msec - tier->failed_at < NGX_HTTP_SPROX_TIER_PAUSE)
        || ngx_http_sprox_cache_full(ngx_http_sprox_cache_zone(tier->zone))
        || !sprox_tier_budget_take(&ngx_http_sprox_tier_budget,
                                   ngx_current_msec, size))
    {
        return;
    }

    for (i = 0; i < NGX_HTTP_CACHE_KEY_LEN; i++) {
        claim[i] = ~hit->md5[i];
    }

    /* it is on its way already, from here or from another worker */

    if (ngx_http_sprox_flight_claim(&flight, claim) == NGX_BUSY) {
        sprox_tier_budget_cancel(&ngx_http_sprox_tier_budget, size);
        return;
    }

    p = ngx_http_sprox_promotion_create(hit);

    if (p == NULL) {
        ngx_http_sprox_flight_release(&flight);
        sprox_tier_budget_cancel(&ngx_http_sprox_tier_budget, size);
        return;
    }

    p->tier = tier;
    p->flight = flight;

    if (ngx_http_sprox_promotion_begin(p, hit) != NGX_OK) {
        ngx_http_sprox_promotion_fail(p);
        ngx_http_sprox_promotion_free(p);
    }
}


static ngx_http_sprox_promotion_t *
ngx_http_sprox_promotion_create(ngx_http_sprox_tier_hit_t *hit)
{
    sprox_mem_t                  mem;
    ngx_pool_t                  *pool;
    ngx_http_sprox_spec_t       *spec;
    ngx_http_sprox_promotion_t  *p;

    spec = hit->spec;

    pool = ngx_create_pool(4096, &ngx_http_sprox_tier_quiet);
    if (pool == NULL) {
        return NULL;
    }

    p = ngx_pcalloc(pool, sizeof(ngx_http_sprox_promotion_t));
    if (p == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_http_sprox_mem_pool(&mem, pool);

    p->pool = pool;
    p->fd = NGX_INVALID_FILE;
    p->from = ngx_http_sprox_tier_cache(spec, hit->tier);
    p->to = ngx_http_sprox_tier_cache(spec, hit->tier - 1);
    p->origin = spec->origin;
    p->bucket = sprox_str_dup(&mem, spec->bucket);
    p->object = sprox_str_dup(&mem, spec->key);
    p->key = sprox_str_dup(&mem, hit->key);
    p->size = hit->entry->base + hit->entry->length;
    p->buf = ngx_palloc(pool, NGX_HTTP_SPROX_TIER_CHUNK);

    if (p->bucket.data == NULL || p->object.data == NULL
        || p->key.data == NULL || p->buf == NULL)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_memcpy(p->md5, hit->md5, NGX_HTTP_CACHE_KEY_LEN);

    p->task.ctx = p;
    p->task.handler = ngx_http_sprox_promotion_copy;
    p->task.event.handler = ngx_http_sprox_promotion_copied;
    p->task.event.data = p;
    p->task.event.log = ngx_cycle->log;

    return p;
}


/* NGX_OK: under way; NGX_ERROR: p->failed. */

static ngx_int_t
ngx_http_sprox_promotion_begin(ngx_http_sprox_promotion_t *p,
    ngx_http_sprox_tier_hit_t *hit)
{
    ngx_file_info_t  fi;

    ngx_set_errno(0);

    /* the reader closes its own when it likes */

    p->failed = "fcntl()";
    p->fd = fcntl(hit->entry->file.fd, F_DUPFD_CLOEXEC, 0);

    if (p->fd == NGX_INVALID_FILE
        || ngx_fd_info(p->fd, &fi) == NGX_FILE_ERROR)
    {
        goto failed;
    }

    p->uniq = ngx_file_uniq(&fi);

    p->failed = "a temporary file";

    if (ngx_http_sprox_cache_clone(&p->writer, p->pool,
                                   &ngx_http_sprox_tier_quiet, p->to, p->key,
                                   hit->entry->base)
        != NGX_OK)
    {
        goto failed;
    }

    p->failed = "a task of the thread pool";

    if (ngx_thread_task_post(ngx_http_sprox_tier_conf->thread_pool, &p->task)
        != NGX_OK)
    {
        goto failed;
    }

    /* keeps a worker that is to exit until the copy has its end */

    ngx_add_timer(&p->task.event, NGX_HTTP_SPROX_TIER_TIMEOUT);

    return NGX_OK;

failed:

    p->err = ngx_errno;

    return NGX_ERROR;
}


static void
ngx_http_sprox_promotion_copy(void *data, ngx_log_t *log)
{
    ngx_http_sprox_promotion_t *p = data;

    off_t    offset;
    size_t   size;
    ssize_t  n;

    p->failed = NULL;

    for (offset = 0; offset < p->size; offset += size) {

        size = ngx_min(p->size - offset, NGX_HTTP_SPROX_TIER_CHUNK);

        n = pread(p->fd, p->buf, size, offset);

        if (n != (ssize_t) size) {

            /* cut short by somebody: no error of the system's */

            p->failed = "pread()";
            p->err = (n == -1) ? ngx_errno : 0;
            return;
        }

        n = pwrite(p->writer.temp_file.file.fd, p->buf, size, offset);

        if (n != (ssize_t) size) {
            p->failed = "pwrite()";
            p->err = (n == -1) ? ngx_errno : NGX_ENOSPC;
            return;
        }
    }
}


static void
ngx_http_sprox_promotion_copied(ngx_event_t *ev)
{
    ngx_http_sprox_promotion_t *p = ev->data;

    if (ev->timedout) {
        ev->timedout = 0;

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, NGX_ETIMEDOUT,
                      "sprox: cache \"%V\": the copy of a slice hangs",
                      &p->tier->zone->shm.name);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (p->failed == NULL && ngx_http_sprox_promotion_commit(p) == NGX_OK) {
        p->tier->failed = 0;
        ngx_http_sprox_count_promotion(p->tier, 1);

    } else {
        ngx_http_sprox_promotion_fail(p);
    }

    ngx_http_sprox_promotion_free(p);
}


static ngx_int_t
ngx_http_sprox_promotion_commit(ngx_http_sprox_promotion_t *p)
{
    off_t           bytes;
    ngx_err_t       err;
    sprox_object_t  object;
    static uint8_t  buf[SPROX_OBJECT_BUF];

    ngx_set_errno(0);
    ngx_http_sprox_cache_commit(&p->writer);
    err = ngx_errno;

    if (!ngx_http_sprox_cache_exists(p->to, p->md5)) {
        p->failed = "rename()";
        p->err = err;
        return NGX_ERROR;
    }

    /*
     * A PURGE forgets the object, then deletes its slices, those of the
     * lower tier first: either it finds the copy, or here it shows
     */

    if (ngx_http_sprox_cache_touch(p->from, p->md5, p->uniq, 0) != NGX_OK
        || ngx_http_sprox_zone_get(p->origin, p->bucket, p->object, &object,
                                   buf)
           != SPROX_OK
        || object.absent || object.doubted)
    {
        (void) ngx_http_sprox_cache_delete(p->to, p->key,
                                           &ngx_http_sprox_tier_quiet,
                                           &bytes);
    }

    return NGX_OK;
}


static void
ngx_http_sprox_promotion_fail(ngx_http_sprox_promotion_t *p)
{
    ngx_http_sprox_tier_t  *tier;

    ngx_http_sprox_cache_abort(&p->writer);

    tier = p->tier;

    ngx_http_sprox_count_promotion(tier, 0);

    tier->failed = 1;
    tier->failed_at = ngx_current_msec;

    if (tier->said
        && ngx_current_msec - tier->said_at < NGX_HTTP_SPROX_TIER_SILENCE)
    {
        return;
    }

    tier->said = 1;
    tier->said_at = ngx_current_msec;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, p->err,
                  "sprox: cache \"%V\" takes no hot slices: %s failed; they "
                  "are read from the next one; said once a minute",
                  &tier->zone->shm.name, p->failed);
}


static void
ngx_http_sprox_promotion_free(ngx_http_sprox_promotion_t *p)
{
    sprox_tier_budget_done(&ngx_http_sprox_tier_budget);
    ngx_http_sprox_flight_release(&p->flight);

    if (p->fd != NGX_INVALID_FILE && ngx_close_file(p->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "sprox: " ngx_close_file_n " of a slice failed");
    }

    /* with the temporary file, if it has not become the entry */

    ngx_destroy_pool(p->pool);
}
