/*
 * The catalog against a naive one (unit_model.h), over a million random
 * operations in zones that are too small for all of the keys: objects,
 * events, doubt, listings, regions, sweeps, bans, emptying.
 */

#include "unit_model.h"


static void
put(model_t *m, uint32_t s, uint32_t k)
{
    int              ban;
    uint8_t          text[HEADERS_MAX];
    entry_t         *e = entry(m, s, k);
    sprox_rc_t       rc, want;
    sprox_object_t   o;
    static entry_t   was;

    look(m, s, k);
    was = *e;
    any_object(m, k, &o, text);
    ban = banned(m, s, m->keys[k], o.proved);
    want = expect(m, s, k, &o);

    rc = sprox_catalog_put_locked(m->cat, m->space[s], m->keys[k], &o);

    if (rc == SPROX_FULL) {

        /* holes between what is held: then regions are told, and no more
           is known than before */

        m->full++;
        was.held = 0;
        (void) overflown(m, s, k, k + 1);
        assert_false(is_covered(m, s, m->keys[k]));

        was.known = sprox_catalog_get_locked(m->cat, m->space[s], m->keys[k],
                                             &o, buf) == SPROX_OK;
        *e = was;
        look(m, s, k);
        return;
    }

    assert_int_equal(rc, want);

    if (!ban) {
        e->opening = m->cat->openings;
        (void) overflown(m, s, k, k + 1);
        e->held = !e->o.absent && is_covered(m, s, m->keys[k]);
    }

    if (!ban || visible(m, s, k)) {
        look(m, s, k);
        assert_true(ban || e->known);
    }
}


/* Below a region, also one that holds nothing. */

static int
below_any(model_t *m, uint32_t s, uint32_t k)
{
    size_t  i;

    for (i = 0; i < m->regions_n; i++) {
        if (m->regions[i].space == s
            && sprox_str_starts(m->keys[k], m->regions[i].prefix))
        {
            return 1;
        }
    }

    return 0;
}


static void
forget(model_t *m, uint32_t s, uint32_t k)
{
    int              was;
    entry_t         *e = entry(m, s, k);
    sprox_rc_t       rc;

    look(m, s, k);
    was = visible(m, s, k);

    rc = sprox_catalog_remove_locked(m->cat, m->space[s], m->keys[k]);
    assert_true(rc == SPROX_OK ? e->known : !was);

    /* a region may have had no room for what it did not hold yet */

    (void) overflown(m, s, k, k + 1);

    if (rc == SPROX_OK && suspected(e)) {

        /* and stays so */

    } else if (rc == SPROX_OK && !e->o.absent && is_covered(m, s, m->keys[k]))
    {
        e->held = 1;
        e->opening = m->cat->openings;
        e->o.headed = 0;
        e->o.headers.len = 0;
        e->o.doubted = 1;

    } else {
        e->known = 0;
        e->held = 0;
    }

    look(m, s, k);
}


static void
doubt(model_t *m, uint32_t s, uint32_t k)
{
    int64_t     when;
    entry_t    *e = entry(m, s, k);
    sprox_rc_t  rc;

    look(m, s, k);

    when = m->now - any(m, 10);

    if (!is_there(m, s, k)) {
        rc = sprox_catalog_doubt_locked(m->cat, m->space[s], m->keys[k],
                                        when);
        assert_true(rc == SPROX_OK ? below_any(m, s, k)
                                   : overflown(m, s, k, k + 1)
                                     || !below_any(m, s, k)
                                     || !is_covered(m, s, m->keys[k]));

        if (rc == SPROX_OK) {
            memset(&e->o, 0, sizeof(sprox_object_t));
            e->o.absent = 1;
            e->o.doubted = 1;
            e->o.proved = when;
            e->known = 1;
            e->held = 0;
            look(m, s, k);
        }

        return;
    }

    if (!visible(m, s, k)) {
        return;
    }

    rc = sprox_catalog_doubt_locked(m->cat, m->space[s], m->keys[k], when);
    assert_int_equal(rc, SPROX_OK);

    e->o.doubted = 1;
    e->o.proved = when > e->o.proved ? when : e->o.proved;
    look(m, s, k);
}


typedef struct {
    model_t      *m;
    uint32_t      space;
    uint32_t      next;            /* the first key that may come */
    uint32_t      stop;            /* the last key that may, by number, + 1 */
    size_t        n;
    sprox_str_t   delimiter;
    size_t        prefix_len;
} walk_t;


static int
shown(walk_t *w, uint32_t k)
{
    entry_t  *e = entry(w->m, w->space, k);

    return visible(w->m, w->space, k) && (!e->o.absent || e->o.doubted);
}


/* Known entries that the listing passes over must have been evicted. */

static void
passed(walk_t *w, uint32_t upto)
{
    entry_t  *e;

    for ( /* void */ ; w->next < upto; w->next++) {
        e = entry(w->m, w->space, w->next);

        if (shown(w, w->next)) {
            missing(w->m, e);
        }
    }
}


/*
 * At least one of a common prefix is there; of the others nothing is told.
 * sure: or else the first of those that may be was visited.
 */

static void
on_prefix(walk_t *w, sprox_str_t prefix, int sure)
{
    int       seen;
    uint32_t  k;

    k = find_key(w->m, prefix);
    k = k > w->next ? k : w->next;
    passed(w, k);
    seen = 0;

    for ( /* void */ ; k < KEYS && sprox_str_starts(w->m->keys[k], prefix);
         k++)
    {
        seen |= shown(w, k)
                && (!sure || !entry(w->m, w->space, k)->o.doubted);
    }

    assert_true(seen);
    w->next = k;
}


static sprox_rc_t
on_item(void *data, sprox_str_t key, const sprox_object_t *o)
{
    size_t     at;
    walk_t    *w = data;
    uint32_t   k;

    w->n++;

    if (o == NULL) {
        assert_int_equal(sprox_str_find(key, w->delimiter, w->prefix_len),
                         key.len - w->delimiter.len);
        on_prefix(w, key, 1);
        return SPROX_OK;
    }

    at = w->delimiter.len ? sprox_str_find(key, w->delimiter, w->prefix_len)
                          : (size_t) -1;
    k = find_key(w->m, key);
    assert_true(k < KEYS && sprox_str_eq(w->m->keys[k], key));
    assert_in_range(k, w->next, w->stop - 1);

    passed(w, k);

    assert_true(visible(w->m, w->space, k));
    same(o, &entry(w->m, w->space, k)->o);

    if (at != (size_t) -1) {
        assert_true(o->doubted);
        key.len = at + w->delimiter.len;
        on_prefix(w, key, 0);
        return SPROX_OK;
    }

    w->next = k + 1;

    return SPROX_OK;
}


static void
list(model_t *m, uint32_t s)
{
    size_t                   n;
    walk_t                   w;
    sprox_rc_t               rc;
    sprox_str_t              prefix, after;
    sprox_catalog_cursor_t   cursor;

    static const sprox_str_t  delimiters[] = {
        sprox_str(""), sprox_str("/"), sprox_str("/d"), sprox_str("-")
    };

    prefix = any_prefix(m);
    after = any(m, 3) ? m->keys[any(m, KEYS)] : sprox_str_null;

    w.m = m;
    w.space = s;
    w.delimiter = delimiters[any(m, 4)];
    w.prefix_len = prefix.len;
    range(m, prefix, after, &w.next, &w.stop);

    sprox_catalog_cursor_init(&cursor, prefix, w.delimiter, after);

    do {
        n = 1 + any(m, 40);
        w.n = 0;
        rc = sprox_catalog_list_locked(m->cat, m->space[s], &cursor, n,
                                       on_item, &w);
        assert_true(w.n <= n);
    } while (rc == SPROX_AGAIN && any(m, 8));

    if (rc == SPROX_DONE) {
        passed(&w, w.stop);
    }
}


static void
sweep(model_t *m, uint32_t s)
{
    int64_t                  before;
    uint32_t                 k, first, end;
    uint64_t                 least, most, removed;
    entry_t                 *e;
    sprox_rc_t               rc;
    sprox_str_t              prefix, after, upto;
    sprox_catalog_cursor_t   cursor;

    prefix = any_prefix(m);
    after = any(m, 2) ? m->keys[any(m, KEYS)] : sprox_str_null;
    upto = any(m, 2) ? m->keys[any(m, KEYS)] : sprox_str_null;
    before = m->now - 5000 - any(m, 40000);

    range(m, prefix, after, &first, &end);

    least = 0;
    most = 0;
    removed = 0;

    notice(m);

    for (k = first; k < end; k++) {
        e = entry(m, s, k);

        if (e->known && (!e->o.absent || e->o.doubted)
            && e->o.proved < before
            && (upto.len == 0 || sprox_str_cmp(m->keys[k], upto) <= 0))
        {
            least += e->held;
            most += !e->o.absent;
            e->known = 0;
            e->held = 0;
        }
    }

    sprox_catalog_cursor_init(&cursor, prefix, sprox_str_null, after);

    do {
        rc = sprox_catalog_sweep_locked(m->cat, m->space[s], &cursor, upto,
                                        before, 1 + any(m, 100), &removed);
    } while (rc == SPROX_AGAIN);

    assert_int_equal(rc, SPROX_DONE);
    assert_in_range(removed, least, most);
    m->evicted += most - removed;
    m->swept += removed;

    /* what stays is held, and counted, by the regions that there are now */

    (void) overflown(m, s, first, end);

    for (k = first; k < end; k++) {
        e = entry(m, s, k);

        if (e->known && !e->o.absent
            && (upto.len == 0 || sprox_str_cmp(m->keys[k], upto) <= 0)
            && is_there(m, s, k) && is_covered(m, s, m->keys[k]))
        {
            e->held = 1;
            e->opening = m->cat->openings;
        }
    }
}


static void
covered(model_t *m, uint32_t s)
{
    int64_t      a, b;
    sprox_rc_t   rc;
    sprox_str_t  prefix;

    notice(m);

    prefix = any_prefix(m);
    a = b = 0;

    rc = sprox_catalog_covered_locked(m->cat, m->space[s], prefix, &a);
    assert_int_equal(rc, expect_covered(m, s, prefix, &b));
    assert_int_equal(a, b);
}


static void
open_region(model_t *m, uint32_t s)
{
    size_t           i;
    uint32_t         id;
    sprox_rc_t       rc;
    sprox_str_t      prefix;
    model_region_t  *r;

    notice(m);

    prefix = any_prefix(m);

    for (i = 0; i < m->regions_n; i++) {
        r = &m->regions[i];

        if (r->space == s && sprox_str_eq(r->prefix, prefix)) {
            rc = sprox_catalog_region_open_locked(m->cat, m->space[s], prefix,
                                                  &id);
            assert_int_equal(rc, SPROX_OK);
            assert_int_equal(id, r->r.id);
            return;
        }
    }

    if (m->regions_n == REGIONS) {
        return;
    }

    r = &m->regions[m->regions_n++];
    memset(r, 0, sizeof(model_region_t));
    r->space = s;
    r->prefix = prefix;
    r->outdated = INT64_MIN;
    rc = sprox_catalog_region_open_locked(m->cat, m->space[s], prefix,
                                          &r->r.id);
    assert_int_equal(rc, SPROX_OK);
}


static void
change_region(model_t *m)
{
    int64_t          crawled;
    uint32_t         space;
    sprox_rc_t       rc;
    sprox_catalog_t *cat = m->cat;
    model_region_t  *r;

    if (m->regions_n == 0) {
        return;
    }

    notice(m);

    r = &m->regions[any(m, (uint32_t) m->regions_n)];
    space = m->space[r->space];

    switch (any(m, 4)) {

    case 0:
        rc = sprox_catalog_region_drop_locked(cat, space, r->prefix);
        *r = m->regions[--m->regions_n];
        let_go(m);
        break;

    case 1:
        rc = sprox_catalog_region_incomplete_locked(cat, space, r->prefix);
        r->r.complete = 0;
        break;

    default:
        crawled = m->now - any(m, 100);
        rc = sprox_catalog_region_complete_locked(cat, space, r->prefix,
                                                  r->r.id, crawled);
        if (crawled < r->outdated) {
            assert_int_equal(rc, SPROX_NOT_FOUND);
            return;
        }

        if (r->r.overflow) {
            assert_int_equal(rc, SPROX_FULL);
            return;
        }

        if (!r->r.complete || r->r.crawled < crawled) {
            r->r.crawled = crawled;
        }

        r->r.complete = 1;
    }

    assert_int_equal(rc, SPROX_OK);
}


static void
ban(model_t *m, uint32_t s)
{
    size_t       i;
    sprox_rc_t   rc;
    sprox_ban_t  b;
    model_ban_t  made;

    if (m->bans_n == BANS) {
        return;
    }

    made.space = s;
    made.prefix = any_prefix(m);
    made.time = m->now - any(m, 50);

    memset(&b, 0, sizeof(b));
    b.name = sprox_str_make("xyz" + s, 1);
    b.prefix = made.prefix;
    b.time = made.time;

    rc = sprox_catalog_ban_locked(m->cat, &b, &made.id);
    assert_int_equal(rc, SPROX_OK);

    for (i = 0; i < m->bans_n; i++) {
        if (m->bans[i].space == s && m->bans[i].time > made.time
            && sprox_str_eq(m->bans[i].prefix, made.prefix))
        {
            made.time = m->bans[i].time;
        }
    }

    for (i = 0; i < m->bans_n; /* void */ ) {
        if (m->bans[i].space == s && m->bans[i].time <= made.time
            && sprox_str_starts(m->bans[i].prefix, made.prefix))
        {
            rc = sprox_catalog_unban_locked(m->cat, m->bans[i].id);
            assert_int_equal(rc, SPROX_NOT_FOUND);
            m->bans[i] = m->bans[--m->bans_n];
            continue;
        }

        i++;
    }

    m->bans[m->bans_n++] = made;
}


static void
unban(model_t *m, size_t which)
{
    size_t           i;
    sprox_rc_t       rc;
    model_ban_t      b;
    model_region_t  *r;

    b = m->bans[which];
    m->bans[which] = m->bans[--m->bans_n];

    rc = sprox_catalog_unban_locked(m->cat, b.id);
    assert_int_equal(rc, SPROX_OK);

    for (i = 0; i < m->regions_n; i++) {
        r = &m->regions[i];

        if (r->space == b.space && (sprox_str_starts(r->prefix, b.prefix)
                                    || sprox_str_starts(b.prefix, r->prefix)))
        {
            r->outdated = b.time > r->outdated ? b.time : r->outdated;
            r->r.complete &= r->r.crawled >= b.time;
        }
    }
}


static void
spaces(model_t *m)
{
    uint32_t    s;
    sprox_rc_t  rc;

    for (s = 0; s < SPACES; s++) {
        rc = sprox_catalog_space_locked(m->cat, sprox_str_make("xyz" + s, 1),
                                        1, &m->space[s]);
        assert_int_equal(rc, SPROX_OK);
    }
}


/* As somebody leaves it who was killed: all is gone but the bans. */

static void
empty(model_t *m)
{
    uint32_t  i;

    m->cat->newest = any(m, UINT32_MAX);
    m->cat->releasing = any(m, UINT32_MAX);
    m->cat->changing = 1;

    spaces(m);

    for (i = 0; i < SPACES * KEYS; i++) {
        m->entries[i].known = 0;
        m->entries[i].held = 0;
    }

    m->regions_n = 0;
    m->emptied++;
}


static void
check_all(model_t *m)
{
    size_t                  i;
    uint32_t                k;
    uint64_t                objects, bytes;
    entry_t                *e;
    sprox_rc_t              rc;
    sprox_region_t          r;
    model_region_t         *region;
    sprox_catalog_stats_t   st;

    check(m->cat);

    sprox_catalog_stats_locked(m->cat, &st);
    assert_true(m->evicted <= st.evicted);
    assert_true(st.bytes_used <= st.bytes_total);
    assert_int_equal(st.regions, m->regions_n);

    for (i = 0; i < m->regions_n; i++) {
        region = &m->regions[i];
        rc = sprox_catalog_region_get_locked(m->cat, m->space[region->space],
                                             region->prefix, &r);
        assert_int_equal(rc, SPROX_OK);

        objects = 0;
        bytes = 0;

        for (k = 0; k < KEYS && !region->r.overflow; k++) {
            e = entry(m, region->space, k);

            if (e->known && e->held && e->opening >= region->r.id
                && sprox_str_starts(m->keys[k], region->prefix))
            {
                objects++;
                bytes += e->o.size;
            }
        }

        assert_int_equal(r.objects, objects);
        assert_int_equal(r.bytes, bytes);
        assert_int_equal(r.id, region->r.id);
        assert_int_equal(r.overflow, region->r.overflow);
    }
}


static void
step(model_t *m)
{
    uint32_t  s, k;

    s = any(m, SPACES);
    k = any(m, KEYS);
    m->now++;

    switch (any(m, 32)) {

    case 0: case 1:
        forget(m, s, k);
        break;

    case 2: case 3:
        list(m, s);
        break;

    case 4: case 5: case 6: case 7: case 8: case 9: case 10: case 11:
        look(m, s, k);
        break;

    case 12:
        doubt(m, s, k);
        break;

    case 13:
        covered(m, s);
        break;

    case 14:
        if (any(m, 8) == 0) {
            sweep(m, s);
        }
        break;

    case 15:
        if (any(m, 40) == 0) {
            open_region(m, s);
        }
        break;

    case 16:
        if (any(m, 20) == 0) {
            change_region(m);
        }
        break;

    case 17:
        if (any(m, 40) == 0) {
            ban(m, s);
        }
        break;

    case 18:
        if (m->bans_n && any(m, 30) == 0) {
            unban(m, any(m, (uint32_t) m->bans_n));
        }
        break;

    case 19:
        (void) sprox_catalog_release_locked(m->cat, any(m, 50));
        break;

    default:
        put(m, s, k);
    }
}


/* To another address. */

static void
move(model_t *m)
{
    void  *other;

    other = malloc(m->size);
    memcpy(other, m->memory, m->size);
    free(m->memory);
    m->memory = other;
    m->cat = sprox_catalog_attach(other, m->size);
    assert_non_null(m->cat);
}


static void
run(size_t size, unsigned long n, uint64_t seed)
{
    model_t                 m;
    uint32_t                s, k, known;
    unsigned long           i;
    sprox_catalog_stats_t   st;

    memset(&m, 0, sizeof(m));
    m.seed = seed;
    m.size = size;
    m.entries = calloc(SPACES * KEYS, sizeof(entry_t));
    make_keys(&m);

    m.memory = malloc(size);
    m.cat = sprox_catalog_create(m.memory, size);
    assert_non_null(m.cat);
    spaces(&m);

    for (i = 1; i <= n; i++) {
        step(&m);

        if (i % 5000 == 0) {
            check_all(&m);
        }

        if (i % 50000 == 0) {
            move(&m);
        }

        if (i % 70000 == 0) {
            empty(&m);
        }
    }

    /* at the end the two agree on all */

    while (m.bans_n) {
        unban(&m, 0);
    }

    known = 0;

    for (s = 0; s < SPACES; s++) {
        for (k = 0; k < KEYS; k++) {
            look(&m, s, k);
            known += entry(&m, s, k)->known;
        }
    }

    check_all(&m);
    sprox_catalog_stats_locked(m.cat, &st);
    assert_int_equal(st.objects + st.absent, known);
    assert_int_equal(st.emptied, m.emptied);

    print_message("%zu KiB: %lu operations, %lu evicted, %u known, %lu held, "
                  "%lu swept, %lu overflows, %lu full\n", size / 1024, n,
                  (unsigned long) st.evicted, known, (unsigned long) st.held,
                  m.swept, m.overflows, m.full);

    for (k = 0; k < KEYS; k++) {
        free((uint8_t *) m.keys[k].data);
    }

    free(m.entries);
    free(m.memory);
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
    run(700 * 1024 + 13, 400000, 2);
}


static void
test_enough(void **state)
{
    (void) state;
    run(8 * 1024 * 1024, 250000, 3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
