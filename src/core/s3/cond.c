/*
 * Conditional requests, decided from what the catalog knows.
 *
 *   If-Match sent ---- no tag matches ------------------------> 412
 *      |  not sent: If-Unmodified-Since, changed after it ----> 412
 *      v
 *   If-None-Match sent ---- a tag matches --------------------> 304
 *      |  not sent: If-Modified-Since, not changed after it --> 304
 *      v
 *   proceed
 *
 * Each tag header silences its date header, also when it holds: engines
 * send both, and the date is the weaker word.
 */

#include "sprox_cond.h"
#include "sprox_time.h"


typedef enum {
    SPROX_TAG_SAME = 0,      /* strong, or the same weak tag */
    SPROX_TAG_WEAK           /* W/ is ignored */
} sprox_tag_cmp_t;


/* Takes W/ and the quotes off; returns whether it was weak. */

static int
sprox_tag_bare(sprox_str_t *tag)
{
    int  weak;

    weak = sprox_str_starts(*tag, sprox_str_lit("W/"));

    if (weak) {
        *tag = sprox_str_from(*tag, 2);
    }

    if (tag->len >= 2 && tag->data[0] == '"'
        && tag->data[tag->len - 1] == '"')
    {
        tag->data++;
        tag->len -= 2;
    }

    return weak;
}


static int
sprox_tag_eq(sprox_str_t a, sprox_str_t b, sprox_tag_cmp_t cmp)
{
    int  weak_a, weak_b;

    weak_a = sprox_tag_bare(&a);
    weak_b = sprox_tag_bare(&b);

    if (cmp == SPROX_TAG_SAME && weak_a != weak_b) {
        return 0;
    }

    return sprox_str_eq(a, b);
}


/*
 * The next tag of a list from *pos on, trimmed; a comma between quotes is
 * part of a tag.  0 at the end.
 */

static int
sprox_tag_next(sprox_str_t list, size_t *pos, sprox_str_t *tag)
{
    int     quoted;
    size_t  i;

    if (*pos >= list.len) {
        return 0;
    }

    quoted = 0;

    for (i = *pos; i < list.len; i++) {

        if (list.data[i] == '"') {
            quoted = !quoted;

        } else if (list.data[i] == ',' && !quoted) {
            break;
        }
    }

    *tag = sprox_str_trim(sprox_str_make(list.data + *pos, i - *pos));
    *pos = i + 1;

    return 1;
}


static int
sprox_tag_list(sprox_str_t list, sprox_str_t etag, sprox_tag_cmp_t cmp)
{
    size_t       pos;
    sprox_str_t  tag;

    if (sprox_str_eq(sprox_str_trim(list), sprox_str_lit("*"))) {
        return 1;
    }

    pos = 0;

    while (sprox_tag_next(list, &pos, &tag)) {

        /* empty elements of a list, and an unknown ETag, equal nothing */

        if (tag.len != 0 && etag.len != 0 && sprox_tag_eq(tag, etag, cmp)) {
            return 1;
        }
    }

    return 0;
}


/* Whether the header holds a date that can be compared. */

static int
sprox_cond_date(sprox_str_t value, int64_t last_modified, int64_t *date)
{
    return value.len != 0
           && last_modified >= 0
           && sprox_time_parse_http(sprox_str_trim(value), date) == SPROX_OK;
}


sprox_cond_result_t
sprox_cond_check(const sprox_cond_t *cond, sprox_str_t etag,
    int64_t last_modified)
{
    int64_t  date;

    if (cond->if_match.len != 0) {

        if (!sprox_tag_list(cond->if_match, etag, SPROX_TAG_SAME)) {
            return SPROX_COND_FAILED;
        }

    } else if (sprox_cond_date(cond->if_unmodified_since, last_modified,
                               &date))
    {
        if (last_modified > date) {
            return SPROX_COND_FAILED;
        }
    }

    if (cond->if_none_match.len != 0) {

        if (sprox_tag_list(cond->if_none_match, etag, SPROX_TAG_WEAK)) {
            return SPROX_COND_NOT_MODIFIED;
        }

    } else if (sprox_cond_date(cond->if_modified_since, last_modified,
                               &date))
    {
        if (last_modified <= date) {
            return SPROX_COND_NOT_MODIFIED;
        }
    }

    return SPROX_COND_PROCEED;
}


int
sprox_cond_range(const sprox_cond_t *cond, sprox_str_t etag,
    int64_t last_modified)
{
    int64_t      date;
    sprox_str_t  tag;

    if (cond->if_range.len == 0) {
        return 1;
    }

    if (sprox_cond_date(cond->if_range, last_modified, &date)) {
        return date == last_modified;
    }

    /*
     * Two parts of a download are joined on the strength of this: a weak
     * tag, even the same one, does not promise the same bytes.
     */

    tag = sprox_str_trim(cond->if_range);

    return etag.len != 0
           && !sprox_str_starts(etag, sprox_str_lit("W/"))
           && sprox_tag_eq(tag, etag, SPROX_TAG_SAME);
}


sprox_rc_t
sprox_etag_quote(sprox_str_t text, uint8_t *out, size_t *len)
{
    size_t       i;
    uint8_t     *p;
    sprox_str_t  bare;

    bare = text;

    /* without quotes behind it, W/ is a part of the tag */

    if (sprox_str_starts(bare, sprox_str_lit("W/\""))) {
        bare = sprox_str_from(bare, 2);
    }

    p = out;

    for (i = 0; i < text.len - bare.len; i++) {
        *p++ = text.data[i];
    }

    if (bare.len >= 2 && bare.data[0] == '"'
        && bare.data[bare.len - 1] == '"')
    {
        bare = sprox_str_make(bare.data + 1, bare.len - 2);
    }

    if (bare.len == 0) {
        return SPROX_NOT_FOUND;
    }

    *p++ = '"';

    for (i = 0; i < bare.len; i++) {

        if (bare.data[i] <= ' ' || bare.data[i] == '"'
            || bare.data[i] == 0x7F)
        {
            return SPROX_INVALID;
        }

        *p++ = bare.data[i];
    }

    *p++ = '"';

    *len = (size_t) (p - out);

    return SPROX_OK;
}
