/* Where an EXEC record is made, and the paths in it: a part of ptreetime.bpf.c, which has included kernel.h before and
 * has `control`. */
#ifndef PTREETIME_BPF_PATHS_H
#define PTREETIME_BPF_PATHS_H

#define MAX_PATH_STEPS 2048 /* components and mounts */
#define PATH_STEPS_AT_A_TIME 32

/* Where an EXEC record grows before it is copied to the ring: a program's own stack has 512 bytes. */
struct exec_buffer {
  struct ptreetime_record_exec exec;
  char data[2 * PTREETIME_PATH_LIMIT + PTREETIME_ARGS_FIRST + 512];
  u32 busy;
  /* How far the walk along a path has come: here, because the verifier follows what is in registers through every
   * iteration of every loop, and knows nothing of what is in memory. */
  u32 path_begin;
  u32 path_end; /* in data */
  u32 path_done;
  struct dentry *dentry;
  struct vfsmount *mounted;
  struct dentry *mount_root; /* of mounted */
};

struct {
  MAP_INTEGER(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  MAP_INTEGER(max_entries, 1);
  MAP_TYPE(key, u32);
  MAP_TYPE(value, struct exec_buffer);
} exec_buffers SECTION(".maps");

/* Writes the next component of the path, or steps from a mounted directory to the one that it is mounted on. False at
 * the end of the path, or where it is too long: then nothing of it is left. */
static ALWAYS_INLINE int walk_step(struct exec_buffer *buffer) {
  struct dentry *dentry = buffer->dentry;
  struct vfsmount *mounted = buffer->mounted;
  u32 end = buffer->path_end;
  if ((u64)dentry == control.root_dentry && (u64)mounted == control.root_mount)
    return 0;
  struct dentry *parent = READ(dentry->d_parent);
  if (dentry == parent || dentry == buffer->mount_root) {
    struct mount *mount = (void *)((char *)mounted - FIELD_OFFSET(((struct mount *)0)->mnt));
    struct mount *outer = READ(mount->mnt_parent);
    buffer->dentry = READ(mount->mnt_mountpoint);
    mounted = (void *)((char *)outer + FIELD_OFFSET(((struct mount *)0)->mnt));
    buffer->mounted = mounted;
    buffer->mount_root = READ(mounted->mnt_root);
    return mount != outer;
  }
  if (end <= 2 * PTREETIME_PATH_LIMIT && end - buffer->path_begin <= PTREETIME_PATH_LIMIT) {
    long size = bpf_probe_read_kernel_str(buffer->data + end, 256, READ(dentry->d_name.name));
    if (size > 0) {
      buffer->path_end = end + size;
      buffer->dentry = parent;
      return 1;
    }
  }
  buffer->path_end = buffer->path_begin;
  return 0;
}

/* A function of its own, not a static one, so that the verifier looks into it once and not at every call. */
__attribute__((noinline)) int walk(int steps) {
  u32 zero = 0;
  struct exec_buffer *buffer = bpf_map_lookup_elem(&exec_buffers, &zero);
  if (!buffer)
    return 0;
  for (int step = 0; step < PATH_STEPS_AT_A_TIME; step++) {
    if (!walk_step(buffer)) {
      buffer->path_done = 1;
      return 0;
    }
  }
  return steps;
}

/* Writes the components of a path from the last to the first behind what is in the buffer; returns their size, 0 for
 * a path that is too long. The root directory itself is one empty component. */
static ALWAYS_INLINE u32 write_path(struct exec_buffer *buffer, struct dentry *dentry, struct vfsmount *mounted) {
  buffer->dentry = dentry;
  buffer->mounted = mounted;
  buffer->mount_root = READ(mounted->mnt_root);
  buffer->path_begin = buffer->path_end;
  buffer->path_done = 0;
  for (int steps = 0; steps < MAX_PATH_STEPS && !buffer->path_done; steps += PATH_STEPS_AT_A_TIME)
    walk(steps);
  u32 end = buffer->path_end;
  if (!buffer->path_done)
    buffer->path_end = buffer->path_begin;
  else if (end == buffer->path_begin && (u64)buffer->dentry == control.root_dentry && end < 2 * PTREETIME_PATH_LIMIT) {
    buffer->data[end] = 0;
    buffer->path_end = end + 1;
  }
  return buffer->path_end - buffer->path_begin;
}

#endif
