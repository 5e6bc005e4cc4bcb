/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines - a stream's text, line by line: what of it is on its way.
 *
 * A reader takes as many bytes as fit, so a line may leave in pieces.
 */
#pragma once

#include <stddef.h>

struct lines {
	char *line;
	size_t sent;
};

/*
 * Fills buf, up to size bytes, and returns how many. next() gives the next
 * line, with its end, which is then ours; NULL: there is none for now.
 */
size_t lines_fill(struct lines *l, char *buf, size_t size,
		  char *(*next)(void *arg), void *arg);
void lines_clear(struct lines *l);
