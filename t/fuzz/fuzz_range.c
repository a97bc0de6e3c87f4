/*
 * A Range is resolved for many sizes, and the same text is read as a
 * Content-Range: bounds always lie within the object.
 */

#include <stdio.h>

#include "fuzz_s3.h"
#include "sprox_range.h"


static void
range_resolve(sprox_range_t *range, uint64_t size)
{
    uint64_t    start, end;
    sprox_rc_t  rc;

    rc = sprox_range_resolve(range, size, &start, &end);

    if (rc == SPROX_OK) {
        assert(start <= end && end <= size);
        assert(start < end || (range->kind == SPROX_RANGE_NONE && size == 0));
        return;
    }

    assert(rc == SPROX_INVALID && range->kind != SPROX_RANGE_NONE);
}


static void
range_content(const sprox_content_range_t *cr)
{
    int                    n;
    char                   text[128];
    sprox_rc_t             rc;
    sprox_content_range_t  again;

    assert(cr->satisfied || cr->total_known);

    if (!cr->satisfied) {
        n = snprintf(text, sizeof(text), "bytes */%llu",
                     (unsigned long long) cr->total);

    } else if (!cr->total_known) {
        n = snprintf(text, sizeof(text), "bytes %llu-%llu/*",
                     (unsigned long long) cr->first,
                     (unsigned long long) cr->last);

    } else {
        assert(cr->last < cr->total);

        n = snprintf(text, sizeof(text), "bytes %llu-%llu/%llu",
                     (unsigned long long) cr->first,
                     (unsigned long long) cr->last,
                     (unsigned long long) cr->total);
    }

    assert(cr->first <= cr->last && cr->last < SPROX_RANGE_INFINITE);

    rc = sprox_content_range_parse(sprox_str_make(text, (size_t) n), &again);

    assert(rc == SPROX_OK);
    assert(again.satisfied == cr->satisfied);
    assert(again.total_known == cr->total_known);
    assert(again.first == cr->first && again.last == cr->last);
    assert(again.total == cr->total);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 i;
    sprox_str_t            value;
    sprox_range_t          range;
    sprox_content_range_t  cr;

    value = sprox_str_make(data, size);

    sprox_range_parse(value, &range);

    assert(range.first <= SPROX_RANGE_INFINITE);
    assert(range.last <= SPROX_RANGE_INFINITE);

    range_resolve(&range, 0);
    range_resolve(&range, 1);
    range_resolve(&range, range.first);
    range_resolve(&range, range.last);
    range_resolve(&range, range.first + 1);
    range_resolve(&range, range.last + 1);
    range_resolve(&range, INT64_MAX);
    range_resolve(&range, UINT64_MAX);

    for (i = 0; i < 63; i++) {
        range_resolve(&range, (uint64_t) 1 << i);
    }

    if (sprox_content_range_parse(value, &cr) == SPROX_OK) {
        range_content(&cr);
    }

    return 0;
}
