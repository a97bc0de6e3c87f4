/*
 * Jobs in the worker that runs them.
 *
 * Each worker looks at the table once a second: it takes over what the dead
 * ran, and begins what is due.  Workers of an older configuration begin
 * nothing: jobs are for the aliases of the newest.
 *
 * A worker that is to exit hands its jobs back at once, and what they had
 * under way does not keep it.  nginx tells idle connections that it is to
 * exit: there is one without a socket, for that alone.
 */

#include "ngx_http_sprox_job_private.h"
#include "ngx_http_sprox_ban.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_warm.h"
#include "ngx_http_sprox_zone.h"
#include "sprox_digest.h"


#define NGX_HTTP_SPROX_JOB_LOOK      1000    /* ms */

/* After a run without progress; doubled each time, in ms. */
#define NGX_HTTP_SPROX_JOB_PAUSE     500


static void ngx_http_sprox_job_event(ngx_event_t *ev);
static void ngx_http_sprox_job_more(ngx_event_t *ev);
static void ngx_http_sprox_job_crawls(void);
static void ngx_http_sprox_job_leave(ngx_event_t *ev);
static void ngx_http_sprox_job_canceled(void);
static ngx_uint_t ngx_http_sprox_job_runs(ngx_http_sprox_job_kind_e group);
static void ngx_http_sprox_job_run(ngx_http_sprox_job_slot_t *slot);
static ngx_int_t ngx_http_sprox_job_begin(ngx_http_sprox_job_t *job,
    const char **why);
static ngx_int_t ngx_http_sprox_job_bind(ngx_http_sprox_job_t *job,
    ngx_http_sprox_job_info_t *info);
static void ngx_http_sprox_job_free(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_job_orphans(ngx_uint_t born);
static void ngx_http_sprox_job_log(ngx_http_sprox_job_info_t *info,
    ngx_uint_t level, sprox_str_t what, sprox_str_t text);


/* Of the configuration, counted by the master; forks have what it was. */
static ngx_uint_t   ngx_http_sprox_job_generation;

static ngx_queue_t  ngx_http_sprox_job_running;
static ngx_event_t  ngx_http_sprox_job_timer;
static ngx_event_t  ngx_http_sprox_job_rest;    /* of what may be due */


void
ngx_http_sprox_job_init_module(ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_job_table_t  *table;

    if (mcf->job_zone == NULL) {
        return;
    }

    /* not earlier: until here a configuration may yet be refused */

    table = mcf->job_zone->data;
    table->sh->generation = ++ngx_http_sprox_job_generation;
}


ngx_int_t
ngx_http_sprox_job_start(ngx_cycle_t *cycle, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_connection_t  *c;

    ngx_http_sprox_jobs = NULL;
    ngx_queue_init(&ngx_http_sprox_job_running);

    /* cache manager and loader start here as well */

    if (mcf->job_zone == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    c = ngx_get_connection(0, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->idle = 1;
    c->read->handler = ngx_http_sprox_job_leave;
    c->read->log = cycle->log;
    c->write->log = cycle->log;

    /* as nginx's own channel: it is no leak when the worker exits */

    c->read->channel = 1;
    c->write->channel = 1;

    ngx_http_sprox_crawl_start(mcf);
    ngx_http_sprox_warm_start(mcf);

    ngx_http_sprox_jobs = mcf->job_zone->data;
    ngx_http_sprox_job_orphans(1);

    ngx_http_sprox_job_timer.handler = ngx_http_sprox_job_event;
    ngx_http_sprox_job_timer.data = c;
    ngx_http_sprox_job_timer.log = cycle->log;
    ngx_http_sprox_job_timer.cancelable = 1;

    ngx_http_sprox_job_rest.handler = ngx_http_sprox_job_more;
    ngx_http_sprox_job_rest.data = c;
    ngx_http_sprox_job_rest.log = cycle->log;

    ngx_add_timer(&ngx_http_sprox_job_timer, 1);

    return NGX_OK;
}


int64_t
ngx_http_sprox_job_born(void)
{
    return ngx_http_sprox_jobs ? ngx_http_sprox_jobs->sh->born : 0;
}


void
ngx_http_sprox_job_wake(void)
{
    if (!ngx_exiting) {
        ngx_post_event(&ngx_http_sprox_job_timer, &ngx_posted_events);
    }
}


static void
ngx_http_sprox_job_event(ngx_event_t *ev)
{
    ngx_http_sprox_job_slot_t  *slot;

    if (ngx_exiting) {
        return;
    }

    ngx_http_sprox_job_canceled();
    ngx_http_sprox_job_orphans(0);

    if (ngx_http_sprox_jobs->sh->generation == ngx_http_sprox_job_generation) {

        ngx_http_sprox_zone_tidy(ngx_http_sprox_job_generation);
        ngx_http_sprox_job_crawls();
        ngx_http_sprox_ban_resume(ngx_http_sprox_jobs->mcf);
        ngx_http_sprox_warm_due(ngx_http_sprox_jobs->mcf);

        for ( ;; ) {
            slot = ngx_http_sprox_job_take(ngx_http_sprox_job_runs);

            if (slot == NULL) {
                break;
            }

            ngx_http_sprox_job_run(slot);
        }
    }

    ngx_add_timer(ev, NGX_HTTP_SPROX_JOB_LOOK);
}


/* What is queued here wakes those who run it. */

static void
ngx_http_sprox_job_more(ngx_event_t *ev)
{
    if (!ngx_exiting
        && ngx_http_sprox_jobs->sh->generation
           == ngx_http_sprox_job_generation)
    {
        ngx_http_sprox_job_crawls();
    }
}


static void
ngx_http_sprox_job_crawls(void)
{
    if (ngx_http_sprox_crawl_due(ngx_http_sprox_jobs->mcf) == NGX_AGAIN) {
        ngx_post_event(&ngx_http_sprox_job_rest, &ngx_posted_next_events);
    }
}


/* The worker is to exit: others go on with what it runs. */

static void
ngx_http_sprox_job_leave(ngx_event_t *ev)
{
    ngx_queue_t                *q;
    ngx_connection_t           *c;
    ngx_http_sprox_job_t       *job;
    ngx_http_sprox_job_slot_t  *slot;

    c = ev->data;
    c->idle = 0;

    if (ngx_http_sprox_job_timer.timer_set) {
        ngx_del_timer(&ngx_http_sprox_job_timer);
    }

    while (!ngx_queue_empty(&ngx_http_sprox_job_running)) {
        q = ngx_queue_head(&ngx_http_sprox_job_running);
        job = ngx_queue_data(q, ngx_http_sprox_job_t, queue);
        slot = job->slot;

        ngx_http_sprox_job_free(job);
        ngx_http_sprox_job_put_back(slot, 0);
    }
}


/* Those that run here and were canceled, here or elsewhere. */

static void
ngx_http_sprox_job_canceled(void)
{
    ngx_queue_t           *q, *next;
    ngx_http_sprox_job_t  *job;

    for (q = ngx_queue_head(&ngx_http_sprox_job_running);
         q != ngx_queue_sentinel(&ngx_http_sprox_job_running);
         q = next)
    {
        next = ngx_queue_next(q);
        job = ngx_queue_data(q, ngx_http_sprox_job_t, queue);

        if (job->slot->info.cancel) {
            ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_CANCELED, 0,
                                   "by request");
        }
    }
}


/* What workers ran that have died; what kills them is run no more. */

static void
ngx_http_sprox_job_orphans(ngx_uint_t born)
{
    ngx_uint_t                 same;
    ngx_http_sprox_job_info_t  info;

    while (ngx_http_sprox_job_inherit(born, &info, &same) == NGX_OK) {
        ngx_http_sprox_job_log(&info, same ? NGX_LOG_NOTICE : NGX_LOG_ERR,
                               sprox_str_lit("failed"),
                               sprox_str_make(info.error, info.error_len));
    }
}


/* How many of a group run here. */

static ngx_uint_t
ngx_http_sprox_job_runs(ngx_http_sprox_job_kind_e group)
{
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_http_sprox_job_t  *job;

    n = 0;

    for (q = ngx_queue_head(&ngx_http_sprox_job_running);
         q != ngx_queue_sentinel(&ngx_http_sprox_job_running);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_http_sprox_job_t, queue);
        n += (job->kind->group == group);
    }

    return n;
}


static void
ngx_http_sprox_job_run(ngx_http_sprox_job_slot_t *slot)
{
    ngx_pool_t            *pool;
    const char            *why;
    sprox_str_t            text;
    ngx_http_sprox_job_t  *job;

    why = "there is no memory";

    pool = ngx_create_pool(4096, ngx_cycle->log);
    job = pool ? ngx_pcalloc(pool, sizeof(ngx_http_sprox_job_t)) : NULL;

    if (job != NULL) {
        job->pool = pool;
        job->log = ngx_cycle->log;
        job->slot = slot;

        if (ngx_http_sprox_job_begin(job, &why) == NGX_OK) {
            ngx_queue_insert_tail(&ngx_http_sprox_job_running, &job->queue);
            return;
        }
    }

    if (pool != NULL) {
        ngx_destroy_pool(pool);
    }

    text = sprox_str_make(why, ngx_strlen(why));

    ngx_http_sprox_job_note(slot, text);
    (void) ngx_http_sprox_job_close(slot, NGX_HTTP_SPROX_JOB_FAILED, 0);
    ngx_http_sprox_job_log(&slot->info, NGX_LOG_ERR, sprox_str_lit("failed"),
                           text);
}


static ngx_int_t
ngx_http_sprox_job_begin(ngx_http_sprox_job_t *job, const char **why)
{
    sprox_mem_t                 mem;
    ngx_http_sprox_job_info_t  *info;

    info = &job->slot->info;

    job->id = info->id;
    job->started = info->started;
    job->kind = ngx_http_sprox_job_kinds[info->kind];

    if (ngx_http_sprox_job_bind(job, info) != NGX_OK) {
        *why = "the configuration has no such alias or origin any more";
        return NGX_DECLINED;
    }

    ngx_http_sprox_mem_pool(&mem, job->pool);

    job->bucket = sprox_str_dup(&mem, sprox_str_make(info->bucket,
                                                     info->bucket_len));
    job->prefix = sprox_str_dup(&mem, sprox_str_make(info->prefix,
                                                     info->prefix_len));

    if (job->bucket.data == NULL || job->prefix.data == NULL) {
        return NGX_ERROR;
    }

    return job->kind->run(job);
}


/* To the alias and the origin of this configuration. */

static ngx_int_t
ngx_http_sprox_job_bind(ngx_http_sprox_job_t *job,
    ngx_http_sprox_job_info_t *info)
{
    ngx_uint_t                    i;
    sprox_str_t                   name;
    ngx_http_sprox_alias_t      **alias;
    ngx_http_sprox_origin_t     **origin;
    ngx_http_sprox_main_conf_t   *mcf;

    mcf = ngx_http_sprox_jobs->mcf;

    name = sprox_str_make(info->origin, info->origin_len);
    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(origin[i]->name), name)) {
            job->origin = origin[i];
        }
    }

    if (job->origin == NULL || info->alias_len == 0) {
        return job->origin ? NGX_OK : NGX_DECLINED;
    }

    name = sprox_str_make(info->alias, info->alias_len);
    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (alias[i]->origin == job->origin
            && sprox_str_eq(ngx_http_sprox_to_core(alias[i]->pattern), name))
        {
            job->alias = alias[i];
        }
    }

    return job->alias ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_sprox_job_free(ngx_http_sprox_job_t *job)
{
    job->kind->stop(job);

    ngx_queue_remove(&job->queue);
    ngx_destroy_pool(job->pool);
}


void
ngx_http_sprox_job_save(ngx_http_sprox_job_t *job, uint64_t done,
    uint64_t total, sprox_str_t *cursor)
{
    ngx_http_sprox_job_slot_t  *slot;

    slot = job->slot;

    ngx_shmtx_lock(&ngx_http_sprox_jobs->shpool->mutex);

    if (done > slot->info.done) {
        slot->tries = 0;
    }

    /* one that begins anew is no further before it was there */

    if (done > slot->most) {
        slot->most = done;
        slot->deaths = 0;
    }

    slot->info.done = done;
    slot->info.total = total;

    if (cursor != NULL && cursor->len <= NGX_HTTP_SPROX_JOB_CURSOR_MAX) {
        slot->len = cursor->len;
        slot->crc = sprox_crc32(0, cursor->data, cursor->len);
        ngx_memcpy(slot->cursor, cursor->data, cursor->len);
    }

    ngx_shmtx_unlock(&ngx_http_sprox_jobs->shpool->mutex);
}


sprox_str_t
ngx_http_sprox_job_cursor(ngx_http_sprox_job_t *job, uint64_t *done)
{
    sprox_mem_t                 mem;
    sprox_str_t                 cursor;
    ngx_http_sprox_job_slot_t  *slot;

    slot = job->slot;
    *done = slot->info.done;

    if (slot->len == 0 || slot->len > NGX_HTTP_SPROX_JOB_CURSOR_MAX
        || sprox_crc32(0, slot->cursor, slot->len) != slot->crc)
    {
        return sprox_str_null;
    }

    ngx_http_sprox_mem_pool(&mem, job->pool);
    cursor = sprox_str_dup(&mem, sprox_str_make(slot->cursor, slot->len));

    return cursor.data ? cursor : sprox_str_null;
}


void ngx_cdecl
ngx_http_sprox_job_end(ngx_http_sprox_job_t *job,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold, const char *fmt, ...)
{
    va_list                     args;
    ngx_str_t                   name;
    ngx_uint_t                  same, level;
    sprox_str_t                 text;
    ngx_http_sprox_job_slot_t  *slot;
    u_char                      buf[NGX_HTTP_SPROX_JOB_ERROR_MAX];

    slot = job->slot;

    va_start(args, fmt);
    text.data = buf;
    text.len = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args) - buf;
    va_end(args);

    ngx_http_sprox_job_free(job);

    if (state == NGX_HTTP_SPROX_JOB_FAILED) {
        ngx_http_sprox_job_note(slot, text);
    }

    same = ngx_http_sprox_job_close(slot, state, hold);

    /* what goes wrong again and again is told once */

    level = (state == NGX_HTTP_SPROX_JOB_FAILED && !same) ? NGX_LOG_ERR
                                                          : NGX_LOG_NOTICE;

    name = ngx_http_sprox_job_state_name(state);

    ngx_http_sprox_job_log(&slot->info, level, ngx_http_sprox_to_core(name),
                           text);
    ngx_http_sprox_job_wake();
}


void ngx_cdecl
ngx_http_sprox_job_again(ngx_http_sprox_job_t *job, const char *fmt, ...)
{
    va_list                     args;
    ngx_msec_t                  pause;
    sprox_str_t                 text;
    ngx_http_sprox_job_slot_t  *slot;
    u_char                      buf[NGX_HTTP_SPROX_JOB_ERROR_MAX];

    slot = job->slot;

    va_start(args, fmt);
    text.data = buf;
    text.len = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args) - buf;
    va_end(args);

    if (slot->tries + 1 >= NGX_HTTP_SPROX_JOB_TRIES) {
        ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_FAILED, 0, "%*s",
                               text.len, text.data);
        return;
    }

    pause = (ngx_msec_t) NGX_HTTP_SPROX_JOB_PAUSE << slot->tries++;

    ngx_http_sprox_job_free(job);

    ngx_http_sprox_job_note(slot, text);
    ngx_http_sprox_job_put_back(slot, ngx_http_sprox_now() + pause);

    ngx_http_sprox_job_log(&slot->info, NGX_LOG_WARN,
                           sprox_str_lit("is to be tried again"), text);
}


/* Bytes of names must not forge log lines: they are escaped. */

static void
ngx_http_sprox_job_log(ngx_http_sprox_job_info_t *info, ngx_uint_t level,
    sprox_str_t what, sprox_str_t text)
{
    ngx_str_t    kind;
    sprox_buf_t  name;

    kind = ngx_http_sprox_job_kind_name(info->kind);

    sprox_buf_init(&name, &ngx_http_sprox_mem_heap);

    sprox_uri_encode(&name, sprox_str_make(info->bucket, info->bucket_len),
                     1);
    sprox_buf_char(&name, '/');
    sprox_uri_encode(&name, sprox_str_make(info->prefix, info->prefix_len),
                     1);

    ngx_log_error(level, ngx_cycle->log, 0,
                  "sprox: job %uL, %V of \"%*s\" for alias \"%*s\", %*s: %*s",
                  info->id, &kind, name.len, name.data, info->alias_len,
                  info->alias, what.len, what.data, text.len, text.data);

    sprox_buf_free(&name);
}
