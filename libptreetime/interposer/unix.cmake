# The interposing libraries of macOS, FreeBSD and illumos: libraries of the system's own library and nothing else. Their
# names are those of Linux, so that a tracer asks for one name everywhere; dyld does not care. CMAKE_OSX_ARCHITECTURES
# says for which processors.
include(CheckLinkerFlag)

set(process_sources event.c exits_unix.c log.c process.c system_unix.c)
set(program_sources programs.c)
if(CMAKE_SYSTEM_NAME STREQUAL "Darwin")
  list(APPEND process_sources system_darwin.c)
  list(APPEND program_sources programs_bsd.c)
elseif(CMAKE_SYSTEM_NAME STREQUAL "FreeBSD")
  list(APPEND process_sources next_unix.c system_freebsd.c)
  list(APPEND program_sources programs_bsd.c)
  check_linker_flag(C -Wl,-z,initfirst PTREETIME_LINKER_INITFIRST)
  if(PTREETIME_LINKER_INITFIRST)
    set(link_options -Wl,-z,initfirst) # the first constructor of all is ours
  endif()
else()
  list(APPEND process_sources next_unix.c system_illumos.c)
  set(compile_options -D_REENTRANT) # an errno for each thread
  set(link_options -Wl,-z,initfirst -Wl,-z,interpose) # also where calls were bound directly
endif()

function(add_interposer target output)
  add_library(${target} SHARED ${ARGN})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${output} MACOSX_RPATH OFF INSTALL_NAME_DIR "")
  target_compile_options(${target} PRIVATE -Os -fvisibility=hidden -fno-stack-protector ${compile_options})
  target_link_options(${target} PRIVATE ${link_options})
  install(TARGETS ${target} LIBRARY DESTINATION ${PTREETIME_NATIVE_DIRECTORY})
endfunction()

add_interposer(ptreetime libptreetime ${process_sources})
add_interposer(ptreetime-interpose libptreetime_interpose ${process_sources} ${program_sources})
target_compile_definitions(ptreetime-interpose PRIVATE PTREETIME_INTERPOSE)
