/*
 * Crawls: a region of a bucket is listed from its beginning to its end, and
 * from then on the catalog knows all that is there.  A job (see _job.h), of
 * the kind "crawl" or, for a region that was complete before, "reload".
 *
 * The region of an alias is what lies below the literal beginning of its
 * target's prefix: of "lake://b/tables/$name/x" that is "tables/" in b.
 */

#ifndef _NGX_HTTP_SPROX_CRAWL_H_INCLUDED_
#define _NGX_HTTP_SPROX_CRAWL_H_INCLUDED_


#include "ngx_http_sprox_job.h"


/* Pages of one crawl that are asked for at a time. */
#define NGX_HTTP_SPROX_CRAWL_LANES   8


extern const ngx_http_sprox_job_kind_t  ngx_http_sprox_crawl_kind;
extern const ngx_http_sprox_job_kind_t  ngx_http_sprox_reload_kind;


/* A worker begins: which aliases' regions lie in those of others. */
void ngx_http_sprox_crawl_start(ngx_http_sprox_main_conf_t *mcf);

/*
 * The region of an alias in a bucket of its origin.  *prefix: of the
 * configuration.  NGX_OK; NGX_DECLINED: the alias' target is never in that
 * bucket.
 */
ngx_int_t ngx_http_sprox_region(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, sprox_str_t *prefix);

/*
 * The only bucket that an alias' target is in.  NGX_OK; NGX_DECLINED: it
 * depends on a variable.
 */
ngx_int_t ngx_http_sprox_region_bucket(ngx_http_sprox_alias_t *alias,
    sprox_str_t *bucket);

/*
 * A listing of the alias, in that bucket of its origin, wants the catalog to
 * answer: begins a crawl of the region unless it is complete and, with
 * `reload`, recent, or a crawl of it, or of one that it lies in, is queued,
 * runs, or failed lately.  NGX_OK: one was queued; NGX_DECLINED.
 */
ngx_int_t ngx_http_sprox_crawl_want(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket);

/* The same at once, whatever is known: as for ngx_http_sprox_job_add(). */
ngx_int_t ngx_http_sprox_crawl_ask(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, ngx_http_sprox_job_info_t *info);

/*
 * Now and then: what is due of the aliases whose bucket is known.  It looks
 * at some of them: NGX_AGAIN: there are more, for another turn of the event
 * loop; NGX_OK: those were the last, and the next call begins anew.
 */
ngx_int_t ngx_http_sprox_crawl_due(ngx_http_sprox_main_conf_t *mcf);


#endif /* _NGX_HTTP_SPROX_CRAWL_H_INCLUDED_ */
