/*
 * Aliases: templates that map the names clients see (virtual bucket and
 * key) onto the names of an origin (bucket and key), and back.
 *
 * A pattern is "bucket[/prefix]", a target "origin://bucket[/prefix]", both
 * with variables $name or ${name} (letters, digits, '_').  A variable
 * matches one path segment (one or more bytes but '/'), or the part of one
 * that lies between literals; the shortest match wins.  What follows the
 * pattern in a key is the rest: it is empty or starts at a segment border,
 * and is appended to the target.
 *
 *   pattern  tblA/$y/$m     target  lake://b/some/y=$y/m=$m/
 *   tblA : 2026/11/x.parquet    <->   b : some/y=2026/m=11/x.parquet
 */

#ifndef SPROX_ALIAS_H
#define SPROX_ALIAS_H


#include "sprox_buf.h"


#define SPROX_ALIAS_VARS_MAX     16
#define SPROX_ALIAS_TOKENS_MAX   40
#define SPROX_ALIAS_TEXT_MAX     1024


typedef struct {
    sprox_str_t  text;              /* literal bytes; empty for a variable */
    int          var;               /* index of the variable, -1: literal */
} sprox_alias_token_t;


typedef struct {
    sprox_alias_token_t  tokens[SPROX_ALIAS_TOKENS_MAX];
    unsigned             n;
} sprox_template_t;


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
    const char       *why;          /* static text: why it is not listable */
} sprox_alias_t;


/*
 * Parses pattern and target (which stay the caller's and must outlive the
 * alias).  SPROX_OK; SPROX_INVALID with *why (a text in mem, for the
 * operator: what is wrong and what to write instead): empty, bad variable
 * name, the same variable twice in the pattern, adjacent variables with no
 * literal between, a variable in the target that the pattern lacks, no
 * "origin://", a literal bucket that breaks S3's rules, control characters,
 * an empty segment.  A pattern variable that the target lacks is no error
 * here but makes the alias not listable (several keys would map onto one);
 * so does what cannot be inverted, or breaks byte order: variables in
 * another order, another byte after a variable, a key's variable in the
 * target's bucket.  SPROX_LIMIT, SPROX_NOMEM.
 */
sprox_rc_t sprox_alias_parse(const sprox_mem_t *mem, sprox_str_t pattern,
    sprox_str_t target, sprox_alias_t *alias, sprox_str_t *why);

/*
 * Which of two aliases is tried first: <0: a is more specific, >0: b is,
 * 0: they tie (some name may match both and neither says more).  Rules, in
 * order: bucket literal before template with longer literals first; then
 * more segments of prefix; then, segment by segment from the left, a
 * literal before a part-literal before a lone variable.  Two patterns whose
 * matches cannot overlap are never a tie: any fixed order will do, but
 * never 0.
 */
int sprox_alias_cmp(const sprox_alias_t *a, const sprox_alias_t *b);

/* Whether the alias serves the virtual bucket of that name. */
int sprox_alias_has_bucket(const sprox_alias_t *alias, sprox_str_t bucket);

/*
 * Clients' names to the origin's.  SPROX_OK: the origin's bucket and key
 * are appended to to_bucket and to_key.  SPROX_NOT_FOUND: no match.
 * SPROX_NOMEM.  The caller checks the bucket against S3's rules.
 */
sprox_rc_t sprox_alias_map(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t key, sprox_buf_t *to_bucket, sprox_buf_t *to_key);

/*
 * An origin's key back to the clients' key in virtual bucket `bucket`:
 * appended to key.  The result maps forward to the same origin's key:
 * whatever does not, or does not fit the template, is SPROX_NOT_FOUND and
 * invisible.
 */
sprox_rc_t sprox_alias_invert(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t to_key, sprox_buf_t *key);


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
 * that prefix (beyond after).  The caller inits the buffers.  Keys that the
 * origin sends are put through sprox_alias_invert() and checked against
 * the client's prefix and after by the caller.  `after` may be any bytes,
 * also such as fit no template: the origin's start-after is then the
 * smallest safe one (never passing over a key that must be listed).
 *
 * pushdown is set when common prefixes of the origin's keys under the
 * delimiter are, one to one, those of the clients' keys: the client's
 * prefix lies beyond the template (any delimiter), or the delimiter is "/"
 * and the template's remaining segments stand one to one on both sides.
 */
sprox_rc_t sprox_alias_list(const sprox_alias_t *alias, sprox_str_t bucket,
    sprox_str_t prefix, sprox_str_t delimiter, sprox_str_t after,
    sprox_alias_list_t *list);

/*
 * A common prefix of the origin (as answered to a pushdown listing) back to
 * the clients' words; SPROX_NOT_FOUND: it fits no template.
 */
sprox_rc_t sprox_alias_invert_prefix(const sprox_alias_t *alias,
    sprox_str_t bucket, sprox_str_t to_prefix, sprox_buf_t *prefix);


#endif /* SPROX_ALIAS_H */
