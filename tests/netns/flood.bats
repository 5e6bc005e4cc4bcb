#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Clients that do not exist send to published ports and virtual IPs, one, two
# and three packets each: connections that are open stay, busy or silent,
# and new clients are served, though the table of new ones overflows. One of
# established ones that fills is seen by an operator. NETD_LONG=1: ten times as
# many.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 service create web --port 80 --port 81 --port 82 \
		--selector app=web --publish 8080:80
	for k in 1 2; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80 81 82
	done
	pod 1 client default
	nest
	pod 1 evil default
	for k in 1 2; do
		until_true 10 has_backends "$k" 2
	done
}

teardown_file()
{
	ip netns del "${NS}nested" 2>/dev/null || :
	lab_down
}

# A container in pod client: its sockets are none of a pod's, so that what it
# sends is balanced packet by packet.
nest()
{
	ip netns add "${NS}nested"
	ip link add eth0 netns "${NS}nested" type veth \
		peer name nest0 netns "$RUN/node1/ns/client"
	ip -n "${NS}nested" addr add 172.31.0.2/24 dev eth0
	ip -n "${NS}nested" link set eth0 up
	ip -n "${NS}nested" route add default via 172.31.0.1
	in_pod 1 client ip addr add 172.31.0.1/24 dev nest0
	in_pod 1 client ip link set nest0 up
	in_pod 1 client sysctl -qw net.ipv4.ip_forward=1
	in_pod 1 client nft "add table ip nest; add chain ip nest out {
		type nat hook postrouting priority srcnat; };
		add rule ip nest out oifname eth0 masquerade"
}

setup() { [[ -z ${NETD_LONG-} ]] && times=1 || times=10; }

backends()
{
	n "$1" service ps web -o json |
		jq '[.[] | select(.state == "up")] | length'
}
has_backends() { [[ $(backends "$1") -eq $2 ]]; }
# late NAME: one more; the hash alone would now take many elsewhere.
late()
{
	local count=$(($(backends 1) + 1))

	pod 2 "$1" default --label app=web
	serve 2 "$1" 80 81 82
	for k in 1 2; do until_true 5 has_backends "$k" "$count"; done
}
mac() { on "$1" ip -j link show "$2" | jq -r '.[0].address'; }

# served NAME: at least 99 in 100 of its connections.
served()
{
	job_end "$1"
	until_true 10 grep -q ' ok, ' "$RUN/out/$1"
	cat "$RUN/out/$1"
	awk -F '[ ,:]+' '/ ok, / { exit !($2 > 0 && $4 * 99 <= $2) }' \
		"$RUN/out/$1"
}
# unbroken NAME: none of the connections held.
unbroken()
{
	# Each of them speaks once more.
	for_a_while 1.1
	job_end "$1"
	until_true 20 grep -q ' ok, ' "$RUN/out/$1"
	cat "$RUN/out/$1"
	grep -q ' [1-9][0-9]* ok, 0 failed' "$RUN/out/$1"
}
hold()
{
	background "$@"
	until_true 20 grep -q open "$RUN/out/$1"
}

@test "a flood at a published port: the open ones stay, new ones are served" {
	for mode in hold rest; do
		hold "$mode" nsenter --net="/run/netns/${NS}ext" -- \
			"$BIN/nd-crowd" "$mode" 192.0.2.1 8080 150 600
	done
	late web-3
	background new nsenter --net="/run/netns/${NS}ext" -- \
		"$BIN/nd-load" new 192.0.2.1 8080 600
	# More of them than the table has room for.
	for each in 1 2 3; do
		on ext "$BIN/nd-flood" eth0 "$(mac 1 eth0)" 192.0.2.1 8080 \
			$((100000 * times)) "$each"
	done
	served new
	unbroken hold
	unbroken rest
}

# bytes ADDR: as bpftool takes a key's, v4-mapped; port PORT: the same.
bytes() { printf '0 0 0 0 0 0 0 0 0 0 255 255 %s ' "${1//./ }"; }
port() { echo "$(($1 / 256)) $(($1 % 256)) "; }
# knows_of ADDR DPORT SPORT..: of how many connections with these ports of the
# flood to this address host 1 knows.
knows_of()
{
	local addr=$1 dport=$2 count=0 sport
	shift 2
	for sport in "$@"; do
		# shellcheck disable=SC2046 # words
		! bpftool map lookup pinned "$RUN"/node1/bpf/maps-v*/flows \
			key $(bytes "$src") $(bytes "$addr") $(port "$sport") \
			$(port "$dport") 6 0 0 0 >/dev/null 2>&1 ||
			count=$((count + 1))
	done
	echo "$count"
}

# established CLIENT ADDR: the connections of this client that host 1 has
# balanced and will not forget.
word() { echo "$1" | awk -F. '{ print $1 + 256 * ($2 + 256 * ($3 + 256 * $4)) }'; }
established()
{
	bpftool -j map dump pinned "$RUN"/node1/bpf/maps-v*/established |
		jq --argjson src "$(word "$1")" --argjson dst "$(word "$2")" \
			'[.[].formatted.key | select(.side == 0 and
			 .src.w[3] == $src and .dst.w[3] == $dst)] | length'
}
held_by_packet() { [[ $(established "$(pod_ip 1 client)" "$vip") -ge $1 ]]; }

@test "a flood at a virtual IP: the same" {
	vip=$(svc_vip 1 web)
	src=$(pod_ip 1 evil)
	in_pod 1 evil ping -c 1 -W 1 "$vip" >/dev/null || :
	gate=$(in_pod 1 evil ip -j neigh show dev eth0 |
		jq -r '[.[] | .lladdr // empty][0]')
	nested=(nsenter --net="/run/netns/${NS}nested" -- "$BIN/nd-crowd")
	hold held "${nested[@]}" hold "$vip" 80 100 600
	hold idle "${nested[@]}" rest "$vip" 80 100 600
	until_true 5 held_by_packet 200
	late web-4
	background new nsenter --net="/run/netns/${NS}nested" -- \
		"$BIN/nd-load" new "$vip" 80 600
	# All ports there are, three times.
	for ((i = 0; i < times; i++)); do
		for each in 1 2 3; do
			in_pod 1 evil "$BIN/nd-flood" eth0 "$gate" "$vip" \
				$((79 + each)) 64512 "$each" "$src"
		done
	done
	# The first are forgotten, the last are not.
	[ "$(knows_of "$vip" 80 {1024..1073})" -lt 5 ]
	[ "$(knows_of "$vip" 82 {65486..65535})" -gt 45 ]
	served new
	unbroken held
	unbroken idle
}

crowded()
{
	n 2 status -o json |
		jq -e '.checks[] | select(.name == "connections") | .ok == false'
}
told()
{
	n 2 system events --since 10m --no-follow -o json |
		jq -se --arg a "$1" 'map(select(.kind == "connections")) |
			last | .action == $a'
}

@test "a table of connections that fills: an alarm, a counter, and all work" {
	# The smallest there is.
	count=$(backends 2)
	lab stop 2
	NETD_OVERLAY_FLOWS=1024 lab start 2
	until_true 10 has_backends 2 "$count"
	hold held nsenter --net="/run/netns/${NS}ext" -- \
		"$BIN/nd-crowd" hold 192.0.2.2 8080 1200 600
	until_true 15 crowded
	until_true 5 told crowded
	n 2 status | grep "raise overlay.flows"
	[[ $(n 2 status -o json | jq -r '.checks[] |
		select(.name == "connections") | .value') =~ \
		([0-9]+)" packets found it full" ]]
	[ "${BASH_REMATCH[1]}" -gt 0 ]
	[[ $(ask_on ext tcp 192.0.2.2 8080) == web-* ]]
	unbroken held
}
