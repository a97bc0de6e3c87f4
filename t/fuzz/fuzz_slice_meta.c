/*
 * A block in a slice file.  What is read must be written back byte for byte.
 * The check sum would keep the fuzzer out, so each input is also tried with
 * its own: the rest of the reader sees what a liar could write.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_slice.h"


#define AT_CRC     12
#define AT_LENGTH  16


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void *
mem_alloc(void *ctx, size_t size)
{
    (void) ctx;

    return malloc(size ? size : 1);
}


static void
mem_free(void *ctx, void *p)
{
    (void) ctx;
    free(p);
}


/* Bit by bit, on purpose another way than the reader's. */

static uint32_t
crc32_bits(const uint8_t *p, size_t len)
{
    size_t    i;
    unsigned  bit;
    uint32_t  crc = 0xffffffff;

    for (i = 0; i < len; i++) {
        if (i >= AT_CRC && i < AT_LENGTH) {
            continue;
        }

        crc ^= p[i];

        for (bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
        }
    }

    return ~crc;
}


static void
round_trip(sprox_str_t block)
{
    sprox_rc_t          rc;
    sprox_buf_t         b;
    sprox_mem_t         mem = { mem_alloc, mem_free, NULL };
    sprox_slice_meta_t  m;

    rc = sprox_slice_meta_read(block, &m);
    assert(rc == SPROX_OK || rc == SPROX_INVALID);

    if (rc != SPROX_OK) {
        return;
    }

    assert(sprox_slice_valid(m.slice));
    assert(m.length <= m.slice);

    sprox_buf_init(&b, &mem);
    rc = sprox_slice_meta_write(&b, &m);
    assert(rc == SPROX_OK);
    assert(sprox_str_eq(sprox_buf_get(&b), block));

    b.len = 0;
    sprox_slice_key(&b, m.object.version, m.object.storage_class,
                    m.object.headers, &m.object, m.slice, m.index);
    assert(sprox_buf_rc(&b) == SPROX_OK);
    assert(memchr(b.data, '\n', b.len) == NULL);

    sprox_buf_free(&b);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t   crc;
    uint8_t   *copy;
    unsigned   i;

    round_trip(sprox_str_make(data, size));

    if (size < AT_LENGTH + 4) {
        return 0;
    }

    copy = malloc(size);
    memcpy(copy, data, size);

    for (i = 0; i < 4; i++) {
        copy[AT_LENGTH + i] = (uint8_t) (size >> 8 * i);
    }

    crc = crc32_bits(copy, size);

    for (i = 0; i < 4; i++) {
        copy[AT_CRC + i] = (uint8_t) (crc >> 8 * i);
    }

    round_trip(sprox_str_make(copy, size));
    free(copy);

    return 0;
}
