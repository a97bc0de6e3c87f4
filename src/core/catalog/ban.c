/*
 * Bans: what was known of a prefix before a moment counts for nothing, from
 * one moment to the next and whatever lies below it.  A ban that was given
 * must not be lost, so bans have memory of their own that is never full and
 * that emptying the catalog leaves alone; and they name spaces, not numbers.
 *
 * There are two tables.  A change is a copy of the one that is in use into
 * the other, which then takes its place by one store: a process that is
 * killed in between has changed nothing.
 *
 *     table 0:  sum | n | ... | offsets | entry | entry | entry    in use
 *     table 1:  sum | n | ... | offsets | entry | ent              written
 *
 * Entries are sorted by name and prefix, no two of the same.  One of a wider
 * prefix and no earlier time takes the place of those below it.
 *
 * When there is no room, two neighbours that have the most in common become
 * one ban of that, and of the later time; when all spaces are different, the
 * earliest ban becomes one of all spaces.  So more is forgotten than was
 * asked for, never less.
 */

#include "sprox_digest.h"
#include "sprox_region.h"
#include "sprox_ban.h"


_Static_assert(SPROX_BANS_SIZE_MIN / 2 >= sizeof(sprox_bans_t) + 8
               + sizeof(sprox_ban_entry_t) + SPROX_CATALOG_NAME_MAX
               + SPROX_KEY_MAX + 8, "room for any ban");


/* A change: what is written into the other table. */

typedef struct {
    const sprox_ban_t  *add;        /* or NULL */
    uint64_t            remove;     /* an id, or 0 */
    int64_t             all;
} sprox_ban_change_t;


static sprox_bans_t *
table(sprox_catalog_t *cat, uint32_t which)
{
    return sprox_unit(cat, cat->bans + (which & 1) * (cat->bans_units / 2));
}


static sprox_bans_t *
in_use(sprox_catalog_t *cat)
{
    return table(cat, cat->bans_active);
}


static uint32_t *
offsets(sprox_bans_t *bans)
{
    return (uint32_t *) (bans + 1);
}


static sprox_ban_entry_t *
entry(sprox_bans_t *bans, uint32_t i)
{
    return (sprox_ban_entry_t *) ((uint8_t *) bans + offsets(bans)[i]);
}


static sprox_str_t
name_of(const sprox_ban_entry_t *e)
{
    return sprox_str_make(e + 1, e->name_len);
}


static sprox_str_t
prefix_of(const sprox_ban_entry_t *e)
{
    return sprox_str_make((const uint8_t *) (e + 1) + e->name_len,
                          e->prefix_len);
}


static uint32_t
entry_size(size_t name_len, size_t prefix_len)
{
    return (uint32_t) ((sizeof(sprox_ban_entry_t) + name_len + prefix_len + 7)
                       & ~(size_t) 7);
}


/* Offsets of n entries, with what keeps the entries aligned. */

static uint32_t
head_size(uint32_t n)
{
    return (uint32_t) ((sizeof(sprox_bans_t) + n * sizeof(uint32_t) + 7)
                       & ~(size_t) 7);
}


static uint32_t
sum_of(const sprox_bans_t *bans)
{
    return sprox_crc32(0, &bans->used, bans->used - sizeof(bans->sum));
}


static int
is_whole(sprox_catalog_t *cat, const sprox_bans_t *bans)
{
    return bans->used >= sizeof(sprox_bans_t)
           && bans->used <= cat->bans_units / 2 * SPROX_UNIT
           && bans->sum == sum_of(bans);
}


static int
any(const sprox_bans_t *bans)
{
    return bans->n != 0 || bans->all != SPROX_BANS_NONE;
}


/* From here on the other table counts. */

static void
turn(sprox_catalog_t *cat)
{
    sprox_bans_t  *bans;

    bans = table(cat, cat->bans_active + 1);
    bans->sum = sum_of(bans);

    cat->bans_changes++;

    /* who looks without the lock must not see none when there is one */

    if (any(bans)) {
        cat->bans_seq = cat->bans_changes;
    }

    atomic_signal_fence(memory_order_seq_cst);
    cat->bans_active ^= 1;
    atomic_signal_fence(memory_order_seq_cst);

    if (!any(bans)) {
        cat->bans_seq = 0;
    }
}


static void
write_none(sprox_catalog_t *cat, uint64_t next_id)
{
    sprox_bans_t  *bans;

    bans = table(cat, cat->bans_active + 1);

    memset(bans, 0, sizeof(sprox_bans_t));
    bans->used = sizeof(sprox_bans_t);
    bans->next_id = next_id;
    bans->all = SPROX_BANS_NONE;

    turn(cat);
}


void
sprox_ban_init(sprox_catalog_t *cat)
{
    cat->bans_active = 0;
    cat->bans_seq = 0;
    cat->bans_changes = 0;

    write_none(cat, 1);
    write_none(cat, 1);
}


void
sprox_ban_recover(sprox_catalog_t *cat)
{
    cat->bans_active &= 1;

    if (!is_whole(cat, in_use(cat))) {
        cat->bans_active ^= 1;
    }

    if (!is_whole(cat, in_use(cat))) {

        /* nobody wrote that; no id that was given may be given again */

        write_none(cat, cat->bans_changes + 1);
    }

    cat->bans_seq = any(in_use(cat)) ? ++cat->bans_changes : 0;
}


/* Looking up. */

static int
compare(sprox_str_t name, sprox_str_t prefix, const sprox_ban_entry_t *e)
{
    int  rc;

    rc = sprox_str_cmp(name, name_of(e));

    return rc ? rc : sprox_str_cmp(prefix, prefix_of(e));
}


/* How many entries are not greater. */

static uint32_t
upto(sprox_bans_t *bans, sprox_str_t name, sprox_str_t prefix)
{
    uint32_t  low, high, middle;

    low = 0;
    high = bans->n;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (compare(name, prefix, entry(bans, middle)) < 0) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return low;
}


/*
 * The longest prefix that is shorter than *n and that the key starts with;
 * as sprox_region_cover().
 */

static sprox_ban_entry_t *
cover(sprox_bans_t *bans, sprox_str_t name, sprox_str_t key, size_t *n)
{
    size_t              same;
    uint32_t            i;
    sprox_str_t         prefix;
    sprox_ban_entry_t  *e;

    while (*n) {
        key.len = *n - 1;

        i = upto(bans, name, key);
        if (i == 0) {
            return NULL;
        }

        e = entry(bans, i - 1);
        if (!sprox_str_eq(name_of(e), name)) {
            return NULL;
        }

        prefix = prefix_of(e);
        same = sprox_str_common(prefix, key);

        if (same == prefix.len) {
            *n = same;
            return e;
        }

        *n = same + 1;
    }

    return NULL;
}


int
sprox_ban_covers(sprox_catalog_t *cat, sprox_str_t name, sprox_str_t key,
    int64_t proved)
{
    size_t              n;
    sprox_bans_t       *bans;
    sprox_ban_entry_t  *e;

    bans = in_use(cat);

    if (proved < bans->all) {
        return 1;
    }

    n = key.len + 1;

    while ((e = cover(bans, name, key, &n)) != NULL) {
        if (proved < e->time) {
            return 1;
        }
    }

    return 0;
}


int64_t
sprox_ban_latest(sprox_catalog_t *cat, sprox_str_t name, sprox_str_t prefix)
{
    size_t              n;
    int64_t             latest;
    uint32_t            i;
    sprox_bans_t       *bans;
    sprox_ban_entry_t  *e;

    bans = in_use(cat);
    latest = bans->all;
    n = prefix.len + 1;

    /* those above it */

    while ((e = cover(bans, name, prefix, &n)) != NULL) {
        latest = e->time > latest ? e->time : latest;
    }

    /* and those below it, which stand behind it */

    for (i = upto(bans, name, prefix); i < bans->n; i++) {
        e = entry(bans, i);

        if (!sprox_str_eq(name_of(e), name)
            || !sprox_str_starts(prefix_of(e), prefix))
        {
            break;
        }

        latest = e->time > latest ? e->time : latest;
    }

    return latest;
}


/* Changing. */

static int
stays(const sprox_ban_entry_t *e, const sprox_ban_change_t *change)
{
    const sprox_ban_t  *add;

    add = change->add;

    if (e->id == change->remove || e->time <= change->all) {
        return 0;
    }

    return add == NULL || e->time > add->time
           || !sprox_str_eq(name_of(e), add->name)
           || !sprox_str_starts(prefix_of(e), add->prefix);
}


static void
append(sprox_bans_t *to, uint32_t i, const sprox_ban_t *ban)
{
    uint8_t            *p;
    sprox_ban_entry_t  *e;

    offsets(to)[i] = to->used;
    e = entry(to, i);

    memset(e, 0, entry_size(ban->name.len, ban->prefix.len));
    e->id = ban->id;
    e->time = ban->time;
    e->name_len = (uint16_t) ban->name.len;
    e->prefix_len = (uint16_t) ban->prefix.len;

    p = (uint8_t *) (e + 1);

    if (ban->name.len) {
        memcpy(p, ban->name.data, ban->name.len);
    }

    if (ban->prefix.len) {
        memcpy(p + ban->name.len, ban->prefix.data, ban->prefix.len);
    }

    to->used += entry_size(ban->name.len, ban->prefix.len);
}


static void
describe(const sprox_ban_entry_t *e, sprox_ban_t *ban)
{
    memset(ban, 0, sizeof(sprox_ban_t));
    ban->id = e->id;
    ban->name = name_of(e);
    ban->prefix = prefix_of(e);
    ban->time = e->time;
}


/* SPROX_FULL: the tables are too small for it, and nothing was changed. */

static sprox_rc_t
apply(sprox_catalog_t *cat, const sprox_ban_change_t *change)
{
    uint32_t            i, n, size;
    sprox_ban_t         ban;
    const sprox_ban_t  *add;
    sprox_bans_t       *from, *to;

    add = change->add;
    from = in_use(cat);
    to = table(cat, cat->bans_active + 1);

    n = add != NULL;
    size = add ? entry_size(add->name.len, add->prefix.len) : 0;

    for (i = 0; i < from->n; i++) {
        if (stays(entry(from, i), change)) {
            n++;
            size += entry_size(entry(from, i)->name_len,
                               entry(from, i)->prefix_len);
        }
    }

    if (head_size(n) + size > cat->bans_units / 2 * SPROX_UNIT) {
        return SPROX_FULL;
    }

    memset(to, 0, head_size(n));
    to->used = head_size(n);
    to->next_id = from->next_id + (add != NULL);
    to->all = change->all;

    for (i = 0; i < from->n; i++) {
        if (!stays(entry(from, i), change)) {
            continue;
        }

        if (add && compare(add->name, add->prefix, entry(from, i)) < 0) {
            append(to, to->n++, add);
            add = NULL;
        }

        describe(entry(from, i), &ban);
        append(to, to->n++, &ban);
    }

    if (add) {
        append(to, to->n++, add);
    }

    turn(cat);

    return SPROX_OK;
}


/*
 * Makes room, in a table that is not empty: an empty one has room for any
 * ban.  Two bans of a space become one, or one of all spaces.
 */

static void
make_room(sprox_catalog_t *cat)
{
    size_t               same, most;
    uint32_t             i, first, earliest;
    sprox_ban_t          ban;
    sprox_bans_t        *bans;
    sprox_ban_entry_t   *a, *b;
    sprox_ban_change_t   change;

    bans = in_use(cat);

    change.add = NULL;
    change.remove = 0;
    change.all = bans->all;

    most = 0;
    first = bans->n;
    earliest = 0;

    for (i = 0; i < bans->n; i++) {
        a = entry(bans, i);

        if (a->time < entry(bans, earliest)->time) {
            earliest = i;
        }

        if (i + 1 == bans->n) {
            break;
        }

        b = entry(bans, i + 1);
        same = sprox_str_common(prefix_of(a), prefix_of(b));

        if (sprox_str_eq(name_of(a), name_of(b))
            && (first == bans->n || same > most))
        {
            most = same;
            first = i;
        }
    }

    if (first == bans->n) {
        change.all = entry(bans, earliest)->time;
        (void) apply(cat, &change);
        return;
    }

    a = entry(bans, first);
    b = entry(bans, first + 1);

    describe(a, &ban);
    ban.id = bans->next_id;
    ban.prefix.len = most;
    ban.time = a->time > b->time ? a->time : b->time;

    /* what it takes the place of is larger than it */

    change.add = &ban;
    (void) apply(cat, &change);
}


sprox_rc_t
sprox_catalog_ban_locked(sprox_catalog_t *cat, const sprox_ban_t *asked,
    uint64_t *id)
{
    uint32_t             i;
    sprox_ban_t          ban;
    sprox_bans_t        *bans;
    sprox_ban_change_t   change;

    sprox_zone_enter(cat);

    if (!asked->all && (asked->name.len > SPROX_CATALOG_NAME_MAX
                        || asked->prefix.len > SPROX_KEY_MAX))
    {
        return SPROX_LIMIT;
    }

    change.remove = 0;

    if (asked->all) {
        change.add = NULL;
        change.all = in_use(cat)->all;

        if (asked->time > change.all) {
            change.all = asked->time;
            (void) apply(cat, &change);
        }

        *id = 0;
        return SPROX_OK;
    }

    ban = *asked;

    for ( ;; ) {
        bans = in_use(cat);

        if (ban.time <= bans->all) {
            *id = 0;
            return SPROX_OK;
        }

        i = upto(bans, ban.name, ban.prefix);

        /* of two of one prefix the later time, and this name for both */

        if (i && compare(ban.name, ban.prefix, entry(bans, i - 1)) == 0
            && entry(bans, i - 1)->time > ban.time)
        {
            ban.time = entry(bans, i - 1)->time;
        }

        ban.id = bans->next_id;
        change.add = &ban;
        change.all = bans->all;

        if (apply(cat, &change) == SPROX_OK) {
            *id = ban.id;
            return SPROX_OK;
        }

        make_room(cat);
    }
}


sprox_rc_t
sprox_catalog_unban_locked(sprox_catalog_t *cat, uint64_t id)
{
    uint32_t             i;
    sprox_ban_t          ban;
    sprox_bans_t        *bans;
    sprox_ban_change_t   change;

    sprox_zone_enter(cat);

    bans = in_use(cat);

    for (i = 0; i < bans->n; i++) {
        if (entry(bans, i)->id == id) {
            break;
        }
    }

    if (i == bans->n) {
        return SPROX_NOT_FOUND;
    }

    /* what lies below was deleted: no crawl of before tells all any more */

    describe(entry(bans, i), &ban);

    sprox_zone_mark(cat);
    sprox_region_outdated(cat, ban.name, ban.prefix, ban.time);
    sprox_zone_unmark(cat);

    change.add = NULL;
    change.remove = id;
    change.all = bans->all;

    return apply(cat, &change);
}


int
sprox_catalog_banned_locked(sprox_catalog_t *cat, sprox_str_t name,
    sprox_str_t key, int64_t proved)
{
    sprox_zone_enter(cat);

    return cat->bans_seq && sprox_ban_covers(cat, name, key, proved);
}


sprox_rc_t
sprox_catalog_bans_locked(sprox_catalog_t *cat, sprox_catalog_ban_pt visit,
    void *data)
{
    uint32_t       i;
    sprox_rc_t     rc;
    sprox_ban_t    ban;
    sprox_bans_t  *bans;

    sprox_zone_enter(cat);

    bans = in_use(cat);

    if (bans->all != SPROX_BANS_NONE) {
        memset(&ban, 0, sizeof(sprox_ban_t));
        ban.time = bans->all;
        ban.all = 1;

        rc = visit(data, &ban);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    for (i = 0; i < bans->n; i++) {
        describe(entry(bans, i), &ban);

        rc = visit(data, &ban);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    return SPROX_DONE;
}


uint64_t
sprox_catalog_bans_seq(const sprox_catalog_t *cat)
{
    return cat->bans_seq;
}


const char *
sprox_ban_check(sprox_catalog_t *cat)
{
    uint32_t            i;
    sprox_bans_t       *bans;
    sprox_ban_entry_t  *e, *last;

    bans = in_use(cat);

    if (cat->bans_active > 1 || !is_whole(cat, bans)) {
        return "bans: the sum is wrong";
    }

    if ((cat->bans_seq != 0) != any(bans)) {
        return "bans: whether there are any is told wrong";
    }

    last = NULL;

    for (i = 0; i < bans->n; i++) {
        e = entry(bans, i);

        if (last && compare(name_of(last), prefix_of(last), e) >= 0) {
            return "bans: the order is wrong";
        }

        if (e->id == 0 || e->id >= bans->next_id || e->time <= bans->all) {
            return "bans: an entry is wrong";
        }

        last = e;
    }

    return NULL;
}
