/*
 * An error document of an origin; what was read of it must survive our own
 * writer, but for what XML cannot carry.
 */

#include "fuzz_s3.h"
#include "sprox_error.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_rc_t     rc;
    sprox_buf_t    b;
    sprox_error_t  one, two;

    rc = sprox_error_parse(&fuzz_mem, sprox_str_make(data, size), &one);

    if (rc != SPROX_OK) {
        assert(rc == SPROX_INVALID || rc == SPROX_LIMIT);
        assert(one.code.data == NULL && one.message.data == NULL);
        return 0;
    }

    sprox_buf_init(&b, &fuzz_mem);
    sprox_error_write(&b, one.code, one.message, one.bucket, one.endpoint,
                      one.region);
    assert(sprox_buf_rc(&b) == SPROX_OK);

    rc = sprox_error_parse(&fuzz_mem, sprox_buf_get(&b), &two);

    if (rc == SPROX_OK) {
        assert(sprox_str_eq(one.code, two.code));
        assert(one.message.len == 0
               || sprox_str_eq(one.message, two.message));
        sprox_error_free(&fuzz_mem, &two);

    } else {
        assert(rc == SPROX_LIMIT);
    }

    sprox_buf_free(&b);
    sprox_error_free(&fuzz_mem, &one);

    /* any bytes may be in a key */

    sprox_buf_init(&b, &fuzz_mem);
    sprox_error_write(&b, sprox_str_lit("NoSuchKey"), sprox_str_lit(""),
                      sprox_str_lit("b"), sprox_str_make(data, size),
                      sprox_str_lit("r"));

    rc = sprox_error_parse(&fuzz_mem, sprox_buf_get(&b), &one);
    assert(rc == SPROX_OK || rc == SPROX_LIMIT);

    sprox_error_free(&fuzz_mem, &one);
    sprox_buf_free(&b);

    return 0;
}
