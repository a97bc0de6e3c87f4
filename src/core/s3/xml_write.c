/*
 * Text for XML documents.
 *
 *   & < > "      &amp; &lt; &gt; &quot;
 *   CR           &#xD;   (readers turn a bare one into a line feed)
 *   not a Char   &#x1; or %01     (XML 1.0 section 2.2: most controls,
 *                                  U+FFFE, U+FFFF)
 *   not UTF-8    U+FFFD or %FF    (overlong forms, surrogates, beyond
 *                                  U+10FFFF, cut sequences; byte by byte)
 *
 * A numeric reference to what is no Char is not well-formed, strictly: S3
 * writes it so all the same, and lenient readers get the key.
 */

#include "sprox_xml.h"


typedef enum {
    SPROX_CHAR_PLAIN = 0,
    SPROX_CHAR_ESCAPE,           /* & < > " CR */
    SPROX_CHAR_FORBIDDEN,        /* a character, but not of XML's */
    SPROX_CHAR_BROKEN            /* no character */
} sprox_char_kind_t;


/* What UTF-8 allows after a first byte (Unicode, table 3-7). */

typedef struct {
    uint8_t  first;              /* range of the first byte */
    uint8_t  last;
    uint8_t  low;                /* range of the second */
    uint8_t  high;
    uint8_t  len;
    uint8_t  mask;               /* bits of the first that count */
} sprox_utf8_row_t;


static const sprox_utf8_row_t  sprox_utf8_rows[] = {
    { 0xC2, 0xDF, 0x80, 0xBF, 2, 0x1F },
    { 0xE0, 0xE0, 0xA0, 0xBF, 3, 0x0F },
    { 0xE1, 0xEC, 0x80, 0xBF, 3, 0x0F },
    { 0xED, 0xED, 0x80, 0x9F, 3, 0x0F },
    { 0xEE, 0xEF, 0x80, 0xBF, 3, 0x0F },
    { 0xF0, 0xF0, 0x90, 0xBF, 4, 0x07 },
    { 0xF1, 0xF3, 0x80, 0xBF, 4, 0x07 },
    { 0xF4, 0xF4, 0x80, 0x8F, 4, 0x07 },
};

/* The bytes of which nearly all text is, and that stand for themselves. */

static const uint32_t  sprox_xml_plain[] = {
    0x00000600,                  /* TAB LF */

    0xafffffbb,                  /* not " & < > */

    0xffffffff,
    0xffffffff,

    0, 0, 0, 0
};

#define sprox_xml_is_plain(c)                                                 \
    (sprox_xml_plain[(c) >> 5] & (1u << ((c) & 31)))


#define SPROX_UTF8_ROWS                                                       \
    (sizeof(sprox_utf8_rows) / sizeof(sprox_utf8_rows[0]))


/* The character at p: its length, or 0 when there is none. */

static size_t
sprox_xml_utf8(const uint8_t *p, size_t len, uint32_t *c)
{
    size_t                   i, n;
    uint8_t                  low, high;
    const sprox_utf8_row_t  *row;

    row = NULL;

    for (i = 0; i < SPROX_UTF8_ROWS; i++) {
        row = &sprox_utf8_rows[i];

        if (p[0] >= row->first && p[0] <= row->last) {
            break;
        }
    }

    if (i == SPROX_UTF8_ROWS || row->len > len) {
        return 0;
    }

    *c = p[0] & row->mask;
    low = row->low;
    high = row->high;

    for (n = 1; n < row->len; n++) {
        if (p[n] < low || p[n] > high) {
            return 0;
        }

        *c = (*c << 6) | (p[n] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }

    return row->len;
}


int
sprox_xml_utf8_valid(sprox_str_t s)
{
    size_t    i, n;
    uint32_t  c;

    for (i = 0; i < s.len; i += n) {

        n = 1;

        if (s.data[i] >= 0x80) {
            n = sprox_xml_utf8(s.data + i, s.len - i, &c);

            if (n == 0) {
                return 0;
            }
        }
    }

    return 1;
}


static sprox_char_kind_t
sprox_xml_char(const uint8_t *p, size_t len, size_t *n, uint32_t *c)
{
    *n = 1;
    *c = p[0];

    if (p[0] < 0x80) {

        if (sprox_xml_is_plain(p[0])) {
            return SPROX_CHAR_PLAIN;
        }

        return p[0] < 0x20 && p[0] != '\r' ? SPROX_CHAR_FORBIDDEN
                                           : SPROX_CHAR_ESCAPE;
    }

    *n = sprox_xml_utf8(p, len, c);

    if (*n == 0) {
        *n = 1;
        return SPROX_CHAR_BROKEN;
    }

    return *c == 0xFFFE || *c == 0xFFFF ? SPROX_CHAR_FORBIDDEN
                                        : SPROX_CHAR_PLAIN;
}


static void
sprox_xml_hex(sprox_buf_t *out, uint32_t c, unsigned digits)
{
    static const char  hex[] = "0123456789ABCDEF";

    while (digits > 0) {
        digits--;
        sprox_buf_char(out, hex[(c >> (digits * 4)) & 0xF]);
    }
}


static void
sprox_xml_reference(sprox_buf_t *out, uint32_t c)
{
    unsigned  digits;

    for (digits = 1; digits < 8 && (c >> (digits * 4)) != 0; digits++) {
        /* void */
    }

    sprox_buf_text(out, "&#x");
    sprox_xml_hex(out, c, digits);
    sprox_buf_char(out, ';');
}


static void
sprox_xml_escape(sprox_buf_t *out, uint32_t c)
{
    switch (c) {

    case '&':
        sprox_buf_text(out, "&amp;");
        break;

    case '<':
        sprox_buf_text(out, "&lt;");
        break;

    case '>':
        sprox_buf_text(out, "&gt;");
        break;

    case '"':
        sprox_buf_text(out, "&quot;");
        break;

    default:
        sprox_xml_reference(out, c);
        break;
    }
}


void
sprox_xml_text(sprox_buf_t *out, sprox_str_t s, sprox_xml_escape_t how)
{
    size_t             i, j, n, start;
    uint32_t           c;
    sprox_char_kind_t  kind;

    start = 0;

    for (i = 0; i < s.len; i += n) {

        n = 1;

        if (sprox_xml_is_plain(s.data[i])) {
            continue;
        }

        kind = sprox_xml_char(s.data + i, s.len - i, &n, &c);

        if (kind == SPROX_CHAR_PLAIN) {
            continue;
        }

        sprox_buf_add(out, s.data + start, i - start);
        start = i + n;

        if (kind == SPROX_CHAR_ESCAPE) {
            sprox_xml_escape(out, c);

        } else if (how == SPROX_XML_PERCENT) {

            for (j = i; j < start; j++) {
                sprox_buf_char(out, '%');
                sprox_xml_hex(out, s.data[j], 2);
            }

        } else if (kind == SPROX_CHAR_FORBIDDEN) {
            sprox_xml_reference(out, c);

        } else {
            sprox_buf_text(out, "\xEF\xBF\xBD");
        }
    }

    if (start < s.len) {
        sprox_buf_add(out, s.data + start, s.len - start);
    }
}


void
sprox_xml_element(sprox_buf_t *out, const char *name, sprox_str_t s,
    sprox_xml_escape_t how)
{
    sprox_buf_char(out, '<');
    sprox_buf_text(out, name);
    sprox_buf_char(out, '>');
    sprox_xml_text(out, s, how);
    sprox_buf_text(out, "</");
    sprox_buf_text(out, name);
    sprox_buf_char(out, '>');
}


void
sprox_xml_head(sprox_buf_t *out)
{
    sprox_buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}
