/* SPDX-License-Identifier: Apache-2.0 */
#include "maglev.h"

#include "cm.h"
#include "netd/util.h"

/* Backends 10.0.0.0 and up, of weight 1; ids from `first_id`. */
static struct maglev_backend *make(size_t n, uint32_t first_id)
{
	struct maglev_backend *b = xzalloc((n + 1) * sizeof(*b));

	for (size_t i = 0; i < n; i++) {
		b[i].addr = ip_from_v4(0x0a000000 + (uint32_t)i);
		b[i].port = 80;
		b[i].weight = 1;
		b[i].id = first_id + (uint32_t)i;
	}
	return b;
}

static uint32_t *fill(const struct maglev_backend *b, size_t n, uint32_t size)
{
	uint32_t *table = xzalloc(size * sizeof(*table));

	assert_int_equal(maglev_fill(b, n, table, size), size);
	return table;
}

static uint32_t count(const uint32_t *table, uint32_t size, uint32_t id)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < size; i++)
		n += table[i] == id;
	return n;
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(maglev_size(0), 251);
	assert_int_equal(maglev_size(2), 251);
	assert_int_equal(maglev_size(3), 1021);
	assert_int_equal(maglev_size(40), 4093);
	assert_int_equal(maglev_size(41), 16381);
	assert_int_equal(maglev_size(8192), 16381);
}

static void test_fill_even(void **state)
{
	static const struct {
		size_t n;
		/* Of the even share, in percent. */
		uint32_t low;
		uint32_t high;
	} rows[] = { { 1, 100, 100 },
		     { 2, 99, 101 },
		     { 10, 98, 102 },
		     { 25, 98, 102 },
		     { 250, 98, 102 } };

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		uint32_t size = maglev_size(rows[r].n);
		struct maglev_backend *b = make(rows[r].n, 7);
		uint32_t *table = fill(b, rows[r].n, size);

		for (uint32_t i = 0; i < rows[r].n; i++) {
			uint32_t share = count(table, size, 7 + i) * 100 *
					 (uint32_t)rows[r].n / size;

			assert_in_range(share, rows[r].low, rows[r].high);
		}
		free(table);
		free(b);
	}
}

/* Ids are each node's own; the places of a backend are everybody's. */
static void test_fill_agrees(void **state)
{
	const size_t n = 25;
	uint32_t size = maglev_size(n);
	struct maglev_backend *here = make(n, 0), *there = make(n, 5000);
	uint32_t *x = fill(here, n, size), *y = fill(there, n, size);

	(void)state;
	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(x[i] + 5000, y[i]);
	free(x);
	free(y);
	free(here);
	free(there);
}

/* One of n leaves: how many of the others' places change hands? */
static void test_fill_disturbance(void **state)
{
	static const struct {
		size_t n;
		uint32_t permille;
	} rows[] = {
		{ 2, 0 }, { 10, 60 }, { 25, 40 }, { 100, 20 }, { 250, 30 }
	};

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		size_t n = rows[r].n, gone = n / 2;
		uint32_t size = maglev_size(n), moved = 0, kept = 0;
		struct maglev_backend *b = make(n, 0);
		uint32_t *before = fill(b, n, size), *after;

		memmove(b + gone, b + gone + 1, (n - gone - 1) * sizeof(*b));
		after = fill(b, n - 1, size);
		for (uint32_t i = 0; i < size; i++) {
			assert_int_not_equal(after[i], gone);
			if (before[i] == gone)
				continue;
			kept++;
			moved += before[i] != after[i];
		}
		assert_in_range(moved * 1000 / kept, 0, rows[r].permille);
		free(before);
		free(after);
		free(b);
	}
}

static void test_fill_weights(void **state)
{
	uint32_t size = maglev_size(4);
	struct maglev_backend *b = make(4, 0);
	uint32_t *table;

	(void)state;
	b[0].weight = 1;
	b[1].weight = 2;
	b[2].weight = 5;
	b[3].weight = 0;
	table = fill(b, 4, size);
	assert_in_range(count(table, size, 0) * 1000 / size, 120, 130);
	assert_in_range(count(table, size, 1) * 1000 / size, 245, 255);
	assert_in_range(count(table, size, 2) * 1000 / size, 620, 630);
	assert_int_equal(count(table, size, 3), 0);
	free(table);
	free(b);
}

static void test_fill_nobody(void **state)
{
	uint32_t table[251];
	struct maglev_backend *b = make(2, 0);

	(void)state;
	assert_int_equal(maglev_fill(NULL, 0, table, 251), 0);
	b[0].weight = b[1].weight = 0;
	assert_int_equal(maglev_fill(b, 2, table, 251), 0);
	free(b);
}

/* Equal addresses are told apart by their ports. */
static void test_fill_ports(void **state)
{
	struct maglev_backend *b = make(2, 0);
	uint32_t *table;

	(void)state;
	b[1].addr = b[0].addr;
	b[1].port = 81;
	table = fill(b, 2, 251);
	assert_in_range(count(table, 251, 0), 124, 127);
	assert_in_range(count(table, 251, 1), 124, 127);
	free(table);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_fill_even),
		cmocka_unit_test(test_fill_agrees),
		cmocka_unit_test(test_fill_disturbance),
		cmocka_unit_test(test_fill_weights),
		cmocka_unit_test(test_fill_nobody),
		cmocka_unit_test(test_fill_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
