/*
 * What sprox counts, in one table: the names that dashboards are built on,
 * their help, and their labels.  The documentation is checked against it.
 *
 * Written in Prometheus' text format (version 0.0.4):
 *
 *     # HELP sprox_bytes_total Bytes sent to clients, ...
 *     # TYPE sprox_bytes_total counter
 *     sprox_bytes_total{alias="tblA",source="hit"} 4096
 */

#include "sprox_metric.h"
#include "sprox_uri.h"
#include "sprox_xml.h"


#define COUNTER  "counter"
#define GAUGE    "gauge"


static const sprox_metric_info_t  metrics[SPROX_METRIC_MAX] = {

    [SPROX_METRIC_REQUESTS] = {
        "sprox_requests_total", COUNTER,
        "Requests of clients, by alias, S3 operation and HTTP status.",
        { "alias", "operation", "status" }
    },

    [SPROX_METRIC_BYTES] = {
        "sprox_bytes_total", COUNTER,
        "Bytes of objects sent to clients, by alias and source.",
        { "alias", "source" }
    },

    [SPROX_METRIC_ORIGIN_REQUESTS] = {
        "sprox_origin_requests_total", COUNTER,
        "Requests sent to origins, by S3 operation and HTTP status.",
        { "origin", "operation", "status" }
    },

    [SPROX_METRIC_ORIGIN_BYTES] = {
        "sprox_origin_bytes_total", COUNTER,
        "Bytes of bodies received from origins.",
        { "origin" }
    },

    [SPROX_METRIC_ORIGIN_RETRIES] = {
        "sprox_origin_retries_total", COUNTER,
        "Requests to origins that were sent again after a failure.",
        { "origin" }
    },

    [SPROX_METRIC_ORIGIN_OPEN] = {
        "sprox_origin_open", GAUGE,
        "1 while an origin is not asked because it failed too often, else 0.",
        { "origin" }
    },

    [SPROX_METRIC_CATALOG_OBJECTS] = {
        "sprox_catalog_objects", GAUGE,
        "Objects that the catalog knows.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_BYTES] = {
        "sprox_catalog_bytes", GAUGE,
        "Bytes of the catalog's zone that are used.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_EVICTED] = {
        "sprox_catalog_evicted_total", COUNTER,
        "Entries that the catalog evicted to make room.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_LOADING] = {
        "sprox_catalog_loading", GAUGE,
        "1 while the catalog's file is read, else 0.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_LOADED] = {
        "sprox_catalog_loaded_objects", GAUGE,
        "Objects in the catalog's file that was read last.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_SAVED] = {
        "sprox_catalog_saved_objects", GAUGE,
        "Objects in the catalog's file that was written last.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_SAVED_AGE] = {
        "sprox_catalog_saved_age_seconds", GAUGE,
        "Seconds since the catalog's file was written.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_SAVED_IN] = {
        "sprox_catalog_saved_milliseconds", GAUGE,
        "How long the last writing of the catalog's file took.",
        { NULL }
    },

    [SPROX_METRIC_CATALOG_FILE_FAILURES] = {
        "sprox_catalog_file_failures_total", COUNTER,
        "Readings and writings of the catalog's file that failed.",
        { NULL }
    },

    [SPROX_METRIC_FILLS_IN_FLIGHT] = {
        "sprox_fills_in_flight", GAUGE,
        "Fills that are under way.",
        { NULL }
    },

    [SPROX_METRIC_CLAIMS_IN_FLIGHT] = {
        "sprox_claims_in_flight", GAUGE,
        "Slices, probes, pages and copies that one worker makes for all.",
        { NULL }
    },

    [SPROX_METRIC_STALE] = {
        "sprox_stale_total", COUNTER,
        "Answers past their bound of freshness while an origin failed.",
        { "alias" }
    },

    [SPROX_METRIC_PURGED_SLICES] = {
        "sprox_purged_slices_total", COUNTER,
        "Slice files that purges deleted.",
        { NULL }
    },

    [SPROX_METRIC_EVENTS] = {
        "sprox_events_total", COUNTER,
        "What stores told of their objects, by sender and what became of it.",
        { "sender", "result" }
    },

    [SPROX_METRIC_QUEUE_MESSAGES] = {
        "sprox_queue_messages_total", COUNTER,
        "Messages of the queues that are polled.",
        { "queue", "result" }
    },

    [SPROX_METRIC_TIER_BYTES] = {
        "sprox_tier_bytes_total", COUNTER,
        "Bytes of objects sent out of the zones of caches with several.",
        { "zone" }
    },

    [SPROX_METRIC_TIER_PROMOTIONS] = {
        "sprox_tier_promotions_total", COUNTER,
        "Copies of hot slices into a zone, out of the next one.",
        { "zone", "result" }
    },

    [SPROX_METRIC_JOBS] = {
        "sprox_jobs", GAUGE,
        "Jobs that are queued, run, or ended lately, by kind and state.",
        { "kind", "state" }
    },

    [SPROX_METRIC_CRAWL_PAGES] = {
        "sprox_crawl_pages_total", COUNTER,
        "Pages of origins' listings that crawls have read.",
        { "alias" }
    },

    [SPROX_METRIC_CRAWL_OBJECTS] = {
        "sprox_crawl_objects_total", COUNTER,
        "Objects that crawls have found.",
        { "alias" }
    },

    [SPROX_METRIC_WARM_SLICES] = {
        "sprox_warm_slices_total", COUNTER,
        "Slices of changed objects that were fetched again.",
        { "alias" }
    },

    [SPROX_METRIC_WARM_BYTES] = {
        "sprox_warm_bytes_total", COUNTER,
        "Bytes of slices of changed objects that were fetched again.",
        { "alias" }
    },

    [SPROX_METRIC_WARM_DROPPED] = {
        "sprox_warm_dropped_total", COUNTER,
        "Changed objects that were cached, and not fetched again as a whole.",
        { "alias" }
    },

    [SPROX_METRIC_COMPLETE] = {
        "sprox_alias_complete", GAUGE,
        "Whether all that is in an alias' target is known.",
        { "alias" }
    },

    [SPROX_METRIC_CATALOG_LISTINGS] = {
        "sprox_catalog_listings_total", COUNTER,
        "Parts of listings of aliases with \"list catalog\", by where they came "
        "from: catalog or origin.",
        { "alias", "source" }
    }
};


const sprox_metric_info_t *
sprox_metric_info(sprox_metric_t metric)
{
    return &metrics[metric];
}


/* In help a quote is itself; in a label's value it would end it. */

static void
escape(sprox_buf_t *out, sprox_str_t s, int quotes)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        switch (s.data[i]) {

        case '\\':
            sprox_buf_text(out, "\\\\");
            break;

        case '\n':
            sprox_buf_text(out, "\\n");
            break;

        case '"':
            sprox_buf_text(out, quotes ? "\\\"" : "\"");
            break;

        default:
            sprox_buf_char(out, s.data[i]);
        }
    }
}


void
sprox_metric_head(sprox_buf_t *out, sprox_metric_t metric)
{
    const sprox_metric_info_t  *info = sprox_metric_info(metric);

    sprox_buf_text(out, "# HELP ");
    sprox_buf_text(out, info->name);
    sprox_buf_char(out, ' ');
    escape(out, sprox_str_make(info->help, strlen(info->help)), 0);
    sprox_buf_text(out, "\n# TYPE ");
    sprox_buf_text(out, info->name);
    sprox_buf_char(out, ' ');
    sprox_buf_text(out, info->type);
    sprox_buf_char(out, '\n');
}


void
sprox_metric_sample(sprox_buf_t *out, sprox_metric_t metric,
    const sprox_str_t *values, uint64_t n)
{
    unsigned                    i;
    const sprox_metric_info_t  *info = sprox_metric_info(metric);

    sprox_buf_text(out, info->name);

    for (i = 0; info->labels[i]; i++) {
        sprox_buf_char(out, i ? ',' : '{');
        sprox_buf_text(out, info->labels[i]);
        sprox_buf_text(out, "=\"");

        /* the format knows no bytes but UTF-8 */

        if (sprox_xml_utf8_valid(values[i])) {
            escape(out, values[i], 1);

        } else {
            sprox_uri_encode(out, values[i], 1);
        }

        sprox_buf_char(out, '"');
    }

    if (i) {
        sprox_buf_char(out, '}');
    }

    sprox_buf_char(out, ' ');
    sprox_buf_u64(out, n);
    sprox_buf_char(out, '\n');
}
