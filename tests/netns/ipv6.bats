#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Networks of two families, and of IPv6 alone: addresses, names, services,
# published ports and the way out, as tools of every day see them.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 network create six --ipv6
	n 1 network create only --subnet fd00:77::/64
	for net in six only; do
		n 1 service create "web-$net" --network "$net" --port 80 \
			--port 53/udp --selector app=web
		for k in 1 2; do
			until_true 10 n "$k" service inspect "web-$net" \
				--network "$net"
			pod "$k" "$net-$k" "$net" --label app=web
			serve "$k" "$net-$k" -6 80 53
		done
	done
	n 1 service update web-six --network six --publish-add 8080:80 \
		--publish-add 5353:53/udp
	n 1 service update web-only --network only --publish-add 8081:80
	for k in 1 2; do
		until_true 15 has_backends "$k" web-six 2 six
		until_true 15 has_backends "$k" web-only 2 only
		until_true 10 is_published "$k" 8080
		until_true 10 is_published "$k" 8081
	done
	pod 1 plain default
}

teardown_file()
{
	ip netns del "${NS}box" 2>/dev/null || :
	lab_down
}

is_published() { on ext curl -sf -m 2 "http://[2001:db8::$1]:$2/"; }

# web K POD URL: one line of who answered.
web() { in_pod "$1" "$2" curl -s -m 5 "$3"; }

# The second address of a network is the first's pair.
@test "a pod has an address of each family, and they go together" {
	v4=$(pod_ip 2 six-2)
	v6=$(pod_ip6 2 six-2)
	[[ ${v6##*:} = "$(printf %x "${v4##*.}")" ]]
	in_pod 2 six-2 ip -6 addr show dev eth0 | grep "$v6/64.*nodad"
	[ "$(in_pod 2 six-2 ip -6 route show default | wc -l)" -eq 1 ]
	# A network of one family leaves pods without the other.
	[ -z "$(in_pod 2 only-2 ip -4 -o addr show dev eth0)" ]
	[ -z "$(in_pod 1 plain ip -6 addr show dev eth0 scope global)" ]
}

@test "pods reach each other, the gateway and the host by IPv6" {
	for net in six only; do
		v6=$(pod_ip6 2 "$net-2")
		[[ -n $v6 ]] || v6=$(pod_ip 2 "$net-2")
		in_pod 1 "$net-1" ping -c 2 -W 2 "$v6"
		in_pod 1 "$net-1" ping -c 1 -W 2 -s 1400 "$v6"
		on 1 ping -c 1 -W 2 "$v6"
		on 2 ping -c 1 -W 2 "$v6"
		gw=$(n 1 network inspect "$net" |
			jq -r '.[0] | [.gateway6, .gateway] | map(select(. != ""))[0]')
		in_pod 1 "$net-1" ping -c 1 -W 2 "$gw"
	done
}

@test "names have AAAA, and no A where there is none" {
	vip6=$(svc_vip6 1 web-six six)
	for k in 1 2; do
		[ "$(in_pod "$k" "six-$k" dig +short web-six AAAA)" = "$vip6" ]
		[ "$(in_pod "$k" "six-$k" dig +short web-six.six AAAA)" = "$vip6" ]
		[ "$(in_pod "$k" "six-$k" dig +short web-six.six A)" = \
			"$(svc_vip 1 web-six six)" ]
		[ "$(in_pod "$k" "six-$k" dig +short tasks.web-six.six AAAA |
			sort | xargs)" = \
			"$(printf '%s\n' "$(pod_ip6 1 six-1)" \
				"$(pod_ip6 2 six-2)" | sort | xargs)" ]
		[ "$(in_pod "$k" "only-$k" dig +short web-only.only AAAA)" = \
			"$(svc_vip 1 web-only only)" ]
		[ "$(ask_pod "$k" "only-$k" rcode web-only.only A)" = NOERROR ]
		in_pod "$k" "only-$k" grep -q '^nameserver fd00:77::1$' \
			/etc/resolv.conf
	done
	[ "$(in_pod 1 six-1 dig +short -x "$vip6")" = \
		web-six.six.svc.cluster.local. ]
	[ "$(in_pod 1 six-1 dig +short -x "$(pod_ip6 2 six-2)")" = \
		six-2.six.svc.cluster.local. ]
}

@test "an SRV names each pod once, with both its addresses" {
	answer=$(in_pod 1 six-1 dig _80._tcp.tasks.web-six.six SRV)
	[ "$(grep -c 'SRV.*six-[12].web-six.six' <<<"$answer")" -eq 2 ]
	for k in 1 2; do
		grep "^six-$k.*A.*$(pod_ip "$k" "six-$k")" <<<"$answer"
		grep "^six-$k.*AAAA.*$(pod_ip6 "$k" "six-$k")" <<<"$answer"
	done
}

@test "the server answers at the gateway of IPv6, by UDP and TCP" {
	gw=$(n 1 network inspect six | jq -r '.[0].gateway6')
	for way in +notcp +tcp; do
		[ "$(in_pod 1 six-1 dig "@$gw" "$way" +short six-2.six AAAA)" = \
			"$(pod_ip6 2 six-2)" ]
	done
	in_pod 1 six-1 dig "@$gw" +short www.example.com
}

@test "a virtual IP of IPv6 balances over both nodes" {
	vip6=$(svc_vip6 1 web-six six)
	[ "$(who 40 web 1 six-1 "http://[$vip6]/")" = "six-1 six-2" ]
	[ "$(who 40 web 2 only-2 "http://[$(svc_vip 1 web-only only)]/")" = \
		"only-1 only-2" ]
	in_pod 1 six-1 ping -c 1 -W 2 "$vip6"
	on 1 curl -sf -m 5 "http://[$vip6]/"
	in_pod 1 six-1 curl -sf -m 5 http://web-six.six/ -6
	line=$(ask_pod 1 six-1 udp "$vip6" 53)
	[[ $line == six-*" from [$(pod_ip6 1 six-1)]:"* ]]
}

@test "a published port answers at every node, the client's address kept" {
	for k in 1 2; do
		for port in 8080 8081; do
			for _ in 1 2 3 4; do
				line=$(on ext curl -sf -m 5 \
					"http://[2001:db8::$k]:$port/")
				[[ $line == *" from [2001:db8::fe]:"* ]]
			done
		done
		line=$(ask_on ext udp "2001:db8::$k" 5353)
		[[ $line == six-*" from [2001:db8::fe]:"* ]]
		[ "$(who 30 on ext curl -s -m 5 "http://[2001:db8::$k]:8080/")" = \
			"six-1 six-2" ]
		# By IPv4 as ever, and only where the network has it.
		on ext curl -sf -m 5 "http://192.0.2.$k:8080/"
		! on ext curl -sf -m 2 "http://192.0.2.$k:8081/"
		[ "$(on ext curl -s -m 20 \
			"http://[2001:db8::$k]:8080/1000000" | wc -c)" -eq 1000000 ]
	done
}

@test "who may ask is told by family" {
	n 1 service update web-six --network six --publish-from 2001:db8::/64
	until_true 5 off_by_v4
	on ext curl -sf -m 5 "http://[2001:db8::1]:8080/"
	n 1 service update web-six --network six --publish-from any
	until_true 5 on ext curl -sf -m 2 "http://192.0.2.1:8080/"
}

off_by_v4() { ! on ext curl -sf -m 1 "http://192.0.2.1:8080/"; }

@test "pods go out with the node's address" {
	line=$(web 2 six-2 "http://[2001:db8:1::1]/")
	[[ $line == "outside from [2001:db8::2]:"* ]]
	line=$(web 2 only-2 "http://[2001:db8:1::1]/")
	[[ $line == "outside from [2001:db8::2]:"* ]]
	n 1 network create shut --ipv6 --internal
	pod 1 inmate shut
	run in_pod 1 inmate ping -c 1 -W 1 2001:db8:1::1
	[ "$status" -ne 0 ]
	n 1 pod rm inmate
	until_true 5 n 1 network rm shut
}

@test "networks are apart" {
	run in_pod 1 six-1 ping -c 1 -W 1 "$(pod_ip 2 only-2)"
	[ "$status" -ne 0 ]
	run in_pod 1 only-1 curl -s -m 1 "http://[$(svc_vip6 1 web-six six)]/"
	[ "$status" -ne 0 ]
}

@test "a pod's own port answers by both families" {
	n 2 pod create own --network six -p 7070:80 >/dev/null
	serve 2 own -6 80
	for addr in 192.0.2.2 "[2001:db8::2]"; do
		line=$(on ext curl -sf -m 5 "http://$addr:7070/")
		[[ $line == "own from "* ]]
	done
	n 2 pod rm own
}

@test "a service's port is published on one address of IPv6" {
	n 1 service create bound --network six --port 80 --selector app=web \
		-p '[2001:db8::2]:8085:80' -p '[::1]:8086:80'
	until_true 10 answers ext '[2001:db8::2]:8085'
	[ "$(for _ in {1..20}; do
		on ext curl -s -m 2 'http://[2001:db8::2]:8085/'
	done | sed 's/ .*//' | sort -u | xargs)" = "six-1 six-2" ]
	for k in 1 2; do
		until_true 5 answers "$k" '[::1]:8086'
		answers "$k" '[2001:db8::2]:8085'
		# A backend too, which may be the one that is chosen.
		for _ in 1 2 3 4 5 6; do
			in_pod "$k" "six-$k" curl -sf -m 2 \
				'http://[2001:db8::2]:8085/'
		done
	done
	for url in '[2001:db8::1]:8085' 192.0.2.2:8085 '[2001:db8::2]:8086'; do
		! answers ext "$url" || return 1
	done
	[[ $(n 2 service ls | grep ^bound) == *"[2001:db8::2]:8085:80/tcp"* ]]
	n 2 service rm bound --network six
	refused 2 "has no IPv6" n 1 service create bad --port 80 \
		-p '[::1]:8087:80'
}
answers() { on "$1" curl -sf -m 1 "http://$2/"; }

# cni COMMAND: of a container on the network of two families.
cni()
{
	jq -n --arg socket "$RUN/node1/netd.sock" '{ cniVersion: "1.0.0",
		name: "six", type: "netd-cni", network: "six",
		socket: $socket }' |
		CNI_COMMAND=$1 CNI_CONTAINERID=box CNI_IFNAME=eth0 \
			CNI_NETNS=/run/netns/${NS}box CNI_PATH=$BIN \
			"$BIN/netd-cni"
}

@test "CNI tells both addresses, and routes by the gateway of their family" {
	ip netns add "${NS}box"
	cni ADD >"$RUN/out/cni"
	jq -e '[.ips[].address | contains(":")] == [false, true]' "$RUN/out/cni"
	jq -e '[.routes[] | select(.dst == "0.0.0.0/0" or .dst == "::/0")] |
		length == 2' "$RUN/out/cni"
	jq -e 'all(.routes[];
		(.dst | contains(":")) == (.gw | contains(":")))' "$RUN/out/cni"
	ip netns exec "${NS}box" ping -c 1 -W 2 "$(pod_ip6 2 six-2)"
	cni DEL
	ip netns del "${NS}box"
}

@test "health is asked by IPv6 where there is nothing else" {
	n 1 service update web-only --network only --health http:/
	until_true 15 all_healthy
	n 1 service update web-only --network only --health none
}

all_healthy()
{
	[[ $(n 1 service ps web-only --network only -o json |
		jq '[.[] | select(.health == "up")] | length') -eq 2 ]]
}

@test "addresses that are asked for" {
	gw=$(n 1 network inspect six | jq -r '.[0].gateway6')
	n 1 pod create chosen --network "six,ip6=${gw%1}99" >/dev/null
	[ "$(pod_ip6 1 chosen)" = "${gw%1}99" ]
	refused 2 "are no pair" n 1 pod create other \
		--network "six,ip=10.65.0.200,ip6=${gw%1}9a"
	refused 2 "has no IPv6" n 1 pod create other --network default,ip6=fd00::8
	n 1 pod rm chosen
	refused 2 "neither global unicast nor unique local" \
		n 1 network create bad --subnet fe80::/64
	refused 2 "two subnets of one family" n 1 network create bad \
		--subnet fd00:1::/64 --subnet fd00:2::/64
	refused 4 "overlaps the address" n 1 network create bad \
		--subnet 2001:db8::/64
	refused 2 "IPv6 needs an MTU of 1280" n 1 network create bad --ipv6 \
		--mtu 1000
}

@test "kill -9 of netd: no packet and no name is lost" {
	vip6=$(svc_vip6 1 web-six six)
	gw=$(n 1 network inspect six | jq -r '.[0].gateway6')
	for mode in hold new; do
		background "load-pod-$mode" nsenter --net="$RUN/node1/ns/six-1" \
			-- "$BIN/nd-load" "$mode" "$vip6" 80 60
		background_on ext "load-mesh-$mode" \
			"$BIN/nd-load" "$mode" 2001:db8::1 8080 60
	done
	background load-pod-dns nsenter --net="$RUN/node1/ns/six-1" -- \
		"$BIN/nd-load" dns "$gw" web-six.six 60
	for load in pod-hold pod-new mesh-hold mesh-new pod-dns; do
		until_true 5 has_begun "load-$load"
	done
	lab kill 1
	[ "$(in_ns six-1 dig "@$gw" +short web-six.six AAAA)" = "$vip6" ]
	lab start 1
	until_true 10 n 1 service inspect web-six --network six
	for_a_while 1
	for load in pod-hold pod-new mesh-hold mesh-new pod-dns; do
		unharmed "load-$load"
	done
	[ "$(who 30 web 1 six-1 "http://[$vip6]/")" = "six-1 six-2" ]
}

# A pod of host 1 while there is nobody to ask for it.
in_ns()
{
	local name=$1
	shift
	nsenter --net="$RUN/node1/ns/$name" -- "$@"
}

@test "what goes takes everything along" {
	for net in six only; do
		n 1 service rm "web-$net" --network "$net"
		for k in 1 2; do
			n "$k" pod rm "$net-$k"
		done
		until_true 10 n 1 network rm "$net"
	done
	for k in 1 2; do
		until_true 10 nothing_left "$k"
	done
}

nothing_left()
{
	[[ -z $(on "$1" ip -6 route show dev netd0 proto 78) ]] &&
		[[ -z $(on "$1" ip -6 addr show dev netd0 scope global) ]] &&
		! on "$1" nft list set inet netd pools6 | grep -q fd &&
		! on "$1" ss -Hlnu sport = :53 | grep -q '\[fd'
}
