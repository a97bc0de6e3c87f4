/*
 * The pages of a crawl: fetched, put into the catalog as they come, swept.
 *
 *   ask --- fetch --- body --> parser --> item: put
 *                       |
 *                      done --- sweep, in steps --- crawl_page()
 *
 *   probe - fetch --- body --> parser --> item: a place
 *     ^                 |
 *     +-- none, deeper -+--- crawl_places()
 *
 * The fetches are read-ahead: where connections are short, clients go first.
 *
 * A probe lists one level of the tree, with a delimiter, behind the branch
 * that the lane is in; the uppermost level first, for its branches are the
 * largest.
 */

#include "ngx_http_sprox_crawl_private.h"
#include "ngx_http_sprox_list.h"
#include "ngx_http_sprox_warm.h"


#define NGX_HTTP_SPROX_CRAWL_POOL    4096

/* Records looked at by a sweep in one turn of the event loop: x a step. */
#define NGX_HTTP_SPROX_CRAWL_STEPS   8

/*
 * Pages in a row that bring no further key.  Stores send such ones where much
 * was deleted; one that never ends would be asked for ever.
 */
#define NGX_HTTP_SPROX_CRAWL_IDLE    10000

/* Levels that one probe looks at. */
#define NGX_HTTP_SPROX_CRAWL_LEVELS  8


static ngx_int_t ngx_http_sprox_crawl_fetch(ngx_http_sprox_crawl_lane_t *lane,
    sprox_list_item_pt item);
static sprox_rc_t ngx_http_sprox_crawl_item(void *data,
    const sprox_list_item_t *item);
static void ngx_http_sprox_crawl_owner(ngx_http_sprox_crawl_t *crawl,
    const sprox_list_item_t *item);
static sprox_rc_t ngx_http_sprox_crawl_place(void *data,
    const sprox_list_item_t *item);
static ngx_int_t ngx_http_sprox_crawl_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_crawl_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_crawl_done(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static void ngx_http_sprox_crawl_refused(ngx_http_sprox_crawl_lane_t *lane,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc);
static void ngx_http_sprox_crawl_unreadable(
    ngx_http_sprox_crawl_lane_t *lane, sprox_rc_t rc);
static void ngx_http_sprox_crawl_parsed(ngx_http_sprox_crawl_lane_t *lane,
    sprox_list_page_t *page);
static void ngx_http_sprox_crawl_sweep(ngx_event_t *ev);
static void ngx_http_sprox_crawl_probed(ngx_http_sprox_crawl_lane_t *lane);
static ngx_int_t ngx_http_sprox_crawl_level(
    ngx_http_sprox_crawl_lane_t *lane);
static size_t ngx_http_sprox_crawl_branch(ngx_http_sprox_crawl_lane_t *lane);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_crawl_handler = {
    ngx_http_sprox_crawl_header,
    ngx_http_sprox_crawl_body,
    ngx_http_sprox_crawl_done
};


ngx_int_t
ngx_http_sprox_crawl_lane_ask(ngx_http_sprox_crawl_lane_t *lane)
{
    ngx_http_sprox_fetch_t  *f;

    if (ngx_http_sprox_crawl_fetch(lane, ngx_http_sprox_crawl_item)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    lane->probe = 0;
    lane->over = 0;
    lane->disorder = 0;
    lane->objects = 0;
    lane->rc = SPROX_OK;

    lane->last_len = lane->after_len;
    ngx_memcpy(lane->last, lane->after, lane->after_len);

    f = lane->fetch;
    f->req.prefix = lane->crawl->job->prefix;
    f->req.fetch_owner = 1;

    if (lane->token.len) {
        f->req.token = sprox_buf_get(&lane->token);

    } else {
        f->req.start_after = sprox_str_make(lane->after, lane->after_len);
    }

    ngx_http_sprox_fetch_start(f);

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_crawl_lane_probe(ngx_http_sprox_crawl_lane_t *lane)
{
    size_t  i;

    lane->probe = 1;
    lane->level = lane->crawl->job->prefix.len;
    lane->depth = 0;

    /* levels above the one where both ends part have no place within */

    for (i = lane->level;
         i < lane->upto_len && i < lane->after_len
         && lane->upto[i] == lane->after[i];
         i++)
    {
        if (lane->after[i] == '/') {
            lane->level = i + 1;
        }
    }

    lane->rc = SPROX_OK;
    lane->disorder = 0;

    return ngx_http_sprox_crawl_level(lane);
}


/* The lane's pool is there from here until drop(). */

static ngx_int_t
ngx_http_sprox_crawl_fetch(ngx_http_sprox_crawl_lane_t *lane,
    sprox_list_item_pt item)
{
    ngx_http_sprox_job_t    *job;
    ngx_http_sprox_fetch_t  *f;

    job = lane->crawl->job;

    lane->pool = ngx_create_pool(NGX_HTTP_SPROX_CRAWL_POOL, job->log);
    if (lane->pool == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sprox_mem_pool(&lane->mem, lane->pool);

    lane->parser = sprox_list_parser_create(&lane->mem, 1, item, lane);
    if (lane->parser == NULL) {
        return NGX_ERROR;
    }

    f = ngx_http_sprox_fetch_create(job->origin, job->log);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->handler = &ngx_http_sprox_crawl_handler;
    f->data = lane;
    f->ahead = 1;

    f->req.op = SPROX_OP_LIST_OBJECTS_V2;
    f->req.bucket = job->bucket;
    f->req.max_keys = SPROX_LIST_KEYS_MAX;

    lane->fetch = f;

    return NGX_OK;
}


void
ngx_http_sprox_crawl_lane_drop(ngx_http_sprox_crawl_lane_t *lane)
{
    ngx_http_sprox_fetch_t  *f;

    f = lane->fetch;

    if (f != NULL) {
        lane->fetch = NULL;
        ngx_http_sprox_fetch_cancel(f);
    }

    if (lane->parser != NULL) {
        sprox_list_parser_free(lane->parser);
        lane->parser = NULL;
    }

    if (lane->event.posted) {
        ngx_delete_posted_event(&lane->event);
    }

    if (lane->pool != NULL) {
        ngx_destroy_pool(lane->pool);
        lane->pool = NULL;
    }
}


/* The parser's callback: a line of a page. */

static sprox_rc_t
ngx_http_sprox_crawl_item(void *data, const sprox_list_item_t *item)
{
    sprox_str_t                   last;
    ngx_http_sprox_job_t         *job;
    ngx_http_sprox_warm_was_t     was;
    ngx_http_sprox_crawl_lane_t  *lane;

    lane = data;
    job = lane->crawl->job;
    last = sprox_str_make(lane->last, lane->last_len);

    if (item->is_prefix || sprox_str_eq(item->key, last)) {
        return SPROX_OK;
    }

    /* what is not in order cannot tell what has vanished */

    if (!sprox_str_starts(item->key, job->prefix)
        || sprox_str_cmp(item->key, last) < 0)
    {
        lane->disorder = 1;
        return SPROX_INVALID;
    }

    ngx_http_sprox_crawl_owner(lane->crawl, item);
    ngx_http_sprox_warm_before(&was, job->origin, job->bucket, item->key);

    lane->rc = ngx_http_sprox_list_teach(job->origin, job->bucket, item,
                                         lane->sent);

    if (lane->rc == SPROX_LIMIT || lane->rc == SPROX_FULL) {
        return lane->rc;
    }

    ngx_http_sprox_warm_after(&was, job->origin, job->bucket, item->key);

    lane->last_len = item->key.len;
    ngx_memcpy(lane->last, item->key.data, item->key.len);

    if (lane->upto_len == 0
        || sprox_str_cmp(item->key, sprox_str_make(lane->upto,
                                                   lane->upto_len))
           <= 0)
    {
        lane->objects++;
    }

    return SPROX_OK;
}


/*
 * Only where it differs from the last one; before the object is listed.
 * What cannot be remembered here is told again.
 */

static void
ngx_http_sprox_crawl_owner(ngx_http_sprox_crawl_t *crawl,
    const sprox_list_item_t *item)
{
    u_char                *p;
    sprox_rc_t             rc;
    sprox_owner_t          owner;
    ngx_http_sprox_job_t  *job;

    if (crawl->owners
        || (crawl->owned && sprox_str_eq(item->owner_id, crawl->owner.id)
            && sprox_str_eq(item->owner_name, crawl->owner.name)))
    {
        return;
    }

    job = crawl->job;
    owner.id = item->owner_id;
    owner.name = item->owner_name;

    rc = ngx_http_sprox_zone_region_owner(job->origin, job->bucket,
                                          job->prefix, crawl->region,
                                          crawl->began, &owner);

    crawl->owners = (rc == SPROX_DONE);
    crawl->owned = (rc == SPROX_OK);

    if (crawl->owned) {
        p = crawl->owner_buf;

        crawl->owner.id = sprox_str_make(p, owner.id.len);
        p = ngx_cpymem(p, owner.id.data, owner.id.len);

        crawl->owner.name = sprox_str_make(p, owner.name.len);
        ngx_memcpy(p, owner.name.data, owner.name.len);
    }
}


/* The same of a probe: common prefixes within the lane. */

static sprox_rc_t
ngx_http_sprox_crawl_place(void *data, const sprox_list_item_t *item)
{
    sprox_str_t                  *place, upto;
    ngx_http_sprox_crawl_lane_t  *lane;

    lane = data;
    upto = sprox_str_make(lane->upto, lane->upto_len);

    if (!item->is_prefix || item->key.len > NGX_HTTP_SPROX_CRAWL_PLACE
        || sprox_str_cmp(item->key, sprox_str_make(lane->after,
                                                   lane->after_len))
           <= 0
        || (upto.len && sprox_str_cmp(item->key, upto) >= 0))
    {
        return SPROX_OK;
    }

    place = ngx_array_push(&lane->places);
    if (place == NULL) {
        return SPROX_NOMEM;
    }

    *place = sprox_str_dup(&lane->mem, item->key);

    return place->data ? SPROX_OK : SPROX_NOMEM;
}


static ngx_int_t
ngx_http_sprox_crawl_header(ngx_http_sprox_fetch_t *f)
{
    ngx_http_sprox_crawl_lane_t  *lane;

    lane = f->data;
    lane->sent = f->sent;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_crawl_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    sprox_rc_t                    rc;
    ngx_http_sprox_crawl_lane_t  *lane;

    lane = f->data;

    rc = sprox_list_parser_feed(lane->parser, p, n);

    if (rc != SPROX_OK) {
        ngx_http_sprox_crawl_unreadable(lane, rc);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_sprox_crawl_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    sprox_rc_t                    parsed;
    sprox_list_page_t             page;
    ngx_http_sprox_crawl_lane_t  *lane;

    lane = f->data;
    lane->fetch = NULL;

    if (rc != NGX_OK) {
        ngx_http_sprox_crawl_refused(lane, f, rc);
        return;
    }

    parsed = sprox_list_parser_done(lane->parser, &page);

    if (parsed != SPROX_OK || page.buckets) {
        ngx_http_sprox_crawl_unreadable(lane, parsed);
        return;
    }

    if (lane->probe) {
        ngx_http_sprox_crawl_probed(lane);
        return;
    }

    ngx_http_sprox_crawl_parsed(lane, &page);
}


/* No page: an answer that will stay the same ends the crawl. */

static void
ngx_http_sprox_crawl_refused(ngx_http_sprox_crawl_lane_t *lane,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    int                        status;
    sprox_str_t                code;
    ngx_http_sprox_job_t      *job;

    job = lane->crawl->job;

    if (rc == NGX_ERROR) {
        code = sprox_error_info(f->failure)->code;

        ngx_http_sprox_job_again(job, "the origin gave no page: %*s",
                                 code.len, code.data);
        return;
    }

    status = f->resp.status;
    code = f->error.code;

    if (sprox_origin_retriable(status)) {
        ngx_http_sprox_job_again(job, "the origin answered %d %*s", status,
                                 code.len, code.data);
        return;
    }

    ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_FAILED, 0,
                           "the origin answered %d %*s", status, code.len,
                           code.data);
}


static void
ngx_http_sprox_crawl_unreadable(ngx_http_sprox_crawl_lane_t *lane,
    sprox_rc_t rc)
{
    ngx_http_sprox_job_t  *job;

    job = lane->crawl->job;

    if (lane->rc == SPROX_LIMIT || lane->rc == SPROX_FULL) {
        ngx_http_sprox_crawl_full(lane->crawl, lane->rc);
        return;
    }

    if (lane->disorder) {
        ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_FAILED, 0,
                               "the origin's listing is not in the order of "
                               "its keys");
        return;
    }

    ngx_http_sprox_job_again(job, rc == SPROX_NOMEM
                                  ? "there is no memory"
                                  : "the origin's listing cannot be read");
}


/* All of a page is in the catalog: what else is known there has vanished. */

static void
ngx_http_sprox_crawl_parsed(ngx_http_sprox_crawl_lane_t *lane,
    sprox_list_page_t *page)
{
    sprox_str_t                   last, upto;
    ngx_http_sprox_job_t         *job;

    job = lane->crawl->job;
    last = sprox_str_make(lane->last, lane->last_len);
    upto = sprox_str_make(lane->upto, lane->upto_len);

    if (page->truncated
        && (page->next.len == 0
            || sprox_str_eq(page->next, sprox_buf_get(&lane->token))))
    {
        ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_FAILED, 0,
                               "the origin sent a truncated listing without "
                               "a new continuation token");
        return;
    }

    lane->idle = (last.len == lane->after_len
                  && ngx_memcmp(last.data, lane->after, last.len) == 0)
                 ? lane->idle + 1 : 0;

    if (page->truncated && lane->idle == NGX_HTTP_SPROX_CRAWL_IDLE) {
        ngx_http_sprox_job_end(job, NGX_HTTP_SPROX_JOB_FAILED, 0,
                               "the origin sent %d pages in a row without a "
                               "new key", NGX_HTTP_SPROX_CRAWL_IDLE);
        return;
    }

    lane->over = (!page->truncated
                  || (upto.len && sprox_str_cmp(last, upto) >= 0));

    if (lane->over) {
        lane->last_len = upto.len;
        ngx_memcpy(lane->last, upto.data, upto.len);

    } else {
        lane->token.len = 0;
        sprox_buf_str(&lane->token, page->next);

        if (sprox_buf_rc(&lane->token) != SPROX_OK) {
            ngx_http_sprox_crawl_unreadable(lane, SPROX_NOMEM);
            return;
        }
    }

    sprox_catalog_cursor_init(&lane->sweep, job->prefix, sprox_str_null,
                              sprox_str_make(lane->after, lane->after_len));

    lane->event.handler = ngx_http_sprox_crawl_sweep;
    lane->event.data = lane;
    lane->event.log = job->log;

    ngx_http_sprox_crawl_sweep(&lane->event);
}


static void
ngx_http_sprox_crawl_sweep(ngx_event_t *ev)
{
    ngx_uint_t                    i;
    sprox_rc_t                    rc;
    sprox_str_t                   last;
    ngx_http_sprox_job_t         *job;
    ngx_http_sprox_crawl_lane_t  *lane;

    lane = ev->data;
    job = lane->crawl->job;

    last = sprox_str_make(lane->last, lane->last_len);
    rc = SPROX_DONE;

    /* an empty page that is not the last one proves nothing */

    for (i = 0; i < NGX_HTTP_SPROX_CRAWL_STEPS; i++) {

        if (!lane->over && last.len == lane->after_len
            && ngx_memcmp(last.data, lane->after, last.len) == 0)
        {
            break;
        }

        rc = ngx_http_sprox_zone_sweep(job->origin, job->bucket, &lane->sweep,
                                       last, lane->sent,
                                       NGX_HTTP_SPROX_ZONE_STEP,
                                       &lane->crawl->removed);
        if (rc != SPROX_AGAIN) {
            break;
        }
    }

    if (rc == SPROX_AGAIN) {
        ngx_post_event(ev, &ngx_posted_next_events);
        return;
    }

    lane->after_len = lane->last_len;
    ngx_memcpy(lane->after, lane->last, lane->last_len);

    ngx_http_sprox_crawl_lane_drop(lane);
    ngx_http_sprox_crawl_page(lane);
}


/*
 * Asks for the branches of lane->level, a length of `after`, behind the one
 * that `after` is in.
 */

static ngx_int_t
ngx_http_sprox_crawl_level(ngx_http_sprox_crawl_lane_t *lane)
{
    size_t                   n;
    u_char                  *p;
    ngx_http_sprox_fetch_t  *f;

    if (ngx_http_sprox_crawl_fetch(lane, ngx_http_sprox_crawl_place)
        != NGX_OK
        || ngx_array_init(&lane->places, lane->pool, 16, sizeof(sprox_str_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    f = lane->fetch;
    n = ngx_http_sprox_crawl_branch(lane);

    f->req.delimiter = sprox_str_lit("/");
    f->req.prefix = sprox_str_make(lane->after, lane->level);
    f->req.start_after = sprox_str_make(lane->after, lane->after_len);

    if (n != lane->level) {

        /* "a/b0" is right behind all that begins with "a/b/" */

        p = ngx_pnalloc(f->pool, n);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, lane->after, n);
        p[n - 1] = '/' + 1;

        f->req.start_after = sprox_str_make(p, n);
    }

    ngx_http_sprox_fetch_start(f);

    return NGX_OK;
}


/* The length of the branch of lane->level that `after` is in, or level. */

static size_t
ngx_http_sprox_crawl_branch(ngx_http_sprox_crawl_lane_t *lane)
{
    u_char  *p;

    if (lane->level >= lane->after_len) {
        return lane->level;
    }

    p = ngx_strlchr(lane->after + lane->level, lane->after + lane->after_len,
                    '/');

    return p ? (size_t) (p + 1 - lane->after) : lane->level;
}


static void
ngx_http_sprox_crawl_probed(ngx_http_sprox_crawl_lane_t *lane)
{
    size_t  level;

    level = ngx_http_sprox_crawl_branch(lane);

    if (lane->places.nelts == 0 && level != lane->level
        && ++lane->depth < NGX_HTTP_SPROX_CRAWL_LEVELS)
    {
        lane->level = level;
        ngx_http_sprox_crawl_lane_drop(lane);

        if (ngx_http_sprox_crawl_level(lane) == NGX_OK) {
            return;
        }

        ngx_http_sprox_job_again(lane->crawl->job, "there is no memory");
        return;
    }

    lane->probe = 0;

    ngx_http_sprox_crawl_places(lane);
}
