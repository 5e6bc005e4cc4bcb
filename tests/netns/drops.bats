#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# netctl drops: which packets are dropped, and why, with names for addresses.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 network create blue
	pod 1 a default
	pod 2 c blue
	until_true 5 known
	background watch "$BIN/netctl" -H "unix://$RUN/node1/netd.sock" \
		drops --watch -o json
}

teardown_file() { lab_down; }

known() { [[ $(n 1 pod ls -o json | jq length) = 2 ]]; }

# watched FILTER: has the watcher got a packet that jq's filter selects?
watched() { jq -se "any(.[]; $1)" "$RUN/out/watch"; }

# asks_until FILTER COMMAND..: the watcher may come after the first packet.
asks_until()
{
	local filter=$1
	shift
	"$@" >/dev/null 2>&1 || :
	watched "$filter"
}

@test "why a pod does not reach another network's" {
	until_true 10 asks_until '.reason == "isolation" and
		.protocol == "tcp" and .detail == "SYN" and
		.source.pod == "a" and .source.network == "default" and
		.destination.pod == "c" and .destination.network == "blue" and
		.destination.node == "node2" and .destination.port == 80 and
		.hook == "from_pod" and .pod == "a"' \
		in_pod 1 a nc -z -w 1 "$(pod_ip 2 c)" 80
}

@test "who sent what is not his own" {
	in_pod 1 a ip addr add 10.64.0.200/32 dev eth0
	until_true 10 asks_until '.reason == "spoof_ip" and .pod == "a" and
		.source.ip == "10.64.0.200" and .source.pod == null and
		.destination.gateway' \
		in_pod 1 a ping -c 1 -W 1 -I 10.64.0.200 10.64.0.1
	in_pod 1 a ip addr del 10.64.0.200/32 dev eth0
}

@test "what reaches the tunnel from no member" {
	until_true 10 asks_until '.reason == "not_member" and
		.hook == "from_uplink" and .destination.node == "node1" and
		.destination.port == 4789' \
		on ext bash -c 'echo x >/dev/udp/192.0.2.1/4789'
}

@test "what was dropped lately, in lines for people" {
	n 1 drops -f pod=c | grep -E '^[0-9T:.-]+Z isolation tcp a\.default 10[.0-9]+:[0-9]+ > c\.blue 10[.0-9]+:80 SYN: address of another network \([0-9]+ bytes, from_pod\)$'
	n 1 drops -f reason=spoof_ip | grep 'nobody.default 10.64.0.200 > gateway.default 10.64.0.1 echo request' |
		grep 'sent by a.default)'
	[ "$(n 1 drops -f reason=isolation -f network=none | wc -l)" -eq 0 ]
	n 1 drops --recent -f 'reason!=isolation' -o json | jq -se \
		'any(.[]; .reason == "not_member") and
		 all(.[]; .reason != "isolation")'
	n 1 drops -o json | jq -e 'any(.[]; .reason == "isolation" and
		.packets > 0 and .unseen == 0 and
		.recent[-1].destination.pod == "c")'
}

# Bash sends a datagram for each redirection, without a process.
flood()
{
	for ((i = 0; i < 3000; i++)); do
		echo x >"/dev/udp/$1/9"
	done
}
export -f flood

@test "a flood is counted, shown in part, and hides no other reason" {
	ask_pod 1 a flood 10.64.3.250
	[ "$(drops_of 1 no_route)" -ge 3000 ]
	n 1 drops -o json | jq -e 'any(.[]; .reason == "no_route" and
		.unseen > 2000 and .unseen < .packets)'
	[ "$(n 1 drops -f reason=isolation | wc -l)" -ge 1 ]
}

later() { n 1 drops -f pod=c | grep "isolation udp a.default .*:5999:"; }

@test "what is dropped while netd is dead is shown by the next one" {
	other=$(pod_ip 2 c)
	lab kill 1
	nsenter --net="$RUN/node1/ns/a" \
		bash -c "echo x >/dev/udp/$other/5999"
	lab start 1
	until_true 10 later
}

@test "bad words are refused" {
	refused 2 "names no field" n 1 drops --watch -f colour=red
	refused 2 "names no field" n 1 drops -f reason
}
