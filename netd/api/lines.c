/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <stdlib.h>
#include <string.h>

#include "netd/util.h"

size_t lines_fill(struct lines *l, char *buf, size_t size,
		  char *(*next)(void *arg), void *arg)
{
	size_t used = 0;

	while (used < size && (l->line || (l->line = next(arg)))) {
		size_t left = strlen(l->line + l->sent);
		size_t n = MIN(left, size - used);

		memcpy(buf + used, l->line + l->sent, n);
		used += n;
		l->sent += n;
		if (n < left)
			break;
		lines_clear(l);
	}
	return used;
}

void lines_clear(struct lines *l)
{
	free(l->line);
	*l = (struct lines){ 0 };
}
