/* What the fuzz targets of src/core/s3 share. */

#ifndef SPROX_FUZZ_S3_H
#define SPROX_FUZZ_S3_H


#include <assert.h>
#include <stdlib.h>

#include "sprox_base.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void *
fuzz_alloc(void *ctx, size_t size)
{
    (void) ctx;

    return malloc(size ? size : 1);
}


static void
fuzz_free(void *ctx, void *p)
{
    (void) ctx;

    free(p);
}


static const sprox_mem_t  fuzz_mem = { fuzz_alloc, fuzz_free, NULL };


/* Cuts the next line off the input; the last one may lack its end. */

static inline sprox_str_t
fuzz_line(sprox_str_t *rest)
{
    sprox_str_t     line;
    const uint8_t  *p;

    line = *rest;
    p = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (p == NULL) {
        rest->len = 0;
        return line;
    }

    line.len = p - line.data;
    rest->data = p + 1;
    rest->len -= line.len + 1;

    return line;
}


#endif /* SPROX_FUZZ_S3_H */
