/*
 * Events into the catalog: whatever the order in which they come, what is
 * believed at the end is what is true.
 */

#include "unit_apply.h"


#define HISTORY  4                           /* events of a key */


typedef struct {
    const char     *name;
    const char     *etag;            /* known: NULL: nothing; "": absent */
    int64_t         modified;
    int64_t         proved;
    sprox_event_t   event;
    sprox_rc_t      rc;
    const char     *state;
} apply_case_t;


#define AWS(etag, time)                                                       \
    { SPROX_EVENT_CREATED, SPROX_SENDER_AWS, sprox_str("Created"),            \
      sprox_str("bucket"), sprox_str("key"), sprox_str(etag), sprox_str(""),  \
      sprox_str("0055AED6DCD90281E5"), 7, time, 1, 0 }
#define AWS_GONE(time)                                                        \
    { SPROX_EVENT_REMOVED, SPROX_SENDER_AWS, sprox_str("Removed"),            \
      sprox_str("bucket"), sprox_str("key"), sprox_str(""), sprox_str(""),    \
      sprox_str("0055AED6DCD90281E5"), 0, time, 0, 0 }
#define GATEWAY(kind, etag, has_size)                                         \
    { kind, SPROX_SENDER_VERSITYGW, sprox_str("x"), sprox_str("bucket"),      \
      sprox_str("key"), sprox_str(etag), sprox_str(""), sprox_str("1"), 7,    \
      NOW, has_size, 0 }


static const apply_case_t  cases[] = {

    { "a new key", NULL, 0, 0, AWS("\"n\"", NOW), SPROX_OK, "n" },
    { "a new key, long ago", NULL, 0, 0,
      AWS("\"n\"", NOW - SPROX_EVENT_RECENT - 1), SPROX_AGAIN, "none" },
    { "a new key, some time", NULL, 0, 0, AWS("\"n\"", -1), SPROX_AGAIN,
      "none" },
    { "no ETag", NULL, 0, 0, AWS("", NOW), SPROX_AGAIN, "none" },
    { "a weak ETag", NULL, 0, 0, AWS("W/\"n\"", NOW), SPROX_AGAIN, "none" },
    { "a removal of what nobody knows", NULL, 0, 0, AWS_GONE(NOW), SPROX_OK,
      "absent" },

    { "the version that is known", "\"k\"", NOW - 9000, NOW - 5000,
      AWS("\"k\"", NOW - 9000), SPROX_DONE, "k" },
    { "a later one", "\"k\"", NOW - 9000, NOW - 8000,
      AWS("\"n\"", NOW - 1000), SPROX_OK, "n" },
    { "one before", "\"k\"", NOW - 9000, NOW - 8000,
      AWS("\"n\"", NOW - 12000), SPROX_DONE, "k" },
    { "one of the same second", "\"k\"", NOW - 9000, NOW - 9000,
      AWS("\"n\"", NOW - 9000 + 900), SPROX_AGAIN, "doubt" },
    { "one before the last proof, of an upload in parts", "\"k\"",
      NOW - 90000, NOW - 500, AWS("\"n\"", NOW - 1000), SPROX_AGAIN,
      "doubt" },
    { "removed", "\"k\"", NOW - 9000, NOW - 8000, AWS_GONE(NOW - 1000),
      SPROX_OK, "absent" },
    { "removed before", "\"k\"", NOW - 9000, NOW - 8000,
      AWS_GONE(NOW - 20000), SPROX_DONE, "k" },
    { "created where there was none", "", 0, NOW - 5000,
      AWS("\"n\"", NOW - 1000), SPROX_OK, "n" },
    { "created before there was none", "", 0, NOW - 500,
      AWS("\"n\"", NOW - 1000), SPROX_AGAIN, "doubt" },
    { "removed, as known", "", 0, NOW - 500, AWS_GONE(NOW - 1000),
      SPROX_DONE, "absent" },

    { "who does not order: a new key", NULL, 0, 0,
      GATEWAY(SPROX_EVENT_CREATED, "\"n\"", 1), SPROX_AGAIN, "none" },
    { "who does not order: as known", "\"k\"", NOW - 9000, NOW - 8000,
      GATEWAY(SPROX_EVENT_CREATED, "\"k\"", 1), SPROX_DONE, "k" },
    { "who does not order: another size", "\"k\"", NOW - 9000, NOW - 8000,
      GATEWAY(SPROX_EVENT_CREATED, "\"k\"", 0), SPROX_AGAIN, "doubt" },
    { "who does not order: a later one", "\"k\"", NOW - 9000, NOW - 8000,
      GATEWAY(SPROX_EVENT_CREATED, "\"n\"", 1), SPROX_AGAIN, "doubt" },
    { "who does not order: removed", "\"k\"", NOW - 9000, NOW - 8000,
      GATEWAY(SPROX_EVENT_REMOVED, "", 0), SPROX_AGAIN, "doubt" },
    { "who does not order: removed, as known", "", 0, NOW - 8000,
      GATEWAY(SPROX_EVENT_REMOVED, "", 0), SPROX_DONE, "absent" },

    { "what only the store can tell", "\"k\"", NOW - 9000, NOW - 8000,
      GATEWAY(SPROX_EVENT_CHECK, "", 0), SPROX_AGAIN, "doubt" },
    { "what shows nowhere", "\"k\"", NOW - 9000, NOW - 8000,
      GATEWAY(SPROX_EVENT_IGNORED, "", 0), SPROX_DONE, "k" }
};


static void
test_cases(void **state_)
{
    size_t               i;
    uint32_t             n;
    sprox_rc_t           rc;
    sprox_catalog_t     *cat;
    const apply_case_t  *c;

    (void) state_;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = &cases[i];
        cat = make(SIZE);
        n = space(cat, "b");

        if (c->etag) {
            told(cat, n, c->etag[0] ? c->etag : NULL, 7, c->modified,
                 c->proved);
        }

        rc = apply(cat, n, &c->event, NOW);

        if (rc != c->rc || strcmp(state(cat, n), c->state) != 0) {
            fail_msg("%s: %d %s", c->name, rc, state(cat, n));
        }

        check(cat);
        free(cat);
    }
}


/* One history of a key, and every order of its events, one of them twice. */

typedef struct {
    sprox_event_t  events[HISTORY];
    const char    *after[HISTORY];   /* what is true then; NULL: nothing */
    unsigned       n;
} history_t;


/*
 * first: how many of the events had happened when the store told of the
 * key, before any event came; 0: it was not asked.
 */

static void
play(const history_t *h, const unsigned *order, unsigned n, unsigned first,
    unsigned *asked)
{
    int64_t           now;
    uint32_t          number;
    unsigned          i;
    const char       *truth, *etag;
    sprox_rc_t        rc;
    sprox_catalog_t  *cat;

    cat = make(SIZE);
    number = space(cat, "b");

    if (first) {
        etag = h->after[first - 1];
        told(cat, number, etag, 7, h->events[first - 1].time,
             h->events[first - 1].time + 5);
    }

    truth = h->after[h->n - 1];

    for (i = 0; i < n; i++) {
        now = NOW + i;
        rc = apply(cat, number, &h->events[order[i]], now);

        if (rc == SPROX_AGAIN) {
            (*asked)++;
            assert_true(strcmp(state(cat, number), "doubt") == 0
                        || strcmp(state(cat, number), "none") == 0);

            /* an answer that was on its way settles nothing */

            told(cat, number, h->after[0], 7, h->events[0].time, now - 1);
            assert_int_equal(sprox_event_settle_locked(cat, number,
                                                &h->events[order[i]], now),
                             SPROX_AGAIN);

            told(cat, number, truth, 7, h->events[h->n - 1].time, now);
            assert_int_equal(sprox_event_settle_locked(cat, number,
                                                &h->events[order[i]], now),
                             SPROX_OK);
        }

        check(cat);
    }

    etag = truth ? truth : "\"absent\"";

    if (strlen(state(cat, number)) + 2 != strlen(etag)
        || strncmp(state(cat, number), etag + 1, strlen(etag) - 2) != 0)
    {
        fail_msg("first %u, order %u %u %u: %s instead of %s", first,
                 order[0], order[1], order[2], state(cat, number), etag);
    }

    free(cat);
}


static void
permute(const history_t *h, unsigned *order, unsigned n, unsigned len,
    unsigned used, unsigned *asked)
{
    unsigned  i, first;

    if (n == len) {
        for (first = 0; first <= h->n; first++) {
            play(h, order, n, first, asked);
        }

        return;
    }

    for (i = 0; i < len; i++) {
        if (!(used & 1u << i)) {
            /* the last is the first of all, once more */
            order[n] = i % h->n;
            permute(h, order, n + 1, len, used | 1u << i, asked);
        }
    }
}


static void
run(const history_t *h, unsigned *asked)
{
    unsigned  i, order[HISTORY + 1];

    *asked = 0;

    for (i = 0; i < h->n; i++) {
        order[0] = i;
        play(h, order, i == h->n - 1 ? 1 : 0,
             i == h->n - 1 ? 0 : h->n, asked);
    }

    permute(h, order, 0, h->n + 1, 0, asked);
}


static void
history(history_t *h, sprox_sender_t sender, int64_t step)
{
    unsigned  i;

    /* of varying length, as S3 sends them */

    static const char *const  sequencers[HISTORY] = {
        "0055AED6DCD90281E5", "0055AED6DCD90281E6",
        "0055AED6DCD90281E68", "0055AED6DCD90281F"
    };

    h->n = HISTORY;

    for (i = 0; i < HISTORY; i++) {
        h->after[i] = i == 1 ? NULL : i == 0 ? "\"a\"" : i == 2 ? "\"c\""
                                                              : "\"d\"";
        h->events[i] = h->after[i]
                       ? created(sender, sequencers[i],
                                 NOW - step * (HISTORY - i), h->after[i], 7)
                       : removed(sender, sequencers[i],
                                 NOW - step * (HISTORY - i));
    }
}


static void
test_every_order(void **state_)
{
    unsigned   asked;
    history_t  h;

    (void) state_;

    /* what S3 sends orders itself: the store is asked for what it told */

    history(&h, SPROX_SENDER_AWS, 10000);
    run(&h, &asked);

    history(&h, SPROX_SENDER_EVENTBRIDGE, 10000);
    run(&h, &asked);

    /* within one second of each other, nothing but sequencers order */

    history(&h, SPROX_SENDER_AWS, 10);
    run(&h, &asked);
    assert_true(asked > 0);

    /* the last is a removal */

    history(&h, SPROX_SENDER_AWS, 10);
    h.events[3] = removed(SPROX_SENDER_AWS, "0055AED6DCD90281F",
                          h.events[3].time);
    h.after[3] = NULL;
    run(&h, &asked);

    /* these do not order: nothing but the store is believed */

    history(&h, SPROX_SENDER_VERSITYGW, 10000);
    run(&h, &asked);
    assert_true(asked > 120);

    history(&h, SPROX_SENDER_MINIO, 10);
    run(&h, &asked);
    assert_true(asked > 120);
}


/* Nothing was known: with sequencers alone no request is made. */

static void
test_no_request(void **state_)
{
    unsigned   i, k, m, asked, order[3];
    history_t  h;

    (void) state_;

    history(&h, SPROX_SENDER_AWS, 10);
    h.n = 3;
    asked = 0;

    for (i = 0; i < 3; i++) {
        for (k = 0; k < 3; k++) {
            for (m = 0; m < 3; m++) {
                if (i != k && k != m && i != m) {
                    order[0] = i;
                    order[1] = k;
                    order[2] = m;
                    play(&h, order, 3, 0, &asked);
                }
            }
        }
    }

    assert_int_equal(asked, 0);
}


/*
 * A version that was replaced and came back, and then was seen at the store:
 * the event of what was between the two comes last.
 */

static void
test_late_behind_a_proof(void **state_)
{
    uint32_t          n;
    sprox_event_t     e;
    sprox_catalog_t  *cat;

    (void) state_;

    cat = make(SIZE);
    n = space(cat, "space");

    e = created(SPROX_SENDER_AWS, "A1", NOW - 90000, "\"a\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW - 89000),
                     SPROX_OK);
    told(cat, n, "\"a\"", 7, NOW - 60000, NOW);

    e = created(SPROX_SENDER_AWS, "A2", NOW - 80000, "\"b\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 1),
                     SPROX_AGAIN);
    assert_string_equal(state(cat, n), "doubt");

    /* the store is asked, and its answer is what counts */

    told(cat, n, "\"a\"", 7, NOW - 60000, NOW + 1);
    assert_int_equal(sprox_event_settle_locked(cat, n, &e, NOW + 1),
                     SPROX_OK);
    assert_string_equal(state(cat, n), "a");

    /* what came about after that needs no request, as ever */

    e = created(SPROX_SENDER_AWS, "A3", NOW + 2, "\"c\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 5000),
                     SPROX_OK);
    e = created(SPROX_SENDER_AWS, "A4", NOW + 3, "\"d\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 6000),
                     SPROX_OK);
    assert_string_equal(state(cat, n), "d");

    free(cat);
}


static void
test_generations(void **state_)
{
    uint32_t          n;
    sprox_event_t     e;
    sprox_catalog_t  *cat;

    (void) state_;

    cat = make(SIZE);
    n = space(cat, "b");

    e = created(SPROX_SENDER_GCS, "", NOW - 1, "\"two\"", 7);
    e.version = S("1360887759327000");
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_OK);

    /* told again, and one before it */

    assert_int_equal(apply(cat, n, &e, NOW), SPROX_DONE);

    e.version = S("999887759327000");
    e.etag = S("\"one\"");
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_DONE);
    assert_string_equal(state(cat, n), "two");

    e.version = S("1360887759327001");
    e.etag = S("\"three\"");
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_OK);
    assert_string_equal(state(cat, n), "three");

    /* the end of another generation, and of the one that is known */

    e = event(SPROX_EVENT_CHECK, SPROX_SENDER_GCS, "", NOW);
    e.version = S("1360887759327000");
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_DONE);
    assert_string_equal(state(cat, n), "three");

    e.version = S("1360887759327001");
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_AGAIN);
    assert_string_equal(state(cat, n), "doubt");

    /* which was asked for: a generation that comes late says nothing */

    told(cat, n, NULL, 0, 0, NOW + 5);

    e = created(SPROX_SENDER_GCS, "", NOW - 1, "\"three\"", 7);
    e.version = S("1360887759327001");
    assert_int_equal(apply(cat, n, &e, NOW + 9),
                     SPROX_AGAIN);
    assert_string_equal(state(cat, n), "doubt");

    check(cat);
    free(cat);
}


static void
test_told_twice(void **state_)
{
    uint32_t          n;
    sprox_event_t     e;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state_;

    cat = make(SIZE);
    n = space(cat, "b");

    e = created(SPROX_SENDER_AWS, "0055AED6DCD90281E5", NOW, "\"k\"", 7);
    assert_int_equal(sprox_event_settle_locked(cat, n, &e, NOW),
                     SPROX_NOT_FOUND);

    /* what is known can be ordered once an event has told of it */

    told(cat, n, "\"k\"", 7, NOW - 20000, NOW - 10000);

    e = created(SPROX_SENDER_AWS, "0055AED6DCD90281E5", NOW - 20000, "\"k\"",
                7);
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_DONE);

    assert_int_equal(sprox_catalog_get_locked(cat, n, S("key"), &o, buf),
                     SPROX_OK);
    assert_str(o.sequencer, "a0055AED6DCD90281E5");
    assert_int_equal(o.proved, NOW - 10000);
    assert_int_equal(o.last_modified, NOW - 20000);
    assert_true(o.headed);

    /* the same sequencer by another way: the time decides */

    e = created(SPROX_SENDER_EVENTBRIDGE, "0055AED6DCD90281E4", NOW - 19000,
                "\"other\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW), SPROX_AGAIN);
    told(cat, n, "\"k\"", 7, NOW - 20000, NOW);

    /* somebody else has reason to doubt */

    e = event(SPROX_EVENT_CHECK, SPROX_SENDER_AWS, "0055AED6DCD90281E6",
              NOW);
    assert_int_equal(apply(cat, n, &e, NOW + 5000),
                     SPROX_AGAIN);

    assert_int_equal(sprox_event_settle_locked(cat, n, &e, NOW + 5000),
                     SPROX_AGAIN);

    /* who asks for it is not disturbed by what is older */

    e = created(SPROX_SENDER_AWS, "0055AED6DCD90281E4", NOW, "\"n\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 5000),
                     SPROX_DONE);
    assert_string_equal(state(cat, n), "doubt");

    /* and what is newer waits for the answer as well */

    e = created(SPROX_SENDER_AWS, "0055AED6DCD90281E9", NOW, "\"n\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 5000),
                     SPROX_AGAIN);

    /* an object that another process has proved by a clock ahead of ours */

    told(cat, n, "\"k\"", 7, NOW - 20000, NOW + 5500);
    e = created(SPROX_SENDER_AWS, "0055AED6DCD90281E9", NOW + 4000, "\"n\"",
                7);
    assert_int_equal(apply(cat, n, &e, NOW + 5000),
                     SPROX_OK);
    assert_string_equal(state(cat, n), "n");

    /* a sequencer that is too long to be kept */

    e = created(SPROX_SENDER_AWS,
                "ffffffffffffffffffffffffffffffff"
                "ffffffffffffffffffffffffffffffff", NOW, "\"long\"", 7);
    assert_int_equal(e.sequencer.len, SPROX_SEQUENCER_MAX);
    assert_int_equal(apply(cat, n, &e, NOW + 5000),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, n, S("key"), &o, buf),
                     SPROX_OK);
    assert_str(o.etag, "\"long\"");
    assert_int_equal(o.sequencer.len, 0);

    e.sequencer = S("1");
    assert_int_equal(apply(cat, n + 1, &e, NOW),
                     SPROX_NOT_FOUND);

    check(cat);
    free(cat);
}


/* A late event proves what was so when it came about, not what is now. */

static void
test_late(void **state_)
{
    size_t            i;
    uint32_t          n;
    sprox_rc_t        rc;
    sprox_event_t     e;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    static const struct {
        int64_t       time;          /* of the event, against NOW */
        int64_t       ahead;         /* of our clock */
        sprox_rc_t    rc;
        int64_t       proved;        /* against NOW */
    } late[] = {
        { 0, 0, SPROX_OK, 0 },
        { -SPROX_EVENT_SKEW, 0, SPROX_OK, 0 },
        { -SPROX_EVENT_SKEW - 500, 0, SPROX_OK, -500 },
        { -SPROX_EVENT_RECENT, 0, SPROX_OK,
          SPROX_EVENT_SKEW - SPROX_EVENT_RECENT },

        /* a store whose clock is ahead of ours, and one of the future */
        { SPROX_EVENT_SKEW, 0, SPROX_OK, 0 },
        { SPROX_EVENT_SKEW + 1, 0, SPROX_AGAIN, 0 },
        { INT64_MAX - NOW, 0, SPROX_AGAIN, 0 },

        /* our clock was an hour ahead, and does not go back */
        { -3600000, 3600000, SPROX_OK, 0 },
        { -3600000 - SPROX_EVENT_SKEW - 500, 3600000, SPROX_OK, -500 },
        { 0, 3600000, SPROX_AGAIN, 0 }
    };

    (void) state_;

    for (i = 0; i < 2 * sizeof(late) / sizeof(late[0]); i++) {
        cat = make(SIZE);
        n = space(cat, "b");

        e = created(SPROX_SENDER_AWS, "A1", NOW + late[i / 2].time,
                    "\"a\"", 7);

        if (i % 2) {
            e = removed(SPROX_SENDER_AWS, "A1", NOW + late[i / 2].time);
        }

        rc = sprox_event_apply_locked(cat, n, &e, NOW, late[i / 2].ahead);
        assert_int_equal(rc, late[i / 2].rc);

        if (rc == SPROX_OK) {
            assert_int_equal(sprox_catalog_get_locked(cat, n, S("key"), &o,
                                                      buf), SPROX_OK);
            assert_int_equal(o.proved, NOW + late[i / 2].proved);
            assert_int_equal(o.absent, i % 2);
            assert_int_equal(o.told, 1);
        }

        free(cat);
    }
}


/* A later event, whose sequencer hides by how much. */

static void
test_no_time(void **state_)
{
    size_t            i;
    uint32_t          n;
    sprox_event_t     e;
    sprox_catalog_t  *cat;

    static const int64_t  times[] = { -1, NOW + SPROX_EVENT_SKEW + 1 };

    (void) state_;

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        cat = make(SIZE);
        n = space(cat, "b");

        e = created(SPROX_SENDER_AWS, "A2", NOW - 5, "\"a\"", 7);
        assert_int_equal(apply(cat, n, &e, NOW - 1), SPROX_OK);

        e = created(SPROX_SENDER_AWS, "A1", times[i], "\"old\"", 7);
        assert_int_equal(apply(cat, n, &e, NOW), SPROX_DONE);
        assert_string_equal(state(cat, n), "a");

        e = created(SPROX_SENDER_AWS, "A3", times[i], "\"new\"", 7);
        assert_int_equal(apply(cat, n, &e, NOW), SPROX_AGAIN);
        assert_string_equal(state(cat, n), "doubt");
        free(cat);
    }
}


/* What is not there: events tell of it, and the store does, in turn. */

static void
test_told_absent(void **state_)
{
    uint32_t          n;
    sprox_event_t     e;
    sprox_catalog_t  *cat;

    (void) state_;

    cat = make(SIZE);
    n = space(cat, "b");

    /* all come late: nobody else told, so sequencers are enough */
    e = removed(SPROX_SENDER_AWS, "A1", NOW - 90000);
    assert_int_equal(apply(cat, n, &e, NOW - 80000), SPROX_OK);
    e = removed(SPROX_SENDER_AWS, "A2", NOW - 85000);
    assert_int_equal(apply(cat, n, &e, NOW - 79000), SPROX_OK);
    e = created(SPROX_SENDER_AWS, "A3", NOW - 84000, "\"a\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW - 78000), SPROX_OK);
    e = removed(SPROX_SENDER_AWS, "A4", NOW - 83000);
    assert_int_equal(apply(cat, n, &e, NOW - 77000), SPROX_OK);
    assert_string_equal(state(cat, n), "absent");

    /* since then the store told so: a late creation was undone by then */

    told(cat, n, NULL, 0, 0, NOW);

    e = created(SPROX_SENDER_AWS, "A5", NOW - 60000, "\"b\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 1), SPROX_AGAIN);
    assert_string_equal(state(cat, n), "doubt");

    /* until an event tells again */

    told(cat, n, NULL, 0, 0, NOW + 2);
    e = removed(SPROX_SENDER_AWS, "A6", NOW + 3);
    assert_int_equal(apply(cat, n, &e, NOW + 4), SPROX_OK);
    e = created(SPROX_SENDER_AWS, "A7", NOW + 4, "\"c\"", 7);
    assert_int_equal(apply(cat, n, &e, NOW + 9000), SPROX_OK);

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_no_request),
        cmocka_unit_test(test_late_behind_a_proof),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_told_twice),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_told_absent)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
