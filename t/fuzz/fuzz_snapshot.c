/*
 * A file as a snapshot: as it is, and with its sums made right, so that the
 * rest of the reader sees what a liar could write.  In whatever pieces it
 * comes, the end is the same; what was read can be put, and written again.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_digest.h"
#include "sprox_snapshot_file.h"


#define SIZE  SPROX_CATALOG_SIZE_MIN
#define NOW   1000000


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


static const sprox_snapshot_import_t  how = { 10, NOW, 0, NULL, NULL };

static const sprox_mem_t  mem = { mem_alloc, mem_free, NULL };


static sprox_rc_t
load(sprox_snapshot_reader_t *r, sprox_str_t text, size_t piece,
    sprox_catalog_t *cat)
{
    sprox_rc_t   rc;
    sprox_str_t  in;

    assert(sprox_snapshot_reader_init(r, &mem) == SPROX_OK);

    in = sprox_str_null;
    rc = SPROX_AGAIN;

    for ( ;; ) {
        if (rc == SPROX_AGAIN) {
            assert(in.len == 0);

            in.data = text.data;
            in.len = text.len < piece ? text.len : piece;
            text = sprox_str_from(text, in.len);
        }

        rc = sprox_snapshot_read(r, &in);

        if (rc == SPROX_OK) {
            while (cat && sprox_snapshot_import_locked(r, cat, 3, &how)
                          == SPROX_AGAIN)
            {
                /* void */
            }

            rc = in.len ? SPROX_OK : SPROX_AGAIN;

        } else if (rc != SPROX_AGAIN) {
            break;
        }
    }

    sprox_snapshot_reader_free(r);

    assert(rc == SPROX_DONE || rc == SPROX_INVALID);
    assert(rc == SPROX_DONE || r->error);

    return rc;
}


static void
again(sprox_catalog_t *cat)
{
    uint8_t                  head[SPROX_SNAPSHOT_HEAD];
    sprox_rc_t               rc;
    sprox_buf_t              out;
    sprox_snapshot_head_t    h;
    sprox_snapshot_writer_t  w;
    sprox_snapshot_reader_t  r;

    memset(&h, 0, sizeof(h));
    sprox_snapshot_head_write(head, &h);

    sprox_buf_init(&out, &mem);
    sprox_buf_add(&out, head, sizeof(head));
    sprox_snapshot_begin_locked(&w, cat);

    do {
        rc = sprox_snapshot_write_locked(&w, cat, 2, &out);
    } while (rc == SPROX_AGAIN);

    assert(rc == SPROX_DONE);
    rc = load(&r, sprox_buf_get(&out), 4096, NULL);
    assert(rc == SPROX_DONE);
    assert(memcmp(&r.counts, &w.counts, sizeof(w.counts)) == 0);

    sprox_buf_free(&out);
}


static void
read_all(sprox_str_t text)
{
    void                     *memory;
    uint64_t                  offset;
    sprox_rc_t                rc, other;
    sprox_catalog_t          *cat;
    sprox_snapshot_reader_t   r;

    rc = load(&r, text, (size_t) -1, NULL);
    offset = r.offset;

    other = load(&r, text, 7, NULL);
    assert(other == rc && r.offset == offset);

    /* also a bad one, up to where it is */

    memory = malloc(SIZE);
    cat = sprox_catalog_create(memory, SIZE);

    other = load(&r, text, 100, cat);
    assert(other == rc && r.imported <= r.counts.objects);
    assert(sprox_catalog_check_locked(cat) == NULL);

    again(cat);
    free(memory);
}


/* Sums as they ought to be, as far as the lengths lead. */

static void
mend(uint8_t *p, size_t len)
{
    size_t                 n;
    sprox_snapshot_head_t  head;

    if (len < SPROX_SNAPSHOT_HEAD) {
        return;
    }

    memset(&head, 0, sizeof(head));
    sprox_snapshot_head_write(p, &head);

    p += SPROX_SNAPSHOT_HEAD;
    len -= SPROX_SNAPSHOT_HEAD;

    while (len >= SPROX_SNAPSHOT_PREFACE) {
        n = (size_t) sprox_number_get(p + SPROX_SNAPSHOT_AT_LENGTH, 4)
            + SPROX_SNAPSHOT_PREFACE;

        if (n > len) {
            return;
        }

        sprox_number_put(p + SPROX_SNAPSHOT_AT_SUM,
                         sprox_snapshot_sum(p, n), 4);
        p += n;
        len -= n;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t  *copy;

    read_all(sprox_str_make(data, size));

    if (size) {
        copy = malloc(size);
        memcpy(copy, data, size);
        mend(copy, size);
        read_all(sprox_str_make(copy, size));
        free(copy);
    }

    return 0;
}
