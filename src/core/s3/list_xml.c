/*
 * Reads the pages of origins' listings.
 *
 *   ListBucketResult             ListAllMyBucketsResult
 *     IsTruncated                  Buckets
 *     EncodingType                   Bucket
 *     NextContinuationToken            Name
 *     NextMarker                       CreationDate
 *     Contents                     ContinuationToken
 *       Key, Size, ETag, LastModified, StorageClass
 *       Owner
 *         ID, DisplayName
 *     CommonPrefixes
 *       Prefix
 *
 * Whether keys are URL-encoded is known late, or never:
 *
 *             asked, a key with % or +       EncodingType, or the end
 *   direct -----------------------------> held ----------------------> direct
 *      \                                                                /
 *       `--------------- EncodingType: url ----------------------------'
 *
 * Direct items go to the caller at once; held ones are kept in the order of
 * the document, as records of a header and the bytes of their strings.
 */

#include "sprox_list.h"
#include "sprox_cond.h"
#include "sprox_xml.h"
#include "sprox_uri.h"
#include "sprox_time.h"


/* The nodes from KEY on are fields of an item. */

enum {
    SPROX_LIST_NODE_RESULT = SPROX_XML_DOCUMENT + 1,
    SPROX_LIST_NODE_BUCKETS_RESULT,
    SPROX_LIST_NODE_BUCKETS,
    SPROX_LIST_NODE_BUCKET,
    SPROX_LIST_NODE_CONTENTS,
    SPROX_LIST_NODE_OWNER,
    SPROX_LIST_NODE_COMMON,
    SPROX_LIST_NODE_PREFIX,
    SPROX_LIST_NODE_TRUNCATED,
    SPROX_LIST_NODE_ENCODING,
    SPROX_LIST_NODE_TOKEN,
    SPROX_LIST_NODE_MARKER,
    SPROX_LIST_NODE_KEY,
    SPROX_LIST_NODE_SIZE,
    SPROX_LIST_NODE_MODIFIED,
    SPROX_LIST_NODE_ETAG,
    SPROX_LIST_NODE_CLASS,
    SPROX_LIST_NODE_OWNER_ID,
    SPROX_LIST_NODE_OWNER_NAME,
    SPROX_LIST_NODE_MAX
};

#define SPROX_LIST_FIELD(node)  ((node) - SPROX_LIST_NODE_KEY)
#define SPROX_LIST_FIELDS       SPROX_LIST_FIELD(SPROX_LIST_NODE_MAX)


typedef struct {
    size_t       off;                    /* in text */
    size_t       len;
    unsigned     set:1;
} sprox_list_field_t;


typedef struct {
    uint64_t     size;
    int64_t      last_modified;
    size_t       key;                    /* lengths of the strings */
    size_t       etag;
    size_t       storage_class;
    size_t       owner_id;
    size_t       owner_name;
    unsigned     is_prefix:1;
} sprox_list_held_t;


struct sprox_list_parser_s {
    const sprox_mem_t   *mem;
    sprox_xml_t         *xml;
    sprox_list_item_pt   on_item;
    void                *data;
    sprox_rc_t           rc;             /* the first error */

    /* the item at hand */
    sprox_list_field_t   fields[SPROX_LIST_FIELDS];
    sprox_buf_t          text;

    sprox_buf_t          held;
    sprox_buf_t          token;
    sprox_buf_t          marker;         /* as sent */

    unsigned             asked:1;        /* for encoding-type=url */
    unsigned             encoded:1;      /* the document says so */
    unsigned             ambiguous:1;    /* a key that could be encoded was
                                            given out as it was */
    unsigned             truncated:1;
    unsigned             truncated_set:1;
    unsigned             buckets:1;
};


#define sprox_list_group(parent, node, name)                                  \
    { parent, SPROX_LIST_NODE_ ## node, 0, sprox_str(name) }
#define sprox_list_leaf(parent, node, name)                                   \
    { SPROX_LIST_NODE_ ## parent, SPROX_LIST_NODE_ ## node, 1,                \
      sprox_str(name) }

static const sprox_xml_rule_t  sprox_list_rules[] = {

    sprox_list_leaf(CONTENTS, KEY, "Key"),
    sprox_list_leaf(CONTENTS, MODIFIED, "LastModified"),
    sprox_list_leaf(CONTENTS, ETAG, "ETag"),
    sprox_list_leaf(CONTENTS, SIZE, "Size"),
    sprox_list_leaf(CONTENTS, CLASS, "StorageClass"),
    sprox_list_group(SPROX_LIST_NODE_CONTENTS, OWNER, "Owner"),
    sprox_list_leaf(OWNER, OWNER_ID, "ID"),
    sprox_list_leaf(OWNER, OWNER_NAME, "DisplayName"),

    sprox_list_group(SPROX_XML_DOCUMENT, RESULT, "ListBucketResult"),
    sprox_list_group(SPROX_LIST_NODE_RESULT, CONTENTS, "Contents"),
    sprox_list_group(SPROX_LIST_NODE_RESULT, COMMON, "CommonPrefixes"),
    sprox_list_leaf(COMMON, PREFIX, "Prefix"),
    sprox_list_leaf(RESULT, TRUNCATED, "IsTruncated"),
    sprox_list_leaf(RESULT, ENCODING, "EncodingType"),
    sprox_list_leaf(RESULT, TOKEN, "NextContinuationToken"),
    sprox_list_leaf(RESULT, MARKER, "NextMarker"),

    sprox_list_group(SPROX_XML_DOCUMENT, BUCKETS_RESULT,
                     "ListAllMyBucketsResult"),
    sprox_list_group(SPROX_LIST_NODE_BUCKETS_RESULT, BUCKETS, "Buckets"),
    sprox_list_leaf(BUCKETS_RESULT, TOKEN, "ContinuationToken"),
    sprox_list_group(SPROX_LIST_NODE_BUCKETS, BUCKET, "Bucket"),
    sprox_list_leaf(BUCKET, KEY, "Name"),
    sprox_list_leaf(BUCKET, MODIFIED, "CreationDate"),
};


/* Whether URL-decoding would change a key. */

static int
sprox_list_ambiguous(sprox_str_t key)
{
    return key.len != 0
           && (memchr(key.data, '%', key.len) != NULL
               || memchr(key.data, '+', key.len) != NULL);
}


/* Gives an item out; its key lies in memory of ours and is decoded there. */

static sprox_rc_t
sprox_list_give(sprox_list_parser_t *p, sprox_list_item_t *item)
{
    size_t  len;

    if (!p->buckets && sprox_list_ambiguous(item->key)) {

        if (p->encoded) {

            if (sprox_uri_decode(item->key, 1, (uint8_t *) item->key.data,
                                 &len)
                != SPROX_OK)
            {
                return SPROX_INVALID;
            }

            item->key.len = len;

        } else {
            p->ambiguous = 1;
        }
    }

    if (item->key.len == 0) {
        return SPROX_INVALID;
    }

    if (item->key.len > SPROX_KEY_MAX) {
        return SPROX_LIMIT;
    }

    return p->on_item(p->data, item);
}


static sprox_rc_t
sprox_list_hold(sprox_list_parser_t *p, const sprox_list_item_t *item)
{
    sprox_list_held_t  head;

    memset(&head, 0, sizeof(sprox_list_held_t));

    head.size = item->size;
    head.last_modified = item->last_modified;
    head.is_prefix = item->is_prefix;
    head.key = item->key.len;
    head.etag = item->etag.len;
    head.storage_class = item->storage_class.len;
    head.owner_id = item->owner_id.len;
    head.owner_name = item->owner_name.len;

    sprox_buf_add(&p->held, &head, sizeof(sprox_list_held_t));
    sprox_buf_str(&p->held, item->key);
    sprox_buf_str(&p->held, item->etag);
    sprox_buf_str(&p->held, item->storage_class);
    sprox_buf_str(&p->held, item->owner_id);
    sprox_buf_str(&p->held, item->owner_name);

    return sprox_buf_rc(&p->held);
}


static sprox_str_t
sprox_list_held_str(uint8_t **pos, size_t len)
{
    sprox_str_t  s;

    s = sprox_str_make(*pos, len);
    *pos += len;

    return s;
}


/* Gives out all that was held, now that the encoding is known. */

static sprox_rc_t
sprox_list_release(sprox_list_parser_t *p)
{
    uint8_t            *pos, *end;
    sprox_rc_t          rc;
    sprox_list_held_t   head;
    sprox_list_item_t   item;

    if (p->held.len == 0) {
        return SPROX_OK;
    }

    pos = p->held.data;
    end = pos + p->held.len;

    while (pos < end) {
        memcpy(&head, pos, sizeof(sprox_list_held_t));
        pos += sizeof(sprox_list_held_t);

        memset(&item, 0, sizeof(sprox_list_item_t));

        item.size = head.size;
        item.last_modified = head.last_modified;
        item.is_prefix = head.is_prefix;
        item.key = sprox_list_held_str(&pos, head.key);
        item.etag = sprox_list_held_str(&pos, head.etag);
        item.storage_class = sprox_list_held_str(&pos, head.storage_class);
        item.owner_id = sprox_list_held_str(&pos, head.owner_id);
        item.owner_name = sprox_list_held_str(&pos, head.owner_name);

        rc = sprox_list_give(p, &item);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    sprox_buf_free(&p->held);

    return SPROX_OK;
}


static sprox_rc_t
sprox_list_emit(sprox_list_parser_t *p, sprox_list_item_t *item)
{
    if (p->asked && !p->encoded && !p->buckets
        && (p->held.len != 0 || sprox_list_ambiguous(item->key)))
    {
        return sprox_list_hold(p, item);
    }

    return sprox_list_give(p, item);
}


static sprox_str_t
sprox_list_field(const sprox_list_parser_t *p, unsigned node)
{
    const sprox_list_field_t  *field;

    field = &p->fields[SPROX_LIST_FIELD(node)];

    return field->len ? sprox_str_make(p->text.data + field->off, field->len)
                      : sprox_str_lit("");
}


static int
sprox_list_has(const sprox_list_parser_t *p, unsigned node)
{
    return p->fields[SPROX_LIST_FIELD(node)].set;
}


/* An ETag becomes a header of answers and of requests. */

static sprox_rc_t
sprox_list_etag(sprox_list_parser_t *p, uint8_t *text, size_t len)
{
    size_t               n;
    sprox_rc_t           rc;
    sprox_list_field_t  *field;

    rc = sprox_buf_reserve(&p->text, len + SPROX_ETAG_QUOTES);
    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_etag_quote(sprox_str_trim(sprox_str_make(text, len)),
                          p->text.data + p->text.len, &n);
    if (rc != SPROX_OK) {
        return rc == SPROX_NOT_FOUND ? SPROX_OK : rc;
    }

    field = &p->fields[SPROX_LIST_FIELD(SPROX_LIST_NODE_ETAG)];
    field->off = p->text.len;
    field->len = n;

    p->text.len += n;

    return SPROX_OK;
}


/* Keeps a field of the item; the text is the reader's own. */

static sprox_rc_t
sprox_list_keep(sprox_list_parser_t *p, unsigned node, uint8_t *text,
    size_t len)
{
    size_t               i;
    sprox_list_field_t  *field;

    field = &p->fields[SPROX_LIST_FIELD(node)];

    if (field->set) {
        return SPROX_INVALID;
    }

    field->set = 1;

    if (node == SPROX_LIST_NODE_ETAG) {
        return sprox_list_etag(p, text, len);
    }

    if (node == SPROX_LIST_NODE_CLASS) {

        /* it becomes a header too */

        for (i = 0; i < len; i++) {
            if (text[i] < ' ' || text[i] > '~') {
                return SPROX_INVALID;
            }
        }
    }

    field->off = p->text.len;
    field->len = len;

    sprox_buf_add(&p->text, text, len);

    return sprox_buf_rc(&p->text);
}


static sprox_rc_t
sprox_list_on_object(sprox_list_parser_t *p)
{
    sprox_list_item_t  item;

    memset(&item, 0, sizeof(sprox_list_item_t));

    item.key = sprox_list_field(p, SPROX_LIST_NODE_KEY);
    item.etag = sprox_list_field(p, SPROX_LIST_NODE_ETAG);
    item.storage_class = sprox_list_field(p, SPROX_LIST_NODE_CLASS);
    item.owner_id = sprox_list_field(p, SPROX_LIST_NODE_OWNER_ID);
    item.owner_name = sprox_list_field(p, SPROX_LIST_NODE_OWNER_NAME);

    if (sprox_str_u64(sprox_str_trim(sprox_list_field(p,
                                                SPROX_LIST_NODE_SIZE)),
                      &item.size)
        != SPROX_OK
        || item.size > INT64_MAX)
    {
        return SPROX_INVALID;
    }

    if (sprox_time_parse_iso(sprox_str_trim(sprox_list_field(p,
                                                SPROX_LIST_NODE_MODIFIED)),
                             &item.last_modified)
        != SPROX_OK)
    {
        return SPROX_INVALID;
    }

    return sprox_list_emit(p, &item);
}


static sprox_rc_t
sprox_list_on_prefix(sprox_list_parser_t *p, uint8_t *text, size_t len)
{
    sprox_list_item_t  item;

    memset(&item, 0, sizeof(sprox_list_item_t));

    item.key = sprox_str_make(text, len);
    item.is_prefix = 1;

    return sprox_list_emit(p, &item);
}


static sprox_rc_t
sprox_list_on_bucket(sprox_list_parser_t *p)
{
    sprox_list_item_t  item;

    memset(&item, 0, sizeof(sprox_list_item_t));

    item.key = sprox_list_field(p, SPROX_LIST_NODE_KEY);

    /* some stores do not know when a bucket was made */

    if (sprox_list_has(p, SPROX_LIST_NODE_MODIFIED)
        && sprox_time_parse_iso(sprox_str_trim(sprox_list_field(p,
                                                SPROX_LIST_NODE_MODIFIED)),
                                &item.last_modified)
           != SPROX_OK)
    {
        return SPROX_INVALID;
    }

    return sprox_list_emit(p, &item);
}


static sprox_rc_t
sprox_list_on_truncated(sprox_list_parser_t *p, sprox_str_t s)
{
    s = sprox_str_trim(s);

    if (p->truncated_set) {
        return SPROX_INVALID;
    }

    p->truncated_set = 1;

    if (sprox_str_case_eq(s, sprox_str_lit("true"))) {
        p->truncated = 1;
        return SPROX_OK;
    }

    return sprox_str_case_eq(s, sprox_str_lit("false")) ? SPROX_OK
                                                        : SPROX_INVALID;
}


static sprox_rc_t
sprox_list_on_encoding(sprox_list_parser_t *p, sprox_str_t s)
{
    s = sprox_str_trim(s);

    if (s.len == 0) {
        return SPROX_OK;
    }

    if (p->ambiguous || !sprox_str_case_eq(s, sprox_str_lit("url"))) {
        return SPROX_INVALID;
    }

    p->encoded = 1;

    return sprox_list_release(p);
}


static sprox_rc_t
sprox_list_next(sprox_buf_t *next, sprox_str_t s)
{
    if (next->len != 0) {
        return SPROX_INVALID;
    }

    sprox_buf_str(next, s);

    return sprox_buf_rc(next);
}


static sprox_rc_t
sprox_list_start(void *data, unsigned node)
{
    sprox_list_parser_t  *p = data;

    switch (node) {

    case SPROX_LIST_NODE_BUCKETS_RESULT:
        p->buckets = 1;
        break;

    case SPROX_LIST_NODE_CONTENTS:
    case SPROX_LIST_NODE_BUCKET:
        memset(p->fields, 0, sizeof(p->fields));
        p->text.len = 0;
        break;
    }

    return SPROX_OK;
}


static sprox_rc_t
sprox_list_end(void *data, unsigned node, uint8_t *text, size_t len)
{
    sprox_str_t           s;
    sprox_list_parser_t  *p = data;

    if (node >= SPROX_LIST_NODE_KEY) {
        return sprox_list_keep(p, node, text, len);
    }

    s = len ? sprox_str_make(text, len) : sprox_str_lit("");

    switch (node) {

    case SPROX_LIST_NODE_CONTENTS:
        return sprox_list_on_object(p);

    case SPROX_LIST_NODE_PREFIX:
        return sprox_list_on_prefix(p, text, len);

    case SPROX_LIST_NODE_BUCKET:
        return sprox_list_on_bucket(p);

    case SPROX_LIST_NODE_TRUNCATED:
        return sprox_list_on_truncated(p, s);

    case SPROX_LIST_NODE_ENCODING:
        return sprox_list_on_encoding(p, s);

    case SPROX_LIST_NODE_TOKEN:
        return sprox_list_next(&p->token, s);

    case SPROX_LIST_NODE_MARKER:
        return sprox_list_next(&p->marker, s);

    default:
        return SPROX_OK;
    }
}


static const sprox_xml_spec_t  sprox_list_spec = {
    sprox_list_rules,
    sizeof(sprox_list_rules) / sizeof(sprox_list_rules[0]),
    SPROX_LIST_XML_MAX,
    SPROX_LIST_TEXT_MAX,
    sprox_list_start,
    sprox_list_end
};


sprox_list_parser_t *
sprox_list_parser_create(const sprox_mem_t *mem, int url,
    sprox_list_item_pt on_item, void *data)
{
    sprox_list_parser_t  *p;

    p = sprox_alloc(mem, sizeof(sprox_list_parser_t));
    if (p == NULL) {
        return NULL;
    }

    memset(p, 0, sizeof(sprox_list_parser_t));

    p->mem = mem;
    p->on_item = on_item;
    p->data = data;
    p->asked = url ? 1 : 0;

    sprox_buf_init(&p->text, mem);
    sprox_buf_init(&p->held, mem);
    sprox_buf_init(&p->token, mem);
    sprox_buf_init(&p->marker, mem);

    p->xml = sprox_xml_create(mem, &sprox_list_spec, p);

    if (p->xml == NULL) {
        sprox_free(mem, p);
        return NULL;
    }

    return p;
}


sprox_rc_t
sprox_list_parser_feed(sprox_list_parser_t *p, const void *data, size_t len)
{
    if (p->rc == SPROX_OK) {
        p->rc = sprox_xml_feed(p->xml, data, len);
    }

    return p->rc;
}


/* Where the next page starts; a token is the surer word than a marker. */

static sprox_rc_t
sprox_list_page_next(sprox_list_parser_t *p, sprox_str_t *next)
{
    sprox_buf_t  *b;

    *next = sprox_str_null;

    b = p->token.len != 0 ? &p->token : &p->marker;

    if (!p->truncated || b->len == 0) {
        return SPROX_OK;
    }

    if (b == &p->marker && p->encoded
        && sprox_uri_decode(sprox_buf_get(b), 1, b->data, &b->len)
           != SPROX_OK)
    {
        return SPROX_INVALID;
    }

    *next = sprox_str_dup(p->mem, sprox_buf_get(b));

    return next->data != NULL ? SPROX_OK : SPROX_NOMEM;
}


sprox_rc_t
sprox_list_parser_done(sprox_list_parser_t *p, sprox_list_page_t *page)
{
    memset(page, 0, sizeof(sprox_list_page_t));

    if (p->rc != SPROX_OK) {
        return p->rc;
    }

    p->rc = sprox_xml_done(p->xml);

    if (p->rc != SPROX_OK) {
        return p->rc;
    }

    /* the document never said that it is encoded: it is not */

    p->rc = sprox_list_release(p);

    if (p->rc != SPROX_OK) {
        return p->rc;
    }

    if (p->buckets) {
        p->truncated = p->token.len != 0;

    } else if (!p->truncated_set) {

        /* an end that is only supposed would be objects that vanish */

        p->rc = SPROX_INVALID;
        return p->rc;
    }

    p->rc = sprox_list_page_next(p, &page->next);

    if (p->rc == SPROX_OK) {
        page->truncated = p->truncated;
        page->buckets = p->buckets;
    }

    return p->rc;
}


void
sprox_list_parser_free(sprox_list_parser_t *p)
{
    if (p == NULL) {
        return;
    }

    sprox_xml_free(p->xml);
    sprox_buf_free(&p->text);
    sprox_buf_free(&p->held);
    sprox_buf_free(&p->token);
    sprox_buf_free(&p->marker);
    sprox_free(p->mem, p);
}
