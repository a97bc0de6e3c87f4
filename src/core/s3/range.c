/*
 * Range and Content-Range (RFC 9110 section 14).
 *
 *   Range          bytes=FIRST-LAST | bytes=FIRST- | bytes=-LENGTH
 *   Content-Range  bytes FIRST-LAST/TOTAL | bytes FIRST-LAST/STAR
 *                  | bytes STAR/TOTAL
 *
 * The two are read with different rigour.  What clients send is read as S3
 * reads it: whatever is not understood, or asks for several ranges, means
 * the whole object.  What origins send decides where bytes go in an object,
 * so whatever is not exact is refused.
 */

#include "sprox_range.h"


static int
sprox_range_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}


static size_t
sprox_range_skip(sprox_str_t s, size_t i)
{
    while (i < s.len && sprox_range_space(s.data[i])) {
        i++;
    }

    return i;
}


/* Digits from *pos on, saturating; 0 when there are none. */

static int
sprox_range_number(sprox_str_t s, size_t *pos, uint64_t *value)
{
    size_t    i;
    uint64_t  n, digit;

    n = 0;

    for (i = *pos; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++) {
        digit = s.data[i] - '0';

        if (n > (SPROX_RANGE_INFINITE - digit) / 10) {
            n = SPROX_RANGE_INFINITE;

        } else {
            n = n * 10 + digit;
        }
    }

    if (i == *pos) {
        return 0;
    }

    *pos = i;
    *value = n;

    return 1;
}


/* Whether s starts with the unit; then *pos is behind it. */

static int
sprox_range_unit(sprox_str_t s, size_t *pos)
{
    sprox_str_t  unit = sprox_str("bytes");

    if (s.len < unit.len
        || !sprox_str_case_eq(sprox_str_make(s.data, unit.len), unit))
    {
        return 0;
    }

    *pos = unit.len;

    return 1;
}


void
sprox_range_parse(sprox_str_t value, sprox_range_t *range)
{
    int       has_first, has_last;
    size_t    i;
    uint64_t  first, last;

    range->kind = SPROX_RANGE_NONE;
    range->first = 0;
    range->last = 0;

    if (value.len > SPROX_RANGE_HEADER_MAX) {
        return;
    }

    value = sprox_str_trim(value);

    if (!sprox_range_unit(value, &i)) {
        return;
    }

    i = sprox_range_skip(value, i);

    if (i == value.len || value.data[i] != '=') {
        return;
    }

    first = 0;
    last = 0;

    i = sprox_range_skip(value, i + 1);
    has_first = sprox_range_number(value, &i, &first);
    i = sprox_range_skip(value, i);

    if (i == value.len || value.data[i] != '-') {
        return;
    }

    i = sprox_range_skip(value, i + 1);
    has_last = sprox_range_number(value, &i, &last);

    /* what follows is a second range, or no range at all */

    if (sprox_range_skip(value, i) != value.len) {
        return;
    }

    if (has_first && has_last) {
        if (last < first) {
            return;
        }

        range->kind = SPROX_RANGE_FROM_TO;

    } else if (has_first) {
        range->kind = SPROX_RANGE_FROM;

    } else if (has_last) {
        range->kind = SPROX_RANGE_SUFFIX;

    } else {
        return;
    }

    range->first = first;
    range->last = last;
}


sprox_rc_t
sprox_range_resolve(const sprox_range_t *range, uint64_t size,
    uint64_t *start, uint64_t *end)
{
    *start = 0;
    *end = size;

    switch (range->kind) {

    case SPROX_RANGE_NONE:
        return SPROX_OK;

    case SPROX_RANGE_FROM_TO:
        if (range->last < range->first || range->first >= size) {
            return SPROX_INVALID;
        }

        *start = range->first;

        /* size is above last here, so that last + 1 cannot overflow */

        if (range->last < size) {
            *end = range->last + 1;
        }

        return SPROX_OK;

    case SPROX_RANGE_FROM:
        if (range->first >= size) {
            return SPROX_INVALID;
        }

        *start = range->first;

        return SPROX_OK;

    case SPROX_RANGE_SUFFIX:
        if (range->last == 0 || size == 0) {
            return SPROX_INVALID;
        }

        if (range->last < size) {
            *start = size - range->last;
        }

        return SPROX_OK;
    }

    return SPROX_INVALID;
}


/* As above, but SPROX_RANGE_INFINITE is no number. */

static int
sprox_content_range_number(sprox_str_t s, size_t *pos, uint64_t *value)
{
    return sprox_range_number(s, pos, value)
           && *value < SPROX_RANGE_INFINITE;
}


static int
sprox_content_range_char(sprox_str_t s, size_t *pos, uint8_t c)
{
    if (*pos >= s.len || s.data[*pos] != c) {
        return 0;
    }

    (*pos)++;

    return 1;
}


sprox_rc_t
sprox_content_range_parse(sprox_str_t value, sprox_content_range_t *cr)
{
    size_t  i;

    memset(cr, 0, sizeof(sprox_content_range_t));

    value = sprox_str_trim(value);

    if (value.len > SPROX_RANGE_HEADER_MAX
        || !sprox_range_unit(value, &i)
        || i == value.len
        || !sprox_range_space(value.data[i]))
    {
        return SPROX_INVALID;
    }

    i = sprox_range_skip(value, i);

    if (!sprox_content_range_char(value, &i, '*')) {

        if (!sprox_content_range_number(value, &i, &cr->first)
            || !sprox_content_range_char(value, &i, '-')
            || !sprox_content_range_number(value, &i, &cr->last)
            || cr->last < cr->first)
        {
            return SPROX_INVALID;
        }

        cr->satisfied = 1;
    }

    if (!sprox_content_range_char(value, &i, '/')) {
        return SPROX_INVALID;
    }

    if (cr->satisfied && sprox_content_range_char(value, &i, '*')) {
        return i == value.len ? SPROX_OK : SPROX_INVALID;
    }

    if (!sprox_content_range_number(value, &i, &cr->total)
        || i != value.len
        || (cr->satisfied && cr->last >= cr->total))
    {
        return SPROX_INVALID;
    }

    cr->total_known = 1;

    return SPROX_OK;
}
