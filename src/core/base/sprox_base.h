/*
 * sprox core: the words that every other core file uses.
 *
 * The core is plain C11.  It never blocks, logs, or reads a clock: time
 * and memory come in as arguments, network work goes out as requests that
 * the caller performs.  Nothing here includes nginx.
 */

#ifndef SPROX_BASE_H
#define SPROX_BASE_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>


/*
 * Bytes with a length; never NUL-terminated by contract.  Passed by value.
 * It owns nothing: each function says whose memory a result points into.
 */

typedef struct {
    size_t          len;
    const uint8_t  *data;
} sprox_str_t;


#define sprox_str(text)       { sizeof(text) - 1, (const uint8_t *) (text) }
#define sprox_str_lit(text)                                                   \
    ((sprox_str_t) { sizeof(text) - 1, (const uint8_t *) (text) })
#define sprox_str_null        ((sprox_str_t) { 0, NULL })


/* The only return codes of the core; nginx's never enter it. */

typedef enum {
    SPROX_OK = 0,
    SPROX_NOMEM,            /* an allocation failed; nothing was changed */
    SPROX_INVALID,          /* the input breaks its grammar */
    SPROX_LIMIT,            /* a named limit was passed */
    SPROX_NOT_FOUND,
    SPROX_AGAIN,            /* more input, or more work, is needed */
    SPROX_DONE,             /* nothing is left to do */
    SPROX_FULL              /* no room, even after eviction */
} sprox_rc_t;


/*
 * Where memory comes from: a pool, a malloc, or a test that fails on
 * demand.  alloc() returns memory aligned for any type, or NULL.  free()
 * may do nothing (pools); p may be NULL.
 */

typedef struct {
    void  *(*alloc)(void *ctx, size_t size);
    void   (*free)(void *ctx, void *p);
    void    *ctx;
} sprox_mem_t;


static inline void *
sprox_alloc(const sprox_mem_t *mem, size_t size)
{
    return mem->alloc(mem->ctx, size);
}


static inline void
sprox_free(const sprox_mem_t *mem, void *p)
{
    mem->free(mem->ctx, p);
}


static inline sprox_str_t
sprox_str_make(const void *data, size_t len)
{
    sprox_str_t  s;

    s.len = len;
    s.data = data;

    return s;
}


static inline int
sprox_str_eq(sprox_str_t a, sprox_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


static inline int
sprox_str_starts(sprox_str_t s, sprox_str_t prefix)
{
    return s.len >= prefix.len
           && (prefix.len == 0
               || memcmp(s.data, prefix.data, prefix.len) == 0);
}


static inline int
sprox_str_ends(sprox_str_t s, sprox_str_t suffix)
{
    return s.len >= suffix.len
           && (suffix.len == 0
               || memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len)
                  == 0);
}


/* What follows the first off bytes; empty when there is nothing. */

static inline sprox_str_t
sprox_str_from(sprox_str_t s, size_t off)
{
    if (off >= s.len) {
        return sprox_str_make(s.len == 0 ? s.data : s.data + s.len, 0);
    }

    return sprox_str_make(s.data + off, s.len - off);
}


/* A number in little endian, as it stands in files: 1 to 8 bytes. */

static inline void
sprox_number_put(uint8_t *p, uint64_t n, size_t bytes)
{
    for ( /* void */ ; bytes; bytes--) {
        *p++ = (uint8_t) n;
        n >>= 8;
    }
}


static inline uint64_t
sprox_number_get(const uint8_t *p, size_t bytes)
{
    uint64_t  n;

    for (n = 0; bytes; bytes--) {
        n = n << 8 | p[bytes - 1];
    }

    return n;
}


/*
 * All of the following are in base/str.c.
 *
 * sprox_str_cmp: byte order, as S3 sorts keys; <0, 0 or >0.
 * sprox_str_case_eq: equality that ignores ASCII case.
 * sprox_str_dup: a copy from mem (the caller's to free), NUL-terminated
 *     beyond its length; data is NULL when memory ran out.
 * sprox_str_u64: decimal digits only, at least one, no sign, no overflow:
 *     SPROX_OK, SPROX_INVALID or SPROX_LIMIT (overflow).
 * sprox_str_find: offset of needle in s from off, or (size_t) -1.
 * sprox_str_common: how many bytes both begin with.
 * sprox_str_trim: without spaces and tabs at both ends; points into s.
 * sprox_hex_value: of a hexadecimal digit in either case; -1: it is none.
 */

int sprox_str_cmp(sprox_str_t a, sprox_str_t b);
int sprox_str_case_eq(sprox_str_t a, sprox_str_t b);
sprox_str_t sprox_str_dup(const sprox_mem_t *mem, sprox_str_t s);
sprox_rc_t sprox_str_u64(sprox_str_t s, uint64_t *value);
size_t sprox_str_find(sprox_str_t s, sprox_str_t needle, size_t off);
size_t sprox_str_common(sprox_str_t a, sprox_str_t b);
sprox_str_t sprox_str_trim(sprox_str_t s);
int sprox_hex_value(uint8_t c);


#endif /* SPROX_BASE_H */
