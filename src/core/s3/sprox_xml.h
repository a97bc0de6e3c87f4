/*
 * XML in and out, for the documents of S3: a reader on libxml2's push
 * parser, driven by a table of the elements that matter, and a writer that
 * escapes.  Whoever reads another document of such a kind may use it too.
 */

#ifndef SPROX_XML_H
#define SPROX_XML_H


#include "sprox_buf.h"


#define SPROX_XML_DEPTH_MAX     16   /* elements within elements */
#define SPROX_XML_MARKUP_MAX    (64 * 1024)  /* bytes of one tag, comment or
                                                reference */


/*
 * Elements that matter, as (parent, name) -> node.  Nodes are numbers of
 * the caller's from 2 up; all elements without a rule are passed over with
 * everything in them.  Prefixes and namespaces of names are ignored.
 */

#define SPROX_XML_SKIP          0    /* no rule */
#define SPROX_XML_DOCUMENT      1    /* the parent of the root element */

typedef struct {
    unsigned     parent;
    unsigned     node;
    unsigned     leaf:1;             /* holds text, and no element */
    sprox_str_t  name;
} sprox_xml_rule_t;


/*
 * start: NULL, or called at the start tag of a node.  end: called at its
 * end tag, with the text of a leaf (entities decoded, nothing trimmed;
 * holds during the call; the bytes may be changed).  What they return other
 * than SPROX_OK ends the parse and is returned by feed() or done().
 */

typedef struct {
    const sprox_xml_rule_t  *rules;
    size_t                   nrules;
    size_t                   size_max;   /* bytes of the document */
    size_t                   text_max;   /* bytes of a leaf's text */
    sprox_rc_t             (*start)(void *data, unsigned node);
    sprox_rc_t             (*end)(void *data, unsigned node, uint8_t *text,
                                  size_t len);
} sprox_xml_spec_t;


typedef struct sprox_xml_s  sprox_xml_t;


/*
 * NULL: no memory.  spec, mem and data must outlive the reader.
 *
 * feed() and done(): SPROX_OK, or SPROX_INVALID (not well-formed, not
 * UTF-8, a root element without a rule, an element within a leaf, a
 * document type declaration), SPROX_LIMIT (depth, size, text, markup),
 * SPROX_NOMEM,
 * or what a handler returned; the first error stays.  The outcome does not
 * depend on how the document is cut.
 */
sprox_xml_t *sprox_xml_create(const sprox_mem_t *mem,
    const sprox_xml_spec_t *spec, void *data);
sprox_rc_t sprox_xml_feed(sprox_xml_t *x, const void *data, size_t len);
sprox_rc_t sprox_xml_done(sprox_xml_t *x);
void sprox_xml_free(sprox_xml_t *x);


/*
 * How the writer treats what XML 1.0 cannot carry: characters outside its
 * Char production, and bytes that are no UTF-8.
 */

typedef enum {
    SPROX_XML_REFERENCE,             /* &#x1; and U+FFFD */
    SPROX_XML_PERCENT                /* %01 and %FF, byte by byte */
} sprox_xml_escape_t;


/* Appends s, escaped for the text of an element. */
void sprox_xml_text(sprox_buf_t *out, sprox_str_t s, sprox_xml_escape_t how);

/* Whether s is UTF-8 throughout (Unicode, table 3-7). */
int sprox_xml_utf8_valid(sprox_str_t s);

/* Appends <name>s</name>; name is a NUL-terminated literal. */
void sprox_xml_element(sprox_buf_t *out, const char *name, sprox_str_t s,
    sprox_xml_escape_t how);

/* Appends the XML declaration and a line feed. */
void sprox_xml_head(sprox_buf_t *out);


#endif /* SPROX_XML_H */
