# Language, warnings, hardening, sanitizers and the compiler cache, for every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
add_compile_definitions(MUSTER_VERSION="${PROJECT_VERSION}")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Wthread-safety -Werror -fstack-protector-strong -fno-omit-frame-pointer)
add_link_options(-fuse-ld=lld -Wl,-z,relro,-z,now)

if(MUSTER_SANITIZE)
  # Tests are built unoptimized, which is quick; what fuzzes for long is built with 1.
  set(MUSTER_SANITIZE_LEVEL 0 CACHE STRING "How far a build with sanitizers is optimized")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O${MUSTER_SANITIZE_LEVEL} -g1 -DNDEBUG")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
else()
  add_compile_options(-D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS)
endif()
if(MUSTER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # A precompiled header carries time stamps that would defeat the cache.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
