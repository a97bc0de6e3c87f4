/*
 * Writes the answers to listings.
 *
 *   ListBucketResult
 *     Name, Prefix
 *     v1: Marker, [NextMarker]   v2: [StartAfter], [ContinuationToken],
 *                                    KeyCount
 *     MaxKeys, [Delimiter], [EncodingType], IsTruncated
 *     v2: [NextContinuationToken]
 *     Contents ...
 *     CommonPrefixes ...
 *
 * Clients search this text for literal tags instead of parsing it (DuckDB),
 * so there are no attributes, no prefixes, no white space and no tag that
 * closes itself.
 */

#include "sprox_list.h"
#include "sprox_xml.h"
#include "sprox_uri.h"
#include "sprox_time.h"


#define SPROX_S3_XMLNS      "http://s3.amazonaws.com/doc/2006-03-01/"
#define SPROX_MSEC          1000

/* Bytes beside the names: of a page, of an object. */
#define SPROX_LIST_HEAD_ROOM  2048
#define SPROX_LIST_ITEM_ROOM  224


/* S3 writes a space as '+', which its clients' decoders expect. */

static void
sprox_list_url(sprox_buf_t *out, sprox_str_t s)
{
    size_t          len;
    const uint8_t  *space;

    while (s.len != 0) {
        space = memchr(s.data, ' ', s.len);
        len = space != NULL ? (size_t) (space - s.data) : s.len;

        sprox_uri_encode(out, sprox_str_make(s.data, len), 1);

        if (space == NULL) {
            return;
        }

        sprox_buf_char(out, '+');
        s = sprox_str_from(s, len + 1);
    }
}


/* A key, or a part of one, in the encoding that was asked for. */

static void
sprox_list_text(sprox_buf_t *out, const sprox_list_req_t *req, sprox_str_t s)
{
    if (req->url) {
        sprox_list_url(out, s);

    } else {
        sprox_xml_text(out, s, SPROX_XML_REFERENCE);
    }
}


static void
sprox_list_name(sprox_buf_t *out, const sprox_list_req_t *req,
    const char *tag, sprox_str_t s)
{
    sprox_buf_char(out, '<');
    sprox_buf_text(out, tag);
    sprox_buf_char(out, '>');
    sprox_list_text(out, req, s);
    sprox_buf_text(out, "</");
    sprox_buf_text(out, tag);
    sprox_buf_char(out, '>');
}


static void
sprox_list_number(sprox_buf_t *out, const char *tag, uint64_t n)
{
    sprox_buf_char(out, '<');
    sprox_buf_text(out, tag);
    sprox_buf_char(out, '>');
    sprox_buf_u64(out, n);
    sprox_buf_text(out, "</");
    sprox_buf_text(out, tag);
    sprox_buf_char(out, '>');
}


/*
 * Whole seconds: an engine compares this with the Last-Modified header,
 * which has no more than seconds.
 */

static void
sprox_list_time(sprox_buf_t *out, int64_t msec)
{
    int64_t  rest;
    uint8_t  text[SPROX_TIME_ISO_LEN];

    rest = msec % SPROX_MSEC;

    if (rest < 0) {
        rest += SPROX_MSEC;
    }

    /* a time so early that it has no second before it stays as it is */

    if (msec >= INT64_MIN + rest) {
        msec -= rest;
    }

    sprox_time_iso(msec, text);
    sprox_buf_add(out, text, SPROX_TIME_ISO_LEN);
}


/* Of a page there are up to a thousand: tags that follow are one text. */

static void
sprox_list_object(sprox_buf_t *out, const sprox_list_req_t *req,
    const sprox_list_item_t *item)
{
    sprox_buf_lit(out, "<Contents><Key>");
    sprox_list_text(out, req, item->key);
    sprox_buf_lit(out, "</Key><LastModified>");
    sprox_list_time(out, item->last_modified);
    sprox_buf_lit(out, "</LastModified>");

    if (item->etag.len != 0) {
        sprox_buf_lit(out, "<ETag>");
        sprox_xml_text(out, item->etag, SPROX_XML_REFERENCE);
        sprox_buf_lit(out, "</ETag>");
    }

    sprox_buf_lit(out, "<Size>");
    sprox_buf_u64(out, item->size);
    sprox_buf_lit(out, "</Size>");

    if (item->owner_id.len != 0 && (req->version == 1 || req->fetch_owner)) {
        sprox_buf_lit(out, "<Owner>");
        sprox_xml_element(out, "ID", item->owner_id, SPROX_XML_REFERENCE);

        if (item->owner_name.len != 0) {
            sprox_xml_element(out, "DisplayName", item->owner_name,
                              SPROX_XML_REFERENCE);
        }

        sprox_buf_lit(out, "</Owner>");
    }

    sprox_buf_lit(out, "<StorageClass>");
    sprox_xml_text(out, item->storage_class.len != 0
                        ? item->storage_class : sprox_str_lit("STANDARD"),
                   SPROX_XML_REFERENCE);
    sprox_buf_lit(out, "</StorageClass></Contents>");
}


/* What most pages take: a buffer that grows is copied, and wiped. */

static void
sprox_list_reserve(sprox_buf_t *out, const sprox_list_item_t *items, size_t n)
{
    size_t  i, size;

    size = SPROX_LIST_HEAD_ROOM + n * SPROX_LIST_ITEM_ROOM;

    for (i = 0; i < n; i++) {
        size += items[i].key.len + items[i].etag.len + items[i].owner_id.len
                + items[i].owner_name.len;
    }

    (void) sprox_buf_reserve(out, size);
}


/* The part of version 1 and version 2 in which they differ. */

static void
sprox_list_position(sprox_buf_t *out, const sprox_list_req_t *req, size_t n,
    int truncated, sprox_str_t next)
{
    if (req->version == 1) {
        sprox_list_name(out, req, "Marker", req->marker);

        /*
         * S3 leaves it out when there is no delimiter, and clients then
         * take the last key; to say so always asks less of them.
         */

        if (truncated) {
            sprox_list_name(out, req, "NextMarker", next);
        }

        return;
    }

    if (req->start_after.len != 0) {
        sprox_list_name(out, req, "StartAfter", req->start_after);
    }

    if (req->token_sent) {
        sprox_xml_element(out, "ContinuationToken", req->token,
                          SPROX_XML_REFERENCE);
    }

    sprox_list_number(out, "KeyCount", n);
}


void
sprox_list_write(sprox_buf_t *out, sprox_str_t bucket,
    const sprox_list_req_t *req, const sprox_list_item_t *items, size_t n,
    int truncated, sprox_str_t next)
{
    size_t  i;

    sprox_list_reserve(out, items, n);

    sprox_xml_head(out);
    sprox_buf_text(out, "<ListBucketResult xmlns=\"" SPROX_S3_XMLNS "\">");
    sprox_xml_element(out, "Name", bucket, SPROX_XML_REFERENCE);
    sprox_list_name(out, req, "Prefix", req->prefix);
    sprox_list_position(out, req, n, truncated, next);
    sprox_list_number(out, "MaxKeys", req->max_keys);

    if (req->delimiter.len != 0) {
        sprox_list_name(out, req, "Delimiter", req->delimiter);
    }

    if (req->url) {
        sprox_buf_text(out, "<EncodingType>url</EncodingType>");
    }

    sprox_buf_text(out, truncated ? "<IsTruncated>true</IsTruncated>"
                                  : "<IsTruncated>false</IsTruncated>");

    if (truncated && req->version != 1) {
        sprox_buf_text(out, "<NextContinuationToken>");
        sprox_list_token(out, next);
        sprox_buf_text(out, "</NextContinuationToken>");
    }

    for (i = 0; i < n; i++) {
        if (!items[i].is_prefix) {
            sprox_list_object(out, req, &items[i]);
        }
    }

    for (i = 0; i < n; i++) {
        if (items[i].is_prefix) {
            sprox_buf_text(out, "<CommonPrefixes>");
            sprox_list_name(out, req, "Prefix", items[i].key);
            sprox_buf_text(out, "</CommonPrefixes>");
        }
    }

    sprox_buf_text(out, "</ListBucketResult>");
}


void
sprox_buckets_write(sprox_buf_t *out, const sprox_list_item_t *buckets,
    size_t n)
{
    size_t  i;

    sprox_xml_head(out);
    sprox_buf_text(out,
                   "<ListAllMyBucketsResult xmlns=\"" SPROX_S3_XMLNS "\">"
                   "<Owner><ID>sprox</ID><DisplayName>sprox</DisplayName>"
                   "</Owner><Buckets>");

    for (i = 0; i < n; i++) {
        sprox_buf_text(out, "<Bucket>");
        sprox_xml_element(out, "Name", buckets[i].key, SPROX_XML_REFERENCE);
        sprox_buf_lit(out, "<CreationDate>");
        sprox_list_time(out, buckets[i].last_modified);
        sprox_buf_lit(out, "</CreationDate>");
        sprox_buf_text(out, "</Bucket>");
    }

    sprox_buf_text(out, "</Buckets></ListAllMyBucketsResult>");
}


void
sprox_location_write(sprox_buf_t *out, sprox_str_t region)
{
    if (sprox_str_eq(region, sprox_str_lit("us-east-1"))) {
        region = sprox_str_lit("");
    }

    sprox_xml_head(out);
    sprox_buf_text(out, "<LocationConstraint xmlns=\"" SPROX_S3_XMLNS "\">");
    sprox_xml_text(out, region, SPROX_XML_REFERENCE);
    sprox_buf_text(out, "</LocationConstraint>");
}
