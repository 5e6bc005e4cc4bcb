#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker's network driver: real engines on two hosts at once.

load ../lib/e2e
load ../lib/docker

setup_file()
{
	export NETD_ADAPTERS_DOCKER_ENABLED=true
	export NETD_ADAPTERS_DOCKER_GRACE=2s
	lab_up 2
	docker_up 1
	docker_up 2
	n 1 network create blue
	until_true 5 n 2 network inspect blue
	n 1 service create redis --network blue --port 6379
	join 1 blue blue
	join 2 blue blue
}

teardown_file()
{
	docker_down
	lab_down
	docker_trace
}

# join K NETWORK NAME [OPTIONS..]: a network of the engine for the cluster's.
join()
{
	local k=$1 network=$2 name=$3
	shift 3
	dkn "$k" network create -d netd --ipam-driver netd \
		--ipam-opt netd.network="$network" "$@" "$name" >/dev/null
}

# web K NAME [OPTIONS..]: a container that says its name and who asked.
web()
{
	local k=$1 name=$2
	shift 2
	dkn "$k" run -d --name "$name" --hostname "$name" "$@" box \
		httpd -f -p 80 -h /www >/dev/null
}

ip_of() { dkn "$1" inspect -f "{{(index .NetworkSettings.Networks \"${3:-blue}\").IPAddress}}" "$2"; }
ip6_of() { dkn "$1" inspect -f "{{(index .NetworkSettings.Networks \"$3\").GlobalIPv6Address}}" "$2"; }
ask() { timeout 5 curl -s -m 3 "http://$1/cgi-bin/who"; }
export -f ask
inside() { dkn "$1" exec "$2" timeout 5 wget -qO- "http://$3/cgi-bin/who"; }
cut_off() { ! dkn "$1" exec "$2" timeout 1 wget -qO- "http://$3/cgi-bin/who"; }
# What newer clients say otherwise: an address and a MAC of the container's.
static_box()
{
	curl -sf --unix-socket "$DOCKER_RUN/1/sock" \
		-H 'Content-Type: application/json' -d "{\"Image\": \"box\",
		\"Cmd\": [\"sleep\", \"600\"], \"MacAddress\": \"$2\",
		\"HostConfig\": {\"NetworkMode\": \"fixed\"},
		\"NetworkingConfig\": {\"EndpointsConfig\": {\"fixed\":
		{\"IPAMConfig\": {\"IPv4Address\": \"$1\"}}}}}" \
		'http://d/v1.41/containers/create?name=static'
	dk start static
}
held() { n "$1" docker status -o json | jq '.driver.addresses | length'; }
none_held() { [[ $(held "$1") -eq 0 ]]; }
pods_on() { n "$1" pod ls -o json | jq -r --arg n "node$1" '.[] | select(.node == $n) | .name'; }
no_pods() { [[ -z $(pods_on "$1") ]]; }

# refused_net WORDS OPTIONS..: no such network, and why.
refused_net()
{
	local words=$1
	shift
	refused 1 "$words" dk network create -d netd --ipam-driver netd "$@" no
}

# are_pair IP IP6: both are the n-th of their subnets, as their ends show.
are_pair() { [[ ${1##*.} -eq $((16#${2##*:})) ]]; }

@test "a network without netd's IPAM is refused with the right command" {
	run ! dk network create -d netd plain
	[[ $output == *"same addresses out on every host"* ]]
	[[ $output == *"docker network create -d netd --ipam-driver netd --ipam-opt netd.network=NAME NAME"* ]]
	run ! dk network create -d netd --ipam-driver netd plain
	[[ $output == *"--ipam-opt netd.network=NAME"* ]]
}

@test "containers of two engines reach each other" {
	web 1 one --network blue
	web 2 two --network blue
	[ "$(inside 1 one "$(ip_of 2 two)")" = "two from $(ip_of 1 one)" ]
	[ "$(inside 2 two "$(ip_of 1 one)")" = "one from $(ip_of 2 two)" ]
	[ "$(ip_of 1 one)" != "$(ip_of 2 two)" ]
}

@test "names: the engine's own, netd's and those outside, without --dns" {
	dk run --rm --network blue box nslookup one | grep "$(ip_of 1 one)"
	dk run --rm --network blue box nslookup redis.blue |
		grep "$(svc_vip 1 redis blue)"
	dk exec one nslookup redis.blue | grep "$(svc_vip 1 redis blue)"
	dk exec one nslookup example.test | grep 198.51.100.1
	dk exec one nslookup "$(ip_of 1 one)"
}

@test "an alias of netd's resolves on the other engine" {
	dk run -d --name cache --network name=blue,driver-opt=netd.alias=cache \
		box sleep 600 >/dev/null
	until_true 5 dkn 2 exec two nslookup cache.blue
	dkn 2 exec two nslookup cache.blue | grep "$(ip_of 1 cache)"
	dk rm -f cache
}

@test "-p reaches the container with the client's own address" {
	web 1 pub --network blue -p 8080:80 -p 127.0.0.1:8081:80
	[ "$(ask_on ext ask 192.0.2.1:8080)" = "pub from 192.0.2.254" ]
	[ "$(ask_on 2 ask 192.0.2.1:8080)" = "pub from 192.0.2.2" ]
	[ "$(ask_on 1 ask 127.0.0.1:8081)" = "pub from 192.0.2.1" ]
	run ! ask_on ext ask 192.0.2.1:8081
	n 1 pod ls | grep '8080->80/tcp'
	run ! web 1 taken --network blue -p 8080:80
	dk logs taken || :
	dk rm -f taken pub
	run ! ask_on ext ask 192.0.2.1:8080
}

@test "--ip, --mac-address and their conflicts" {
	local subnet base
	subnet=$(n 1 network inspect blue | jq -r '.[0].subnets[0]')
	base=${subnet%.*}
	join 1 blue fixed --subnet "$subnet"
	static_box "$base.200" 02:11:22:33:44:55
	dk exec static ip addr show eth0 | grep "inet $base.200/"
	dk exec static ip addr show eth0 | grep 02:11:22:33:44:55
	run ! dkn 1 run --rm --network fixed --ip "$base.200" box true
	[[ $output == *"$base.200"*"is taken by pod"* ]]
	dk restart -t 0 static
	dk exec static ip addr show eth0 | grep "inet $base.200/"
	run ! dkn 1 run --rm --network fixed --ip 10.200.0.7 box true
	dk rm -f static
	dk network rm fixed
}

@test "--internal has no way out, and names of its own" {
	join 1 dark dark --internal
	n 1 network inspect dark | jq -e '.[0].internal'
	n 1 service create db --network dark --port 5432
	web 1 in-1 --network dark
	web 1 in-2 --network dark
	inside 1 in-1 "$(ip_of 1 in-2 dark)" | grep '^in-2'
	dk exec in-1 nslookup in-2
	dk exec in-1 nslookup db.dark | grep "$(svc_vip 1 db dark)"
	run ! dk exec in-1 timeout 2 wget -qO- http://198.51.100.1/
	run ! dk exec in-1 nslookup example.test
	dk rm -f in-1 in-2
	n 1 service rm db --network dark
	dk network rm dark
	until_true 5 bash -c "! '$BIN/netctl' -H unix://$RUN/node1/netd.sock network inspect dark"
}

@test "several networks, joined and left while it runs" {
	join 1 red red
	web 1 both --network blue
	web 1 other --network red
	dk network connect red both
	inside 1 both "$(ip_of 1 other red)" | grep '^other'
	inside 1 both "$(ip_of 1 one)" | grep '^one'
	cut_off 1 other "$(ip_of 1 one)"
	dk network disconnect red both
	cut_off 1 both "$(ip_of 1 other red)"
	inside 1 both "$(ip_of 1 one)" | grep '^one'
	n 1 service create r1 --network red --port 80
	dk network connect red both
	dk network disconnect blue both
	dk exec both nslookup r1.red | grep "$(svc_vip 1 r1 red)"
	n 1 service rm r1 --network red
	dk rm -f both other
	dk network rm red
}

@test "--dns is left alone" {
	dk run --rm --network blue --dns 192.0.2.254 box nslookup example.test
	run ! dk run --rm --network blue --dns 192.0.2.254 box \
		nslookup redis.blue
	dk run --rm --network blue \
		--dns "$(n 1 network inspect blue | jq -r '.[0].gateway')" box \
		nslookup redis.blue | grep "$(svc_vip 1 redis blue)"
}

@test "a subnet that is there says which network is meant" {
	join_by_subnet() {
		dk network create -d netd --ipam-driver netd --subnet "$1" sub
	}
	join_by_subnet "$(n 1 network inspect blue | jq -r '.[0].subnets[0]')"
	dk run --rm --network sub box nslookup redis.blue |
		grep "$(svc_vip 1 redis blue)"
	dk network rm sub
	run ! join_by_subnet 10.99.0.0/24
	[[ $output == *"netd.network=NAME"* ]]
}

@test "--ipv6: containers of two engines reach each other by both families" {
	join 1 six six --ipv6 --subnet 10.6.0.0/24 --subnet fd00:6::/64
	n 1 network inspect six |
		jq -e '.[0].subnets == ["10.6.0.0/24", "fd00:6::/64"]'
	until_true 5 n 2 network inspect six
	join 2 six six --ipv6
	web 1 six-1 --network six -p 8086:80
	web 2 six-2 --network six
	for k in 1 2; do
		are_pair "$(ip_of "$k" "six-$k" six)" "$(ip6_of "$k" "six-$k" six)"
	done
	[ "$(inside 1 six-1 "[$(ip6_of 2 six-2 six)]")" = \
		"six-2 from $(ip6_of 1 six-1 six)" ]
	[ "$(inside 2 six-2 "$(ip_of 1 six-1 six)")" = \
		"six-1 from $(ip_of 2 six-2 six)" ]
	dk exec six-1 ping -c 1 -W 2 fd00:6::1
	dk exec six-1 ip -6 route | grep '^default via fd00:6::1 '
	# Another network of Docker's may leave IPv6 out.
	join 1 six four
	dk run --rm --network four box ip -6 addr show eth0 >"$RUN/out/four"
	run ! grep 'scope global' "$RUN/out/four"
	dk network rm four
}

@test "a name has AAAA, its VIP and a published port are reached by IPv6" {
	n 1 service create web --network six --port 80 \
		--backend "$(ip_of 2 six-2 six):80"
	vip6=$(svc_vip6 1 web six)
	until_true 5 inside 1 six-1 "[$vip6]"
	[ "$(inside 1 six-1 "[$vip6]")" = "six-2 from $(ip6_of 1 six-1 six)" ]
	dk exec six-1 nslookup web.six | grep "^Address: $vip6\$"
	dk exec six-1 nslookup web.six | grep "^Address: $(svc_vip 1 web six)\$"
	[ "$(ask_on ext ask '[2001:db8::1]:8086')" = "six-1 from 2001:db8::fe" ]
	[ "$(ask_on ext ask 192.0.2.1:8086)" = "six-1 from 192.0.2.254" ]
	n 1 service rm web --network six
	run ! web 1 no --network six -p '[2001:db8::1]:8087:80'
	[[ $output == *"on 2001:db8::1 alone"* ]]
	dk rm -f no
}

@test "--ip and --ip6 are a pair, or the container does not start" {
	run_at() { dk run --rm --network six "$@" box ip addr show eth0; }
	run run_at --ip 10.6.0.40
	[[ $output == *"10.6.0.40/24"*"fd00:6::28/64"* ]]
	run run_at --ip 10.6.0.41 --ip6 fd00:6::29
	[[ $output == *"10.6.0.41/24"*"fd00:6::29/64"* ]]
	run ! run_at --ip 10.6.0.42 --ip6 fd00:6::29
	[[ $output == *"fd00:6::29 goes with 10.6.0.41"*"give --ip 10.6.0.41 as well"* ]]
	# Nothing is held for what was refused.
	run run_at --ip 10.6.0.42
	[[ $output == *"10.6.0.42/24"* ]]
	run ! run_at --ip6 fd00:6::2b
	[[ $output == *"give --ip 10.6.0.43 as well"* ]]
	run ! run_at --ip6 fd00:6::1:0
	[[ $output == *"pairs with none of 10.6.0.0/24"* ]]
}

@test "many at once have their addresses in pairs" {
	local i
	for i in 1 2 3 4 5 6; do
		web 1 "pair-$i" --network six &
	done
	wait
	for i in 1 2 3 4 5 6; do
		are_pair "$(ip_of 1 "pair-$i" six)" "$(ip6_of 1 "pair-$i" six)"
	done
	dk rm -f pair-1 pair-2 pair-3 pair-4 pair-5 pair-6
}

@test "IPv6 that cannot be is refused, and leaves no network" {
	n 1 network create only --subnet fd00:66::/64
	refused_net 'exists and has no IPv6' \
		--ipam-opt netd.network=blue --ipv6
	refused_net 'has the subnet fd00:6::/64' \
		--ipam-opt netd.network=six --ipv6 --subnet fd00:7::/64
	refused_net 'netctl network create --ipv6' \
		--ipam-opt netd.network=only --ipv6
	refused_net 'neither global unicast nor unique local' \
		--ipam-opt netd.network=new --ipv6 --subnet fe80::/64
	refused_net 'is fd00:7::1 on every node' \
		--ipam-opt netd.network=new --ipv6 --subnet fd00:7::/64 \
		--gateway fd00:7::9
	until_true 5 refused 3 'not found' n 1 network inspect new
	n 1 network rm only
	# An address that no container gets is kept by either half.
	join 1 six aux --ipv6 --subnet 10.6.0.0/24 --subnet fd00:6::/64 \
		--aux-address a=fd00:6::32 --aux-address b=10.6.0.51 \
		--aux-address c=fd00:6::33
	run ! dk run --rm --network aux --ip 10.6.0.50 box true
	[[ $output == *"held for Docker"* ]]
	run ! dk run --rm --network aux --ip 10.6.0.51 box true
	dk network rm aux
	dk run --rm --network six --ip 10.6.0.50 box true
}

@test "netd killed and started: both families go on" {
	lab kill 1
	[ "$(inside 1 six-1 "[$(ip6_of 2 six-2 six)]")" = \
		"six-2 from $(ip6_of 1 six-1 six)" ]
	lab start 1
	[ "$(inside 2 six-2 "[$(ip6_of 1 six-1 six)]")" = \
		"six-1 from $(ip6_of 2 six-2 six)" ]
	n 1 docker status | grep "$(ip6_of 1 six-1 six)"
	dk restart -t 0 six-1
	are_pair "$(ip_of 1 six-1 six)" "$(ip6_of 1 six-1 six)"
	[ "$(inside 2 six-2 "[$(ip6_of 1 six-1 six)]")" = \
		"six-1 from $(ip6_of 2 six-2 six)" ]
	dk rm -f six-1
	dkn 2 rm -f six-2
	dk network rm six
	dkn 2 network rm six
	until_true 5 refused 3 'not found' n 1 network inspect six
}

@test "eight containers at once, started and ended" {
	local i

	for i in 1 2 3 4 5 6 7 8; do
		web 1 "many-$i" --network blue -p "810$i:80" &
	done
	wait
	for i in 1 2 3 4 5 6 7 8; do
		[ "$(ask_on ext ask "192.0.2.1:810$i")" = "many-$i from 192.0.2.254" ]
	done
	[ "$(for i in 1 2 3 4 5 6 7 8; do ip_of 1 "many-$i"; done |
		sort -u | wc -l)" -eq 8 ]
	dk rm -f many-1 many-2 many-3 many-4 many-5 many-6 many-7 many-8
}

@test "the gateway is Docker's, or nobody's, when that is asked for" {
	join 1 blue gw-docker -o netd.gateway=docker
	join 1 blue gw-none -o netd.gateway=none
	web 1 gd --network gw-docker -p 8090:80
	web 1 gn --network gw-none
	dk port gd | grep 8090
	ask_on ext ask 192.0.2.1:8090 | grep '^gd from'
	dk exec gd nslookup redis.blue | grep "$(svc_vip 1 redis blue)"
	inside 1 gd "$(ip_of 2 two)" | grep '^two'
	inside 1 gn "$(ip_of 2 two)" | grep '^two'
	run ! dk exec gn timeout 2 wget -qO- http://198.51.100.1/
	dk rm -f gd gn
	dk network rm gw-docker gw-none
	run ! join 1 blue bad -o netd.gateway=both
	[[ $output == *"netd, docker or none"* ]]
}

@test "netd killed and started: nothing is lost" {
	web 1 keep --network blue -p 8082:80
	lab kill 1
	inside 1 keep "$(ip_of 2 two)" | grep '^two'
	[ "$(ask_on ext ask 192.0.2.1:8082)" = "keep from 192.0.2.254" ]
	lab start 1
	inside 1 keep "$(ip_of 2 two)" | grep '^two'
	dk exec keep nslookup redis.blue | grep "$(svc_vip 1 redis blue)"
	[ "$(ask_on ext ask 192.0.2.1:8082)" = "keep from 192.0.2.254" ]
	dk restart -t 0 keep
	[ "$(ask_on ext ask 192.0.2.1:8082)" = "keep from 192.0.2.254" ]
	dk rm -f keep
}

@test "everything that ended has given its address back" {
	dk rm -f one
	dkn 2 rm -f two
	until_true 5 no_pods 1
	until_true 5 no_pods 2
	until_true 5 none_held 1
	until_true 5 none_held 2
	[ "$(on 1 ip -br link | grep -c -E '^n[dp][0-9a-f]{12}')" -eq 0 ]
}

@test "the engine ends without a trace" {
	dk network rm blue
	dkn 2 network rm blue
	n 1 network inspect blue
	docker_down
	docker_trace
}
