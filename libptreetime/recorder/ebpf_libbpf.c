#include "ebpf_libbpf.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "recorder.h"

struct ptreetime_libbpf ptreetime_libbpf;

static char complaint[256];

static int keep_complaint(int level, const char *format, va_list arguments) {
  if (level == 0) { /* LIBBPF_WARN */
    char line[sizeof complaint];
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    /* The first line names the cause, those after it what follows from it. */
    if (complaint[0] == '\0')
      memcpy(complaint, line, sizeof complaint);
  }
  return 0;
}

const char *ptreetime_libbpf_open(void) {
  void *library = dlopen("libbpf.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    return PTREETIME_OBSTACLE("libbpf.so.1 is missing: install the package libbpf1 (Debian, Ubuntu) or libbpf (Fedora, "
                              "Arch, SUSE, Alpine)",
                              "libbpf");
#define FIND(function)                                                                                                 \
  do {                                                                                                                 \
    *(void **)&ptreetime_libbpf.function = dlsym(library, #function);                                                  \
    if (ptreetime_libbpf.function == NULL)                                                                             \
      return "libbpf.so.1 lacks the function " #function ": install a newer libbpf";                                   \
  } while (0)
  FIND(libbpf_set_print);
  FIND(bpf_object__open_mem);
  FIND(bpf_object__load);
  FIND(bpf_object__next_program);
  FIND(bpf_object__find_program_by_name);
  FIND(bpf_program__set_autoload);
  FIND(bpf_program__autoload);
  FIND(bpf_program__set_attach_target);
  FIND(bpf_program__attach);
  FIND(bpf_link__destroy);
  FIND(bpf_object__find_map_by_name);
  FIND(bpf_map__fd);
  FIND(bpf_map_get_next_key);
  FIND(bpf_map_lookup_elem);
  FIND(bpf_map_update_elem);
  FIND(bpf_map_delete_elem);
  FIND(bpf_program__fd);
  FIND(ring_buffer__new);
  FIND(ring_buffer__consume);
  FIND(libbpf_find_vmlinux_btf_id);
#undef FIND
  ptreetime_libbpf.libbpf_set_print(keep_complaint);
  return NULL;
}

const char *ptreetime_libbpf_complaint(void) { return complaint; }

void ptreetime_libbpf_forget_complaint(void) { complaint[0] = '\0'; }
