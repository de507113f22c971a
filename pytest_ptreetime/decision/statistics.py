"""The tests: pure functions of arrays, each with its reference; nothing here knows of processes.

Effects are differences of logarithms: 0.05 is 5.1 % more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "benjamini_hochberg",
    "detectable_effect",
    "huber_location",
    "leave_one_out",
    "matching_df",
    "median_of_rounds",
    "tail_df",
    "treat_p_values",
    "two_sided_quantile",
    "upper_tail",
]

Array = npt.NDArray[np.float64]

#: Huber's tuning constant in standard deviations: 99 % efficient for normal noise, and an outlier moves the location by
#: no more than a value at two standard deviations would.
HUBER_K = 2.0
#: How deep into the tail the observed noise is compared with Student's t, in number of draws.
TAIL_DEPTHS = (10, 30, 100)
#: The probability at which a heavy tail and its t are to agree: one false finding in a thousand nodes and a thousand
#: sessions. No tail that was found to be heavy is taken to fall faster than the power STEEPEST_TAIL.
FAR_OUT = 1e-6
STEEPEST_TAIL = 8.0
#: Degrees of freedom above this are normal noise; the special functions lose digits further out.
MOST_DF = 1e5
#: From here on the noncentral t is a shifted normal distribution, and its inverse is slow.
NEARLY_NORMAL_DF = 1e3


def upper_tail(statistic: npt.ArrayLike, df: npt.ArrayLike) -> Array:
    """P(T > statistic) of Student's t."""
    return np.asarray(special.stdtr(np.minimum(df, MOST_DF), -np.asarray(statistic, dtype=float)), dtype=float)


def two_sided_quantile(probability: npt.ArrayLike, df: npt.ArrayLike) -> Array:
    """The t that is exceeded, in either direction, with ``probability``."""
    return np.asarray(-special.stdtrit(np.minimum(df, MOST_DF), np.asarray(probability, dtype=float) / 2), dtype=float)


def treat_p_values(effects: Array, errors: Array, df: npt.ArrayLike, thresholds: float | Array) -> Array:
    """p-values of the hypothesis that the effect's size is at most ``thresholds``.

    D. J. McCarthy and G. K. Smyth, "Testing significance relative to a fold-change threshold is a TREAT",
    Bioinformatics 25 (2009), equation 3. With a threshold of 0 this is the two-sided t test.
    """
    size = np.abs(effects)
    return upper_tail((size - thresholds) / errors, df) + upper_tail((size + thresholds) / errors, df)


def benjamini_hochberg(p_values: Array) -> Array:
    """Adjusted p-values: rejecting those up to q keeps the expected share of false findings at q.

    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995). Where nothing has changed,
    the probability of any finding at all is at most q.
    """
    count = len(p_values)
    order = np.argsort(p_values)[::-1]
    scaled = np.minimum.accumulate(p_values[order] * count / np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(scaled, 1.0)
    return adjusted


def detectable_effect(errors: Array, df: float, thresholds: float | Array, *, alpha: float, power: float) -> Array:
    """The effect that a TREAT test at level ``alpha`` finds with probability ``power``: noncentral t."""
    critical = float(-special.stdtrit(min(df, MOST_DF), alpha))
    if df > NEARLY_NORMAL_DF:
        distance = critical + float(special.ndtri(power))
    else:
        distance = float(special.nctdtrinc(df, 1 - power, critical))
    return np.asarray(thresholds + distance * errors, dtype=float)


def median_of_rounds(values: Array) -> Array:
    """The median over the first axis, which is short; there must be no NaN. Sorting is faster than numpy's median."""
    ordered = np.sort(values, axis=0)
    middle = len(ordered) // 2
    return np.asarray(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2, dtype=float)


def huber_location(values: Array, scales: Array, medians: Array | None = None) -> tuple[Array, Array]:
    """Locations over the first axis (rounds) that outliers can't move far, and the variances of one value around them.

    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964), by
    reweighting from the median; the variance is that of the pseudo-values psi(r)/mean(psi'), so location and variance
    / rounds enter a t test as mean and variance do.

    :param values: rounds x nodes.
    :param scales: the noise's standard deviation of each node, positive.
    :param medians: those of ``values``, where they are known already.
    :returns: locations and variances (0 for a single round), each of one value a node.
    """
    rounds = len(values)
    if rounds < 3:  # with two values none is an outlier
        return values.mean(axis=0), values.var(axis=0, ddof=1) if rounds > 1 else np.zeros(values.shape[1])
    location = median_of_rounds(values) if medians is None else medians
    reach = HUBER_K * scales
    for _ in range(3):  # converges by a digit a step; the third changes the location by less than 1 % of its error
        location = location + np.clip(values - location, -reach, reach).mean(axis=0)
    residuals = values - location
    inside = np.maximum((np.abs(residuals) <= reach).mean(axis=0), 0.5)
    clipped = np.clip(residuals, -reach, reach)
    return location, np.einsum("rn,rn->n", clipped, clipped) / (rounds - 1) / inside**2


def leave_one_out(sessions: Array, prior_scale: Array, prior_df: float) -> tuple[Array, float] | tuple[None, None]:
    """How far each session lies from the others, in standard errors that were estimated without it.

    These are draws of the statistic by which a new session will be judged, made when nothing had changed.

    :param sessions: sessions x nodes; at least 4 sessions, else None.
    :returns: the statistics, flat, and the degrees of freedom that they would have with normal noise.
    """
    count = len(sessions)
    if count < 4:
        return None, None
    deviations = sessions - sessions.mean(axis=0)
    squares = np.einsum("sn,sn->n", deviations, deviations)
    others = (squares - deviations**2 * (count / (count - 1))) / (count - 2)
    df = count - 2.0
    if np.isinf(prior_df):
        variances, df = np.broadcast_to(prior_scale, others.shape), np.inf
    else:
        variances, df = (prior_df * prior_scale + df * np.maximum(others, 0.0)) / (prior_df + df), prior_df + df
    # The session differs from the mean of the others by n/(n-1) of its deviation; that difference has variance n/(n-1).
    statistics = deviations * np.sqrt(count / (count - 1)) / np.sqrt(variances)
    return statistics.ravel(), df


def tail_df(statistics: Array, df: float) -> float:
    """The degrees of freedom with which Student's t reaches as far as ``statistics`` where rejections happen.

    ``df`` where the draws' extremes are no larger than t's own (by 2.5 standard deviations of their number). Else the
    draws say how the tail goes on: a power law through the largest (B. M. Hill, "A simple general approach to inference
    about the tail of a distribution", Annals of Statistics 3, 1975) gives the quantile of FAR_OUT, beyond most data.
    """
    sizes = np.sort(np.abs(statistics))[::-1]
    count = len(sizes)
    depths = [depth for depth in TAIL_DEPTHS if 10 * depth <= count]
    expected = two_sided_quantile(np.array(depths) / max(count, 1), df)
    if all(np.count_nonzero(sizes > q) <= depth + 2.5 * depth**0.5 for depth, q in zip(depths, expected, strict=True)):
        return df
    depth = min(max(count // 500, min(TAIL_DEPTHS)), max(TAIL_DEPTHS))
    index = min(depth / max(float(np.log(sizes[:depth] / sizes[depth]).sum()), 1e-9), STEEPEST_TAIL)
    reached = float(sizes[depth]) * (depth / count / FAR_OUT) ** (1 / index)
    return matching_df(reached, FAR_OUT, df)


def matching_df(quantile: float, probability: float, df: float) -> float:
    """The degrees of freedom (1 to ``df``) of the t that exceeds ``quantile`` with ``probability``; bisects 1/df."""
    low, high = 1.0 / min(df, MOST_DF), 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(two_sided_quantile(probability, 1.0 / middle)) < quantile:
            low = middle
        else:
            high = middle
    return 2.0 / (low + high)
