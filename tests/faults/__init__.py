"""Fault injection: something goes wrong at a random moment of a real run, and what must hold afterwards is checked.

    project.py         the build that is measured, its stores and directories
    processes.py       the processes of a run, found and ended
    victim.py          a run of pytest or of ``ptreetime profile``, to which the faults happen
    trial.py           one fault of one run: seed, moment, outcome
    process_faults.py  kills, stops, time-outs, Ctrl-C
    resource_faults.py full disks, read-only directories, limits
    other_faults.py    deleted logs, a clock that is set, many recordings, two at once
    kernel_objects.py  BPF programs and maps that nobody holds
    invariants.py      what must hold after every fault
    __main__.py        the long run: ``make test-faults``

A trial is repeated by its name and seed: ``python -m faults --only NAME --seed SEED --faults 1``.
"""
