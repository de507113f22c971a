"""The parts of the decision that comparing.py puts together; statistics.py has the textbook functions.

``structure`` judges counts, ``panel`` lines times up as arrays, ``host_speed`` takes the machine's speed out,
``metric_noise`` and ``shrinkage`` say how much a node varies, ``effects`` tests, ``rules`` gives the verdict,
``explain`` finds causes, ``sentences`` says it, ``finding`` is what comes out.
"""
