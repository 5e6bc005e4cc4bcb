#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad input: what is asked wrongly is refused with the reason and its exit
# code, and nothing has changed.

load ../lib/e2e

setup_file()
{
	lab_up 1 --store sqlite
	n 1 network create blue --subnet 10.5.0.0/24
	pod 1 web default --label app=web
	n 1 service create web --port 80 --selector app=web --publish 8080:80
}

teardown_file() { lab_down; }

setup() { snapshot >"$RUN/out/before"; }

# All that a refused request could have changed.
snapshot()
{
	n 1 network ls -o json | jq -c 'sort_by(.name) | .[]'
	n 1 pod ls -o json | jq -c 'sort_by(.name) | .[]'
	n 1 service ls -o json | jq -c 'sort_by(.name) | .[]'
	on 1 ip -br addr
	on 1 ip route
	on 1 nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'
	ls "$RUN/node1/ns" "$RUN/node1/resolv"
}

unchanged()
{
	snapshot | diff "$RUN/out/before" - || {
		echo "something changed"
		return 1
	}
}

# Lines of CODE, TEXT and the words of netctl, by `|`.
table()
{
	local code text words bad=0 args

	while IFS='|' read -r code text words; do
		[[ -n $code ]] || continue
		eval "args=($words)"
		refused "$code" "$text" n 1 "${args[@]}" || bad=1
	done
	return "$bad"
}

@test "names that are no names" {
	table <<-'END'
		2|not a valid name|network create ''
		2|not a valid name|network create UPPER
		2|not a valid name|network create a.b
		2|not a valid name|network create a/b
		2|not a valid name|network create ../etc
		2|not a valid name|network create -- -x
		2|not a valid name|network create x-
		2|not a valid name|network create 'a b'
		2|not a valid name|network create "$(printf 'a\nb')"
		2|not a valid name|network create "$(printf '%064d' 0)"
		2|not a valid name|service create '' --port 80
		2|not a valid name|service create ../x --port 80
		2|not a valid name|service create a.b --port 80
		2|not a valid name|pod create '' --network default
		2|not a valid name|pod create . --network default
		2|not a valid name|pod create .. --network default
		2|not a valid name|pod create a/b --network default
		2|not a valid name|pod create a..b --network default
		2|not a valid name|pod create "$(printf '%0254d' 0)" --network default
	END
	for name in localhost local arpa invalid onion svc cluster tasks; do
		refused 2 "$name" n 1 network create "$name"
	done
	unchanged
}

@test "subnets that are none, or taken" {
	table <<-'END'
		2|subnet|network create x --subnet 10.6.0.0
		2|subnet|network create x --subnet 10.6.0.0/33
		2|subnet|network create x --subnet 10.6.0.0/-1
		2|subnet|network create x --subnet 10.6.0/24
		2|subnet|network create x --subnet 300.6.0.0/24
		2|10.6.0.0/24|network create x --subnet 10.6.0.9/24
		2|subnet|network create x --subnet 10.6.0.0/31
		2|subnet|network create x --subnet 10.6.0.0/32
		2|subnet|network create x --subnet 0.0.0.0/0
		2|subnet|network create x --subnet 127.0.0.0/24
		2|subnet|network create x --subnet 224.0.0.0/24
		2|subnet|network create x --subnet 169.254.0.0/24
		2|subnet|network create x --subnet text
		4|blue|network create x --subnet 10.5.0.0/25
		4|blue|network create x --subnet 10.4.0.0/15
		4|192.0.2.0/24|network create x --subnet 192.0.2.0/24
		4|VIP|network create x --subnet 10.80.0.0/24
	END
	unchanged
}

@test "ports that are none" {
	table <<-'END'
		2|port|service create x --port 0
		2|port|service create x --port 65536
		2|port|service create x --port -1
		2|port|service create x --port eighty
		2|port|service create x --port 80/sctp
		2|port|service create x --port 80:0
		2|port|service create x --port 80:65536
		2|port|service create x --port ''
		4|80/tcp|service create x --port 80 --port 80
		2|publish|service create x --port 80 -p 0:80
		2|publish|service create x --port 80 -p 65536:80
		2|publish|service create x --port 80 -p text
		2|backend|service create x --port 80 --backend 10.5.0.9
		2|backend|service create x --port 80 --backend 10.5.0.9:0
		2|backend|service create x --port 80 --backend name:80
		4|8080|service create x --port 80 -p 8080:80
	END
	unchanged
}

@test "a published port that a host's own program holds is shown" {
	serve_on 1 holder 9090
	n 1 service create x --port 80 -p 9090:80
	until_true 15 has_problem "node1: 9090/tcp held"
	job_end srv-1-holder
	until_true 15 no_problem
	n 1 service rm x
	n 1 service create x --port 80 -p 4789:80/udp
	until_true 15 has_problem "node1: 4789/udp held"
	n 1 service rm x
	unchanged
}
has_problem() { n 1 service inspect x | jq -r '.[0].problems[]' | grep "$1"; }
no_problem() { [[ $(n 1 service inspect x | jq '.[0].problems | length') -eq 0 ]]; }

@test "addresses that cannot be given" {
	ip=$(pod_ip 1 web)
	table <<-END
		2|10.9.9.9|pod create x --network default,ip=10.9.9.9
		2|gateway|pod create x --network blue,ip=10.5.0.1
		2|gateway|pod create x --network blue,ip=10.5.0.0
		2|gateway|pod create x --network blue,ip=10.5.0.255
		2|ip|pod create x --network blue,ip=nonsense
		4|$ip|pod create x --network default,ip=$ip
		2||pod create x --network blue,unknown=1
		2|twice|pod create x --network blue --network blue
	END
	unchanged
}

@test "what is not there is not found" {
	table <<-'END'
		3|nowhere|pod create x --network nowhere
		3|nowhere|service create x --network nowhere --port 80
		3|ghost|network inspect ghost
		3|ghost|network rm ghost
		3|ghost|pod inspect ghost
		3|ghost|pod rm ghost
		3|ghost|pod exec ghost -- true
		3|ghost|service inspect ghost
		3|ghost|service ps ghost
		3|ghost|service rm ghost
		3|ghost|service update ghost --label a=b
		3|ghost|network connect ghost web
		3|ghost|network connect blue ghost
		3||network disconnect blue web
	END
	n 1 network rm -f ghost
	n 1 pod rm -f ghost
	n 1 service rm -f ghost
	unchanged
}

@test "what is there is not made twice, what is used not removed" {
	table <<-'END'
		4|exists|network create blue
		4|exists|network create default
		4|exists|pod create web --network default
		4|exists|pod create WEB --network default
		4|exists|service create web --port 80
		6|default|network rm default
		4||network connect default web
	END
	unchanged
}

@test "removing twice says so the second time" {
	n 1 network create once
	n 1 network rm once
	refused 3 once n 1 network rm once
	pod 1 once default
	n 1 pod rm once
	refused 3 once n 1 pod rm once
	n 1 service create once --port 1
	n 1 service rm once
	refused 3 once n 1 service rm once
	unchanged
}

@test "several at once: the good ones are done, the rest is told" {
	n 1 network create good
	run -8 n 1 network rm ghost good
	[[ $output == *good* && $output == *ghost* ]]
	run ! n 1 network inspect good
	unchanged
}

@test "namespaces that are none" {
	touch "$RUN/out/plain"
	refused 2 "namespace" n 1 pod create x --network default \
		--netns "$RUN/out/plain"
	run ! n 1 pod create x --network default --netns /nonexistent
	refused 2 "namespace" n 1 pod create x --network default \
		--netns /proc/self/ns/mnt
	refused 2 "host's own" n 1 pod create x --network default \
		--netns "/run/netns/${NS}node1"
	unchanged
}

@test "words that netctl does not know" {
	table <<-'END'
		2|network|netwrk ls
		2|create|network creat x
		2|subnet|network create x --subnt 10.6.0.0/24
		2||network create
		2||network create a b
		2||pod create x --network
		2||pod create x --netns /a --pid 1 --network default
		2||pod create x
		1|encrypt|network create x -o encrypted=true
		1|driver|network create x -d bridge
		2|mtu|network create x --mtu 10
		2|mtu|network create x --mtu 70000
		2|mode|service create x --port 80 --endpoint-mode other
	END
	unchanged
}

@test "requests that are no requests" {
	post() { curl -s --unix-socket "$RUN/node1/netd.sock" "$@"; }
	code() { post -o /dev/null -w '%{http_code}' "$@"; }
	[ "$(code http://x/v1/nothing)" = 404 ]
	[ "$(code -X PUT http://x/v1/networks)" = 405 ]
	[ "$(code -d '{' http://x/v1/networks)" = 400 ]
	[ "$(code -d '[]' http://x/v1/networks)" = 400 ]
	[ "$(code -d '{"name":"a"} x' http://x/v1/networks)" = 400 ]
	[ "$(code -d '{"name":"a","name":"b"}' http://x/v1/networks)" = 400 ]
	[ "$(code -d '{"name":7}' http://x/v1/networks)" = 400 ]
	[ "$(code -d '{"name":"a","extra":1}' http://x/v1/networks)" = 400 ]
	[ "$(code -d '{"name":"a","mtu":1e400}' http://x/v1/networks)" = 400 ]
	[ "$(code -d '{"name":"a","mtu":4294967297}' http://x/v1/networks)" = 400 ]
	head -c 3000000 /dev/zero | tr '\0' '[' >"$RUN/out/deep"
	[ "$(code --data-binary "@$RUN/out/deep" http://x/v1/networks)" = 413 ]
	head -c 10000 "$RUN/out/deep" >"$RUN/out/nested"
	[ "$(code --data-binary "@$RUN/out/nested" http://x/v1/networks)" = 400 ]
	post -d '{"name":"a","extra":1}' http://x/v1/networks |
		jq -e '.field == "extra" and (.message | length) > 0'
	unchanged
}

@test "a client that vanishes half-way leaves nothing half done" {
	for _ in 1 2 3 4 5; do
		printf 'POST /v1/pods HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{"name":"half",' |
			timeout 0.2 socat - "UNIX:$RUN/node1/netd.sock" || :
	done
	unchanged
	n 1 version
}

@test "a second netd on the same root is refused, the first unharmed" {
	run -1 on 1 "$BIN/netd" --root "$RUN/node1" --node node1 \
		--address 192.0.2.1
	[[ $output == *"$(daemon_pid 1)"* ]]
	run -1 on 1 "$BIN/netd" --root "$RUN/node1" --node node1 --cleanup
	n 1 version
	unchanged
}

@test "options of netd that are wrong" {
	netd() { "$BIN/netd" --root "$RUN/other" "$@"; }
	refused 2 "" netd --no-such-option
	refused 2 "address" netd --address nonsense
	refused 2 "store" netd --store redis://x
	refused 2 "insecure" env -u NETD_STORE_INSECURE "$BIN/netd" \
		--root "$RUN/other" --store etcd://192.0.2.250:2379
	refused 2 "node" netd --node 'a b'
	printf 'ipam:\n  pols: [10.0.0.0/8]\n' >"$RUN/out/bad.yaml"
	refused 2 "bad.yaml:2:" netd --check-config --config "$RUN/out/bad.yaml"
	refused 2 "pools" netd --check-config --config "$RUN/out/bad.yaml"
	[ ! -e "$RUN/other" ]
	unchanged
}

@test "a folder that others may write to is not trusted" {
	mkdir -m 0777 "$RUN/open"
	run -1 on 1 "$BIN/netd" --root "$RUN/open" --node other \
		--address 192.0.2.1
	[[ $output == *"$RUN/open"* ]]
	unchanged
}

@test "a tunnel port that is held is named with its holder" {
	ip netns add "${NS}etcd"
	ip -n "${NS}etcd" link set lo up
	background_on etcd holder socat UDP-LISTEN:4789,fork /dev/null
	until_true 5 held
	mkdir -m 0700 "$RUN/held"
	run -1 timeout 10 nsenter --net="/run/netns/${NS}etcd" -- \
		"$BIN/netd" --root "$RUN/held" --node held --address 127.0.0.1
	echo "$output"
	[[ $output == *4789* && $output == *socat* ]]
	job_end holder
	nsenter --net="/run/netns/${NS}etcd" -- "$BIN/netd" \
		--root "$RUN/held" --node held --cleanup
	unchanged
}
held() { nsenter --net="/run/netns/${NS}etcd" -- ss -Hlun "sport = :4789" | grep .; }

@test "a route over the whole pool leaves no subnet to pick" {
	on 1 ip route add 10.64.0.0/10 via 192.0.2.254
	on 1 ip route add 172.16.0.0/12 via 192.0.2.254
	until_true 5 exhausted
	on 1 ip route del 10.64.0.0/10
	on 1 ip route del 172.16.0.0/12
	until_true 5 n 1 network create x
	n 1 network rm x
	unchanged
}
# A network that was made before netd saw the route is taken back.
exhausted()
{
	refused 1 "ipam.pools" n 1 network create x || {
		n 1 network rm -f x
		return 1
	}
}

@test "without the daemon, netctl says where it looked" {
	refused 5 "$RUN/none.sock" "$BIN/netctl" -H "unix://$RUN/none.sock" \
		network ls
	refused 2 "" "$BIN/netctl" -H "carrier-pigeon://x" network ls
}
