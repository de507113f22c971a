/* Whom the processes of the tree connect to on this machine: a part of ptreetime.bpf.c, which has included kernel.h
 * before and has `control`, find_process and number_for_recorder. A server that was there before the build (a compile
 * server, a daemon) works for it outside the tree.
 *
 * The first connection to each peer is noted in the table "peers", where the recorder finds it at the end. Who it is
 * that listens to a Unix socket the kernel has noted; of a TCP connection, which does not leave the machine, there is
 * the port.
 */
#ifndef PTREETIME_BPF_PEERS_H
#define PTREETIME_BPF_PEERS_H

#define MAX_PEERS 256

struct {
  MAP_INTEGER(type, BPF_MAP_TYPE_HASH);
  MAP_INTEGER(max_entries, MAX_PEERS);
  MAP_TYPE(key, struct ptreetime_peer_key);
  MAP_TYPE(value, struct ptreetime_peer);
} peers SECTION(".maps");

static ALWAYS_INLINE void read_path(struct ptreetime_peer *peer, struct unix_sock *client) {
  struct unix_sock *server = (void *)READ(client->peer);
  struct unix_address *address = READ(server->addr);
  u32 size = READ(address->len) - sizeof(short); /* the family comes first */
  KEEP(size);
  const char *path = (const char *)address + FIELD_OFFSET(address->name) + sizeof(short);
  if (size <= sizeof peer->path && !bpf_probe_read_kernel(peer->path, size, path))
    peer->path_size = size;
}

static ALWAYS_INLINE int is_here(struct sock_common *common, u16 family) {
  if (family == AF_INET) {
    u32 to = READ(common->skc_daddr);
    return *(u8 *)&to == LOOPBACK_NET || to == READ(common->skc_rcv_saddr);
  }
  if (family != AF_INET6 || !FIELD_EXISTS(common->skc_v6_daddr))
    return 0;
  u64 to[2], from[2];
  bpf_probe_read_kernel(to, sizeof to, __builtin_preserve_access_index(&common->skc_v6_daddr));
  bpf_probe_read_kernel(from, sizeof from, __builtin_preserve_access_index(&common->skc_v6_rcv_saddr));
  return to[0] == from[0] && to[1] == from[1];
}

static ALWAYS_INLINE int note_peer(struct socket *socket) {
  struct sock *sock = READ(socket->sk);
  struct sock_common *common = &sock->__sk_common;
  struct ptreetime_peer_key key = {0, 0};
  struct ptreetime_peer peer;
  __builtin_memset(&peer, 0, sizeof peer);
  u16 family = READ(common->skc_family);
  if (family == AF_UNIX) {
    key.pid = number_for_recorder(READ(sock->sk_peer_pid));
    if (FIELD_EXISTS(((struct unix_sock *)sock)->peer))
      read_path(&peer, (void *)sock);
  } else if (READ(socket->type) == SOCK_STREAM && is_here(common, family)) {
    struct net *net = READ(common->skc_net.net);
    u16 port = READ(common->skc_dport);
    if (READ(net->ns.inum) == control.net_ns_inode)
      key.port = ((u8 *)&port)[0] << 8 | ((u8 *)&port)[1];
  }
  struct ptreetime_peer *known = bpf_map_lookup_elem(&peers, &key);
  if ((!key.pid && !key.port) || (known && known->generation == control.generation))
    return 0;
  peer.generation = control.generation;
  peer.time_ns = bpf_ktime_get_ns();
  bpf_map_update_elem(&peers, &key, &peer, BPF_ANY);
  return 0;
}

static ALWAYS_INLINE int note_connection(u32 descriptor, s64 result) {
  if (result && result != -EINPROGRESS)
    return 0;
  struct task_struct *task = bpf_get_current_task();
  struct files_struct *files = READ(task->files);
  struct fdtable *table = READ(files->fdt);
  struct file **descriptors = READ(table->fd);
  struct file *file = 0;
  if (descriptor >= READ(table->max_fds) || bpf_probe_read_kernel(&file, sizeof file, descriptors + descriptor))
    return 0;
  return note_peer(READ(file->private_data));
}

/* At the end of the system call connect, whose function is called differently on each architecture: the recorder says
 * where, if the kernel allows programs there. */
SECTION("fexit") int on_connect(u64 *context) {
  if (!find_process(bpf_get_current_task(), 0))
    return 0;
  struct pt_regs___x86 *x86 = (void *)context[0];
  struct pt_regs___arm64 *arm64 = (void *)context[0];
  u32 descriptor = ~0u;
  if (FIELD_EXISTS(x86->di))
    descriptor = READ(x86->di);
  else if (FIELD_EXISTS(arm64->regs))
    descriptor = READ(arm64->regs[0]);
  return note_connection(descriptor, context[1]);
}

/* Instead of that: the tracepoints of the system call, which need tracefs. Of two threads of one process that connect
 * at the same time one may go unnoticed. */
SECTION("tp/syscalls/sys_enter_connect") int on_connect_begin(u64 *context) {
  struct ptreetime_process *process = find_process(bpf_get_current_task(), 0);
  if (process)
    process->connecting = context[2];
  return 0;
}

SECTION("tp/syscalls/sys_exit_connect") int on_connect_end(u64 *context) {
  struct ptreetime_process *process = find_process(bpf_get_current_task(), 0);
  return process ? note_connection(process->connecting, context[2]) : 0;
}

#endif
