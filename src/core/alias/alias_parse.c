/*
 * Reads an alias as the operator wrote it, and says whether it can be
 * listed.
 *
 *   tblA / $year/x-$month          lake :// somebucket / a/$year/x-$month/
 *   ----   --------------          ----     ----------   ----------------
 *   bucket prefix                  origin   bucket       prefix
 *
 * Prefixes are copied when they lack their last '/', so that the last
 * literal is one text with it: what a variable matches ends where the whole
 * literal stands.  Each error is one line that says what to write instead.
 */

#include <stdarg.h>

#include "sprox_alias.h"
#include "sprox_op.h"


#define SPROX_ORIGIN_SEP     "://"

/* stand in for a variable where only a bucket's form is asked about */

#define SPROX_BUCKET_FILL    3


typedef struct {
    sprox_alias_t     *alias;
    sprox_buf_t        why;
    const char        *side;        /* "pattern" or "target" */
    unsigned           target:1;
} sprox_alias_parser_t;


/* Parts of the line, each NUL-terminated, up to NULL. */

static sprox_rc_t
sprox_alias_error(sprox_alias_parser_t *p, sprox_rc_t rc, ...)
{
    va_list      args;
    const char  *text;

    va_start(args, rc);

    for (text = va_arg(args, const char *);
         text != NULL;
         text = va_arg(args, const char *))
    {
        sprox_buf_text(&p->why, text);
    }

    va_end(args);

    return rc;
}


/* The same with a name that the operator wrote in the middle. */

static sprox_rc_t
sprox_alias_error_name(sprox_alias_parser_t *p, const char *before,
    sprox_str_t name, const char *after)
{
    sprox_buf_text(&p->why, before);
    sprox_buf_str(&p->why, name);
    sprox_buf_text(&p->why, after);

    return SPROX_INVALID;
}


static int
sprox_alias_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_';
}


/* Length, control characters: what must hold before a text is echoed. */

static sprox_rc_t
sprox_alias_check_text(sprox_alias_parser_t *p, sprox_str_t text)
{
    size_t  i;

    if (text.len == 0) {
        return sprox_alias_error(p, SPROX_INVALID, "the ", p->side,
                                 " is empty; write ",
                                 p->target ? "origin://bucket/prefix"
                                           : "bucket or bucket/prefix", NULL);
    }

    if (text.len > SPROX_ALIAS_TEXT_MAX) {
        return sprox_alias_error(p, SPROX_LIMIT, "the ", p->side,
                                 " is longer than 1024 bytes; shorten it",
                                 NULL);
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return sprox_alias_error(p, SPROX_INVALID, "the ", p->side,
                                     " holds a control character; remove it",
                                     NULL);
        }
    }

    return SPROX_OK;
}


/* Reads $name or ${name} at the start of text; *len is what it takes. */

static sprox_rc_t
sprox_alias_name(sprox_alias_parser_t *p, sprox_str_t text, sprox_str_t *name,
    size_t *len)
{
    size_t  i, start;

    start = (text.len > 1 && text.data[1] == '{') ? 2 : 1;

    for (i = start; i < text.len; i++) {
        if (!sprox_alias_name_byte(text.data[i])) {
            break;
        }
    }

    if (i == start) {
        return sprox_alias_error(p, SPROX_INVALID, "a '$' in the ", p->side,
                                 " has no variable name behind it; write "
                                 "$name or ${name}, with letters, digits "
                                 "and '_'", NULL);
    }

    *name = sprox_str_make(text.data + start, i - start);

    if (start == 2) {
        if (i == text.len || text.data[i] != '}') {
            return sprox_alias_error_name(p, "variable ${", *name,
                                          " is not closed; write '}' behind "
                                          "its name");
        }

        i++;
    }

    *len = i;

    return SPROX_OK;
}


static int
sprox_alias_find_var(const sprox_alias_t *alias, sprox_str_t name)
{
    unsigned  i;

    for (i = 0; i < alias->nvars; i++) {
        if (sprox_str_eq(alias->vars[i], name)) {
            return (int) i;
        }
    }

    return -1;
}


/* The variable's index: a new one in the pattern, a known one in the target. */

static sprox_rc_t
sprox_alias_variable(sprox_alias_parser_t *p, sprox_str_t name, int *var)
{
    sprox_alias_t  *alias = p->alias;

    *var = sprox_alias_find_var(alias, name);

    if (p->target) {
        if (*var == -1) {
            return sprox_alias_error_name(p, "variable $", name,
                                          " in the target is not in the "
                                          "pattern; add it to the pattern or "
                                          "remove it");
        }

        return SPROX_OK;
    }

    if (*var != -1) {
        return sprox_alias_error_name(p, "variable $", name,
                                      " is twice in the pattern; give one of "
                                      "them another name");
    }

    if (alias->nvars == SPROX_ALIAS_VARS_MAX) {
        return sprox_alias_error(p, SPROX_LIMIT, "the pattern has more than "
                                 "16 variables; use fewer", NULL);
    }

    *var = (int) alias->nvars;
    alias->vars[alias->nvars++] = name;

    return SPROX_OK;
}


static sprox_rc_t
sprox_alias_push(sprox_alias_parser_t *p, sprox_template_t *t,
    sprox_str_t text, int var)
{
    if (t->n == SPROX_ALIAS_TOKENS_MAX) {
        return sprox_alias_error(p, SPROX_LIMIT, "the ", p->side, " has too "
                                 "many variables and literals; use fewer",
                                 NULL);
    }

    t->tokens[t->n].text = text;
    t->tokens[t->n].var = var;
    t->n++;

    return SPROX_OK;
}


/* A literal is all that stands between two variables. */

static sprox_rc_t
sprox_alias_tokens(sprox_alias_parser_t *p, sprox_str_t text,
    sprox_template_t *t)
{
    int             var;
    size_t          i, len;
    sprox_rc_t      rc;
    sprox_str_t     name, left;

    for (i = 0; i < text.len; i += len) {
        left = sprox_str_from(text, i);
        len = sprox_str_find(left, sprox_str_lit("$"), 0);

        if (len != 0) {
            if (len == (size_t) -1) {
                len = left.len;
            }

            rc = sprox_alias_push(p, t, sprox_str_make(left.data, len), -1);
            if (rc != SPROX_OK) {
                return rc;
            }

            continue;
        }

        rc = sprox_alias_name(p, left, &name, &len);
        if (rc != SPROX_OK) {
            return rc;
        }

        if (!p->target && t->n != 0 && t->tokens[t->n - 1].var != -1) {
            return sprox_alias_error_name(p, "nothing stands before variable $",
                                          name, " to end the one in front of "
                                          "it; put a literal between them");
        }

        rc = sprox_alias_variable(p, name, &var);
        if (rc != SPROX_OK) {
            return rc;
        }

        rc = sprox_alias_push(p, t, sprox_str_null, var);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    return SPROX_OK;
}


/*
 * Whether some values of its variables make a legal bucket: letters are the
 * most harmless ones, one for each, or enough for the least length.  GCS
 * allows '_': the caller, who knows the dialect, looks once more.
 */

static int
sprox_alias_bucket_fits(const sprox_template_t *t, unsigned fill, int fold)
{
    size_t       i, len, n;
    uint8_t      c, name[SPROX_BUCKET_MAX];
    unsigned     k;
    sprox_str_t  text;

    n = 0;

    for (k = 0; k < t->n; k++) {
        text = t->tokens[k].text;
        len = (t->tokens[k].var == -1) ? text.len : fill;

        if (len > SPROX_BUCKET_MAX - n) {
            return 0;
        }

        for (i = 0; i < len; i++) {
            c = (t->tokens[k].var == -1) ? text.data[i] : 'a';

            if (c == '_' || (fold && c >= 'A' && c <= 'Z')) {
                c = 'a';
            }

            name[n++] = c;
        }
    }

    return sprox_bucket_valid(sprox_str_make(name, n));
}


static sprox_rc_t
sprox_alias_bucket(sprox_alias_parser_t *p, sprox_str_t text,
    sprox_template_t *t)
{
    int         fold;
    sprox_rc_t  rc;

    rc = sprox_alias_tokens(p, text, t);
    if (rc != SPROX_OK) {
        return rc;
    }

    fold = !p->target;

    if (sprox_alias_bucket_fits(t, 1, fold)
        || sprox_alias_bucket_fits(t, SPROX_BUCKET_FILL, fold))
    {
        return SPROX_OK;
    }

    return sprox_alias_error_name(p, "bucket \"", text, fold
                                  ? "\" in the pattern breaks S3's rules; use "
                                    "3 to 63 letters, digits, '_', '-' and "
                                    "single '.', with no '-' or '.' at an end"
                                  : "\" in the target breaks S3's rules; use "
                                    "3 to 63 lower-case letters, digits, '-' "
                                    "and single '.', a letter or digit at "
                                    "both ends");
}


static sprox_rc_t
sprox_alias_prefix(sprox_alias_parser_t *p, sprox_str_t text,
    sprox_template_t *t)
{
    if (text.len != 0
        && (text.data[0] == '/'
            || sprox_str_find(text, sprox_str_lit("//"), 0) != (size_t) -1))
    {
        return sprox_alias_error(p, SPROX_INVALID, "the ", p->side, " has an "
                                 "empty segment (\"//\"); remove one '/'",
                                 NULL);
    }

    return sprox_alias_tokens(p, text, t);
}


/* Splits at the first '/': bucket, and prefix without that '/'. */

static void
sprox_alias_split(sprox_str_t text, sprox_str_t *bucket, sprox_str_t *prefix)
{
    size_t  n;

    n = sprox_str_find(text, sprox_str_lit("/"), 0);

    if (n == (size_t) -1) {
        *bucket = text;
        *prefix = sprox_str_null;
        return;
    }

    *bucket = sprox_str_make(text.data, n);
    *prefix = sprox_str_from(text, n + 1);
}


static int
sprox_alias_lacks_slash(sprox_str_t prefix)
{
    return prefix.len != 0 && prefix.data[prefix.len - 1] != '/';
}


/* Writes the prefix with its '/' to *room, which moves behind it. */

static void
sprox_alias_add_slash(sprox_str_t *prefix, uint8_t **room)
{
    uint8_t  *p = *room;

    if (sprox_alias_lacks_slash(*prefix)) {
        memcpy(p, prefix->data, prefix->len);
        p[prefix->len] = '/';

        *prefix = sprox_str_make(p, prefix->len + 1);
        *room = p + prefix->len;
    }
}


static sprox_rc_t
sprox_alias_slashes(const sprox_mem_t *mem, sprox_alias_t *alias,
    sprox_str_t *prefix, sprox_str_t *to_prefix)
{
    uint8_t  *room;

    if (!sprox_alias_lacks_slash(*prefix)
        && !sprox_alias_lacks_slash(*to_prefix))
    {
        return SPROX_OK;
    }

    room = sprox_alloc(mem, prefix->len + to_prefix->len + 2);
    if (room == NULL) {
        return SPROX_NOMEM;
    }

    alias->memory = room;

    sprox_alias_add_slash(prefix, &room);
    sprox_alias_add_slash(to_prefix, &room);

    return SPROX_OK;
}


/* Takes "origin://" off the target. */

static sprox_rc_t
sprox_alias_origin(sprox_alias_parser_t *p, sprox_str_t *target)
{
    size_t   i, n;
    uint8_t  c;

    n = sprox_str_find(*target, sprox_str_lit(SPROX_ORIGIN_SEP), 0);

    if (n == (size_t) -1 || n == 0) {
        return sprox_alias_error(p, SPROX_INVALID, "the target names no "
                                 "origin; write origin://bucket/prefix", NULL);
    }

    for (i = 0; i < n; i++) {
        c = target->data[i];

        if (!sprox_alias_name_byte(c) && c != '-' && c != '.') {
            return sprox_alias_error_name(p, "\"",
                                          sprox_str_make(target->data, n),
                                          "\" is no name of an origin; use "
                                          "letters, digits, '_', '-' and '.' "
                                          "before \"://\"");
        }
    }

    p->alias->origin = sprox_str_make(target->data, n);
    *target = sprox_str_from(*target, n + sizeof(SPROX_ORIGIN_SEP) - 1);

    return SPROX_OK;
}


/*
 * Whether what follows a variable decides the order of names alike on both
 * sides; the proof is at the top of alias_list.c.
 */

static int
sprox_alias_ends_alike(const sprox_template_t *t, unsigned i,
    const sprox_template_t *to, unsigned j)
{
    size_t       cut;
    sprox_str_t  text;

    if (j + 1 >= to->n || to->tokens[j + 1].var != -1) {
        return 0;
    }

    text = t->tokens[i + 1].text;
    cut = sprox_template_cut(text);

    if (cut != 0) {
        text.len = cut;
    }

    return sprox_str_starts(to->tokens[j + 1].text, text);
}


static const char *
sprox_alias_unlistable(const sprox_alias_t *alias)
{
    unsigned                 i, j, last, vars;
    const sprox_template_t  *t, *to;

    t = &alias->prefix;
    to = &alias->to_prefix;
    vars = sprox_template_vars(t);

    if (sprox_template_vars(&alias->to_bucket) & vars) {
        return "a variable of the pattern's prefix is in the target's bucket, "
               "and a listing cannot span buckets; move it to the target's "
               "prefix, or say \"list off\"";
    }

    if (vars & ~sprox_template_vars(to)) {
        return "a variable of the pattern's prefix is not in the target, so "
               "that several keys map onto one; add it to the target, or say "
               "\"list off\"";
    }

    last = 0;

    for (i = 0; i < t->n; i++) {

        if (t->tokens[i].var == -1) {
            continue;
        }

        j = sprox_template_find(to, t->tokens[i].var);

        if (j < last) {
            return "the variables of the pattern's prefix are in another order "
                   "in the target, so that keys sort otherwise there; keep "
                   "their order, or say \"list off\"";
        }

        if (!sprox_alias_ends_alike(t, i, to, j)) {
            return "a variable of the pattern's prefix has something else "
                   "behind it in the target, so that keys sort otherwise "
                   "there; write the same up to the next '/', or say "
                   "\"list off\"";
        }

        last = j;
    }

    return NULL;
}


static sprox_rc_t
sprox_alias_parse_sides(const sprox_mem_t *mem, sprox_alias_parser_t *p,
    sprox_str_t pattern, sprox_str_t target)
{
    sprox_rc_t      rc;
    sprox_str_t     bucket, prefix, to_bucket, to_prefix;
    sprox_alias_t  *alias = p->alias;

    rc = sprox_alias_check_text(p, pattern);
    if (rc != SPROX_OK) {
        return rc;
    }

    p->side = "target";
    p->target = 1;

    rc = sprox_alias_check_text(p, target);
    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_alias_origin(p, &target);
    if (rc != SPROX_OK) {
        return rc;
    }

    sprox_alias_split(pattern, &bucket, &prefix);
    sprox_alias_split(target, &to_bucket, &to_prefix);

    rc = sprox_alias_slashes(mem, alias, &prefix, &to_prefix);
    if (rc != SPROX_OK) {
        return rc;
    }

    p->side = "pattern";
    p->target = 0;

    rc = sprox_alias_bucket(p, bucket, &alias->bucket);
    if (rc != SPROX_OK) {
        return rc;
    }

    alias->bucket_vars = sprox_template_vars(&alias->bucket);

    rc = sprox_alias_prefix(p, prefix, &alias->prefix);
    if (rc != SPROX_OK) {
        return rc;
    }

    p->side = "target";
    p->target = 1;

    rc = sprox_alias_bucket(p, to_bucket, &alias->to_bucket);
    if (rc != SPROX_OK) {
        return rc;
    }

    return sprox_alias_prefix(p, to_prefix, &alias->to_prefix);
}


sprox_rc_t
sprox_alias_parse(const sprox_mem_t *mem, sprox_str_t pattern,
    sprox_str_t target, sprox_alias_t *alias, sprox_str_t *why)
{
    sprox_rc_t            rc;
    sprox_alias_parser_t  p;

    memset(alias, 0, sizeof(sprox_alias_t));
    alias->pattern = pattern;

    *why = sprox_str_null;

    p.alias = alias;
    p.side = "pattern";
    p.target = 0;
    sprox_buf_init(&p.why, mem);

    rc = sprox_alias_parse_sides(mem, &p, pattern, target);

    if (rc != SPROX_OK) {
        sprox_alias_free(mem, alias);

        if (sprox_buf_rc(&p.why) != SPROX_OK) {
            sprox_buf_free(&p.why);
            return SPROX_NOMEM;
        }

        *why = sprox_buf_get(&p.why);

        return rc;
    }

    alias->why = sprox_alias_unlistable(alias);
    alias->listable = (alias->why == NULL);

    return SPROX_OK;
}


void
sprox_alias_free(const sprox_mem_t *mem, sprox_alias_t *alias)
{
    if (alias->memory != NULL) {
        sprox_free(mem, alias->memory);
        alias->memory = NULL;
    }
}
