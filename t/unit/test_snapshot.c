/*
 * Snapshots: what is read is what was written, in whatever pieces, into
 * whatever catalog.
 */

#include "unit_snapshot.h"


static uint64_t  seed;

static uint32_t
any(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (seed >> 33) % n;
}


/* Objects of all kinds, under keys that share much, little or nothing. */

static void
fill(sprox_catalog_t *cat, unsigned spaces, unsigned keys)
{
    char            name[SPROX_CATALOG_NAME_MAX];
    size_t          len;
    uint8_t         key[SPROX_KEY_MAX], text[SPROX_HEADERS_MAX];
    uint32_t        number;
    unsigned        s, k;
    sprox_rc_t      rc;
    sprox_object_t  o;

    static const char  *etags[] = { MD5, PARTS, "W/\"weak\"", "" };
    static const char  *classes[] = { "", "STANDARD", "OF_MY_OWN" };

    memset(text, 'h', sizeof(text));

    for (s = 0; s < spaces; s++) {
        len = s == 0 ? 0 : s == 1 ? sizeof(name) : 1 + any(40);
        memset(name, 'a' + (int) any(26), sizeof(name));
        name[0] = (char) (s * 4 + 3);
        assert_int_equal(sprox_catalog_space_locked(cat,
                             sprox_str_make(name, len), 1, &number),
                         SPROX_OK);

        for (k = 0; k < keys; k++) {
            len = any(8) ? (size_t) snprintf((char *) key, sizeof(key),
                                             "t/%u/part-%u.parquet", any(9),
                                             any(100000))
                         : any(SPROX_KEY_MAX + 1);

            if (any(5) == 0 && len) {
                key[any((uint32_t) len)] = (uint8_t) any(256);
            }

            memset(&o, 0, sizeof(o));
            o.proved = NOW - any(1000000);
            o.absent = any(12) == 0;
            o.told = any(6) == 0;
            o.sequencer = sprox_str_make(text, o.told
                                         ? any(SPROX_SEQUENCER_MAX + 1) : 0);

            if (!o.absent) {
                o.size = (uint64_t) any(1u << 31) << any(16);
                o.last_modified = NOW - (int64_t) any(1u << 31) * any(3000);
                o.etag = str(etags[any(4)]);
                o.storage_class = str(classes[any(3)]);
                o.listed = any(2);
                o.settled = any(2);
                o.headed = any(3) == 0;
                o.version = sprox_str_make(text, any(9) ? 0
                                           : any(SPROX_VERSION_MAX + 1));
                o.headers = sprox_str_make(text, !o.headed ? 0
                                           : any(20) ? any(200)
                                           : any(SPROX_HEADERS_MAX + 1));
            }

            rc = sprox_catalog_put_locked(cat, number,
                                          sprox_str_make(key, len), &o);
            assert_true(rc == SPROX_OK || rc == SPROX_DONE);

            if (any(30) == 0) {
                assert_int_equal(sprox_catalog_doubt_locked(cat, number,
                                     sprox_str_make(key, len), NOW - any(99)),
                                 SPROX_OK);
            }
        }
    }
}


/* Whether two catalogs know the same; b may have more spaces. */

static void
assert_same(sprox_catalog_t *a, sprox_catalog_t *b)
{
    uint8_t            buf_a[SPROX_OBJECT_BUF];
    uint32_t           ref, found, number;
    sprox_str_t        key;
    sprox_space_t     *s;
    sprox_object_t     x, y;
    sprox_map_path_t   path, way, other;

    assert_int_equal(a->objects, b->objects);
    assert_int_equal(a->absent, b->absent);

    ref = sprox_map_seek(a, a->spaces_root, sprox_str_null, 0, &path);

    for ( /* void */ ; ref; ref = sprox_map_next(a, &path)) {
        s = sprox_unit(a, ref);
        ref = sprox_map_seek(a, s->root, sprox_str_null, 0, &way);

        if (ref == 0) {
            continue;
        }

        assert_int_equal(sprox_catalog_space_locked(b,
                             sprox_node_key(&s->node), 0, &number), SPROX_OK);

        for ( /* void */ ; ref; ref = sprox_map_next(a, &way)) {
            key = sprox_node_key(&sprox_record(a, ref)->node);

            sprox_record_read(a, sprox_record(a, ref), &x, buf_a);
            found = sprox_map_find(b, sprox_zone_space(b, number)->root, key,
                                   &other);
            assert_int_not_equal(found, 0);
            sprox_record_read(b, sprox_record(b, found), &y, buf);

            assert_true(x.size == y.size);
            assert_true(x.last_modified == y.last_modified);
            assert_true(x.proved == y.proved);
            assert_true(sprox_str_eq(x.etag, y.etag));
            assert_true(sprox_str_eq(x.storage_class, y.storage_class));
            assert_true(sprox_str_eq(x.version, y.version));
            assert_true(sprox_str_eq(x.headers, y.headers));
            assert_true(sprox_str_eq(x.sequencer, y.sequencer));
            assert_int_equal(x.told, y.told);
            assert_int_equal(x.doubted, y.doubted);
            assert_int_equal(x.listed, y.listed);
            assert_int_equal(x.headed, y.headed);
            assert_int_equal(x.settled, y.settled);
            assert_int_equal(x.absent, y.absent);
        }
    }
}


static void
test_round_trip(void **state)
{
    unsigned                  i;
    sprox_catalog_t          *a, *b;
    sprox_snapshot_reader_t   r;
    sprox_snapshot_counts_t   counts;

    static const struct {
        unsigned  spaces;
        unsigned  keys;
        size_t    n;            /* objects a step */
        size_t    piece;        /* bytes a read */
    } cases[] = {
        { 0, 0, 1, 1 },
        { 1, 1, 1, 1 },
        { 3, 0, 256, ALL },
        { 3, 40, 1, 1 },
        { 5, 300, 7, 13 },
        { 9, 900, 256, 4096 },
        { 1, 5000, ALL, ALL },
        { 60, 100, 256, 65536 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        a = make(8 * SIZE);
        b = make(8 * SIZE);

        seed = i;
        fill(a, cases[i].spaces, cases[i].keys);

        counts = save(a, cases[i].n);
        assert_int_equal(counts.objects, a->objects + a->absent);
        assert_int_equal(counts.spaces, cases[i].keys ? cases[i].spaces : 0);

        assert_int_equal(load(&r, sprox_buf_get(&file), cases[i].piece, b,
                              cases[i].n), SPROX_DONE);

        assert_memory_equal(&r.counts, &counts, sizeof(counts));
        assert_int_equal(r.imported, counts.objects);
        assert_int_equal(r.head.time, NOW);
        assert_int_equal(r.head.state, SPROX_SNAPSHOT_OPEN);
        assert_int_equal(r.head.id[15], 'i');
        assert_int_equal(r.head.boot[15], 'b');

        assert_same(a, b);
        assert_same(b, a);
        check(b);

        free(a);
        free(b);
    }
}


static void
test_states(void **state)
{
    unsigned                 i;
    sprox_snapshot_head_t    head;
    sprox_snapshot_reader_t  r;

    (void) state;

    for (i = 0; i <= SPROX_SNAPSHOT_SHUT; i++) {
        file.len = 0;
        write_head(i);
        assert_int_equal(sprox_snapshot_head_read(file.data, &head, NULL),
                         SPROX_OK);
        assert_int_equal(head.state, i);
    }

    /* in place, with nothing else to be changed */

    memcpy(file.data + SPROX_SNAPSHOT_STATE_AT,
           sprox_snapshot_state(SPROX_SNAPSHOT_TOLD), SPROX_SNAPSHOT_STATE);
    assert_int_equal(sprox_snapshot_head_read(file.data, &head, NULL),
                     SPROX_OK);
    assert_int_equal(head.state, SPROX_SNAPSHOT_TOLD);

    memcpy(file.data + SPROX_SNAPSHOT_STATE_AT, "tolx", 4);
    assert_int_equal(verify(&r, sprox_buf_get(&file)), SPROX_INVALID);
}


/* What is there from the first step to the last is in the file. */

static void
test_changes_between_steps(void **state)
{
    unsigned                  i;
    sprox_rc_t                rc;
    sprox_object_t            o, found;
    sprox_catalog_t          *a, *b;
    sprox_snapshot_writer_t   w;
    sprox_snapshot_reader_t   r;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);
    o = object(MD5, 1, 5);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(sprox_catalog_put_locked(a, space(a, "s"),
                             numbered(10 * i), &o), SPROX_OK);
    }

    write_head(SPROX_SNAPSHOT_OPEN);
    sprox_snapshot_begin_locked(&w, a);

    for (i = 0; /* void */ ; i++) {
        rc = sprox_snapshot_write_locked(&w, a, 10, &file);
        if (rc != SPROX_AGAIN) {
            break;
        }

        /* the odd ones go, new ones come, before and behind, and spaces */

        if (i < 500) {
            sprox_catalog_remove_locked(a, space(a, "s"),
                                        numbered(20 * i + 10));
            put(a, "s", (const char *) numbered(20 * i + 5).data, &o);
            put(a, "s", (const char *) numbered(9999 - i).data, &o);
            put(a, i % 2 ? "a" : "z", "k", &o);
        }
    }

    assert_int_equal(rc, SPROX_DONE);
    assert_int_equal(load(&r, sprox_buf_get(&file), ALL, b, 100), SPROX_DONE);

    for (i = 0; i < 500; i++) {
        assert_int_equal(sprox_catalog_get_locked(b, space(b, "s"),
                             numbered(20 * i), &found, buf), SPROX_OK);
    }

    assert_int_equal(sprox_catalog_get_locked(b, space(b, "z"), str("k"),
                                              &found, buf), SPROX_OK);
    check(b);

    free(a);
    free(b);
}


static void
test_emptied_between_steps(void **state)
{
    sprox_object_t            o;
    sprox_catalog_t          *cat;
    sprox_snapshot_writer_t   w;

    (void) state;

    cat = make(SIZE);
    o = object(MD5, 1, 5);
    put(cat, "s", "k", &o);

    sprox_snapshot_begin_locked(&w, cat);
    assert_int_equal(sprox_snapshot_write_locked(&w, cat, 10, &file),
                     SPROX_AGAIN);

    cat->changing = 1;
    assert_int_equal(sprox_snapshot_write_locked(&w, cat, 10, &file),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_snapshot_write_locked(&w, cat, 10, &file),
                     SPROX_NOT_FOUND);

    free(cat);
}


/* A live catalog: what is known by a later proof stays. */

static void
test_merge(void **state)
{
    sprox_object_t            old, new, found;
    sprox_catalog_t          *a, *b;
    sprox_snapshot_reader_t   r;

    (void) state;

    a = make(SIZE);
    b = make(SIZE);
    old = object(MD5, 1, 100);
    new = object(MD5_B, 2, 200);

    put(a, "s", "older", &old);
    put(b, "s", "older", &new);
    put(a, "s", "newer", &new);
    put(b, "s", "newer", &old);
    put(a, "s", "file", &old);
    put(b, "s", "live", &old);

    save(a, ALL);
    assert_int_equal(load(&r, sprox_buf_get(&file), ALL, b, 1), SPROX_DONE);

    assert_int_equal(r.counts.objects, 3);
    assert_int_equal(r.imported, 2);
    assert_int_equal(b->objects, 4);

    assert_int_equal(sprox_catalog_get_locked(b, 1, str("older"), &found,
                                              buf), SPROX_OK);
    assert_int_equal(found.size, 2);
    assert_int_equal(sprox_catalog_get_locked(b, 1, str("newer"), &found,
                                              buf), SPROX_OK);
    assert_int_equal(found.size, 2);

    free(a);
    free(b);
}


/* Proofs before `since`, and those of the future, are none. */

static void
test_doubt(void **state)
{
    size_t                    i;
    sprox_str_t               in;
    sprox_object_t            o, found;
    sprox_catalog_t          *a, *b;
    sprox_snapshot_reader_t   r;

    static const sprox_snapshot_import_t  doubt = { 500, 800, 0, NULL, NULL };

    static const struct {
        const char  *key;
        int64_t      proved;
        int64_t      want;
        int          twice;         /* put before as well, and proved then */
    } objects[] = {
        { "a", 0, 0, 0 }, { "b", 499, 0, 0 }, { "c", 500, 500, 0 },
        { "d", 800, 800, 0 }, { "e", 801, 0, 0 }, { "f", INT64_MAX, 0, 0 },
        { "g", INT64_MIN, 0, 0 }, { "h", 499, 700, 1 }, { "i", 801, 700, 1 }
    };

    (void) state;

    a = make(SIZE);
    b = make(SIZE);

    for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        o = object(MD5, 1, objects[i].proved);
        put(a, "s", objects[i].key, &o);

        if (objects[i].twice) {
            o.proved = 700;
            put(b, "s", objects[i].key, &o);
        }
    }

    for (i = 0; i < 3; i++) {
        static const char  *keys[] = { "j", "k", "l" };

        o = object(MD5, 1, 600);
        put(a, "s", keys[i], &o);
        assert_int_equal(sprox_catalog_doubt_locked(a, 1, str(keys[i]), 650),
                         SPROX_OK);
    }

    o = object(MD5, 1, 640);
    put(b, "s", "k", &o);
    o.proved = 660;
    put(b, "s", "l", &o);

    save(a, ALL);

    assert_int_equal(sprox_snapshot_reader_init(&r, &um.mem), SPROX_OK);
    in = sprox_buf_get(&file);

    while (sprox_snapshot_read(&r, &in) == SPROX_OK) {
        assert_int_equal(sprox_snapshot_import_locked(&r, b, ALL, &doubt),
                         SPROX_OK);
    }

    sprox_snapshot_reader_free(&r);

    for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        assert_int_equal(sprox_catalog_get_locked(b, 1, str(objects[i].key),
                                                  &found, buf), SPROX_OK);
        assert_true(found.proved == objects[i].want);
        assert_int_equal(found.doubted, !objects[i].want);
        assert_str(found.etag, MD5);
    }

    assert_int_equal(sprox_catalog_get_locked(b, 1, S("k"), &found, buf),
                     SPROX_OK);
    assert_int_equal(found.doubted, 1);
    assert_int_equal(sprox_catalog_get_locked(b, 1, S("l"), &found, buf),
                     SPROX_OK);
    assert_int_equal(found.doubted, 0);
    assert_int_equal(found.proved, 660);

    /* a doubted one is as it was: another version that is older than since
       when it is doubted is not taken */

    o = object(MD5_B, 1, 649);
    assert_int_equal(sprox_catalog_put_locked(b, 1, S("j"), &o), SPROX_DONE);
    o.proved = 651;
    assert_int_equal(sprox_catalog_put_locked(b, 1, S("j"), &o), SPROX_OK);

    o.proved = 499;
    assert_int_equal(sprox_catalog_put_locked(b, 1, S("b"), &o), SPROX_DONE);
    o.proved = 500;
    assert_int_equal(sprox_catalog_put_locked(b, 1, S("b"), &o), SPROX_OK);

    free(a);
    free(b);
}


static void
test_into_a_smaller_one(void **state)
{
    sprox_catalog_t          *a, *b;
    sprox_snapshot_reader_t   r;

    (void) state;

    a = make(8 * SIZE);
    b = make(SPROX_CATALOG_SIZE_MIN);

    seed = 4;
    fill(a, 4, 3000);
    save(a, 256);

    assert_int_equal(load(&r, sprox_buf_get(&file), 4096, b, 64), SPROX_DONE);
    assert_in_range(b->objects, 100, a->objects - 1);
    check(b);

    free(a);
    free(b);
}


static uint64_t
changes(sprox_catalog_t *cat)
{
    sprox_catalog_stats_t  stats;

    sprox_catalog_stats_locked(cat, &stats);

    return stats.changes;
}


/* As long as nothing changes, the last snapshot will do. */

static void
test_changes_are_counted(void **state)
{
    uint32_t          id;
    uint64_t          n, ban_id;
    sprox_ban_t       ban;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SIZE);
    o = object(MD5, 1, 5);
    n = changes(cat);

#define changed()  (n != changes(cat) ? (n = changes(cat), 1) : 0)

    put(cat, "s", "k", &o);
    put(cat, "s", "l", &o);
    assert_true(changed());

    assert_int_equal(sprox_catalog_get_locked(cat, 1, S("k"), &o, buf),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, 1, S("x"), &o, buf),
                     SPROX_NOT_FOUND);
    save(cat, ALL);
    assert_false(changed());

    o.proved = 6;
    put(cat, "s", "k", &o);
    assert_true(changed());

    sprox_catalog_doubt_locked(cat, 1, S("k"), 7);
    assert_true(changed());

    sprox_catalog_remove_locked(cat, 1, S("k"));
    assert_true(changed());

    sprox_catalog_region_open_locked(cat, 1, S(""), &id);
    assert_true(changed());

    sprox_catalog_region_complete_locked(cat, 1, S(""), id, 5);
    assert_true(changed());

    memset(&ban, 0, sizeof(ban));
    ban.name = S("s");
    ban.time = 6;
    sprox_catalog_ban_locked(cat, &ban, &ban_id);
    assert_true(changed());

    sprox_catalog_unban_locked(cat, ban_id);
    assert_true(changed());

    free(cat);
}


static sprox_rc_t
work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t                rc;
    sprox_str_t               in;
    sprox_buf_t               out;
    sprox_catalog_t          *cat = data;
    sprox_snapshot_writer_t   w;
    sprox_snapshot_reader_t   r;

    sprox_buf_init(&out, mem);
    sprox_snapshot_begin_locked(&w, cat);

    do {
        rc = sprox_snapshot_write_locked(&w, cat, 10, &out);
    } while (rc == SPROX_AGAIN);

    if (rc == SPROX_DONE) {
        rc = sprox_snapshot_reader_init(&r, mem);

        if (rc == SPROX_OK) {
            in = sprox_buf_get(&file);

            do {
                rc = sprox_snapshot_read(&r, &in);
            } while (rc == SPROX_OK);

            sprox_snapshot_reader_free(&r);
            rc = rc == SPROX_DONE ? SPROX_OK : SPROX_INVALID;
        }
    }

    sprox_buf_free(&out);

    return rc;
}


static void
test_alloc(void **state)
{
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(8 * SIZE);
    seed = 5;
    fill(cat, 4, 1000);
    save(cat, ALL);

    assert_in_range(unit_each_alloc_fails(work, cat), 3, 30);

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_round_trip),
        test(test_states),
        test(test_changes_between_steps),
        test(test_emptied_between_steps),
        test(test_merge),
        test(test_doubt),
        test(test_into_a_smaller_one),
        test(test_changes_are_counted),
        test(test_alloc)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
