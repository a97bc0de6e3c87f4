/*
 * Globs.  The matcher goes through glob and text side by side and, when
 * they part, back to the last '*', which then takes one byte more:
 *
 *   glob  a * b c            text  a x b b c
 *             ^ star               ^ from: where the star's bytes end
 *
 * An earlier star never has to be tried again: what the later one can
 * match from here, it could have matched with any choice of the earlier.
 */

#include "sprox_glob.h"


#define SPROX_GLOB_NONE  ((size_t) -1)


static size_t sprox_glob_class(sprox_str_t glob, size_t i, unsigned c,
    int *in, const char **why);
static int sprox_glob_byte(sprox_str_t glob, size_t *i, unsigned c);


sprox_rc_t
sprox_glob_check(sprox_str_t glob, const char **why)
{
    int     in;
    size_t  i;

    if (glob.len == 0) {
        *why = "it is empty";
        return SPROX_INVALID;
    }

    i = 0;

    while (i < glob.len) {

        switch (glob.data[i]) {

        case '[':
            i = sprox_glob_class(glob, i, 0, &in, why);

            if (i == SPROX_GLOB_NONE) {
                return SPROX_INVALID;
            }

            break;

        case '\\':
            if (i + 1 == glob.len) {
                *why = "nothing follows its last \"\\\"";
                return SPROX_INVALID;
            }

            i += 2;
            break;

        default:
            i++;
        }
    }

    return SPROX_OK;
}


int
sprox_glob_match(sprox_str_t glob, sprox_str_t s)
{
    size_t  i, n, star, from;

    i = 0;
    n = 0;
    from = 0;
    star = SPROX_GLOB_NONE;

    for ( ;; ) {

        if (i < glob.len && glob.data[i] == '*') {
            star = ++i;
            from = n;
            continue;
        }

        if (n == s.len && i == glob.len) {
            return 1;
        }

        if (n < s.len && i < glob.len
            && sprox_glob_byte(glob, &i, s.data[n]))
        {
            n++;
            continue;
        }

        if (star == SPROX_GLOB_NONE || from == s.len) {
            return 0;
        }

        n = ++from;
        i = star;
    }
}


/* Whether the element at *i matches c; *i is then behind the element. */

static int
sprox_glob_byte(sprox_str_t glob, size_t *i, unsigned c)
{
    int          in;
    size_t       next;
    const char  *why;

    switch (glob.data[*i]) {

    case '?':
        (*i)++;
        return 1;

    case '[':
        next = sprox_glob_class(glob, *i, c, &in, &why);

        if (next == SPROX_GLOB_NONE || !in) {
            return 0;
        }

        *i = next;
        return 1;

    case '\\':
        if (*i + 1 == glob.len || glob.data[*i + 1] != c) {
            return 0;
        }

        *i += 2;
        return 1;

    default:
        if (glob.data[*i] != c) {
            return 0;
        }

        (*i)++;
        return 1;
    }
}


/*
 * The class that opens at i: *in tells whether c belongs to it.  Returns
 * the offset behind its ']', or SPROX_GLOB_NONE with *why.
 */

static size_t
sprox_glob_class(sprox_str_t glob, size_t i, unsigned c, int *in,
    const char **why)
{
    int       negated;
    size_t    first;
    unsigned  low, high;

    i++;
    *in = 0;
    negated = 0;

    if (i < glob.len && (glob.data[i] == '!' || glob.data[i] == '^')) {
        negated = 1;
        i++;
    }

    for (first = i; i < glob.len; i++) {

        if (glob.data[i] == ']' && i != first) {
            *in ^= negated;
            return i + 1;
        }

        low = glob.data[i];
        high = low;

        /* a '-' at either end of the class stands for itself */

        if (glob.len - i > 2 && glob.data[i + 1] == '-'
            && glob.data[i + 2] != ']')
        {
            i += 2;
            high = glob.data[i];

            if (high < low) {
                *why = "a range in its \"[...]\" goes from high to low";
                return SPROX_GLOB_NONE;
            }
        }

        if (c >= low && c <= high) {
            *in = 1;
        }
    }

    *why = "a \"[\" has no \"]\"";

    return SPROX_GLOB_NONE;
}
