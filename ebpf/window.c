/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <sys/mman.h>

#include "netd/util.h"

/* A call each time the use of the array grows by so much. */
#define CHUNK (256UL * 1024)

int window_open(struct window *w, int fd, size_t size)
{
	void *base = mmap(NULL, size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	*w = (struct window){ .base = base, .size = size, .fd = fd };
	return 0;
}

int window_reach(struct window *w, size_t end)
{
	char *base = w->base;
	size_t len;

	if (end <= w->mapped)
		return 0;
	if (end > w->size)
		return -ERANGE;
	end = MIN((end + CHUNK - 1) / CHUNK * CHUNK, w->size);
	len = end - w->mapped;
	if (mmap(base + w->mapped, len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, w->fd, (off_t)w->mapped) == MAP_FAILED)
		return -errno;
	w->mapped = end;
	return 0;
}

void window_close(struct window *w)
{
	if (w->base)
		munmap(w->base, w->size);
	*w = (struct window){ 0 };
}
