/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that let a shell ask netctl what may follow: see complete.h. */
#include "cmd.h"
#include "netd/util.h"

static const struct shell {
	const char *name, *script;
} shells[] = {
	{ "bash", "_netctl()\n"
		  "{\n"
		  "	local IFS=$'\\n'\n"
		  "	COMPREPLY=($(netctl __complete "
		  "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
		  "}\n"
		  "complete -o default -F _netctl netctl\n" },
	{ "zsh", "#compdef netctl\n"
		 "_netctl()\n"
		 "{\n"
		 "	local -a offers\n"
		 "	offers=(\"${(@f)$(netctl __complete "
		 "\"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
		 "	compadd -a offers\n"
		 "}\n"
		 "compdef _netctl netctl\n" },
	{ "fish", "complete -c netctl -f -a '(netctl __complete "
		  "(commandline -opc)[2..] (commandline -ct) "
		  "2>/dev/null)'\n" },
};

static int run_completion(const struct ctl *ctl, const struct cmd *cmd,
			  struct args *args)
{
	static const char hint[] =
		"source <(netctl completion bash), or zsh, or fish";

	(void)ctl, (void)cmd;
	if (args->words_len != 1)
		return complain(EXIT_USAGE, hint, "completion: wants a shell");
	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (str_eq(shells[i].name, args->words[0])) {
			fputs(shells[i].script, stdout);
			return EXIT_OK;
		}
	return complain(EXIT_USAGE, hint, "completion: no shell \"%s\"",
			args->words[0]);
}

const struct cmd completion_cmds[] = {
	{ .words = "completion",
	  .op = CMD_NO_OP,
	  .run = run_completion,
	  .help = "Completion for a shell: bash, zsh or fish" },
	{ .words = NULL },
};
