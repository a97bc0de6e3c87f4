/*
 * Jobs, shared by ngx_http_sprox_job.c (the worker that runs them),
 * _job_table.c (where they are kept) and _job_ask.c (what others ask).
 */

#ifndef _NGX_HTTP_SPROX_JOB_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_JOB_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_job.h"


#define NGX_HTTP_SPROX_JOBS          256
#define NGX_HTTP_SPROX_JOBS_LIVE     128     /* queued or running */


/* Only who runs a job changes its slot, but for `cancel`. */

struct ngx_http_sprox_job_slot_s {
    ngx_http_sprox_job_info_t         info;
    ngx_pid_t                         pid;        /* running: who runs it */
    ngx_int_t                         process;    /* and its process slot */
    ngx_uint_t                        tries;      /* without progress */
    ngx_uint_t                        deaths;     /* of workers, likewise */
    uint64_t                          most;       /* that it ever had done */
    uint32_t                          crc;
    size_t                            len;
    u_char                            cursor[NGX_HTTP_SPROX_JOB_CURSOR_MAX];
};


/* In shared memory. */

typedef struct {
    uint64_t                          id;         /* the last that was given */
    ngx_uint_t                        generation; /* of the configuration */
    int64_t                           born;       /* ms since 1970 */
    ngx_http_sprox_job_slot_t         slots[NGX_HTTP_SPROX_JOBS];
} ngx_http_sprox_job_sh_t;


/* Of a cycle; the zone's data. */

typedef struct {
    ngx_http_sprox_job_sh_t          *sh;
    ngx_slab_pool_t                  *shpool;
    ngx_http_sprox_main_conf_t       *mcf;
} ngx_http_sprox_job_table_t;


/* By number; in _job_table.c. */
extern const ngx_http_sprox_job_kind_t
    *ngx_http_sprox_job_kinds[NGX_HTTP_SPROX_JOB_KINDS];

/* Of this worker; NULL: there are no jobs. */
extern ngx_http_sprox_job_table_t  *ngx_http_sprox_jobs;


/*
 * What dead workers ran is queued; born: this one begins, and so the process
 * before it in its slot is dead.  NGX_OK: too many have died that ran this
 * one, which has failed (same: as for close()): ask for more; NGX_DECLINED:
 * that was all.
 */
ngx_int_t ngx_http_sprox_job_inherit(ngx_uint_t born,
    ngx_http_sprox_job_info_t *info, ngx_uint_t *same);

/*
 * The next that is due becomes this worker's; NULL: none is.  runs: how many
 * of a group run here.
 */
ngx_http_sprox_job_slot_t *ngx_http_sprox_job_take(
    ngx_uint_t (*runs)(ngx_http_sprox_job_kind_e group));

/* It is queued again, not to be run before `due`. */
void ngx_http_sprox_job_put_back(ngx_http_sprox_job_slot_t *slot,
    int64_t due);

/* Something went wrong: counted, and told to whoever asks. */
void ngx_http_sprox_job_note(ngx_http_sprox_job_slot_t *slot,
    sprox_str_t text);

/*
 * It is over, and does not begin by itself for `hold` ms (0: the default).
 * Returns whether the last one about the same ended alike, with that text.
 */
ngx_uint_t ngx_http_sprox_job_close(ngx_http_sprox_job_slot_t *slot,
    ngx_http_sprox_job_state_e state, ngx_msec_t hold);

/* Queued or running. */
ngx_uint_t ngx_http_sprox_job_live(ngx_http_sprox_job_slot_t *slot);

/* Nobody runs it any more: queued, or what was to be canceled is. */
void ngx_http_sprox_job_queue_locked(ngx_http_sprox_job_slot_t *slot,
    int64_t due);

/* The latest about the same, whatever its state, but for one; or NULL. */
ngx_http_sprox_job_slot_t *ngx_http_sprox_job_like_locked(
    ngx_http_sprox_job_kind_e kind, sprox_str_t origin, sprox_str_t bucket,
    sprox_str_t prefix, ngx_http_sprox_job_slot_t *but);

/* A text of a slot; what is too long is cut. */
void ngx_http_sprox_job_set(u_char *to, size_t *len, size_t max,
    sprox_str_t s);

/* There is something to run. */
void ngx_http_sprox_job_wake(void);


#endif /* _NGX_HTTP_SPROX_JOB_PRIVATE_H_INCLUDED_ */
