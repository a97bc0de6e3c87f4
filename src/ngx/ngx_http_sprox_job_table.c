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

/* And one that, it seems, killed its workers. */
#define NGX_HTTP_SPROX_JOB_DEADLY    600000


static ngx_int_t ngx_http_sprox_job_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_sprox_job_orphan_locked(
    ngx_http_sprox_job_slot_t *slot);
static void ngx_http_sprox_job_note_locked(ngx_http_sprox_job_slot_t *slot,
    sprox_str_t text);
static void ngx_http_sprox_job_close_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold);
static ngx_uint_t ngx_http_sprox_job_same_locked(
    ngx_http_sprox_job_slot_t *slot, ngx_http_sprox_job_state_e state);


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


ngx_int_t
ngx_http_sprox_job_inherit(ngx_uint_t born, ngx_http_sprox_job_info_t *info,
    ngx_uint_t *same)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_http_sprox_job_slot_t  *slot;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.id == 0
            || slot->info.state != NGX_HTTP_SPROX_JOB_RUNNING)
        {
            continue;
        }

        if (!(born && (slot->process == ngx_process_slot
                       || slot->pid == ngx_pid))
            && (kill(slot->pid, 0) != -1 || ngx_errno != ESRCH))
        {
            continue;
        }

        if (ngx_http_sprox_job_orphan_locked(slot)) {
            *info = slot->info;
            *same = ngx_http_sprox_job_same_locked(slot, slot->info.state);
            rc = NGX_OK;
            break;
        }
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return rc;
}


/*
 * The worker that ran it died.  One may be killed, or die of something else;
 * whether it was the job is seen when it happens again at the same place.
 */

static ngx_uint_t
ngx_http_sprox_job_orphan_locked(ngx_http_sprox_job_slot_t *slot)
{
    u_char  *p;
    u_char   text[NGX_HTTP_SPROX_JOB_ERROR_MAX];

    if (slot->info.cancel
        || ++slot->deaths < NGX_HTTP_SPROX_JOB_DEATHS)
    {
        ngx_http_sprox_job_queue_locked(slot, 0);
        return 0;
    }

    p = ngx_snprintf(text, sizeof(text), "%d workers in a row died that ran "
                     "it, none of which got any further",
                     NGX_HTTP_SPROX_JOB_DEATHS);

    ngx_http_sprox_job_note_locked(slot, sprox_str_make(text, p - text));
    ngx_http_sprox_job_close_locked(slot, NGX_HTTP_SPROX_JOB_FAILED,
                                    NGX_HTTP_SPROX_JOB_DEADLY);
    return 1;
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

        if (info->id == 0 || info->state != NGX_HTTP_SPROX_JOB_QUEUED) {
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

void
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

    ngx_http_sprox_job_note_locked(slot, text);

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);
}


static void
ngx_http_sprox_job_note_locked(ngx_http_sprox_job_slot_t *slot,
    sprox_str_t text)
{
    slot->info.errors++;
    ngx_http_sprox_job_set(slot->info.error, &slot->info.error_len,
                           NGX_HTTP_SPROX_JOB_ERROR_MAX, text);
}


ngx_uint_t
ngx_http_sprox_job_close(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold)
{
    ngx_uint_t  same;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    same = ngx_http_sprox_job_same_locked(slot, state);
    ngx_http_sprox_job_close_locked(slot, state, hold);

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);

    return same;
}


/* Whether the last one about the same ended alike, with the same text. */

static ngx_uint_t
ngx_http_sprox_job_same_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state)
{
    ngx_http_sprox_job_info_t  *info, *was;
    ngx_http_sprox_job_slot_t  *last;

    info = &slot->info;

    last = ngx_http_sprox_job_like_locked(info->kind,
                            sprox_str_make(info->origin, info->origin_len),
                            sprox_str_make(info->bucket, info->bucket_len),
                            sprox_str_make(info->prefix, info->prefix_len),
                            slot);

    was = last ? &last->info : NULL;

    return was && was->state == state
           && sprox_str_eq(sprox_str_make(was->error, was->error_len),
                           sprox_str_make(info->error, info->error_len));
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


ngx_uint_t
ngx_http_sprox_job_live(ngx_http_sprox_job_slot_t *slot)
{
    return slot->info.id
           && (slot->info.state == NGX_HTTP_SPROX_JOB_QUEUED
               || slot->info.state == NGX_HTTP_SPROX_JOB_RUNNING);
}


void
ngx_http_sprox_job_set(u_char *to, size_t *len, size_t max, sprox_str_t s)
{
    s.len = ngx_min(s.len, max);

    if (s.len) {
        ngx_memcpy(to, s.data, s.len);
    }

    *len = s.len;
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
