# The interposing libraries of macOS: dylibs of the system's library and nothing else. Their names are those of Linux,
# so that a tracer asks for one name everywhere; dyld does not care. CMAKE_OSX_ARCHITECTURES says for which processors.
set(process_sources event.c exits_darwin.c log.c process.c system_darwin.c)
set(program_sources programs.c programs_darwin.c)

function(add_interposer target output)
  add_library(${target} SHARED ${ARGN})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${output} MACOSX_RPATH OFF INSTALL_NAME_DIR "")
  target_compile_options(${target} PRIVATE -Os -fvisibility=hidden -fno-stack-protector)
  install(TARGETS ${target} LIBRARY DESTINATION ${PTREETIME_NATIVE_DIRECTORY})
endfunction()

add_interposer(ptreetime libptreetime ${process_sources})
add_interposer(ptreetime-interpose libptreetime_interpose ${process_sources} ${program_sources})
target_compile_definitions(ptreetime-interpose PRIVATE PTREETIME_INTERPOSE)
