/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake - resolvers that do as a line says: answer, lie, delay, keep silent.
 *
 *	ADDR NAME [MANNER [N]].. [TYPE TTL DATA..]
 *
 * Lines for one name add up. A name without a line is NXDOMAIN without SOA.
 */
#pragma once

#include <stddef.h>

#include "netd/addr.h"

struct ev_loop;
struct fakes;

struct fakes *fakes_new(struct ev_loop *loop);
void fakes_free(struct fakes *f);

/* Where one that loops sends what it is asked. */
void fakes_set_gateway(struct fakes *f, const struct ip_addr *gateway);

/* words[0] is the address. 0, or -EINVAL. */
int fakes_line(struct fakes *f, char **words, size_t n);

/* Questions that came since they were last forgotten, over UDP and TCP. */
size_t fakes_asked(const struct fakes *f, const struct ip_addr *addr);
void fakes_forget(struct fakes *f);
