/*
 * The ini dialect of AWS's shared files.
 *
 *   # comment
 *   [profile lake]                      config; [lake] in credentials
 *   aws_access_key_id = AKIA...
 *   region=eu-west-1  ; comment
 *   s3 =
 *       addressing_style = path         nested: deeper than the line before
 *
 * As in the Python reader that defined these files, a line is nested when it
 * is indented deeper than the last setting that is not; a section whose
 * settings are all indented alike has none nested.
 */

#include "sprox_cred.h"


typedef struct {
    sprox_str_t  rest;
    unsigned     line;
} sprox_ini_t;


static int sprox_ini_line(sprox_ini_t *ini, sprox_str_t *line);
static size_t sprox_ini_indent(sprox_str_t line);
static sprox_str_t sprox_ini_trim(sprox_str_t s);
static sprox_str_t sprox_ini_uncomment(sprox_str_t s);
static int sprox_ini_section(sprox_str_t line, sprox_str_t *name);
static int sprox_ini_is_profile(sprox_str_t section, sprox_str_t profile,
    int config);
static void sprox_ini_set(sprox_profile_t *out, sprox_str_t name,
    sprox_str_t value);


sprox_rc_t
sprox_profile_parse(sprox_str_t text, sprox_str_t profile, int config,
    sprox_profile_t *out, unsigned *line)
{
    int          found, mine, started;
    size_t       equals, indent, settings;
    sprox_str_t  s, section;
    sprox_ini_t  ini;

    memset(out, 0, sizeof(sprox_profile_t));
    *line = 0;

    if (text.len > SPROX_CRED_FILE_MAX) {
        return SPROX_LIMIT;
    }

    ini.rest = text;
    ini.line = 0;

    found = 0;
    mine = 0;
    started = 0;
    settings = (size_t) -1;

    while (sprox_ini_line(&ini, &s)) {

        indent = sprox_ini_indent(s);
        s = sprox_ini_trim(s);

        if (s.len == 0 || s.data[0] == '#' || s.data[0] == ';') {
            continue;
        }

        if (settings != (size_t) -1 && indent > settings) {
            continue;
        }

        if (s.data[0] == '[') {

            if (!sprox_ini_section(s, &section)) {
                goto invalid;
            }

            started = 1;
            settings = (size_t) -1;
            mine = sprox_ini_is_profile(section, profile, config);
            found |= mine;

            continue;
        }

        equals = sprox_str_find(s, sprox_str_lit("="), 0);

        if (!started || equals == (size_t) -1 || equals == 0) {
            goto invalid;
        }

        settings = indent;

        if (mine) {
            sprox_ini_set(out, sprox_ini_trim(sprox_str_make(s.data, equals)),
                sprox_ini_uncomment(sprox_str_from(s, equals + 1)));
        }
    }

    return found ? SPROX_OK : SPROX_NOT_FOUND;

invalid:

    memset(out, 0, sizeof(sprox_profile_t));
    *line = ini.line;

    return SPROX_INVALID;
}


static int
sprox_ini_line(sprox_ini_t *ini, sprox_str_t *line)
{
    size_t  end;

    static const sprox_str_t  bom = sprox_str("\xef\xbb\xbf");

    if (ini->line == 0 && sprox_str_starts(ini->rest, bom)) {
        ini->rest = sprox_str_from(ini->rest, bom.len);
    }

    if (ini->rest.len == 0) {
        return 0;
    }

    end = sprox_str_find(ini->rest, sprox_str_lit("\n"), 0);

    if (end == (size_t) -1) {
        end = ini->rest.len;
    }

    *line = sprox_str_make(ini->rest.data, end);
    ini->rest = sprox_str_from(ini->rest, end + 1);
    ini->line++;

    return 1;
}


static size_t
sprox_ini_indent(sprox_str_t line)
{
    size_t  i;

    for (i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') {
            break;
        }
    }

    return i;
}


static sprox_str_t
sprox_ini_trim(sprox_str_t s)
{
    if (s.len != 0 && s.data[s.len - 1] == '\r') {
        s.len--;
    }

    return sprox_str_trim(s);
}


/* A comment behind a value begins after a space; no key has one. */

static sprox_str_t
sprox_ini_uncomment(sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {

        if ((s.data[i] == '#' || s.data[i] == ';')
            && i > 0 && (s.data[i - 1] == ' ' || s.data[i - 1] == '\t'))
        {
            s.len = i;
            break;
        }
    }

    return sprox_ini_trim(s);
}


/* "[name]", with nothing but a comment behind it. */

static int
sprox_ini_section(sprox_str_t line, sprox_str_t *name)
{
    size_t       end;
    sprox_str_t  rest;

    end = sprox_str_find(line, sprox_str_lit("]"), 1);

    if (end == (size_t) -1) {
        return 0;
    }

    *name = sprox_str_trim(sprox_str_make(line.data + 1, end - 1));
    rest = sprox_str_trim(sprox_str_from(line, end + 1));

    return name->len != 0
           && (rest.len == 0 || rest.data[0] == '#' || rest.data[0] == ';');
}


static int
sprox_ini_is_profile(sprox_str_t section, sprox_str_t profile, int config)
{
    uint8_t      quote;
    sprox_str_t  word;

    word = sprox_str_lit("profile");

    if (!config) {
        return sprox_str_eq(section, profile);
    }

    if (sprox_str_eq(section, sprox_str_lit("default"))) {
        return sprox_str_eq(section, profile);
    }

    if (!sprox_str_starts(section, word) || section.len == word.len
        || (section.data[word.len] != ' ' && section.data[word.len] != '\t'))
    {
        return 0;
    }

    section = sprox_str_trim(sprox_str_from(section, word.len));

    /* a name with a space is written in quotes */

    if (section.len >= 2) {

        quote = section.data[0];

        if ((quote == '"' || quote == '\'')
            && section.data[section.len - 1] == quote)
        {
            section = sprox_str_make(section.data + 1, section.len - 2);
        }
    }

    return sprox_str_eq(section, profile);
}


static void
sprox_ini_set(sprox_profile_t *out, sprox_str_t name, sprox_str_t value)
{
    size_t  i;

    static const struct {
        sprox_str_t  name;
        size_t       offset;
    } fields[] = {
        { sprox_str("aws_access_key_id"),
          offsetof(sprox_profile_t, access_key) },
        { sprox_str("aws_secret_access_key"),
          offsetof(sprox_profile_t, secret_key) },
        { sprox_str("aws_session_token"),
          offsetof(sprox_profile_t, token) },
        { sprox_str("region"),
          offsetof(sprox_profile_t, region) }
    };

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (sprox_str_case_eq(name, fields[i].name)) {
            *(sprox_str_t *) (void *) ((char *) out + fields[i].offset) =
                value;
            return;
        }
    }
}
