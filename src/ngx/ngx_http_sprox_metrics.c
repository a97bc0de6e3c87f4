/*
 * The numbers behind sprox_metrics.  They lie in a shared-memory zone, and
 * every worker adds to them with atomic operations; nothing is locked.
 *
 *   header   fills in flight by process slot, purged slices
 *   row      one an alias, an origin and a tier, in a list, found by kind
 *            and name, never freed: workers of an older configuration may
 *            still count in it; an origin's holds its circuit as well
 *
 * A reload keeps the zone while its size stays; the size is a power of two
 * with room for as many rows again, so that a few more aliases do not
 * change it.  When it does change, the rows are copied.
 */

#include "ngx_http_sprox_metrics_private.h"
#include "ngx_http_sprox_conf.h"


#define NGX_HTTP_SPROX_METRICS_MIN     (128 * 1024)

/* A row's share of the zone: what the slab makes of it, and its name. */
#define NGX_HTTP_SPROX_METRICS_ROW     4096


static ngx_int_t ngx_http_sprox_metrics_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_sprox_metrics_rows(ngx_http_sprox_metrics_t *m,
    ngx_http_sprox_metrics_sh_t *old, ngx_log_t *log);
static ngx_http_sprox_row_t *ngx_http_sprox_metrics_row(
    ngx_http_sprox_metrics_t *m, ngx_http_sprox_metrics_sh_t *old,
    ngx_http_sprox_row_kind_e kind, ngx_str_t *name);
static ngx_http_sprox_row_t *ngx_http_sprox_metrics_find(
    ngx_http_sprox_metrics_sh_t *sh, ngx_http_sprox_row_kind_e kind,
    ngx_str_t *name);
static ngx_http_sprox_metrics_sh_t *ngx_http_sprox_metrics_old(void);
static ngx_uint_t ngx_http_sprox_metrics_status(ngx_uint_t status);


/* The first stands for no answer, the last for all others. */

ngx_uint_t  ngx_http_sprox_statuses[NGX_HTTP_SPROX_STATUSES] = {
    0, 200, 204, 206, 301, 304, 307, 400, 403, 404, 405, 412, 416, 429, 499,
    500, 501, 502, 503, 504, 0
};


ngx_http_sprox_metrics_t  *ngx_http_sprox_metrics;


ngx_int_t
ngx_http_sprox_metrics_init(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    size_t                     size, need;
    ngx_shm_zone_t            *shm_zone;
    ngx_http_sprox_metrics_t  *m;

    static ngx_str_t  name = ngx_string("sprox_metrics");

    m = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_metrics_t));
    if (m == NULL) {
        return NGX_ERROR;
    }

    m->mcf = mcf;

    m->aliases = ngx_pcalloc(cf->pool, (mcf->aliases.nelts + 1)
                                       * sizeof(ngx_http_sprox_row_t *));
    m->origins = ngx_pcalloc(cf->pool, (mcf->origins.nelts + 1)
                                       * sizeof(ngx_http_sprox_row_t *));
    m->tiers = ngx_pcalloc(cf->pool, (mcf->tiers.nelts + 1)
                                     * sizeof(ngx_http_sprox_row_t *));

    if (m->aliases == NULL || m->origins == NULL || m->tiers == NULL) {
        return NGX_ERROR;
    }

    need = 2 * NGX_HTTP_SPROX_METRICS_ROW
           * (mcf->aliases.nelts + mcf->origins.nelts + mcf->tiers.nelts
              + 1);

    for (size = NGX_HTTP_SPROX_METRICS_MIN;
         size - NGX_HTTP_SPROX_METRICS_MIN / 2 < need;
         size *= 2)
    { /* void */ }

    shm_zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_sprox_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone->init = ngx_http_sprox_metrics_zone;
    shm_zone->data = m;

    mcf->metrics_zone = shm_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_metrics_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_sprox_metrics_t  *old = data;

    ngx_http_sprox_metrics_t     *m;
    ngx_http_sprox_metrics_sh_t  *was;

    m = shm_zone->data;
    was = NULL;

    if (old != NULL) {
        m->sh = old->sh;
        m->shpool = old->shpool;

    } else {
        m->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

        if (shm_zone->shm.exists) {
            m->sh = m->shpool->data;

        } else {
            m->sh = ngx_slab_calloc(m->shpool,
                                    sizeof(ngx_http_sprox_metrics_sh_t));
            if (m->sh == NULL) {
                return NGX_ERROR;
            }

            m->shpool->data = m->sh;
            m->shpool->log_nomem = 0;

            was = ngx_http_sprox_metrics_old();

            if (was != NULL) {
                m->sh->purged = was->purged;
                ngx_memcpy((void *) m->sh->events, (void *) was->events,
                           sizeof(was->events));
            }
        }
    }

    return ngx_http_sprox_metrics_rows(m, was, shm_zone->shm.log);
}


/* The numbers of the configuration before, in its zone of another size. */

static ngx_http_sprox_metrics_sh_t *
ngx_http_sprox_metrics_old(void)
{
    ngx_uint_t                   i;
    ngx_cycle_t                 *cycle;
    ngx_http_sprox_metrics_t    *m;
    ngx_http_sprox_main_conf_t  *mcf;

    cycle = (ngx_cycle_t *) ngx_cycle;

    if (ngx_is_init_cycle(cycle)) {
        return NULL;
    }

    for (i = 0; cycle->modules[i] != NULL; i++) {

        if (cycle->modules[i] != &ngx_http_sprox_module) {
            continue;
        }

        mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                                  ngx_http_sprox_module);

        if (mcf == NULL || mcf->metrics_zone == NULL) {
            return NULL;
        }

        m = mcf->metrics_zone->data;

        return m->sh;
    }

    return NULL;
}


static ngx_int_t
ngx_http_sprox_metrics_rows(ngx_http_sprox_metrics_t *m,
    ngx_http_sprox_metrics_sh_t *old, ngx_log_t *log)
{
    ngx_str_t                  none;
    ngx_uint_t                 i, full;
    ngx_http_sprox_tier_t     *tier;
    ngx_http_sprox_alias_t   **alias;
    ngx_http_sprox_origin_t  **origin;

    ngx_str_null(&none);
    full = 0;

    m->none = ngx_http_sprox_metrics_row(m, old, NGX_HTTP_SPROX_ROW_ALIAS,
                                         &none);
    if (m->none == NULL) {
        return NGX_ERROR;
    }

    alias = m->mcf->aliases.elts;

    for (i = 0; i < m->mcf->aliases.nelts; i++) {

        m->aliases[i] = ngx_http_sprox_metrics_row(m, old,
                              NGX_HTTP_SPROX_ROW_ALIAS, &alias[i]->pattern);

        full |= (m->aliases[i] == NULL);
    }

    origin = m->mcf->origins.elts;

    for (i = 0; i < m->mcf->origins.nelts; i++) {

        m->origins[i] = ngx_http_sprox_metrics_row(m, old,
                              NGX_HTTP_SPROX_ROW_ORIGIN, &origin[i]->name);

        if (m->origins[i] == NULL) {
            full = 1;
            continue;
        }

        /* what failed may be another address than is asked from now on */

        ngx_memzero(&m->origins[i]->circuit,
                    sizeof(ngx_http_sprox_circuit_t));
    }

    tier = m->mcf->tiers.elts;

    for (i = 0; i < m->mcf->tiers.nelts; i++) {

        m->tiers[i] = ngx_http_sprox_metrics_row(m, old,
                          NGX_HTTP_SPROX_ROW_TIER, &tier[i].zone->shm.name);

        full |= (m->tiers[i] == NULL);
    }

    if (full) {

        /* after many reloads with other names each: no reason to stop */

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "the zone of sprox_metrics is full of the names of "
                      "earlier configurations: what is new is not counted "
                      "until nginx is restarted");
    }

    return NGX_OK;
}


static ngx_http_sprox_row_t *
ngx_http_sprox_metrics_row(ngx_http_sprox_metrics_t *m,
    ngx_http_sprox_metrics_sh_t *old, ngx_http_sprox_row_kind_e kind,
    ngx_str_t *name)
{
    ngx_http_sprox_row_t  *row, *was;

    row = ngx_http_sprox_metrics_find(m->sh, kind, name);

    if (row != NULL) {
        return row;
    }

    row = ngx_slab_calloc(m->shpool,
                          offsetof(ngx_http_sprox_row_t, name) + name->len);
    if (row == NULL) {
        return NULL;
    }

    row->kind = kind;
    row->len = name->len;

    if (name->len) {
        ngx_memcpy(row->name, name->data, name->len);
    }

    was = old ? ngx_http_sprox_metrics_find(old, kind, name) : NULL;

    if (was != NULL) {
        row->counts = was->counts;
    }

    /* workers of the configuration before may be walking the list */

    row->next = m->sh->rows;
    ngx_memory_barrier();
    m->sh->rows = row;

    return row;
}


static ngx_http_sprox_row_t *
ngx_http_sprox_metrics_find(ngx_http_sprox_metrics_sh_t *sh,
    ngx_http_sprox_row_kind_e kind, ngx_str_t *name)
{
    ngx_http_sprox_row_t  *row;

    for (row = sh->rows; row != NULL; row = row->next) {

        if (row->kind == kind && row->len == name->len
            && (name->len == 0
                || ngx_memcmp(row->name, name->data, name->len) == 0))
        {
            return row;
        }
    }

    return NULL;
}


void
ngx_http_sprox_metrics_start(ngx_shm_zone_t *shm_zone)
{
    ngx_http_sprox_slot_t  *slot;

    ngx_http_sprox_metrics = shm_zone ? shm_zone->data : NULL;

    if (ngx_http_sprox_metrics == NULL) {
        return;
    }

    /* who had the slot before may have been killed in the middle of fills */

    slot = &ngx_http_sprox_metrics->sh->slots[ngx_process_slot];

    slot->fills = 0;
    slot->pid = ngx_pid;
}


/* NULL: not to be counted. */

static ngx_http_sprox_row_t *
ngx_http_sprox_metrics_alias(ngx_http_sprox_alias_t *alias)
{
    if (ngx_http_sprox_metrics == NULL) {
        return NULL;
    }

    return alias ? ngx_http_sprox_metrics->aliases[alias->index]
                 : ngx_http_sprox_metrics->none;
}


static ngx_http_sprox_row_t *
ngx_http_sprox_metrics_origin(ngx_http_sprox_origin_t *origin)
{
    if (ngx_http_sprox_metrics == NULL) {
        return NULL;
    }

    return ngx_http_sprox_metrics->origins[origin->index];
}


static ngx_http_sprox_row_t *
ngx_http_sprox_metrics_tier(ngx_http_sprox_tier_t *tier)
{
    if (ngx_http_sprox_metrics == NULL) {
        return NULL;
    }

    return ngx_http_sprox_metrics->tiers[tier->index];
}


static ngx_uint_t
ngx_http_sprox_metrics_status(ngx_uint_t status)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPROX_STATUS_OTHER; i++) {
        if (ngx_http_sprox_statuses[i] == status) {
            return i;
        }
    }

    return NGX_HTTP_SPROX_STATUS_OTHER;
}


void
ngx_http_sprox_count_request(ngx_http_sprox_alias_t *alias, sprox_op_t op,
    ngx_uint_t status)
{
    ngx_uint_t             i;
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row != NULL) {
        i = ngx_http_sprox_metrics_status(status);
        (void) ngx_atomic_fetch_add(&row->counts.requests[op][i], 1);
    }
}


void
ngx_http_sprox_count_bytes(ngx_http_sprox_alias_t *alias, off_t hit,
    off_t fill)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row == NULL) {
        return;
    }

    if (hit != 0) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_HIT],
                                    hit);
    }

    if (fill != 0) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_FILL],
                                    fill);
    }
}


void
ngx_http_sprox_count_stale(ngx_http_sprox_alias_t *alias)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_STALE],
                                    1);
    }
}


void
ngx_http_sprox_count_listing(ngx_http_sprox_alias_t *alias,
    ngx_uint_t from_catalog)
{
    ngx_uint_t             n;
    ngx_http_sprox_row_t  *row;

    n = from_catalog ? NGX_HTTP_SPROX_N_FROM_CATALOG
                     : NGX_HTTP_SPROX_N_FROM_ORIGIN;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[n], 1);
    }
}


void
ngx_http_sprox_count_crawl(ngx_http_sprox_alias_t *alias, uint64_t objects)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_PAGES],
                                    1);
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_OBJECTS],
                                    objects);
    }
}


void
ngx_http_sprox_count_warm(ngx_http_sprox_alias_t *alias, off_t bytes)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_WARMED],
                                    1);
        (void) ngx_atomic_fetch_add(
                                &row->counts.n[NGX_HTTP_SPROX_N_WARM_BYTES],
                                bytes);
    }
}


void
ngx_http_sprox_count_unwarmed(ngx_http_sprox_alias_t *alias)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_alias(alias);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_UNWARMED],
                                    1);
    }
}


void
ngx_http_sprox_count_origin(ngx_http_sprox_origin_t *origin, sprox_op_t op,
    ngx_uint_t status)
{
    ngx_uint_t             i;
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_origin(origin);

    if (row != NULL) {
        i = ngx_http_sprox_metrics_status(status);
        (void) ngx_atomic_fetch_add(&row->counts.requests[op][i], 1);
    }
}


void
ngx_http_sprox_count_origin_bytes(ngx_http_sprox_origin_t *origin, size_t n)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_origin(origin);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_RECEIVED],
                                    n);
    }
}


void
ngx_http_sprox_count_retry(ngx_http_sprox_origin_t *origin)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_origin(origin);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_RETRIES],
                                    1);
    }
}


ngx_http_sprox_circuit_t *
ngx_http_sprox_metrics_circuit(ngx_http_sprox_origin_t *origin)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_origin(origin);

    return row ? &row->circuit : NULL;
}


void
ngx_http_sprox_count_fills(ngx_int_t delta)
{
    ngx_http_sprox_metrics_sh_t  *sh;

    if (ngx_http_sprox_metrics != NULL) {
        sh = ngx_http_sprox_metrics->sh;
        (void) ngx_atomic_fetch_add(&sh->slots[ngx_process_slot].fills,
                                    delta);
    }
}


void
ngx_http_sprox_count_purged(ngx_uint_t slices)
{
    if (ngx_http_sprox_metrics != NULL) {
        (void) ngx_atomic_fetch_add(&ngx_http_sprox_metrics->sh->purged,
                                    slices);
    }
}


void
ngx_http_sprox_count_tier(ngx_http_sprox_tier_t *tier, off_t bytes)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_tier(tier);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(&row->counts.n[NGX_HTTP_SPROX_N_HIT],
                                    bytes);
    }
}


void
ngx_http_sprox_count_promotion(ngx_http_sprox_tier_t *tier, ngx_uint_t done)
{
    ngx_uint_t             n;
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_tier(tier);

    if (row != NULL) {
        n = done ? NGX_HTTP_SPROX_N_PROMOTED : NGX_HTTP_SPROX_N_UNPROMOTED;
        (void) ngx_atomic_fetch_add(&row->counts.n[n], 1);
    }
}


void
ngx_http_sprox_count_event(sprox_sender_t sender, ngx_uint_t result)
{
    if (ngx_http_sprox_metrics != NULL) {
        (void) ngx_atomic_fetch_add(
                   &ngx_http_sprox_metrics->sh->events[sender][result], 1);
    }
}


void
ngx_http_sprox_count_message(ngx_http_sprox_origin_t *queue,
    ngx_http_sprox_message_e what)
{
    ngx_http_sprox_row_t  *row;

    row = ngx_http_sprox_metrics_origin(queue);

    if (row != NULL) {
        (void) ngx_atomic_fetch_add(
                   &row->counts.n[NGX_HTTP_SPROX_N_MESSAGES + what], 1);
    }
}
