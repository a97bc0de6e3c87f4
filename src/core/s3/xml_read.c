/*
 * Reads the XML of S3's answers with libxml2's push parser, along a table
 * of the elements that matter.
 *
 *   feed() --> block of 4 KiB --> xmlParseChunk() --> start, text, end
 *
 *   stack of nodes      DOCUMENT, ListBucketResult, Contents, Key
 *   start <E>           rule (top of the stack, E)?  its node : SKIP
 *   text                kept only when the top is a leaf
 *   end                 leaf: the handler gets its text; pop
 *
 * libxml2 finds some errors sooner or later depending on where a document
 * is cut.  It is therefore always given blocks of one size, whatever came
 * at once from the network, so that one document has one outcome.
 *
 * Origins are not trusted here: no network, no document type declaration
 * (thus no entities but XML's own five), UTF-8 only, bounded depth, size
 * and text.  Once an error is known, libxml2 may finish its block; its
 * events are ignored then, and it is given no other.
 */

#include <libxml/parser.h>
#include <libxml/xmlerror.h>

#include "sprox_xml.h"


#define SPROX_XML_BLOCK        4096
#define SPROX_XML_BOM_FIRST    0xEF    /* EF BB BF */


struct sprox_xml_s {
    const sprox_mem_t       *mem;
    const sprox_xml_spec_t  *spec;
    void                    *data;

    xmlParserCtxtPtr         ctxt;
    sprox_rc_t               rc;         /* the first error */
    size_t                   size;       /* bytes taken so far */

    /* one more than elements: the document itself */
    const sprox_xml_rule_t  *stack[SPROX_XML_DEPTH_MAX + 1];
    unsigned                 depth;
    unsigned                 ended:1;    /* the root element is closed */

    sprox_buf_t              text;
    size_t                   nblock;
    uint8_t                  block[SPROX_XML_BLOCK];
};


static const sprox_xml_rule_t  sprox_xml_document = {
    0, SPROX_XML_DOCUMENT, 0, sprox_str("")
};

static const sprox_xml_rule_t  sprox_xml_skip = {
    0, SPROX_XML_SKIP, 0, sprox_str("")
};


static const sprox_xml_rule_t *
sprox_xml_rule(const sprox_xml_spec_t *spec, unsigned parent,
    const xmlChar *name)
{
    size_t       i;
    sprox_str_t  s;

    if (parent == SPROX_XML_SKIP) {
        return &sprox_xml_skip;
    }

    s = sprox_str_make(name, strlen((const char *) name));

    for (i = 0; i < spec->nrules; i++) {
        if (spec->rules[i].parent == parent
            && sprox_str_eq(spec->rules[i].name, s))
        {
            return &spec->rules[i];
        }
    }

    return &sprox_xml_skip;
}


static void
sprox_xml_on_start(void *ctx, const xmlChar *name, const xmlChar *prefix,
    const xmlChar *uri, int nnamespaces, const xmlChar **namespaces,
    int nattributes, int ndefaulted, const xmlChar **attributes)
{
    sprox_xml_t             *x = ctx;
    const sprox_xml_rule_t  *top, *rule;

    (void) prefix;
    (void) uri;
    (void) nnamespaces;
    (void) namespaces;
    (void) nattributes;
    (void) ndefaulted;
    (void) attributes;

    if (x->rc != SPROX_OK) {
        return;
    }

    if (x->depth == SPROX_XML_DEPTH_MAX) {
        x->rc = SPROX_LIMIT;
        return;
    }

    top = x->stack[x->depth];
    rule = sprox_xml_rule(x->spec, top->node, name);

    if (top->leaf
        || (x->depth == 0 && rule->node == SPROX_XML_SKIP))
    {
        x->rc = SPROX_INVALID;
        return;
    }

    x->stack[++x->depth] = rule;
    x->text.len = 0;

    if (rule->node != SPROX_XML_SKIP && x->spec->start != NULL) {
        x->rc = x->spec->start(x->data, rule->node);
    }
}


static void
sprox_xml_on_end(void *ctx, const xmlChar *name, const xmlChar *prefix,
    const xmlChar *uri)
{
    sprox_xml_t             *x = ctx;
    const sprox_xml_rule_t  *rule;

    (void) name;
    (void) prefix;
    (void) uri;

    if (x->rc != SPROX_OK) {
        return;
    }

    rule = x->stack[x->depth--];

    if (x->depth == 0) {
        x->ended = 1;
    }

    /* in CDATA libxml2 lets overlong forms pass */

    if (rule->leaf && !sprox_xml_utf8_valid(sprox_buf_get(&x->text))) {
        x->rc = SPROX_INVALID;
        return;
    }

    if (rule->node != SPROX_XML_SKIP) {
        x->rc = x->spec->end(x->data, rule->node, x->text.data,
                             rule->leaf ? x->text.len : 0);
    }
}


static void
sprox_xml_on_text(void *ctx, const xmlChar *text, int len)
{
    sprox_xml_t  *x = ctx;

    if (x->rc != SPROX_OK || len <= 0 || !x->stack[x->depth]->leaf) {
        return;
    }

    if ((size_t) len > x->spec->text_max - x->text.len) {
        x->rc = SPROX_LIMIT;
        return;
    }

    sprox_buf_add(&x->text, text, len);
    x->rc = sprox_buf_rc(&x->text);
}


static void
sprox_xml_on_dtd(void *ctx, const xmlChar *name, const xmlChar *external,
    const xmlChar *system)
{
    sprox_xml_t  *x = ctx;

    (void) name;
    (void) external;
    (void) system;

    if (x->rc == SPROX_OK) {
        x->rc = SPROX_INVALID;
    }

    /* the declarations that may follow shall not even be read */

    xmlStopParser(x->ctxt);
}


/* Errors are told by the parser's state; here they are only kept quiet. */

#if LIBXML_VERSION >= 21200

static void
sprox_xml_on_error(void *ctx, const xmlError *error)
{
    (void) ctx;
    (void) error;
}

#else

static void
sprox_xml_on_error(void *ctx, xmlErrorPtr error)
{
    (void) ctx;
    (void) error;
}

#endif


sprox_xml_t *
sprox_xml_create(const sprox_mem_t *mem, const sprox_xml_spec_t *spec,
    void *data)
{
    sprox_xml_t    *x;
    xmlSAXHandler   sax;

    x = sprox_alloc(mem, sizeof(sprox_xml_t));
    if (x == NULL) {
        return NULL;
    }

    memset(x, 0, sizeof(sprox_xml_t));

    x->mem = mem;
    x->spec = spec;
    x->data = data;
    x->stack[0] = &sprox_xml_document;
    sprox_buf_init(&x->text, mem);

    /*
     * Nothing but these: no tree is built, no entity is declared or looked
     * up.  White space is text, also where libxml2 would think it is not:
     * a key may be a space.
     */

    memset(&sax, 0, sizeof(xmlSAXHandler));

    sax.initialized = XML_SAX2_MAGIC;
    sax.internalSubset = sprox_xml_on_dtd;
    sax.startElementNs = sprox_xml_on_start;
    sax.endElementNs = sprox_xml_on_end;
    sax.characters = sprox_xml_on_text;
    sax.ignorableWhitespace = sprox_xml_on_text;
    sax.cdataBlock = sprox_xml_on_text;
    sax.serror = sprox_xml_on_error;

    x->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);

    if (x->ctxt == NULL) {
        sprox_free(mem, x);
        return NULL;
    }

    (void) xmlCtxtUseOptions(x->ctxt, XML_PARSE_NONET | XML_PARSE_NOERROR
                                      | XML_PARSE_NOWARNING
                                      | XML_PARSE_IGNORE_ENC);

    return x;
}


/*
 * UTF-8 has no NUL in it, and starts with '<', white space or its own mark;
 * UTF-16, UTF-32 and EBCDIC do not.  libxml2 would convert them, and what
 * was checked would not be what is read.
 */

static int
sprox_xml_utf8_like(const uint8_t *p, size_t len, int first)
{
    if (memchr(p, '\0', len) != NULL) {
        return 0;
    }

    return !first
           || p[0] == '<' || p[0] == SPROX_XML_BOM_FIRST
           || p[0] == ' ' || p[0] == '\t' || p[0] == '\r' || p[0] == '\n';
}


/* Passes the block on; last: the document ends with it. */

static sprox_rc_t
sprox_xml_flush(sprox_xml_t *x, int last)
{
    if (x->nblock != 0
        && !sprox_xml_utf8_like(x->block, x->nblock, x->size == x->nblock))
    {
        x->rc = SPROX_INVALID;
        return x->rc;
    }

    (void) xmlParseChunk(x->ctxt, (const char *) x->block, (int) x->nblock,
                         last);
    x->nblock = 0;

    if (x->rc != SPROX_OK) {
        return x->rc;
    }

    /* namespace errors and warnings leave a document well-formed */

    if (x->ctxt->errNo == XML_ERR_NO_MEMORY) {
        x->rc = SPROX_NOMEM;

    } else if (!x->ctxt->wellFormed) {
        x->rc = SPROX_INVALID;

    } else if (x->ctxt->input->end - x->ctxt->input->cur
               > SPROX_XML_MARKUP_MAX)
    {
        /*
         * What libxml2 did not take yet: the beginning of a tag or such,
         * which it would look through anew with each block.
         */

        x->rc = SPROX_LIMIT;
    }

    return x->rc;
}


sprox_rc_t
sprox_xml_feed(sprox_xml_t *x, const void *data, size_t len)
{
    int             over;
    size_t          n;
    const uint8_t  *p = data;

    if (x->rc != SPROX_OK) {
        return x->rc;
    }

    over = len > x->spec->size_max - x->size;

    if (over) {
        len = x->spec->size_max - x->size;
    }

    while (len > 0) {
        n = SPROX_XML_BLOCK - x->nblock;

        if (n > len) {
            n = len;
        }

        memcpy(x->block + x->nblock, p, n);

        x->nblock += n;
        x->size += n;
        p += n;
        len -= n;

        if (x->nblock == SPROX_XML_BLOCK
            && sprox_xml_flush(x, 0) != SPROX_OK)
        {
            return x->rc;
        }
    }

    if (over) {
        x->rc = SPROX_LIMIT;
    }

    return x->rc;
}


sprox_rc_t
sprox_xml_done(sprox_xml_t *x)
{
    if (x->rc != SPROX_OK) {
        return x->rc;
    }

    if (sprox_xml_flush(x, 1) == SPROX_OK && !x->ended) {
        x->rc = SPROX_INVALID;
    }

    return x->rc;
}


void
sprox_xml_free(sprox_xml_t *x)
{
    if (x == NULL) {
        return;
    }

    /* libxml2 makes a document of its own when it reads declarations */

    if (x->ctxt->myDoc != NULL) {
        xmlFreeDoc(x->ctxt->myDoc);
        x->ctxt->myDoc = NULL;
    }

    xmlFreeParserCtxt(x->ctxt);
    sprox_buf_free(&x->text);
    sprox_free(x->mem, x);
}
