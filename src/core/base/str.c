/*
 * Work on byte strings that is too long to be inline.
 *
 * A string may be empty with a NULL pointer: no function here hands such a
 * pointer to libc, whose memory functions forbid it even for no bytes.
 */

#include "sprox_base.h"


static inline uint8_t
sprox_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? (uint8_t) (c | 0x20) : c;
}


int
sprox_str_cmp(sprox_str_t a, sprox_str_t b)
{
    int     rc;
    size_t  n;

    n = (a.len < b.len) ? a.len : b.len;

    if (n != 0) {
        rc = memcmp(a.data, b.data, n);

        if (rc != 0) {
            return rc;
        }
    }

    if (a.len == b.len) {
        return 0;
    }

    return (a.len < b.len) ? -1 : 1;
}


int
sprox_str_case_eq(sprox_str_t a, sprox_str_t b)
{
    size_t  i;

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        if (sprox_lower(a.data[i]) != sprox_lower(b.data[i])) {
            return 0;
        }
    }

    return 1;
}


sprox_str_t
sprox_str_dup(const sprox_mem_t *mem, sprox_str_t s)
{
    uint8_t  *p;

    if (s.len == SIZE_MAX) {
        return sprox_str_null;
    }

    p = sprox_alloc(mem, s.len + 1);
    if (p == NULL) {
        return sprox_str_null;
    }

    if (s.len != 0) {
        memcpy(p, s.data, s.len);
    }

    p[s.len] = '\0';

    return sprox_str_make(p, s.len);
}


sprox_rc_t
sprox_str_u64(sprox_str_t s, uint64_t *value)
{
    size_t    i;
    uint8_t   digit;
    uint64_t  n;
    unsigned  over;

    if (s.len == 0) {
        return SPROX_INVALID;
    }

    n = 0;
    over = 0;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] < '0' || s.data[i] > '9') {
            return SPROX_INVALID;
        }

        digit = (uint8_t) (s.data[i] - '0');

        /* goes on after an overflow: a later letter is still INVALID */

        if (n > (UINT64_MAX - digit) / 10) {
            over = 1;
            continue;
        }

        n = n * 10 + digit;
    }

    if (over) {
        return SPROX_LIMIT;
    }

    *value = n;

    return SPROX_OK;
}


size_t
sprox_str_find(sprox_str_t s, sprox_str_t needle, size_t off)
{
    const uint8_t  *p, *last;

    if (off > s.len || needle.len > s.len - off) {
        return (size_t) -1;
    }

    if (needle.len == 0) {
        return off;
    }

    p = s.data + off;
    last = s.data + s.len - needle.len;

    while (p <= last) {

        p = memchr(p, needle.data[0], (size_t) (last - p) + 1);

        if (p == NULL) {
            break;
        }

        if (memcmp(p, needle.data, needle.len) == 0) {
            return (size_t) (p - s.data);
        }

        p++;
    }

    return (size_t) -1;
}


size_t
sprox_str_common(sprox_str_t a, sprox_str_t b)
{
    size_t  i, n;

    n = a.len < b.len ? a.len : b.len;

    for (i = 0; i < n && a.data[i] == b.data[i]; i++) {
        /* void */
    }

    return i;
}


sprox_str_t
sprox_str_trim(sprox_str_t s)
{
    while (s.len != 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }

    while (s.len != 0
           && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
    {
        s.len--;
    }

    return s;
}


int
sprox_hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c = sprox_lower(c);

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}
