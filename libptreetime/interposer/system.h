/* What the interposer needs of its operating system: system_linux.c, or system_unix.c with what is one system's own in
 * system_darwin.c, system_freebsd.c and system_illumos.c. No function here fails visibly, keeps anything open or
 * touches errno. */
#ifndef PTREETIME_SYSTEM_H
#define PTREETIME_SYSTEM_H

#include "event.h"

/* The moment now, in this process. */
void ptreetime_system_moment(struct ptreetime_moment *moment);

/* Appends the bytes to the file at path, which must exist, by one write. */
void ptreetime_system_append(const char *path, const unsigned char *bytes, size_t size);

/* Memory that nobody else uses, or NULL; not from the heap. */
void *ptreetime_system_map(size_t size);
void ptreetime_system_unmap(void *memory, size_t size);

/* The path of the running program, of the working directory, of an open file: ended by a zero byte, an empty string
 * where it can't be had or does not fit. */
void ptreetime_system_executable(char *path, size_t capacity);
void ptreetime_system_directory(char *path, size_t capacity);
void ptreetime_system_open_file(int descriptor, char *path, size_t capacity);

/* The arguments and the environment that the program was started with; 0 where they can't be had. (illumos: its
 * constructors are not given them) */
int ptreetime_system_vectors(const char *const **argv, const char *const **environment);

/* Where errno is: the program's, which is touched only where the program's own call fails. */
int *ptreetime_system_errno(void);

/* Will a posix_spawn with these attributes replace the calling program, as an exec? (macOS: POSIX_SPAWN_SETEXEC) */
int ptreetime_system_spawn_is_exec(const void *attributes);

#endif
