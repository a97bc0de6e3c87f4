/*
 * Metrics: one table (name, type, help, labels) and the writer of
 * Prometheus' text format, version 0.0.4.  Where the numbers are kept is
 * the caller's concern.
 */

#ifndef SPROX_METRIC_H
#define SPROX_METRIC_H


#include "sprox_buf.h"


typedef enum {
    SPROX_METRIC_REQUESTS = 0,         /* alias, operation, status */
    SPROX_METRIC_BYTES,                /* alias, source */
    SPROX_METRIC_ORIGIN_REQUESTS,      /* origin, operation, status */
    SPROX_METRIC_ORIGIN_BYTES,         /* origin */
    SPROX_METRIC_ORIGIN_RETRIES,       /* origin */
    SPROX_METRIC_ORIGIN_OPEN,          /* origin: its circuit is open */
    SPROX_METRIC_CATALOG_OBJECTS,
    SPROX_METRIC_CATALOG_BYTES,        /* used bytes of the zone */
    SPROX_METRIC_CATALOG_EVICTED,
    SPROX_METRIC_CATALOG_LOADING,      /* this and these: of its file */
    SPROX_METRIC_CATALOG_LOADED,
    SPROX_METRIC_CATALOG_SAVED,
    SPROX_METRIC_CATALOG_SAVED_AGE,
    SPROX_METRIC_CATALOG_SAVED_IN,
    SPROX_METRIC_CATALOG_FILE_FAILURES,
    SPROX_METRIC_FILLS_IN_FLIGHT,
    SPROX_METRIC_CLAIMS_IN_FLIGHT,
    SPROX_METRIC_STALE,                /* alias: answers past their bound */
    SPROX_METRIC_PURGED_SLICES,
    SPROX_METRIC_EVENTS,               /* sender, result */
    SPROX_METRIC_QUEUE_MESSAGES,       /* queue, result */
    SPROX_METRIC_TIER_BYTES,           /* zone */
    SPROX_METRIC_TIER_PROMOTIONS,      /* zone, result */
    SPROX_METRIC_JOBS,                 /* kind, state */
    SPROX_METRIC_CRAWL_PAGES,          /* alias */
    SPROX_METRIC_CRAWL_OBJECTS,        /* alias */
    SPROX_METRIC_WARM_SLICES,          /* alias */
    SPROX_METRIC_WARM_BYTES,           /* alias */
    SPROX_METRIC_WARM_DROPPED,         /* alias */
    SPROX_METRIC_COMPLETE,             /* alias: its region is complete */
    SPROX_METRIC_CATALOG_LISTINGS,     /* alias, source */
    SPROX_METRIC_MAX
} sprox_metric_t;


typedef struct {
    const char  *name;                 /* "sprox_requests_total" */
    const char  *type;                 /* "counter" or "gauge" */
    const char  *help;
    const char  *labels[4];            /* NULL-terminated */
} sprox_metric_info_t;


/* The row of the table; metric must be in range, here and below. */
const sprox_metric_info_t *sprox_metric_info(sprox_metric_t metric);

/* # HELP and # TYPE lines. */
void sprox_metric_head(sprox_buf_t *out, sprox_metric_t metric);

/*
 * One sample; values in the order of the table's labels (escaped here; one
 * that is no UTF-8 is percent-encoded); NULL for a metric without labels.
 */
void sprox_metric_sample(sprox_buf_t *out, sprox_metric_t metric,
    const sprox_str_t *values, uint64_t n);


#endif /* SPROX_METRIC_H */
