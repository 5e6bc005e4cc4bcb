/* SPDX-License-Identifier: Apache-2.0 */
/* A service's settings: by table, what is taken and what is refused. */
#include <netinet/in.h>

#include "cm.h"
#include "http_status.h"
#include "json.h"
#include "service.h"
#include "service_tune.h"

/* Arguments: taken and stored so, or refused. */
static const struct {
	const char *args;
	/* The refusal's field; NULL: it is taken, and stored so. */
	const char *field;
	const char *doc;
} tunings[] = {
	{ "{}", NULL, "{}" },
	{ "{\"algo\":\"random\",\"policy\":\"any\"}", NULL, "{}" },
	{ "{\"algo\":\"maglev\",\"on_dead\":\"reset\"}", NULL,
	  "{\"balance\":{\"algo\":\"maglev\",\"on_dead\":\"reset\"}}" },
	{ "{\"policy\":\"prefer-local\"}", NULL,
	  "{\"balance\":{\"policy\":\"prefer-local\"}}" },
	{ "{\"affinity\":\"client-ip\"}", NULL,
	  "{\"balance\":{\"affinity\":10800}}" },
	{ "{\"affinity\":\"client-ip=60\"}", NULL,
	  "{\"balance\":{\"affinity\":60}}" },
	{ "{\"affinity\":\"none\"}", NULL, "{}" },
	{ "{\"health\":\"tcp\"}", NULL,
	  "{\"health\":{\"check\":\"tcp\",\"interval_ms\":1000,"
	  "\"timeout_ms\":500,\"rise\":1,\"fall\":2}}" },
	{ "{\"health\":\"http:8081:/ok?x=1\",\"health_interval\":"
	  "\"500ms\",\"health_timeout\":\"2s\",\"health_rise\":3,"
	  "\"health_fall\":5}",
	  NULL,
	  "{\"health\":{\"check\":\"http:8081:/ok?x=1\","
	  "\"interval_ms\":500,\"timeout_ms\":2000,\"rise\":3,"
	  "\"fall\":5}}" },
	{ "{\"health\":\"none\"}", NULL, "{}" },
	{ "{\"idle_timeout\":\"5d\",\"idle_half_closed\":\"1h\","
	  "\"idle_udp\":\"30s\"}",
	  NULL,
	  "{\"balance\":{\"idle\":432000,\"idle_half_closed\":3600,"
	  "\"idle_udp\":30}}" },
	{ "{\"idle_timeout\":\"default\"}", NULL, "{}" },
	{ "{\"idle_timeout\":\"6d\"}", "idle_timeout", NULL },
	{ "{\"idle_timeout\":\"121h\"}", "idle_timeout", NULL },
	{ "{\"idle_timeout\":\"29s\"}", "idle_timeout", NULL },
	{ "{\"idle_half_closed\":\"never\"}", "idle_half_closed", NULL },
	{ "{\"idle_udp\":\"25h\"}", "idle_udp", NULL },
	{ "{\"algo\":\"wrr\"}", "algo", NULL },
	{ "{\"policy\":\"near\"}", "policy", NULL },
	{ "{\"on_dead\":\"\"}", "on_dead", NULL },
	{ "{\"affinity\":\"client-ip=\"}", "affinity", NULL },
	{ "{\"affinity\":\"client-ip=0\"}", "affinity", NULL },
	{ "{\"affinity\":\"client-ip=16777216\"}", "affinity", NULL },
	{ "{\"affinity\":\"cookie\"}", "affinity", NULL },
	{ "{\"health\":\"http\"}", "health", NULL },
	{ "{\"health\":\"http:index\"}", "health", NULL },
	{ "{\"health\":\"http:/a b\"}", "health", NULL },
	{ "{\"health\":\"http:/a\\r\\nX: y\"}", "health", NULL },
	{ "{\"health\":\"tcp:0\"}", "health", NULL },
	{ "{\"health\":\"tcp:65536\"}", "health", NULL },
	{ "{\"health\":\"tcpx\"}", "health", NULL },
	{ "{\"health\":\"tcp\",\"health_interval\":\"1ms\"}", "health_interval",
	  NULL },
	{ "{\"health\":\"tcp\",\"health_interval\":\"2h\"}", "health_interval",
	  NULL },
	{ "{\"health\":\"tcp\",\"health_timeout\":\"s\"}", "health_timeout",
	  NULL },
	{ "{\"health\":\"tcp\",\"health_fall\":0}", "health_fall", NULL },
	{ "{\"health_rise\":2}", "health_rise", NULL },
};

static void assert_same(const struct tune *a, const struct tune *b)
{
	assert_int_equal(a->algo, b->algo);
	assert_int_equal(a->affinity_s, b->affinity_s);
	assert_int_equal(a->idle_s, b->idle_s);
	assert_int_equal(a->idle_half_s, b->idle_half_s);
	assert_int_equal(a->idle_udp_s, b->idle_udp_s);
	assert_int_equal(a->health.kind, b->health.kind);
	assert_string_equal(a->health.path, b->health.path);
}

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tunings); i++) {
		AUTO(json_freep)
		json_t *args = json_loads(tunings[i].args, 0, NULL);
		AUTO(json_freep) json_t *doc = json_object();
		AUTO(json_freep) json_t *want = NULL;
		struct tune tune = { 0 }, again = { 0 };
		struct refusal r = { 0 };
		int err = tune_read(&tune, args, &r);

		if (!err != !tunings[i].field)
			fail_msg("%s: %d %s", tunings[i].args, err, r.message);
		if (err) {
			assert_string_equal(r.field, tunings[i].field);
			assert_true(*r.hint);
			continue;
		}
		want = json_loads(tunings[i].doc, 0, NULL);
		tune_to_json(&tune, doc);
		if (!json_equal(doc, want))
			fail_msg("%s is stored as %s", tunings[i].args,
				 json_line(doc));
		assert_int_equal(tune_from_json(&again, doc), 0);
		assert_same(&again, &tune);
	}
}

/* What is not named stays as it is; none takes it away. */
static void test_read_changes(void **state)
{
	AUTO(json_freep)
	json_t *first = json_pack("{s:s, s:i, s:s}", "health", "http:/a",
				  "health_fall", 7, "affinity", "client-ip=5");
	AUTO(json_freep)
	json_t *second =
		json_pack("{s:s, s:s}", "health", "tcp:99", "policy", "local");
	AUTO(json_freep) json_t *third = json_pack("{s:s}", "health", "none");
	struct tune tune = { 0 };
	struct refusal r;

	(void)state;
	assert_int_equal(tune_read(&tune, first, &r), 0);
	assert_int_equal(tune_read(&tune, second, &r), 0);
	assert_int_equal(tune.health.kind, PROBE_TCP);
	assert_int_equal(tune.health.port, 99);
	assert_int_equal(tune.health.fall, 7);
	assert_int_equal(tune.affinity_s, 5);
	assert_int_equal(tune.policy, TUNE_LOCAL);
	assert_int_equal(tune_read(&tune, third, &r), 0);
	assert_int_equal(tune.health.kind, PROBE_NONE);
}

static void test_stored_nonsense(void **state)
{
	static const char *const rows[] = {
		"{\"balance\":{\"algo\":\"x\"}}",
		"{\"balance\":{\"affinity\":-1}}",
		"{\"balance\":{\"affinity\":16777216}}",
		"{\"health\":{}}",
		"{\"health\":{\"check\":\"tcp\"}}",
		"{\"health\":{\"check\":\"http:/\\n\",\"interval_ms\":1000,"
		"\"timeout_ms\":1000,\"rise\":1,\"fall\":1}}",
		"{\"health\":{\"check\":\"tcp\",\"interval_ms\":0,"
		"\"timeout_ms\":1000,\"rise\":1,\"fall\":1}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json_freep) json_t *doc = json_loads(rows[i], 0, NULL);
		struct tune tune = { 0 };

		assert_non_null(doc);
		if (!tune_from_json(&tune, doc))
			fail_msg("taken: %s", rows[i]);
	}
}

static void test_weight_label(void **state)
{
	static const struct {
		const char *labels;
		int weight;
	} rows[] = {
		{ "{}", 1 },
		{ "{\"netd.weight\":\"0\"}", 0 },
		{ "{\"netd.weight\":\"65535\"}", 65535 },
		{ "{\"netd.weight\":\"65536\"}", -1 },
		{ "{\"netd.weight\":\"\"}", -1 },
		{ "{\"netd.weight\":\"ten\"}", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json_freep)
		json_t *labels = json_loads(rows[i].labels, 0, NULL);
		struct refusal r;
		uint16_t weight;
		int err = service_weight(labels, &weight, &r);

		assert_int_equal(!err, rows[i].weight >= 0);
		/* One that is none counts as one that is not there. */
		assert_int_equal(weight, err ? 1 : rows[i].weight);
	}
}

static void test_http_status(void **state)
{
	static const struct {
		const char *bytes;
		int status;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n", 200 },
		{ "HTTP/1.0 404", 404 },
		{ "HTTP/1.1 503\r\n", 503 },
		{ "HTTP/1.1 2", 0 },
		{ "", 0 },
		{ "HTTP", 0 },
		{ "HTTP/2 200", -1 },
		{ "SSH-2.0-x", -1 },
		{ "HTTP/1.1 099", -1 },
		{ "HTTP/1.1  20", -1 },
		{ "http/1.1 200", -1 },
		{ "\n", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(http_status_parse(rows[i].bytes,
						   strlen(rows[i].bytes)),
				 rows[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_changes),
		cmocka_unit_test(test_stored_nonsense),
		cmocka_unit_test(test_weight_label),
		cmocka_unit_test(test_http_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
