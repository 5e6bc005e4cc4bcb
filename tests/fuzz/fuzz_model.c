/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever stands in the store must not hurt the model, nor what is planned
 * from it. Input: lines of "KEY VALUE"; an empty value deletes the key.
 */
#include "model.h"
#include "netd/log.h"
#include "netd/util.h"
#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct probe_state down(void *arg, const struct probe_key *key)
{
	(void)arg;
	(void)key;
	return (struct probe_state){ .status = PROBE_DOWN };
}

static void plan_all(struct model *m)
{
	const struct plan_health health = { .state = down };

	for (struct net *net = m->nets; net; net = net->hh.next) {
		struct plan_offer offer;
		size_t len;

		if (!net->rev)
			continue;
		free(plan_routes(m, net, &len));
		for (struct service *s = net->services; s; s = s->hh.next) {
			struct want_frontend fe[64];
			uint16_t target[64];
			struct plan_tasks tasks = plan_tasks(m, net, s);

			len = plan_frontends(net, s, fe, target, 64);
			while (len--) {
				size_t k;

				free(plan_backends(m, net, s, &fe[len],
						   target[len], &k));
			}
			plan_tasks_free(&tasks);
		}
		offer = plan_up(m, net, &health);
		json_decref(offer.services);
		json_decref(offer.down);
		free(plan_probes(m, net, &len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model *m = model_new("n1");
	char *text = xstrndup((const char *)data, size);
	char *save = NULL;
	int64_t rev = 1;

	log_set_level(LOG_LEVEL_ERROR);
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		if (value)
			*value++ = '\0';
		model_apply(m, line, value && *value ? value : NULL, rev++,
			    NULL);
	}
	plan_all(m);
	model_free(m);
	free(text);
	return 0;
}
