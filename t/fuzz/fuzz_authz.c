/*
 * Authorization headers of clients: what is taken lies in the text, and is
 * taken again when it is written anew.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_sigv4.h"


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


static void
inside(sprox_str_t part, sprox_str_t whole)
{
    assert(part.len != 0);
    assert(part.data >= whole.data
           && part.data + part.len <= whole.data + whole.len);
}


static void
credential(sprox_buf_t *b, const sprox_authz_t *a)
{
    sprox_buf_str(b, a->access_key);
    sprox_buf_char(b, '/');
    sprox_buf_str(b, a->date);
    sprox_buf_char(b, '/');
    sprox_buf_str(b, a->region);
    sprox_buf_char(b, '/');
    sprox_buf_str(b, a->service);
    sprox_buf_text(b, "/aws4_request");
}


static void
same(const sprox_authz_t *a, const sprox_authz_t *b)
{
    assert(sprox_str_eq(a->access_key, b->access_key));
    assert(sprox_str_eq(a->date, b->date));
    assert(sprox_str_eq(a->region, b->region));
    assert(sprox_str_eq(a->service, b->service));
    assert(sprox_str_eq(a->signed_headers, b->signed_headers));
    assert(sprox_str_eq(a->signature, b->signature));
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_buf_t    b;
    sprox_str_t    s;
    sprox_authz_t  a, again;

    s = sprox_str_make(data, size);
    sprox_buf_init(&b, &mem);
    memset(&a, 0, sizeof(a));
    memset(&again, 0, sizeof(again));

    if (sprox_authz_credential(s, &a) == SPROX_OK) {
        inside(a.access_key, s);
        inside(a.date, s);
        inside(a.region, s);
        inside(a.service, s);

        credential(&b, &a);
        assert(sprox_str_eq(sprox_buf_get(&b), s));
        sprox_buf_free(&b);
    }

    if (sprox_authz_parse(s, &a) == SPROX_OK) {
        inside(a.access_key, s);
        inside(a.signed_headers, s);
        inside(a.signature, s);
        assert(a.signature.len == SPROX_SIGV4_LEN);

        sprox_buf_text(&b, "AWS4-HMAC-SHA256 Credential=");
        credential(&b, &a);
        sprox_buf_text(&b, ", SignedHeaders=");
        sprox_buf_str(&b, a.signed_headers);
        sprox_buf_text(&b, ", Signature=");
        sprox_buf_str(&b, a.signature);

        assert(sprox_authz_parse(sprox_buf_get(&b), &again) == SPROX_OK);
        same(&a, &again);
        sprox_buf_free(&b);
    }

    return 0;
}
