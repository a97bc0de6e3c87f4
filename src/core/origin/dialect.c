/*
 * The table of dialects, and the answers of an origin that mean the same in
 * all of them: ask again, or ask elsewhere.
 *
 * A bucket of another region is told in many ways:
 *
 *   301 PermanentRedirect, 307 TemporaryRedirect
 *       x-amz-bucket-region, or <Region>, or only the host to go to, in
 *       <Endpoint> or Location: bucket.s3.eu-west-1.amazonaws.com
 *   400 AuthorizationHeaderMalformed
 *       <Region>
 *   400 to a HEAD
 *       no document, only x-amz-bucket-region
 */

#include "sprox_origin_head.h"


static sprox_str_t sprox_origin_host_region(sprox_str_t text);
static sprox_str_t sprox_origin_last_label(sprox_str_t s);


static const sprox_dialect_t *const  sprox_dialects[] = {
    &sprox_dialect_s3,
    &sprox_dialect_gcs,
    &sprox_dialect_file
};


const sprox_dialect_t *
sprox_dialect(sprox_str_t name)
{
    size_t  i;

    for (i = 0; i < sizeof(sprox_dialects) / sizeof(sprox_dialects[0]); i++) {
        if (sprox_str_eq(sprox_dialects[i]->name, name)) {
            return sprox_dialects[i];
        }
    }

    return NULL;
}


int
sprox_region_valid(sprox_str_t region)
{
    size_t   i;
    uint8_t  c;

    if (region.len == 0 || region.len > SPROX_REGION_MAX) {
        return 0;
    }

    for (i = 0; i < region.len; i++) {

        c = region.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return 0;
        }
    }

    return 1;
}


int
sprox_origin_retriable(int status)
{
    return status == 429 || status == 500 || status == 502 || status == 503
           || status == 504;
}


sprox_rc_t
sprox_origin_redirect(const sprox_origin_resp_t *resp,
    const sprox_error_t *error, sprox_str_t *region)
{
    size_t       i, n;
    sprox_str_t  told[4];

    n = 0;

    switch (resp->status) {

    case 301:
    case 307:

        told[n++] = resp->bucket_region;

        if (error != NULL) {
            told[n++] = error->region;
            told[n++] = sprox_origin_host_region(error->endpoint);
        }

        told[n++] = sprox_origin_host_region(resp->location);

        break;

    case 400:

        if (error == NULL || error->code.len == 0) {
            told[n++] = resp->bucket_region;

        } else if (sprox_str_eq(error->code,
                           sprox_str_lit("AuthorizationHeaderMalformed")))
        {
            told[n++] = error->region;
            told[n++] = resp->bucket_region;
        }

        break;

    default:
        break;
    }

    for (i = 0; i < n; i++) {
        if (sprox_region_valid(told[i])) {
            *region = told[i];
            return SPROX_OK;
        }
    }

    return SPROX_NOT_FOUND;
}


/* What follows the last dot. */

static sprox_str_t
sprox_origin_last_label(sprox_str_t s)
{
    size_t  i;

    for (i = s.len; i > 0; i--) {
        if (s.data[i - 1] == '.') {
            break;
        }
    }

    return sprox_str_from(s, i);
}


/* The region in a host or URL of AWS; empty when it names none. */

static sprox_str_t
sprox_origin_host_region(sprox_str_t text)
{
    size_t       end;
    sprox_str_t  label, before;

    end = sprox_str_find(text, sprox_str_lit("//"), 0);

    if (end != (size_t) -1) {
        text = sprox_str_from(text, end + 2);
    }

    end = sprox_str_find(text, sprox_str_lit(".amazonaws.com"), 0);

    if (end == (size_t) -1) {
        return sprox_str_null;
    }

    text.len = end;
    label = sprox_origin_last_label(text);

    if (sprox_str_starts(label, sprox_str_lit("s3-"))) {
        return sprox_str_from(label, 3);
    }

    if (label.len == text.len) {
        return sprox_str_null;
    }

    before = sprox_origin_last_label(sprox_str_make(text.data,
                                                text.len - label.len - 1));

    if (sprox_str_eq(before, sprox_str_lit("s3"))
        || sprox_str_eq(before, sprox_str_lit("dualstack")))
    {
        return label;
    }

    return sprox_str_null;
}
