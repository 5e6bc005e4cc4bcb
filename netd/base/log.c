/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/log.h"

#include <stdarg.h>

#include "netd/util.h"

/* word and sd-daemon(3) priority */
static const struct {
	const char *word;
	const char *prefix;
} levels[LOG_LEVEL_MAX] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARN] = { "warning", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

static enum log_level log_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	log_max = level;
}

int log_level_parse(const char *word, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (str_eq(levels[i].word, word)) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	const char *prefix = "";
	va_list ap;

	if (level > log_max)
		return;
	/* Set by systemd when standard error is the journal (systemd.exec). */
	if (getenv("JOURNAL_STREAM"))
		prefix = levels[level].prefix;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* Text may come from peers: one line stays one line. */
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	if (*prefix)
		fprintf(stderr, "%s%s\n", prefix, line);
	else
		fprintf(stderr, "%s: %s\n", levels[level].word, line);
}

bool log_allow(struct log_limit *limit, uint32_t burst, int64_t interval_ms)
{
	int64_t now = mono_ms();

	if (!limit->since || now - limit->since >= interval_ms) {
		if (limit->held)
			log_line(LOG_LEVEL_WARN,
				 "base: %u lines of the next kind were held "
				 "back",
				 limit->held);
		*limit = (struct log_limit){ .since = now };
	}
	if (limit->sent >= burst) {
		limit->held++;
		return false;
	}
	limit->sent++;
	return true;
}
