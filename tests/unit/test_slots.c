/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"

#include "cm.h"
#include "netd/util.h"

#define SEVERAL 4

static void test_share_exact(void **state)
{
	static const struct {
		uint16_t weights[SEVERAL];
		uint32_t max, sum;
		uint32_t counts[SEVERAL];
	} rows[] = {
		{ { 1, 1, 1, 1 }, 64, 4, { 1, 1, 1, 1 } },
		{ { 100, 300, 0, 0 }, 64, 4, { 1, 3, 0, 0 } },
		{ { 65535, 65535, 0, 65535 }, 64, 3, { 1, 1, 0, 1 } },
		{ { 7, 13, 44, 0 }, 64, 64, { 7, 13, 44, 0 } },
		{ { 0, 0, 0, 0 }, 64, 0, { 0, 0, 0, 0 } },
		/* Rounded: by largest remainder. */
		{ { 50, 26, 25, 0 }, 10, 10, { 5, 3, 2, 0 } },
		{ { 1, 1, 1, 62 }, 10, 10, { 1, 1, 1, 7 } },
		/* Who has weight has a place. */
		{ { 65535, 1, 1, 0 }, 64, 64, { 62, 1, 1, 0 } },
		{ { 65535, 65534, 65533, 1 }, 4, 4, { 1, 1, 1, 1 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t counts[SEVERAL];

		assert_int_equal(slots_share(rows[i].weights, SEVERAL,
					     rows[i].max, counts),
				 rows[i].sum);
		for (size_t k = 0; k < SEVERAL; k++)
			assert_int_equal(counts[k], rows[i].counts[k]);
	}
}

/* Any weights: all places are used, and none is off by more than one. */
static void test_share_any(void **state)
{
	static uint16_t weights[500];
	static uint32_t counts[500];
	uint64_t sum = 0;
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
		x = x * 1103515245 + 12345;
		weights[i] = (uint16_t)(x >> 16 | 1);
		sum += weights[i];
	}
	assert_int_equal(slots_share(weights, 500, SLOTS_MAX, counts),
			 SLOTS_MAX);
	for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
		uint64_t share = (uint64_t)weights[i] * SLOTS_MAX / sum;

		assert_in_range(counts[i], MAX(share, 1), share + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share_exact),
		cmocka_unit_test(test_share_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
