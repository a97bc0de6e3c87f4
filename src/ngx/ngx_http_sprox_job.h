/*
 * Jobs: long work with progress.  A table in shared memory, of what is
 * queued, what runs, and what ended lately.  One worker runs a job; when it
 * dies or is to exit, another goes on from where the job was saved.
 *
 *             a worker takes it            end()
 *   queued -------------------> running ---------> done, failed, canceled
 *     ^                            |
 *     +----------------------------+
 *        again(), the worker exits, or died
 *
 * A job whose workers die one after the other, at the same place, fails: it
 * may be what kills them.
 *
 * A kind of job is a row of a table: its name, how it runs, how it stops.
 * Whatever a kind wants to find again after that it saves as a cursor.
 */

#ifndef _NGX_HTTP_SPROX_JOB_H_INCLUDED_
#define _NGX_HTTP_SPROX_JOB_H_INCLUDED_


#include "ngx_http_sprox.h"


#define NGX_HTTP_SPROX_JOB_CURSOR_MAX  (12 * 1024)
#define NGX_HTTP_SPROX_JOB_NAME_MAX    255      /* of an origin or bucket */
#define NGX_HTTP_SPROX_JOB_ERROR_MAX   255

/* Runs in a row without progress: the last ends the job. */
#define NGX_HTTP_SPROX_JOB_TRIES       4

/* Workers that died in a row, without progress: the last ends the job. */
#define NGX_HTTP_SPROX_JOB_DEATHS      3


typedef struct ngx_http_sprox_job_s       ngx_http_sprox_job_t;
typedef struct ngx_http_sprox_job_slot_s  ngx_http_sprox_job_slot_t;


typedef enum {
    NGX_HTTP_SPROX_JOB_CRAWL = 0,
    NGX_HTTP_SPROX_JOB_RELOAD,
    NGX_HTTP_SPROX_JOB_PURGE,
    NGX_HTTP_SPROX_JOB_WARM,
    NGX_HTTP_SPROX_JOB_KINDS
} ngx_http_sprox_job_kind_e;


typedef enum {
    NGX_HTTP_SPROX_JOB_QUEUED = 0,
    NGX_HTTP_SPROX_JOB_RUNNING,
    NGX_HTTP_SPROX_JOB_DONE,
    NGX_HTTP_SPROX_JOB_FAILED,
    NGX_HTTP_SPROX_JOB_CANCELED,
    NGX_HTTP_SPROX_JOB_STATES
} ngx_http_sprox_job_state_e;


/*
 * run: begins, or goes on from the cursor; returns at once.  NGX_OK: it will
 * call end() or again() from the event loop, not from within run().
 * NGX_ERROR: it could not begin (memory), and holds nothing.
 *
 * stop: lets go of everything, at once: fetches, timers, memory outside of
 * job->pool.  Called once for each run() that was NGX_OK, however it ends.
 *
 * Kinds of one group have the same work: of those with the same origin,
 * bucket and prefix no two are queued or run at a time.
 */

typedef struct {
    ngx_str_t                     name;
    ngx_http_sprox_job_kind_e     group;
    ngx_uint_t                    max;       /* that run in one worker */
    ngx_int_t                   (*run)(ngx_http_sprox_job_t *job);
    void                        (*stop)(ngx_http_sprox_job_t *job);
    unsigned                      often:1;   /* of those that were done the
                                                last is kept alone */
} ngx_http_sprox_job_kind_t;


/* What is to be done.  The strings are the caller's. */

typedef struct {
    ngx_http_sprox_job_kind_e     kind;
    ngx_http_sprox_alias_t       *alias;     /* NULL: of none */
    ngx_http_sprox_origin_t      *origin;
    sprox_str_t                   bucket;
    sprox_str_t                   prefix;
} ngx_http_sprox_job_spec_t;


/* What can be told of a job: a copy.  Times: ms since 1970; 0: not yet. */

typedef struct {
    uint64_t                      id;        /* 0: there is none */
    ngx_http_sprox_job_kind_e     kind;
    ngx_http_sprox_job_state_e    state;
    int64_t                       created;
    int64_t                       started;   /* at first */
    int64_t                       ended;
    int64_t                       due;       /* queued: not before; failed or
                                                canceled: not by itself */
    uint64_t                      done;
    uint64_t                      total;     /* 0: not known */
    uint64_t                      errors;
    unsigned                      cancel:1;  /* is to be canceled */
    size_t                        alias_len;
    size_t                        origin_len;
    size_t                        bucket_len;
    size_t                        prefix_len;
    size_t                        error_len;
    u_char                        alias[SPROX_ALIAS_TEXT_MAX];
    u_char                        origin[NGX_HTTP_SPROX_JOB_NAME_MAX];
    u_char                        bucket[NGX_HTTP_SPROX_JOB_NAME_MAX];
    u_char                        prefix[SPROX_KEY_MAX];
    u_char                        error[NGX_HTTP_SPROX_JOB_ERROR_MAX];
} ngx_http_sprox_job_info_t;


/* A job that runs in this worker. */

struct ngx_http_sprox_job_s {
    ngx_queue_t                        queue;
    const ngx_http_sprox_job_kind_t   *kind;
    uint64_t                           id;
    ngx_http_sprox_alias_t            *alias;    /* NULL: of none */
    ngx_http_sprox_origin_t           *origin;
    sprox_str_t                        bucket;   /* in pool, as the rest */
    sprox_str_t                        prefix;
    int64_t                            started;
    ngx_pool_t                        *pool;
    ngx_log_t                         *log;
    void                              *data;     /* the kind's */
    ngx_http_sprox_job_slot_t         *slot;     /* private */
};


/* Configuration: the zone.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_job_init(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);

/* The master, before it forks: the configuration is the newest. */
void ngx_http_sprox_job_init_module(ngx_http_sprox_main_conf_t *mcf);

/* A worker begins: it runs jobs from now on.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_job_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

/* When this nginx started: ms since 1970. */
int64_t ngx_http_sprox_job_born(void);


/*
 * Queues a job.  *info (may be NULL): it, or the one that is there already.
 * NGX_OK; NGX_DECLINED: the same is queued or runs; NGX_BUSY: too many jobs;
 * NGX_ABORT: with by_itself, because the last one of its group failed or was
 * canceled a short time ago (until info->due); NGX_ERROR: no table, or a
 * name that is too long.
 */
ngx_int_t ngx_http_sprox_job_add(ngx_http_sprox_job_spec_t *spec,
    ngx_uint_t by_itself, ngx_http_sprox_job_info_t *info);

/* The latest of that group, whatever its state.  NGX_OK or NGX_DECLINED. */
ngx_int_t ngx_http_sprox_job_last(ngx_http_sprox_job_spec_t *spec,
    ngx_http_sprox_job_info_t *info);

/* The job of that id; of the least id above.  NGX_OK or NGX_DECLINED. */
ngx_int_t ngx_http_sprox_job_get(uint64_t id,
    ngx_http_sprox_job_info_t *info);
ngx_int_t ngx_http_sprox_job_next(uint64_t id,
    ngx_http_sprox_job_info_t *info);

/*
 * Cancels: at once, or, when another worker runs it, within a second.
 * NGX_OK, NGX_DECLINED (there is none) or NGX_DONE (it ended before).
 */
ngx_int_t ngx_http_sprox_job_cancel(uint64_t id,
    ngx_http_sprox_job_info_t *info);

/* How many there are. */
ngx_uint_t ngx_http_sprox_job_count(ngx_http_sprox_job_kind_e kind,
    ngx_http_sprox_job_state_e state);

ngx_str_t ngx_http_sprox_job_kind_name(ngx_http_sprox_job_kind_e kind);
ngx_str_t ngx_http_sprox_job_state_name(ngx_http_sprox_job_state_e state);


/*
 * For kinds: what they call from the event loop while they run.
 */

/*
 * How far it is; total 0: not known.  cursor: what a later run goes on from,
 * of at most NGX_HTTP_SPROX_JOB_CURSOR_MAX bytes; NULL: the old one stays.
 */
void ngx_http_sprox_job_save(ngx_http_sprox_job_t *job, uint64_t done,
    uint64_t total, sprox_str_t *cursor);

/*
 * The cursor, in job->pool; empty: from the beginning.  It may be that of a
 * job before this one, which failed.  *done: how far that was.
 */
sprox_str_t ngx_http_sprox_job_cursor(ngx_http_sprox_job_t *job,
    uint64_t *done);

/*
 * end() and again() stop the job and free it: the last that a run says.
 *
 * end: hold: how long it does not begin by itself again when it failed, in
 * ms; 0: a minute.  The text is for the log and, of one that failed, for
 * whoever asks what is wrong.
 *
 * again: something went wrong: it is run again after a while, which grows
 * with the number of such runs without progress; the last of them fails.
 */
void ngx_cdecl ngx_http_sprox_job_end(ngx_http_sprox_job_t *job,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold, const char *fmt, ...);
void ngx_cdecl ngx_http_sprox_job_again(ngx_http_sprox_job_t *job,
    const char *fmt, ...);


#endif /* _NGX_HTTP_SPROX_JOB_H_INCLUDED_ */
