/*
 * What a listing of clients' names asks of the origin.
 *
 * The client's prefix, and the key to go on after, are walked along the
 * pattern (template.c).  Where such a walk ends says what the origin's are:
 *
 *     ends in        prefix: ask for       after: ask for
 *     BEYOND         target, rest          target, rest
 *     VARIABLE       target up to the variable, then the text's own bytes
 *     LITERAL        target up to the next variable, for a literal is sure
 *                    to follow             (all that follows is > after)
 *     LESS           nothing               the same
 *     GREATER        nothing               target up to the literal's first
 *                                          '/', which is made a '0': behind
 *                                          all keys that have the literal
 *     MISFIT         nothing               target up to the variable, then
 *                                          the text's bytes to its '/'
 *
 * Why that is right.  Let L be the literal behind a variable in the pattern,
 * M the one in the target; M starts with L up to L's first '/', or with all
 * of L when that has none (sprox_alias_parse).  Two keys that differ first
 * in that variable have the values v and w.  If neither is a prefix of the
 * other, they sort by v and w on both sides.  Else w = v + s, and L follows
 * v where s and L follow it in the other.  L does not stand at the start of
 * s + L: w would end there, being the shortest match.  So a byte of L
 * decides, and not one behind its '/': s has no '/', so there the texts
 * differ at the latest.  Up to that byte M is as L: both sides sort alike.
 * No value but v is read back from v + M either: where M stood earlier, so
 * would L, or a '/'.  And v + L compares alike not only with another name,
 * but with any text that a walk leaves at the variable: no L can stand in it
 * where a value would end.  That is why its own bytes are the origin's.
 *
 * '0' is the byte behind '/': no text is between the last one that starts
 * with "v/" and "v0", and "v0" is no key, having no '/' behind v.
 */

#include "sprox_alias.h"


#define SPROX_SLASH_NEXT    ('/' + 1)


/* The index of the token that is the last set variable; t->n: none is. */

static unsigned
sprox_list_last_set(const sprox_template_t *t, unsigned set)
{
    unsigned  i, last;

    last = t->n;

    for (i = 0; i < t->n; i++) {
        if (t->tokens[i].var != -1 && (set & (1u << t->tokens[i].var))) {
            last = i;
        }
    }

    return last;
}


/*
 * From token i on to the end of its segment: the last variable that is not
 * in the mask.
 */

static int
sprox_list_last_in_segment(const sprox_template_t *t, unsigned i, unsigned set)
{
    int  var, last;

    last = -1;

    for ( /* void */ ; i < t->n; i++) {
        var = t->tokens[i].var;

        if (var == -1) {
            if (sprox_template_cut(t->tokens[i].text) != 0) {
                break;
            }

            continue;
        }

        if (!(set & (1u << var))) {
            set |= 1u << var;
            last = var;
        }
    }

    return last;
}


/*
 * The segment that the client's prefix ends in, and the one that the
 * origin's ends in, must give the same variables, each at least one.
 */

static unsigned
sprox_list_pushdown(const sprox_alias_t *alias, sprox_str_t prefix,
    sprox_str_t delimiter, const sprox_walk_t *walk, unsigned set)
{
    int          var;
    unsigned     i;
    sprox_str_t  left;

    if (delimiter.len == 0) {
        return 0;
    }

    if (walk->state == SPROX_WALK_BEYOND) {
        return 1;
    }

    if (!sprox_str_eq(delimiter, sprox_str_lit("/"))) {
        return 0;
    }

    i = walk->token;

    if (walk->state == SPROX_WALK_LITERAL) {
        left = sprox_str_from(alias->prefix.tokens[i].text,
                              prefix.len - walk->at);

        if (sprox_template_cut(left) != 0) {
            return 0;
        }

        i++;
    }

    var = sprox_list_last_in_segment(&alias->prefix, i, set);

    i = sprox_template_known(&alias->to_prefix, set);

    return var != -1
           && var == sprox_list_last_in_segment(&alias->to_prefix, i, set);
}


static sprox_rc_t
sprox_list_prefix(const sprox_alias_t *alias, sprox_str_t prefix,
    sprox_str_t delimiter, sprox_template_values_t values,
    sprox_alias_list_t *list)
{
    unsigned                 n;
    sprox_walk_t             walk;
    const sprox_template_t  *to;

    to = &alias->to_prefix;

    sprox_template_walk(&alias->prefix, prefix, &values, &walk);

    if (walk.state != SPROX_WALK_BEYOND && walk.state != SPROX_WALK_LITERAL
        && walk.state != SPROX_WALK_VARIABLE)
    {
        return SPROX_NOT_FOUND;
    }

    n = sprox_template_known(to, values.set);

    sprox_template_expand(to, n, &values, &list->prefix);

    if (walk.state != SPROX_WALK_LITERAL) {
        sprox_buf_str(&list->prefix, sprox_str_from(prefix, walk.at));
    }

    list->pushdown = sprox_list_pushdown(alias, prefix, delimiter, &walk,
                                         values.set);

    return sprox_buf_rc(&list->prefix);
}


/* Behind all of the origin's keys that have the values set so far. */

static void
sprox_list_after_block(const sprox_alias_t *alias,
    const sprox_template_values_t *values, sprox_buf_t *out)
{
    size_t                   cut;
    unsigned                 i;
    sprox_str_t              literal;
    const sprox_template_t  *t, *to;

    t = &alias->prefix;
    to = &alias->to_prefix;

    i = sprox_list_last_set(t, values->set);
    i = sprox_template_find(to, t->tokens[i].var);

    sprox_template_expand(to, i + 1, values, out);

    /* the pattern's literal has a '/', or the walk would not know the value */

    literal = to->tokens[i + 1].text;
    cut = sprox_template_cut(literal);

    if (cut != 0) {
        sprox_buf_add(out, literal.data, cut - 1);
        sprox_buf_char(out, SPROX_SLASH_NEXT);
    }
}


/* Right before all of the origin's keys that have the values set so far. */

static void
sprox_list_after_before(const sprox_alias_t *alias,
    const sprox_template_values_t *values, sprox_buf_t *out)
{
    unsigned  n;

    n = sprox_template_known(&alias->to_prefix, values->set);

    sprox_template_expand(&alias->to_prefix, n, values, out);

    /* a variable has a byte; without one, a key may be this very text */

    if (n == alias->to_prefix.n && out->len != 0) {
        out->len--;
    }
}


static sprox_rc_t
sprox_list_after(const sprox_alias_t *alias, sprox_str_t after,
    sprox_template_values_t values, sprox_buf_t *out)
{
    size_t        end;
    unsigned      n;
    sprox_walk_t  walk;

    sprox_template_walk(&alias->prefix, after, &values, &walk);

    switch (walk.state) {

    case SPROX_WALK_LITERAL:
    case SPROX_WALK_LESS:

        if (walk.token != 0) {
            sprox_list_after_before(alias, &values, out);
        }

        return sprox_buf_rc(out);

    case SPROX_WALK_GREATER:

        if (walk.token == 0) {
            return SPROX_NOT_FOUND;
        }

        sprox_list_after_block(alias, &values, out);

        return sprox_buf_rc(out);

    default:
        break;
    }

    end = after.len;

    if (walk.state == SPROX_WALK_MISFIT) {
        end = sprox_str_find(after, sprox_str_lit("/"), walk.at) + 1;
    }

    n = sprox_template_known(&alias->to_prefix, values.set);

    sprox_template_expand(&alias->to_prefix, n, &values, out);
    sprox_buf_add(out, after.data + walk.at, end - walk.at);

    return sprox_buf_rc(out);
}


sprox_rc_t
sprox_alias_list(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t prefix, sprox_str_t delimiter, sprox_str_t after,
    sprox_alias_list_t *list)
{
    size_t                   end;
    sprox_rc_t               rc;
    sprox_str_t              to_after, to_prefix;
    sprox_template_values_t  values;

    if (!alias->listable) {
        return SPROX_INVALID;
    }

    values.set = 0;

    if (!sprox_template_match(&alias->bucket, bucket, 1, &values, &end)) {
        return SPROX_NOT_FOUND;
    }

    sprox_template_expand(&alias->to_bucket, alias->to_bucket.n, &values,
                          &list->bucket);

    rc = sprox_buf_rc(&list->bucket);
    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_list_prefix(alias, prefix, delimiter, values, list);
    if (rc != SPROX_OK) {
        return rc;
    }

    if (!sprox_str_starts(after, prefix)) {
        return (sprox_str_cmp(after, prefix) < 0) ? SPROX_OK : SPROX_NOT_FOUND;
    }

    if (after.len == 0) {
        return SPROX_OK;
    }

    rc = sprox_list_after(alias, after, values, &list->after);
    if (rc != SPROX_OK) {
        return rc;
    }

    /* outside of what the prefix covers: before all of it, or behind */

    to_after = sprox_buf_get(&list->after);
    to_prefix = sprox_buf_get(&list->prefix);

    if (!sprox_str_starts(to_after, to_prefix)) {
        if (sprox_str_cmp(to_after, to_prefix) > 0) {
            return SPROX_NOT_FOUND;
        }

        list->after.len = 0;
    }

    return SPROX_OK;
}


/*
 * Whether to_prefix ends with the segment that token i, the last variable
 * that it sets, stands in, on the pattern's side too; *cut is then what to
 * take of the literal behind it there.
 */

static int
sprox_list_segment_ends(const sprox_alias_t *alias, sprox_str_t to_prefix,
    const sprox_template_values_t *values, unsigned i, size_t *cut)
{
    int                      var;
    size_t                   end, to_cut;
    unsigned                 j;
    sprox_str_t              value;
    const sprox_template_t  *t, *to;

    t = &alias->prefix;
    to = &alias->to_prefix;

    if (i == t->n) {
        return 0;
    }

    var = t->tokens[i].var;
    j = sprox_template_find(to, var);

    *cut = sprox_template_cut(t->tokens[i + 1].text);
    to_cut = sprox_template_cut(to->tokens[j + 1].text);

    if (*cut == 0 || to_cut == 0) {
        return 0;
    }

    value = values->value[var];
    end = (size_t) (value.data - to_prefix.data) + value.len;

    return to_prefix.len == end + to_cut;
}


sprox_rc_t
sprox_alias_invert_prefix(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t to_prefix, sprox_buf_t *prefix)
{
    size_t                   end, cut, start;
    unsigned                 i, vars;
    sprox_str_t              tail, made;
    sprox_walk_t             walk;
    const sprox_template_t  *t;
    sprox_template_values_t  values, again;

    t = &alias->prefix;
    values.set = 0;

    if (!alias->listable
        || !sprox_template_match(&alias->bucket, bucket, 1, &values, &end))
    {
        return SPROX_NOT_FOUND;
    }

    again = values;

    sprox_template_walk(&alias->to_prefix, to_prefix, &values, &walk);

    vars = values.set & sprox_template_vars(t);
    i = sprox_list_last_set(t, vars);

    if (walk.state == SPROX_WALK_BEYOND && walk.at < to_prefix.len) {
        i = t->n;
        tail = sprox_str_from(to_prefix, walk.at);

    } else if (sprox_list_segment_ends(alias, to_prefix, &values, i, &cut)) {
        i++;
        tail = sprox_str_make(t->tokens[i].text.data, cut);

    } else {
        return SPROX_NOT_FOUND;
    }

    start = prefix->len;

    sprox_template_expand(t, i, &values, prefix);
    sprox_buf_str(prefix, tail);

    if (sprox_buf_rc(prefix) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    /* forward again, as for keys */

    made = sprox_str_from(sprox_buf_get(prefix), start);

    sprox_template_walk(t, made, &again, &walk);

    if (!sprox_template_same(&values, &again, vars)) {
        prefix->len = start;
        return SPROX_NOT_FOUND;
    }

    return SPROX_OK;
}
