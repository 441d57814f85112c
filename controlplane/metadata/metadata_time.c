/* xs:dateTime, which is RFC 3339 with the zone left to taste (RFC 7865 §6.9). */
#include "controlplane/metadata/metadata_items.h"

struct clock_text {
	const char *at;
	bool bad;
};

static int
take_digits(struct clock_text *t, unsigned int n)
{
	int v = 0;

	for (; n != 0 && !t->bad; n--) {
		if (*t->at < '0' || *t->at > '9')
			t->bad = true;
		else
			v = v * 10 + (*t->at++ - '0');
	}
	return t->bad ? 0 : v;
}

static bool
take_one_of(struct clock_text *t, const char *chars)
{
	for (; *chars != '\0'; chars++)
		if (*t->at == *chars) {
			t->at++;
			return true;
		}
	return false;
}

static void
expect(struct clock_text *t, const char *chars)
{
	if (!take_one_of(t, chars))
		t->bad = true;
}

/* .5 is 500,000,000 ns; digits beyond the ninth are read and dropped */
static int64_t
take_fraction_ns(struct clock_text *t)
{
	int64_t ns = 0, unit = 100000000;

	if (!take_one_of(t, ".,"))
		return 0;
	if (*t->at < '0' || *t->at > '9')
		t->bad = true;
	for (; *t->at >= '0' && *t->at <= '9'; t->at++, unit /= 10)
		ns += unit * (*t->at - '0');
	return ns;
}

static int64_t
take_zone_s(struct clock_text *t, bool *zoned)
{
	int sign, hours, minutes;

	*zoned = *t->at != '\0';
	if (!*zoned || take_one_of(t, "Zz"))
		return 0;
	sign = *t->at == '-' ? -1 : 1;
	expect(t, "+-");
	hours = take_digits(t, 2);
	take_one_of(t, ":");
	minutes = take_digits(t, 2);
	if (hours > 14 || minutes > 59) /* XML Schema part 2, 3.2.7.3 */
		t->bad = true;
	return sign * (hours * 3600 + minutes * 60);
}

/* Days from 1970-01-01 in the Gregorian calendar; years run from March, so that the leap day comes last. */
static int64_t
days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, year_of_era = y % 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool
is_date(int year, int month, int day)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1700 || year > 2200 || month < 1 ||
	    month > 12) /* what int64 nanoseconds hold, and then some sense */
		return false;
	return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

bool
metadata_time_read(const char *text, int64_t *wall_ns, bool *zoned)
{
	struct clock_text t = { .at = text };
	int year, month, day, hour, minute, second;
	int64_t ns, zone_s;

	year = take_digits(&t, 4);
	expect(&t, "-");
	month = take_digits(&t, 2);
	expect(&t, "-");
	day = take_digits(&t, 2);
	expect(&t, "Tt ");
	hour = take_digits(&t, 2);
	expect(&t, ":");
	minute = take_digits(&t, 2);
	expect(&t, ":");
	second = take_digits(&t, 2);
	ns = take_fraction_ns(&t);
	zone_s = take_zone_s(&t, zoned);
	if (t.bad || *t.at != '\0' || !is_date(year, month, day) || minute > 59 || second > 60 || hour > 24 ||
	    (hour == 24 && (minute != 0 || second != 0)))
		return false;
	*wall_ns = ((days_from_civil(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - zone_s) *
		       1000000000 +
		   ns;
	return true;
}
