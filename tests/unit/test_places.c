/* SPDX-License-Identifier: Apache-2.0 */
#include "places.h"

#include "cm.h"

static void test_get_lowest(void **state)
{
	struct places *p = places_new(100);
	uint32_t x;

	(void)state;
	assert_int_equal(places_get(p, 10, 0, &x), 0);
	assert_int_equal(x, 0);
	assert_int_equal(places_get(p, 90, 0, &x), 0);
	assert_int_equal(x, 10);
	assert_int_equal(places_get(p, 1, 0, &x), -ENOSPC);
	assert_int_equal(places_used(p), 100);
	places_free(p);
}

static void test_get_sizes(void **state)
{
	struct places *p = places_new(64);
	uint32_t x = 5;

	(void)state;
	assert_int_equal(places_get(p, 0, 0, &x), -ENOSPC);
	assert_int_equal(places_get(p, 65, 0, &x), -ENOSPC);
	assert_int_equal(x, 5);
	assert_int_equal(places_get(p, 64, 0, &x), 0);
	places_free(p);
}

/* What is put back is not handed out before it has rested. */
static void test_put_rests(void **state)
{
	struct places *p = places_new(32);
	uint32_t x;

	(void)state;
	assert_int_equal(places_get(p, 32, 0, &x), 0);
	places_put(p, 0, 16, 1000);
	places_put(p, 16, 16, 1500);
	assert_int_equal(places_get(p, 16, 1000 + PLACES_REST_MS - 1, &x),
			 -ENOSPC);
	assert_int_equal(places_get(p, 17, 1000 + PLACES_REST_MS, &x), -ENOSPC);
	assert_int_equal(places_get(p, 16, 1000 + PLACES_REST_MS, &x), 0);
	assert_int_equal(x, 0);
	assert_int_equal(places_get(p, 16, 1500 + PLACES_REST_MS, &x), 0);
	assert_int_equal(x, 16);
	places_free(p);
}

/* A hole that is too small is left for a smaller run. */
static void test_get_fits_holes(void **state)
{
	struct places *p = places_new(256);
	uint32_t x;

	(void)state;
	assert_true(places_take(p, 4, 100));
	assert_int_equal(places_get(p, 5, 0, &x), 0);
	assert_int_equal(x, 104);
	assert_int_equal(places_get(p, 4, 0, &x), 0);
	assert_int_equal(x, 0);
	assert_int_equal(places_get(p, 1, 0, &x), 0);
	assert_int_equal(x, 109);
	places_free(p);
}

static void test_take(void **state)
{
	struct places *p = places_new(128);

	(void)state;
	assert_true(places_take(p, 0, 128));
	assert_false(places_take(p, 127, 1));
	assert_false(places_take(p, 128, 1));
	assert_false(places_take(p, UINT32_MAX, 2));
	assert_false(places_take(p, 2, UINT32_MAX));
	places_free(p);
}

/* Against a plain array: no place is ever handed out twice. */
static void test_random(void **state)
{
	enum { SIZE = 1000, RUNS = 64, STEPS = 20000 };
	struct places *p = places_new(SIZE);
	struct {
		uint32_t first;
		uint32_t len;
	} runs[RUNS] = { 0 };
	uint8_t owner[SIZE] = { 0 };
	uint32_t seed = 1;
	int64_t now = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		uint32_t slot, len, first;

		seed = seed * 1664525 + 1013904223;
		slot = (seed >> 8) % RUNS;
		len = 1 + (seed >> 16) % 40;
		now += 40;
		if (runs[slot].len) {
			memset(owner + runs[slot].first, 0, runs[slot].len);
			places_put(p, runs[slot].first, runs[slot].len, now);
			runs[slot].len = 0;
			continue;
		}
		if (places_get(p, len, now, &first))
			continue;
		assert_in_range(first + len, 1, SIZE);
		for (uint32_t i = first; i < first + len; i++) {
			assert_int_equal(owner[i], 0);
			owner[i] = 1;
		}
		runs[slot].first = first;
		runs[slot].len = len;
	}
	places_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_lowest),
		cmocka_unit_test(test_get_sizes),
		cmocka_unit_test(test_put_rests),
		cmocka_unit_test(test_get_fits_holes),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
