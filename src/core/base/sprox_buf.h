/*
 * A growing byte buffer.  Appends never fail one by one: the first failed
 * allocation marks the buffer, later appends do nothing, and the caller
 * asks once, at the end, with sprox_buf_rc().
 */

#ifndef SPROX_BUF_H
#define SPROX_BUF_H


#include "sprox_base.h"


typedef struct {
    uint8_t            *data;      /* owned; from mem */
    size_t              len;
    size_t              cap;
    const sprox_mem_t  *mem;
    unsigned            failed:1;
} sprox_buf_t;


/* An empty buffer; nothing is allocated until the first append. */
void sprox_buf_init(sprox_buf_t *b, const sprox_mem_t *mem);

/* Frees the memory; the buffer is as after init. */
void sprox_buf_free(sprox_buf_t *b);

/* Wipes the content (OPENSSL_cleanse), then as sprox_buf_free(). */
void sprox_buf_wipe(sprox_buf_t *b);

/*
 * Room for n more bytes; SPROX_OK or SPROX_NOMEM (the buffer is then
 * marked failed).  Growing wipes the old memory when it is freed, so that
 * secrets may be built in a buffer.
 */
sprox_rc_t sprox_buf_reserve(sprox_buf_t *b, size_t n);

void sprox_buf_add(sprox_buf_t *b, const void *data, size_t len);
void sprox_buf_str(sprox_buf_t *b, sprox_str_t s);
void sprox_buf_text(sprox_buf_t *b, const char *text);   /* NUL-terminated */
#define sprox_buf_lit(b, text)  sprox_buf_add(b, text, sizeof(text) - 1)
void sprox_buf_char(sprox_buf_t *b, int c);
void sprox_buf_u64(sprox_buf_t *b, uint64_t n);          /* decimal */

/* SPROX_OK or SPROX_NOMEM. */
sprox_rc_t sprox_buf_rc(const sprox_buf_t *b);

/* What is in the buffer now; valid until the next append. */
sprox_str_t sprox_buf_get(const sprox_buf_t *b);


#endif /* SPROX_BUF_H */
