/*
 * The input is GLOB NUL TEXT.  A glob that passed the check matches what a
 * plain backtracking matcher matches (tried on short inputs only).
 */

#include <assert.h>

#include "sprox_glob.h"


#define FUZZ_TEXT_MAX   24
#define FUZZ_STARS_MAX  4


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static int
element(sprox_str_t glob, size_t end, unsigned c)
{
    uint8_t  byte;

    byte = (uint8_t) c;

    return sprox_glob_match(sprox_str_make(glob.data, end),
                            sprox_str_make(&byte, 1));
}


/* The length of the glob's first element. */

static size_t
element_len(sprox_str_t glob)
{
    size_t  i;

    if (glob.data[0] == '\\') {
        return 2;
    }

    if (glob.data[0] != '[') {
        return 1;
    }

    i = 1;

    if (glob.data[i] == '!' || glob.data[i] == '^') {
        i++;
    }

    for (i++; glob.data[i] != ']'; i++) {
        /* void */
    }

    return i + 1;
}


static int
plain(sprox_str_t glob, sprox_str_t s)
{
    size_t  n;

    if (glob.len == 0) {
        return s.len == 0;
    }

    if (glob.data[0] == '*') {
        return plain(sprox_str_from(glob, 1), s)
               || (s.len != 0 && plain(glob, sprox_str_from(s, 1)));
    }

    n = element_len(glob);

    return s.len != 0 && element(glob, n, s.data[0])
           && plain(sprox_str_from(glob, n), sprox_str_from(s, 1));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             match;
    size_t          i, stars;
    sprox_str_t     glob, s;
    const char     *why;
    const uint8_t  *nul;

    nul = size ? memchr(data, '\0', size) : NULL;

    if (nul == NULL) {
        return 0;
    }

    glob = sprox_str_make(data, (size_t) (nul - data));
    s = sprox_str_make(nul + 1, size - glob.len - 1);

    match = sprox_glob_match(glob, s);

    if (sprox_glob_check(glob, &why) != SPROX_OK) {
        assert(why != NULL);
        return 0;
    }

    stars = 0;

    for (i = 0; i < glob.len; i++) {
        stars += glob.data[i] == '*';
    }

    if (s.len <= FUZZ_TEXT_MAX && stars <= FUZZ_STARS_MAX) {
        assert(match == plain(glob, s));
    }

    return 0;
}
