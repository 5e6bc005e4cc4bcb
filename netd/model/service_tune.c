/* SPDX-License-Identifier: Apache-2.0 */
#include "service_tune.h"

#include "json.h"
#include "netd/util.h"

/* As Kubernetes' sessionAffinityConfig. */
#define AFFINITY_DEFAULT_S 10800
/* What fits beside the flags of a frontend (bpf_abi.h): half a year. */
#define AFFINITY_MAX_S 0xffffff

/* Uses of a connection are noted every 17 seconds (flow.bpf.h). */
#define IDLE_MIN_S 30u
/* As the kernel's conntrack has it for TCP. */
#define IDLE_MAX_S 432000u
#define IDLE_UDP_MAX_S 86400u

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 3600000
#define TIMEOUT_MIN_MS 10
#define COUNT_MAX 100

static const struct probe_check health_default = {
	.interval_ms = 1000, .timeout_ms = 500, .rise = 1, .fall = 2
};

#define CHOICE_WORDS 3

/* Settings that are one of a few words; the first is the default. */
static const struct choice {
	const char *field;
	const char *words[CHOICE_WORDS];
} choices[] = {
	{ "algo", { "random", "maglev" } },
	{ "policy", { "any", "prefer-local", "local" } },
	{ "on_dead", { "keep", "reset" } },
};

struct picks {
	unsigned int pick[ARRAY_LEN(choices)];
};

static struct picks picks_get(const struct tune *t)
{
	return (struct picks){ { t->algo, t->policy, t->on_dead } };
}

static void picks_set(struct tune *t, const struct picks *p)
{
	t->algo = (enum tune_algo)p->pick[0];
	t->policy = (enum tune_policy)p->pick[1];
	t->on_dead = (enum tune_on_dead)p->pick[2];
}

static int choice_parse(const struct choice *c, const char *text,
			unsigned int *ret)
{
	for (unsigned int i = 0; i < CHOICE_WORDS && c->words[i]; i++) {
		if (text && str_eq(c->words[i], text)) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int choices_read(struct tune *t, json_t *args, struct refusal *r)
{
	struct picks picks = picks_get(t);

	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		const struct choice *c = &choices[i];
		const char *text =
			json_string_value(json_object_get(args, c->field));
		const char *third = c->words[2];

		if (text && choice_parse(c, text, &picks.pick[i]))
			return refuse(r, API_INVALID, c->field,
				      "leave it out for the first of them",
				      "%s \"%.32s\" is not %s%s%s or %s",
				      c->field, text, c->words[0],
				      third ? ", " : "",
				      third ? c->words[1] : "",
				      third ? third : c->words[1]);
	}
	picks_set(t, &picks);
	return 0;
}

/* "client-ip", "client-ip=600", "none" */
static int affinity_read(struct tune *t, json_t *args, struct refusal *r)
{
	const char *text = json_string_value(json_object_get(args, "affinity"));
	const char *rest = text ? str_after(text, "client-ip") : NULL;

	if (!text)
		return 0;
	if (str_eq(text, "none")) {
		t->affinity_s = 0;
		return 0;
	}
	if (rest && !*rest) {
		t->affinity_s = AFFINITY_DEFAULT_S;
		return 0;
	}
	if (!rest || *rest != '=' ||
	    str_to_u32(rest + 1, 1, AFFINITY_MAX_S, &t->affinity_s))
		return refuse(r, API_INVALID, "affinity",
			      "write client-ip, client-ip=SECONDS or none",
			      "affinity \"%.32s\" is not client-ip with 1 to "
			      "%d seconds",
			      text, AFFINITY_MAX_S);
	return 0;
}

int tune_duration_parse(const char *text, uint32_t *ms)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = { { "ms", 1 },    { "s", 1000 },	{ "", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	size_t digits = strspn(text, "0123456789");
	char number[16];
	uint32_t n;

	if (str_format(number, sizeof(number), "%.*s", (int)MIN(digits, 15U),
		       text) ||
	    str_to_u32(number, 0, TUNE_DURATION_MAX_MS, &n))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!str_eq(text + digits, units[i].unit))
			continue;
		if (n > TUNE_DURATION_MAX_MS / units[i].ms)
			return -ERANGE;
		*ms = n * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

static int duration_read(json_t *args, const char *field, uint32_t min_ms,
			 uint32_t *ret, struct refusal *r)
{
	const char *text = json_string_value(json_object_get(args, field));
	uint32_t ms;

	if (!text)
		return 0;
	if (tune_duration_parse(text, &ms) || ms < min_ms ||
	    ms > INTERVAL_MAX_MS)
		return refuse(r, API_INVALID, field,
			      "write a time such as 1s or 500ms",
			      "%s \"%.32s\" is not a time from %ums to 1h",
			      field, text, min_ms);
	*ret = ms;
	return 0;
}

/* Settings of how long what says nothing is known; seconds. */
static const struct idle {
	const char *field;
	/* In the service's document. */
	const char *key;
	size_t offset;
	uint32_t max;
} idles[] = {
	{ "idle_timeout", "idle", offsetof(struct tune, idle_s), IDLE_MAX_S },
	{ "idle_half_closed", "idle_half_closed",
	  offsetof(struct tune, idle_half_s), IDLE_MAX_S },
	{ "idle_udp", "idle_udp", offsetof(struct tune, idle_udp_s),
	  IDLE_UDP_MAX_S },
};

static uint32_t *idle_at(struct tune *t, const struct idle *row)
{
	return (uint32_t *)(void *)((char *)t + row->offset);
}

static int idle_read(struct tune *t, json_t *args, const struct idle *row,
		     struct refusal *r)
{
	const char *text = json_string_value(json_object_get(args, row->field));
	uint32_t ms = 0;

	if (!text)
		return 0;
	if (!str_eq(text, "default") &&
	    (tune_duration_parse(text, &ms) || ms < IDLE_MIN_S * 1000 ||
	     ms / 1000 > row->max))
		return refuse(r, API_INVALID, row->field,
			      "write a time such as 30m, 12h or 5d, or default",
			      "%s \"%.32s\" is not a time from %us to %uh",
			      row->field, text, IDLE_MIN_S, row->max / 3600);
	*idle_at(t, row) = ms / 1000;
	return 0;
}

static int idles_read(struct tune *t, json_t *args, struct refusal *r)
{
	for (size_t i = 0; i < ARRAY_LEN(idles); i++)
		if (idle_read(t, args, &idles[i], r))
			return -EINVAL;
	return 0;
}

static int idles_from_json(struct tune *t, json_t *balance)
{
	for (size_t i = 0; i < ARRAY_LEN(idles); i++) {
		const struct idle *row = &idles[i];
		uint32_t *at = idle_at(t, row);

		if (json_object_get(balance, row->key) &&
		    (json_get_u32(balance, row->key, at) || *at < IDLE_MIN_S ||
		     *at > row->max))
			return -EINVAL;
	}
	return 0;
}

static void idles_to_json(const struct tune *t, json_t *balance)
{
	struct tune copy = *t;

	for (size_t i = 0; i < ARRAY_LEN(idles); i++) {
		uint32_t s = *idle_at(&copy, &idles[i]);

		if (s)
			json_object_set_new(balance, idles[i].key,
					    json_integer(s));
	}
}

static int count_read(json_t *args, const char *field, uint32_t *ret,
		      struct refusal *r)
{
	json_t *v = json_object_get(args, field);
	json_int_t n = json_integer_value(v);

	if (!v)
		return 0;
	if (n < 1 || n > COUNT_MAX)
		return refuse(r, API_INVALID, field, "2 or 3 is usual",
			      "%s %lld is not from 1 to %d", field,
			      (long long)n, COUNT_MAX);
	*ret = (uint32_t)n;
	return 0;
}

/* Printable, without a blank: it goes into a request line as it is. */
static bool path_is_valid(const char *path)
{
	if (*path != '/' || strlen(path) >= PROBE_PATH_LEN)
		return false;
	for (; *path; path++)
		if (*path <= ' ' || *path > '~')
			return false;
	return true;
}

/* "none", "tcp[:PORT]", "http[:PORT]:/PATH" */
static int check_parse(const char *text, struct probe_check *check)
{
	const char *rest;
	char number[8];
	uint32_t port = 0;
	size_t len;

	check->port = 0;
	check->path[0] = '\0';
	if (str_eq(text, "none")) {
		check->kind = PROBE_NONE;
		return 0;
	}
	rest = str_after(text, "tcp");
	check->kind = rest ? PROBE_TCP : PROBE_HTTP;
	if (!rest)
		rest = str_after(text, "http");
	if (!rest)
		return -EINVAL;
	len = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
	if (len) {
		if (str_format(number, sizeof(number), "%.*s", (int)len,
			       rest + 1) ||
		    str_to_u32(number, 1, 65535, &port))
			return -EINVAL;
		rest += 1 + len;
	}
	check->port = (uint16_t)port;
	if (check->kind == PROBE_TCP)
		return *rest ? -EINVAL : 0;
	if (*rest != ':' || !path_is_valid(rest + 1))
		return -EINVAL;
	str_copy(check->path, sizeof(check->path), rest + 1);
	return 0;
}

void tune_health_text(const struct probe_check *check, char *buf, size_t size)
{
	char port[8] = "";

	if (check->port)
		snprintf(port, sizeof(port), ":%u", check->port);
	switch (check->kind) {
	case PROBE_TCP:
		snprintf(buf, size, "tcp%s", port);
		return;
	case PROBE_HTTP:
		snprintf(buf, size, "http%s:%s", port, check->path);
		return;
	case PROBE_NONE:
	case PROBE_KIND_MAX:
		snprintf(buf, size, "none");
		return;
	}
}

static int health_read(struct probe_check *check, json_t *args,
		       struct refusal *r)
{
	static const char *const details[] = { "health_interval",
					       "health_timeout", "health_rise",
					       "health_fall" };
	const char *text = json_string_value(json_object_get(args, "health"));

	if (check->kind == PROBE_NONE)
		*check = health_default;
	if (text && check_parse(text, check))
		return refuse(r, API_INVALID, "health",
			      "write tcp, tcp:PORT, http:/PATH, "
			      "http:PORT:/PATH or none",
			      "health \"%.64s\" is not a check", text);
	if (duration_read(args, "health_interval", INTERVAL_MIN_MS,
			  &check->interval_ms, r) ||
	    duration_read(args, "health_timeout", TIMEOUT_MIN_MS,
			  &check->timeout_ms, r) ||
	    count_read(args, "health_rise", &check->rise, r) ||
	    count_read(args, "health_fall", &check->fall, r))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(details); i++)
		if (check->kind == PROBE_NONE &&
		    json_object_get(args, details[i]))
			return refuse(r, API_INVALID, details[i],
				      "add --health tcp or --health http:/PATH",
				      "%s is given, but not what to check",
				      details[i]);
	return 0;
}

int tune_read(struct tune *tune, json_t *args, struct refusal *r)
{
	struct tune next = *tune;

	if (choices_read(&next, args, r) || affinity_read(&next, args, r) ||
	    idles_read(&next, args, r) || health_read(&next.health, args, r))
		return -EINVAL;
	*tune = next;
	return 0;
}

int tune_from_json(struct tune *tune, json_t *doc)
{
	json_t *balance = json_object_get(doc, "balance");
	json_t *health = json_object_get(doc, "health");
	struct probe_check *check = &tune->health;
	struct picks picks = picks_get(tune);

	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		json_t *v = json_object_get(balance, choices[i].field);

		if (v && choice_parse(&choices[i], json_string_value(v),
				      &picks.pick[i]))
			return -EINVAL;
	}
	picks_set(tune, &picks);
	if (json_object_get(balance, "affinity") &&
	    (json_get_u32(balance, "affinity", &tune->affinity_s) ||
	     tune->affinity_s > AFFINITY_MAX_S))
		return -EINVAL;
	if (idles_from_json(tune, balance))
		return -EINVAL;
	*check = health_default;
	if (!health)
		return 0;
	if (!json_is_string(json_object_get(health, "check")) ||
	    check_parse(json_string_value(json_object_get(health, "check")),
			check) ||
	    json_get_u32(health, "interval_ms", &check->interval_ms) ||
	    json_get_u32(health, "timeout_ms", &check->timeout_ms) ||
	    json_get_u32(health, "rise", &check->rise) ||
	    json_get_u32(health, "fall", &check->fall))
		return -EINVAL;
	return check->interval_ms < INTERVAL_MIN_MS ||
			       check->timeout_ms < TIMEOUT_MIN_MS ||
			       !check->rise || !check->fall
		       ? -EINVAL
		       : 0;
}

static void set_or_del(json_t *doc, const char *key, json_t *value)
{
	if (json_object_size(value))
		json_object_set(doc, key, value);
	else
		json_object_del(doc, key);
	json_decref(value);
}

static json_t *health_json(const struct probe_check *check)
{
	char text[PROBE_PATH_LEN + 16];

	if (check->kind == PROBE_NONE)
		return json_object();
	tune_health_text(check, text, sizeof(text));
	return json_pack("{s:s, s:i, s:i, s:i, s:i}", "check", text,
			 "interval_ms", (int)check->interval_ms, "timeout_ms",
			 (int)check->timeout_ms, "rise", (int)check->rise,
			 "fall", (int)check->fall);
}

void tune_to_json(const struct tune *tune, json_t *doc)
{
	struct picks picks = picks_get(tune);
	json_t *balance = json_object();

	for (size_t i = 0; i < ARRAY_LEN(choices); i++)
		if (picks.pick[i])
			json_object_set_new(
				balance, choices[i].field,
				json_string(choices[i].words[picks.pick[i]]));
	if (tune->affinity_s)
		json_object_set_new(balance, "affinity",
				    json_integer(tune->affinity_s));
	idles_to_json(tune, balance);
	set_or_del(doc, "balance", balance);
	set_or_del(doc, "health", health_json(&tune->health));
}
