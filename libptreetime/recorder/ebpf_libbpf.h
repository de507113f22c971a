/* The functions of libbpf 1.0 that are needed here, declared by hand from its documented interface: libbpf.so.1 is
 * opened at run time, so a machine that builds or runs the recorder need not have it, nor its headers. */
#ifndef PTREETIME_RECORDER_EBPF_LIBBPF_H
#define PTREETIME_RECORDER_EBPF_LIBBPF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct bpf_object;
struct bpf_program;
struct bpf_map;
struct bpf_link;
struct ring_buffer;
typedef int ring_buffer_sample_fn(void *context, void *data, size_t size);
typedef int libbpf_print_fn(int level, const char *format, va_list arguments);

struct ptreetime_libbpf {
  libbpf_print_fn *(*libbpf_set_print)(libbpf_print_fn *print);
  struct bpf_object *(*bpf_object__open_mem)(const void *bytes, size_t size, const void *options);
  int (*bpf_object__load)(struct bpf_object *object);
  struct bpf_program *(*bpf_object__next_program)(const struct bpf_object *object, struct bpf_program *before);
  struct bpf_program *(*bpf_object__find_program_by_name)(const struct bpf_object *object, const char *name);
  int (*bpf_program__set_autoload)(struct bpf_program *program, bool autoload);
  bool (*bpf_program__autoload)(const struct bpf_program *program);
  int (*bpf_program__set_attach_target)(struct bpf_program *program, int other_program, const char *function);
  struct bpf_link *(*bpf_program__attach)(const struct bpf_program *program);
  int (*bpf_link__destroy)(struct bpf_link *link);
  struct bpf_map *(*bpf_object__find_map_by_name)(const struct bpf_object *object, const char *name);
  int (*bpf_map__fd)(const struct bpf_map *map);
  int (*bpf_map_get_next_key)(int map, const void *key, void *next);
  int (*bpf_map_lookup_elem)(int map, const void *key, void *value);
  int (*bpf_map_update_elem)(int map, const void *key, const void *value, unsigned long long flags);
  int (*bpf_map_delete_elem)(int map, const void *key);
  int (*bpf_program__fd)(const struct bpf_program *program);
  struct ring_buffer *(*ring_buffer__new)(int map, ring_buffer_sample_fn *take, void *context, const void *options);
  int (*ring_buffer__consume)(struct ring_buffer *ring);
  int (*libbpf_find_vmlinux_btf_id)(const char *name, int attach_type);
};

extern struct ptreetime_libbpf ptreetime_libbpf;

/* Open it. NULL, or why it can't be, in words. */
const char *ptreetime_libbpf_open(void);

/* The first thing that libbpf or the kernel's verifier has said of a failure since it was forgotten; "" for nothing. */
const char *ptreetime_libbpf_complaint(void);
void ptreetime_libbpf_forget_complaint(void);

#endif
