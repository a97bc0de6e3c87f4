/*
 * The input is lines: ETag, If-Match, If-None-Match, If-Modified-Since,
 * If-Unmodified-Since, If-Range.  Checked against S3's precedence, told in
 * another way: header by header.
 */

#include "fuzz_s3.h"
#include "sprox_cond.h"


#define NOW  784111777


static sprox_cond_result_t
cond_one(const sprox_cond_t *all, size_t off, sprox_str_t etag)
{
    sprox_cond_t  cond;

    memset(&cond, 0, sizeof(cond));
    memcpy((uint8_t *) &cond + off, (const uint8_t *) all + off,
           sizeof(sprox_str_t));

    return sprox_cond_check(&cond, etag, NOW);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               first, second;
    sprox_str_t          rest, etag;
    sprox_cond_t         cond;
    sprox_cond_result_t  result, want;

    rest = sprox_str_make(data, size);
    etag = fuzz_line(&rest);
    cond.if_match = fuzz_line(&rest);
    cond.if_none_match = fuzz_line(&rest);
    cond.if_modified_since = fuzz_line(&rest);
    cond.if_unmodified_since = fuzz_line(&rest);
    cond.if_range = fuzz_line(&rest);

    result = sprox_cond_check(&cond, etag, NOW);

    first = cond.if_match.len ? offsetof(sprox_cond_t, if_match)
                              : offsetof(sprox_cond_t, if_unmodified_since);
    second = cond.if_none_match.len
             ? offsetof(sprox_cond_t, if_none_match)
             : offsetof(sprox_cond_t, if_modified_since);

    want = cond_one(&cond, first, etag);

    if (want == SPROX_COND_PROCEED) {
        want = cond_one(&cond, second, etag);
    }

    assert(result == want);

    if (cond.if_range.len != 0 && etag.len == 0) {
        (void) sprox_cond_range(&cond, etag, NOW);
        assert(!sprox_cond_range(&cond, etag, -1));
    }

    (void) sprox_cond_range(&cond, etag, NOW);

    return 0;
}
