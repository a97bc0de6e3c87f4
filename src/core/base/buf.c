/*
 * The growing buffer behind every text that the core writes.
 *
 *   data             len                      cap
 *    |  content       |   room                 |
 *
 * Memory doubles, so that n appends cost O(n).  The first failure sets
 * `failed`; what was in the buffer then stays, and later appends do nothing,
 * so a text never has a hole in it.
 */

#include <openssl/crypto.h>

#include "sprox_buf.h"


#define SPROX_BUF_MIN        64
#define SPROX_U64_DIGITS     20


void
sprox_buf_init(sprox_buf_t *b, const sprox_mem_t *mem)
{
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    b->mem = mem;
    b->failed = 0;
}


void
sprox_buf_free(sprox_buf_t *b)
{
    if (b->data != NULL) {
        sprox_free(b->mem, b->data);
    }

    sprox_buf_init(b, b->mem);
}


void
sprox_buf_wipe(sprox_buf_t *b)
{
    if (b->data != NULL) {
        OPENSSL_cleanse(b->data, b->cap);
    }

    sprox_buf_free(b);
}


sprox_rc_t
sprox_buf_reserve(sprox_buf_t *b, size_t n)
{
    size_t    cap;
    uint8_t  *p;

    if (b->failed) {
        return SPROX_NOMEM;
    }

    if (n <= b->cap - b->len) {
        return SPROX_OK;
    }

    if (n > SIZE_MAX - b->len) {
        goto failed;
    }

    cap = (b->cap > SIZE_MAX / 2) ? SIZE_MAX : b->cap * 2;

    if (cap < SPROX_BUF_MIN) {
        cap = SPROX_BUF_MIN;
    }

    if (cap < b->len + n) {
        cap = b->len + n;
    }

    p = sprox_alloc(b->mem, cap);
    if (p == NULL) {
        goto failed;
    }

    if (b->data != NULL) {
        memcpy(p, b->data, b->len);

        /* no copy of a secret may stay behind in freed memory */

        OPENSSL_cleanse(b->data, b->cap);
        sprox_free(b->mem, b->data);
    }

    b->data = p;
    b->cap = cap;

    return SPROX_OK;

failed:

    b->failed = 1;

    return SPROX_NOMEM;
}


/* What most appends find; the rest is the same with or without it. */

static inline int
has_room(const sprox_buf_t *b, size_t n)
{
    return !b->failed && n <= b->cap - b->len;
}


void
sprox_buf_add(sprox_buf_t *b, const void *data, size_t len)
{
    if (len == 0
        || (!has_room(b, len) && sprox_buf_reserve(b, len) != SPROX_OK))
    {
        return;
    }

    memcpy(b->data + b->len, data, len);
    b->len += len;
}


void
sprox_buf_str(sprox_buf_t *b, sprox_str_t s)
{
    sprox_buf_add(b, s.data, s.len);
}


void
sprox_buf_text(sprox_buf_t *b, const char *text)
{
    sprox_buf_add(b, text, strlen(text));
}


void
sprox_buf_char(sprox_buf_t *b, int c)
{
    if (!has_room(b, 1) && sprox_buf_reserve(b, 1) != SPROX_OK) {
        return;
    }

    b->data[b->len++] = (uint8_t) c;
}


void
sprox_buf_u64(sprox_buf_t *b, uint64_t n)
{
    size_t   i;
    uint8_t  digits[SPROX_U64_DIGITS];

    i = SPROX_U64_DIGITS;

    do {
        digits[--i] = (uint8_t) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    sprox_buf_add(b, digits + i, SPROX_U64_DIGITS - i);
}


sprox_rc_t
sprox_buf_rc(const sprox_buf_t *b)
{
    return b->failed ? SPROX_NOMEM : SPROX_OK;
}


sprox_str_t
sprox_buf_get(const sprox_buf_t *b)
{
    return sprox_str_make(b->data, b->len);
}
