/*
 * Dates in and out, without libc: its functions know locales and time
 * zones, and are not the same everywhere.
 *
 *   Sun, 06 Nov 1994 08:49:37 GMT       IMF-fixdate      read, written
 *   Sunday, 06-Nov-94 08:49:37 GMT      RFC 850          read
 *   Sun Nov  6 08:49:37 1994            asctime          read
 *   1994-11-06T08:49:37.000Z            ISO 8601         read, written
 *   19941106T084937Z                    x-amz-date       read, written
 *
 * Readers go through the text with a cursor whose first mismatch makes it
 * bad, and look at that once, at the end.
 */

#include "sprox_time.h"


#define SPROX_DAY_SEC        86400
#define SPROX_ISO_FRACTION   9        /* digits that are read */

/* what four digits of a year can say: 0000-01-01 to 9999-12-31T23:59:59 */

#define SPROX_TIME_MIN       (-62167219200LL)
#define SPROX_TIME_MAX       253402300799LL


typedef struct {
    const uint8_t  *p;
    const uint8_t  *end;
    unsigned        bad:1;
} sprox_time_cursor_t;


typedef struct {
    int  year;
    int  month;                       /* 1 to 12 */
    int  day;
    int  hour;
    int  min;
    int  sec;
    int  wday;                        /* 0: Sunday */
} sprox_time_parts_t;


static const char  sprox_months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char  sprox_wdays[] = "SunMonTueWedThuFriSat";


/*
 * Days since 1970-01-01 in the Gregorian calendar.  Years are taken to
 * begin in March, so that the day of leap is the last one of its year, and
 * come in eras of 400 years, which all have the same length.
 */

static int64_t
sprox_time_days(int year, int month, int day)
{
    int64_t  y, era, yoe, doy, doe;

    y = (month <= 2) ? (int64_t) year - 1 : year;
    era = ((y >= 0) ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (month + ((month > 2) ? -3 : 9)) + 2) / 5 + day - 1;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}


/* The way back. */

static void
sprox_time_split(int64_t sec, sprox_time_parts_t *t)
{
    int64_t  days, rest, era, doe, yoe, doy, mp;

    if (sec < SPROX_TIME_MIN) {
        sec = SPROX_TIME_MIN;
    }

    if (sec > SPROX_TIME_MAX) {
        sec = SPROX_TIME_MAX;
    }

    days = sec / SPROX_DAY_SEC;
    rest = sec % SPROX_DAY_SEC;

    if (rest < 0) {
        rest += SPROX_DAY_SEC;
        days--;
    }

    t->hour = (int) (rest / 3600);
    t->min = (int) (rest / 60 % 60);
    t->sec = (int) (rest % 60);

    /* 1970-01-01 was a Thursday */

    t->wday = (int) (((days + 4) % 7 + 7) % 7);

    days += 719468;
    era = ((days >= 0) ? days : days - 146096) / 146097;
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;

    t->day = (int) (doy - (153 * mp + 2) / 5 + 1);
    t->month = (int) ((mp < 10) ? mp + 3 : mp - 9);
    t->year = (int) (yoe + era * 400 + ((t->month <= 2) ? 1 : 0));
}


static sprox_rc_t
sprox_time_join(const sprox_time_parts_t *t, int64_t *sec)
{
    int  days;

    static const int  month_days[] =
        { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    if (t->month < 1 || t->month > 12) {
        return SPROX_INVALID;
    }

    days = month_days[t->month - 1];

    if (t->month == 2
        && t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0))
    {
        days++;
    }

    /* second 60: a second of leap, which counts as the next one */

    if (t->day < 1 || t->day > days || t->hour > 23 || t->min > 59
        || t->sec > 60)
    {
        return SPROX_INVALID;
    }

    *sec = sprox_time_days(t->year, t->month, t->day) * SPROX_DAY_SEC
           + t->hour * 3600 + t->min * 60 + t->sec;

    return SPROX_OK;
}


static void
sprox_cursor_init(sprox_time_cursor_t *c, sprox_str_t s)
{
    c->p = s.data;
    c->end = s.data;
    c->bad = 0;

    if (s.len != 0) {
        c->end += s.len;
    }
}


/* Exactly n digits. */

static int
sprox_cursor_digits(sprox_time_cursor_t *c, size_t n)
{
    int     value;
    size_t  i;

    if (c->bad || (size_t) (c->end - c->p) < n) {
        c->bad = 1;
        return 0;
    }

    value = 0;

    for (i = 0; i < n; i++) {

        if (c->p[i] < '0' || c->p[i] > '9') {
            c->bad = 1;
            return 0;
        }

        value = value * 10 + (c->p[i] - '0');
    }

    c->p += n;

    return value;
}


/* Passes over the text if it is next. */

static int
sprox_cursor_try(sprox_time_cursor_t *c, const char *text)
{
    size_t  len;

    len = strlen(text);

    if (c->bad || (size_t) (c->end - c->p) < len
        || memcmp(c->p, text, len) != 0)
    {
        return 0;
    }

    c->p += len;

    return 1;
}


static void
sprox_cursor_text(sprox_time_cursor_t *c, const char *text)
{
    if (!sprox_cursor_try(c, text)) {
        c->bad = 1;
    }
}


/* One of the three-letter names; its index. */

static int
sprox_cursor_name(sprox_time_cursor_t *c, const char *names)
{
    int  i;

    if (c->bad || c->end - c->p < 3) {
        c->bad = 1;
        return 0;
    }

    for (i = 0; names[i * 3] != '\0'; i++) {
        if (memcmp(c->p, &names[i * 3], 3) == 0) {
            c->p += 3;
            return i;
        }
    }

    c->bad = 1;

    return 0;
}


static void
sprox_cursor_clock(sprox_time_cursor_t *c, sprox_time_parts_t *t)
{
    t->hour = sprox_cursor_digits(c, 2);
    sprox_cursor_text(c, ":");
    t->min = sprox_cursor_digits(c, 2);
    sprox_cursor_text(c, ":");
    t->sec = sprox_cursor_digits(c, 2);
}


static void
sprox_time_asctime(sprox_time_cursor_t *c, sprox_time_parts_t *t)
{
    t->month = sprox_cursor_name(c, sprox_months) + 1;
    sprox_cursor_text(c, " ");
    t->day = sprox_cursor_digits(c, sprox_cursor_try(c, " ") ? 1 : 2);
    sprox_cursor_text(c, " ");
    sprox_cursor_clock(c, t);
    sprox_cursor_text(c, " ");
    t->year = sprox_cursor_digits(c, 4);
}


static void
sprox_time_imf(sprox_time_cursor_t *c, sprox_time_parts_t *t)
{
    t->day = sprox_cursor_digits(c, 2);
    sprox_cursor_text(c, " ");
    t->month = sprox_cursor_name(c, sprox_months) + 1;
    sprox_cursor_text(c, " ");
    t->year = sprox_cursor_digits(c, 4);
    sprox_cursor_text(c, " ");
    sprox_cursor_clock(c, t);
    sprox_cursor_text(c, " GMT");
}


static void
sprox_time_rfc850(sprox_time_cursor_t *c, int wday, sprox_time_parts_t *t)
{
    static const char *const  rest[] =
        { "day", "day", "sday", "nesday", "rsday", "day", "urday" };

    sprox_cursor_text(c, rest[wday]);
    sprox_cursor_text(c, ", ");
    t->day = sprox_cursor_digits(c, 2);
    sprox_cursor_text(c, "-");
    t->month = sprox_cursor_name(c, sprox_months) + 1;
    sprox_cursor_text(c, "-");
    t->year = sprox_cursor_digits(c, 2);
    sprox_cursor_text(c, " ");
    sprox_cursor_clock(c, t);
    sprox_cursor_text(c, " GMT");

    /* without a clock "50 years ahead" cannot be told: 1970 to 2069 */

    t->year += (t->year < 70) ? 2000 : 1900;
}


sprox_rc_t
sprox_time_parse_http(sprox_str_t s, int64_t *sec)
{
    int                  wday;
    sprox_time_parts_t   t;
    sprox_time_cursor_t  c;

    sprox_cursor_init(&c, s);

    wday = sprox_cursor_name(&c, sprox_wdays);

    if (sprox_cursor_try(&c, ", ")) {
        sprox_time_imf(&c, &t);

    } else if (sprox_cursor_try(&c, " ")) {
        sprox_time_asctime(&c, &t);

    } else {
        sprox_time_rfc850(&c, wday, &t);
    }

    if (c.bad || c.p != c.end) {
        return SPROX_INVALID;
    }

    return sprox_time_join(&t, sec);
}


/* "Z", or "+hh:mm" in minutes. */

static int
sprox_cursor_zone(sprox_time_cursor_t *c)
{
    int  sign, hour, min;

    if (sprox_cursor_try(c, "Z")) {
        return 0;
    }

    if (sprox_cursor_try(c, "+")) {
        sign = 1;

    } else {
        sprox_cursor_text(c, "-");
        sign = -1;
    }

    hour = sprox_cursor_digits(c, 2);
    sprox_cursor_text(c, ":");
    min = sprox_cursor_digits(c, 2);

    if (hour > 23 || min > 59) {
        c->bad = 1;
    }

    return sign * (hour * 60 + min);
}


sprox_rc_t
sprox_time_parse_iso(sprox_str_t s, int64_t *msec)
{
    int                  ms, scale, digit, n, zone;
    int64_t              sec;
    sprox_rc_t           rc;
    sprox_time_parts_t   t;
    sprox_time_cursor_t  c;

    sprox_cursor_init(&c, s);

    t.year = sprox_cursor_digits(&c, 4);
    sprox_cursor_text(&c, "-");
    t.month = sprox_cursor_digits(&c, 2);
    sprox_cursor_text(&c, "-");
    t.day = sprox_cursor_digits(&c, 2);
    sprox_cursor_text(&c, "T");
    sprox_cursor_clock(&c, &t);

    ms = 0;

    if (sprox_cursor_try(&c, ".")) {

        scale = 100;
        n = 0;

        do {
            digit = sprox_cursor_digits(&c, 1);
            ms += digit * scale;
            scale /= 10;
            n++;

        } while (!c.bad && c.p != c.end && *c.p >= '0' && *c.p <= '9'
                 && n < SPROX_ISO_FRACTION);
    }

    zone = sprox_cursor_zone(&c);

    if (c.bad || c.p != c.end) {
        return SPROX_INVALID;
    }

    rc = sprox_time_join(&t, &sec);
    if (rc != SPROX_OK) {
        return rc;
    }

    *msec = (sec - (int64_t) zone * 60) * 1000 + ms;

    return SPROX_OK;
}


sprox_rc_t
sprox_time_parse_amz(sprox_str_t s, int64_t *sec)
{
    sprox_time_parts_t   t;
    sprox_time_cursor_t  c;

    sprox_cursor_init(&c, s);

    t.year = sprox_cursor_digits(&c, 4);
    t.month = sprox_cursor_digits(&c, 2);
    t.day = sprox_cursor_digits(&c, 2);
    sprox_cursor_text(&c, "T");
    t.hour = sprox_cursor_digits(&c, 2);
    t.min = sprox_cursor_digits(&c, 2);
    t.sec = sprox_cursor_digits(&c, 2);
    sprox_cursor_text(&c, "Z");

    if (c.bad || c.p != c.end) {
        return SPROX_INVALID;
    }

    return sprox_time_join(&t, sec);
}


static uint8_t *
sprox_time_put(uint8_t *p, int value, size_t digits)
{
    size_t  i;

    for (i = digits; i > 0; i--) {
        p[i - 1] = (uint8_t) ('0' + value % 10);
        value /= 10;
    }

    return p + digits;
}


static uint8_t *
sprox_time_put_text(uint8_t *p, const char *text, size_t len)
{
    memcpy(p, text, len);

    return p + len;
}


void
sprox_time_http(int64_t sec, uint8_t *out)
{
    uint8_t             *p;
    sprox_time_parts_t   t;

    sprox_time_split(sec, &t);

    p = sprox_time_put_text(out, &sprox_wdays[t.wday * 3], 3);
    p = sprox_time_put_text(p, ", ", 2);
    p = sprox_time_put(p, t.day, 2);
    *p++ = ' ';
    p = sprox_time_put_text(p, &sprox_months[(t.month - 1) * 3], 3);
    *p++ = ' ';
    p = sprox_time_put(p, t.year, 4);
    *p++ = ' ';
    p = sprox_time_put(p, t.hour, 2);
    *p++ = ':';
    p = sprox_time_put(p, t.min, 2);
    *p++ = ':';
    p = sprox_time_put(p, t.sec, 2);
    sprox_time_put_text(p, " GMT", 4);
}


void
sprox_time_iso(int64_t msec, uint8_t *out)
{
    int                  ms;
    int64_t              sec;
    uint8_t             *p;
    sprox_time_parts_t   t;

    sec = msec / 1000;
    ms = (int) (msec % 1000);

    if (ms < 0) {
        ms += 1000;
        sec--;
    }

    sprox_time_split(sec, &t);

    p = sprox_time_put(out, t.year, 4);
    *p++ = '-';
    p = sprox_time_put(p, t.month, 2);
    *p++ = '-';
    p = sprox_time_put(p, t.day, 2);
    *p++ = 'T';
    p = sprox_time_put(p, t.hour, 2);
    *p++ = ':';
    p = sprox_time_put(p, t.min, 2);
    *p++ = ':';
    p = sprox_time_put(p, t.sec, 2);
    *p++ = '.';
    p = sprox_time_put(p, ms, 3);
    *p = 'Z';
}


void
sprox_time_amz(int64_t sec, uint8_t *out)
{
    uint8_t             *p;
    sprox_time_parts_t   t;

    sprox_time_split(sec, &t);

    p = sprox_time_put(out, t.year, 4);
    p = sprox_time_put(p, t.month, 2);
    p = sprox_time_put(p, t.day, 2);
    *p++ = 'T';
    p = sprox_time_put(p, t.hour, 2);
    p = sprox_time_put(p, t.min, 2);
    p = sprox_time_put(p, t.sec, 2);
    *p = 'Z';
}


int64_t
sprox_proof(int64_t proved, int64_t now)
{
    return proved > now ? 0 : proved;
}


int64_t
sprox_age(int64_t proved, int64_t now)
{
    if (proved > now && proved <= now + SPROX_TURN) {
        return 0;
    }

    return now - sprox_proof(proved, now);
}
