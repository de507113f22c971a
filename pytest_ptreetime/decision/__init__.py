"""The parts of the decision, which comparing.py puts together, in the order of docs/explanation/architecture.md.

``alignment`` puts sessions under one set of keys (``starring``, ``matching``, ``stepping_over``, ``likeness``);
``panel`` lines profiles up as arrays; ``structure`` compares counts and ``structure_cost`` judges what they cost;
``waiting`` judges the build's waiting; ``host_speed`` takes the machine's speed out; ``metric_noise`` and ``shrinkage``
say how much a node varies; ``estimating`` gives the effects of all nodes and how sure they are, ``node_tests`` tests
them, with the textbook functions of ``statistics``; ``rules`` decides, ``findings`` describes what was found,
``explain`` finds causes; ``changes`` and ``remarks`` say what else there is; ``finding`` is what comes out.
"""
