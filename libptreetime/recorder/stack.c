/* What the kernel has put on the stack before the first instruction (create_elf_tables in fs/binfmt_elf.c), and above
 * it the strings (fs/exec.c), each of them ending with a NUL and none of them anywhere else:
 *
 *     sp                                                                                         end of the stack
 *     +------+--------------+---+--------------+---+----------------+-------+------+-------------+----------+---+
 *     | argc | argv[0] .... | 0 | envp[0] .... | 0 | auxv .... 0, 0 |  ...  | args | environment | filename | 0 |
 *     +------+--------------+---+--------------+---+----------------+-------+------+-------------+----------+---+
 *
 * filename is what was given to exec, of a script its own: the kernel makes comm of its last part. AT_EXECFN points to
 * it. So the arguments go from argv[0] to envp[0], and to filename where there is no environment.
 */
#define _GNU_SOURCE
#include "stack.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define PAGE_BYTES 4096u /* the smallest there is: pieces of a read must not cross the end of what is mapped */
#define FIRST_READ_BYTES (8u << 10)
#define LAST_READ_BYTES (16u << 20)
#define NAME_BYTES 15u /* TASK_COMM_LEN without the NUL */

static unsigned char *memory; /* the stack from sp on */
static size_t capacity;

static bool stack_pointer(pid_t pid, uint64_t *sp) {
#if defined(__x86_64__) || defined(__aarch64__)
  struct user_regs_struct registers;
  struct iovec part = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, (void *)(intptr_t)NT_PRSTATUS, &part) != 0 || part.iov_len != sizeof registers)
    return false; /* a 32-bit program has a smaller set */
#ifdef __x86_64__
  *sp = registers.rsp;
#else
  *sp = registers.sp;
#endif
  return true;
#else
  (void)pid;
  (void)sp;
  return false;
#endif
}

/* Read size bytes at address, or as many as there are. */
static size_t read_memory(pid_t pid, uint64_t address, unsigned char *to, size_t size) {
  size_t total = 0;
  while (total < size) {
    struct iovec pieces[64], local = {to + total, 0};
    unsigned count = 0;
    while (count < 64 && total + local.iov_len < size) {
      uint64_t from = address + total + local.iov_len;
      size_t length = PAGE_BYTES - from % PAGE_BYTES;
      if (length > size - total - local.iov_len)
        length = size - total - local.iov_len;
      pieces[count++] = (struct iovec){(void *)(uintptr_t)from, length};
      local.iov_len += length;
    }
    ssize_t got = process_vm_readv(pid, &local, 1, pieces, count, 0);
    if (got <= 0)
      break;
    total += (size_t)got;
    if ((size_t)got < local.iov_len)
      break;
  }
  return total;
}

struct stack {
  uint64_t sp;
  size_t size;      /* bytes at memory */
  size_t arguments; /* offsets into memory */
  size_t arguments_end;
  size_t filename;
};

static uint64_t word_at(size_t index) {
  uint64_t word;
  memcpy(&word, memory + 8 * index, sizeof word);
  return word;
}

/* Find the strings. False: it is more than what was read, or not as drawn above. */
static bool understand(struct stack *stack) {
  size_t words = stack->size / 8;
  if (words < 1)
    return false;
  uint64_t argc = word_at(0);
  if (argc < 1 || argc > words)
    return false;
  size_t at = 1 + argc + 1; /* envp[0] */
  if (at >= words)
    return false;
  uint64_t first_argument = word_at(1), first_variable = word_at(at), filename = 0;
  while (at < words && word_at(at) != 0)
    at++;
  for (at++; at + 1 < words && word_at(at) != AT_NULL; at += 2) {
    if (word_at(at) == AT_EXECFN)
      filename = word_at(at + 1);
  }
  uint64_t end = first_variable != 0 ? first_variable : filename;
  if (first_argument < stack->sp || end <= first_argument || filename < end || filename - stack->sp >= stack->size)
    return false;
  stack->arguments = (size_t)(first_argument - stack->sp);
  stack->arguments_end = (size_t)(end - stack->sp);
  stack->filename = (size_t)(filename - stack->sp);
  return memory[stack->arguments_end - 1] == '\0' &&
         memchr(memory + stack->filename, '\0', stack->size - stack->filename) != NULL;
}

static bool read_stack(pid_t pid, struct stack *stack) {
  for (size_t wanted = FIRST_READ_BYTES; wanted <= LAST_READ_BYTES; wanted *= 4) {
    if (wanted > capacity) {
      unsigned char *larger = realloc(memory, wanted);
      if (larger == NULL)
        return false;
      memory = larger;
      capacity = wanted;
    }
    stack->size = read_memory(pid, stack->sp, memory, wanted);
    if (understand(stack))
      return true;
    if (stack->size < wanted)
      return false; /* that was all of it */
  }
  return false;
}

bool ptreetime_stack_image(pid_t pid, struct ptreetime_exec *exec) {
  struct stack stack = {0};
  if (!stack_pointer(pid, &stack.sp) || !read_stack(pid, &stack))
    return false;
  const char *filename = (const char *)memory + stack.filename;
  if (strncmp(filename, "/dev/fd/", 8) == 0)
    return false; /* fexecve: newer kernels name it by the file, which is not here */
  const char *slash = strrchr(filename, '/');
  const char *name = slash == NULL ? filename : slash + 1;
  size_t length = strlen(name);
  exec->name = (struct ptreetime_bytes){name, length < NAME_BYTES ? length : NAME_BYTES};
  exec->args = (struct ptreetime_bytes){(const char *)memory + stack.arguments, stack.arguments_end - stack.arguments};
  return true;
}
