
/*
 * The content handler of sprox_metrics: the numbers, as text.
 */

#include "ngx_http_sprox_metrics_private.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_flight.h"
#include "ngx_http_sprox_persist.h"
#include "ngx_http_sprox_zone.h"


static void ngx_http_sprox_metrics_write(sprox_buf_t *out);
static void ngx_http_sprox_metrics_requests(sprox_buf_t *out,
    sprox_metric_t metric, ngx_http_sprox_row_kind_e kind);
static void ngx_http_sprox_metrics_simple(sprox_buf_t *out,
    sprox_metric_t metric, ngx_http_sprox_row_kind_e kind,
    ngx_http_sprox_row_n_e n, const char *source);
static void ngx_http_sprox_metrics_open(sprox_buf_t *out);
static void ngx_http_sprox_metrics_file(sprox_buf_t *out);
static void ngx_http_sprox_metrics_state(sprox_buf_t *out,
    sprox_metric_t metric, ngx_atomic_t *value);
static void ngx_http_sprox_metrics_events(sprox_buf_t *out);
static uint64_t ngx_http_sprox_metrics_fills(void);
static void ngx_http_sprox_metrics_jobs(sprox_buf_t *out);
static void ngx_http_sprox_metrics_complete(sprox_buf_t *out);


ngx_int_t
ngx_http_sprox_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;
    sprox_buf_t   text;
    sprox_mem_t   mem;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_sprox_mem_pool(&mem, r->pool);
    sprox_buf_init(&text, &mem);

    ngx_http_sprox_metrics_write(&text);

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || sprox_buf_rc(&text) != SPROX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = text.len;

    ngx_str_set(&r->headers_out.content_type, "text/plain; version=0.0.4");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = text.data;
    b->last = text.data + text.len;
    b->memory = (text.len != 0);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_sprox_metrics_write(sprox_buf_t *out)
{
    sprox_catalog_stats_t  stats;

    if (ngx_http_sprox_metrics == NULL) {
        return;
    }

    ngx_http_sprox_zone_stats(&stats);

    ngx_http_sprox_metrics_requests(out, SPROX_METRIC_REQUESTS,
                                    NGX_HTTP_SPROX_ROW_ALIAS);

    sprox_metric_head(out, SPROX_METRIC_BYTES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_BYTES,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_HIT, "hit");
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_BYTES,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_FILL, "fill");

    sprox_metric_head(out, SPROX_METRIC_STALE);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_STALE,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_STALE, NULL);

    ngx_http_sprox_metrics_requests(out, SPROX_METRIC_ORIGIN_REQUESTS,
                                    NGX_HTTP_SPROX_ROW_ORIGIN);

    sprox_metric_head(out, SPROX_METRIC_ORIGIN_BYTES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_ORIGIN_BYTES,
                                  NGX_HTTP_SPROX_ROW_ORIGIN,
                                  NGX_HTTP_SPROX_N_RECEIVED, NULL);

    sprox_metric_head(out, SPROX_METRIC_ORIGIN_RETRIES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_ORIGIN_RETRIES,
                                  NGX_HTTP_SPROX_ROW_ORIGIN,
                                  NGX_HTTP_SPROX_N_RETRIES, NULL);

    ngx_http_sprox_metrics_open(out);

    sprox_metric_head(out, SPROX_METRIC_CATALOG_OBJECTS);
    sprox_metric_sample(out, SPROX_METRIC_CATALOG_OBJECTS, NULL,
                        stats.objects);

    sprox_metric_head(out, SPROX_METRIC_CATALOG_BYTES);
    sprox_metric_sample(out, SPROX_METRIC_CATALOG_BYTES, NULL,
                        stats.bytes_used);

    sprox_metric_head(out, SPROX_METRIC_CATALOG_EVICTED);
    sprox_metric_sample(out, SPROX_METRIC_CATALOG_EVICTED, NULL,
                        stats.evicted);

    ngx_http_sprox_metrics_file(out);

    sprox_metric_head(out, SPROX_METRIC_FILLS_IN_FLIGHT);
    sprox_metric_sample(out, SPROX_METRIC_FILLS_IN_FLIGHT, NULL,
                        ngx_http_sprox_metrics_fills());

    sprox_metric_head(out, SPROX_METRIC_CLAIMS_IN_FLIGHT);
    sprox_metric_sample(out, SPROX_METRIC_CLAIMS_IN_FLIGHT, NULL,
                        ngx_http_sprox_flight_claims());

    sprox_metric_head(out, SPROX_METRIC_PURGED_SLICES);
    sprox_metric_sample(out, SPROX_METRIC_PURGED_SLICES, NULL,
                        ngx_http_sprox_metrics->sh->purged);

    ngx_http_sprox_metrics_events(out);

    sprox_metric_head(out, SPROX_METRIC_QUEUE_MESSAGES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_QUEUE_MESSAGES,
                                  NGX_HTTP_SPROX_ROW_ORIGIN,
                                  NGX_HTTP_SPROX_N_MESSAGES, "received");
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_QUEUE_MESSAGES,
                                  NGX_HTTP_SPROX_ROW_ORIGIN,
                                  NGX_HTTP_SPROX_N_DELETED, "deleted");
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_QUEUE_MESSAGES,
                                  NGX_HTTP_SPROX_ROW_ORIGIN,
                                  NGX_HTTP_SPROX_N_LEFT, "left");

    sprox_metric_head(out, SPROX_METRIC_TIER_BYTES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_TIER_BYTES,
                                  NGX_HTTP_SPROX_ROW_TIER,
                                  NGX_HTTP_SPROX_N_HIT, NULL);

    sprox_metric_head(out, SPROX_METRIC_TIER_PROMOTIONS);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_TIER_PROMOTIONS,
                                  NGX_HTTP_SPROX_ROW_TIER,
                                  NGX_HTTP_SPROX_N_PROMOTED, "done");
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_TIER_PROMOTIONS,
                                  NGX_HTTP_SPROX_ROW_TIER,
                                  NGX_HTTP_SPROX_N_UNPROMOTED, "failed");

    ngx_http_sprox_metrics_jobs(out);

    sprox_metric_head(out, SPROX_METRIC_CRAWL_PAGES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_CRAWL_PAGES,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_PAGES, NULL);

    sprox_metric_head(out, SPROX_METRIC_CRAWL_OBJECTS);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_CRAWL_OBJECTS,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_OBJECTS, NULL);

    sprox_metric_head(out, SPROX_METRIC_WARM_SLICES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_WARM_SLICES,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_WARMED, NULL);

    sprox_metric_head(out, SPROX_METRIC_WARM_BYTES);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_WARM_BYTES,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_WARM_BYTES, NULL);

    sprox_metric_head(out, SPROX_METRIC_WARM_DROPPED);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_WARM_DROPPED,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_UNWARMED, NULL);

    ngx_http_sprox_metrics_complete(out);

    sprox_metric_head(out, SPROX_METRIC_CATALOG_LISTINGS);
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_CATALOG_LISTINGS,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_FROM_CATALOG, "catalog");
    ngx_http_sprox_metrics_simple(out, SPROX_METRIC_CATALOG_LISTINGS,
                                  NGX_HTTP_SPROX_ROW_ALIAS,
                                  NGX_HTTP_SPROX_N_FROM_ORIGIN, "origin");
}


static void
ngx_http_sprox_metrics_requests(sprox_buf_t *out, sprox_metric_t metric,
    ngx_http_sprox_row_kind_e kind)
{
    u_char                 status[NGX_INT_T_LEN];
    uint64_t               n;
    ngx_uint_t             op, i;
    sprox_str_t            labels[3];
    ngx_http_sprox_row_t  *row;

    sprox_metric_head(out, metric);

    for (row = ngx_http_sprox_metrics->sh->rows; row; row = row->next) {

        if (row->kind != kind) {
            continue;
        }

        labels[0] = sprox_str_make(row->name, row->len);

        for (op = 0; op < SPROX_OP_MAX; op++) {

            labels[1] = sprox_op_name(op);

            for (i = 0; i < NGX_HTTP_SPROX_STATUSES; i++) {

                n = row->counts.requests[op][i];

                if (n == 0) {
                    continue;
                }

                if (i == NGX_HTTP_SPROX_STATUS_NONE) {
                    labels[2] = sprox_str_lit("error");

                } else if (i == NGX_HTTP_SPROX_STATUS_OTHER) {
                    labels[2] = sprox_str_lit("other");

                } else {
                    labels[2].data = status;
                    labels[2].len = ngx_sprintf(status, "%ui",
                                                ngx_http_sprox_statuses[i])
                                    - status;
                }

                sprox_metric_sample(out, metric, labels, n);
            }
        }
    }
}


/* The samples of one number; source: its second label, or NULL. */

static void
ngx_http_sprox_metrics_simple(sprox_buf_t *out, sprox_metric_t metric,
    ngx_http_sprox_row_kind_e kind, ngx_http_sprox_row_n_e n,
    const char *source)
{
    sprox_str_t            labels[2];
    ngx_http_sprox_row_t  *row;

    if (source != NULL) {
        labels[1] = sprox_str_make(source, ngx_strlen(source));
    }

    for (row = ngx_http_sprox_metrics->sh->rows; row; row = row->next) {

        if (row->kind != kind || row->counts.n[n] == 0) {
            continue;
        }

        labels[0] = sprox_str_make(row->name, row->len);

        sprox_metric_sample(out, metric, labels, row->counts.n[n]);
    }
}


/* The circuits: of the origins there are now, and each of them. */

static void
ngx_http_sprox_metrics_open(sprox_buf_t *out)
{
    ngx_uint_t             i, n;
    sprox_str_t            label;
    ngx_http_sprox_row_t  *row;

    sprox_metric_head(out, SPROX_METRIC_ORIGIN_OPEN);

    n = ngx_http_sprox_metrics->mcf->origins.nelts;

    for (i = 0; i < n; i++) {
        row = ngx_http_sprox_metrics->origins[i];

        if (row != NULL) {
            label = sprox_str_make(row->name, row->len);
            sprox_metric_sample(out, SPROX_METRIC_ORIGIN_OPEN, &label,
                                row->circuit.until != 0);
        }
    }
}


/* The catalog's file: no samples where there is none. */

static void
ngx_http_sprox_metrics_file(sprox_buf_t *out)
{
    ngx_http_sprox_persist_sh_t  *sh;

    sh = ngx_http_sprox_persist_state();

    ngx_http_sprox_metrics_state(out, SPROX_METRIC_CATALOG_LOADING,
                                 sh ? &sh->loading : NULL);
    ngx_http_sprox_metrics_state(out, SPROX_METRIC_CATALOG_LOADED,
                                 sh ? &sh->loaded : NULL);
    ngx_http_sprox_metrics_state(out, SPROX_METRIC_CATALOG_SAVED,
                                 sh ? &sh->saved : NULL);

    sprox_metric_head(out, SPROX_METRIC_CATALOG_SAVED_AGE);

    if (sh && sh->saved_at) {
        sprox_metric_sample(out, SPROX_METRIC_CATALOG_SAVED_AGE, NULL,
                            (ngx_current_msec - sh->saved_at) / 1000);
    }

    ngx_http_sprox_metrics_state(out, SPROX_METRIC_CATALOG_SAVED_IN,
                                 sh ? &sh->saved_in : NULL);
    ngx_http_sprox_metrics_state(out, SPROX_METRIC_CATALOG_FILE_FAILURES,
                                 sh ? &sh->failures : NULL);
}


static void
ngx_http_sprox_metrics_state(sprox_buf_t *out, sprox_metric_t metric,
    ngx_atomic_t *value)
{
    sprox_metric_head(out, metric);

    if (value) {
        sprox_metric_sample(out, metric, NULL, *value);
    }
}


static void
ngx_http_sprox_metrics_events(sprox_buf_t *out)
{
    uint64_t     n;
    ngx_uint_t   i, k;
    sprox_str_t  labels[2];

    static const sprox_str_t  results[NGX_HTTP_SPROX_EVENT_RESULTS] = {
        [NGX_HTTP_SPROX_EVENT_APPLIED] = sprox_str("applied"),
        [NGX_HTTP_SPROX_EVENT_KNOWN]   = sprox_str("known"),
        [NGX_HTTP_SPROX_EVENT_CHECKED] = sprox_str("checked"),
        [NGX_HTTP_SPROX_EVENT_IGNORED] = sprox_str("ignored"),
        [NGX_HTTP_SPROX_EVENT_FAILED]  = sprox_str("failed"),
        [NGX_HTTP_SPROX_EVENT_BAD]     = sprox_str("bad")
    };

    sprox_metric_head(out, SPROX_METRIC_EVENTS);

    for (i = 0; i < SPROX_SENDERS; i++) {

        labels[0] = sprox_sender_name(i);

        for (k = 0; k < NGX_HTTP_SPROX_EVENT_RESULTS; k++) {

            n = ngx_http_sprox_metrics->sh->events[i][k];

            if (n != 0) {
                labels[1] = results[k];
                sprox_metric_sample(out, SPROX_METRIC_EVENTS, labels, n);
            }
        }
    }
}


/* A killed worker whose slot nobody took over counts no more. */

static uint64_t
ngx_http_sprox_metrics_fills(void)
{
    ngx_int_t               n, sum;
    ngx_uint_t              i;
    ngx_http_sprox_slot_t  *slot;

    sum = 0;
    slot = ngx_http_sprox_metrics->sh->slots;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {

        n = (ngx_int_t) slot[i].fills;

        if (n > 0
            && (kill((ngx_pid_t) slot[i].pid, 0) == 0 || errno != ESRCH))
        {
            sum += n;
        }
    }

    return (uint64_t) sum;
}


static void
ngx_http_sprox_metrics_jobs(sprox_buf_t *out)
{
    uint64_t      n;
    ngx_str_t     name;
    ngx_uint_t    kind, state;
    sprox_str_t   labels[2];

    sprox_metric_head(out, SPROX_METRIC_JOBS);

    for (kind = 0; kind < NGX_HTTP_SPROX_JOB_KINDS; kind++) {

        name = ngx_http_sprox_job_kind_name(kind);
        labels[0] = ngx_http_sprox_to_core(name);

        for (state = 0; state < NGX_HTTP_SPROX_JOB_STATES; state++) {

            n = ngx_http_sprox_job_count(kind, state);

            if (n == 0) {
                continue;
            }

            name = ngx_http_sprox_job_state_name(state);
            labels[1] = ngx_http_sprox_to_core(name);

            sprox_metric_sample(out, SPROX_METRIC_JOBS, labels, n);
        }
    }
}


/* Of the aliases that want it, where the bucket is known. */

static void
ngx_http_sprox_metrics_complete(sprox_buf_t *out)
{
    int64_t                   crawled;
    sprox_rc_t                rc;
    ngx_uint_t                i;
    sprox_str_t               bucket, prefix, label;
    ngx_array_t              *aliases;
    ngx_http_sprox_alias_t  **alias;

    sprox_metric_head(out, SPROX_METRIC_COMPLETE);

    aliases = &ngx_http_sprox_metrics->mcf->aliases;
    alias = aliases->elts;

    for (i = 0; i < aliases->nelts; i++) {

        if (!alias[i]->crawl
            || ngx_http_sprox_region_bucket(alias[i], &bucket) != NGX_OK
            || ngx_http_sprox_region(alias[i], bucket, &prefix) != NGX_OK)
        {
            continue;
        }

        rc = ngx_http_sprox_zone_covered(alias[i]->origin, bucket, prefix,
                                         &crawled);

        label = ngx_http_sprox_to_core(alias[i]->pattern);

        sprox_metric_sample(out, SPROX_METRIC_COMPLETE, &label,
                            rc == SPROX_OK);
    }
}
