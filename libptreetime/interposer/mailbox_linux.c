/* libptreetime_mailbox.so: leaves word of when the program's constructors began, for a tracer that reads its memory.
 *
 * The constructor stores the time of CLOCK_MONOTONIC into the last 8 bytes of the stack. The kernel has left them zero
 * above the file name of the exec (fs/exec.c), and nobody reads them:
 *
 *     +------+-----+-------------+----------+-------+
 *     | args | ... | environment | filename | word  |   end of the stack
 *     +------+-----+-------------+----------+-------+
 *                                  AT_EXECFN  8 bytes
 *
 * The vDSO's function reads the clock, so there is no system call, which a filter could refuse or punish; and no file,
 * no variable, no number of the process, which a namespace could change; and nothing at the program's end.
 */
#include <stddef.h>
#include <stdint.h>

#include "next.h"

enum {
  PT_LOAD = 1,
  PT_DYNAMIC = 2,
  AT_EXECFN = 31,
  AT_SYSINFO_EHDR = 33,
  CLOCK_MONOTONIC = 1,
  PAGE_BYTES = 4096, /* the smallest there is: the end of the stack is the end of one */
};

#ifdef __aarch64__
#define CLOCK_FUNCTION "__kernel_clock_gettime"
#else
#define CLOCK_FUNCTION "__vdso_clock_gettime"
#endif

#if UINTPTR_MAX == UINT64_MAX
struct segment {
  uint32_t type, flags;
  uint64_t offset, address, physical, file_size, memory_size, alignment;
};
#else
struct segment {
  uint32_t type, offset, address, physical, file_size, memory_size, flags, alignment;
};
#endif

struct image { /* the header of an ELF file */
  unsigned char identity[16];
  uint16_t type, machine;
  uint32_t version;
  uintptr_t entry, segments, sections;
  uint32_t flags;
  uint16_t header_size, segment_size, segment_count;
};

typedef int clock_function(int clock, long *seconds_and_nanoseconds);

extern const char *const *environ __attribute__((weak));

static clock_function *clock_of(const struct image *vdso) {
  const struct segment *segment = (const void *)((const char *)vdso + vdso->segments);
  const uintptr_t *dynamic = NULL;
  uintptr_t base = 0;
  for (unsigned i = 0; i < vdso->segment_count; i++, segment++) {
    if (segment->type == PT_LOAD && base == 0)
      base = (uintptr_t)vdso + (uintptr_t)segment->offset - (uintptr_t)segment->address;
    if (segment->type == PT_DYNAMIC)
      dynamic = (const void *)((const char *)vdso + segment->offset);
  }
  return dynamic == NULL ? NULL : (clock_function *)ptreetime_next_find_in(base, dynamic, CLOCK_FUNCTION);
}

static void leave_word(const char *const *environment) {
  const struct image *vdso = NULL;
  const char *end = NULL;
  while (*environment != NULL)
    environment++;
  for (const uintptr_t *pair = (const uintptr_t *)(environment + 1); pair[0] != 0; pair += 2) {
    if (pair[0] == AT_SYSINFO_EHDR)
      vdso = (const struct image *)pair[1];
    if (pair[0] == AT_EXECFN)
      end = (const char *)pair[1];
  }
  clock_function *clock = vdso == NULL ? NULL : clock_of(vdso);
  if (clock == NULL || end == NULL)
    return;
  while (*end != '\0')
    end++;
  uint64_t *word = (uint64_t *)(end + 1);
  long now[2] = {0, 0};
  if ((uintptr_t)word % PAGE_BYTES != PAGE_BYTES - sizeof *word || *word != 0 || clock(CLOCK_MONOTONIC, now) != 0)
    return;
  *word = (uint64_t)now[0] * 1000000000u + (uint64_t)now[1];
}

/* musl gives constructors no arguments. Its environ is the array on the stack, unless a constructor before us has made
 * another one: no heap is above the stack. */
static __attribute__((constructor)) void constructed(int argc, char **argv, const char *const *environment) {
  (void)argc, (void)argv;
  if (!ptreetime_next_constructors_have_arguments())
    environment = &environ == NULL || (uintptr_t)environ < (uintptr_t)&environment ? NULL : environ;
  if (environment != NULL)
    leave_word(environment);
}
