# Compiler settings, the libraries of the system, and gd_layer(): what every folder's CMakeLists.txt
# uses.

option(GAMEDAY_WERROR "Treat warnings as errors" OFF)
option(GAMEDAY_COVERAGE "Count executed lines (gcov)" OFF)
option(GAMEDAY_FUZZ "Build the fuzzers with libFuzzer (clang)" OFF)
set(GAMEDAY_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")

set(gd_oldest_GNU 12)
set(gd_oldest_Clang 12)
if(NOT DEFINED gd_oldest_${CMAKE_C_COMPILER_ID})
  message(FATAL_ERROR "gameday needs gcc or clang, not ${CMAKE_C_COMPILER_ID}")
endif()
if(CMAKE_C_COMPILER_VERSION VERSION_LESS gd_oldest_${CMAKE_C_COMPILER_ID})
  message(FATAL_ERROR "gameday needs ${CMAKE_C_COMPILER_ID} ${gd_oldest_${CMAKE_C_COMPILER_ID}} or "
                      "newer, not ${CMAKE_C_COMPILER_VERSION}")
endif()
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "gameday runs on Linux only")
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wswitch-enum -Wvla -Wundef -Wformat=2 -Wwrite-strings
  -UNDEBUG # assertions stay in release
  -fno-omit-frame-pointer -fstack-protector-strong)
if(GAMEDAY_WERROR)
  add_compile_options(-Werror)
endif()
if(GAMEDAY_SANITIZE)
  add_compile_options(-fsanitize=${GAMEDAY_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${GAMEDAY_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(GAMEDAY_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
if(GAMEDAY_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "GAMEDAY_FUZZ needs clang: use the preset `fuzz`")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
add_link_options(-Wl,-z,relro,-z,now)

find_package(Threads REQUIRED)
find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing: run ./dev deps")
endif()
# gd_require(libpq 15): the imported target PkgConfig::libpq, or a message that says how to get it.
macro(gd_require module version)
  pkg_check_modules("${module}" QUIET IMPORTED_TARGET "${module}>=${version}")
  if(NOT "${${module}_FOUND}")
    message(FATAL_ERROR "${module} ${version} or newer is missing: run ./dev deps")
  endif()
endmacro()
gd_require(libpq 15)
gd_require(yaml-0.1 0.2)
gd_require(libcurl 7.88)
gd_require(jansson 2.14)
gd_require(hiredis 0.14)
# Ours is <hiredis/hiredis.h>; the pkg-config file of 1.0 names only the folder of that name, and
# without the one above it another version's headers could be found.
target_include_directories(PkgConfig::hiredis INTERFACE "${hiredis_PREFIX}/include")
gd_require(openssl 3.0)

# What is not a layer but seen by all above base: the plug-in interface.
set(gd_interface_root "${PROJECT_SOURCE_DIR}/include")

# gd_layer(NAME [LINK targets...] [FOLDERS subfolders...])
#
# A static library gd_NAME of the *.c files of the current folder (and FOLDERS below it). Its
# headers are included as "NAME/header.h" by it and by whoever links it: through a directory of the
# build tree that holds nothing but a link of that name.
function(gd_layer name)
  cmake_parse_arguments(layer "" "" "LINK;FOLDERS" ${ARGN})
  set(patterns "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  foreach(folder IN LISTS layer_FOLDERS)
    list(APPEND patterns "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.c")
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(NOT sources) # a static library needs one
    set(sources "${CMAKE_CURRENT_BINARY_DIR}/empty.c")
    file(CONFIGURE OUTPUT empty.c CONTENT "typedef int gd_${name}_has_no_source;\n")
  endif()
  set(root "${PROJECT_BINARY_DIR}/inc/${name}")
  file(MAKE_DIRECTORY "${root}")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${root}/${name}" SYMBOLIC)
  add_library(gd_${name} STATIC ${sources})
  target_include_directories(gd_${name} PUBLIC "${root}")
  target_link_libraries(gd_${name} PUBLIC ${layer_LINK})
  set_property(GLOBAL APPEND PROPERTY gd_layers gd_${name})
endfunction()
