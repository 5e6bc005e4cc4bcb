/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as puts, dels and audits of names, beside an array that says what
 * must be found: the table's entries move when others go.
 */
#include <stdint.h>
#include <stdlib.h>

#include "netd/util.h"
#include "zone.h"

#define NAMES 128
#define VNI 7

/* Last number of the address each name has; 0: it is not there. */
static uint8_t model[NAMES];
static bool told[NAMES];

static void name_of(unsigned i, char *text, size_t size)
{
	snprintf(text, size, "n%u", i);
}

static void put(struct zones *z, unsigned i, uint8_t value)
{
	struct want_name want = {
		.vni = VNI, .kind = NAME_POD, .addrs_len = 1, .ptr = true
	};
	struct ip_addr addr = ip_from_v4(0x0a000000 + i * 256 + value);

	name_of(i, want.name, sizeof(want.name));
	if (zones_name_put(z, &want, &addr, NULL))
		abort();
	model[i] = value;
	told[i] = true;
}

static void del(struct zones *z, unsigned i)
{
	char text[16];

	name_of(i, text, sizeof(text));
	zones_name_del(z, VNI, NAME_POD, text);
	model[i] = 0;
}

static void check(const struct zones *z, unsigned i)
{
	struct ip_addr addr = ip_from_v4(0x0a000000 + i * 256 + model[i]);
	const struct record *rec;
	struct dns_name name;
	struct ip_addr has;
	char text[16];

	name_of(i, text, sizeof(text));
	dns_name_parse(text, &name);
	rec = zones_name(z, VNI, NAME_POD, name.b, name.len - 1u);
	if (!rec != !model[i])
		abort();
	if (!rec)
		return;
	has = record_addr(rec, 0);
	if (!ip_eq(&has, &addr) || zones_ptr(z, VNI, &addr) != rec)
		abort();
}

static void audit_end(struct zones *z)
{
	zones_sync_end(z);
	for (unsigned i = 0; i < NAMES; i++)
		if (!told[i])
			model[i] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zones *z;
	bool audit = false;

	if (size > 512)
		return -1;
	z = zones_new();
	memset(model, 0, sizeof(model));
	memset(told, 0, sizeof(told));
	for (size_t at = 0; at + 1 < size; at += 2) {
		unsigned i = data[at] % NAMES;

		if (data[at + 1] == 0) {
			del(z, i);
		} else if (data[at + 1] == 255) {
			if (audit)
				audit_end(z);
			else
				zones_sync_begin(z);
			audit = !audit;
			memset(told, 0, sizeof(told));
		} else {
			put(z, i, data[at + 1]);
		}
		check(z, i);
	}
	for (unsigned i = 0; i < NAMES; i++)
		check(z, i);
	zones_free(z);
	return 0;
}
