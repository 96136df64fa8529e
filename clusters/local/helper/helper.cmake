# The helper program of local hosts: static, without sanitizers, so that it runs in any image and as
# process 1. Embedded into the library by local/helper_image.c.
set(helper_source "${CMAKE_CURRENT_SOURCE_DIR}/local/helper")
set(helper_program "${CMAKE_CURRENT_BINARY_DIR}/gameday-host")
add_custom_command(
  OUTPUT "${helper_program}"
  COMMAND "${CMAKE_C_COMPILER}" -std=c11 -D_GNU_SOURCE -Os -s -static -Wall -Wextra -Wconversion
          -o "${helper_program}" "${helper_source}/gameday-host.c" "${helper_source}/anchor.c"
          "${helper_source}/enter.c"
  DEPENDS "${helper_source}/gameday-host.c" "${helper_source}/anchor.c"
          "${helper_source}/enter.c" "${helper_source}/gameday-host.h"
  COMMENT "Building the static helper gameday-host"
  VERBATIM)
set_source_files_properties(
  local/helper_image.c PROPERTIES OBJECT_DEPENDS "${helper_program}"
  COMPILE_DEFINITIONS "LOCAL_HELPER_FILE=\"${helper_program}\"")
