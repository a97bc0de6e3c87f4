/*
 * The Range header (RFC 9110 section 14) as S3 reads it: one bytes range;
 * several, or anything not understood, are ignored and the whole object is
 * answered.
 */

#ifndef SPROX_RANGE_H
#define SPROX_RANGE_H


#include "sprox_buf.h"


#define SPROX_RANGE_HEADER_MAX   1024   /* longer is ignored */
#define SPROX_RANGE_INFINITE     ((uint64_t) INT64_MAX)


typedef enum {
    SPROX_RANGE_NONE = 0,
    SPROX_RANGE_FROM_TO,                /* bytes=first-last */
    SPROX_RANGE_FROM,                   /* bytes=first- */
    SPROX_RANGE_SUFFIX                  /* bytes=-last (last: the length) */
} sprox_range_kind_t;


typedef struct {
    sprox_range_kind_t  kind;
    uint64_t            first;
    uint64_t            last;           /* inclusive; or the suffix length */
} sprox_range_t;


/* Content-Range of a response: bytes first-last/total or bytes STAR/total. */

typedef struct {
    uint64_t            first;
    uint64_t            last;           /* inclusive */
    uint64_t            total;
    unsigned            satisfied:1;    /* 0: the STAR form, only total holds */
    unsigned            total_known:1;  /* 0: total was a STAR */
} sprox_content_range_t;


/*
 * Never fails: what S3 ignores is SPROX_RANGE_NONE.  Numbers above 2^63 - 1
 * (SPROX_RANGE_INFINITE) become that: no object is as large.
 */
void sprox_range_parse(sprox_str_t value, sprox_range_t *range);

/*
 * The half-open [*start, *end) of the range in an object of that size.
 * SPROX_OK (RANGE_NONE: the whole object), or SPROX_INVALID: 416
 * InvalidRange (first beyond the end, suffix of 0, any range of an empty
 * object).
 */
sprox_rc_t sprox_range_resolve(const sprox_range_t *range, uint64_t size,
    uint64_t *start, uint64_t *end);

/*
 * SPROX_OK or SPROX_INVALID (also when last < first, last >= total, or a
 * number is SPROX_RANGE_INFINITE or more).
 */
sprox_rc_t sprox_content_range_parse(sprox_str_t value,
    sprox_content_range_t *cr);


#endif /* SPROX_RANGE_H */
