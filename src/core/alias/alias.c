/*
 * Names through an alias, forward and back, and which alias goes first.
 *
 *   clients   bucket      key  = prefix(values)    rest
 *                |                     |             |
 *             values            the same values   the same
 *                |                     |             |
 *   origin    to_bucket   key  = to_prefix(values) rest
 *
 * Back, the bucket's variables are taken from the virtual bucket, the others
 * from the origin's key.  A value read from there need not be one that the
 * pattern would read (with "$a-$b" on one side and "$a-x-$b" on the other,
 * an origin's "1-2-x-3" has a=1-2), so the key that comes out is matched
 * again, and thrown away when it says something else.
 */

#include "sprox_alias.h"


/* What a segment says, for sorting: more is more specific. */

#define SPROX_WEIGHT_LITERAL    SIZE_MAX
#define SPROX_WEIGHT_VARIABLE   0


/*
 * Goes through the segments of a template, by token and offset in it.
 * 1: *weight is the segment's; 0: there is none left.
 */

static int
sprox_alias_segment(const sprox_template_t *t, unsigned *i, size_t *off,
    size_t *weight)
{
    int                         vars;
    size_t                      n, cut, literal;
    sprox_str_t                 left;
    const sprox_alias_token_t  *token;

    if (*i == t->n) {
        return 0;
    }

    vars = 0;
    literal = 0;

    while (*i < t->n) {
        token = &t->tokens[*i];

        if (token->var != -1) {
            vars = 1;
            (*i)++;
            continue;
        }

        left = sprox_str_from(token->text, *off);
        cut = sprox_template_cut(left);
        n = (cut != 0) ? cut : left.len;

        if (n == left.len) {
            (*i)++;
            *off = 0;

        } else {
            *off += n;
        }

        if (cut != 0) {
            literal += cut - 1;
            break;
        }

        literal += n;
    }

    if (vars) {
        *weight = SPROX_WEIGHT_VARIABLE + literal;

    } else {
        *weight = SPROX_WEIGHT_LITERAL;
    }

    return 1;
}


static unsigned
sprox_alias_segments(const sprox_template_t *t)
{
    size_t    off, weight;
    unsigned  i, n;

    i = 0;
    off = 0;

    for (n = 0; sprox_alias_segment(t, &i, &off, &weight); n++) {
        /* void */
    }

    return n;
}


/* The first segment that differs in weight decides. */

static int
sprox_alias_cmp_segments(const sprox_template_t *a, const sprox_template_t *b)
{
    size_t    off_a, off_b, weight_a, weight_b;
    unsigned  i, j;

    i = 0;
    j = 0;
    off_a = 0;
    off_b = 0;

    while (sprox_alias_segment(a, &i, &off_a, &weight_a)
           && sprox_alias_segment(b, &j, &off_b, &weight_b))
    {
        if (weight_a != weight_b) {
            return (weight_a > weight_b) ? -1 : 1;
        }
    }

    return 0;
}


int
sprox_alias_cmp(const sprox_alias_t *a, const sprox_alias_t *b)
{
    int       rc;
    unsigned  na, nb;

    rc = sprox_alias_cmp_segments(&a->bucket, &b->bucket);
    if (rc != 0) {
        return rc;
    }

    na = sprox_alias_segments(&a->prefix);
    nb = sprox_alias_segments(&b->prefix);

    if (na != nb) {
        return (na > nb) ? -1 : 1;
    }

    rc = sprox_alias_cmp_segments(&a->prefix, &b->prefix);
    if (rc != 0) {
        return rc;
    }

    if (sprox_template_overlap(&a->bucket, &b->bucket, 0)
        && sprox_template_overlap(&a->prefix, &b->prefix, 1))
    {
        return 0;
    }

    return sprox_str_cmp(a->pattern, b->pattern);
}


static int
sprox_alias_bind(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_template_values_t *values)
{
    size_t  end;

    values->set = 0;

    return sprox_template_match(&alias->bucket, bucket, 1, values, &end);
}


int
sprox_alias_has_bucket(const sprox_alias_t *alias, sprox_str_t bucket)
{
    sprox_template_values_t  values;

    return sprox_alias_bind(alias, bucket, &values);
}


sprox_rc_t
sprox_alias_map(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t key, sprox_buf_t *to_bucket, sprox_buf_t *to_key)
{
    size_t                   end;
    sprox_template_values_t  values;

    if (!sprox_alias_bind(alias, bucket, &values)
        || !sprox_template_match(&alias->prefix, key, 0, &values, &end))
    {
        return SPROX_NOT_FOUND;
    }

    /* an object must never become the bucket that it is in */

    if (key.len != 0 && end == key.len && alias->to_prefix.n == 0) {
        return SPROX_NOT_FOUND;
    }

    sprox_template_expand(&alias->to_bucket, alias->to_bucket.n, &values,
                          to_bucket);
    sprox_template_expand(&alias->to_prefix, alias->to_prefix.n, &values,
                          to_key);
    sprox_buf_str(to_key, sprox_str_from(key, end));

    if (sprox_buf_rc(to_bucket) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    return sprox_buf_rc(to_key);
}


/*
 * How deep a path is once its segment is taken, as path-cleaning servers
 * count: empty segments and "." are nothing.
 */

static long
sprox_alias_depth(long depth, sprox_str_t segment)
{
    if (segment.len == 0 || sprox_str_eq(segment, sprox_str_lit("."))) {
        return depth;
    }

    return sprox_str_eq(segment, sprox_str_lit("..")) ? depth - 1 : depth + 1;
}


int
sprox_alias_leaves(const sprox_alias_t *alias, sprox_str_t to_key)
{
    long         depth, floor;
    size_t       end, head;
    sprox_str_t  rest, literal;

    /* whole segments that the operator wrote: below them all is allowed */

    literal = sprox_str_null;

    if (alias->to_prefix.n != 0 && alias->to_prefix.tokens[0].var < 0) {
        literal = alias->to_prefix.tokens[0].text;
    }

    head = 0;

    for (end = 0; end < literal.len; end++) {
        if (literal.data[end] == '/') {
            head = end + 1;
        }
    }

    rest = to_key;
    depth = 0;
    floor = 0;

    while (rest.len != 0) {

        end = sprox_str_find(rest, sprox_str_lit("/"), 0);

        if (end == (size_t) -1) {
            end = rest.len;
        }

        depth = sprox_alias_depth(depth, sprox_str_make(rest.data, end));
        rest = sprox_str_from(rest, end + 1);

        if (to_key.len - rest.len <= head) {
            floor = depth;

        } else if (depth < floor) {
            return 1;
        }
    }

    return 0;
}


sprox_rc_t
sprox_alias_invert(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t to_key, sprox_buf_t *key)
{
    size_t                   end, start;
    unsigned                 vars;
    sprox_str_t              made;
    sprox_template_values_t  values, again;

    if (!sprox_alias_bind(alias, bucket, &values)) {
        return SPROX_NOT_FOUND;
    }

    again = values;
    vars = sprox_template_vars(&alias->prefix);

    if (!sprox_template_match(&alias->to_prefix, to_key, 0, &values, &end)
        || (values.set & vars) != vars)
    {
        return SPROX_NOT_FOUND;
    }

    if (alias->prefix.n == 0 && end == to_key.len) {
        return SPROX_NOT_FOUND;
    }

    start = key->len;

    sprox_template_expand(&alias->prefix, alias->prefix.n, &values, key);
    sprox_buf_str(key, sprox_str_from(to_key, end));

    if (sprox_buf_rc(key) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    /* forward again; an empty origin's key is no object either */

    made = sprox_str_from(sprox_buf_get(key), start);

    if (to_key.len == 0
        || !sprox_template_match(&alias->prefix, made, 0, &again, &end)
        || !sprox_template_same(&values, &again, vars))
    {
        key->len = start;
        return SPROX_NOT_FOUND;
    }

    return SPROX_OK;
}


int
sprox_alias_reaches(const sprox_alias_t *alias, sprox_str_t to_bucket,
    sprox_str_t to_key)
{
    size_t                   end;
    sprox_template_values_t  values;

    values.set = 0;

    return sprox_template_match(&alias->to_bucket, to_bucket, 1, &values,
                                &end)
           && sprox_template_match(&alias->to_prefix, to_key, 0, &values,
                                   &end);
}
