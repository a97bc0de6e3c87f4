/*
 * The catalog's zone: one piece of shared memory, of which the core's
 * catalog gets all that nginx's slab leaves.
 *
 *   | slab pool, page table | header, log text | the catalog ............ |
 *                             few pages each     whole pages, one block
 *
 * The slab is used for its mutex alone (nginx frees it when a worker dies
 * with it) and never allocates again.  A reload finds the catalog as it is.
 *
 * A space of the catalog is a bucket of a store.  Its name is
 *
 *   ORIGIN 0 DIGEST BUCKET
 *
 * with the MD5 of what else makes out the store (dialect, endpoint, root):
 * when an operator points an origin elsewhere, nothing that was known of
 * the old store is believed of the new one.
 */

#include "ngx_http_sprox_zone_private.h"
#include "ngx_http_sprox_persist_file.h"
#include "ngx_http_sprox_conf.h"

#include "sprox_digest.h"


/* In shared memory. */

typedef struct {
    sprox_catalog_t              *catalog;
    size_t                        size;
    ngx_http_sprox_clock_t        clock;
    ngx_http_sprox_persist_sh_t   persist;
    ngx_http_sprox_told_sh_t      told;
    volatile ngx_uint_t           generation;  /* whose regions were kept */
    ngx_uint_t                    keeping;     /* that of the place: */
    sprox_catalog_keep_t          keep;
} ngx_http_sprox_zone_sh_t;


/* Of a cycle; the zone's data. */

typedef struct {
    ngx_http_sprox_zone_sh_t   *sh;
    ngx_slab_pool_t            *shpool;
    ngx_cycle_t                *cycle;
    ngx_http_sprox_main_conf_t *mcf;
} ngx_http_sprox_zone_t;


/* The time to wake up and take the lock, in ns. */
#define NGX_HTTP_SPROX_ZONE_SHARE  50000

/* Steps of tidying in one go: it takes a millisecond or two. */
#define NGX_HTTP_SPROX_ZONE_STEPS  32

/* Regions that are looked at in one of them: for each, aliases are. */
#define NGX_HTTP_SPROX_ZONE_KEEP   16


typedef u_char  ngx_http_sprox_store_t[SPROX_MD5_LEN];


#define ngx_http_sprox_catalog()  (ngx_http_sprox_zone->sh->catalog)


static ngx_int_t ngx_http_sprox_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_http_sprox_clock_t *ngx_http_sprox_zone_clock(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_sprox_zone_store(ngx_http_sprox_origin_t *origin,
    u_char *digest);
static void ngx_http_sprox_zone_keep_locked(ngx_uint_t generation);
static sprox_rc_t ngx_http_sprox_zone_space_locked(
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, int create,
    uint32_t *space);


/* Of this worker. */
static ngx_http_sprox_zone_t   *ngx_http_sprox_zone;
static ngx_http_sprox_store_t  *ngx_http_sprox_stores;


ngx_shm_zone_t *
ngx_http_sprox_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size)
{
    ngx_shm_zone_t         *shm_zone;
    ngx_http_sprox_zone_t  *zone;

    if (size < NGX_HTTP_SPROX_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" of \"sprox_catalog\" is too small: "
                           "write a size of %dk or more", name,
                           NGX_HTTP_SPROX_ZONE_MIN / 1024);
        return NULL;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, name, size, &ngx_http_sprox_module);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_http_sprox_zone_init;
    shm_zone->data = zone;

    zone->cycle = cf->cycle;
    zone->mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);

    return shm_zone;
}


static ngx_int_t
ngx_http_sprox_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_sprox_zone_t  *old = data;

    void                      *memory;
    size_t                     len;
    ngx_slab_pool_t           *shpool;
    ngx_http_sprox_zone_t     *zone;
    ngx_http_sprox_zone_sh_t  *sh;

    zone = shm_zone->data;

    if (ngx_http_sprox_persist_check(zone->cycle, zone->mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (old != NULL) {

        /* a module of a newer format may have been loaded meanwhile */

        if (sprox_catalog_attach(old->sh->catalog, old->sh->size) == NULL) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "sprox catalog zone \"%V\" is of another version: "
                          "restart nginx", &shm_zone->shm.name);
            return NGX_ERROR;
        }

        zone->sh = old->sh;
        zone->shpool = old->shpool;

        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    zone->shpool = shpool;

    if (shm_zone->shm.exists) {
        zone->sh = shpool->data;
        return NGX_OK;
    }

    sh = ngx_slab_calloc(shpool, sizeof(ngx_http_sprox_zone_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    len = sizeof(" in sprox catalog zone \"\"") + shm_zone->shm.name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in sprox catalog zone \"%V\"%Z",
                &shm_zone->shm.name);

    /* nothing was freed yet: all free pages are one run */

    sh->size = (size_t) shpool->pfree * ngx_pagesize;

    memory = ngx_slab_alloc(shpool, sh->size);
    if (memory == NULL) {
        return NGX_ERROR;
    }

    sh->catalog = sprox_catalog_create(memory, sh->size);
    if (sh->catalog == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "sprox catalog zone \"%V\" is too small: write a larger "
                      "size in \"sprox_catalog\"", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    ngx_http_sprox_clock_init(&sh->clock,
                          ngx_http_sprox_zone_clock(zone->cycle->old_cycle));

    /* nobody knows what events and purges told before */

    sh->told.since = sh->clock + (int64_t) ngx_current_msec;

    shpool->data = sh;
    zone->sh = sh;

    return NGX_OK;
}


/*
 * That of another cycle, whose zone may be another one; or NULL.  It is looked
 * for in the list of zones: a cycle that was made without this module, or by
 * another copy of it, has no room for its configuration.
 */

static ngx_http_sprox_clock_t *
ngx_http_sprox_zone_clock(ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_shm_zone_t         *shm_zone;
    ngx_list_part_t        *part;
    ngx_http_sprox_zone_t  *zone;

    if (cycle == NULL) {
        return NULL;
    }

    /* the very first one has no list */

    for (part = &cycle->shared_memory.part; part; part = part->next) {
        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].tag != &ngx_http_sprox_module
                || shm_zone[i].init != ngx_http_sprox_zone_init)
            {
                continue;
            }

            zone = shm_zone[i].data;

            if (zone && zone->sh) {
                return &zone->sh->clock;
            }
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_sprox_zone_start(ngx_cycle_t *cycle, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                 i;
    ngx_http_sprox_store_t    *stores;
    ngx_http_sprox_origin_t  **origin;

    ngx_http_sprox_zone = NULL;
    ngx_http_sprox_clock_use(NULL);

    if (mcf->catalog_zone == NULL) {
        return NGX_OK;
    }

    /* no origin at all is legal */

    stores = ngx_palloc(cycle->pool, (mcf->origins.nelts + 1)
                                     * sizeof(ngx_http_sprox_store_t));
    if (stores == NULL) {
        return NGX_ERROR;
    }

    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {
        if (ngx_http_sprox_zone_store(origin[i], stores[origin[i]->index])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_http_sprox_stores = stores;
    ngx_http_sprox_zone = mcf->catalog_zone->data;
    ngx_http_sprox_clock_use(&ngx_http_sprox_zone->sh->clock);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_zone_store(ngx_http_sprox_origin_t *origin, u_char *digest)
{
    sprox_rc_t   rc;
    sprox_buf_t  text;

    sprox_buf_init(&text, &ngx_http_sprox_mem_heap);

    sprox_buf_str(&text, origin->dialect->name);
    sprox_buf_char(&text, '\0');
    sprox_buf_str(&text, ngx_http_sprox_to_core(origin->endpoint));
    sprox_buf_char(&text, '\0');
    sprox_buf_str(&text, ngx_http_sprox_to_core(origin->root));

    rc = sprox_buf_rc(&text);

    if (rc == SPROX_OK) {
        rc = sprox_md5(sprox_buf_get(&text), digest);
    }

    sprox_buf_free(&text);

    return rc == SPROX_OK ? NGX_OK : NGX_ERROR;
}


sprox_rc_t
ngx_http_sprox_zone_name(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    u_char buf[SPROX_CATALOG_NAME_MAX], sprox_str_t *name)
{
    u_char  *p;

    if (origin->name.len + 1 + SPROX_MD5_LEN + bucket.len
        > SPROX_CATALOG_NAME_MAX)
    {
        return SPROX_LIMIT;
    }

    p = ngx_cpymem(buf, origin->name.data, origin->name.len);
    *p++ = '\0';
    p = ngx_cpymem(p, ngx_http_sprox_stores[origin->index], SPROX_MD5_LEN);

    /* a bucket of no name may have no address either */

    if (bucket.len) {
        p = ngx_cpymem(p, bucket.data, bucket.len);
    }

    *name = sprox_str_make(buf, p - buf);

    return SPROX_OK;
}


static sprox_rc_t
ngx_http_sprox_zone_space_locked(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, int create, uint32_t *space)
{
    u_char       buf[SPROX_CATALOG_NAME_MAX];
    sprox_str_t  name;

    if (ngx_http_sprox_zone_name(origin, bucket, buf, &name) != SPROX_OK) {
        return SPROX_LIMIT;
    }

    return sprox_catalog_space_locked(ngx_http_sprox_catalog(), name, create,
                                      space);
}


ngx_uint_t
ngx_http_sprox_zone_bucket(ngx_http_sprox_origin_t *origin, sprox_str_t name,
    sprox_str_t *bucket)
{
    u_char       buf[SPROX_CATALOG_NAME_MAX];
    sprox_str_t  store;

    if (ngx_http_sprox_zone_name(origin, sprox_str_lit(""), buf, &store)
        != SPROX_OK
        || !sprox_str_starts(name, store))
    {
        return 0;
    }

    *bucket = sprox_str_from(name, store.len);

    return 1;
}


sprox_rc_t
ngx_http_sprox_zone_enter(ngx_http_sprox_zone_at_t *at,
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, int create)
{
    if (ngx_http_sprox_zone == NULL) {
        at->catalog = NULL;
        at->rc = create ? SPROX_FULL : SPROX_NOT_FOUND;

        return at->rc;
    }

    at->catalog = ngx_http_sprox_zone_lock();
    at->rc = ngx_http_sprox_zone_space_locked(origin, bucket, create,
                                              &at->space);

    if (at->rc != SPROX_OK && create == SPROX_SPACE_FIND) {
        at->rc = SPROX_NOT_FOUND;
    }

    return at->rc;
}


sprox_rc_t
ngx_http_sprox_zone_leave(ngx_http_sprox_zone_at_t *at)
{
    if (at->catalog) {
        ngx_http_sprox_zone_unlock();
    }

    return at->rc;
}


sprox_rc_t
ngx_http_sprox_zone_get(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t key, sprox_object_t *object, uint8_t *buf)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_get_locked(at.catalog, at.space, key, object,
                                         buf);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_put(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t key, const sprox_object_t *object)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_enter(&at, origin, bucket,
                                  object->absent ? SPROX_SPACE_MAYBE
                                                 : SPROX_SPACE_MAKE)
        == SPROX_OK)
    {
        at.rc = sprox_catalog_put_locked(at.catalog, at.space, key, object);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_remove(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key)
{
    sprox_rc_t                rc;
    ngx_http_sprox_zone_at_t  at;

    ngx_http_sprox_persist_tell();

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_remove_locked(at.catalog, at.space, key);
    }

    rc = ngx_http_sprox_zone_leave(&at);

    /* also what is not known yet: the file may know it */

    ngx_http_sprox_persist_mark();

    return rc;
}


sprox_rc_t
ngx_http_sprox_zone_purge(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, int64_t when)
{
    sprox_rc_t                rc;
    ngx_http_sprox_zone_at_t  at;

    ngx_http_sprox_persist_tell();

    if (ngx_http_sprox_zone_enter(&at, origin, bucket, SPROX_SPACE_MAYBE)
        == SPROX_OK)
    {
        at.rc = sprox_catalog_purge_locked(at.catalog, at.space, key, when);
    }

    rc = ngx_http_sprox_zone_leave(&at);

    ngx_http_sprox_persist_mark();

    return rc;
}


sprox_rc_t
ngx_http_sprox_zone_doubt(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, int64_t when)
{
    sprox_rc_t                rc;
    ngx_http_sprox_zone_at_t  at;

    ngx_http_sprox_persist_tell();

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_doubt_locked(at.catalog, at.space, key, when);
    }

    rc = ngx_http_sprox_zone_leave(&at);

    ngx_http_sprox_persist_mark();

    return rc;
}


sprox_rc_t
ngx_http_sprox_zone_event(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, const sprox_event_t *e, int64_t when)
{
    sprox_rc_t                rc;
    ngx_http_sprox_zone_at_t  at;

    ngx_http_sprox_persist_tell();

    if (ngx_http_sprox_zone_enter(&at, origin, bucket,
                                  e->kind == SPROX_EVENT_CREATED
                                  ? SPROX_SPACE_MAKE : SPROX_SPACE_MAYBE)
        == SPROX_OK)
    {
        at.rc = sprox_event_apply_locked(at.catalog, at.space, e, when,
                                         ngx_http_sprox_now()
                                         - ngx_http_sprox_wall());
    }

    rc = ngx_http_sprox_zone_leave(&at);

    /* it is not sent again: a crash must not take it back */

    if (rc != SPROX_DONE) {
        ngx_http_sprox_persist_mark();
    }

    return rc;
}


sprox_rc_t
ngx_http_sprox_zone_settle(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, const sprox_event_t *e, int64_t when)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_event_settle_locked(at.catalog, at.space, e, when);
    }

    return ngx_http_sprox_zone_leave(&at);
}


sprox_rc_t
ngx_http_sprox_zone_list(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_catalog_cursor_t *cursor, size_t n, sprox_catalog_visit_pt visit,
    void *data)
{
    ngx_http_sprox_zone_at_t  at;

    if (ngx_http_sprox_zone_find(&at, origin, bucket) == SPROX_OK) {
        at.rc = sprox_catalog_list_locked(at.catalog, at.space, cursor,
                                          ngx_min(n, NGX_HTTP_SPROX_ZONE_STEP),
                                          visit, data);
    }

    return ngx_http_sprox_zone_leave(&at);
}


void
ngx_http_sprox_zone_tidy(ngx_uint_t generation)
{
    ngx_uint_t  n;
    sprox_rc_t  rc;

    if (ngx_http_sprox_zone == NULL) {
        return;
    }

    n = 0;

    while (ngx_http_sprox_zone->sh->generation != generation) {

        if (n++ == NGX_HTTP_SPROX_ZONE_STEPS) {
            return;
        }

        (void) ngx_http_sprox_zone_lock();
        ngx_http_sprox_zone_keep_locked(generation);
        ngx_http_sprox_zone_unlock();
    }

    for ( /* void */ ; n < NGX_HTTP_SPROX_ZONE_STEPS; n++) {
        rc = sprox_catalog_release_locked(ngx_http_sprox_zone_lock(),
                                          NGX_HTTP_SPROX_ZONE_STEP);
        ngx_http_sprox_zone_unlock();

        if (rc != SPROX_AGAIN) {
            return;
        }
    }
}


/*
 * A step, by whichever worker.  Only once for a configuration: what a client
 * has crawled since, it wants until the next reload.
 */

static void
ngx_http_sprox_zone_keep_locked(ngx_uint_t generation)
{
    ngx_http_sprox_zone_sh_t  *sh;

    sh = ngx_http_sprox_zone->sh;

    if (sh->generation == generation) {
        return;
    }

    if (sh->keeping != generation) {
        ngx_memzero(&sh->keep, sizeof(sprox_catalog_keep_t));
        ngx_memory_barrier();
        sh->keeping = generation;
    }

    if (sprox_catalog_regions_keep_locked(sh->catalog, &sh->keep,
                                          NGX_HTTP_SPROX_ZONE_KEEP,
                                          ngx_http_sprox_persist_wanted,
                                          ngx_http_sprox_zone->mcf)
        == SPROX_DONE)
    {
        sh->generation = generation;
    }
}


sprox_rc_t
ngx_http_sprox_zone_ban(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t prefix, int64_t time, uint64_t *id)
{
    u_char       buf[SPROX_CATALOG_NAME_MAX];
    sprox_rc_t   rc;
    sprox_ban_t  ban;

    if (ngx_http_sprox_zone == NULL) {
        return SPROX_FULL;
    }

    ngx_memzero(&ban, sizeof(sprox_ban_t));
    ban.prefix = prefix;
    ban.time = time;

    if (ngx_http_sprox_zone_name(origin, bucket, buf, &ban.name)
        != SPROX_OK)
    {
        return SPROX_LIMIT;
    }

    ngx_http_sprox_persist_tell();

    rc = sprox_catalog_ban_locked(ngx_http_sprox_zone_lock(), &ban, id);
    ngx_http_sprox_zone_unlock();

    ngx_http_sprox_persist_mark();
    ngx_http_sprox_persist_soon();

    return rc;
}


sprox_rc_t
ngx_http_sprox_zone_unban(uint64_t id)
{
    sprox_rc_t  rc;

    if (ngx_http_sprox_zone == NULL) {
        return SPROX_NOT_FOUND;
    }

    rc = sprox_catalog_unban_locked(ngx_http_sprox_zone_lock(), id);
    ngx_http_sprox_zone_unlock();

    return rc;
}


ngx_uint_t
ngx_http_sprox_zone_banned(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, int64_t proved)
{
    u_char       buf[SPROX_CATALOG_NAME_MAX];
    ngx_uint_t   banned;
    sprox_str_t  name;

    if (ngx_http_sprox_zone_bans_seq() == 0
        || ngx_http_sprox_zone_name(origin, bucket, buf, &name) != SPROX_OK)
    {
        return 0;
    }

    proved = sprox_proof(proved, ngx_http_sprox_now_exact());

    banned = sprox_catalog_banned_locked(ngx_http_sprox_zone_lock(), name, key,
                                         proved);
    ngx_http_sprox_zone_unlock();

    return banned;
}


uint64_t
ngx_http_sprox_zone_bans_seq(void)
{
    return ngx_http_sprox_zone
           ? sprox_catalog_bans_seq(ngx_http_sprox_catalog()) : 0;
}


sprox_catalog_t *
ngx_http_sprox_zone_lock(void)
{
    ngx_shmtx_lock(&ngx_http_sprox_zone->shpool->mutex);

    return ngx_http_sprox_catalog();
}


void
ngx_http_sprox_zone_unlock(void)
{
    ngx_shmtx_unlock(&ngx_http_sprox_zone->shpool->mutex);
}


void
ngx_http_sprox_zone_share(void)
{
    ngx_uint_t        wanted;
    ngx_shmtx_t      *mutex;
    struct timespec   ts;

    mutex = &ngx_http_sprox_zone->shpool->mutex;

#if (NGX_HAVE_POSIX_SEM)
    wanted = !mutex->semaphore || *mutex->wait != 0;
#else
    wanted = 1;
#endif

    ngx_shmtx_unlock(mutex);

    if (wanted) {
        ts.tv_sec = 0;
        ts.tv_nsec = NGX_HTTP_SPROX_ZONE_SHARE;

        (void) nanosleep(&ts, NULL);
    }
}


ngx_http_sprox_persist_sh_t *
ngx_http_sprox_zone_persist(void)
{
    return &ngx_http_sprox_zone->sh->persist;
}


ngx_http_sprox_told_sh_t *
ngx_http_sprox_zone_told(void)
{
    return ngx_http_sprox_zone ? &ngx_http_sprox_zone->sh->told : NULL;
}


void
ngx_http_sprox_zone_stats(sprox_catalog_stats_t *stats)
{
    if (ngx_http_sprox_zone == NULL) {
        ngx_memzero(stats, sizeof(sprox_catalog_stats_t));
        return;
    }

    sprox_catalog_stats_locked(ngx_http_sprox_zone_lock(), stats);
    ngx_http_sprox_zone_unlock();
}
