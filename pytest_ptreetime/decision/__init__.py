"""The parts of the decision, which comparing.py puts together, in the order of docs/explanation/architecture.md.

``alignment`` puts sessions under one set of keys (``starring``, ``matching``, ``stepping_over``, ``likeness``);
``panel`` lines profiles up as arrays; ``structure`` compares counts and ``structure_cost`` judges what they cost;
``waiting`` judges the build's waiting; ``host_speed`` takes the machine's speed out; ``metric_noise`` and ``shrinkage``
say how much a node varies; ``effects`` tests, with the textbook functions of ``statistics``; ``rules`` decides;
``explain`` finds causes; ``changes`` and ``sentences`` write them down; ``finding`` is what comes out.
"""
