/*
 * Matching, partial matching and writing of templates, and the question
 * whether two of them can match one name.
 *
 * A walk over a text that need not fit, at a variable and its literal:
 *
 *   $y/m=$m/     2026/m=11/x   the literal "/m=" is found, the value is the
 *                              text before it: go on behind it
 *                20            no '/': ends in the variable (VARIABLE)
 *                2026/m        the literal up to its '/' fits, so the value
 *                              is certain: ends in it (LITERAL)
 *                2026/a        likewise, but 'a' < 'm' (LESS); 'z': GREATER
 *                /a            no value can be empty (MISFIT)
 *   $y-$m/       2026/a        nor is there a '-' before the '/' (MISFIT)
 *
 * That the value is certain: a value has no '/', so the first '/' of the
 * text is the first '/' of the literal, or none of either.
 */

#include "sprox_template.h"


/*
 * One byte of text, or a variable as "one of its bytes" and "any number of
 * them", or the rest of a key.
 */

#define SPROX_ELEMENT_ONE     256
#define SPROX_ELEMENT_MANY    257
#define SPROX_ELEMENT_REST    258

/* a variable takes two bytes of a pattern, and one '/' may be added */

#define SPROX_ELEMENTS_MAX    (SPROX_ALIAS_TEXT_MAX + 4)


/* Whether a token is known in full: a literal, or a variable that is set. */

static int
sprox_token_text(const sprox_alias_token_t *token,
    const sprox_template_values_t *values, sprox_str_t *text)
{
    if (token->var == -1) {
        *text = token->text;
        return 1;
    }

    if (values->set & (1u << token->var)) {
        *text = values->value[token->var];
        return 1;
    }

    return 0;
}


static void
sprox_token_set(const sprox_alias_token_t *token,
    sprox_template_values_t *values, sprox_str_t value)
{
    values->value[token->var] = value;
    values->set |= 1u << token->var;
}


/* Where the first '/' from `at` on is, or the end. */

static size_t
sprox_segment_end(sprox_str_t s, size_t at)
{
    const uint8_t  *p;

    if (at >= s.len) {
        return s.len;
    }

    p = memchr(s.data + at, '/', s.len - at);

    return (p == NULL) ? s.len : (size_t) (p - s.data);
}


/* The length of what variable i matches at `at`; 0: it matches nothing. */

static size_t
sprox_variable_len(const sprox_template_t *t, unsigned i, sprox_str_t s,
    size_t at, int whole)
{
    size_t       end, pos;
    sprox_str_t  next;

    if (at >= s.len) {
        return 0;
    }

    end = sprox_segment_end(s, at);

    if (i + 1 == t->n) {
        return (whole && end == s.len) ? end - at : 0;
    }

    if (t->tokens[i + 1].var != -1) {
        return 0;
    }

    next = t->tokens[i + 1].text;

    if (whole && i + 2 == t->n) {
        if (!sprox_str_ends(s, next) || next.len >= s.len - at) {
            return 0;
        }

        pos = s.len - next.len;

    } else {
        pos = sprox_str_find(s, next, at + 1);
        if (pos == (size_t) -1) {
            return 0;
        }
    }

    return (pos <= end) ? pos - at : 0;
}


int
sprox_template_match(const sprox_template_t *t, sprox_str_t s, int whole,
    sprox_template_values_t *values, size_t *end)
{
    size_t                      at, len;
    unsigned                    i;
    sprox_str_t                 text;
    const sprox_alias_token_t  *token;

    at = 0;

    for (i = 0; i < t->n; i++) {
        token = &t->tokens[i];

        if (sprox_token_text(token, values, &text)) {
            if (!sprox_str_starts(sprox_str_from(s, at), text)) {
                return 0;
            }

            at += text.len;
            continue;
        }

        len = sprox_variable_len(t, i, s, at, whole);
        if (len == 0) {
            return 0;
        }

        sprox_token_set(token, values, sprox_str_make(s.data + at, len));
        at += len;
    }

    *end = at;

    return !whole || at == s.len;
}


/* How s compares with a text that it does not start with. */

static sprox_walk_state_t
sprox_walk_compare(sprox_str_t s, sprox_str_t text)
{
    if (sprox_str_starts(text, s)) {
        return SPROX_WALK_LITERAL;
    }

    return (sprox_str_cmp(s, text) < 0) ? SPROX_WALK_LESS : SPROX_WALK_GREATER;
}


/* A variable whose literal does not stand where it would have to. */

static void
sprox_walk_variable(const sprox_template_t *t, sprox_str_t s,
    sprox_template_values_t *values, sprox_walk_t *walk)
{
    size_t       end, cut, len;
    sprox_str_t  next, head;

    end = sprox_segment_end(s, walk->at);

    if (end == s.len) {
        walk->state = SPROX_WALK_VARIABLE;
        return;
    }

    walk->state = SPROX_WALK_MISFIT;

    if (walk->token + 1 == t->n || t->tokens[walk->token + 1].var != -1) {
        return;
    }

    next = t->tokens[walk->token + 1].text;

    cut = sprox_template_cut(next);
    if (cut == 0) {
        return;
    }

    /* what the literal has before its '/' must stand before the text's */

    len = end + 1 - walk->at;

    head = sprox_str_make(s.data + walk->at, len);

    if (len <= cut || !sprox_str_ends(head, sprox_str_make(next.data, cut))) {
        return;
    }

    head.len -= cut;

    sprox_token_set(&t->tokens[walk->token], values, head);

    walk->token++;
    walk->at += head.len;
    walk->state = sprox_walk_compare(sprox_str_from(s, walk->at), next);
}


void
sprox_template_walk(const sprox_template_t *t, sprox_str_t s,
    sprox_template_values_t *values, sprox_walk_t *walk)
{
    size_t                      len;
    sprox_str_t                 text, left;
    const sprox_alias_token_t  *token;

    walk->at = 0;

    for (walk->token = 0; walk->token < t->n; walk->token++) {
        token = &t->tokens[walk->token];

        if (sprox_token_text(token, values, &text)) {
            left = sprox_str_from(s, walk->at);

            if (!sprox_str_starts(left, text)) {
                walk->state = sprox_walk_compare(left, text);
                return;
            }

            walk->at += text.len;
            continue;
        }

        len = sprox_variable_len(t, walk->token, s, walk->at, 0);
        if (len == 0) {
            sprox_walk_variable(t, s, values, walk);
            return;
        }

        sprox_token_set(token, values, sprox_str_make(s.data + walk->at, len));
        walk->at += len;
    }

    walk->state = SPROX_WALK_BEYOND;
}


void
sprox_template_expand(const sprox_template_t *t, unsigned n,
    const sprox_template_values_t *values, sprox_buf_t *out)
{
    unsigned     i;
    sprox_str_t  text;

    for (i = 0; i < n; i++) {
        if (sprox_token_text(&t->tokens[i], values, &text)) {
            sprox_buf_str(out, text);
        }
    }
}


unsigned
sprox_template_known(const sprox_template_t *t, unsigned set)
{
    unsigned  i;

    for (i = 0; i < t->n; i++) {
        if (t->tokens[i].var != -1 && !(set & (1u << t->tokens[i].var))) {
            break;
        }
    }

    return i;
}


unsigned
sprox_template_find(const sprox_template_t *t, int var)
{
    unsigned  i;

    for (i = 0; i < t->n; i++) {
        if (t->tokens[i].var == var) {
            break;
        }
    }

    return i;
}


size_t
sprox_template_cut(sprox_str_t literal)
{
    size_t  end;

    end = sprox_segment_end(literal, 0);

    return (end == literal.len) ? 0 : end + 1;
}


unsigned
sprox_template_vars(const sprox_template_t *t)
{
    unsigned  i, mask;

    mask = 0;

    for (i = 0; i < t->n; i++) {
        if (t->tokens[i].var != -1) {
            mask |= 1u << t->tokens[i].var;
        }
    }

    return mask;
}


int
sprox_template_same(const sprox_template_values_t *a,
    const sprox_template_values_t *b, unsigned mask)
{
    int  i;

    if ((a->set & b->set & mask) != mask) {
        return 0;
    }

    for (i = 0; i < SPROX_ALIAS_VARS_MAX; i++) {
        if ((mask & (1u << i)) && !sprox_str_eq(a->value[i], b->value[i])) {
            return 0;
        }
    }

    return 1;
}


static size_t
sprox_template_elements(const sprox_template_t *t, int open, uint16_t *out)
{
    size_t    j, n;
    unsigned  i;

    n = 0;

    for (i = 0; i < t->n; i++) {
        if (t->tokens[i].var != -1) {
            out[n++] = SPROX_ELEMENT_ONE;
            out[n++] = SPROX_ELEMENT_MANY;
            continue;
        }

        for (j = 0; j < t->tokens[i].text.len; j++) {
            out[n++] = t->tokens[i].text.data[j];
        }
    }

    if (open) {
        out[n++] = SPROX_ELEMENT_REST;
    }

    return n;
}


static int
sprox_element_repeats(uint16_t a)
{
    return a == SPROX_ELEMENT_MANY || a == SPROX_ELEMENT_REST;
}


/* Whether one byte can be of both. */

static int
sprox_element_meets(uint16_t a, uint16_t b)
{
    if (a == SPROX_ELEMENT_REST || b == SPROX_ELEMENT_REST) {
        return 1;
    }

    if (a < SPROX_ELEMENT_ONE && b < SPROX_ELEMENT_ONE) {
        return a == b;
    }

    return a != '/' && b != '/';
}


/*
 * From element i of a, to which here[j] says whether some text leads while it
 * leads to element j of b: a repeating element may be left, or a byte may be
 * taken that both have, which passes an element that does not repeat.
 * below[] is the same for element i + 1.
 */

static void
sprox_overlap_row(uint16_t element, const uint16_t *eb, size_t nb,
    uint8_t *here, uint8_t *below)
{
    size_t  j;

    memset(below, 0, nb + 1);

    for (j = 0; j <= nb; j++) {

        if (!here[j]) {
            continue;
        }

        if (sprox_element_repeats(element)) {
            below[j] = 1;
        }

        if (j == nb) {
            break;
        }

        if (sprox_element_repeats(eb[j])) {
            here[j + 1] = 1;
        }

        if (!sprox_element_meets(element, eb[j])) {
            continue;
        }

        if (sprox_element_repeats(element)) {
            here[j + 1] = 1;

        } else if (sprox_element_repeats(eb[j])) {
            below[j] = 1;

        } else {
            below[j + 1] = 1;
        }
    }
}


int
sprox_template_overlap(const sprox_template_t *a, const sprox_template_t *b,
    int open)
{
    size_t    i, j, na, nb;
    uint8_t  *here, *below;
    uint8_t   rows[2][SPROX_ELEMENTS_MAX + 1];
    uint16_t  ea[SPROX_ELEMENTS_MAX], eb[SPROX_ELEMENTS_MAX];

    na = sprox_template_elements(a, open, ea);
    nb = sprox_template_elements(b, open, eb);

    here = rows[0];
    memset(here, 0, nb + 1);
    here[0] = 1;

    /* neither index ever falls, so two rows are enough */

    for (i = 0; i < na; i++) {
        below = rows[(i + 1) % 2];
        sprox_overlap_row(ea[i], eb, nb, here, below);
        here = below;
    }

    /* a is at its end; what repeats in b may still be left */

    for (j = 0; j < nb; j++) {
        if (here[j] && sprox_element_repeats(eb[j])) {
            here[j + 1] = 1;
        }
    }

    return here[nb];
}
