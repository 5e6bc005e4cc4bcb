/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread - one beside the loop, for what would keep the loop waiting.
 */
#pragma once

#include <pthread.h>

/* Signals are the loop's: none is taken by the thread. 0 or -errno. */
int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg);
