/*
 * The catalog against a naive one, over a million random operations in zones
 * that are too small for all of the keys.  Which entry is evicted is not
 * foretold: whatever the catalog still knows must be what was put, and what
 * it no longer knows must have been counted as evicted.
 *
 * Then speeds and sizes, printed and not judged.
 */

#include "unit.h"
#include "sprox_zone.h"

#include <time.h>


#define KEYS         1500       /* in each of the spaces */
#define SPACES       3
#define TEXT_MAX     1500
#define HEADERS_MAX  900


typedef struct {
    uint8_t         known;
    sprox_object_t  o;          /* strings: slices of text */
    uint8_t         text[TEXT_MAX];
} entry_t;


typedef struct {
    sprox_catalog_t  *cat;
    uint32_t          space[SPACES];
    sprox_str_t       keys[KEYS];         /* in byte order */
    entry_t          *entries;            /* SPACES x KEYS */
    uint64_t          seed;
    uint64_t          evicted;            /* those found missing */
    int64_t           now;
} model_t;


static uint8_t  buf[SPROX_OBJECT_BUF];


static uint32_t
any(model_t *m, uint32_t n)
{
    m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (m->seed >> 33) % n;
}


static entry_t *
entry(model_t *m, uint32_t space, uint32_t key)
{
    return &m->entries[space * KEYS + key];
}


static int
key_cmp(const void *a, const void *b)
{
    return sprox_str_cmp(*(const sprox_str_t *) a, *(const sprox_str_t *) b);
}


/* Paths, few bytes of any value, long ones, and such as share prefixes. */

static void
make_keys(model_t *m)
{
    size_t    len;
    uint32_t  i, j;
    uint8_t   key[SPROX_KEY_MAX];

    for (i = 0; i < KEYS; i++) {
        switch (i % 8) {

        case 0:
            len = 3;
            key[0] = (uint8_t) any(m, 256);
            key[1] = (uint8_t) (i >> 8);
            key[2] = (uint8_t) i;
            break;

        case 1:
            len = 200 + any(m, SPROX_KEY_MAX - 200);
            memset(key, i & 8 ? 0xff : 'a', len);
            memcpy(key + len - 4, &i, 4);
            break;

        default:
            len = (size_t) snprintf((char *) key, sizeof(key),
                                    "t/%u/d%u/part-%u", i % 7, any(m, 30), i);
        }

        m->keys[i].len = len;
        m->keys[i].data = malloc(len);
        memcpy((uint8_t *) m->keys[i].data, key, len);
    }

    qsort(m->keys, KEYS, sizeof(sprox_str_t), key_cmp);

    for (j = 1; j < KEYS; j++) {
        assert_true(key_cmp(&m->keys[j - 1], &m->keys[j]) < 0);
    }
}


/* A copy that the model keeps. */

static void
keep(entry_t *e, const sprox_object_t *o)
{
    size_t              i;
    uint8_t            *p;
    sprox_object_t      copy = *o;
    sprox_str_t *const  strings[] = {
        &copy.etag, &copy.storage_class, &copy.version, &copy.headers
    };
    static uint8_t      text[TEXT_MAX];

    /* o may point into the entry itself */

    p = text;

    for (i = 0; i < 4; i++) {
        assert_true(strings[i]->len <= (size_t) (text + TEXT_MAX - p));

        if (strings[i]->len) {
            memcpy(p, strings[i]->data, strings[i]->len);
        }

        strings[i]->data = e->text + (p - text);
        p += strings[i]->len;
    }

    memcpy(e->text, text, TEXT_MAX);
    e->o = copy;
    e->known = 1;
}


static void
same(const sprox_object_t *a, const sprox_object_t *b)
{
    assert_true(a->size == b->size);
    assert_true(a->last_modified == b->last_modified);
    assert_true(a->proved == b->proved);
    assert_true(sprox_str_eq(a->etag, b->etag));
    assert_true(sprox_str_eq(a->storage_class, b->storage_class));
    assert_true(sprox_str_eq(a->version, b->version));
    assert_true(sprox_str_eq(a->headers, b->headers));
    assert_int_equal(a->listed, b->listed);
    assert_int_equal(a->headed, b->headed);
    assert_int_equal(a->absent, b->absent);
}


/* What the catalog knows of a key is what the model knows, or nothing. */

static void
look(model_t *m, uint32_t s, uint32_t k)
{
    entry_t         *e = entry(m, s, k);
    sprox_rc_t       rc;
    sprox_object_t   o;

    rc = sprox_catalog_get_locked(m->cat, m->space[s], m->keys[k], &o, buf);

    if (rc == SPROX_OK) {
        assert_true(e->known);
        same(&o, &e->o);
        return;
    }

    assert_int_equal(rc, SPROX_NOT_FOUND);

    if (e->known) {
        e->known = 0;
        m->evicted++;
    }
}


/*
 * The rules of put() once more, in other words.  A key has few versions, so
 * that the same one comes often.
 */

static void
any_object(model_t *m, uint32_t k, sprox_object_t *o, uint8_t *text)
{
    uint32_t  v = any(m, 3);

    static const char  *etags[] = {
        "\"d41d8cd98f00b204e9800998ecf8427e\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-77\"",
        "\"something else\"", ""
    };

    static const char  *classes[] = { "", "STANDARD", "OF_MY_OWN" };

    memset(o, 0, sizeof(*o));

    o->proved = m->now - any(m, 20);
    o->absent = any(m, 10) == 0;
    o->size = v * 1000 + k;
    o->last_modified = 1000 * (int64_t) v + (any(m, 2) ? 0 : 7);
    o->etag = sprox_str_make(etags[(k + v) % 4], strlen(etags[(k + v) % 4]));
    v = any(m, 3);
    o->storage_class = sprox_str_make(classes[v], strlen(classes[v]));
    o->listed = any(m, 2);

    if (any(m, 8) == 0) {
        o->version = sprox_str_make("version 12", 9 + any(m, 2));
    }

    if (any(m, 4) == 0) {
        o->headed = 1;
        memset(text, 'a' + (int) any(m, 26), HEADERS_MAX);
        o->headers = sprox_str_make(text, any(m, 5) ? any(m, 100)
                                                    : any(m, HEADERS_MAX));
    }
}


static sprox_rc_t
expect(entry_t *e, const sprox_object_t *comes)
{
    int             is_same;
    sprox_object_t  o = *comes, *old = &e->o;

    if (o.absent) {
        memset(&o, 0, sizeof(o));
        o.absent = 1;
        o.proved = comes->proved;
    }

    if (!e->known) {
        keep(e, &o);
        return SPROX_OK;
    }

    is_same = o.absent == old->absent && o.size == old->size
              && o.last_modified / 1000 == old->last_modified / 1000
              && sprox_str_eq(o.etag, old->etag)
              && (!o.version.len || !old->version.len
                  || sprox_str_eq(o.version, old->version));

    if (!is_same) {
        if (o.proved < old->proved) {
            return SPROX_DONE;
        }

        keep(e, &o);
        return SPROX_OK;
    }

    if (old->headed && (!o.headed || old->proved > o.proved)) {
        o.headers = old->headers;
        o.headed = 1;
    }

    if (!o.storage_class.len
        || (old->storage_class.len && old->proved > o.proved))
    {
        o.storage_class = old->storage_class;
    }

    if (!o.version.len) {
        o.version = old->version;
    }

    if (o.last_modified % 1000 == 0
        || (old->last_modified % 1000 && old->proved > o.proved))
    {
        o.last_modified = old->last_modified;
    }

    o.listed |= old->listed;
    o.proved = o.proved > old->proved ? o.proved : old->proved;

    keep(e, &o);

    return SPROX_OK;
}


typedef struct {
    model_t   *m;
    uint32_t   space;
    uint32_t   next;            /* the first key that may come */
    uint32_t   n;
    uint32_t   stop;            /* the last key that may, by number, + 1 */
} walk_t;


/* Known entries that the scan passes over must have been evicted. */

static void
passed(walk_t *w, uint32_t upto)
{
    entry_t  *e;

    for ( /* void */ ; w->next < upto; w->next++) {
        e = entry(w->m, w->space, w->next);

        if (e->known && !e->o.absent) {
            e->known = 0;
            w->m->evicted++;
        }
    }
}


static sprox_rc_t
on_object(void *data, sprox_str_t key, const sprox_object_t *o)
{
    walk_t       *w = data;
    uint32_t      k;
    entry_t      *e;
    sprox_str_t  *found;

    found = bsearch(&key, w->m->keys, KEYS, sizeof(sprox_str_t), key_cmp);
    assert_non_null(found);

    k = (uint32_t) (found - w->m->keys);
    assert_in_range(k, w->next, w->stop - 1);

    passed(w, k);

    e = entry(w->m, w->space, k);
    assert_true(e->known);
    same(o, &e->o);

    w->next = k + 1;
    w->n++;

    return SPROX_OK;
}


static void
scan(model_t *m, uint32_t s)
{
    size_t       n;
    walk_t       w;
    uint32_t     from;
    sprox_rc_t   rc;
    sprox_str_t  prefix, after;

    sprox_catalog_cursor_t  cursor;

    /* a prefix of some key, and to start from some other or from none */

    prefix = m->keys[any(m, KEYS)];
    prefix.len = any(m, 3) ? any(m, (uint32_t) (prefix.len < 9
                                                ? prefix.len + 1 : 9)) : 0;
    from = any(m, KEYS + 1);
    after = from == KEYS ? sprox_str_null : m->keys[from];
    n = any(m, 40);

    w.m = m;
    w.space = s;
    w.n = 0;
    w.next = from == KEYS ? 0 : from + 1;

    while (w.next < KEYS && !sprox_str_starts(m->keys[w.next], prefix)) {
        w.next++;
    }

    for (w.stop = w.next;
         w.stop < KEYS && sprox_str_starts(m->keys[w.stop], prefix);
         w.stop++)
    {
        /* void */
    }

    sprox_catalog_cursor_init(&cursor, prefix, sprox_str_null, after);
    rc = sprox_catalog_list_locked(m->cat, m->space[s], &cursor, n, on_object,
                                   &w);

    assert_true(w.n <= n);

    if (rc == SPROX_DONE) {
        passed(&w, w.stop);

    } else {
        assert_int_equal(rc, SPROX_AGAIN);
    }
}


static void
check(model_t *m)
{
    const char             *err;
    sprox_catalog_stats_t   st;

    err = sprox_catalog_check_locked(m->cat);
    if (err) {
        fail_msg("%s", err);
    }

    sprox_catalog_stats_locked(m->cat, &st);
    assert_true(m->evicted <= st.evicted);
    assert_true(st.bytes_used <= st.bytes_total);
}


static void
run(size_t size, unsigned long n, uint64_t seed)
{
    void                   *memory, *other;
    model_t                 m;
    uint8_t                 text[HEADERS_MAX];
    uint32_t                s, k, known;
    sprox_rc_t              rc;
    unsigned long           i;
    sprox_object_t          o;
    sprox_catalog_stats_t   st;

    memset(&m, 0, sizeof(m));
    m.seed = seed;
    m.entries = calloc(SPACES * KEYS, sizeof(entry_t));
    make_keys(&m);

    memory = malloc(size);
    m.cat = sprox_catalog_create(memory, size);
    assert_non_null(m.cat);

    for (s = 0; s < SPACES; s++) {
        assert_int_equal(sprox_catalog_space_locked(m.cat,
                             sprox_str_make("xyz" + s, 1), 1, &m.space[s]),
                         SPROX_OK);
    }

    for (i = 0; i < n; i++) {
        s = any(&m, SPACES);
        k = any(&m, KEYS);
        m.now++;

        switch (any(&m, 16)) {

        case 0:
            look(&m, s, k);
            rc = sprox_catalog_remove_locked(m.cat, m.space[s], m.keys[k]);
            assert_int_equal(rc, entry(&m, s, k)->known ? SPROX_OK
                                                        : SPROX_NOT_FOUND);
            entry(&m, s, k)->known = 0;
            break;

        case 1:
            scan(&m, s);
            break;

        case 2: case 3: case 4: case 5: case 6:
            look(&m, s, k);
            break;

        default:
            look(&m, s, k);
            any_object(&m, k, &o, text);
            rc = expect(entry(&m, s, k), &o);
            assert_int_equal(sprox_catalog_put_locked(m.cat, m.space[s],
                                                      m.keys[k], &o), rc);
            look(&m, s, k);
            assert_true(entry(&m, s, k)->known);
        }

        if (i % 5000 == 4999) {
            check(&m);
        }

        if (i % 50000 == 49999) {

            /* to another address */

            other = malloc(size);
            memcpy(other, memory, size);
            free(memory);
            memory = other;
            m.cat = sprox_catalog_attach(memory, size);
            assert_non_null(m.cat);
        }
    }

    /* at the end the two agree on all */

    known = 0;

    for (s = 0; s < SPACES; s++) {
        for (k = 0; k < KEYS; k++) {
            look(&m, s, k);
            known += entry(&m, s, k)->known;
        }
    }

    check(&m);
    sprox_catalog_stats_locked(m.cat, &st);
    assert_int_equal(st.objects + st.absent, known);

    print_message("%zu KiB: %lu operations, %lu evicted, %u known\n",
                  size / 1024, n, (unsigned long) st.evicted, known);

    for (k = 0; k < KEYS; k++) {
        free((uint8_t *) m.keys[k].data);
    }

    free(m.entries);
    free(memory);
}


static void
test_tiny(void **state)
{
    (void) state;
    run(SPROX_CATALOG_SIZE_MIN, 500000, 1);
}


static void
test_small(void **state)
{
    (void) state;
    run(700 * 1024 + 13, 300000, 2);
}


static void
test_enough(void **state)
{
    (void) state;
    run(8 * 1024 * 1024, 200000, 3);
}


static double
seconds(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static sprox_rc_t
on_speed(void *data, sprox_str_t key, const sprox_object_t *o)
{
    uint64_t  *sum = data;

    *sum += key.len + o->etag.len;

    return SPROX_OK;
}


static void
test_speed(void **state)
{
    char                    key[64], etag[35];
    void                   *memory;
    size_t                  size, len, bytes;
    double                  t0, t1, t2, t3;
    uint32_t                i, n, s;
    uint64_t                sum;
    sprox_object_t          o;
    sprox_catalog_t        *cat;
    sprox_catalog_stats_t   st, was;
    sprox_catalog_cursor_t  cursor;

    (void) state;

    n = 1000000;
    size = (size_t) 256 * 1024 * 1024;
    memory = malloc(size);
    cat = sprox_catalog_create(memory, size);
    assert_non_null(cat);
    assert_int_equal(sprox_catalog_space_locked(cat, S("s"), 1, &s),
                     SPROX_OK);
    sprox_catalog_stats_locked(cat, &was);

    memset(&o, 0, sizeof(o));
    o.storage_class = S("STANDARD");
    o.listed = 1;
    bytes = 0;
    sum = 0;

    t0 = seconds();

    for (i = 0; i < n; i++) {
        len = (size_t) snprintf(key, sizeof(key),
                                "warehouse/tbl/year=2026/part-%010u.parquet",
                                (uint32_t) (i * 2654435761u));
        snprintf(etag, sizeof(etag), "\"d41d8cd98f00b204e9800998%08x\"", i);
        o.etag = sprox_str_make(etag, 34);
        o.size = i;
        bytes += len;
        assert_int_equal(sprox_catalog_put_locked(cat, s,
                             sprox_str_make(key, len), &o), SPROX_OK);
    }

    t1 = seconds();

    for (i = 0; i < n; i++) {
        len = (size_t) snprintf(key, sizeof(key),
                                "warehouse/tbl/year=2026/part-%010u.parquet",
                                (uint32_t) (i * 2654435761u));
        assert_int_equal(sprox_catalog_get_locked(cat, s,
                             sprox_str_make(key, len), &o, buf), SPROX_OK);
        assert_int_equal(o.size, i);
    }

    t2 = seconds();

    sprox_catalog_cursor_init(&cursor, S("warehouse/"), sprox_str_null,
                              sprox_str_null);
    assert_int_equal(sprox_catalog_list_locked(cat, s, &cursor, n, on_speed,
                                               &sum), SPROX_DONE);

    t3 = seconds();

    print_message("%u objects: put %.0f ns, get %.0f ns, scan %.0f ns each\n",
                  n, (t1 - t0) / n * 1e9, (t2 - t1) / n * 1e9,
                  (t3 - t2) / n * 1e9);

    sprox_catalog_stats_locked(cat, &st);
    print_message("%.1f bytes each beside the key\n",
                  ((double) (st.bytes_used - was.bytes_used)
                   - (double) bytes) / n);

    assert_int_equal(st.objects, n);
    assert_int_equal(st.evicted, 0);
    assert_int_equal(sum, bytes + 34 * (uint64_t) n);
    assert_null(sprox_catalog_check_locked(cat));

    for (i = 0; i < n; i++) {
        len = (size_t) snprintf(key, sizeof(key),
                                "warehouse/tbl/year=2026/part-%010u.parquet",
                                (uint32_t) (i * 2654435761u));
        assert_int_equal(sprox_catalog_remove_locked(cat, s,
                             sprox_str_make(key, len)), SPROX_OK);
    }

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.bytes_used, was.bytes_used);
    assert_null(sprox_catalog_check_locked(cat));

    free(memory);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_enough),
        cmocka_unit_test(test_speed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
