/* What an image needs to be run again, as it is at the stop of its exec. A record is
 *
 *     uint32 pid | uint32 image | uint32 uid | uint32 personality | uint32 sizes[5]
 *     executable | directory | input | args | environ
 *
 * in the machine's byte order. `image` counts the execs of the process from 0; `input` is where the link of its
 * standard input leads; args and environ are NUL-terminated strings. What can't be read is empty.
 */
#ifndef PTREETIME_RECORDER_CAPTURE_H
#define PTREETIME_RECORDER_CAPTURE_H

#include <stdint.h>
#include <sys/types.h>

/* Append a record, unless the file has reached its limit. */
void ptreetime_capture_write(int descriptor, pid_t pid, uint32_t image);

#endif
