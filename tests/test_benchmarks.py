"""The simulated worlds of bench/decision.py: each can be sent to a process of its pool, and gives what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "bench"
CHECK = """
import pickle, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from worlds import WORLDS, Build
for world in WORLDS:
    sent = pickle.loads(pickle.dumps(world))
    one, other = (Build(np.random.default_rng(1), which).session(5) for which in (world, sent))
    assert one.shape == (5, 4, world.nodes) and (one[:, 3] > 0).all() and (one == other).all(), world.name
print(len(WORLDS))
"""


def test_every_world_can_be_sent_to_another_process() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK, str(BENCH)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15
