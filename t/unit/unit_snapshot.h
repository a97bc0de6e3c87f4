/*
 * What the snapshot's tests share: a file in memory, written and read.
 */

#ifndef SPROX_UNIT_SNAPSHOT_H
#define SPROX_UNIT_SNAPSHOT_H


#include "unit_catalog.h"
#include "sprox_snapshot_file.h"


#define SIZE   (1024 * 1024)
#define NOW    1800000000000
#define ALL    ((size_t) -1)


/* The file, as long as a test needs it. */

static unit_mem_t   um;
static sprox_buf_t  file;


static inline int
setup(void **state)
{
    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&file, &um.mem);

    return 0;
}


static inline int
teardown(void **state)
{
    (void) state;

    sprox_buf_free(&file);
    assert_int_equal(um.live, 0);

    return 0;
}


static inline sprox_str_t
str(const char *text)
{
    return sprox_str_make(text, strlen(text));
}


static inline void
put(sprox_catalog_t *cat, const char *name, const char *key,
    const sprox_object_t *o)
{
    assert_int_equal(sprox_catalog_put_locked(cat, space(cat, name), str(key),
                                              o), SPROX_OK);
}


static inline void
write_head(sprox_snapshot_state_t state)
{
    uint8_t                out[SPROX_SNAPSHOT_HEAD];
    sprox_snapshot_head_t  head;

    memset(&head, 0, sizeof(head));
    memset(head.id, 'i', SPROX_SNAPSHOT_ID);
    memset(head.boot, 'b', SPROX_SNAPSHOT_ID);
    head.time = NOW;
    head.state = state;

    sprox_snapshot_head_write(out, &head);
    sprox_buf_add(&file, out, sizeof(out));
}


/* Writes all of it into `file`, at most n objects at a time. */

static inline sprox_snapshot_counts_t
save(sprox_catalog_t *cat, size_t n)
{
    size_t                    before;
    sprox_rc_t                rc;
    sprox_snapshot_writer_t   w;

    file.len = 0;
    write_head(SPROX_SNAPSHOT_OPEN);
    sprox_snapshot_begin_locked(&w, cat);

    do {
        before = file.len;
        rc = sprox_snapshot_write_locked(&w, cat, n, &file);

        assert_in_range(file.len - before, 0, SPROX_SNAPSHOT_BLOCK_MAX);

    } while (rc == SPROX_AGAIN);

    assert_int_equal(rc, SPROX_DONE);

    return w.counts;
}


static sprox_snapshot_import_t  how = { 0, NOW, 0, NULL, NULL };


/*
 * Reads a text in pieces of that size; into cat, when there is one, at most
 * n objects at a time.
 */

static inline sprox_rc_t
load(sprox_snapshot_reader_t *r, sprox_str_t text, size_t piece,
    sprox_catalog_t *cat, size_t n)
{
    uint8_t      *copy;
    sprox_rc_t    rc;
    sprox_str_t   in;

    assert_int_equal(sprox_snapshot_reader_init(r, &um.mem), SPROX_OK);

    rc = SPROX_AGAIN;
    copy = NULL;
    in = sprox_str_null;

    for ( ;; ) {

        /* a piece lies alone, so that its ends are seen */

        if (rc == SPROX_AGAIN) {
            assert_int_equal(in.len, 0);
            free(copy);

            in.len = text.len < piece ? text.len : piece;
            copy = malloc(in.len + 1);
            in.data = copy;

            if (in.len) {
                memcpy(copy, text.data, in.len);
            }

            text = sprox_str_from(text, in.len);
        }

        rc = sprox_snapshot_read(r, &in);

        if (rc == SPROX_OK) {
            while (cat && sprox_snapshot_import_locked(r, cat, n, &how)
                          == SPROX_AGAIN)
            {
                /* void */
            }

            rc = in.len ? SPROX_OK : SPROX_AGAIN;

        } else if (rc != SPROX_AGAIN) {
            break;
        }
    }

    free(copy);
    sprox_snapshot_reader_free(r);

    return rc;
}


static inline sprox_rc_t
verify(sprox_snapshot_reader_t *r, sprox_str_t text)
{
    return load(r, text, ALL, NULL, 0);
}


#define test(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)


#endif /* SPROX_UNIT_SNAPSHOT_H */
