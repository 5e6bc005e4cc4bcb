/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine, or whoever stands in for one, says of a container: read,
 * matched with a pod, and made a service of by its labels. */
#include "container.h"
#include "json.h"
#include "labels.h"
#include "netd/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pod *pod;
	AUTO(json_freep) json_t *problems = json_array();
	AUTO(json_freep) json_t *found = NULL;
	AUTO(json_freep) json_t *service = NULL;
	struct refusal r = { 0 };
	struct container *c = NULL;

	if (!pod) {
		pod = pod_new("docker-1");
		str_copy(pod->owner, sizeof(pod->owner), "docker");
		str_copy(pod->nets[0].network, NAME_LEN, "blue");
		ip_parse("10.5.0.7", &pod->nets[0].addr);
		mac_parse("02:00:0a:05:00:07", &pod->nets[0].mac);
		pod->nets_len = 1;
	}
	if (container_read((const char *)data, len, &c))
		return 0;
	container_is_pod(c, pod);
	found = container_found(c, pod, problems);
	/* Whatever was read can be written again. */
	if (!found)
		abort();
	service = labels_service(json_object_get(found, "labels"), "blue", &r);
	if (!service && r.code == API_OK)
		abort();
	container_free(c);
	return 0;
}
