# A folder of src/ is one static library. What it may include is what it links: its headers are
# found through src/, so tools/check_includes.py holds every #include against this list, in the
# order of ARCHITECTURE.md, and fails the build.
function(muster_folder name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(muster_${name} STATIC ${sources})
  target_include_directories(muster_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPENDS PREPEND muster_)
  target_link_libraries(muster_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES} Threads::Threads)
  target_precompile_headers(muster_${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/precompiled.h)
  if(nlohmann_json::nlohmann_json IN_LIST ARG_LIBRARIES)
    target_precompile_headers(muster_${name} PRIVATE <nlohmann/json.hpp>)
  endif()
  add_dependencies(muster_${name} check_includes)
endfunction()
