/* Any bytes as records of the BPF program: whatever the recorder makes of them, it stays within its memory and writes
 * frames that end where they say.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ilibptreetime -Ilibptreetime/recorder tests/fuzz/ebpf_records.c
 * \ libptreetime/recorder/ebpf_records.c libptreetime/recorder/sink.c -o fuzz && ./fuzz -max_total_time=60
 *
 * The input is a sequence of records, each after its size in two bytes.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ebpf_records.h"

#define CHECK(truth)                                                                                                   \
  do {                                                                                                                 \
    if (!(truth))                                                                                                      \
      abort();                                                                                                         \
  } while (0)

static void check_frames(int descriptor) {
  unsigned char header[PTREETIME_FRAME_HEADER_SIZE];
  off_t at = 0, size = lseek(descriptor, 0, SEEK_END);
  while (at < size) {
    CHECK(pread(descriptor, header, sizeof header, at) == sizeof header);
    CHECK(memcmp(header, "PT", 2) == 0);
    at += (off_t)sizeof header + header[4] + (header[5] << 8) + (header[6] << 16) + ((off_t)header[7] << 24);
  }
  CHECK(at == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ptreetime_sink sink;
  static struct ptreetime_records records;
  int descriptor = memfd_create("fuzz", 0);
  CHECK(descriptor >= 0);
  ptreetime_sink_open(&sink, dup(descriptor));
  ptreetime_records_begin(&records, &sink, 1, 1);
  while (size >= 2) {
    size_t length = (size_t)data[0] | (size_t)data[1] << 8;
    data += 2, size -= 2;
    if (length > size)
      length = size;
    char *record = malloc(length + 1); /* of exactly this length, and aligned as in the ring buffer */
    memcpy(record, data, length);
    if (length >= sizeof(struct ptreetime_record)) /* most would be of another recording, which is tried soon enough */
      ((struct ptreetime_record *)record)->generation &= 1;
    ptreetime_records_take(&records, record, length);
    free(record);
    data += length, size -= length;
  }
  ptreetime_records_finish(&records);
  ptreetime_records_free(&records);
  CHECK(ptreetime_sink_close(&sink) == 0);
  check_frames(descriptor);
  close(descriptor);
  return 0;
}
