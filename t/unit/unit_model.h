/*
 * A naive catalog: arrays, and every rule said once more in other words.
 *
 * Which entry is evicted is not foretold: whatever the catalog still knows
 * must be what was put, and what it no longer knows must have been counted as
 * evicted, and must not be held by a region.
 */

#ifndef SPROX_UNIT_MODEL_H
#define SPROX_UNIT_MODEL_H


#include "unit_catalog.h"


#define KEYS         1500       /* in each of the spaces */
#define SPACES       3
#define TEXT_MAX     1600
#define HEADERS_MAX  900
#define REGIONS      8          /* at a time, of all spaces */
#define BANS         6


typedef struct {
    uint8_t         known;
    uint8_t         held;       /* put below a region that is there */
    uint32_t        opening;    /* the last one when it was put */
    sprox_object_t  o;          /* strings: slices of text */
    uint8_t         text[TEXT_MAX];
} entry_t;


typedef struct {
    uint32_t        space;
    sprox_str_t     prefix;     /* of a key */
    sprox_region_t  r;
    int64_t         outdated;
} model_region_t;


typedef struct {
    uint32_t        space;
    sprox_str_t     prefix;
    int64_t         time;
    uint64_t        id;
} model_ban_t;


typedef struct {
    sprox_catalog_t  *cat;
    void             *memory;
    size_t            size;
    uint32_t          space[SPACES];
    sprox_str_t       keys[KEYS];         /* in byte order */
    entry_t          *entries;            /* SPACES x KEYS */
    model_region_t    regions[REGIONS];
    model_ban_t       bans[BANS];
    size_t            regions_n;
    size_t            bans_n;
    uint64_t          seed;
    uint64_t          evicted;            /* those found missing */
    unsigned long     full, overflows, swept, emptied;
    int64_t           now;
} model_t;


static uint32_t
any(model_t *m, uint32_t n)
{
    m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (m->seed >> 33) % n;
}


static entry_t *
entry(model_t *m, uint32_t s, uint32_t key)
{
    return &m->entries[s * KEYS + key];
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


/* A beginning of some key, often none. */

static sprox_str_t
any_prefix(model_t *m)
{
    sprox_str_t  prefix;

    prefix = m->keys[any(m, KEYS)];
    prefix.len = any(m, 3) ? any(m, (uint32_t) (prefix.len < 9
                                                ? prefix.len + 1 : 9)) : 0;

    return prefix;
}


/* A copy that the model keeps. */

static void
keep(entry_t *e, const sprox_object_t *o)
{
    size_t              i;
    uint8_t            *p;
    sprox_object_t      copy = *o;
    sprox_str_t *const  strings[] = {
        &copy.etag, &copy.storage_class, &copy.version, &copy.headers,
        &copy.sequencer
    };
    static uint8_t      text[TEXT_MAX];

    /* o may point into the entry itself */

    p = text;

    for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
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


/* What the catalog tells, and what the model has, whose proof is the real. */

static void
same(const sprox_object_t *a, const sprox_object_t *b)
{
    assert_true(a->size == b->size);
    assert_true(a->last_modified == b->last_modified);
    assert_true(a->proved == (b->doubted ? 0 : b->proved));
    assert_true(sprox_str_eq(a->etag, b->etag));
    assert_true(sprox_str_eq(a->storage_class, b->storage_class));
    assert_true(sprox_str_eq(a->version, b->version));
    assert_true(sprox_str_eq(a->headers, b->headers));
    assert_true(sprox_str_eq(a->sequencer, b->sequencer));
    assert_int_equal(a->listed, b->listed);
    assert_int_equal(a->headed, b->headed);
    assert_int_equal(a->told, b->told);
    assert_int_equal(a->doubted, b->doubted);
    assert_int_equal(a->absent, b->absent);
}


/* Bans and regions, one by one. */

static int
banned(model_t *m, uint32_t s, sprox_str_t key, int64_t proved)
{
    size_t  i;

    for (i = 0; i < m->bans_n; i++) {
        if (m->bans[i].space == s && proved < m->bans[i].time
            && sprox_str_starts(key, m->bans[i].prefix))
        {
            return 1;
        }
    }

    return 0;
}


static int
visible(model_t *m, uint32_t s, uint32_t k)
{
    entry_t  *e = entry(m, s, k);

    return e->known && !banned(m, s, m->keys[k], e->o.proved);
}


static int
is_covered(model_t *m, uint32_t s, sprox_str_t key)
{
    size_t  i;

    for (i = 0; i < m->regions_n; i++) {
        if (m->regions[i].space == s && !m->regions[i].r.overflow
            && sprox_str_starts(key, m->regions[i].prefix))
        {
            return 1;
        }
    }

    return 0;
}


/* One region less: what no other covers may go. */

static void
let_go(model_t *m)
{
    uint32_t  s, k;

    for (s = 0; s < SPACES; s++) {
        for (k = 0; k < KEYS; k++) {
            entry(m, s, k)->held &= is_covered(m, s, m->keys[k]);
        }
    }
}


/*
 * After something was put, or held: what did not fit is told, of the regions
 * above one of the keys from k to end only.
 */

static int
overflown(model_t *m, uint32_t s, uint32_t k, uint32_t end)
{
    int              n;
    size_t           i;
    uint32_t         below;
    sprox_region_t   r;
    model_region_t  *region;

    n = 0;

    for (i = 0; i < m->regions_n; i++) {
        region = &m->regions[i];

        assert_int_equal(sprox_catalog_region_get_locked(m->cat,
                             m->space[region->space], region->prefix, &r),
                         SPROX_OK);

        if (r.overflow != region->r.overflow) {
            for (below = k; below < end; below++) {
                if (sprox_str_starts(m->keys[below], region->prefix)) {
                    break;
                }
            }

            assert_true(r.overflow && region->space == s && below < end);
            region->r.overflow = 1;
            region->r.complete = 0;
            n++;
        }
    }

    if (n) {
        m->overflows++;
        let_go(m);
    }

    return n;
}


static int
suspected(const entry_t *e)
{
    return e->known && e->o.absent && e->o.doubted;
}


/* The regions above it are not complete without what was suspected. */

static void
missing(model_t *m, entry_t *e)
{
    size_t           i;
    uint32_t         n;
    model_region_t  *r;

    n = (uint32_t) (e - m->entries);

    for (i = 0; i < m->regions_n && suspected(e); i++) {
        r = &m->regions[i];

        if (r->space == n / KEYS
            && sprox_str_starts(m->keys[n % KEYS], r->prefix))
        {
            r->outdated = e->o.proved > r->outdated ? e->o.proved
                                                    : r->outdated;
            r->r.complete &= r->r.crawled >= e->o.proved;
        }
    }

    assert_int_equal(e->held, 0);
    e->known = 0;
    m->evicted++;
}


/* Not evicted yet: of what is banned, nothing else tells. */

static int
is_there(model_t *m, uint32_t s, uint32_t k)
{
    sprox_map_path_t  path;

    return sprox_map_find(m->cat,
                          sprox_zone_space(m->cat, m->space[s])->root,
                          m->keys[k], &path)
           != 0;
}


/* Before anything is done to regions, or asked of them. */

static void
notice(model_t *m)
{
    uint32_t  s, k;

    for (s = 0; s < SPACES; s++) {
        for (k = 0; k < KEYS; k++) {
            if (suspected(entry(m, s, k)) && !is_there(m, s, k)) {
                missing(m, entry(m, s, k));
            }
        }
    }
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
        assert_true(visible(m, s, k));
        same(&o, &e->o);
        return;
    }

    assert_int_equal(rc, SPROX_NOT_FOUND);

    if (visible(m, s, k)) {
        missing(m, e);
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
        MD5, "\"d41d8cd98f00b204e9800998ecf8427e-77\"", "\"something else\"",
        "", "W/\"weak\""
    };

    static const char  *classes[] = { "", "STANDARD", "OF_MY_OWN" };

    memset(o, 0, sizeof(*o));

    o->proved = m->now - any(m, 20);
    o->absent = any(m, 10) == 0;
    o->size = v * 1000 + k;
    o->last_modified = 1000 * (int64_t) v + (any(m, 2) ? 0 : 7);
    o->etag = sprox_str_make(etags[(k + v) % 5], strlen(etags[(k + v) % 5]));
    v = any(m, 3);
    o->storage_class = sprox_str_make(classes[v], strlen(classes[v]));
    o->listed = any(m, 2);

    if (any(m, 8) == 0) {
        o->version = sprox_str_make("version 12", 9 + any(m, 2));
    }

    if (any(m, 8) == 0) {
        o->told = 1;
        o->last_modified += 1000 * any(m, 9);
        o->sequencer = sprox_str_make("0055AED6DCD90281E5", any(m, 19));
    }

    if (any(m, 4) == 0) {
        o->headed = 1;
        memset(text, 'a' + (int) any(m, 26), HEADERS_MAX);
        o->headers = sprox_str_make(text, any(m, 5) ? any(m, 100)
                                                    : any(m, HEADERS_MAX));
    }
}


static int
is_same(const sprox_object_t *o, const sprox_object_t *old)
{
    if (o->absent || old->absent) {
        return o->absent == old->absent;
    }

    if (o->size != old->size || !sprox_str_eq(o->etag, old->etag)
        || (o->version.len && old->version.len
            && !sprox_str_eq(o->version, old->version)))
    {
        return 0;
    }

    return o->last_modified / 1000 == old->last_modified / 1000
           || ((o->told || old->told) && o->etag.len && o->etag.data[0] == '"');
}


static void
merge(sprox_object_t *o, const sprox_object_t *old)
{
    int                    later = old->proved > o->proved;
    const sprox_object_t  *newer = later ? old : o, *older = later ? o : old;
    sprox_object_t         r = *newer;

    if (r.sequencer.len == 0) {
        r.sequencer = older->sequencer;
    }

    if (o->absent) {
        *o = r;
        return;
    }

    if (!r.headed) {
        r.headed = older->headed;
        r.headers = older->headers;
    }

    if (r.storage_class.len == 0) {
        r.storage_class = older->storage_class;
    }

    if (r.version.len == 0) {
        r.version = older->version;
    }

    if (o->told != old->told) {
        r.told = 0;
        r.last_modified = o->told ? old->last_modified : o->last_modified;

    } else if (r.last_modified % 1000 == 0
               && r.last_modified / 1000 == older->last_modified / 1000)
    {
        r.last_modified = older->last_modified;
    }

    r.listed = o->listed || old->listed;
    *o = r;
}


static sprox_rc_t
expect(model_t *m, uint32_t s, uint32_t k, const sprox_object_t *comes)
{
    entry_t         *e = entry(m, s, k);
    sprox_object_t   o = *comes;

    if (banned(m, s, m->keys[k], o.proved)) {
        return SPROX_DONE;
    }

    if (o.absent) {
        memset(&o, 0, sizeof(o));
        o.absent = 1;
        o.proved = comes->proved;
        o.sequencer = comes->sequencer;
        o.told = comes->told;
        o.last_modified = comes->told ? comes->last_modified : 0;
    }

    if (visible(m, s, k)) {
        if (is_same(&o, &e->o)) {
            merge(&o, &e->o);

        } else if (o.proved < e->o.proved) {
            return SPROX_DONE;
        }
    }

    keep(e, &o);

    return SPROX_OK;
}


static uint32_t
find_key(model_t *m, sprox_str_t key)
{
    uint32_t  low = 0, high = KEYS, middle;

    while (low < high) {
        middle = (low + high) / 2;

        if (sprox_str_cmp(m->keys[middle], key) < 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low;
}


/* The keys of a prefix behind another key, as a range of numbers. */

static void
range(model_t *m, sprox_str_t prefix, sprox_str_t after, uint32_t *first,
    uint32_t *end)
{
    uint32_t  k;

    for (k = 0; k < KEYS; k++) {
        if (sprox_str_starts(m->keys[k], prefix)
            && sprox_str_cmp(m->keys[k], after) > 0)
        {
            break;
        }
    }

    *first = k;

    while (k < KEYS && sprox_str_starts(m->keys[k], prefix)) {
        k++;
    }

    *end = k;
}


/* What covered() is to say, by looking at everything. */

static sprox_rc_t
expect_covered(model_t *m, uint32_t s, sprox_str_t prefix, int64_t *crawled)
{
    size_t           i;
    int64_t          latest;
    sprox_rc_t       rc;
    model_region_t  *r;

    latest = INT64_MIN;

    for (i = 0; i < m->bans_n; i++) {
        if (m->bans[i].space == s && m->bans[i].time > latest
            && (sprox_str_starts(m->bans[i].prefix, prefix)
                || sprox_str_starts(prefix, m->bans[i].prefix)))
        {
            latest = m->bans[i].time;
        }
    }

    rc = SPROX_NOT_FOUND;

    for (i = 0; i < m->regions_n; i++) {
        r = &m->regions[i];

        if (r->space == s && r->r.complete && r->r.crawled >= latest
            && sprox_str_starts(prefix, r->prefix)
            && (rc != SPROX_OK || r->r.crawled > *crawled))
        {
            rc = SPROX_OK;
            *crawled = r->r.crawled;
        }
    }

    return rc;
}


#endif /* SPROX_UNIT_MODEL_H */
