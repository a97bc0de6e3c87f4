/*
 * The plan of a response: tables of events in and actions out, and half a
 * million of random events against a model that marks every slice.
 */

#include "unit.h"
#include "sprox_plan.h"


/*
 * Slices of 10 units, so that numbers are short; a unit is a byte, unless
 * sizes in bytes matter.  A script is one line of words: what comes in (small
 * letters, signs), and what must come out (capitals):
 *
 *   m p     the slice that was to be looked at is missing, is present
 *   s25     the client has taken what is before 25
 *   x3      slice 3 is lost
 *   c40     what is before 40 is coming
 *   + = -   from here on there is room for what is ahead, in parts; in runs;
 *           there is none
 *   L3      LOOK at slice 3
 *   F3-5    FILL slices 3 to 5
 *   W       WAIT
 */

#define SLICE  10


typedef struct {
    const char  *name;
    uint64_t     fill, read_ahead, start, end;
    int          bounded;
    const char  *script;
} script_t;


static const script_t  scripts[] = {

    /* ranges inside of slices, and at their ends */

    { "first byte", 30, 100, 0, 1, 1, "L0 m F0-0 W s1 W" },
    { "inside one", 30, 100, 13, 17, 1, "L1 m F1-1 W s17 W" },
    { "one slice", 30, 100, 20, 30, 1, "L2 m F2-2 W s30 W" },
    { "last byte of one", 30, 100, 29, 30, 1, "L2 m F2-2 W s30 W" },
    { "over a boundary", 30, 100, 19, 21, 1, "L1 m L2 m F1-2 W" },
    { "up to a boundary", 30, 100, 5, 20, 1, "L0 m L1 m F0-1 W s20 W" },
    { "one byte beyond", 30, 100, 5, 21, 1, "L0 m L1 m L2 m F0-2 W" },
    { "all is cached", 30, 100, 5, 35, 1, "L0 p L1 p L2 p L3 p W s35 W" },
    { "far away", 20, 20, UINT64_C(9223372036854775797),
      UINT64_C(9223372036854775807), 1,
      "L922337203685477579 m L922337203685477580 m "
      "F922337203685477579-922337203685477580 W s9223372036854775807 W" },
    { "the last there is", 20, 20, UINT64_MAX - 1, UINT64_MAX, 1,
      "L1844674407370955161 m F1844674407370955161-1844674407370955161 W" },

    /* runs */

    { "runs of one", 10, 30, 0, 100, 1,
      "L0 m F0-0 L1 m F1-1 L2 m F2-2 W s10 L3 m F3-3 W" },
    { "runs of three", 30, 60, 0, 100, 1,
      "L0 m L1 m L2 m F0-2 L3 m L4 m L5 m F3-5 W" },
    { "closed by a present one", 40, 100, 0, 100, 1,
      "L0 m L1 p F0-0 L2 m L3 m L4 p F2-3 L5 p L6 m L7 m L8 m L9 m F6-9 W" },
    { "closed, then full ones", 20, 100, 0, 70, 1,
      "L0 p L1 m L2 p F1-1 L3 m L4 m F3-4 L5 m L6 m F5-6 W" },
    { "closed by the end", 40, 100, 0, 15, 1, "L0 m L1 m F0-1 W" },
    { "beyond the window", 40, 10, 0, 100, 1,
      "L0 m L1 m L2 m L3 m F0-3 W s30 W s31 L4 m L5 m L6 m L7 m F4-7 W" },
    { "closed beyond the window", 40, 10, 0, 100, 1,
      "L0 m L1 p F0-0 W s10 W s11 L2 m L3 m L4 p F2-3 W" },

    /* windows */

    { "no read-ahead, bounded", 30, 0, 0, 100, 1,
      "L0 m L1 m L2 m F0-2 W s29 W s30 L3 m L4 m L5 m F3-5 W" },
    { "no read-ahead, cached", 30, 0, 0, 40, 1,
      "L0 p W s9 W s10 L1 p W s20 L2 m L3 m F2-3 W" },
    { "no read-ahead, unbounded", 10, 0, 0, 100, 0,
      "L0 m F0-0 W s10 L1 m F1-1 W s19 W s20 L2 m F2-2 W" },
    { "the window is exact", 10, 25, 0, 100, 1,
      "L0 m F0-0 L1 m F1-1 L2 m F2-2 W s5 W s6 L3 m F3-3 W" },
    { "measured from pos", 10, 20, 7, 100, 1,
      "L0 m F0-0 L1 m F1-1 L2 m F2-2 W s10 W s11 L3 m F3-3 W" },
    { "unbounded opens with what is taken", 20, 80, 0, 1000, 0,
      "L0 m L1 m F0-1 W s2 W s3 L2 m L3 m F2-3 W s4 W s5 L4 m L5 m F4-5 W "
      "s6 W s7 L6 m L7 m F6-7 W s8 W s9 L8 m L9 m F8-9 W s10 W s20 W "
      "s21 L10 m L11 m F10-11 W" },
    { "unbounded from the middle", 20, 80, 55, 1000, 0,
      "L5 m L6 m F5-6 W s56 W s57 L7 m L8 m F7-8 W" },
    { "unbounded is not beyond the end", 20, 80, 0, 35, 0,
      "L0 m L1 m F0-1 W s30 L2 m L3 m F2-3 W s35 W" },
    { "unbounded, cached", 20, 80, 0, 1000, 0,
      "L0 p W s2 L1 p W s3 L2 p W s9 L3 p L4 p L5 p L6 p L7 p L8 p W" },

    /* coming already */

    { "the run of the first contact", 30, 80, 0, 200, 0,
      "c30 L0 p L1 p L2 p W s2 W s3 W s4 L3 m L4 m L5 m F3-5 W" },
    { "inside a slice", 30, 80, 15, 200, 0, "c21 L1 p L2 p W s30 L3 m L4 m "
      "L5 m F3-5 L6 m L7 m L8 m F6-8 L9 m L10 m L11 m F9-11 W" },
    { "and gone", 30, 0, 0, 200, 0, "c30 L0 p L1 m L2 p F1-1 W s10 W s20 W" },
    { "and gone, without spare", 30, 0, 0, 200, 1,
      "- c30 L0 p L1 p L2 p W x0 L0 m L1 m L2 m F0-2 W" },
    { "beyond the end", 30, 80, 0, 25, 0, "c90 L0 p L1 p L2 p W s25 W" },
    { "behind", 30, 0, 50, 90, 0, "c40 L5 p W s60 L6 p W" },

    /* spare */

    { "none: only what is waited for", 30, 100, 0, 200, 1,
      "- L0 m L1 m L2 m F0-2 W s10 W s29 W s30 L3 m L4 m L5 m F3-5 W" },
    { "none: closed runs", 30, 100, 0, 200, 1,
      "- L0 m L1 p F0-0 W s10 W s20 L2 m L3 m L4 m F2-4 W" },
    { "none: cached ones by one", 30, 100, 0, 200, 1,
      "- L0 p W s10 L1 p W s15 W s20 L2 p W" },
    { "none, then some", 20, 40, 0, 200, 1,
      "- L0 m L1 m F0-1 W + L2 m L3 m F2-3 W - s20 W + L4 m L5 m F4-5 W" },
    { "none in an open run", 30, 100, 0, 200, 1,
      "L0 m L1 m - L2 m F0-2 W" },

    /* loss */

    { "the one at pos", 20, 20, 0, 100, 1,
      "L0 m L1 m F0-1 W x0 L0 m L1 m F0-1 W" },
    { "others are there still", 20, 40, 0, 100, 1,
      "L0 m L1 m F0-1 L2 m L3 m F2-3 W x0 L0 m L1 p F0-0 L2 p L3 p W" },
    { "in the middle", 20, 60, 0, 100, 1,
      "L0 p L1 p L2 p L3 p L4 p L5 p W x3 L3 m L4 p F3-3 L5 p W" },
    { "the last looked at", 20, 20, 0, 100, 1, "L0 p L1 p W x1 L1 p W" },
    { "not looked at yet", 20, 20, 0, 100, 1, "L0 p L1 p W x2 W x9 W" },
    { "in an open run", 30, 60, 0, 100, 1, "L0 m L1 m x1 L1 m L2 m L3 m F1-3 "
      "L4 p L5 p W" },
    { "behind an open run", 30, 60, 0, 100, 1,
      "L0 m L1 m x2 x3 L2 m F0-2 L3 p L4 p L5 p W" },
    { "before an open run", 30, 60, 0, 100, 1,
      "L0 p L1 m x0 L0 m L1 m L2 m F0-2 L3 p L4 p L5 p W" },
    { "in a closed run", 30, 60, 0, 100, 1,
      "L0 m L1 p x0 L0 m L1 m L2 m F0-2 L3 p L4 p L5 p W" },
    { "again and again", 10, 10, 0, 20, 1,
      "L0 m F0-0 W x0 L0 m F0-0 W x0 L0 p W s10 L1 m F1-1 W x1 L1 p W" },
    { "without spare", 20, 40, 0, 100, 1,
      "L0 p L1 p L2 p L3 p W s10 - W x1 L1 m L2 p F1-1 W s20 W s30 L3 p W" },

    /* what is taken only grows, up to the end */

    { "backwards", 10, 20, 0, 100, 1,
      "L0 p L1 p W s11 L2 p L3 p W s5 x2 L2 p L3 p W s0 W s20 W s21 L4 p W" },
    { "beyond the end", 10, 20, 0, 30, 1, "L0 p L1 p W s99 W" },
    { "taken before it was looked at", 10, 20, 0, 90, 1,
      "L0 p L1 p W s45 L2 m F2-2 L3 m F3-3 L4 m F4-4 L5 m F5-5 L6 m F6-6 W" },
};


/* A slice is as long as the shortest part. */

static const script_t  parts[] = {

    { "inside of a slice", 40, 640, 0, 10, 1, "L0 m F0-0 W" },
    { "short, over a boundary", 40, 640, 3, 12, 1, "L0 m L1 m F0-1 W" },
    { "short, with runs of one", 10, 640, 3, 12, 1,
      "L0 m F0-0 L1 m F1-1 W" },
    { "longer, in two", 40, 640, 3, 14, 1, "L0 m F0-0 L1 m F1-1 W" },
    { "four", 40, 640, 0, 40, 1,
      "L0 m F0-0 L1 m F1-1 L2 m F2-2 L3 m F3-3 W s40 W" },
    { "four of five slices", 40, 640, 5, 45, 1,
      "L0 m L1 m F0-1 L2 m L3 m F2-3 L4 m F4-4 W" },
    { "four of eight", 40, 640, 0, 80, 1,
      "L0 m L1 m F0-1 L2 m L3 m F2-3 L4 m L5 m F4-5 L6 m L7 m F6-7 W" },
    { "four of nine", 40, 640, 0, 90, 1,
      "L0 m L1 m L2 m F0-2 L3 m L4 m L5 m F3-5 L6 m L7 m L8 m F6-8 W" },
    { "full runs of sixteen", 40, 640, 0, 160, 1,
      "L0 m L1 m L2 m L3 m F0-3 L4 m L5 m L6 m L7 m F4-7 "
      "L8 m L9 m L10 m L11 m F8-11 L12 m L13 m L14 m L15 m F12-15 W" },
    { "full runs beyond", 20, 640, 0, 95, 1,
      "L0 m L1 m F0-1 L2 m L3 m F2-3 L4 m L5 m F4-5 L6 m L7 m F6-7 "
      "L8 m L9 m F8-9 W" },
    { "by what is cached", 40, 640, 0, 70, 1,
      "L0 p L1 m L2 p F1-1 L3 m L4 m F3-4 L5 m L6 p F5-5 W" },
    { "of what is lost", 40, 640, 0, 70, 1,
      "L0 p L1 p L2 p L3 p L4 p L5 p L6 p W x2 L2 m L3 m F2-3 L4 p L5 p "
      "L6 p W" },
    { "not with an open end", 40, 640, 0, 40, 0,
      "L0 m L1 m L2 m L3 m F0-3 W" },
    { "not without read-ahead", 40, 0, 0, 40, 1,
      "L0 m L1 m L2 m L3 m F0-3 W" },
    { "not beyond the window", 40, 39, 0, 40, 1,
      "L0 m L1 m L2 m L3 m F0-3 W" },
    { "up to the window", 40, 40, 0, 40, 1,
      "L0 m F0-0 L1 m F1-1 L2 m F2-2 L3 m F3-3 W" },
    { "not when nothing is spare", 40, 640, 0, 60, 1,
      "- L0 m L1 m L2 m L3 m F0-3 W + L4 m L5 m F4-5 W" },
    { "not when runs will do", 40, 640, 0, 60, 1,
      "= L0 m L1 m L2 m L3 m F0-3 L4 m L5 m F4-5 W" },
    { "the run of the first contact", 40, 640, 0, 60, 1,
      "c40 L0 p L1 p L2 p L3 p L4 m L5 m F4-5 W" },
};


/* A slice is a quarter of the shortest part; it is two of them. */

static const script_t  quarters[] = {
    { "a part of small slices", 160, 640, 0, 40, 1,
      "L0 m L1 m L2 m L3 m F0-3 W" },
    { "over boundaries", 160, 640, 5, 46, 1,
      "L0 m L1 m L2 m L3 m F0-3 L4 m F4-4 W" },
    { "no shorter", 160, 640, 0, 90, 1,
      "L0 m L1 m L2 m L3 m F0-3 L4 m L5 m L6 m L7 m F4-7 L8 m F8-8 W" },
    { "than a fill", 20, 640, 0, 60, 1,
      "L0 m L1 m F0-1 L2 m L3 m F2-3 L4 m L5 m F4-5 W" },
};


static const script_t  doubles[] = {
    { "inside of a slice", 40, 640, 1, 9, 1, "L0 m F0-0 W" },
    { "short, over a boundary", 40, 640, 8, 12, 1, "L0 m L1 m F0-1 W" },
    { "over a boundary", 40, 640, 7, 13, 1, "L0 m F0-0 L1 m F1-1 W" },
    { "four large ones", 40, 640, 0, 40, 1,
      "L0 m F0-0 L1 m F1-1 L2 m F2-2 L3 m F3-3 W" },
};


static uint64_t
number(const char **p)
{
    char      *end;
    uint64_t   n;

    n = strtoull(*p, &end, 10);
    assert_true(end != *p);
    *p = end;

    return n;
}


static void
play(const script_t *s, uint64_t unit)
{
    uint64_t              first, last;
    const char           *p;
    sprox_plan_t          plan;
    sprox_plan_spare_e    spare;
    sprox_plan_action_t   action;

    sprox_plan_init(&plan, SLICE * unit, s->fill * unit, s->read_ahead * unit,
                    s->start * unit, s->end * unit, s->bounded);
    spare = SPROX_PLAN_PARTS;

    for (p = s->script; *p != '\0'; p += strspn(p, " ")) {

        switch (*p++) {

        case '+':
            spare = SPROX_PLAN_PARTS;
            continue;

        case '=':
            spare = SPROX_PLAN_RUNS;
            continue;

        case '-':
            spare = SPROX_PLAN_NONE;
            continue;

        case 'm':
            sprox_plan_seen(&plan, 1);
            continue;

        case 'p':
            sprox_plan_seen(&plan, 0);
            continue;

        case 's':
            sprox_plan_sent(&plan, number(&p) * unit);
            continue;

        case 'c':
            sprox_plan_coming(&plan, number(&p) * unit);
            continue;

        case 'x':
            sprox_plan_lost(&plan, number(&p));
            continue;

        default:
            break;
        }

        action = sprox_plan_next(&plan, spare);

        switch (p[-1]) {

        case 'W':
            if (action.kind == SPROX_PLAN_WAIT) {
                continue;
            }
            break;

        case 'L':
            first = number(&p);
            if (action.kind == SPROX_PLAN_LOOK && action.first == first
                && action.last == first)
            {
                continue;
            }
            break;

        case 'F':
            first = number(&p);
            assert_int_equal(*p++, '-');
            last = number(&p);
            if (action.kind == SPROX_PLAN_FILL && action.first == first
                && action.last == last)
            {
                continue;
            }
            break;

        default:
            fail_msg("%s: no such word: %s", s->name, p - 1);
        }

        fail_msg("%s: %c%llu-%llu, where the script ends with: ... %.*s",
                 s->name, "WLF"[action.kind],
                 (unsigned long long) action.first,
                 (unsigned long long) action.last,
                 (int) (p - s->script), s->script);
    }
}


static void
test_scripts(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        play(&scripts[i], 1);
    }
}


/* A part is no multiple of ten bytes: a slice is a few bytes longer. */

static void
test_parts(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        play(&parts[i], SPROX_PLAN_PART / SLICE + 1);
    }

    for (i = 0; i < sizeof(quarters) / sizeof(quarters[0]); i++) {
        play(&quarters[i], SPROX_PLAN_PART / SLICE / 4 + 1);
    }

    for (i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        play(&doubles[i], 2 * SPROX_PLAN_PART / SLICE + 1);
    }
}


/* LOOK is the same until it is answered. */

static void
test_look_again(void **state)
{
    int                  i;
    sprox_plan_t         plan;
    sprox_plan_action_t  action;

    (void) state;

    sprox_plan_init(&plan, SLICE, 30, 100, 25, 90, 1);

    for (i = 0; i < 3; i++) {
        action = sprox_plan_next(&plan, (sprox_plan_spare_e) i);
        assert_int_equal(action.kind, SPROX_PLAN_LOOK);
        assert_int_equal(action.first, 2);
    }
}


static void
test_finish(void **state)
{
    (void) state;

    assert_false(sprox_plan_finish(0, 0));
    assert_false(sprox_plan_finish(0, 1));
    assert_true(sprox_plan_finish(1, 1));
    assert_false(sprox_plan_finish(1, 2));
    assert_true(sprox_plan_finish(2, 3));
    assert_false(sprox_plan_finish(32 * 1024, 64 * 1024));
    assert_true(sprox_plan_finish(32 * 1024 + 1, 64 * 1024));
    assert_true(sprox_plan_finish(UINT64_MAX, UINT64_MAX));
}


/*
 * The model: a mark for each slice, and what the header promises, computed
 * from nothing but these marks and pos.
 */

#define SLICES_MAX  96


typedef enum {
    UNSEEN = 0,
    PRESENT,            /* cached or in flight, when it was looked at */
    OPEN,               /* missing, not asked for yet */
    ASKED
} mark_e;


typedef struct {
    sprox_plan_t        plan;
    mark_e              marks[SLICES_MAX];
    uint64_t            slice, fill, read_ahead;
    uint64_t            start, end, pos, coming;
    uint64_t            nfill;          /* slices in a full run */
    uint64_t            npart;          /* slices in a part of a range */
    uint64_t            first, last;    /* of the response, inclusive */
    int                 bounded;
    sprox_plan_spare_e  spare;
    int                 closed;         /* the open run cannot grow */
    int                 presence;       /* of a hundred slices */
    uint64_t            seed;
    unsigned long       looks, fills, parts, losses;
} model_t;


static uint32_t
rnd(model_t *m, uint64_t n)
{
    m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (m->seed >> 33) % (uint32_t) n;
}


/* The first slice from there on that was not looked at. */

static uint64_t
unseen(const model_t *m)
{
    uint64_t  i;

    for (i = m->first; i <= m->last && m->marks[i] != UNSEEN; i++) {
        /* void */
    }

    return i;
}


static uint64_t
open_slices(const model_t *m)
{
    uint64_t  i, n;

    for (i = m->first, n = 0; i <= m->last; i++) {
        n += (m->marks[i] == OPEN);
    }

    return n;
}


static uint64_t
window(const model_t *m)
{
    uint64_t  taken;

    taken = m->pos - m->start;

    return m->bounded || taken * SPROX_PLAN_TRUST > m->read_ahead
           ? m->read_ahead : taken * SPROX_PLAN_TRUST;
}


/* The most slices that a run may have now. */

static uint64_t
most(const model_t *m)
{
    return m->spare == SPROX_PLAN_PARTS ? m->npart : m->nfill;
}


/* A run that may begin at a slice now. */

static int
may_begin(const model_t *m, uint64_t i)
{
    return i * m->slice <= m->pos || i * m->slice < m->coming
           || (m->spare != SPROX_PLAN_NONE
               && i * m->slice < m->pos + window(m));
}


static void
model_look(model_t *m, uint64_t index)
{
    int       present;
    uint64_t  n;

    n = open_slices(m);

    /* once, in order, and for a reason */

    assert_int_equal(index, unseen(m));
    assert_true(index <= m->last);
    assert_true(m->pos < m->end);

    if (n == 0) {
        assert_true(may_begin(m, index));

    } else {
        assert_false(m->closed);
        assert_true(n < most(m));
        assert_int_equal(m->marks[index - 1], OPEN);
    }

    present = (int) rnd(m, 100) < m->presence;

    m->marks[index] = present ? PRESENT : OPEN;
    m->closed = (present && n != 0);
    m->looks++;

    sprox_plan_seen(&m->plan, !present);
}


static void
model_fill(model_t *m, uint64_t first, uint64_t last)
{
    uint64_t  i, n;

    n = last - first + 1;

    assert_true(first <= last && last <= m->last);
    assert_int_equal(n, open_slices(m));
    assert_true(n <= most(m));

    /* none is shorter than it must be */

    assert_true(n == most(m) || last == m->last
                || (m->closed && m->marks[last + 1] == PRESENT));

    for (i = first; i <= last; i++) {
        assert_int_equal(m->marks[i], OPEN);
        m->marks[i] = ASKED;
    }

    m->closed = 0;
    m->fills++;
    m->parts += (most(m) < m->nfill);
}


static void
model_drive(model_t *m)
{
    uint64_t             ahead, end;
    sprox_plan_action_t  action;

    for ( ;; ) {
        action = sprox_plan_next(&m->plan, m->spare);

        if (action.kind == SPROX_PLAN_WAIT) {
            break;
        }

        if (action.kind == SPROX_PLAN_LOOK) {
            assert_int_equal(action.first, action.last);
            model_look(m, action.first);

        } else {
            model_fill(m, action.first, action.last);
        }
    }

    /* nothing is left over, all that may be planned is, and no more */

    assert_int_equal(open_slices(m), 0);

    ahead = unseen(m);

    if (ahead <= m->last && m->pos < m->end) {
        assert_false(may_begin(m, ahead));
    }

    if (ahead > m->first) {
        end = m->pos + m->read_ahead;
        end = end > m->coming ? end : m->coming;

        assert_true((ahead - 1) * m->slice < end + m->fill);
    }
}


static void
model_event(model_t *m)
{
    uint64_t  i, index, ahead;

    switch (rnd(m, 8)) {

    case 0:
        m->spare = (sprox_plan_spare_e) rnd(m, 3);
        break;

    case 1:

        /* what has not been sent, as far as it was looked at */

        index = m->pos / m->slice;
        ahead = unseen(m);

        if (m->pos < m->end && index < ahead) {
            index += rnd(m, ahead - index);

            for (i = index; i < ahead; i++) {
                m->marks[i] = UNSEEN;
            }

            m->losses++;
            sprox_plan_lost(&m->plan, index);
        }

        break;

    default:

        /* the client takes some of what was looked at, or stops */

        ahead = unseen(m) * m->slice;
        ahead = ahead < m->end ? ahead : m->end;

        if (ahead > m->pos) {
            m->pos += rnd(m, 2) ? rnd(m, ahead - m->pos + 1)
                                : rnd(m, 3) ? 1 : 0;
        }

        sprox_plan_sent(&m->plan, m->pos);
        break;
    }

    model_drive(m);
}


/*
 * The least number of slices in which a range comes in so many runs, and
 * which are not shorter than a part: found by trying.
 */

static uint64_t
parts_of(const model_t *m)
{
    uint64_t  n, all;

    if (!m->bounded || m->end - m->start <= SPROX_PLAN_PART
        || m->end - m->start > m->read_ahead)
    {
        return m->nfill;
    }

    all = m->last - m->first + 1;

    for (n = 1;
         n < m->nfill && (n * SPROX_PLAN_SPLIT < all
                          || n * m->slice < SPROX_PLAN_PART);
         n++)
    {
        /* void */
    }

    return n;
}


static void
model_init(model_t *m)
{
    uint64_t  size;

    static const int  presences[] = { 0, 10, 50, 90, 100 };

    memset(m->marks, 0, sizeof(m->marks));

    m->slice = 1ULL << (1 + rnd(m, 6));

    if (rnd(m, 2)) {
        m->slice *= SPROX_PLAN_PART / 16;
    }

    m->nfill = 1 + rnd(m, 9);
    m->fill = m->nfill * m->slice;
    m->read_ahead = rnd(m, 3) ? rnd(m, 24 * m->slice) : 0;
    m->bounded = rnd(m, 2);
    m->presence = presences[rnd(m, 5)];

    size = 1 + rnd(m, SLICES_MAX * m->slice);
    m->start = rnd(m, size);
    m->end = m->start + 1 + rnd(m, size - m->start);
    m->pos = m->start;
    m->first = m->start / m->slice;
    m->last = (m->end - 1) / m->slice;
    m->npart = parts_of(m);
    m->spare = SPROX_PLAN_PARTS;
    m->closed = 0;

    sprox_plan_init(&m->plan, m->slice, m->fill, m->read_ahead, m->start,
                    m->end, m->bounded);

    m->coming = 0;

    if (rnd(m, 2)) {
        m->coming = m->start + rnd(m, 2 * m->fill);
        sprox_plan_coming(&m->plan, m->coming);
    }
}


static void
test_model(void **state)
{
    int       n, events;
    model_t   m;
    uint64_t  i, pos;

    (void) state;

    memset(&m, 0, sizeof(m));
    m.seed = 20;

    for (n = 0; n < 20000; n++) {
        model_init(&m);
        model_drive(&m);

        for (events = rnd(&m, 60); events > 0; events--) {
            model_event(&m);
        }

        /* whoever stays gets it all */

        if (n & 1) {
            continue;
        }

        while (m.pos < m.end) {
            pos = unseen(&m) * m.slice;
            assert_true(pos > m.pos);
            m.pos = pos < m.end ? pos : m.end;
            sprox_plan_sent(&m.plan, m.pos);
            model_drive(&m);
        }

        for (i = m.first; i <= m.last; i++) {
            assert_true(m.marks[i] == PRESENT || m.marks[i] == ASKED);
        }
    }

    /* it has seen something */

    assert_true(m.looks > 200000);
    assert_true(m.fills > 30000);
    assert_true(m.parts > 1000);
    assert_true(m.losses > 30000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_look_again),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
