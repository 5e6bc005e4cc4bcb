#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names, labels and health of containers, over two engines: a compose file
# whose only change is its network's driver, and services made from labels.

load ../lib/e2e
load ../lib/docker

setup_file()
{
	export NETD_ADAPTERS_DOCKER_ENABLED=true
	lab_up 2
	for k in 1 2; do
		cat >"$RUN/node$k/netd.yaml" <<-END
			adapters:
			  docker:
			    labels: true
			    host: "unix://$DOCKER_RUN/$k/sock"
		END
		lab stop "$k"
		lab start "$k"
		docker_up "$k"
	done
	n 1 network create shop
	until_true 5 n 2 network inspect shop
	compose_file >"$RUN/compose.yaml"
	pod 1 near shop
	pod 2 far shop
}

teardown_file()
{
	docker_down
	lab_down
	docker_trace
}

# Of three services, as anybody would write them; only the network is new.
compose_file()
{
	cat <<-'END'
		version: "2.4"
		services:
		  web: &box
		    image: box
		    stop_grace_period: 0s
		    command: httpd -f -p 80 -h /www
		  api: *box
		  redis:
		    <<: *box
		    container_name: the-redis
		networks:
		  default:
		    driver: netd
		    ipam: { driver: netd, options: { netd.network: shop } }
	END
}

# compose K WORDS..
compose()
{
	local k=$1
	shift
	DOCKER_HOST=unix://$DOCKER_RUN/$k/sock timeout 60 docker-compose \
		-p shop -f "$RUN/compose.yaml" "$@" 2>&1
}

# run K NAME [OPTIONS..]: a labelled web server, with a health of its own.
run_on()
{
	local k=$1 name=$2
	shift 2
	dkn "$k" run -d --name "$name" --hostname "$name" --network shop_default \
		--health-cmd 'test ! -e /tmp/sick' --health-interval 0.3s \
		--health-retries 1 --health-timeout 5s "$@" box \
		httpd -f -p 80 -h /www >/dev/null
}

labels=(--label netd.enable=true --label netd.service=front
	--label netd.port.http=80)

addrs() { in_pod "$1" "$2" dig +short +tries=1 +time=1 "$3" | sort | xargs; }
# answers K POD NAME COUNT
answers() { [ "$(addrs "$1" "$2" "$3" | wc -w)" -eq "$4" ]; }
backends() { n "$1" service ps "$2" --network shop -o json | jq '[.[] | select(.state == "up")] | length'; }
has_backends() { [ "$(backends "$1" "$2")" -eq "$3" ]; }
is_sick() { [ "$(dkn "$1" inspect -f '{{.State.Health.Status}}' "$2")" = unhealthy ]; }
has_unready() { n "$1" pod ls -o json | jq -e --arg n "node$1" 'any(.[]; .node == $n and .state == "unready")'; }
has_no_service() { ! n "$1" service inspect "$2" --network shop; }
who_answers()
{
	for _ in $(seq "$4"); do
		in_pod "$1" "$2" curl -s -m 2 "http://$3/cgi-bin/who"
	done | cut -d' ' -f1 | sort -u | xargs
}
inside() { dkn "$1" exec "$2" timeout 5 wget -qO- "http://$3/cgi-bin/who" | cut -d' ' -f1; }
short() { dkn "$1" inspect -f '{{slice .Id 0 12}}' "$2"; }
publishes() { [ "$(n "$1" service inspect "$2" --network shop | jq '.[0].published | length')" -eq "$3" ]; }
engine_is() { [ "$(n "$1" docker status -o json | jq -r .labels.state)" = "$2" ]; }
problem() { n "$1" docker status -o json | jq -r ".labels.services[] | select(.service == \"$2\") | .problem"; }
has_problem() { [[ $(problem "$1" "$2") == *"$3"* ]]; }
has_no_problem() { [ -z "$(problem "$1" "$2")" ]; }
event_ms()
{
	n "$1" system events --no-follow -o json -f "kind=$2" -f "action=$3" \
		-f "name=$4" | tail -n 1 | jq -r .time | date -f - +%s%3N
}

@test "a compose file finds its services by name over two hosts" {
	compose 1 up -d web api
	compose 2 up -d api redis
	until_true 5 answers 1 near redis 1
	until_true 5 answers 2 far web 1
	# A service, its container, its project's name for it, its id.
	ip=$(addrs 2 far redis)
	for name in the-redis redis.shop the-redis.shop "$(short 2 the-redis)"; do
		[ "$(addrs 1 near "$name")" = "$ip" ]
	done
	# From a container, by what the file calls it, on the other host.
	[ "$(inside 1 shop_web_1 redis)" = "$(short 2 the-redis)" ]
	[ "$(inside 2 the-redis web)" = "$(short 1 shop_web_1)" ]
}

@test "a service of several hosts is all of them" {
	until_true 5 answers 1 near api.shop 2
	until_true 5 answers 2 far api.shop 2
	for ip in $(addrs 1 near api.shop); do
		who_answers 1 near "$ip" 1
	done | sort >"$RUN/found"
	{ short 1 shop_api_1 && short 2 shop_api_1; } | sort | diff - "$RUN/found"
	# No label asked for a service.
	[ "$(n 1 service ls -o json)" = "[]" ]
}

@test "labels make one service of containers on two hosts" {
	run_on 1 front-1 "${labels[@]}" --label netd.publish=8080:80
	run_on 2 front-2 "${labels[@]}" --label netd.publish=8080:80
	until_true 10 has_backends 1 front 2
	until_true 10 has_backends 2 front 2
	[ "$(n 1 service ls -o json | jq length)" -eq 1 ]
	[ "$(addrs 2 far front)" = "$(svc_vip 1 front shop)" ]
	[ "$(who_answers 1 near front 20)" = "front-1 front-2" ]
	[ "$(who_answers 2 far front 20)" = "front-1 front-2" ]
	# Published, on every node, with the client's address.
	on ext curl -s -m 2 http://192.0.2.1:8080/cgi-bin/who | grep 'from 192.0.2.254'
	on ext curl -s -m 2 http://192.0.2.2:8080/cgi-bin/who | grep 'from 192.0.2.254'
	in_pod 1 near dig +short SRV _http._tcp.front.shop | grep ' 80 '
	n 1 service inspect front --network shop | jq -e '.[0].labels["netd.origin"] == "docker"'
}

@test "an unhealthy container leaves within a second, and comes back" {
	dkn 2 exec front-2 touch /tmp/sick
	until_true 5 has_backends 1 front 1
	until_true 5 answers 1 near front-2 0
	names=$(now_ms)
	said=$(dkn 2 events --since 10s --until "$(date +%s.%N)" \
		--filter container=front-2 \
		--format '{{.Status}} {{.TimeNano}}' |
		sed -n 's/.*: unhealthy \(.*\)....../\1/p' | tail -n 1)
	here=$(($(event_ms 2 backend left front) - said))
	there=$(($(event_ms 1 backend left front) - said))
	echo "# unhealthy: left its node after $here ms, the other after" \
		"$there ms, names there after at most $((names - said)) ms" >&3
	[ "$here" -lt 1000 ]
	[ "$there" -lt 1000 ]
	[ "$(who_answers 1 near front 10)" = front-1 ]
	[ "$(n 2 pod ls -o json | jq -r '.[] | select(.state == "unready") | .state_reason')" = unhealthy ]
	n 2 docker status | grep unhealthy
	dkn 2 exec front-2 rm /tmp/sick
	until_true 5 has_backends 1 front 2
	until_true 5 answers 1 near front-2 1
}

@test "a container that is paused takes no traffic" {
	dkn 2 pause front-2
	until_true 2 has_backends 1 front 1
	dkn 2 unpause front-2
	# Docker calls it unhealthy until it was asked again.
	until_true 10 has_backends 1 front 2
}

@test "a container that leaves its network fails nobody" {
	background load "$BIN/netctl" -H "unix://$RUN/node1/netd.sock" \
		pod exec near -- "$BIN/nd-load" new \
		"$(svc_vip 1 front shop)" 80 4
	until_true 5 is_dialling
	dkn 2 network disconnect shop_default front-2
	until_true 2 has_backends 1 front 1
	until_true 10 grep failed "$RUN/out/load"
	grep " 0 failed" "$RUN/out/load"
	dkn 2 network connect shop_default front-2
	until_true 20 has_backends 1 front 2
}
is_dialling()
{
	pgrep -s "$(cat "$RUN/jobs/load")" nd-load
}

@test "a name given later, and one taken back" {
	dkn 1 network connect --alias extra shop_default front-1 2>/dev/null || :
	dkn 1 rename front-1 first
	until_true 3 answers 2 far first 1
	until_true 3 answers 2 far front-1 1
	dkn 1 rename first front-1
	until_true 3 answers 2 far first 0
}

@test "containers come and go in numbers" {
	for k in 1 2; do
		for i in 1 2 3 4; do
			dkn "$k" run -d --name "c$k-$i" --network shop_default \
				--label netd.enable=true --label netd.service=churn \
				--label netd.port=80 box httpd -f -p 80 -h /www >/dev/null &
		done
	done
	wait
	until_true 10 has_backends 1 churn 8
	until_true 10 has_backends 2 churn 8
	for k in 1 2; do
		dkn "$k" rm -f "c$k-1" "c$k-2" "c$k-3" "c$k-4" >/dev/null &
	done
	wait
	until_true 5 has_backends 1 churn 0
	until_true 5 has_backends 2 churn 0
	until_true 5 answers 1 near c2-3 0
	# Its VIP waits for a container that only restarts.
	n 1 docker status -o json | jq -e '.labels.services[] |
		select(.service == "churn") | .state == "lingers"'
}

@test "labels that change change the service" {
	dkn 1 run -d --name moves --network shop_default --label netd.enable=true \
		--label netd.port=80 --label netd.lb=maglev box \
		httpd -f -p 80 -h /www >/dev/null
	until_true 5 has_backends 2 moves 1
	vip=$(svc_vip 1 moves shop)
	[ "$(in_pod 2 far curl -s -m 2 http://moves/cgi-bin/who | cut -d' ' -f1)" = "$(short 1 moves)" ]
	dkn 1 rm -f moves >/dev/null
	dkn 2 run -d --name moves --network shop_default --label netd.enable=true \
		--label netd.port=81:80 --label netd.weight=7 box \
		httpd -f -p 80 -h /www >/dev/null
	until_true 5 in_pod 1 near curl -s -m 1 http://moves:81/cgi-bin/who
	[ "$(svc_vip 1 moves shop)" = "$vip" ]
	n 1 service inspect moves --network shop |
		jq -e '.[0].ports == [{port: 81, target: 80, protocol: "tcp"}]'
	dkn 2 rm -f moves >/dev/null
}

@test "netd killed: what happened meanwhile is made good" {
	lab kill 2
	dkn 2 exec front-2 touch /tmp/sick
	until_true 5 is_sick 2 front-2
	lab start 2
	until_true 5 has_backends 1 front 1
	lab kill 2
	lab start 2
	# Known before the engine was asked.
	never_within 1 has_backends 2 front 2
	dkn 2 exec front-2 rm /tmp/sick
	until_true 5 has_backends 1 front 2
}

@test "dockerd restarted under its containers changes nothing" {
	docker_end 2 TERM
	docker_start 2 --live-restore
	until_true 10 has_backends 1 front 1
	dkn 2 start front-2 the-redis shop_api_1 >/dev/null
	until_true 10 has_backends 1 front 2
	docker_end 2 KILL
	until_true 5 engine_is 2 away
	never_within 2 has_backends 1 front 1
	[ "$(who_answers 1 near front 20)" = "front-1 front-2" ]
	[ "$(addrs 1 near the-redis | wc -w)" -eq 1 ]
	docker_start 2 --live-restore
	until_true 10 engine_is 2 up
	never_within 1 has_backends 1 front 1
}

@test "what cannot be is shown, and costs nothing else" {
	n 1 service create taken --network shop --port 80 --selector app=x
	n 1 service create holder --network shop -p 9090:80 --selector app=x
	run_on 1 bad-1 --label netd.enable=true --label netd.service=taken \
		--label netd.port=80
	run_on 1 bad-2 --label netd.enable=true --label netd.service=wants \
		--label netd.port=80 --label netd.publish=9090:80
	run_on 1 bad-3 --label netd.enable=true --label netd.service=No.Name \
		--label netd.prot=1
	# The name and the VIP work without the port that is taken.
	until_true 10 has_backends 2 wants 1
	publishes 1 wants 0
	until_true 5 has_problem 1 wants '9090/tcp is published by service "holder"'
	until_true 5 has_problem 1 taken "made by an operator"
	n 1 service inspect taken --network shop | jq -e '.[0].selector == {app: "x"}'
	n 1 docker status | grep 'container bad-3: netd.service: '
	n 1 docker status | grep 'is it netd.port'
	[ "$(n 1 system events --no-follow -f kind=docker -f name=taken | wc -l)" -eq 1 ]
	# The port is free: taken at the next try.
	n 1 service rm holder --network shop
	until_true 10 publishes 1 wants 1
	until_true 5 has_no_problem 1 wants
	dk rm -f bad-1 bad-2 bad-3
	n 1 service inspect taken --network shop
}

@test "a service goes when its last container is gone, and not before" {
	until_true 40 has_no_service 1 churn
	until_true 5 has_no_service 2 churn
	n 1 service inspect front --network shop
	n 1 service inspect taken --network shop
}

@test "labels that are not read any more are forgotten" {
	dkn 1 exec front-1 touch /tmp/sick
	until_true 5 has_unready 1
	: >"$RUN/node1/netd.yaml"
	lab stop 1
	lab start 1
	until_true 5 has_backends 2 front 1
	run ! has_unready 1
	until_true 5 answers 2 far front-1 0
}

@test "compose takes its own away" {
	dkn 1 rm -f front-1 >/dev/null
	dkn 2 rm -f front-2 >/dev/null
	compose 1 down -t 0
	compose 2 down -t 0
	until_true 5 answers 2 far web 0
	until_true 5 answers 1 near api.shop 0
}
