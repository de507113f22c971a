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
#define MAILBOX_BYTES 8u /* at the end of the stack, above the filename */
#define NAME_BYTES 15u   /* TASK_COMM_LEN without the NUL */

static unsigned char *memory; /* the stack from sp on */
static size_t capacity;

/* Where the stack begins, and how long its words are. A smaller set of registers is that of a program of 32 bits. */
static bool stack_pointer(pid_t pid, uint64_t *sp, size_t *word_bytes) {
#if defined(__x86_64__) || defined(__aarch64__)
  enum { ESP = 15, REGISTERS_32 = 17 };
  union {
    struct user_regs_struct full;
    uint32_t small[REGISTERS_32];
  } registers;
  struct iovec part = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, (void *)(intptr_t)NT_PRSTATUS, &part) != 0)
    return false;
  *word_bytes = sizeof(uint64_t);
#ifdef __x86_64__
  *sp = registers.full.rsp;
  if (part.iov_len == sizeof registers.small) {
    *sp = registers.small[ESP];
    *word_bytes = sizeof(uint32_t);
    return true;
  }
#else
  *sp = registers.full.sp;
#endif
  return part.iov_len == sizeof registers.full;
#else
  (void)pid, (void)sp, (void)word_bytes;
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
  size_t word_bytes; /* 8, or 4 */
  size_t size;       /* bytes at memory */
  size_t arguments;  /* offsets into memory */
  size_t arguments_end;
  size_t filename;
  size_t filename_end; /* behind its NUL */
  uint64_t user;
};

static uint64_t word_at(const struct stack *stack, size_t index) {
  uint64_t word;
  uint32_t short_word;
  if (stack->word_bytes == sizeof word) {
    memcpy(&word, memory + sizeof word * index, sizeof word);
    return word;
  }
  memcpy(&short_word, memory + sizeof short_word * index, sizeof short_word);
  return short_word;
}

/* Find the strings. False: it is more than what was read, or not as drawn above. */
static bool understand(struct stack *stack) {
  size_t words = stack->size / stack->word_bytes;
  if (words < 1)
    return false;
  uint64_t argc = word_at(stack, 0);
  if (argc < 1 || argc > words)
    return false;
  size_t at = 1 + argc + 1; /* envp[0] */
  if (at >= words)
    return false;
  uint64_t first_argument = word_at(stack, 1), first_variable = word_at(stack, at), filename = 0;
  while (at < words && word_at(stack, at) != 0)
    at++;
  for (at++; at + 1 < words && word_at(stack, at) != AT_NULL; at += 2) {
    if (word_at(stack, at) == AT_EXECFN)
      filename = word_at(stack, at + 1);
    if (word_at(stack, at) == AT_EUID)
      stack->user = word_at(stack, at + 1);
  }
  uint64_t end = first_variable != 0 ? first_variable : filename;
  if (first_argument < stack->sp || end <= first_argument || filename < end || filename - stack->sp >= stack->size)
    return false;
  stack->arguments = (size_t)(first_argument - stack->sp);
  stack->arguments_end = (size_t)(end - stack->sp);
  stack->filename = (size_t)(filename - stack->sp);
  const unsigned char *nul = memchr(memory + stack->filename, '\0', stack->size - stack->filename);
  if (nul == NULL)
    return false;
  stack->filename_end = (size_t)(nul - memory) + 1;
  return memory[stack->arguments_end - 1] == '\0';
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

static void fill_rest(const struct stack *stack, struct ptreetime_stack_rest *rest) {
  uint64_t mailbox = stack->sp + stack->filename_end;
  rest->user = stack->user;
  if (mailbox % PAGE_BYTES == PAGE_BYTES - MAILBOX_BYTES)
    rest->mailbox = mailbox;
  if (stack->filename <= stack->arguments_end || memory[stack->filename - 1] != '\0')
    return;
  rest->address = stack->sp + stack->arguments_end;
  rest->environment = (char *)memory + stack->arguments_end;
  rest->environment_size = stack->filename - stack->arguments_end;
}

bool ptreetime_stack_image(pid_t pid, struct ptreetime_exec *exec, struct ptreetime_stack_rest *rest) {
  struct stack stack = {0};
  if (!stack_pointer(pid, &stack.sp, &stack.word_bytes) || !read_stack(pid, &stack))
    return false;
  fill_rest(&stack, rest);
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
