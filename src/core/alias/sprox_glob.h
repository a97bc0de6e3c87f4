/*
 * Globs: which keys an `object GLOB { }` block is for.
 *
 *   *        any bytes, none too, '/' as well: "*.parquet" is for every
 *            Parquet file of an alias, however deep
 *   ?        one byte
 *   [a-z_]   one byte of a class; [!...] or [^...]: one that is not in it;
 *            a ']' that comes first stands for itself
 *   \c       the byte c itself
 *
 * A glob is for a key when it matches the whole key.
 */

#ifndef SPROX_GLOB_H
#define SPROX_GLOB_H


#include "sprox_base.h"


/*
 * SPROX_OK, or SPROX_INVALID with *why set to a short static text: an empty
 * glob, a class without its ']', a range from high to low, a '\' at the end.
 */
sprox_rc_t sprox_glob_check(sprox_str_t glob, const char **why);

/*
 * Whether a glob that passed the check matches; at most glob.len * s.len
 * steps, no memory.  One that did not pass matches nothing.
 */
int sprox_glob_match(sprox_str_t glob, sprox_str_t s);


#endif /* SPROX_GLOB_H */
