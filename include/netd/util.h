/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util - the few words every room uses: array lengths, owners, scope exit.
 *
 * Small allocations abort on failure: a daemon that cannot get 100 bytes has
 * no better plan. Sizes that come from outside are checked before they get
 * here.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* <sys/param.h>, which <arpa/nameser.h> includes, has its own. */
#undef MIN
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* AUTO(x_freep) struct x *p = ...; frees p when it leaves its scope. */
#define AUTO(fn) __attribute__((cleanup(fn)))

/* Hands an AUTO variable's value on, so that the scope does not free it. */
#define take_ptr(p)                                                            \
	({                                                                     \
		__auto_type take_tmp = (p);                                    \
		(p) = NULL;                                                    \
		take_tmp;                                                      \
	})

#define take_fd(fd)                                                            \
	({                                                                     \
		int take_tmp = (fd);                                           \
		(fd) = -1;                                                     \
		take_tmp;                                                      \
	})

/* Defines x_freep() for AUTO from x_free(). */
#define DEFINE_FREEP(type, name)                                               \
	static inline void name##p(type **p)                                   \
	{                                                                      \
		name(*p);                                                      \
	}

static inline void str_freep(char **p)
{
	free(*p);
}

static inline void fd_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void file_closep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* These never return NULL. The memory is zeroed; free() releases it. */
void *xzalloc(size_t size);
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Formats into a fixed buffer. Returns 0, or -ENAMETOOLONG when the text did
 * not fit; the buffer is then empty, never cut.
 */
int str_format(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Copies a string that must fit: false and an empty buffer when it does not. */
bool str_copy(char *buf, size_t size, const char *s);

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* What follows `prefix` in `s`, or NULL when s does not begin with it. */
static inline const char *str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Whole decimal number in [min, max]: 0, -EINVAL (not one) or -ERANGE. */
int str_to_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret);

/* Milliseconds of CLOCK_MONOTONIC: intervals, never shown to anybody. */
int64_t mono_ms(void);
int64_t mono_us(void);

/* Reads a small file whole; a terminating 0 is added. -EFBIG over max. */
int file_read(const char *path, size_t max, char **ret);

/* Writes PATH.tmp with this mode, then renames it over PATH. */
int file_write(const char *path, unsigned int mode, const char *text);
