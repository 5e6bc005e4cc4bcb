#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One host's link takes less than the others': its tunnel and its pods follow,
# also while they run, and whatever crosses it arrives.

load ../lib/e2e

BYTES=1048576

setup_file()
{
	lab_up 3
	for k in 1 2 3; do
		pod "$k" "pod-$k" default --label "app=on-$k"
	done
	n 1 service create on-1 --port 9000 --selector app=on-1 --publish 9001:9000
	n 1 service create on-3 --port 9000 --selector app=on-3 --publish 9003:9000
	for k in 1 2 3; do
		until_true 10 has_backend "$k" on-1
		until_true 10 has_backend "$k" on-3
	done
	head -c $BYTES /dev/urandom >"$RUN/out/sent"
}

teardown_file() { lab_down; }

has_backend()
{
	n "$1" service ps "$2" -o json | jq -e '.[] | select(.state == "up")'
}

tunnel_mtu() { on "$1" ip -o link show netd0 | grep -o 'mtu [0-9]*'; }
pod_mtu() { in_pod "$1" "pod-$1" ip -o link show eth0 | grep -o 'mtu [0-9]*'; }
is_tunnel_mtu() { [[ $(tunnel_mtu "$1") = "mtu $2" ]]; }
is_pod_mtu() { [[ $(pod_mtu "$1") = "mtu $2" ]]; }

# Sends the file to a server in pod-K's namespace, which sends it back.
mirror()
{
	local k=$1
	job_end "mirror-$k"
	background_in "$k" "pod-$k" "mirror-$k" socat \
		TCP-LISTEN:9000,fork,reuseaddr SYSTEM:'cat'
	until_true 5 in_pod "$k" "pod-$k" bash -c 'ss -Hltn sport = :9000 | grep -q .'
}

# echoed ADDRESS PORT [IN..]: what goes there comes back as it was.
echoed()
{
	local addr=$1 port=$2
	shift 2
	# shellcheck disable=SC2094 # both only read it
	"$@" timeout 10 socat -t 5 - "TCP:$addr:$port" <"$RUN/out/sent" |
		cmp - "$RUN/out/sent"
}

all_ways()
{
	local k t=$1
	for k in 1 2 3; do
		[[ $k = "$t" ]] || echoed "$(pod_ip "$t" "pod-$t")" 9000 in_pod "$k" "pod-$k"
		echoed "$(svc_vip 1 "on-$t")" 9000 in_pod "$k" "pod-$k"
		echoed "192.0.2.$k" "900$t" on ext
		echoed "192.0.2.$k" "900$t" in_pod 2 pod-2
		echoed "192.0.2.$k" "900$t" on 2
	done
}

@test "a link narrows: tunnel and pods follow within seconds" {
	for k in 1 2 3; do
		[ "$(tunnel_mtu "$k")" = "mtu 1450" ]
		[ "$(pod_mtu "$k")" = "mtu 1450" ]
	done
	on switch ip link set p3 mtu 1400
	on 3 ip link set eth0 mtu 1400
	until_true 5 is_tunnel_mtu 3 1350
	until_true 5 is_pod_mtu 3 1350
	[ "$(pod_mtu 1)" = "mtu 1450" ]
}

@test "a megabyte crosses it both ways: direct, VIP, mesh" {
	mirror 1
	mirror 3
	all_ways 3
	all_ways 1
}

@test "the link widens again" {
	on switch ip link set p3 mtu 1500
	on 3 ip link set eth0 mtu 1500
	until_true 5 is_tunnel_mtu 3 1450
	until_true 5 is_pod_mtu 3 1450
	all_ways 3
}
