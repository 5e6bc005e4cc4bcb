/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_tune - the settings of struct tune: from an operation's arguments,
 * in and out of JSON. Pure.
 */
#pragma once

#include "model.h"

/*
 * Reads what of algo, policy, on_dead, affinity, idle* and health* is given
 * into `tune`; what is not stays as it is.
 */
int tune_read(struct tune *tune, json_t *args, struct refusal *r);

/* A stored service's, and back; what is at its default is left out. */
int tune_from_json(struct tune *tune, json_t *doc);
void tune_to_json(const struct tune *tune, json_t *doc);

/* "500ms", "2s", "1m", "1h", "1d"; a number alone is seconds. */
#define TUNE_DURATION_MAX_MS 432000000u
int tune_duration_parse(const char *text, uint32_t *ms);

/* "tcp", "http:8081:/healthz" */
void tune_health_text(const struct probe_check *check, char *buf, size_t size);
