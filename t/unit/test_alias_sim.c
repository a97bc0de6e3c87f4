/*
 * Listings through aliases, over a simulated origin.
 *
 * The simulation makes templates, keys of an origin (most of which fit the
 * template, some nearly, some not) and questions.  What is right is known
 * the slow way: turn each key back, keep what has the client's prefix and is
 * > after.  What sprox_alias_list() asks the simulated origin for, turned
 * back, must be the same, in the same order, and under a delimiter so must
 * be the common prefixes.  The generator's seed is fixed.
 */

#include "unit.h"
#include "sprox_alias.h"


#define TEXT_MAX     256
#define KEYS_MAX     32
#define TRIALS       6000
#define QUESTIONS    12
#define VALUES       5


typedef struct {
    size_t   len;
    uint8_t  data[TEXT_MAX];
} text_t;


typedef struct {
    text_t  texts[KEYS_MAX];
    size_t  n;
} set_t;


static sprox_str_t
text(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


static sprox_str_t
get(const text_t *t)
{
    return sprox_str_make(t->data, t->len);
}


static void
add(text_t *t, sprox_str_t s)
{
    assert_true(s.len <= TEXT_MAX - t->len);

    if (s.len != 0) {
        memcpy(t->data + t->len, s.data, s.len);
        t->len += s.len;
    }
}


static void
add_byte(text_t *t, int c)
{
    uint8_t  byte = (uint8_t) c;

    add(t, sprox_str_make(&byte, 1));
}


static void
list_init(sprox_alias_list_t *list, const sprox_mem_t *mem)
{
    sprox_buf_init(&list->bucket, mem);
    sprox_buf_init(&list->prefix, mem);
    sprox_buf_init(&list->after, mem);
    list->pushdown = 0;
}


static void
list_free(sprox_alias_list_t *list)
{
    sprox_buf_free(&list->bucket);
    sprox_buf_free(&list->prefix);
    sprox_buf_free(&list->after);
}


static void
parse(const sprox_mem_t *mem, sprox_str_t pattern, sprox_str_t target,
    sprox_alias_t *alias)
{
    sprox_rc_t   rc;
    sprox_str_t  why;

    rc = sprox_alias_parse(mem, pattern, target, alias, &why);

    if (rc != SPROX_OK) {
        fail_msg("%.*s %.*s: %.*s", (int) pattern.len,
                 (const char *) pattern.data, (int) target.len,
                 (const char *) target.data, (int) why.len,
                 (const char *) why.data);
    }
}


/* the generator (xorshift) */

static uint64_t  seed = 0x9e3779b97f4a7c15;


static unsigned
rnd(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return (unsigned) ((seed >> 11) % n);
}


static int
one_in(unsigned n)
{
    return rnd(n) == 0;
}


static void
add_random(text_t *t, const char *alphabet, unsigned min, unsigned max)
{
    unsigned  n;

    for (n = min + rnd(max - min + 1); n > 0; n--) {
        add_byte(t, alphabet[rnd((unsigned) strlen(alphabet))]);
    }
}


#define LITERALS  "ab-0"


static void
add_var(text_t *t, unsigned var)
{
    char  name[16];

    snprintf(name, sizeof(name), "${v%u}", var);
    add(t, text(name));
}


/* What the target may have before a variable: anything. */

static void
add_lead(text_t *target, int bucket_var, unsigned nvars)
{
    if (one_in(5)) {
        add_random(target, LITERALS, 1, 2);
        add_byte(target, '/');
    }

    if (bucket_var && one_in(6)) {
        add(target, S("${b}/"));
    }

    if (nvars != 0 && one_in(8)) {
        add_var(target, rnd(nvars));
        add_byte(target, '/');
    }

    if (one_in(3)) {
        add_random(target, LITERALS, 1, 2);
    }

    if (bucket_var && one_in(6)) {
        add(target, S("${b}"));
    }
}


/* One segment of the pattern and what the target makes of it. */

static void
make_segment(text_t *pattern, text_t *target, int bucket_var, unsigned *nvars)
{
    text_t    literal;
    unsigned  n;

    literal.len = 0;

    if (one_in(5)) {
        add_random(&literal, LITERALS, 1, 2);
        add(pattern, get(&literal));

        if (one_in(2)) {
            add(target, get(&literal));
            add_byte(target, '/');
        }

        add_byte(pattern, '/');

        return;
    }

    if (one_in(3)) {
        add_random(pattern, LITERALS, 1, 2);
    }

    for (n = 1 + one_in(3); n > 0; n--) {
        add_lead(target, bucket_var, *nvars);
        add_var(pattern, *nvars);
        add_var(target, *nvars);
        (*nvars)++;

        literal.len = 0;
        add_random(&literal, LITERALS, n > 1, 2);
        add(pattern, get(&literal));
        add(target, get(&literal));

        if (one_in(12)) {
            add_random(target, LITERALS, 1, 1);

        } else if (n > 1 && one_in(4)) {
            add_byte(target, '/');
        }
    }

    add_byte(pattern, '/');
    add_byte(target, '/');
}


static void
make_alias(text_t *pattern, text_t *target)
{
    int       bucket_var;
    unsigned  n, nvars;

    pattern->len = 0;
    target->len = 0;
    nvars = 0;

    bucket_var = one_in(3);

    add(pattern, bucket_var ? S("t-${b}/") : S("t-a0/"));
    add(target, S("lake://bkt/"));

    for (n = rnd(4); n > 0; n--) {
        make_segment(pattern, target, bucket_var, &nvars);
    }

    if (one_in(4)) {
        add_random(target, LITERALS, 1, 2);
        add_byte(target, '/');
    }
}


/* A name of a template, with values out of a few. */

static void
make_name(text_t *name, const sprox_template_t *t, const text_t *values,
    unsigned bucket_vars)
{
    int           var;
    unsigned      i, chosen[SPROX_ALIAS_VARS_MAX];

    name->len = 0;

    for (i = 0; i < SPROX_ALIAS_VARS_MAX; i++) {
        chosen[i] = rnd(VALUES);
    }

    for (i = 0; i < t->n; i++) {
        var = t->tokens[i].var;

        if (var == -1) {
            add(name, t->tokens[i].text);

        } else if (bucket_vars & (1u << var)) {
            add(name, S("a0"));

        } else {
            add(name, get(&values[chosen[var]]));
        }
    }

    add_random(name, "ab-/", 0, 4);
}


/* What is nearly a name: cut, with a byte changed, or with more behind. */

static void
spoil(text_t *name)
{
    static const char  bytes[] = "ab-/0.z~\x01\xff";

    switch (rnd(4)) {

    case 0:
        name->len = rnd((unsigned) name->len + 1);
        break;

    case 1:
        if (name->len != 0) {
            name->data[rnd((unsigned) name->len)] =
                                 (uint8_t) bytes[rnd(sizeof(bytes) - 1)];
        }

        break;

    case 2:
        name->len = rnd((unsigned) name->len + 1);
        add_byte(name, bytes[rnd(sizeof(bytes) - 1)]);
        break;

    default:
        add_random(name, "ab-/0", 0, 3);
    }
}


static int
cmp_text(const void *a, const void *b)
{
    return sprox_str_cmp(get(a), get(b));
}


static void
sort_set(set_t *set)
{
    size_t  i, n;

    qsort(set->texts, set->n, sizeof(text_t), cmp_text);

    n = 0;

    for (i = 0; i < set->n; i++) {
        if (n == 0 || cmp_text(&set->texts[n - 1], &set->texts[i]) != 0) {
            set->texts[n++] = set->texts[i];
        }
    }

    set->n = n;
}


static int
has(const set_t *set, const text_t *t)
{
    size_t  i;

    for (i = 0; i < set->n; i++) {
        if (cmp_text(&set->texts[i], t) == 0) {
            return 1;
        }
    }

    return 0;
}


typedef struct {
    unit_mem_t     um;
    sprox_alias_t  alias;
    text_t         pattern;
    text_t         target;
    text_t         values[VALUES];
    set_t          origin;
    text_t         client[KEYS_MAX];    /* by index of origin */
    int            visible[KEYS_MAX];
    text_t         prefix;              /* the question */
    text_t         delimiter;
    text_t         after;
} world_t;


static world_t  w;


/* what the simulation has seen, to know that it asks what it should */

static struct {
    long  listable;
    long  unlistable;
    long  nothing;
    long  listed;       /* visible keys that the origin had to send */
    long  wasted;       /* visible keys that it sent for nothing */
    long  spared;       /* visible keys that it did not send */
    long  pushdown;
    long  prefixes;
    long  phantoms;
} seen;


static void
complain(const char *what, const text_t *t)
{
    print_error("pattern %.*s target %.*s\n", (int) w.pattern.len,
                (char *) w.pattern.data, (int) w.target.len,
                (char *) w.target.data);
    print_error("prefix \"%.*s\" delimiter \"%.*s\" after \"%.*s\"\n",
                (int) w.prefix.len, (char *) w.prefix.data,
                (int) w.delimiter.len, (char *) w.delimiter.data,
                (int) w.after.len, (char *) w.after.data);
    fail_msg("%s: \"%.*s\"", what, (int) t->len, (char *) t->data);
}


static int
invert(const text_t *to_key, text_t *key)
{
    sprox_rc_t   rc;
    sprox_buf_t  out;

    sprox_buf_init(&out, &w.um.mem);
    key->len = 0;

    rc = sprox_alias_invert(&w.alias, S("t-a0"), get(to_key), &out);
    add(key, sprox_buf_get(&out));

    sprox_buf_free(&out);

    return rc == SPROX_OK;
}


static int
invert_prefix(const text_t *to_prefix, text_t *prefix)
{
    sprox_rc_t   rc;
    sprox_buf_t  out;

    sprox_buf_init(&out, &w.um.mem);
    prefix->len = 0;

    rc = sprox_alias_invert_prefix(&w.alias, S("t-a0"), get(to_prefix), &out);
    add(prefix, sprox_buf_get(&out));

    sprox_buf_free(&out);

    return rc == SPROX_OK;
}


static void
make_origin(void)
{
    size_t   i;
    text_t  *key;
    text_t   last;

    for (i = 0; i < VALUES; i++) {
        w.values[i].len = 0;
        add_random(&w.values[i], LITERALS, 1, 3);
    }

    w.origin.n = 0;

    while (w.origin.n < KEYS_MAX) {
        key = &w.origin.texts[w.origin.n++];

        make_name(key, &w.alias.to_prefix, w.values, w.alias.bucket_vars);

        if (one_in(4)) {
            spoil(key);
        }

        if (key->len == 0) {
            w.origin.n--;
        }
    }

    sort_set(&w.origin);

    last.len = 0;

    for (i = 0; i < w.origin.n; i++) {
        w.visible[i] = invert(&w.origin.texts[i], &w.client[i]);

        if (!w.visible[i]) {
            continue;
        }

        /* one order on both sides */

        if (sprox_str_cmp(get(&last), get(&w.client[i])) >= 0) {
            complain("out of order", &w.client[i]);
        }

        last = w.client[i];
    }
}


/* A client's name: of a key that there is, or of one that there is not. */

static void
make_client_name(text_t *name)
{
    size_t  i;

    i = rnd((unsigned) w.origin.n);

    if (w.visible[i] && !one_in(4)) {
        *name = w.client[i];
        return;
    }

    make_name(name, &w.alias.prefix, w.values, w.alias.bucket_vars);
}


static void
make_question(void)
{
    static const char  *delimiters[] = { "", "/", "/", "/", "-", "a/", "//" };

    make_client_name(&w.prefix);

    if (one_in(5)) {
        spoil(&w.prefix);
    }

    w.prefix.len = rnd((unsigned) w.prefix.len + 1);

    if (one_in(4)) {
        w.prefix.len = 0;
    }

    w.delimiter.len = 0;
    add(&w.delimiter, text(delimiters[rnd(7)]));

    w.after.len = 0;

    if (one_in(4)) {
        return;
    }

    if (one_in(4)) {
        w.after = w.prefix;
        add_random(&w.after, "ab-/0", 0, 3);
        return;
    }

    make_client_name(&w.after);

    if (!one_in(3)) {
        spoil(&w.after);
    }
}


static int
wanted(size_t i)
{
    return w.visible[i] && sprox_str_starts(get(&w.client[i]), get(&w.prefix))
           && sprox_str_cmp(get(&w.client[i]), get(&w.after)) > 0;
}


static int
sent(size_t i, const sprox_alias_list_t *list)
{
    sprox_str_t  key;

    key = get(&w.origin.texts[i]);

    return sprox_str_starts(key, sprox_buf_get(&list->prefix))
           && sprox_str_cmp(key, sprox_buf_get(&list->after)) > 0;
}


/* The common prefix of a key; 0: it has none. */

static int
roll_up(sprox_str_t key, size_t prefix_len, text_t *out)
{
    size_t  n;

    n = sprox_str_find(key, get(&w.delimiter), prefix_len);

    if (n == (size_t) -1) {
        return 0;
    }

    out->len = 0;
    add(out, sprox_str_make(key.data, n + w.delimiter.len));

    return 1;
}


/* No key below a common prefix of the origin, as far as it was asked for. */

static int
phantom(const text_t *to_prefix, const sprox_alias_list_t *list)
{
    size_t  i;

    for (i = 0; i < w.origin.n; i++) {
        if (w.visible[i] && sent(i, list)
            && sprox_str_starts(get(&w.origin.texts[i]), get(to_prefix)))
        {
            return 0;
        }
    }

    return 1;
}


static void
check_prefixes(const sprox_alias_list_t *list)
{
    size_t          i;
    text_t          rolled, back;
    static set_t    right, from_origin, got;

    right.n = 0;
    from_origin.n = 0;
    got.n = 0;

    for (i = 0; i < w.origin.n; i++) {

        if (sent(i, list)
            && roll_up(get(&w.origin.texts[i]), list->prefix.len, &rolled))
        {
            from_origin.texts[from_origin.n++] = rolled;

            if (wanted(i)
                && !roll_up(get(&w.client[i]), w.prefix.len, &rolled))
            {
                complain("a key that was to be by itself", &w.client[i]);
            }
        }

        if (wanted(i)
            && roll_up(get(&w.client[i]), w.prefix.len, &rolled))
        {
            right.texts[right.n++] = rolled;
        }
    }

    sort_set(&right);
    sort_set(&from_origin);

    for (i = 0; i < from_origin.n; i++) {

        if (!invert_prefix(&from_origin.texts[i], &back)) {
            continue;
        }

        if (got.n != 0 && cmp_text(&got.texts[got.n - 1], &back) >= 0) {
            complain("common prefixes out of order", &back);
        }

        got.texts[got.n++] = back;

        if (has(&right, &back)) {
            seen.prefixes++;
            continue;
        }

        if (sprox_str_cmp(get(&back), get(&w.after)) < 0
            && !sprox_str_starts(get(&w.after), get(&back)))
        {
            continue;
        }

        if (!phantom(&from_origin.texts[i], list)) {
            complain("a common prefix too many", &back);
        }

        seen.phantoms++;
    }

    for (i = 0; i < right.n; i++) {
        if (!has(&got, &right.texts[i])) {
            complain("a common prefix is missing", &right.texts[i]);
        }
    }
}


static void
check_question(void)
{
    size_t              i;
    sprox_rc_t          rc;
    sprox_alias_list_t  list;

    list_init(&list, &w.um.mem);

    rc = sprox_alias_list(&w.alias, S("t-a0"), get(&w.prefix),
                          get(&w.delimiter), get(&w.after), &list);

    for (i = 0; i < w.origin.n; i++) {

        if (!w.visible[i]) {
            continue;
        }

        if (wanted(i)) {
            if (rc != SPROX_OK || !sent(i, &list)) {
                complain("a key is missing", &w.client[i]);
            }

            seen.listed++;

        } else if (rc == SPROX_OK && sent(i, &list)) {
            seen.wasted++;

        } else {
            seen.spared++;
        }
    }

    if (rc == SPROX_OK && list.pushdown) {
        assert_true(w.delimiter.len != 0);
        seen.pushdown++;
        check_prefixes(&list);
    }

    if (rc != SPROX_OK) {
        assert_int_equal(rc, SPROX_NOT_FOUND);
        seen.nothing++;
    }

    list_free(&list);
}


static void
test_simulation(void **state)
{
    int  i, k;

    (void) state;

    for (i = 0; i < TRIALS; i++) {
        unit_mem_init(&w.um, 0);
        make_alias(&w.pattern, &w.target);
        parse(&w.um.mem, get(&w.pattern), get(&w.target), &w.alias);

        if (!w.alias.listable) {
            seen.unlistable++;
            continue;
        }

        seen.listable++;
        make_origin();

        for (k = 0; k < QUESTIONS; k++) {
            make_question();
            check_question();
        }

        sprox_alias_free(&w.um.mem, &w.alias);
        assert_int_equal(w.um.live, 0);
    }

    print_message("aliases: %ld listable, %ld not\n"
                  "keys: %ld listed, %ld wasted, %ld spared\n"
                  "questions: %ld with nothing, %ld pushed down\n"
                  "common prefixes: %ld right, %ld of unfit keys\n",
                  seen.listable, seen.unlistable, seen.listed, seen.wasted,
                  seen.spared, seen.nothing, seen.pushdown, seen.prefixes,
                  seen.phantoms);

    assert_true(seen.listable > TRIALS / 2);
    assert_true(seen.nothing > TRIALS);
    assert_true(seen.listed > 10 * TRIALS);
    assert_true(seen.pushdown > TRIALS);
    assert_true(seen.prefixes > TRIALS);

    /* nearly exact: one key in a hundred is sent for nothing at most */

    assert_true(seen.wasted * 100 < seen.listed);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_simulation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
