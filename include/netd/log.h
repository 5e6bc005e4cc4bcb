/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line per decision, to the journal or standard error.
 *
 * Lines read "room: what happened key=value ...". Under systemd standard
 * error is the journal, so a line is prefixed with its priority (sd-daemon(3))
 * there and left plain on a terminal or in a file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_MAX
};

void log_set_level(enum log_level level);

/* 0, or -EINVAL for a word that is no level. */
int log_level_parse(const char *word, enum log_level *ret);

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_err(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * For lines that packets, peers or a broken store can drive: at most `burst`
 * lines in `interval_ms`; what was held back is told by the next line.
 */
struct log_limit {
	int64_t since;
	uint32_t sent;
	uint32_t held;
};

bool log_allow(struct log_limit *limit, uint32_t burst, int64_t interval_ms);

#define log_warn_limited(...)                                                  \
	do {                                                                   \
		static struct log_limit log_limit_here;                        \
		if (log_allow(&log_limit_here, 5, 60000))                      \
			log_warn(__VA_ARGS__);                                 \
	} while (0)
