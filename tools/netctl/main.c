/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netctl - the operator's tool: words to one request, the reply to a table.
 *
 * It knows no more of netd than the operations in netd/api.h and the socket
 * they go to; `pod exec` alone also looks at netd's run folder.
 */
#include <curl/curl.h>
#include <locale.h>
#include <stdio.h>

#include "cmd.h"

int main(int argc, char **argv)
{
	int code;

	setlocale(LC_CTYPE, "");
	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return complain(EXIT_FAILED, NULL, "libcurl does not start");
	code = cmd_main(argc, argv);
	curl_global_cleanup();
	if (fflush(stdout) && !code)
		code = complain(EXIT_FAILED, NULL, "cannot write the output");
	return code;
}
