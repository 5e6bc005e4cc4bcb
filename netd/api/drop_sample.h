/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drop_sample - a dropped packet in words: who sent it to whom, and why it
 * came no further. Pure.
 */
#pragma once

#include <jansson.h>

#include "model.h"
#include "netd/ebpf.h"
#include "refusal.h"

/*
 * {"time","reason","meaning","hook","interface","pod","network","protocol",
 * "detail","length","mac","source":{},"destination":{}}; "pod" is the one
 * whose link it came in by. The ends: {"ip","port","pod","service","gateway",
 * "node","network"}, each where it is known. The caller's.
 */
json_t *drop_sample_json(const struct model *m, const struct ebpf_sample *s,
			 int64_t at_ms);

/* A list of KEY=VALUE and KEY!=VALUE; NULL is fine. */
int drop_filter_check(json_t *words, struct refusal *r);
/* One of each key's values, none of those that are not wanted; of a pod,
 * either end's or the sender's. */
bool drop_filter_match(json_t *words, const json_t *sample);
