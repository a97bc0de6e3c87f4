/*
 * The job that crawls a region.
 *
 * A region is listed flat, without a delimiter: that takes the fewest
 * requests.  It begins as one lane.  When a lane has listed some pages and
 * there are free lanes, the origin is asked for common prefixes in front of
 * it, and what is left is cut there:
 *
 *   ====o---------------------------------------     one lane, at o
 *   ====o-------|======o--------|===o-----------     cut in three
 *
 * So a small bucket costs no request more than its pages, a large one soon
 * has all lanes, and whoever is done takes a share of what others have left.
 *
 * The cursor of the job is where each lane stands.  After a page all that
 * the catalog knows there and that the page did not prove has vanished and
 * is removed; everything else is put, which keeps what is known of a version
 * that did not change.  When no lane is left, the region is complete, as of
 * the moment when the crawl began.
 *
 * A cursor holds for one opening of the region: when the catalog was emptied
 * meanwhile, a crawl begins anew.
 */

#include "ngx_http_sprox_crawl_private.h"
#include "ngx_http_sprox_metrics.h"


#define NGX_HTTP_SPROX_CRAWL_FORMAT   1

/* Crawls that run in one worker. */
#define NGX_HTTP_SPROX_CRAWLS         2

/* What was crawled longer ago does not count for a crawl that goes on, ms. */
#define NGX_HTTP_SPROX_CRAWL_RESUME   3600000

/* How long a region that does not fit is left alone, in ms. */
#define NGX_HTTP_SPROX_CRAWL_FULL     3600000

/* After a lane could not be shared out: so many pages more, at most. */
#define NGX_HTTP_SPROX_CRAWL_SHARE_MAX  1024


/* What a cursor begins with; then its lanes: lengths and bytes. */

typedef struct {
    uint32_t                    format;
    uint32_t                    region;
    int64_t                     began;
    uint64_t                    total;
    uint64_t                    pages;
    uint64_t                    removed;
    uint32_t                    lanes;
} ngx_http_sprox_crawl_head_t;

typedef struct {
    uint16_t                    after;
    uint16_t                    upto;
} ngx_http_sprox_crawl_part_t;


static ngx_int_t ngx_http_sprox_crawl_run(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_crawl_stop(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_crawl_begin(ngx_event_t *ev);
static sprox_rc_t ngx_http_sprox_crawl_open(ngx_http_sprox_crawl_t *crawl);
static ngx_int_t ngx_http_sprox_crawl_restore(ngx_http_sprox_crawl_t *crawl);
static void ngx_http_sprox_crawl_save(ngx_http_sprox_crawl_t *crawl);
static ngx_uint_t ngx_http_sprox_crawl_free(ngx_http_sprox_crawl_t *crawl);
static void ngx_http_sprox_crawl_cut(ngx_http_sprox_crawl_lane_t *lane,
    ngx_uint_t n);
static void ngx_http_sprox_crawl_end(ngx_http_sprox_crawl_t *crawl);
static void ngx_http_sprox_crawl_nomem(ngx_http_sprox_crawl_t *crawl);
static void ngx_http_sprox_crawl_emptied(ngx_http_sprox_crawl_t *crawl);


const ngx_http_sprox_job_kind_t  ngx_http_sprox_crawl_kind = {
    ngx_string("crawl"),
    NGX_HTTP_SPROX_JOB_CRAWL,
    NGX_HTTP_SPROX_CRAWLS,
    ngx_http_sprox_crawl_run,
    ngx_http_sprox_crawl_stop,
    0
};

const ngx_http_sprox_job_kind_t  ngx_http_sprox_reload_kind = {
    ngx_string("reload"),
    NGX_HTTP_SPROX_JOB_CRAWL,
    NGX_HTTP_SPROX_CRAWLS,
    ngx_http_sprox_crawl_run,
    ngx_http_sprox_crawl_stop,
    0
};


static ngx_int_t
ngx_http_sprox_crawl_run(ngx_http_sprox_job_t *job)
{
    ngx_uint_t                    i;
    sprox_mem_t                  *mem;
    ngx_http_sprox_crawl_t       *crawl;
    ngx_http_sprox_crawl_lane_t  *lane;

    crawl = ngx_pcalloc(job->pool, sizeof(ngx_http_sprox_crawl_t));
    mem = ngx_palloc(job->pool, sizeof(sprox_mem_t));

    if (crawl == NULL || mem == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sprox_mem_pool(mem, job->pool);
    sprox_buf_init(&crawl->cursor, mem);

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_LANES; i++) {
        lane = &crawl->lanes[i];

        lane->crawl = crawl;
        lane->share = NGX_HTTP_SPROX_CRAWL_SHARE;
        sprox_buf_init(&lane->token, mem);
    }

    crawl->job = job;
    job->data = crawl;

    crawl->event.handler = ngx_http_sprox_crawl_begin;
    crawl->event.data = crawl;
    crawl->event.log = job->log;

    ngx_post_event(&crawl->event, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_http_sprox_crawl_stop(ngx_http_sprox_job_t *job)
{
    ngx_uint_t               i;
    ngx_http_sprox_crawl_t  *crawl;

    crawl = job->data;

    if (crawl->event.posted) {
        ngx_delete_posted_event(&crawl->event);
    }

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_LANES; i++) {
        ngx_http_sprox_crawl_lane_drop(&crawl->lanes[i]);
    }
}


static void
ngx_http_sprox_crawl_begin(ngx_event_t *ev)
{
    ngx_uint_t               i;
    ngx_http_sprox_crawl_t  *crawl;

    crawl = ev->data;

    if (ngx_http_sprox_crawl_restore(crawl) != NGX_OK) {

        if (ngx_http_sprox_crawl_open(crawl) != SPROX_OK) {
            ngx_http_sprox_job_end(crawl->job, NGX_HTTP_SPROX_JOB_FAILED,
                                   NGX_HTTP_SPROX_CRAWL_FULL,
                                   "the catalog has no room for one more "
                                   "region: write a larger zone= in "
                                   "sprox_catalog");
            return;
        }

        crawl->began = ngx_http_sprox_now();
        crawl->lanes[0].busy = 1;

        ngx_http_sprox_crawl_save(crawl);
    }

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_LANES; i++) {

        if (crawl->lanes[i].busy
            && ngx_http_sprox_crawl_lane_ask(&crawl->lanes[i]) != NGX_OK)
        {
            ngx_http_sprox_crawl_nomem(crawl);
            return;
        }
    }
}


/* Opens the region, anew where it had not fitted. */

static sprox_rc_t
ngx_http_sprox_crawl_open(ngx_http_sprox_crawl_t *crawl)
{
    sprox_region_t         region;
    ngx_http_sprox_job_t  *job;

    job = crawl->job;

    if (ngx_http_sprox_zone_region_get(job->origin, job->bucket, job->prefix,
                                       &region)
        == SPROX_OK)
    {
        if (region.overflow) {
            (void) ngx_http_sprox_zone_region_drop(job->origin, job->bucket,
                                                   job->prefix);
        }

        if (region.complete) {
            crawl->total = region.objects;
        }
    }

    return ngx_http_sprox_zone_region_open(job->origin, job->bucket,
                                           job->prefix, &crawl->region);
}


/* Goes on from the cursor of the job; NGX_DECLINED: there is no use in it. */

static ngx_int_t
ngx_http_sprox_crawl_restore(ngx_http_sprox_crawl_t *crawl)
{
    uint64_t                      done;
    ngx_uint_t                    i;
    sprox_str_t                   text;
    sprox_region_t                region;
    ngx_http_sprox_job_t         *job;
    ngx_http_sprox_crawl_head_t   head;
    ngx_http_sprox_crawl_part_t   part;
    ngx_http_sprox_crawl_lane_t  *lane;

    job = crawl->job;
    text = ngx_http_sprox_job_cursor(job, &done);

    if (text.len < sizeof(head)) {
        return NGX_DECLINED;
    }

    ngx_memcpy(&head, text.data, sizeof(head));
    text = sprox_str_from(text, sizeof(head));

    if (head.format != NGX_HTTP_SPROX_CRAWL_FORMAT
        || head.lanes == 0 || head.lanes > NGX_HTTP_SPROX_CRAWL_LANES
        || head.began + NGX_HTTP_SPROX_CRAWL_RESUME < ngx_http_sprox_now()
        || ngx_http_sprox_zone_region_get(job->origin, job->bucket,
                                          job->prefix, &region)
           != SPROX_OK
        || region.id != head.region || region.overflow)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < head.lanes; i++) {
        lane = &crawl->lanes[i];

        if (text.len < sizeof(part)) {
            goto invalid;
        }

        ngx_memcpy(&part, text.data, sizeof(part));
        text = sprox_str_from(text, sizeof(part));

        if (part.after > SPROX_KEY_MAX
            || part.upto > NGX_HTTP_SPROX_CRAWL_PLACE
            || text.len < (size_t) part.after + part.upto)
        {
            goto invalid;
        }

        ngx_memcpy(lane->after, text.data, part.after);
        ngx_memcpy(lane->upto, text.data + part.after, part.upto);
        text = sprox_str_from(text, (size_t) part.after + part.upto);

        lane->after_len = part.after;
        lane->upto_len = part.upto;
        lane->busy = 1;
    }

    crawl->region = head.region;
    crawl->began = head.began;
    crawl->total = head.total;
    crawl->pages = head.pages;
    crawl->removed = head.removed;
    crawl->done = done;

    return NGX_OK;

invalid:

    for (i = 0; i < head.lanes; i++) {
        crawl->lanes[i].busy = 0;
        crawl->lanes[i].after_len = 0;
        crawl->lanes[i].upto_len = 0;
    }

    return NGX_DECLINED;
}


static void
ngx_http_sprox_crawl_save(ngx_http_sprox_crawl_t *crawl)
{
    ngx_uint_t                    i;
    sprox_str_t                   text;
    ngx_http_sprox_crawl_head_t   head;
    ngx_http_sprox_crawl_part_t   part;
    ngx_http_sprox_crawl_lane_t  *lane;

    ngx_memzero(&head, sizeof(head));

    head.format = NGX_HTTP_SPROX_CRAWL_FORMAT;
    head.region = crawl->region;
    head.began = crawl->began;
    head.total = crawl->total;
    head.pages = crawl->pages;
    head.removed = crawl->removed;
    head.lanes = NGX_HTTP_SPROX_CRAWL_LANES
                 - ngx_http_sprox_crawl_free(crawl);

    crawl->cursor.len = 0;
    sprox_buf_add(&crawl->cursor, &head, sizeof(head));

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_LANES; i++) {
        lane = &crawl->lanes[i];

        if (!lane->busy) {
            continue;
        }

        part.after = lane->after_len;
        part.upto = lane->upto_len;

        sprox_buf_add(&crawl->cursor, &part, sizeof(part));
        sprox_buf_add(&crawl->cursor, lane->after, lane->after_len);
        sprox_buf_add(&crawl->cursor, lane->upto, lane->upto_len);
    }

    text = sprox_buf_get(&crawl->cursor);

    ngx_http_sprox_job_save(crawl->job, crawl->done, crawl->total,
                            sprox_buf_rc(&crawl->cursor) == SPROX_OK ? &text
                                                                     : NULL);
}


static ngx_uint_t
ngx_http_sprox_crawl_free(ngx_http_sprox_crawl_t *crawl)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_LANES; i++) {
        n += !crawl->lanes[i].busy;
    }

    return n;
}


void
ngx_http_sprox_crawl_page(ngx_http_sprox_crawl_lane_t *lane)
{
    ngx_int_t                rc;
    ngx_uint_t               room;
    sprox_region_t           region;
    ngx_http_sprox_job_t    *job;
    ngx_http_sprox_crawl_t  *crawl;

    crawl = lane->crawl;
    job = crawl->job;

    crawl->pages++;
    crawl->done += lane->objects;
    lane->pages++;

    ngx_http_sprox_count_crawl(job->alias, lane->objects);

    if (ngx_http_sprox_zone_region_get(job->origin, job->bucket, job->prefix,
                                       &region)
        != SPROX_OK
        || region.id != crawl->region)
    {
        ngx_http_sprox_crawl_emptied(crawl);
        return;
    }

    if (region.overflow) {
        ngx_http_sprox_crawl_full(crawl, SPROX_FULL);
        return;
    }

    if (lane->over) {
        lane->busy = 0;
    }

    room = ngx_http_sprox_crawl_free(crawl);

    if (room == NGX_HTTP_SPROX_CRAWL_LANES) {
        ngx_http_sprox_crawl_end(crawl);
        return;
    }

    ngx_http_sprox_crawl_save(crawl);

    if (!lane->busy) {
        return;
    }

    rc = (room && lane->pages >= lane->share
          && lane->after_len >= job->prefix.len)
         ? ngx_http_sprox_crawl_lane_probe(lane)
         : ngx_http_sprox_crawl_lane_ask(lane);

    if (rc != NGX_OK) {
        ngx_http_sprox_crawl_nomem(crawl);
    }
}


void
ngx_http_sprox_crawl_places(ngx_http_sprox_crawl_lane_t *lane)
{
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    ngx_http_sprox_crawl_t  *crawl;

    crawl = lane->crawl;

    n = ngx_min(lane->places.nelts, ngx_http_sprox_crawl_free(crawl));
    lane->pages = 0;

    if (n == 0) {
        lane->share = ngx_min(2 * lane->share,
                              NGX_HTTP_SPROX_CRAWL_SHARE_MAX);
    } else {
        lane->share = NGX_HTTP_SPROX_CRAWL_SHARE;
        ngx_http_sprox_crawl_cut(lane, n);
        ngx_http_sprox_crawl_save(crawl);
    }

    ngx_http_sprox_crawl_lane_drop(lane);

    /* this lane, and those that have begun now */

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_LANES; i++) {

        if (!crawl->lanes[i].busy || crawl->lanes[i].pool != NULL) {
            continue;
        }

        rc = ngx_http_sprox_crawl_lane_ask(&crawl->lanes[i]);

        if (rc != NGX_OK) {
            ngx_http_sprox_crawl_nomem(crawl);
            return;
        }
    }
}


/* What is left of a lane is shared out to n free ones, at its places. */

static void
ngx_http_sprox_crawl_cut(ngx_http_sprox_crawl_lane_t *lane, ngx_uint_t n)
{
    size_t                        end_len;
    u_char                        end[NGX_HTTP_SPROX_CRAWL_PLACE];
    ngx_uint_t                    i, k, all;
    sprox_str_t                  *places, place;
    ngx_http_sprox_crawl_t       *crawl;
    ngx_http_sprox_crawl_lane_t  *next;

    crawl = lane->crawl;
    places = lane->places.elts;
    all = lane->places.nelts;

    end_len = lane->upto_len;
    ngx_memcpy(end, lane->upto, end_len);

    k = 0;

    for (i = 0; i < n; i++) {

        place = places[(i + 1) * all / (n + 1)];

        while (crawl->lanes[k].busy) {
            k++;
        }

        next = &crawl->lanes[k];

        lane->upto_len = place.len;
        ngx_memcpy(lane->upto, place.data, place.len);

        next->after_len = place.len;
        ngx_memcpy(next->after, place.data, place.len);

        next->token.len = 0;
        next->pages = 0;
        next->idle = 0;
        next->share = NGX_HTTP_SPROX_CRAWL_SHARE;
        next->busy = 1;

        lane = next;
    }

    lane->upto_len = end_len;
    ngx_memcpy(lane->upto, end, end_len);
}


static void
ngx_http_sprox_crawl_end(ngx_http_sprox_crawl_t *crawl)
{
    int64_t                took;
    sprox_rc_t             rc;
    ngx_http_sprox_job_t  *job;

    job = crawl->job;

    rc = ngx_http_sprox_zone_region_complete(job->origin, job->bucket,
                                             job->prefix, crawl->region,
                                             crawl->began);
    if (rc == SPROX_FULL) {
        ngx_http_sprox_crawl_full(crawl, rc);
        return;
    }

    if (rc != SPROX_OK) {
        ngx_http_sprox_crawl_emptied(crawl);
        return;
    }

    took = ngx_max(ngx_http_sprox_now() - job->started, 0);

    ngx_http_sprox_job_save(job, crawl->done, crawl->done, NULL);

    ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_DONE, 0,
                           "%uL objects in %uL pages, %uL had vanished, "
                           "%L.%03L s", crawl->done, crawl->pages,
                           crawl->removed, took / 1000, took % 1000);
}


void
ngx_http_sprox_crawl_full(ngx_http_sprox_crawl_t *crawl, sprox_rc_t rc)
{
    ngx_msec_t             hold;
    ngx_http_sprox_job_t  *job;

    job = crawl->job;

    (void) ngx_http_sprox_zone_region_incomplete(job->origin, job->bucket,
                                                 job->prefix);

    hold = NGX_HTTP_SPROX_CRAWL_FULL;

    if (job->alias) {
        hold = ngx_max(hold, (ngx_msec_t) job->alias->reload * 1000);
    }

    ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_FAILED, hold,
                           rc == SPROX_LIMIT
                           ? "an object's names are longer than the catalog "
                             "keeps: listings come from the origin"
                           : "it does not fit into the catalog: listings "
                             "come from the origin; write a larger zone= in "
                             "sprox_catalog");
}


static void
ngx_http_sprox_crawl_nomem(ngx_http_sprox_crawl_t *crawl)
{
    ngx_http_sprox_job_again(crawl->job, "there is no memory");
}


static void
ngx_http_sprox_crawl_emptied(ngx_http_sprox_crawl_t *crawl)
{
    sprox_str_t  none;

    /* what was told before is forgotten: from the beginning, and from now */

    none = sprox_str_lit("");
    ngx_http_sprox_job_save(crawl->job, 0, 0, &none);

    ngx_http_sprox_job_again(crawl->job, "the catalog was emptied, or some of "
                             "it purged, meanwhile");
}
