/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"

#include "netd/util.h"

static uint32_t gcd(uint32_t a, uint32_t b)
{
	return b ? gcd(b, a % b) : a;
}

struct remainder {
	uint64_t left;
	size_t i;
};

/* The largest first, and among equals the first. */
static int cmp_remainder(const void *a, const void *b)
{
	const struct remainder *x = a, *y = b;
	int by_left = (x->left < y->left) - (x->left > y->left);

	return by_left ? by_left : (x->i > y->i) - (x->i < y->i);
}

static size_t largest(const uint32_t *counts, size_t n)
{
	size_t most = 0;

	for (size_t i = 1; i < n; i++)
		if (counts[i] > counts[most])
			most = i;
	return most;
}

/* Not every weight's share is whole: `max` places, rounded. */
static uint32_t share_rounded(const uint16_t *weights, size_t n, uint64_t sum,
			      uint32_t max, uint32_t *counts)
{
	struct remainder *rest = xzalloc(n * sizeof(*rest));
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t exact = (uint64_t)weights[i] * max;

		counts[i] = (uint32_t)(exact / sum);
		rest[i] = (struct remainder){ exact % sum, i };
		if (weights[i] && !counts[i]) {
			counts[i] = 1;
			rest[i].left = 0;
		}
		used += counts[i];
	}
	qsort(rest, n, sizeof(*rest), cmp_remainder);
	for (size_t i = 0; used < max && i < n && rest[i].left; i++, used++)
		counts[rest[i].i]++;
	/* Those that were given one place more than their share. */
	for (; used > max; used--)
		counts[largest(counts, n)]--;
	free(rest);
	return used;
}

uint32_t slots_share(const uint16_t *weights, size_t n, uint32_t max,
		     uint32_t *counts)
{
	uint64_t sum = 0;
	uint32_t unit = 0;

	for (size_t i = 0; i < n; i++) {
		sum += weights[i];
		unit = gcd(weights[i], unit);
	}
	memset(counts, 0, n * sizeof(*counts));
	if (!sum)
		return 0;
	if (sum / unit > max)
		return share_rounded(weights, n, sum, max, counts);
	for (size_t i = 0; i < n; i++)
		counts[i] = weights[i] / unit;
	return (uint32_t)(sum / unit);
}
