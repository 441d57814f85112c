/* What is kept of recording clients and of refusals: rows, bounds, switches, pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/observatory.h"

#define S UINT64_C(1000000000)
#define NOON (UINT64_C(1764072000) * S)	/* 2025-11-25T12:00:00Z */

static char default_name[] = "default", branch_name[] = "branch";
static struct config_prefix branch_net = { .ip_version = 4 };
static const struct config_src anybody = { .name = default_name, .accept = CONFIG_ACCEPT_TOLERANT };
static const struct config_src branch = { .name = branch_name, .accept = CONFIG_ACCEPT_STRICT, .addresses = &branch_net,
	                                  .n_addresses = 1, .refresh = CONFIG_ASK_NEVER };

static int
setup(void **state)
{
	return observatory_create((struct observatory **)state) == SRS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	observatory_destroy(*state);
	return 0;
}

static struct sockaddr_storage
address(uint32_t ip)
{
	struct sockaddr_storage a = { .ss_family = AF_INET };

	((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(ip);
	((struct sockaddr_in *)&a)->sin_port = htons(5060);
	return a;
}

static uint32_t
see(struct observatory *o, uint32_t ip, const char *agent, uint64_t wall_ns)
{
	struct sockaddr_storage a = address(ip);
	struct observatory_who w = { .src = &anybody, .identity = "", .agent = agent, .address = &a };

	return observatory_see(o, &w, wall_ns);
}

static void
refuse(struct observatory *o, uint32_t src, unsigned int status, const char *call_id, const char *rule, uint64_t wall_ns)
{
	struct sockaddr_storage a = address(0xc0000201);
	struct observatory_refusal r = { .src = src, .address = &a, .call_id = call_id, .method = "INVITE", .status = status,
		                         .rule = rule };

	observatory_refused(o, &r, wall_ns);
}

static cJSON *
srcs(const struct observatory *o, const char *query, uint64_t wall_ns)
{
	unsigned int status;
	char *text = observatory_srcs_json(o, query, wall_ns, &status);
	cJSON *json = cJSON_Parse(text);

	assert_non_null(json);
	assert_int_equal(status, 200);
	free(text);
	return json;
}

static cJSON *
refusals(const struct observatory *o, const char *query)
{
	unsigned int status;
	char *text = observatory_refusals_json(o, query, &status);
	cJSON *json = cJSON_Parse(text);

	assert_non_null(json);
	assert_int_equal(status, 200);
	free(text);
	return json;
}

static const cJSON *
at(const cJSON *json, const char *array, int i)
{
	const cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(json, array), i);

	assert_non_null(row);
	return row;
}

static double
number(const cJSON *row, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(row, name);

	assert_true(cJSON_IsNumber(item));
	return item->valuedouble;
}

static const char *
text(const cJSON *row, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(row, name);

	assert_true(cJSON_IsString(item));
	return item->valuestring;
}

static void
a_client_is_its_profile_or_its_certificate_or_its_address_and_agent(void **state)
{
	struct observatory *o = *state;
	struct sockaddr_storage a = address(0x0a000001), b = address(0x0a000002);
	struct observatory_who w = { .src = &branch, .identity = "", .agent = "SBC/1", .address = &a };
	uint32_t first = observatory_see(o, &w, NOON);
	cJSON *json;

	w.address = &b;
	w.agent = "SBC/2";
	assert_int_equal(observatory_see(o, &w, NOON + S), first);	/* the profile holds for both */
	w.src = &anybody;
	w.identity = "sbc.example.com";
	w.transport = CONFIG_TLS;
	assert_int_not_equal(observatory_see(o, &w, NOON + 2 * S), first);
	assert_int_not_equal(see(o, 0x0a000001, "SBC/1", NOON + 3 * S), see(o, 0x0a000001, "SBC/2", NOON + 4 * S));
	json = srcs(o, "", NOON + 5 * S);
	assert_int_equal(number(json, "count"), 4);
	assert_string_equal(text(at(json, "srcs", 0), "name"), "10.0.0.1 SBC/2");	/* heard last */
	assert_string_equal(text(at(json, "srcs", 2), "name"), "sbc.example.com");
	assert_string_equal(text(at(json, "srcs", 2), "known_by"), "certificate");
	assert_string_equal(text(at(json, "srcs", 3), "name"), "branch");
	assert_string_equal(text(at(json, "srcs", 3), "agent"), "SBC/2");
	assert_string_equal(text(at(json, "srcs", 3), "address"), "10.0.0.2");
	assert_string_equal(text(at(json, "srcs", 3), "first_seen"), "2025-11-25T12:00:00.000Z");
	assert_string_equal(text(at(json, "srcs", 3), "last_seen"), "2025-11-25T12:00:01.000Z");
	cJSON_Delete(json);
	json = srcs(o, "name=sbc.example.com\n", NOON + 5 * S);
	assert_int_equal(number(cJSON_GetObjectItem(at(json, "srcs", 0), "facts"), "over_tls"), 1);
	cJSON_Delete(json);
}

static void
deviations_are_counted_by_rule(void **state)
{
	struct observatory *o = *state;
	uint32_t src = see(o, 1, "a", NOON);
	static char rules[OBSERVATORY_RULES_MAX + 2][16];
	cJSON *json;

	for (unsigned int i = 0; i < OBSERVATORY_RULES_MAX + 2; i++) {
		snprintf(rules[i], sizeof(rules[i]), "rule %u", i);
		observatory_deviation(o, src, rules[i]);
	}
	observatory_deviation(o, src, rules[3]);
	observatory_dialect(o, src, "draft-12");
	observatory_deviation(o, OBSERVATORY_NOBODY, rules[0]);
	json = srcs(o, "name=0.0.0.1 a\n", NOON);
	assert_int_equal(number(at(json, "srcs", 0), "deviations"), OBSERVATORY_RULES_MAX + 3);
	assert_int_equal(number(at(json, "srcs", 0), "deviations_of_other_rules"), 2);
	assert_int_equal(number(at(at(json, "srcs", 0), "rules", 3), "count"), 2);
	assert_string_equal(text(at(at(json, "srcs", 0), "rules", 3), "rule"), "rule 3");
	assert_string_equal(text(at(at(json, "srcs", 0), "dialects", 0), "dialect"), "draft-12");
	cJSON_Delete(json);
}

/* Addresses can be made up by the thousand: who had a call stays. */
static void
a_crowd_of_strangers_drives_no_client_with_calls_out(void **state)
{
	struct observatory *o = *state;
	uint32_t known = see(o, 1, "sbc", NOON), stranger = see(o, 2, "x", NOON + 1);
	cJSON *json;

	observatory_count(o, known, OBSERVED_CALLS);
	for (uint32_t i = 0; i < 3 * OBSERVATORY_SRCS_MAX; i++)
		(void)see(o, 0x0b000000 + i, "scan", NOON + S + i);
	observatory_count(o, known, OBSERVED_CALLS);
	observatory_count(o, stranger, OBSERVED_CALLS);	/* its row is another's by now */
	json = srcs(o, "limit=1000", NOON);
	assert_int_equal(number(json, "count"), OBSERVATORY_SRCS_MAX);
	assert_string_equal(text(at(json, "srcs", OBSERVATORY_SRCS_MAX - 1), "name"), "0.0.0.1 sbc");
	assert_int_equal(number(at(json, "srcs", OBSERVATORY_SRCS_MAX - 1), "calls"), 2);
	for (int i = 0; i < (int)OBSERVATORY_SRCS_MAX - 1; i++)
		assert_int_equal(number(at(json, "srcs", i), "calls"), 0);
	cJSON_Delete(json);
	assert_int_equal(see(o, 1, "sbc", NOON), known);
}

static const cJSON *
switch_of(const cJSON *json, const char *which)
{
	return cJSON_GetObjectItem(cJSON_GetObjectItem(at(json, "srcs", 0), "switches"), which);
}

static void
a_switch_closes_behind_three_refusals_in_a_row_and_opens_a_day_later(void **state)
{
	struct observatory *o = *state;
	uint32_t src = see(o, 1, "a", NOON);
	const uint64_t day = OBSERVATORY_REST_S * S;
	cJSON *json;

	observatory_outcome(o, src, OBSERVATORY_REFRESH, false, NOON);
	observatory_outcome(o, src, OBSERVATORY_REFRESH, false, NOON);
	observatory_outcome(o, src, OBSERVATORY_REFRESH, true, NOON);
	observatory_outcome(o, src, OBSERVATORY_REFRESH, false, NOON);
	observatory_outcome(o, src, OBSERVATORY_REFRESH, false, NOON);
	assert_true(observatory_allows(o, src, OBSERVATORY_REFRESH, NOON));
	observatory_outcome(o, src, OBSERVATORY_REFRESH, false, NOON);
	assert_false(observatory_allows(o, src, OBSERVATORY_REFRESH, NOON));
	assert_true(observatory_allows(o, src, OBSERVATORY_SNAPSHOT, NOON));
	json = srcs(o, "name=0.0.0.1", NOON);
	assert_string_equal(text(switch_of(json, "refresh"), "configured"), "auto");
	assert_string_equal(text(switch_of(json, "refresh"), "now"), "never");
	assert_string_equal(text(switch_of(json, "refresh"), "decided_by"), "observatory");
	assert_string_equal(text(switch_of(json, "refresh"), "until"), "2025-11-26T12:00:00.000Z");
	assert_string_equal(text(switch_of(json, "snapshot"), "now"), "auto");
	cJSON_Delete(json);
	assert_false(observatory_allows(o, src, OBSERVATORY_REFRESH, NOON + day - 1));
	assert_true(observatory_allows(o, src, OBSERVATORY_REFRESH, NOON + day));
	observatory_outcome(o, src, OBSERVATORY_REFRESH, false, NOON + day);	/* once is enough now */
	assert_false(observatory_allows(o, src, OBSERVATORY_REFRESH, NOON + day));
	observatory_outcome(o, src, OBSERVATORY_REFRESH, true, NOON + day);
	assert_true(observatory_allows(o, src, OBSERVATORY_REFRESH, NOON + day));
	assert_true(observatory_allows(o, OBSERVATORY_NOBODY, OBSERVATORY_REFRESH, NOON));
}

static void
what_a_profile_says_is_shown_as_its_word(void **state)
{
	struct observatory *o = *state;
	struct sockaddr_storage a = address(1);
	struct observatory_who w = { .src = &branch, .identity = "", .agent = "", .address = &a };
	uint32_t src = observatory_see(o, &w, NOON);
	cJSON *json;

	observatory_count(o, src, OBSERVED_NO_REQUIRE);
	json = srcs(o, "name=branch", NOON);
	assert_string_equal(text(switch_of(json, "refresh"), "now"), "never");
	assert_string_equal(text(switch_of(json, "refresh"), "decided_by"), "profile");
	assert_string_equal(text(switch_of(json, "accept"), "now"), "strict");
	assert_int_equal(number(switch_of(json, "accept"), "strict_would_refuse_at_least"), 1);
	cJSON_Delete(json);
}

static void
the_last_ten_thousand_refusals_are_kept_newest_first(void **state)
{
	struct observatory *o = *state;
	char call_id[32], query[64];
	uint64_t before = 0;
	unsigned int n = 0;
	cJSON *json;

	for (unsigned int i = 1; i <= OBSERVATORY_REFUSALS_MAX + 50; i++) {
		snprintf(call_id, sizeof(call_id), "call-%u", i);
		refuse(o, see(o, i % 7, "a", NOON + i * S), 403, call_id, "why", NOON + i * S);
	}
	do {	/* by pages */
		snprintf(query, sizeof(query), "limit=1000\n%s%.0llu\n", before != 0 ? "before=" : "limit=1000",
		         (unsigned long long)before);
		json = refusals(o, query);
		for (const cJSON *row = cJSON_GetObjectItem(json, "refusals")->child; row != NULL; row = row->next) {
			snprintf(call_id, sizeof(call_id), "call-%u", OBSERVATORY_REFUSALS_MAX + 50 - n);
			assert_string_equal(text(row, "call_id"), call_id);
			n++;
		}
		before = (uint64_t)number(json, "next_before");
		cJSON_Delete(json);
	} while (before != 0);
	assert_int_equal(n, OBSERVATORY_REFUSALS_MAX);
}

static void
refusals_are_found_by_client_status_and_call(void **state)
{
	struct observatory *o = *state;
	uint32_t a = see(o, 1, "a", NOON), b = see(o, 2, "b", NOON);
	cJSON *json;

	refuse(o, a, 403, "x@a", "not a recording session", NOON);
	refuse(o, b, 403, "x@b", "not a recording session", NOON);
	refuse(o, a, 488, "y@a", "no m-line", NOON);
	refuse(o, OBSERVATORY_NOBODY, 400, "z", "broken", NOON);
	json = refusals(o, "src=0.0.0.1\nstatus=403");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "refusals")), 1);
	assert_string_equal(text(at(json, "refusals", 0), "call_id"), "x@a");
	assert_string_equal(text(at(json, "refusals", 0), "rule"), "not a recording session");
	assert_string_equal(text(at(json, "refusals", 0), "method"), "INVITE");
	assert_string_equal(text(at(json, "refusals", 0), "time"), "2025-11-25T12:00:00.000Z");
	cJSON_Delete(json);
	json = refusals(o, "call_id=x@b");
	assert_int_equal(number(at(json, "refusals", 0), "status"), 403);
	cJSON_Delete(json);
	json = refusals(o, "");
	assert_int_equal(number(json, "kept"), 4);
	assert_string_equal(text(at(json, "refusals", 0), "src"), "192.0.2.1:5060");
	cJSON_Delete(json);
}

/* A flood takes ten places a second; all of it is counted. */
static void
a_flood_of_one_client_leaves_the_others_their_places(void **state)
{
	struct observatory *o = *state;
	uint32_t flood = see(o, 1, "a", NOON), other = see(o, 2, "b", NOON);
	cJSON *json;

	for (unsigned int i = 0; i < 20000; i++)
		refuse(o, flood, 503, "f", "too many", NOON + i * (S / 10000));	/* two seconds of it */
	refuse(o, flood, 400, "g", "something else", NOON + 2 * S - 1);
	refuse(o, other, 503, "h", "too many", NOON + 2 * S - 1);
	json = refusals(o, "limit=1000");
	assert_int_equal(number(json, "kept"), 22);
	assert_string_equal(text(at(json, "refusals", 0), "call_id"), "h");
	assert_string_equal(text(at(json, "refusals", 1), "call_id"), "g");
	assert_int_equal(number(at(json, "refusals", 2), "repeats"), 9990);
	cJSON_Delete(json);
	json = srcs(o, "name=0.0.0.1", NOON);
	assert_int_equal(number(at(json, "srcs", 0), "refused"), 20001);
	cJSON_Delete(json);
}

static void
texts_of_clients_become_plain_ascii_of_bounded_length(void **state)
{
	struct observatory *o = *state;
	char longer[1000];
	uint32_t src;
	cJSON *json;

	memset(longer, 'L', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memcpy(longer, "\x1b[2J\"\\\xff\n", 8);
	src = see(o, 1, longer, NOON);
	refuse(o, src, 400, longer, longer, NOON);
	json = srcs(o, "", NOON);
	assert_memory_equal(text(at(json, "srcs", 0), "agent"), "?[2J\"\\??LLL", 11);
	assert_int_equal(strlen(text(at(json, "srcs", 0), "agent")), OBSERVATORY_TEXT_MAX - 1);
	cJSON_Delete(json);
	json = refusals(o, "");
	assert_int_equal(strlen(text(at(json, "refusals", 0), "rule")), OBSERVATORY_RULE_MAX - 1);
	assert_memory_equal(text(at(json, "refusals", 0), "call_id"), "?[2J\"\\??LLL", 11);
	cJSON_Delete(json);
}

static void
a_wrong_filter_is_named(void **state)
{
	static const char *const wrong[] = { "limit=0", "limit=1001", "limit=", "limit=ten", "nonsense=1", "limit", "src=", "status=200",
		                             "before=0", "before=99999999999999999999", "limit=3\nlimit" };
	struct observatory *o = *state;
	unsigned int status;

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *json = observatory_refusals_json(o, wrong[i], &status);

		assert_int_equal(status, 400);
		assert_non_null(strstr(json, "\"remedy\""));
		free(json);
	}
	free(observatory_srcs_json(o, "status=403", NOON, &status));
	assert_int_equal(status, 400);
	free(observatory_srcs_json(o, "name=nobody", NOON, &status));
	assert_int_equal(status, 404);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_is_its_profile_or_its_certificate_or_its_address_and_agent),
		TEST(deviations_are_counted_by_rule),
		TEST(a_crowd_of_strangers_drives_no_client_with_calls_out),
		TEST(a_switch_closes_behind_three_refusals_in_a_row_and_opens_a_day_later),
		TEST(what_a_profile_says_is_shown_as_its_word),
		TEST(the_last_ten_thousand_refusals_are_kept_newest_first),
		TEST(refusals_are_found_by_client_status_and_call),
		TEST(a_flood_of_one_client_leaves_the_others_their_places),
		TEST(texts_of_clients_become_plain_ascii_of_bounded_length),
		TEST(a_wrong_filter_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
