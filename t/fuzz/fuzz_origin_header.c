/*
 * Response headers of an origin, line by line, and where it redirects to.
 * Whatever it sends, what is kept for clients is a list of header lines
 * within the limit, and no checksum, framing or date is among them.
 *
 * The first byte: even, s3; odd, gcs.  The second: the status.  Then lines
 * "name: value".
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_dialect.h"


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
kept_line(sprox_str_t line)
{
    size_t       i, colon;
    sprox_str_t  name;

    static const sprox_str_t  never[] = {
        sprox_str("content-length"), sprox_str("content-range"),
        sprox_str("transfer-encoding"), sprox_str("connection"),
        sprox_str("etag"), sprox_str("last-modified"), sprox_str("date"),
        sprox_str("set-cookie"), sprox_str("content-md5"),
        sprox_str("x-amz-request-id"), sprox_str("x-amz-id-2")
    };

    for (i = 0; i < line.len; i++) {
        assert((line.data[i] >= 0x20 || line.data[i] == '\t')
               && line.data[i] != 0x7f);
    }

    colon = sprox_str_find(line, sprox_str_lit(": "), 0);
    assert(colon != (size_t) -1 && colon != 0);
    name = sprox_str_make(line.data, colon);

    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert(!sprox_str_case_eq(name, never[i]));
    }

    assert(!sprox_str_starts(name, sprox_str_lit("x-amz-checksum")));
    assert(!sprox_str_starts(name, sprox_str_lit("x-goog")));
}


static void
kept(sprox_str_t keep)
{
    size_t  end;

    assert(keep.len <= SPROX_HEADERS_MAX);

    while (keep.len != 0) {
        end = sprox_str_find(keep, sprox_str_lit("\r\n"), 0);
        assert(end != (size_t) -1);
        kept_line(sprox_str_make(keep.data, end));
        keep = sprox_str_from(keep, end + 2);
    }
}


static void
check(sprox_origin_resp_t *resp)
{
    size_t         i;
    sprox_str_t    region;
    sprox_error_t  error;

    assert(resp->content_length >= -1);
    assert(resp->last_modified >= -1);
    assert(resp->retry_after >= -1);
    assert(resp->parts_count >= -1);
    assert(!(resp->chunked && resp->unknown_coding));
    assert(resp->bad || resp->content_length == -1
           || (!resp->chunked && !resp->unknown_coding));

    if (resp->etag.len != 0) {
        assert(resp->etag.len <= SPROX_ETAG_MAX);
        assert(resp->etag.len >= 2);
        assert(resp->etag.data[resp->etag.len - 1] == '"');

        for (i = 0; i < resp->etag.len; i++) {
            assert(resp->etag.data[i] > ' ');
        }
    }

    kept(sprox_buf_get(&resp->keep));

    memset(&error, 0, sizeof(error));
    error.code = sprox_str_lit("AuthorizationHeaderMalformed");
    error.region = resp->version;
    error.endpoint = resp->content_range;

    if (sprox_origin_redirect(resp, &error, &region) == SPROX_OK) {
        assert(sprox_region_valid(region));
    }

    if (sprox_origin_redirect(resp, NULL, &region) == SPROX_OK) {
        assert(sprox_region_valid(region));
    }
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                  end, colon;
    sprox_str_t             rest, line;
    sprox_origin_resp_t     resp;
    const sprox_dialect_t  *dialect;

    static const int  statuses[] = { 200, 206, 301, 307, 400, 403, 503, 304 };

    if (size < 2) {
        return 0;
    }

    dialect = sprox_dialect((data[0] & 1) ? sprox_str_lit("gcs")
                                          : sprox_str_lit("s3"));

    sprox_origin_resp_init(&resp, &mem);
    resp.status = statuses[data[1] & 7];
    rest = sprox_str_make(data + 2, size - 2);

    while (rest.len != 0) {

        end = sprox_str_find(rest, sprox_str_lit("\n"), 0);

        if (end == (size_t) -1) {
            end = rest.len;
        }

        line = sprox_str_make(rest.data, end);
        rest = sprox_str_from(rest, end + 1);
        colon = sprox_str_find(line, sprox_str_lit(":"), 0);

        if (colon == (size_t) -1) {
            dialect->header(&resp, line, sprox_str_null);

        } else {
            dialect->header(&resp, sprox_str_make(line.data, colon),
                            sprox_str_from(line, colon + 1));
        }
    }

    check(&resp);

    sprox_origin_resp_free(&resp);

    return 0;
}
