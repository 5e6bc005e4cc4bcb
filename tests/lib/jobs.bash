# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What runs beside a test, by names: files in $RUN/jobs, output in $RUN/out.

# background NAME COMMAND..: ended with the lab; its output in $RUN/out/NAME.
background()
{
	local name=$1 fd
	shift
	mkdir -p "$RUN/out" "$RUN/jobs"
	# What an earlier one of this name said must not be taken for this.
	rm -f "$RUN/out/$name"
	(
		for fd in /proc/"$BASHPID"/fd/*; do
			fd=${fd##*/}
			((fd <= 2)) || eval "exec $fd>&-"
		done
		exec setsid "$@" </dev/null >"$RUN/out/$name" 2>&1
	) &
	echo $! >"$RUN/jobs/$name"
}

# What was run by background, with its children: they are one session.
job_end()
{
	local pid

	pid=$(cat "$RUN/jobs/$1" 2>/dev/null) || return 0
	rm -f "$RUN/jobs/$1"
	kill -TERM -- "-$pid" 2>/dev/null || :
}

jobs_end()
{
	local job

	for job in "$RUN"/jobs/*; do
		[[ ! -e $job ]] || job_end "${job##*/}"
	done
}
