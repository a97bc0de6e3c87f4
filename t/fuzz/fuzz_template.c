/*
 * The input is lines: pattern, target, bucket, name, prefix, after, the rest
 * is the delimiter.  What parses must hold its promises for the name, taken
 * once as a client's key and once as an origin's: there and back is the same
 * name, and a listing finds it whenever prefix and after say so, by itself
 * and below its common prefix.
 */

#include <assert.h>
#include <stdlib.h>

#include "sprox_alias.h"


#define FUZZ_LINES  7


typedef struct {
    sprox_alias_t  alias;
    sprox_str_t    bucket;
    sprox_str_t    prefix;
    sprox_str_t    after;
    sprox_str_t    delimiter;
} fuzz_t;


static void  *fuzz_alloc(void *ctx, size_t size);
static void   fuzz_free(void *ctx, void *p);

static const sprox_mem_t  mem = { fuzz_alloc, fuzz_free, NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void *
fuzz_alloc(void *ctx, size_t size)
{
    (void) ctx;

    return malloc(size);
}


static void
fuzz_free(void *ctx, void *p)
{
    (void) ctx;

    free(p);
}


static size_t
find(sprox_str_t s, const sprox_str_t *needle, size_t off)
{
    return (needle->len == 0) ? (size_t) -1 : sprox_str_find(s, *needle, off);
}


/* The key is there, and so is its common prefix, when it has one. */

static void
check_listed(const fuzz_t *f, const sprox_alias_list_t *list,
    sprox_str_t key, sprox_str_t to_key)
{
    size_t       n, m;
    sprox_rc_t   rc;
    sprox_buf_t  prefix;

    assert(sprox_str_starts(to_key, sprox_buf_get(&list->prefix)));
    assert(sprox_str_cmp(to_key, sprox_buf_get(&list->after)) > 0);

    if (!list->pushdown) {
        return;
    }

    n = find(key, &f->delimiter, f->prefix.len);
    m = find(to_key, &f->delimiter, list->prefix.len);

    assert((n == (size_t) -1) == (m == (size_t) -1));

    if (n == (size_t) -1) {
        return;
    }

    key.len = n + f->delimiter.len;
    to_key.len = m + f->delimiter.len;

    sprox_buf_init(&prefix, &mem);

    rc = sprox_alias_invert_prefix(&f->alias, f->bucket, to_key, &prefix);

    assert(rc == SPROX_OK);
    assert(sprox_str_eq(sprox_buf_get(&prefix), key));

    sprox_buf_free(&prefix);
}


/* A client's key, and the origin's that it is. */

static void
check_pair(const fuzz_t *f, sprox_str_t key, sprox_str_t to_bucket,
    sprox_str_t to_key)
{
    int                 expected;
    sprox_rc_t          rc;
    sprox_alias_list_t  list;

    expected = sprox_str_starts(key, f->prefix)
               && sprox_str_cmp(key, f->after) > 0;

    sprox_buf_init(&list.bucket, &mem);
    sprox_buf_init(&list.prefix, &mem);
    sprox_buf_init(&list.after, &mem);

    rc = sprox_alias_list(&f->alias, f->bucket, f->prefix, f->delimiter,
                          f->after, &list);

    if (!f->alias.listable) {
        assert(rc == SPROX_INVALID);

    } else if (expected) {
        assert(rc == SPROX_OK);
        assert(sprox_str_eq(sprox_buf_get(&list.bucket), to_bucket));
        check_listed(f, &list, key, to_key);

    } else {
        assert(rc == SPROX_OK || rc == SPROX_NOT_FOUND);
    }

    sprox_buf_free(&list.bucket);
    sprox_buf_free(&list.prefix);
    sprox_buf_free(&list.after);
}


/*
 * A path as a server cleans it: "/a/c/" of "a//b/../c/./x".  SIZE_MAX: it
 * leads out of the root.
 */

static size_t
clean(sprox_str_t path, uint8_t *out)
{
    size_t       n, end;
    sprox_str_t  segment;

    n = 0;
    out[n++] = '/';

    while (path.len != 0) {
        end = sprox_str_find(path, sprox_str_lit("/"), 0);

        if (end == (size_t) -1) {
            end = path.len;
        }

        segment = sprox_str_make(path.data, end);
        path = sprox_str_from(path, end + 1);

        if (end == 0 || sprox_str_eq(segment, sprox_str_lit("."))) {
            continue;
        }

        if (sprox_str_eq(segment, sprox_str_lit(".."))) {

            if (n == 1) {
                return (size_t) -1;
            }

            for (n--; out[n - 1] != '/'; n--) { /* void */ }

            continue;
        }

        memcpy(out + n, segment.data, end);
        n += end;
        out[n++] = '/';
    }

    return n;
}


/* What does not leave its alias is below the target's beginning. */

static void
check_stays(const sprox_alias_t *alias, sprox_str_t to_key)
{
    size_t       n, below;
    uint8_t     *path, *head;
    sprox_str_t  literal;

    if (sprox_alias_leaves(alias, to_key)) {
        return;
    }

    literal = sprox_str_null;

    if (alias->to_prefix.n != 0 && alias->to_prefix.tokens[0].var < 0) {
        literal = alias->to_prefix.tokens[0].text;
    }

    while (literal.len != 0 && literal.data[literal.len - 1] != '/') {
        literal.len--;
    }

    path = malloc(to_key.len + 2);
    head = malloc(literal.len + 2);
    assert(path != NULL && head != NULL);

    n = clean(to_key, path);
    below = clean(literal, head);

    /* an operator who writes ".." may have it */

    if (below != (size_t) -1) {
        assert(n != (size_t) -1);
        assert(n >= below && memcmp(path, head, below) == 0);
    }

    free(path);
    free(head);
}


static void
check_forward(const fuzz_t *f, sprox_str_t key)
{
    sprox_rc_t   rc;
    sprox_buf_t  to_bucket, to_key, back;

    sprox_buf_init(&to_bucket, &mem);
    sprox_buf_init(&to_key, &mem);
    sprox_buf_init(&back, &mem);

    rc = sprox_alias_map(&f->alias, f->bucket, key, &to_bucket, &to_key);

    if (rc == SPROX_OK) {
        assert(sprox_alias_has_bucket(&f->alias, f->bucket));
        assert(to_bucket.len != 0);
        check_stays(&f->alias, sprox_buf_get(&to_key));

        if (f->alias.listable && key.len != 0) {
            rc = sprox_alias_invert(&f->alias, f->bucket,
                                    sprox_buf_get(&to_key), &back);

            assert(rc == SPROX_OK);
            assert(sprox_str_eq(sprox_buf_get(&back), key));

            check_pair(f, key, sprox_buf_get(&to_bucket),
                       sprox_buf_get(&to_key));
        }

    } else {
        assert(rc == SPROX_NOT_FOUND);
        assert(to_bucket.len == 0 && to_key.len == 0);
    }

    sprox_buf_free(&to_bucket);
    sprox_buf_free(&to_key);
    sprox_buf_free(&back);
}


static void
check_back(const fuzz_t *f, sprox_str_t to_key)
{
    sprox_rc_t   rc;
    sprox_buf_t  to_bucket, again, key;

    sprox_buf_init(&to_bucket, &mem);
    sprox_buf_init(&again, &mem);
    sprox_buf_init(&key, &mem);

    rc = sprox_alias_invert(&f->alias, f->bucket, to_key, &key);

    if (rc == SPROX_OK) {
        rc = sprox_alias_map(&f->alias, f->bucket, sprox_buf_get(&key),
                             &to_bucket, &again);

        assert(rc == SPROX_OK);
        assert(sprox_str_eq(sprox_buf_get(&again), to_key));

        check_pair(f, sprox_buf_get(&key), sprox_buf_get(&to_bucket), to_key);

    } else {
        assert(rc == SPROX_NOT_FOUND);
        assert(key.len == 0);
    }

    key.len = 0;

    rc = sprox_alias_invert_prefix(&f->alias, f->bucket, to_key, &key);

    assert(rc == SPROX_OK || (rc == SPROX_NOT_FOUND && key.len == 0));

    sprox_buf_free(&to_bucket);
    sprox_buf_free(&again);
    sprox_buf_free(&key);
}


static void
check_why(sprox_str_t why)
{
    size_t  i;

    assert(why.len != 0);

    for (i = 0; i < why.len; i++) {
        assert(why.data[i] >= 0x20 && why.data[i] != 0x7f);
    }

    free((void *) why.data);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       i, n;
    fuzz_t       f;
    sprox_rc_t   rc;
    sprox_str_t  why, left, line[FUZZ_LINES];

    left = sprox_str_make(data, size);

    for (i = 0; i < FUZZ_LINES; i++) {
        n = sprox_str_find(left, sprox_str_lit("\n"), 0);

        if (n == (size_t) -1 || i == FUZZ_LINES - 1) {
            n = left.len;
        }

        line[i] = sprox_str_make(left.data, n);
        left = sprox_str_from(left, n + 1);
    }

    rc = sprox_alias_parse(&mem, line[0], line[1], &f.alias, &why);

    if (rc != SPROX_OK) {
        assert(rc == SPROX_INVALID || rc == SPROX_LIMIT);
        check_why(why);
        return 0;
    }

    assert(f.alias.listable == (f.alias.why == NULL));
    assert(sprox_alias_cmp(&f.alias, &f.alias) == 0);

    f.bucket = line[2];
    f.prefix = line[4];
    f.after = line[5];
    f.delimiter = line[6];

    check_forward(&f, line[3]);
    check_back(&f, line[3]);

    sprox_alias_free(&mem, &f.alias);

    return 0;
}
