/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result - netd's replies as the runtime reads them, in its version's words.
 */
#pragma once

#include "conf.h"

/* Of pod.attach; where there is a previous result, that with ours added. */
json_t *cni_result(const struct cni_env *env, const struct cni_conf *conf,
		   json_t *reply);

/* Does the result that the runtime kept say what netd (pod.check) says? */
int cni_result_check(const struct cni_env *env, const struct cni_conf *conf,
		     json_t *reply, struct cni_error *e);
