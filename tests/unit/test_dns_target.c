/* SPDX-License-Identifier: Apache-2.0 */
/* An upstream's state: up, behind or down, by the clock of the test. */
#include "cm.h"
#include "target.h"

static void test_target_states(void **state)
{
	struct target a = { 0 }, b = { 0 }, c = { 0 };
	struct target *all[] = { &a, &b, &c }, *order[3];

	(void)state;
	assert_int_equal(target_order(all, 3, 0, order), 3);
	assert_ptr_equal(order[0], &a);
	/* One check lost is a packet lost. */
	assert_false(target_check_failed(&a));
	assert_int_equal(target_order(all, 3, 0, order), 3);
	assert_true(target_check_failed(&a));
	assert_false(target_check_failed(&a));
	assert_int_equal(target_order(all, 3, 0, order), 2);
	assert_ptr_equal(order[0], &b);
	/* Worse than others three times in a row: behind, for a time. */
	for (int i = 0; i < TARGET_WORSE_MAX; i++)
		target_worse(&b, 1000);
	assert_int_equal(target_order(all, 3, 1000, order), 2);
	assert_ptr_equal(order[0], &c);
	assert_ptr_equal(order[1], &b);
	target_order(all, 3, 1000 + TARGET_BEHIND_MS, order);
	assert_ptr_equal(order[0], &b);
	/* All down: better than nobody. Those that loop never. */
	b.down = c.down = true;
	assert_int_equal(target_order(all, 3, 99999999, order), 3);
	b.loops = true;
	assert_int_equal(target_order(all, 3, 99999999, order), 2);
	assert_true(target_answered(&a, 800));
	assert_false(target_answered(&a, 800));
	assert_int_equal(target_order(all, 3, 99999999, order), 1);
	assert_in_range(a.latency_us, 790, 810);
	for (int i = 0; i < 100; i++)
		target_answered(&a, 80);
	assert_in_range(a.latency_us, 70, 90);
	c.keep_case_until = 5;
	assert_false(target_keeps_case(&c, 4));
	assert_true(target_keeps_case(&c, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
