/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon - what the plugin asks of netd, and what it leaves for it when it
 * does not answer. Failures: -EINVAL with the error filled.
 */
#pragma once

#include "conf.h"
#include "netd/api.h"

/* *ret is the reply, a new reference. */
int daemon_ask(const struct cni_conf *conf, enum api_op op, json_t *args,
	       json_t **ret, struct cni_error *e);

/*
 * The attachment is to be undone: by netd now, or as soon as it is there
 * again.
 */
int daemon_give_up(const struct cni_env *env, const struct cni_conf *conf,
		   struct cni_error *e);
