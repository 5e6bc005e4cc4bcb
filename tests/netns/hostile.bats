#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What somebody sends who means harm: a pod, a host that is no node, a
# container on a node's own bridge, a node that has been taken over. Sensors
# stand wherever it must not arrive; among the crafted frames are honest ones,
# which must; by IPv4 and IPv6. NETD_LONG=1: ten times as many.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 network create blue
	n 1 network create six --ipv6
	n 1 network create red --ipv6
	for net in blue six red; do
		until_true 5 n 2 network inspect "$net"
	done
	pod 1 evil default
	pod 1 near default
	pod 2 far default
	pod 1 x blue
	pod 2 y blue --label app=y
	for name in evil near; do
		pod 1 "${name}6" six
	done
	pod 2 far6 six
	pod 1 x6 red
	pod 2 y6 red --label app=y
	serve 2 far 7000
	n 1 service create web --port 80 --selector app=none
	n 1 service create by --network blue --port 7000 --selector app=y
	n 1 service create web --network six --port 80 --selector app=none
	n 1 service create by --network red --port 7000 --selector app=y
	until_true 10 in_pod 1 evil ping -c 1 -W 1 "$(pod_ip 2 far)"
	until_true 10 in_pod 1 x ping -c 1 -W 1 "$(pod_ip 2 y)"
	until_true 10 in_pod 1 evil6 ping -c 1 -W 1 "$(pod_ip6 2 far6)"
	until_true 10 in_pod 1 x6 ping -c 1 -W 1 "$(pod_ip6 2 y6)"
	for k in 1 2; do
		serve_on "$k" "host$k" 7000
	done
}

teardown_file() { lab_down; }

setup() { [[ -z ${NETD_LONG-} ]] && times=1 || times=10; }

gateway() { n 1 network inspect "$1" | jq -r '.[0].gateway'; }
vni() { n 1 network inspect "$1" | jq -r '.[0].vni'; }
# mac HOST IF
mac() { on "$1" ip -j link show "$2" | jq -r '.[0].address'; }

# gate_of POD NETWORK: the MAC that it sends to.
gate_of()
{
	in_pod 1 "$1" ping -c 1 -W 1 "$(gateway "$2")" >/dev/null
	in_pod 1 "$1" ip -j neigh show "$(gateway "$2")" |
		jq -r '.[0].lladdr'
}

# watch NAME COMMAND..: a sensor; seen NAME: what it saw.
watch()
{
	local name=$1
	shift
	background "sensor-$name" "$@"
	until_true 5 grep -q listening "$RUN/out/sensor-$name"
}
watch_pod()
{
	watch "$2" "$BIN/netctl" -H "unix://$RUN/node$1/netd.sock" \
		pod exec "$2" -- "$BIN/nd-sensor" eth0
}
watch_host()
{
	watch "$1" nsenter --net="/run/netns/$NS$1" -- "$BIN/nd-sensor" \
		"${@:2}"
}
# saw NAME HONEST: nothing hostile, and all of the honest.
saw()
{
	job_end "sensor-$1"
	until_true 20 grep -q hostile, "$RUN/out/sensor-$1"
	grep -qx "0 hostile, $2 honest, 0 lost" "$RUN/out/sensor-$1" || {
		echo "$1 (want $2 honest): $(cat "$RUN/out/sensor-$1")"
		return 1
	}
}

# watch_all NEAR FAR X Y: pods here and there, of the sender's network and of
# another, and whoever is no pod.
watch_all()
{
	watch_pod 1 "$1"
	watch_pod 2 "$2"
	watch_pod 1 "$3"
	watch_pod 2 "$4"
	watch_host node1 netd0 eth0 lo
	watch_host node2 netd0 eth0 lo
	watch_host ext eth0
}
# saw_all NEAR FAR X Y: of the honest ones each was for one of the first two.
saw_all()
{
	local sensor heard

	for sensor in "$@" node1 node2 ext; do
		saw "$sensor" '[0-9]*'
	done
	heard=$(cat "$RUN/out/sensor-$1" "$RUN/out/sensor-$2" |
		awk '/honest/ { n += $3 } END { print n }')
	[ "$heard" -ge $(($(sent honest) - lost)) ]
}

drops() { n "$1" drops -o json | jq -c 'map({(.reason): .packets}) | add'; }
# rise BEFORE AFTER REASON: of that counter, or of all.
rise()
{
	jq -n --argjson a "$1" --argjson b "$2" --arg r "${3-}" '
		def of($o): if $r == "" then [$o[]] | add else $o[$r] end // 0;
		of($b) - of($a)'
}
sent() { awk -v what="$1" '$1 == what { print $2 }' "$RUN/out/sent"; }

# accounted HOST BEFORE LOST: each hostile frame is counted, for its reason,
# but for LOST that the kernel had no room for on the way to the program.
accounted()
{
	local now reason count all=0

	now=$(drops "$1")
	while read -r reason count; do
		[[ $reason != honest && $reason != uncounted ]] || continue
		all=$((all + count))
		[[ $reason = any || $(rise "$2" "$now" "$reason") -ge \
			$((count - $3)) ]] || return 1
	done <"$RUN/out/sent"
	echo "$all hostile, $(rise "$2" "$now") dropped"
	[[ $all -gt 0 && $(rise "$2" "$now") -ge $((all - $3)) ]]
}

# Packets that did not fit a queue: of an interface, of a pod's host side.
overflow()
{
	on "$1" ip -j -d -s link | jq --arg what "$2" '.[] | select(
		.ifname == $what or
		(.ifalias // "" | contains("netd:pod \($what) "))) |
		.stats64.rx.dropped' | awk '{ n += $1 } END { print n + 0 }'
}

@test "100,000 crafted frames of a pod: none arrives, each is counted" {
	watch_all near far x y
	before=$(drops 1)
	queue=$(overflow 1 evil)
	in_pod 1 evil "$BIN/nd-hostile" pod eth0 $((100000 * times)) \
		"own=$(pod_ip 1 evil)" "gate=$(gate_of evil default)" \
		"same=$(pod_ip 1 near)" "same=$(pod_ip 2 far)" \
		"foreign=$(pod_ip 1 x)" "foreign=$(pod_ip 2 y)" \
		"foreign=$(svc_vip 1 by blue)" "vip=$(svc_vip 1 web)" \
		node=192.0.2.1 node=192.0.2.2 "node=$(gateway default)" \
		store=192.0.2.250 "vni=$(vni blue)" >"$RUN/out/sent"
	lost=$(($(overflow 1 evil) - queue))
	until_true 10 accounted 1 "$before" "$lost"
	accounted 1 "$before" "$lost"
	saw_all near far x y
	[ "$lost" -lt $((1000 * times)) ]
}

gateway6() { n 1 network inspect "$1" | jq -r '.[0].gateway6'; }

@test "10,000 by IPv6: the same" {
	watch_all near6 far6 x6 y6
	before=$(drops 1)
	queue=$(overflow 1 evil6)
	in_pod 1 evil6 "$BIN/nd-hostile6" pod eth0 $((10000 * times)) \
		"own=$(pod_ip6 1 evil6)" "own=$(pod_ip 1 evil6)" \
		"gate=$(gate_of evil6 six)" "same=$(pod_ip6 1 near6)" \
		"same=$(pod_ip6 2 far6)" "foreign=$(pod_ip6 1 x6)" \
		"foreign=$(pod_ip6 2 y6)" "foreign=$(gateway6 red)" \
		"foreign=$(svc_vip6 1 by red)" "vip=$(svc_vip6 1 web six)" \
		node=2001:db8::1 node=2001:db8::2 "node=$(gateway6 six)" \
		"vni=$(vni red)" >"$RUN/out/sent"
	lost=$(($(overflow 1 evil6) - queue))
	until_true 10 accounted 1 "$before" "$lost"
	accounted 1 "$before" "$lost"
	saw_all near6 far6 x6 y6
	[ "$lost" -lt $((100 * times)) ]
}

# What nd-hostile has to know: pod far on host 2, by this interface of that.
to_far()
{
	printf '%s\n' "gate=$(mac 2 "$1")" node=192.0.2.2 \
		"vni=$(vni default)" "same=$(pod_ip 2 far)"
}

# Beside it, what members send goes on: pods, and clients from outside.
load_start()
{
	background_in 1 evil load-tunnel \
		"$BIN/nd-load" udp "$(pod_ip 2 far)" 7000 60
}
load_end()
{
	unharmed load-tunnel
}
# Neither the host's server nor the pod's got what a hostile frame asked.
not_served()
{
	until_true 5 grep -q . "$RUN/out/log-2-far"
	run ! grep -v " from $(pod_ip 1 evil):" "$RUN/out/log-2-far"
	run ! grep . "$RUN/out/log-2-host2"
}

@test "10,000 tunnel packets of a host that is no node: none gets in" {
	watch_pod 2 far
	watch_pod 2 y
	load_start
	before=$(drops 2)
	queue=$(overflow 2 eth0)
	# shellcheck disable=SC2046 # words
	on ext "$BIN/nd-hostile" stranger eth0 $((10000 * times)) \
		own=192.0.2.254 $(to_far eth0) >"$RUN/out/sent"
	lost=$(($(overflow 2 eth0) - queue))
	until_true 10 accounted 2 "$before" "$lost"
	accounted 2 "$before" "$lost"
	load_end
	saw far 0
	saw y 0
	not_served
	[ "$lost" -lt $((100 * times)) ]
}

# bridge NAME ADDRESS: an interface of host 2 with a container behind it.
bridge()
{
	ip link add "$1" netns "${NS}node2" type veth \
		peer name "$1" netns "${NS}ext"
	on 2 sysctl -qw "net.ipv6.conf.$1.accept_dad=0"
	on 2 ip link set "$1" up
	on ext ip link set "$1" up
	[[ ! $2 ]] || on 2 ip addr add "$2" dev "$1"
}
has_program() { on 2 ip link show "$1" && [ -e "$RUN/node2/bpf/links/uplink-$1" ]; }

@test "a node's address from a container's bridge is no node's" {
	bridge cbr0 172.30.0.1/24
	until_true 5 has_program cbr0
	watch_pod 2 far
	watch_pod 2 y
	load_start
	before=$(drops 2)
	# shellcheck disable=SC2046 # words
	on ext "$BIN/nd-hostile" impostor cbr0 $((10000 * times)) \
		own=192.0.2.1 $(to_far cbr0) >"$RUN/out/sent"
	until_true 10 accounted 2 "$before" 0
	load_end
	saw far 0
	saw y 0
	not_served
}

astray()
{
	on 2 nft -j list counter inet netd tunnel_astray |
		jq '.nftables[] | .counter? // empty | .packets'
}
has_astray() { [[ $(astray) -ge $1 ]]; }

@test "nor from an interface that is none of netd's" {
	bridge bare0 ""
	watch_pod 2 far
	load_start
	# shellcheck disable=SC2046 # words
	on ext "$BIN/nd-hostile" stranger bare0 7000 own=192.0.2.1 \
		$(to_far bare0) >"$RUN/out/sent"
	# Of seven kinds one comes from anybody, which is stopped here too,
	# and one by IPv6, which is not.
	until_true 10 has_astray 6000
	load_end
	saw far 0
	not_served
}

@test "10,000 wrong tunnel packets of a node: none gets to a pod" {
	watch_pod 2 far
	watch_pod 2 y
	before=$(drops 2)
	queue=$(($(overflow 2 eth0) + $(overflow 2 netd0)))
	# shellcheck disable=SC2046 # words
	on 1 "$BIN/nd-hostile" member eth0 $((10000 * times)) \
		own=192.0.2.1 $(to_far eth0) "other=$(vni blue)" \
		"vip=$(pod_ip 1 evil)" "foreign=$(pod_ip 2 y)" \
		"foreign=$(svc_vip 1 web)" "foreign=$(gateway default)" \
		foreign=192.0.2.2 foreign=203.0.113.9 >"$RUN/out/sent"
	lost=$(($(overflow 2 eth0) + $(overflow 2 netd0) - queue))
	until_true 10 accounted 2 "$before" "$lost"
	accounted 2 "$before" "$lost"
	saw y 0
	saw far '[0-9]*'
	heard=$(awk '/honest/ { print $3 }' "$RUN/out/sensor-far")
	[ "$heard" -ge $(($(sent honest) - lost)) ]
	[ "$lost" -lt $((100 * times)) ]
	run ! grep . "$RUN/out/log-2-host2"
}

@test "10,000 with IPv6 in them: the same" {
	watch_pod 2 far6
	watch_pod 2 y6
	before=$(drops 2)
	queue=$(($(overflow 2 eth0) + $(overflow 2 netd0)))
	on 1 "$BIN/nd-hostile6" member eth0 $((10000 * times)) \
		own=192.0.2.1 "own=$(pod_ip6 1 evil6)" \
		"gate=$(mac 2 eth0)" node=192.0.2.2 node=2001:db8::2 \
		"same=$(pod_ip6 2 far6)" "vip=$(svc_vip6 1 web six)" \
		"foreign=$(pod_ip6 2 y6)" "foreign=$(svc_vip6 1 web six)" \
		"foreign=$(gateway6 six)" foreign=2001:db8::2 \
		foreign=2001:db8:1::1 "vni=$(vni six)" "other=$(vni red)" \
		>"$RUN/out/sent"
	lost=$(($(overflow 2 eth0) + $(overflow 2 netd0) - queue))
	until_true 10 accounted 2 "$before" "$lost"
	accounted 2 "$before" "$lost"
	saw y6 0
	saw far6 '[0-9]*'
	heard=$(awk '/honest/ { print $3 }' "$RUN/out/sensor-far6")
	[ "$heard" -ge $(($(sent honest) - lost)) ]
	[ "$lost" -lt $((100 * times)) ]
}
