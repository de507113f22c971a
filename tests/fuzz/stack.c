/* Any memory as the stack of a new image: libptreetime/recorder/stack.c stays within what it has read.
 *
 * The input is the stack from its pointer on, after the pointer's distance to the end of its page (two bytes).
 */
#define _GNU_SOURCE
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define STACK 0x7ffc00000000u

static const uint8_t *stack_bytes;
static size_t stack_size;
static uint64_t stack_at;

static long fake_ptrace(int request, int pid, void *kind, struct iovec *part) {
  (void)request, (void)pid, (void)kind;
  struct user_regs_struct *registers = part->iov_base;
  registers->rsp = stack_at;
  return 0;
}

/* As the kernel does: up to the first piece that can't be read whole. What is beyond is not to be looked at. */
static ssize_t fake_readv(int pid, const struct iovec *to, size_t one, const struct iovec *from, size_t count,
                          int flags) {
  (void)pid, (void)one, (void)flags;
  size_t done = 0;
  __asan_unpoison_memory_region(to->iov_base, to->iov_len);
  for (size_t i = 0; i < count; i++) {
    uint64_t begin = (uint64_t)(uintptr_t)from[i].iov_base - stack_at;
    if (begin > stack_size || from[i].iov_len > stack_size - begin)
      break;
    memcpy((char *)to->iov_base + done, stack_bytes + begin, from[i].iov_len);
    done += from[i].iov_len;
  }
  __asan_poison_memory_region((char *)to->iov_base + done, to->iov_len - done);
  return done == 0 ? -1 : (ssize_t)done;
}

#define ptrace(request, pid, kind, part) fake_ptrace(request, pid, kind, part)
#define process_vm_readv(pid, to, one, from, count, flags) fake_readv(pid, to, one, from, count, flags)
#include "../../libptreetime/recorder/stack.c"

static volatile unsigned seen;

static void look_at(struct ptreetime_bytes bytes) {
  for (size_t i = 0; i < bytes.size; i++)
    seen += (unsigned char)bytes.data[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2)
    return 0;
  stack_at = STACK + PAGE_BYTES - ((data[0] | (unsigned)data[1] << 8) % PAGE_BYTES & ~15u);
  uint8_t *copy = malloc(size); /* of exactly this length; addresses are relative in the input */
  memcpy(copy, data + 2, size - 2);
  stack_bytes = copy;
  stack_size = size - 2;
  for (size_t at = 0; at + 8 <= stack_size; at += 8) { /* a word of less than 1 MiB with this mark is an address */
    uint64_t word;
    memcpy(&word, copy + at, 8);
    if (word >> 56 == 0x7f) {
      word = stack_at + (word & 0xfffff);
      memcpy(copy + at, &word, 8);
    }
  }
  struct ptreetime_exec exec = {.usage = NULL};
  struct ptreetime_stack_rest rest = {0};
  if (ptreetime_stack_image(1, &exec, &rest)) {
    look_at((struct ptreetime_bytes){rest.environment, rest.environment_size});
    look_at(exec.name);
    look_at(exec.args);
    if (exec.name.size > NAME_BYTES || exec.args.size == 0 || exec.args.data[exec.args.size - 1] != '\0')
      abort();
  }
  if (memory != NULL)
    __asan_unpoison_memory_region(memory, capacity);
  free(memory);
  memory = NULL;
  capacity = 0;
  free(copy);
  return 0;
}
