/*
 * Shared credentials and config files: the reader of profiles, and the
 * machine that takes keys out of them.  Whatever the file, what is refused
 * leaves no key behind, and what is taken can go into a header.
 *
 * The first byte: bit 0, the file is the config file; bits 1 and 2, the
 * name of the profile.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_cred.h"


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
    if (part.len != 0) {
        assert(part.data >= whole.data
               && part.data + part.len <= whole.data + whole.len);
    }
}


static void
visible(sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        assert(s.data[i] > ' ' && s.data[i] < 0x7f);
    }
}


static sprox_rc_t
machine(sprox_cred_t *c, sprox_str_t text, int config)
{
    int                is_config;
    sprox_rc_t         rc;
    sprox_cred_want_t  want;

    while ((rc = sprox_cred_next(c, &want)) == SPROX_AGAIN) {

        if (want.kind == SPROX_WANT_FILE) {
            is_config = sprox_str_ends(want.name, sprox_str_lit("config"));
            rc = sprox_cred_answer(c, is_config == config, text);

        } else {
            rc = sprox_cred_answer(c, sprox_str_eq(want.name,
                                                   sprox_str_lit("HOME")),
                                   sprox_str_lit("/h"));
        }

        if (rc != SPROX_OK) {
            assert(rc == SPROX_INVALID);
            assert(sprox_cred_next(c, &want) == SPROX_INVALID);
            break;
        }
    }

    return rc;
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              config;
    unsigned         line;
    sprox_rc_t       rc;
    sprox_str_t      text, profile;
    sprox_cred_t     c;
    sprox_profile_t  p;

    static const sprox_str_t  profiles[] = {
        sprox_str("default"), sprox_str("p"), sprox_str("my name"),
        sprox_str("")
    };

    if (size == 0) {
        return 0;
    }

    config = data[0] & 1;
    profile = profiles[(data[0] >> 1) & 3];
    text = sprox_str_make(data + 1, size - 1);

    rc = sprox_profile_parse(text, profile, config, &p, &line);

    assert((rc == SPROX_INVALID) == (line != 0));
    assert(rc == SPROX_OK || p.access_key.len + p.secret_key.len
                             + p.token.len + p.region.len == 0);

    inside(p.access_key, text);
    inside(p.secret_key, text);
    inside(p.token, text);
    inside(p.region, text);

    sprox_cred_init(&c, &mem, SPROX_CRED_SHARED, profile);

    rc = machine(&c, text, config);

    if (rc == SPROX_OK) {
        assert(c.credential.access_key.len != 0);
        assert(c.credential.secret_key.len != 0);
        visible(c.credential.access_key);
        visible(c.credential.secret_key);
        visible(c.credential.token);
        assert(c.region.len == 0 || sprox_region_valid(c.region));

    } else {
        assert(c.credential.access_key.data == NULL);
        assert(c.credential.secret_key.data == NULL);
        assert(c.credential.token.data == NULL);
        assert(c.why.len != 0);
    }

    sprox_cred_free(&c);

    return 0;
}
