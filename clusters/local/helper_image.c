/* The helper program (helper/), built apart as a static executable, embedded as bytes. */
#include "local.h"

__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    ".global local_helper_bytes\n"
    "local_helper_bytes:\n"
    ".incbin \"" LOCAL_HELPER_FILE
    "\"\n"
    "local_helper_end:\n"
    ".balign 8\n"
    ".global local_helper_length\n"
    "local_helper_length:\n"
    ".quad local_helper_end - local_helper_bytes\n"
    ".previous\n");
