/*
 * Dates in and out; all times are seconds (or milliseconds, where the name
 * says so) since 1970-01-01T00:00:00Z.  No clock is read here.
 */

#ifndef SPROX_TIME_H
#define SPROX_TIME_H


#include "sprox_base.h"


#define SPROX_TIME_HTTP_LEN     29   /* Sun, 06 Nov 1994 08:49:37 GMT */
#define SPROX_TIME_ISO_LEN      24   /* 1994-11-06T08:49:37.000Z */
#define SPROX_TIME_AMZ_LEN      16   /* 19941106T084937Z */


/*
 * HTTP-date (RFC 9110 section 5.6.7): IMF-fixdate, and for reading also
 * RFC 850 and asctime forms.  The day of the week must be one, but need
 * not be the right one.  SPROX_OK or SPROX_INVALID.
 */
sprox_rc_t sprox_time_parse_http(sprox_str_t s, int64_t *sec);

/* ISO 8601 as in S3's XML: with or without a fraction, 'Z' or +hh:mm. */
sprox_rc_t sprox_time_parse_iso(sprox_str_t s, int64_t *msec);

/* 19941106T084937Z */
sprox_rc_t sprox_time_parse_amz(sprox_str_t s, int64_t *sec);

/*
 * Each writes exactly the length above; no NUL.  Times outside the years 0
 * to 9999 are cut to the nearest that four digits can say.
 */
void sprox_time_http(int64_t sec, uint8_t *out);
void sprox_time_iso(int64_t msec, uint8_t *out);
void sprox_time_amz(int64_t sec, uint8_t *out);


/*
 * When something was proved, or 0: what lies in the future was proved by a
 * clock that was ahead, and nobody knows when.  Milliseconds.
 */
int64_t sprox_proof(int64_t proved, int64_t now);

/*
 * How long ago it was proved, in milliseconds, never less than 0; the whole
 * of now where nobody knows.  That now is the beginning of a process's turn,
 * and another one may be SPROX_TURN further: then it is 0.
 */
#define SPROX_TURN              5000

int64_t sprox_age(int64_t proved, int64_t now);


#endif /* SPROX_TIME_H */
