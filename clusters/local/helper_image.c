/* The helper program (helper/), built apart as a static executable, embedded as bytes. */
#include "local.h"

__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    ".global local_helper_start\n"
    "local_helper_start:\n"
    ".incbin \"" LOCAL_HELPER_FILE
    "\"\n"
    ".global local_helper_end\n"
    "local_helper_end:\n"
    ".byte 0\n"
    ".previous\n");
