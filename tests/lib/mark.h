/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark - by what nd-sensor knows frames of nd-hostile: the text, and behind
 * it two digits that name the kind.
 */
#pragma once

#define MARK "nd-hostile-"
#define MARK_LEN (sizeof(MARK) - 1 + 2)
#define MARK_HONEST "nd-honest"
