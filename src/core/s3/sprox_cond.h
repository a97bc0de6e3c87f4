/*
 * Conditional requests with S3's precedence (S3 API, GetObject, "Request
 * headers"; RFC 9110 section 13.2.2):
 *
 *   If-Match true  beats  If-Unmodified-Since false   -> go on
 *   If-None-Match false (it matches)  beats  If-Modified-Since true -> 304
 */

#ifndef SPROX_COND_H
#define SPROX_COND_H


#include "sprox_base.h"


typedef struct {                     /* header values; empty: not sent */
    sprox_str_t  if_match;
    sprox_str_t  if_none_match;
    sprox_str_t  if_modified_since;
    sprox_str_t  if_unmodified_since;
    sprox_str_t  if_range;
} sprox_cond_t;


typedef enum {
    SPROX_COND_PROCEED = 0,
    SPROX_COND_NOT_MODIFIED,         /* 304 */
    SPROX_COND_FAILED                /* 412 PreconditionFailed */
} sprox_cond_result_t;


/*
 * etag: with its quotes, as sent to clients.  Clients' lists may hold
 * several tags, "*", weak tags, and tags without quotes (S3 takes them).
 * A date that cannot be read is as if it were not sent.  last_modified:
 * seconds; negative when unknown, dates are then passed over.
 *
 * If-None-Match compares weakly.  If-Match takes a weak tag only for the
 * same weak tag: an engine that got W/"x" from our own listing must be able
 * to pin it.
 */
sprox_cond_result_t sprox_cond_check(const sprox_cond_t *cond,
    sprox_str_t etag, int64_t last_modified);

/*
 * Whether a Range may be honoured: no If-Range, or it matches (a strong
 * tag, or a date that is exactly last_modified).
 */
int sprox_cond_range(const sprox_cond_t *cond, sprox_str_t etag,
    int64_t last_modified);


#endif /* SPROX_COND_H */
