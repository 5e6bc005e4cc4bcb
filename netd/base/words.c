/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearness is the edit distance in which two letters that changed places are
 * one slip (optimal string alignment).
 */
#include "netd/words.h"

#include <stdint.h>

#include "netd/util.h"

/* Longer words are nobody's slip of the finger. */
#define WORD_MAX 64

static size_t word_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const size_t *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = MIN(change, MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], above2[j - 2] + 1);
		}
	}
	return rows[la % 3][lb];
}

struct word_near word_near(const char *word)
{
	return (struct word_near){ .word = word, .distance = SIZE_MAX };
}

void word_offer(struct word_near *near, const char *candidate)
{
	size_t distance = word_distance(near->word, candidate);

	if (distance >= near->distance)
		return;
	near->distance = distance;
	near->best = candidate;
}

const char *word_meant(const struct word_near *near)
{
	size_t len = strlen(near->word);

	/* One slip in three letters, one in a short word. */
	return near->best && near->distance <= MAX(len / 3, (size_t)1)
		       ? near->best
		       : NULL;
}
