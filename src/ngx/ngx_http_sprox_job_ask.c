/*
 * What others ask of the table of jobs: a new one, what there is, an end.
 *
 * Of the jobs that ended the table keeps the last, as long as there is room.
 * A new one goes on from where one about the same has failed.
 */

#include "ngx_http_sprox_job_private.h"


static void ngx_http_sprox_job_fill_locked(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_spec_t *spec, ngx_http_sprox_job_slot_t *last);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_room_locked(void);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_last_locked(
    ngx_http_sprox_job_spec_t *spec);
static ngx_http_sprox_job_slot_t *ngx_http_sprox_job_find_locked(uint64_t id);


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
    ngx_uint_t                  goes_on;
    sprox_str_t                 alias;
    ngx_http_sprox_job_info_t  *info;

    /* from what one that failed had reached; the slot may be its own */

    goes_on = (last != NULL
               && last->info.state == NGX_HTTP_SPROX_JOB_FAILED);

    alias = spec->alias ? ngx_http_sprox_to_core(spec->alias->pattern)
                        : sprox_str_null;

    info = &slot->info;

    info->kind = spec->kind;
    info->state = NGX_HTTP_SPROX_JOB_QUEUED;
    info->created = ngx_http_sprox_now();
    info->started = 0;
    info->ended = 0;
    info->due = 0;
    info->done = goes_on ? last->info.done : 0;
    info->total = 0;
    info->errors = 0;
    info->cancel = 0;
    slot->tries = 0;
    slot->deaths = 0;
    slot->most = info->done;

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

    if (!goes_on) {
        slot->len = 0;

    } else if (last != slot) {
        slot->crc = last->crc;
        slot->len = last->len;
        ngx_memcpy(slot->cursor, last->cursor, last->len);
    }
}


/*
 * A free slot, or, of the kind of which most have ended, that of the one that
 * ended first: so a kind that is done often leaves the others theirs.  NULL:
 * too many live.
 */

static ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_room_locked(void)
{
    ngx_uint_t                  i, live, ended[NGX_HTTP_SPROX_JOB_KINDS];
    ngx_http_sprox_job_slot_t  *slot, *empty, *room;
    ngx_http_sprox_job_kind_e   kind;

    ngx_memzero(ended, sizeof(ended));

    live = 0;
    empty = NULL;
    room = NULL;

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.id == 0) {
            empty = empty ? empty : slot;

        } else if (ngx_http_sprox_job_live(slot)) {
            live++;

        } else {
            ended[slot->info.kind]++;
        }
    }

    if (live >= NGX_HTTP_SPROX_JOBS_LIVE || empty != NULL) {
        return live < NGX_HTTP_SPROX_JOBS_LIVE ? empty : NULL;
    }

    kind = 0;

    for (i = 0; i < NGX_HTTP_SPROX_JOB_KINDS; i++) {
        kind = ended[i] > ended[kind] ? i : kind;
    }

    for (i = 0; i < NGX_HTTP_SPROX_JOBS; i++) {
        slot = &ngx_http_sprox_jobs->sh->slots[i];

        if (slot->info.kind == kind && !ngx_http_sprox_job_live(slot)
            && (room == NULL || slot->info.ended < room->info.ended))
        {
            room = slot;
        }
    }

    return room;
}


static ngx_http_sprox_job_slot_t *
ngx_http_sprox_job_last_locked(ngx_http_sprox_job_spec_t *spec)
{
    return ngx_http_sprox_job_like_locked(spec->kind,
                                   ngx_http_sprox_to_core(spec->origin->name),
                                   spec->bucket, spec->prefix, NULL);
}


/* The latest about the same, whatever its state, but for one. */

ngx_http_sprox_job_slot_t *
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
