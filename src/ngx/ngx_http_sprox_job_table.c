/*
 * The table of jobs, in shared memory.
 *
 *   sh:  slot [info | owner | cursor]      id 0: free
 *        slot                              queued, running: at most ..LIVE
 *        ...                               the rest: the last that ended
 *
 * A slot is made by the store of its id, last, and changes state by the
 * store of its state, last; a cursor has a sum.  A worker that is killed in
 * between leaves what was there before, or a run that begins anew.
 */

#include "ngx_http_sprox_job_private.h"
#include "ngx_http_sprox_ban.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_warm.h"


/* How long one that failed does not begin by itself again, in ms. */
#define NGX_HTTP_SPROX_JOB_HOLD      60000

/* And one that somebody canceled. */
#define NGX_HTTP_SPROX_JOB_REST      3600000


static ngx_int_t ngx_http_sprox_job_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_sprox_job_fill_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_spec_t *spec, ngx_http_sprox_job_slot_t *last);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_room_locked(void);
static void ngx_http_sprox_job_queue_locked(ngx_http_sprox_job_slot_t *slot,
    int64_t due);
static void ngx_http_sprox_job_close_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_last_locked(
    ngx_http_sprox_job_spec_t *spec);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_like_locked(
    ngx_http_sprox_job_kind_e kind, sprox_str_t origin, sprox_str_t bucket,
    sprox_str_t prefix, ngx_http_sprox_job_slot_t *but);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_find_locked(uint64_t id);
static ngx_uint_t ngx_http_sprox_job_live(ngx_http_sprox_job_slot_t *slot);
static void ngx_http_sprox_job_set(u_char *to, size_t *len, size_t max,
    sprox_str_t s);


const ngx_http_sprox_job_kind_t
    *ngx_http_sprox_job_kinds[NGX_HTTP_SPROX_JOB_KINDS] =
{
    &ngx_http_sprox_crawl_kind,
    &ngx_http_sprox_reload_kind,
    &ngx_http_sprox_purge_kind,
    &ngx_http_sprox_warm_kind
};


static ngx_str_t  ngx_http_sprox_job_states[NGX_HTTP_SPROX_JOB_STATES] = {
    ngx_string("queued"),
    ngx_string("running"),
    ngx_string("done"),
    ngx_string("failed"),
    ngx_string("canceled")
};


ngx_http_sprox_job_table_t  *ngx_http_sprox_jobs;


ngx_int_t
ngx_http_sprox_job_init(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    size_t                       size;
    ngx_shm_zone_t              *shm_zone;
    ngx_http_sprox_job_table_t  *table;

    static ngx_str_t  name = ngx_string("sprox_jobs");

    table = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_job_table_t));
    if (table == NULL) {
        return NGX_ERROR;
    }

    table->mcf = mcf;

    /* the slab's own pages take less than an eighth */

    size = ngx_align(sizeof(ngx_http_sprox_job_sh_t) / 8 * 9
                     + 8 * ngx_pagesize, ngx_pagesize);

    shm_zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_sprox_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone->init = ngx_http_sprox_job_zone;
    shm_zone->data = table;

    mcf->job_zone = shm_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_job_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_sprox_job_table_t  *old = data;

    ngx_uint_t                   i;
    ngx_http_sprox_job_sh_t     *sh;
    ngx_http_sprox_job_table_t  *table;

    table = shm_zone->data;

    if (old) {
        table->sh = old->sh;
        table->shpool = old->shpool;
        return NGX_OK;
    }

    table->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        table->sh = table->shpool->data;
        return NGX_OK;
    }

    sh = ngx_slab_alloc(table->shpool, sizeof(ngx_http_sprox_job_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    /* pages of slots that were never used are not touched but for this */

    sh->id = 0;
    sh->generation = 0;
    sh->born = ngx_http_sprox_now();

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        sh->slots[i].info.id = 0;
    }

    table->sh = sh;
    table->shpool->data = sh;

    return NGX_OK;
}


void
ngx_http_sprox_job_inherit(void)
{
    ngx_uint_t                  i;
    ngx_http_sprox_job_slot_t  *slot;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.id
            && slot->info.state == NGX_HTTP_SPROX_JOB_RUNNING
            && (slot->process == ngx_process_slot || slot->pid == ngx_pid))
        {
            ngx_http_sprox_job_queue_locked(slot, 0);
        }
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);
}


ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_take(ngx_uint_t (*runs)(ngx_http_sprox_job_kind_e group))
{
    int64_t                           now;
    ngx_uint_t                        i;
    ngx_http_sprox_job_info_t        *info;
    ngx_http_sprox_job_slot_t        *slot, *first;
    const ngx_http_sprox_job_kind_t  *kind;

    now = ngx_http_sprox_now();
    first = NULL;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];
        info = &slot->info;

        if (!ngx_http_sprox_job_live(slot)) {
            continue;
        }

        if (info->state == NGX_HTTP_SPROX_JOB_RUNNING) {

            if (kill(slot->pid, 0) != -1 || ngx_errno != ESRCH) {
                continue;
            }

            ngx_http_sprox_job_queue_locked(slot, 0);
        }

        if (info->state != NGX_HTTP_SPROX_JOB_QUEUED) {
            continue;
        }

        kind = ngx_http_sprox_job_kinds[info->kind];

        if (info->due <= now
            && (first == NULL || info->id < first->info.id)
            && runs(kind->group) < kind->max)
        {
            first = slot;
        }
    }

    if (first != NULL) {
        first->pid = ngx_pid;
        first->process = ngx_process_slot;

        if (first->info.started == 0) {
            first->info.started = now;
        }

        ngx_memory_barrier();

        first->info.state = NGX_HTTP_SPROX_JOB_RUNNING;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return first;
}


void
ngx_http_sprox_job_put_back(ngx_http_sprox_job_slot_t *slot, int64_t due)
{
    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    ngx_http_sprox_job_queue_locked(slot, due);

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);
}


/* Nobody runs it any more. */

static void
ngx_http_sprox_job_queue_locked(ngx_http_sprox_job_slot_t *slot, int64_t due)
{
    if (slot->info.cancel) {
        ngx_http_sprox_job_close_locked(slot, NGX_HTTP_SPROX_JOB_CANCELED, 0);
        return;
    }

    slot->info.due = due;
    slot->info.state = NGX_HTTP_SPROX_JOB_QUEUED;
}


void
ngx_http_sprox_job_note(ngx_http_sprox_job_slot_t *slot, sprox_str_t text)
{
    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    slot->info.errors++;
    ngx_http_sprox_job_set(slot->info.error, &slot->info.error_len,
                           NGX_HTTP_SPROX_JOB_ERROR_MAX, text);

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);
}


ngx_uint_t
ngx_http_sprox_job_close(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold)
{
    ngx_uint_t                  same;
    ngx_http_sprox_job_info_t  *info, *was;
    ngx_http_sprox_job_slot_t  *last;

    info = &slot->info;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    last = ngx_http_sprox_job_like_locked(info->kind,
                            sprox_str_make(info->origin, info->origin_len),
                            sprox_str_make(info->bucket, info->bucket_len),
                            sprox_str_make(info->prefix, info->prefix_len),
                            slot);

    was = last ? &last->info : NULL;

    same = (was && was->state == state
            && sprox_str_eq(sprox_str_make(was->error, was->error_len),
                            sprox_str_make(info->error, info->error_len)));

    ngx_http_sprox_job_close_locked(slot, state, hold);

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return same;
}


static void
ngx_http_sprox_job_close_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold)
{
    if (hold == 0) {
        hold = state == NGX_HTTP_SPROX_JOB_CANCELED ? NGX_HTTP_SPROX_JOB_REST
                                                    : NGX_HTTP_SPROX_JOB_HOLD;
    }

    slot->info.ended = ngx_http_sprox_now();
    slot->info.due = slot->info.ended + hold;

    ngx_memory_barrier();

    slot->info.state = state;
}


ngx_int_t
ngx_http_sprox_job_add(ngx_http_sprox_job_spec_t *spec, ngx_uint_t by_itself,
    ngx_http_sprox_job_info_t *info)
{
    ngx_int_t                   rc;
    ngx_http_sprox_job_slot_t  *slot, *last;

    if (ngx_http_sprox_jobs == NULL
        || spec->bucket.len > NGX_HTTP_SPROX_JOB_NAME_MAX
        || spec->prefix.len > SPROX_KEY_MAX)
    {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    last = ngx_http_sprox_job_last_locked(spec);
    slot = last;

    if (last != NULL && ngx_http_sprox_job_live(last)) {
        rc = NGX_DECLINED;
        goto done;
    }

    if (last != NULL && by_itself
        && last->info.state != NGX_HTTP_SPROX_JOB_DONE
        && last->info.due > ngx_http_sprox_now())
    {
        rc = NGX_ABORT;
        goto done;
    }

    slot = ngx_http_sprox_job_room_locked();

    if (slot == NULL) {
        rc = NGX_BUSY;
        goto done;
    }

    if (last != NULL && ngx_http_sprox_job_kinds[spec->kind]->often
        && last->info.state == NGX_HTTP_SPROX_JOB_DONE)
    {
        slot = last;
    }

    slot->info.id = 0;
    ngx_http_sprox_job_fill_locked(slot, spec, last);

    ngx_memory_barrier();

    slot->info.id = ++ngx_http_sprox_jobs->sh->id;
    rc = NGX_OK;

done:

    if (info != NULL && slot != NULL) {
        *info = slot->info;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    if (rc == NGX_OK) {
        ngx_http_sprox_job_wake();
    }

    return rc;
}


static void
ngx_http_sprox_job_fill_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_spec_t *spec, ngx_http_sprox_job_slot_t *last)
{
    sprox_str_t                 alias;
    ngx_http_sprox_job_info_t  *info;

    alias = spec->alias ? ngx_http_sprox_to_core(spec->alias->pattern)
                        : sprox_str_null;

    info = &slot->info;

    info->kind = spec->kind;
    info->state = NGX_HTTP_SPROX_JOB_QUEUED;
    info->created = ngx_http_sprox_now();
    info->started = 0;
    info->ended = 0;
    info->due = 0;
    info->done = 0;
    info->total = 0;
    info->errors = 0;
    info->cancel = 0;
    slot->tries = 0;

    ngx_http_sprox_job_set(info->alias, &info->alias_len,
                           sizeof(info->alias), alias);
    ngx_http_sprox_job_set(info->origin, &info->origin_len,
                           sizeof(info->origin),
                           ngx_http_sprox_to_core(spec->origin->name));
    ngx_http_sprox_job_set(info->bucket, &info->bucket_len,
                           sizeof(info->bucket), spec->bucket);
    ngx_http_sprox_job_set(info->prefix, &info->prefix_len,
                           sizeof(info->prefix), spec->prefix);
    ngx_http_sprox_job_set(info->error, &info->error_len,
                           sizeof(info->error), sprox_str_null);

    /* what one that failed had reached; the slot may be its own */

    if (last == NULL || last->info.state != NGX_HTTP_SPROX_JOB_FAILED) {
        slot->len = 0;

    } else if (last != slot) {
        info->done = last->info.done;
        slot->crc = last->crc;
        slot->len = last->len;
        ngx_memcpy(slot->cursor, last->cursor, last->len);
    }
}


/* A free slot, or that of the job that ended first; NULL: too many live. */

static ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_room_locked(void)
{
    ngx_uint_t                  i, live;
    ngx_http_sprox_job_slot_t  *slot, *room;

    live = 0;
    room = NULL;

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.id == 0) {

            if (room == NULL || room->info.id) {
                room = slot;
            }

        } else if (ngx_http_sprox_job_live(slot)) {
            live++;

        } else if (room == NULL
                   || (room->info.id && slot->info.ended < room->info.ended))
        {
            room = slot;
        }
    }

    return live < NGX_HTTP_SPROX_JOBS_LIVE ? room : NULL;
}


static ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_last_locked(ngx_http_sprox_job_spec_t *spec)
{
    return ngx_http_sprox_job_like_locked(spec->kind,
                                   ngx_http_sprox_to_core(spec->origin->name),
                                   spec->bucket, spec->prefix, NULL);
}


/* The latest about the same, whatever its state, but for one. */

static ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_like_locked(ngx_http_sprox_job_kind_e kind,
    sprox_str_t origin, sprox_str_t bucket, sprox_str_t prefix,
    ngx_http_sprox_job_slot_t *but)
{
    ngx_uint_t                  i;
    ngx_http_sprox_job_info_t  *info;
    ngx_http_sprox_job_slot_t  *slot, *last;
    ngx_http_sprox_job_kind_e   group;

    last = NULL;
    group = ngx_http_sprox_job_kinds[kind]->group;

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];
        info = &slot->info;

        if (info->id && slot != but
            && (last == NULL || info->id > last->info.id)
            && ngx_http_sprox_job_kinds[info->kind]->group == group
            && sprox_str_eq(sprox_str_make(info->origin, info->origin_len),
                            origin)
            && sprox_str_eq(sprox_str_make(info->bucket, info->bucket_len),
                            bucket)
            && sprox_str_eq(sprox_str_make(info->prefix, info->prefix_len),
                            prefix))
        {
            last = slot;
        }
    }

    return last;
}


static ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_find_locked(uint64_t id)
{
    ngx_uint_t                  i;
    ngx_http_sprox_job_slot_t  *slot;

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.id && slot->info.id == id) {
            return slot;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_sprox_job_live(ngx_http_sprox_job_slot_t *slot)
{
    return slot->info.id
           && (slot->info.state == NGX_HTTP_SPROX_JOB_QUEUED
               || slot->info.state == NGX_HTTP_SPROX_JOB_RUNNING);
}


static void
ngx_http_sprox_job_set(u_char *to, size_t *len, size_t max, sprox_str_t s)
{
    s.len = ngx_min(s.len, max);

    if (s.len) {
        ngx_memcpy(to, s.data, s.len);
    }

    *len = s.len;
}


ngx_int_t
ngx_http_sprox_job_last(ngx_http_sprox_job_spec_t *spec,
    ngx_http_sprox_job_info_t *info)
{
    ngx_http_sprox_job_slot_t  *slot;

    if (ngx_http_sprox_jobs == NULL) {
        return NGX_DECLINED;
    }

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    slot = ngx_http_sprox_job_last_locked(spec);

    if (slot != NULL) {
        *info = slot->info;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return slot != NULL ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_sprox_job_get(uint64_t id, ngx_http_sprox_job_info_t *info)
{
    ngx_http_sprox_job_slot_t  *slot;

    if (ngx_http_sprox_jobs == NULL) {
        return NGX_DECLINED;
    }

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    slot = ngx_http_sprox_job_find_locked(id);

    if (slot != NULL) {
        *info = slot->info;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return slot != NULL ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_sprox_job_next(uint64_t id, ngx_http_sprox_job_info_t *info)
{
    ngx_uint_t                  i;
    ngx_http_sprox_job_slot_t  *slot, *next;

    if (ngx_http_sprox_jobs == NULL) {
        return NGX_DECLINED;
    }

    next = NULL;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.id > id
            && (next == NULL || slot->info.id < next->info.id))
        {
            next = slot;
        }
    }

    if (next != NULL) {
        *info = next->info;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return next != NULL ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_sprox_job_cancel(uint64_t id, ngx_http_sprox_job_info_t *info)
{
    ngx_int_t                   rc;
    ngx_http_sprox_job_slot_t  *slot;

    if (ngx_http_sprox_jobs == NULL) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    slot = ngx_http_sprox_job_find_locked(id);

    if (slot != NULL) {
        rc = NGX_DONE;

        if (ngx_http_sprox_job_live(slot)) {
            rc = NGX_OK;
            slot->info.cancel = 1;

            if (slot->info.state == NGX_HTTP_SPROX_JOB_QUEUED) {
                ngx_http_sprox_job_queue_locked(slot, 0);
            }
        }

        *info = slot->info;
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    if (rc == NGX_OK) {
        ngx_http_sprox_job_wake();
    }

    return rc;
}


ngx_uint_t
ngx_http_sprox_job_count(ngx_http_sprox_job_kind_e kind,
    ngx_http_sprox_job_state_e state)
{
    ngx_uint_t                  i, n;
    ngx_http_sprox_job_slot_t  *slot;

    if (ngx_http_sprox_jobs == NULL) {
        return 0;
    }

    n = 0;

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        n += (slot->info.id && slot->info.kind == kind
              && slot->info.state == state);
    }

    return n;
}


ngx_str_t
ngx_http_sprox_job_kind_name(ngx_http_sprox_job_kind_e kind)
{
    return ngx_http_sprox_job_kinds[kind]->name;
}


ngx_str_t
ngx_http_sprox_job_state_name(ngx_http_sprox_job_state_e state)
{
    return ngx_http_sprox_job_states[state];
}
