/*
 * Dates: what is read is written and read again as the same moment; and any
 * moment at all can be written.
 */

#include <assert.h>

#include "sprox_time.h"


#define YEAR_0      (-62167219200LL)
#define YEAR_9999   253402300799LL


static void
check_http(sprox_str_t s)
{
    int64_t  t, again;
    uint8_t  out[SPROX_TIME_HTTP_LEN];

    if (sprox_time_parse_http(s, &t) != SPROX_OK) {
        return;
    }

    /* a second of leap may lie one behind the last that can be written */

    assert(t >= YEAR_0 && t <= YEAR_9999 + 1);
    sprox_time_http(t, out);
    assert(sprox_time_parse_http(sprox_str_make(out, sizeof(out)), &again)
           == SPROX_OK);
    assert(again == t || t == YEAR_9999 + 1);
}


static void
check_iso(sprox_str_t s)
{
    int64_t  t, again;
    uint8_t  out[SPROX_TIME_ISO_LEN];

    if (sprox_time_parse_iso(s, &t) != SPROX_OK) {
        return;
    }

    sprox_time_iso(t, out);
    assert(sprox_time_parse_iso(sprox_str_make(out, sizeof(out)), &again)
           == SPROX_OK);

    /* a zone may move it out of the years that can be written */

    assert(again == t || t < YEAR_0 * 1000 || t > YEAR_9999 * 1000 + 999);
}


static void
check_amz(sprox_str_t s)
{
    int64_t  t, again;
    uint8_t  out[SPROX_TIME_AMZ_LEN];

    if (sprox_time_parse_amz(s, &t) != SPROX_OK) {
        return;
    }

    sprox_time_amz(t, out);
    assert(sprox_time_parse_amz(sprox_str_make(out, sizeof(out)), &again)
           == SPROX_OK);
    assert(again == t || t == YEAR_9999 + 1);
}


static void
check_moment(int64_t t)
{
    int64_t  again;
    uint8_t  iso[SPROX_TIME_ISO_LEN], http[SPROX_TIME_HTTP_LEN];

    sprox_time_iso(t, iso);
    assert(sprox_time_parse_iso(sprox_str_make(iso, sizeof(iso)), &again)
           == SPROX_OK);
    assert(again == t || t < YEAR_0 * 1000 || t > YEAR_9999 * 1000 + 999);

    sprox_time_http(t, http);
    assert(sprox_time_parse_http(sprox_str_make(http, sizeof(http)), &again)
           == SPROX_OK);
    assert(again == t || t < YEAR_0 || t > YEAR_9999);
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t      t;
    sprox_str_t  s;

    s = sprox_str_make(data, size);

    check_http(s);
    check_iso(s);
    check_amz(s);

    if (size >= sizeof(t)) {
        memcpy(&t, data, sizeof(t));
        check_moment(t);
        check_moment(t % YEAR_9999);
    }

    return 0;
}
