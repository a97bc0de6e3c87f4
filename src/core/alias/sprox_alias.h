/*
 * Aliases: templates that map the names clients see (virtual bucket and
 * key) onto the names of an origin (bucket and key), and back.
 *
 * A pattern is "bucket[/prefix]", a target "origin://bucket[/prefix]", both
 * with variables $name or ${name} (letters, digits, '_').  A variable
 * matches one path segment (one or more bytes but '/'), or the part of one
 * that lies between literals; the shortest match wins (sprox_template.h).
 * What follows the pattern in a key is the rest, any bytes, and is appended
 * to the target.  Prefixes end in '/', written or not: "tblB/x" serves keys
 * that start with "x/", among them "x/" itself (the rest is then empty, and
 * so is it in the target), but not "x" or "xy".
 *
 *   pattern  tblA/$y/$m     target  lake://b/some/y=$y/m=$m/
 *   tblA : 2026/11/x.parquet    <->   b : some/y=2026/m=11/x.parquet
 */

#ifndef SPROX_ALIAS_H
#define SPROX_ALIAS_H


#include "sprox_template.h"


typedef struct {
    sprox_str_t       pattern;      /* as written; names the alias */
    sprox_str_t       origin;       /* name before :// */
    sprox_template_t  bucket;       /* clients' side */
    sprox_template_t  prefix;       /* clients' key prefix, ends in '/' as a
                                       literal when not empty */
    sprox_template_t  to_bucket;    /* the origin's side */
    sprox_template_t  to_prefix;    /* likewise */
    sprox_str_t       vars[SPROX_ALIAS_VARS_MAX];
    unsigned          nvars;
    unsigned          bucket_vars;  /* bit mask: bound by the bucket */
    unsigned          listable:1;   /* maps back and keeps byte order */
    const char       *why;          /* static text: why it is not listable,
                                       and the way out */
    void             *memory;       /* prefixes that lacked their '/' */
} sprox_alias_t;


/*
 * Parses pattern and target (which stay the caller's and must outlive the
 * alias).  SPROX_OK: sprox_alias_free() when it is done with (with a pool:
 * needless).  SPROX_INVALID and SPROX_LIMIT with *why: one line from mem,
 * the caller's to free, for the operator: what is wrong and the way out.
 * Wrong are: nothing written, a bad variable name, the same variable twice
 * in the pattern, two variables of the pattern with no literal between, a
 * variable in the target that the pattern lacks, no "origin://", a bucket
 * that can never obey S3's rules (the clients' may have upper case and '_'),
 * control characters, an empty segment ("//").  SPROX_NOMEM.
 *
 * An alias that maps forward but cannot be listed is no error here; it has
 * listable 0, and why.  Listable means: distinct keys of clients have
 * distinct keys in the origin, and both sort alike.  It needs that
 *   - each variable of the pattern's prefix is in the target's prefix (else
 *     several keys would map onto one) and not in the target's bucket (else
 *     one listing would span buckets);
 *   - they first appear there in the pattern's order (the target may repeat
 *     one);
 *   - what follows a variable is the same on both sides for as long as that
 *     decides how two names sort: up to the first '/', or where the
 *     pattern's literal has none, all of it.  "/" and "/m=" agree, "-x/" and
 *     "-y/" do not, though the first byte is the same: of "a-x/", "a-b-x/"
 *     the first sorts behind, of "a-a/", "a-b-a/" before.
 * Variables of the pattern's bucket are constants within one listing and may
 * be anywhere in the target, or nowhere.
 */
sprox_rc_t sprox_alias_parse(const sprox_mem_t *mem, sprox_str_t pattern,
    sprox_str_t target, sprox_alias_t *alias, sprox_str_t *why);

/* Frees what a successful parse took; mem is the same. */
void sprox_alias_free(const sprox_mem_t *mem, sprox_alias_t *alias);

/*
 * Which of two aliases is tried first: <0: a is more specific, >0: b is,
 * 0: they tie, that is, some name matches both and neither says more.
 * cmp(b, a) is -cmp(a, b) in sign.  The rules, in order:
 *
 *   1. a bucket without variables before one with; of two with, the one
 *      with more literal bytes;
 *   2. more segments of prefix;
 *   3. segment by segment from the left: one without variables, then one
 *      with literal bytes and variables (more literal bytes first), then a
 *      variable alone;
 *   4. equal so far: 0 if one (bucket, key) can match both, whatever the
 *      texts ("a/$x" and "a/$y", "$b" and "$c", buckets "x-$a" and "$b-y",
 *      which both match "x-y"); else the order of the patterns' bytes.
 *
 * For sorting: 1 to 3 rank, 4 only separates what never meets, so a list
 * without ties is in one definite order.  To find ties compare each alias
 * with each: two that tie need not be neighbours once sorted.
 */
int sprox_alias_cmp(const sprox_alias_t *a, const sprox_alias_t *b);

/* Whether the alias serves the virtual bucket of that name. */
int sprox_alias_has_bucket(const sprox_alias_t *alias, sprox_str_t bucket);

/*
 * Clients' names to the origin's.  SPROX_OK: the origin's bucket and key
 * are appended to to_bucket and to_key.  SPROX_NOT_FOUND: no match, and
 * nothing is appended; also when a key would map onto no key at all ("x/"
 * of "t/x" onto the top of a bucket), which would be the bucket itself.
 * SPROX_NOMEM.  The caller checks bucket and length against S3's rules.
 */
sprox_rc_t sprox_alias_map(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t key, sprox_buf_t *to_bucket, sprox_buf_t *to_key);

/*
 * Whether a store that takes ".." in a path for the directory above, as
 * stores over directories do, would see in the origin's key to_key (made by
 * sprox_alias_map()) a name outside of what the target's literal beginning
 * allows.  S3 itself refuses the keys that would leave the bucket.
 */
int sprox_alias_leaves(const sprox_alias_t *alias, sprox_str_t to_key);

/*
 * An origin's key back to the clients' key in virtual bucket `bucket`:
 * appended to key.  The result maps forward to the same origin's key, with
 * the same values: whatever does not, or does not fit the template, or would
 * be an empty key, is SPROX_NOT_FOUND and invisible (nothing is appended).
 * SPROX_NOMEM.  An alias that is not listable may have nothing that inverts.
 */
sprox_rc_t sprox_alias_invert(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t to_key, sprox_buf_t *key);


/*
 * Whether the alias may lead some name of clients' to an origin's bucket
 * and key.  Fewer than these are what sprox_alias_map() gives, never more.
 */
int sprox_alias_reaches(const sprox_alias_t *alias, sprox_str_t to_bucket,
    sprox_str_t to_key);


/*
 * Part of a listing that one alias contributes.
 *
 * Given the client's prefix, delimiter and `after` (list keys > after, may
 * be empty) within a virtual bucket: what to ask the origin for.
 */

typedef struct {
    sprox_buf_t  bucket;            /* the origin's bucket */
    sprox_buf_t  prefix;            /* the origin's prefix */
    sprox_buf_t  after;             /* start-after; empty: from the start */
    unsigned     pushdown:1;        /* the origin may apply the delimiter */
} sprox_alias_list_t;

/*
 * SPROX_OK: ask the origin.  SPROX_NOT_FOUND: this alias has nothing with
 * that prefix (beyond after); the buffers are then without meaning.
 * SPROX_INVALID: the alias is not listable.  SPROX_NOMEM.  The caller inits
 * the buffers, and frees them whatever the outcome.
 *
 * Each key that is to be listed has list.prefix and is > list.after, and
 * keys sort alike on both sides.  The origin may send others: the caller
 * puts each through sprox_alias_invert() and checks it against the client's
 * prefix and after.  `after` may be any bytes, also such as fit no template;
 * list.after is then the place in the origin's order that keys > after are
 * behind and others before, exactly, but for one case: where a key may equal
 * that place (the bare prefix "y=26/"), it is moved back by that last byte.
 * Both may pass 1024 bytes: no key is that long.
 *
 * pushdown: common prefixes of the origin's keys under the delimiter are,
 * one to one and in order, those of the clients' keys, through
 * sprox_alias_invert_prefix().  The client's prefix lies then beyond the
 * template (any delimiter); or the delimiter is "/", and the segment that
 * comes next stands for the same variables on both sides.  Such a segment
 * may have in the origin no key that goes on as the template does
 * (y=26/stray): its common prefix is listed all the same, though nothing is
 * visible below it; more than that is never listed too many.  A common
 * prefix that is < after and that after does not start with is the caller's
 * to drop, like keys.  pushdown is 0 when the delimiter is empty.
 */
sprox_rc_t sprox_alias_list(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t prefix, sprox_str_t delimiter, sprox_str_t after,
    sprox_alias_list_t *list);

/*
 * A common prefix of the origin, as answered to a pushdown listing, back to
 * the clients' words: appended to prefix.  SPROX_NOT_FOUND: it fits no
 * template, or no key below it would invert (nothing is appended).
 * SPROX_NOMEM.
 */
sprox_rc_t sprox_alias_invert_prefix(const sprox_alias_t *alias,
    sprox_str_t bucket, sprox_str_t to_prefix, sprox_buf_t *prefix);


#endif /* SPROX_ALIAS_H */
