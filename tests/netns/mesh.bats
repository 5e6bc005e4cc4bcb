#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The routing mesh: a published port answers on every host, and the backend
# sees the client's own address.

load ../lib/e2e

setup_file()
{
	lab_up 3
	n 1 service create web --port 80 --port 53/udp --selector app=web \
		--publish 8080:80 --publish 5353:53/udp
	for k in 2 3; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80 53
	done
	n 1 network create apart
	pod 1 client default
	pod 1 stranger apart
	for k in 1 2 3; do
		until_true 10 has_backends "$k" web 2
	done
}

teardown_file() { lab_down; }

@test "every host answers, the client's address is kept, TCP" {
	for k in 1 2 3; do
		for _ in 1 2 3 4 5 6; do
			line=$(ask_on ext tcp "192.0.2.$k" 8080)
			[[ $line == web-*" from 192.0.2.254:"* ]]
		done
	done
}

@test "every host answers, the client's address is kept, UDP" {
	for k in 1 2 3; do
		for _ in 1 2 3 4 5 6; do
			line=$(ask_on ext udp "192.0.2.$k" 5353)
			[[ $line == web-*" from 192.0.2.254:"* ]]
		done
	done
}

@test "all backends share, local or not" {
	for k in 1 2 3; do
		[ "$(who 60 ask_on ext tcp "192.0.2.$k" 8080)" = "web-2 web-3" ]
		[ "$(who 60 ask_on ext udp "192.0.2.$k" 5353)" = "web-2 web-3" ]
	done
}

@test "the reply's source is the address that was asked" {
	# nc's UDP socket is connected: another source would not reach it.
	for k in 1 2 3; do
		background_on ext cap tcpdump -nlq -i eth0 \
			udp and not port 4789 and port 5353
		until_true 5 grep -q listening "$RUN/out/cap"
		ask_on ext udp "192.0.2.$k" 5353
		until_true 5 grep -q "192.0.2.$k.5353 > 192.0.2.254" \
			"$RUN/out/cap"
		[ "$(grep -c '> 192.0.2.254' "$RUN/out/cap")" -eq \
			"$(grep -c "192.0.2.$k.5353 > 192.0.2.254" \
				"$RUN/out/cap")" ]
		job_end cap
	done
}

@test "a client behind a router keeps its address" {
	on ext ip addr add 203.0.113.5/32 dev lo
	line=$(on ext bash -c \
		'printf "echo\n" | nc -N -s 203.0.113.5 -w 2 192.0.2.1 8080')
	[[ $line == web-*" from 203.0.113.5:"* ]]
}

@test "a host reaches published ports at its own addresses" {
	for k in 1 2 3; do
		for addr in "192.0.2.$k" 127.0.0.1; do
			line=$(ask_on "$k" tcp "$addr" 8080)
			[[ $line == web-* ]]
			line=$(ask_on "$k" udp "$addr" 5353)
			[[ $line == web-* ]]
		done
	done
}

@test "a host reaches published ports of the others" {
	for a in 1 2 3; do
		for b in 1 2 3; do
			[[ $a -ne $b ]] || continue
			line=$(ask_on "$a" tcp "192.0.2.$b" 8080)
			[[ $line == web-*" from 192.0.2.$a:"* ]]
		done
	done
}

@test "pods reach published ports, of other networks too" {
	for k in 1 2 3; do
		line=$(ask_pod 1 client tcp "192.0.2.$k" 8080)
		[[ $line == web-* ]]
		line=$(ask_pod 1 stranger tcp "192.0.2.$k" 8080)
		[[ $line == web-* ]]
	done
}

@test "large answers pass by every host" {
	for k in 1 2 3; do
		for _ in 1 2 3; do
			[ "$(on ext curl -s -m 20 \
				"http://192.0.2.$k:8080/4000000" | wc -c)" \
				-eq 4000000 ]
		done
	done
}

@test "many connections at once through one host, none fails" {
	on ext "$BIN/nd-load" new 192.0.2.1 8080 3
}

@test "a host without netd still hands on" {
	lab kill 1
	on ext "$BIN/nd-load" new 192.0.2.1 8080 1
	lab start 1
}

@test "a backend that leaves is not asked again" {
	pod 1 web-1 default --label app=web
	serve 1 web-1 80 53
	until_true 5 used web-1
	n 1 pod rm web-1
	until_true 2 has_backends 3 web 2
	[ "$(who 60 ask_on ext tcp 192.0.2.1 8080)" = "web-2 web-3" ]
}
used() { [[ $(who 30 ask_on ext tcp 192.0.2.1 8080) == *$1* ]]; }

@test "a port is published and taken back" {
	n 2 service update web --publish-add 8081:80
	until_true 5 ask_on ext tcp 192.0.2.3 8081
	refused 4 8081 n 3 service create thief --port 80 -p 8081:80
	n 1 service update web --publish-rm 8081
	until_true 5 closed 192.0.2.3 8081
	# The freed port is anyone's again.
	until_true 5 n 3 service create thief --port 80 -p 8081:80
	n 3 service rm thief
}
closed() { ! ask_on ext tcp "$1" "$2"; }

# bound SERVICE WORDS..: the pods of web, published so.
bound()
{
	local name=$1
	shift
	n 1 service create "$name" --port 80 --selector app=web "$@"
	for k in 1 2 3; do
		until_true 5 n "$k" service inspect "$name"
	done
}
all_of() { [[ $(who 30 "$@") == "web-2 web-3" ]]; }

@test "a port is published on one host's address" {
	bound one -p 192.0.2.2:8085:80
	until_true 5 all_of ask_on ext tcp 192.0.2.2 8085
	line=$(ask_on ext tcp 192.0.2.2 8085)
	[[ $line == web-*" from 192.0.2.254:"* ]]
	# From its host, another one, and a pod; and nowhere else.
	for k in 2 1; do ask_on "$k" tcp 192.0.2.2 8085; done
	ask_pod 1 client tcp 192.0.2.2 8085
	ask_pod 1 stranger tcp 192.0.2.2 8085
	for addr in 192.0.2.1 192.0.2.3; do
		closed "$addr" 8085 && ! ask_on 2 tcp "$addr" 8085 || return 1
	done
	! ask_on 2 tcp 127.0.0.1 8085 || return 1
	# Large answers, too, from where the backend is not.
	[ "$(on ext curl -s -m 20 http://192.0.2.2:8085/4000000 | wc -c)" \
		-eq 4000000 ]
	[[ $(n 3 service ls | grep ^one) == *192.0.2.2:8085:80/tcp* ]]
	refused 4 '"one"' n 3 service create thief --port 80 -p 8085:80
	refused 4 '"one"' n 3 service create thief --port 80 \
		-p 192.0.2.2:8085:80
	# Another address's is another port.
	bound two -p 192.0.2.1:8085:80
	until_true 5 all_of ask_on ext tcp 192.0.2.1 8085
	n 1 service update two --publish-rm 192.0.2.1:8085
	until_true 5 closed 192.0.2.1 8085
	ask_on ext tcp 192.0.2.2 8085
	n 2 service rm one two
	until_true 5 closed 192.0.2.2 8085
}

@test "a port is published on the hosts' loopback" {
	bound here -p 127.0.0.1:8086:80
	for k in 1 2 3; do
		until_true 5 all_of ask_on "$k" tcp 127.0.0.1 8086
		closed "192.0.2.$k" 8086
		! ask_on "$k" tcp "192.0.2.$k" 8086 || return 1
	done
	! ask_pod 1 client tcp 127.0.0.1 8086 || return 1
	n 1 service rm here
	# A pod's own goes before, where it was first.
	pod 2 mine default -p 127.0.0.1:8086:80
	serve 2 mine 80
	refused 4 '"mine"' n 2 service create here --port 80 \
		-p 127.0.0.1:8086:80
	bound here -p 127.0.0.1:8086:80
	until_true 5 all_of ask_on 3 tcp 127.0.0.1 8086
	[ "$(who 10 ask_on 2 tcp 127.0.0.1 8086)" = mine ]
	n 2 pod rm mine
	until_true 5 all_of ask_on 2 tcp 127.0.0.1 8086
	n 1 service rm here
}

@test "addresses that cannot be published on are refused" {
	refused 2 "no node has" n 1 service create bad --port 80 \
		-p 198.51.100.9:8087:80
	refused 2 "no node has" n 1 service create bad --port 80 \
		-p "$(svc_vip 1 web):8087:80"
	refused 2 IPv6 n 1 service create bad --port 80 -p '[::1]:8087:80'
	refused 2 address n 1 service create bad --port 80 -p 300.1.1.1:1:80
	refused 4 "there already" n 1 service create bad --port 80 \
		-p 8087:80 -p 127.0.0.1:8087:80
	refused 1 "everybody there" n 1 service create bad --port 80 \
		-p 127.0.0.1:8087:80 --publish-from 192.0.2.0/24
	n 1 service create any --port 80 -p 0.0.0.0:8087:80
	[[ $(n 1 service ls | grep ^any) == *" 8087:80/tcp"* ]]
	n 1 service rm any
}
