/*
 * Percent-coding there and back, endpoints, and base64url.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_uri.h"
#include "sprox_digest.h"


static void *
fuzz_alloc(void *ctx, size_t size)
{
    (void) ctx;

    return malloc(size);
}


static void
fuzz_free(void *ctx, void *p)
{
    (void) ctx;
    free(p);
}


static const sprox_mem_t  mem = { fuzz_alloc, fuzz_free, NULL };


/* What is encoded decodes to itself, by either reading of '+'. */

static void
round_trip(sprox_str_t s, int keep_slash)
{
    size_t       i, len;
    uint8_t     *dst;
    sprox_buf_t  b;

    sprox_buf_init(&b, &mem);
    sprox_uri_encode(&b, s, keep_slash);
    assert(sprox_buf_rc(&b) == SPROX_OK);

    for (i = 0; i < b.len; i++) {
        assert(b.data[i] > ' ' && b.data[i] < 0x7f && b.data[i] != '+');
    }

    dst = malloc(b.len + 1);
    assert(dst != NULL);

    assert(sprox_uri_decode(sprox_buf_get(&b), keep_slash, dst, &len)
           == SPROX_OK);
    assert(sprox_str_eq(sprox_str_make(dst, len), s));

    free(dst);
    sprox_buf_free(&b);
}


static void
decode(sprox_str_t s, int plus)
{
    size_t    len, in_place;
    uint8_t  *dst, *same;

    dst = malloc(s.len + 1);
    same = malloc(s.len + 1);
    assert(dst != NULL && same != NULL);

    if (s.len != 0) {
        memcpy(same, s.data, s.len);
    }

    if (sprox_uri_decode(s, plus, dst, &len) == SPROX_OK) {
        assert(len <= s.len);
        assert(sprox_uri_decode(sprox_str_make(same, s.len), plus, same,
                                &in_place) == SPROX_OK);
        assert(sprox_str_eq(sprox_str_make(dst, len),
                            sprox_str_make(same, in_place)));
    }

    free(dst);
    free(same);
}


/* An endpoint that was taken is taken again when it is written anew. */

static void
endpoint(sprox_str_t s)
{
    sprox_buf_t        b;
    const char        *why;
    sprox_endpoint_t   ep, again;

    why = NULL;

    if (sprox_endpoint_parse(s, &ep, &why) != SPROX_OK) {
        assert(why != NULL);
        return;
    }

    assert(ep.port != 0 && ep.host.len != 0);
    assert(ep.authority.len >= ep.host.len);
    assert(!(ep.ipv4 && ep.ipv6));

    sprox_buf_init(&b, &mem);
    sprox_buf_text(&b, ep.tls ? "https://" : "http://");
    sprox_buf_str(&b, ep.authority);

    assert(sprox_endpoint_parse(sprox_buf_get(&b), &again, &why) == SPROX_OK);
    assert(sprox_str_eq(ep.host, again.host));
    assert(sprox_str_eq(ep.authority, again.authority));
    assert(ep.port == again.port && ep.tls == again.tls);

    sprox_buf_free(&b);
}


/* Strict: there is one text for each string of bytes. */

static void
base64(sprox_str_t s)
{
    sprox_buf_t  text, bytes;

    sprox_buf_init(&text, &mem);
    sprox_buf_init(&bytes, &mem);

    sprox_base64url(&text, s);
    assert(sprox_base64url_decode(&bytes, sprox_buf_get(&text)) == SPROX_OK);
    assert(sprox_str_eq(sprox_buf_get(&bytes), s));

    sprox_buf_free(&text);
    sprox_buf_free(&bytes);

    if (sprox_base64url_decode(&bytes, s) == SPROX_OK) {
        sprox_base64url(&text, sprox_buf_get(&bytes));
        assert(sprox_str_eq(sprox_buf_get(&text), s));
    }

    sprox_buf_free(&text);
    sprox_buf_free(&bytes);
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_str_t  s;

    s = sprox_str_make(data, size);

    round_trip(s, 0);
    round_trip(s, 1);
    decode(s, 0);
    decode(s, 1);
    endpoint(s);
    base64(s);

    return 0;
}
