#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker's network driver when replies are lost (host 1, through a proxy that
# cuts), when daemons are killed and when a step of a call fails or is netd's
# last (host 2): no address is lost, no container goes without its network.

load ../lib/e2e
load ../lib/docker

FAULT=$RUN/fault
export NETD_FAULT_FILE=$FAULT

setup_file()
{
	export NETD_ADAPTERS_DOCKER_ENABLED=true
	export NETD_ADAPTERS_DOCKER_GRACE=2s
	lab_up 2
	background tap "$BIN/nd-tap" "$RUN/tap.sock" "$RUN/node1/docker.sock" \
		"$RUN/out/calls" "$RUN/cut"
	until_true 5 grep -q listening "$RUN/out/tap"
	docker_up 1 "$RUN/tap.sock"
	docker_up 2
	join 1 blue
	join 2 blue
}

teardown_file()
{
	docker_down
	lab_down
	docker_trace
}

# cut CALL: the answer to the next one of these is lost.
cut() { echo "/$1" >"$RUN/cut"; }
was_cut() { [[ ! -e $RUN/cut ]]; }

join()
{
	dkn "$1" network create -d netd --ipam-driver netd \
		--ipam-opt netd.network="$2" "$2" >/dev/null
}
# web K NAME [OPTIONS..]
web()
{
	local k=$1 name=$2
	shift 2
	# What is killed does not wait for ten seconds.
	dkn "$k" run -d --name "$name" --hostname "$name" --network blue \
		--stop-signal KILL "$@" \
		box httpd -f -p 80 -h /www
}
ip_of() { dkn "$1" inspect -f '{{.NetworkSettings.Networks.blue.IPAddress}}' "$2"; }
ask() { timeout 5 curl -s -m 3 "http://$1/cgi-bin/who"; }
export -f ask

pods_on() { n "$1" pod ls -o json | jq --arg n "node$1" '[.[] | select(.node == $n)] | length'; }
# Nothing of netd's is left: addresses, endpoints, pods, links.
clean()
{
	[[ $(n "$1" docker status -o json | jq '.driver |
		(.addresses + .endpoints) | length') -eq 0 ]] &&
		[[ $(pods_on "$1") -eq 0 ]] &&
		! on "$1" ip -br link | grep -E '^n[dp][0-9a-f]{12}'
}
# answers K NAME: the published port, with the client's address.
answers() { ask_on ext ask "192.0.2.$1:8080" | grep -q "^$2 from 192.0.2.254$"; }
one_endpoint()
{
	[[ $(n "$1" docker status -o json |
		jq '.driver.endpoints | length') -eq 1 && $(pods_on "$1") -eq 1 ]]
}
no_network() { refused 3 'not found' n "$1" network inspect "$2"; }

@test "a reply lost while a container starts leaks nothing" {
	local call

	for call in IpamDriver.RequestAddress NetworkDriver.CreateEndpoint \
		NetworkDriver.Join NetworkDriver.ProgramExternalConnectivity; do
		cut "$call"
		web 1 lost -p 8080:80 || :
		was_cut
		dk rm -f lost
		until_true 10 clean 1
		echo "$call: clean"
	done
	web 1 kept -p 8080:80
	answers 1 kept
}

@test "a reply lost while a container ends leaks nothing" {
	local call

	for call in NetworkDriver.RevokeExternalConnectivity \
		NetworkDriver.Leave NetworkDriver.DeleteEndpoint \
		IpamDriver.ReleaseAddress; do
		cut "$call"
		dk rm -f kept || :
		was_cut
		dk rm -f kept || :
		until_true 10 clean 1
		echo "$call: clean"
		web 1 kept -p 8080:80
	done
	dk rm -f kept
}

@test "a reply lost while a network is made or removed leaks nothing" {
	local call

	for call in IpamDriver.RequestPool NetworkDriver.CreateNetwork; do
		cut "$call"
		join 1 red || :
		was_cut
		dk network rm red || :
		until_true 10 no_network 1 red
		echo "$call: clean"
	done
	for call in NetworkDriver.DeleteNetwork IpamDriver.ReleasePool; do
		join 1 red
		cut "$call"
		dk network rm red || :
		was_cut
		dk network rm red || :
		until_true 10 no_network 1 red
		echo "$call: clean"
	done
}

@test "dockerd restarted keeps the network and the published port" {
	web 2 kept -p 8080:80 --restart always
	answers 2 kept
	docker_end 2 TERM
	docker_start 2
	until_true 20 answers 2 kept
	until_true 10 one_endpoint 2
}

@test "dockerd killed, then started" {
	docker_end 2 KILL
	answers 2 kept
	docker_start 2
	until_true 30 answers 2 kept
	until_true 10 one_endpoint 2
}

@test "netd killed first, then dockerd; netd comes back first" {
	lab kill 2
	docker_end 2 KILL
	answers 2 kept
	lab start 2
	answers 2 kept
	docker_start 2
	until_true 30 answers 2 kept
	until_true 10 one_endpoint 2
}

@test "dockerd killed first, then netd; dockerd comes back first" {
	docker_end 2 KILL
	lab kill 2
	docker_start 2 &
	starting=$!
	until_true 10 docker_pid 2
	lab start 2
	wait "$starting"
	until_true 30 answers 2 kept
	until_true 10 one_endpoint 2
	dkn 2 rm -f kept
	until_true 10 clean 2
}

@test "live-restore: dockerd comes back to running containers" {
	docker_end 2 TERM
	docker_start 2 --live-restore
	web 2 live -p 8080:80
	docker_end 2 KILL
	answers 2 live
	docker_start 2 --live-restore
	answers 2 live
	dkn 2 exec live wget -qO- "http://$(ip_of 2 live)/cgi-bin/who"
	dkn 2 rm -f live
	until_true 10 clean 2
}

@test "with netd away a container does not start without its network" {
	lab kill 2
	# The engine asks for half a minute before it gives up.
	run ! timeout 5 docker -H "unix://$DOCKER_RUN/2/sock" run --rm \
		--network blue --name early box true
	lab start 2
	until_true 10 dkn 2 rm -f early
	until_true 10 clean 2
	web 2 late
	dkn 2 exec late ip addr show eth0 | grep "$(ip_of 2 late)/"
	dkn 2 rm -f late
	until_true 10 clean 2
}

# meanwhile COMMAND..: netd of host 2 is started anew as soon as it has died.
meanwhile()
{
	local pid
	"$@" &
	pid=$!
	until gone "$pid"; do
		! gone "$(daemon_pid 2)" || lab start 2
		sleep 0.02
	done
	wait "$pid"
}

@test "a step of a call that fails, or is the last, leaves nothing" {
	grep ^docker "$FAULT.points" >"$RUN/out/points"
	[ "$(wc -l <"$RUN/out/points")" -ge 8 ]
	while read -r point; do
		echo "== $point"
		echo "$point" >"$FAULT"
		meanwhile web 2 step -p 8080:80 || :
		meanwhile dkn 2 rm -f step || :
		# It came to it.
		until_true 3 test ! -e "$FAULT"
		meanwhile dkn 2 rm -f step || :
		web 2 step -p 8080:80
		answers 2 step
		dkn 2 rm -f step
		until_true 10 clean 2
	done <"$RUN/out/points"
}

@test "the engines end without a trace" {
	dk network rm blue
	dkn 2 network rm blue
	until_true 5 no_network 1 blue
	docker_down
	docker_trace
}
