/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni_text - a network configuration, written out in a test.
 */
#pragma once

#include "cm.h"
#include "wish.h"

/* What every one has; further members follow it. */
#define V11 "\"cniVersion\":\"1.1.0\",\"name\":\"lab\",\"type\":\"netd\""

static inline int read_conf(const char *text, enum cni_command command,
			    struct cni_conf *conf, struct cni_error *e)
{
	return cni_conf_read(text, strlen(text), command, conf, e);
}
