/* All of the SDK: compile this file and your own, with this folder in the path of includes. */
#if !defined(__wasm__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* for the native tests: pipes, names of signals */
#endif

#include "tamis.h"

#include "src/internal.h"

#include "src/memory.c"
#include "src/batch.c"
#include "src/answers.c"
#include "src/edits.c"
#include "src/config.c"
#include "src/md5.c"

#ifdef __wasm__
#include "src/host_wasm.c"
#else
#include "src/host_native.c"
#include "src/testing.c"
#endif
