/*
 * Conditional requests with S3's precedence (S3 API, GetObject, "Request
 * headers"; RFC 9110 section 13.2.2):
 *
 *   If-Match true  beats  If-Unmodified-Since false   -> go on
 *   If-None-Match false (it matches)  beats  If-Modified-Since true -> 304
 *
 * And ETags as they come, made such as conditions compare them.
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

/*
 * Writes an ETag out of a header, a listing or an event as it stands in a
 * header: in quotes, which some leave out, and with nothing that could end
 * the header (RFC 9110 section 8.8.3); a weak one stays weak.  out has room
 * for text.len + SPROX_ETAG_QUOTES bytes; returns how many were written.
 * SPROX_NOT_FOUND: there is nothing in it; SPROX_INVALID: it is none.
 */
#define SPROX_ETAG_QUOTES  2

sprox_rc_t sprox_etag_quote(sprox_str_t text, uint8_t *out, size_t *len);


#endif /* SPROX_COND_H */
