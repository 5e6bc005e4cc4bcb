#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names: every form, who may see them, what goes to the outside and what not.

load ../lib/e2e

setup_file()
{
	lab_up 3
	n 1 network create blue
	n 1 network create closed --internal
	n 1 service create redis --port 6379 --selector app=redis
	n 1 service create redis --network blue --port 6379 \
		--selector app=redis
	for k in 1 2 3; do
		until_true 5 n "$k" network inspect closed
		until_true 5 n "$k" service inspect redis --network blue
	done
	pod 1 redis-1 default --label app=redis
	pod 2 redis-2 default --label app=redis
	pod 1 client default
	pod 2 other blue
	pod 1 inner closed
	pod 3 aliased default,alias=cache
	for k in 1 2 3; do
		until_true 10 ready "$k"
	done
	until_true 5 resolves client cache
}

teardown_file() { lab_down; }

ready()
{
	[[ $(n "$1" service ps redis -o json |
		jq '[.[] | select(.state == "up")] | length') -eq 2 ]]
}
resolves() { [[ -n $(ask "$1" "$2") ]]; }

ask()
{
	local k=1
	[[ $1 != other ]] || k=2
	ask_pod "$k" "$1" lookup "${@:2}"
}
code()
{
	local k=1
	[[ $1 != other ]] || k=2
	ask_pod "$k" "$1" rcode "${@:2}"
}

@test "every form of a service's name is its virtual IP" {
	vip=$(svc_vip 1 redis)
	for name in redis redis.default redis.default.svc \
		redis.default.svc.cluster.local redis. redis.default. \
		REDIS.Default; do
		[ "$(ask client "$name")" = "$vip" ] ||
			{ echo "$name: $(ask client "$name")"; false; }
	done
}

@test "getent finds it by the search list" {
	in_pod 1 client getent hosts redis | grep -wF "$(svc_vip 1 redis)"
	in_pod 1 client getent hosts redis.default.svc |
		grep -wF "$(svc_vip 1 redis)"
}

@test "tasks gives the pods' addresses" {
	want=$({ pod_ip 1 redis-1; pod_ip 2 redis-2; } | sort)
	for name in tasks.redis tasks.redis.default \
		tasks.redis.default.svc.cluster.local; do
		[ "$(ask client "$name" | sort)" = "$want" ]
	done
}

@test "pods have names, aliases too" {
	[ "$(ask client redis-2.default)" = "$(pod_ip 2 redis-2)" ]
	[ "$(ask client redis-2)" = "$(pod_ip 2 redis-2)" ]
	[ "$(ask client cache.default)" = "$(pod_ip 3 aliased)" ]
}

@test "the same name on two networks is two services" {
	[ "$(ask other redis)" = "$(svc_vip 2 redis blue)" ]
	[ "$(ask client redis)" = "$(svc_vip 1 redis default)" ]
	[ "$(svc_vip 1 redis default)" != "$(svc_vip 2 redis blue)" ]
}

@test "names of a network are its members' alone" {
	[ -z "$(ask client other.blue)" ]
	[ "$(code client other.blue)" != NOERROR ]
	[ "$(ask other other.blue)" = "$(pod_ip 2 other)" ]
	[ "$(code client redis.blue.svc.cluster.local)" = NXDOMAIN ]
}

@test "unknown names of ours are NXDOMAIN and stay inside" {
	for name in nothing nothing.default nothing.default.svc.cluster.local \
		x.cluster.local; do
		[ "$(code client "$name")" = NXDOMAIN ] ||
			{ echo "$name: $(code client "$name")"; false; }
	done
	run ! grep -i nothing "$RUN/log/resolver"
}

@test "AAAA of a name that has only A is no data" {
	[ "$(code client AAAA redis.default)" = NOERROR ]
	[ -z "$(ask client AAAA redis.default)" ]
}

@test "addresses have names" {
	[ "$(ask client -x "$(svc_vip 1 redis)")" = \
		redis.default.svc.cluster.local. ]
	[[ $(ask client -x "$(pod_ip 2 redis-2)") == redis-2.default.* ]]
	[ "$(code client -x 10.64.255.250)" = NXDOMAIN ]
}

@test "SRV names the port" {
	line=$(ask client SRV _6379._tcp.redis.default)
	[[ $line == *" 6379 redis.default."* ]]
}

@test "it answers over TCP" {
	[ "$(ask client +tcp redis.default)" = "$(svc_vip 1 redis)" ]
}

@test "outside names are forwarded and cached" {
	[ "$(ask client example.test)" = 198.51.100.1 ]
	[ "$(ask client www.example.test | tail -n 1)" = 198.51.100.1 ]
	[ "$(ask client many.example.test | wc -l)" -eq 3 ]
	[ "$(code client nowhere.test)" = NXDOMAIN ]
	before=$(grep -c '^example.test 1$' "$RUN/log/resolver")
	ask client example.test
	[ "$(grep -c '^example.test 1$' "$RUN/log/resolver")" -eq "$before" ]
}

@test "a slow name delays no other, a dead one ends as SERVFAIL" {
	background_in 1 client slow \
		dig +short +tries=1 +time=5 slow.example.test
	background_in 1 client dead dig +tries=1 +time=8 dead.example.test
	until_true 5 grep -q dead.example "$RUN/log/resolver"
	start=$(now_ms)
	[ "$(ask client redis)" = "$(svc_vip 1 redis)" ]
	[ "$(ask client example.test)" = 198.51.100.1 ]
	[ $(($(now_ms) - start)) -lt 1000 ]
	until_true 8 grep -q 198.51.100.4 "$RUN/out/slow"
	until_true 8 grep -q SERVFAIL "$RUN/out/dead"
}

@test "internal networks have their own names and no outside" {
	[ "$(ask inner inner.closed)" = "$(pod_ip 1 inner)" ]
	[ "$(code inner many.example.test)" = REFUSED ]
}

@test "the host resolves by a gateway address" {
	gw=$(n 1 network inspect default | jq -r '.[0].gateway')
	[ "$(ask_on 1 lookup "@$gw" redis.default)" = "$(svc_vip 1 redis)" ]
}

@test "names follow what is there" {
	pod 2 fleeting default
	until_true 5 resolves client fleeting.default
	n 2 pod rm fleeting
	until_true 2 gone_name fleeting.default
	n 3 service create later --port 80 --selector app=redis
	until_true 2 resolves client later.default
	n 3 service rm later
	until_true 2 gone_name later.default
}
gone_name() { [[ $(code client "$1") = NXDOMAIN ]]; }

@test "a killed DNS server is back at once" {
	first=$(n 1 status -o json | jq .dns_pid)
	kill -KILL "$first"
	until_true 5 resolves client redis.default
	[ "$(n 1 status -o json | jq .dns_pid)" != "$first" ]
}
