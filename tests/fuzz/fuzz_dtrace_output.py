"""What dtrace prints on its standard output and, after a line ``--- stderr``, on its standard error."""

from __future__ import annotations

import zlib

from fuzz.analysis_of import analyse
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers.dtrace_output import DtraceOutput, clock_shift_ns, lost_records, with_programs

SEPARATOR = b"\n--- stderr\n"


def one_input(data: bytes) -> None:
    output, _, errors = data.partition(SEPARATOR)
    lost_records(errors.decode(errors="replace"))
    parsed = DtraceOutput.parse(output)
    parsed.count_processes()
    parsed.living()
    begin = parsed.begin
    shift_ns = 0 if begin is None else clock_shift_ns(begin, 0, 10**9, 10**18)
    events = parsed.events(shift_ns)
    analyse(Recording(with_programs(events, events)), zlib.crc32(data))
