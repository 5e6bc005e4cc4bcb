/* SPDX-License-Identifier: Apache-2.0 */
/* words - "did you mean": the nearest of the words that would have done. */
#pragma once

#include <stddef.h>

struct word_near {
	const char *word;
	const char *best;
	size_t distance;
};

/* Begins a search for what `word` was meant to be. */
struct word_near word_near(const char *word);

/* Offers a candidate; it must outlive the search. */
void word_offer(struct word_near *near, const char *candidate);

/* The nearest candidate, or NULL when none is near enough to be meant. */
const char *word_meant(const struct word_near *near);
