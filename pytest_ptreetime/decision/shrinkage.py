"""Variances learned across nodes: empirical Bayes, as genomics does it for thousands of genes and a few arrays.

A node's own variance from a few rounds is a poor guess: by luck it is far too small for some of a thousand nodes, and
those raise the false alarms. All the nodes together say how variances are distributed around a trend over size, and
each node's variance is drawn towards that.

The literature:

- G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
  experiments", Statistical Applications in Genetics and Molecular Biology 3 (2004): the model, section 6.2 for its fit.
- C. W. Law et al., "voom", Genome Biology 15 (2014), and limma's ``trend``: the prior's scale follows the size.

The tests compare with limma's output (tests/decision/test_statistics.py says how it was made).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "Array",
    "VariancePrior",
    "fit_variance_prior",
    "natural_spline_basis",
    "shrink_variances",
    "shrink_with_stated_prior",
    "trigamma_inverse",
]

Array = npt.NDArray[np.float64]

#: With fewer nodes than this the distribution of variances is not estimated; a stated prior takes its place.
FEWEST_NODES = 10
#: The degrees of freedom of a stated prior: it counts as much as five further measurements of the node would.
STATED_DF = 4.0
#: Variances below this part of the median variance are taken for it: a variance of exactly 0 is luck or rounding.
SMALLEST_PART_OF_MEDIAN = 1e-5


@dataclass(frozen=True)
class VariancePrior:
    """A scaled inverse chi-square prior: ``scale`` is a node's typical variance (one for each), ``df`` its weight."""

    scale: Array
    df: float


def trigamma_inverse(values: npt.ArrayLike) -> Array:
    """The y with trigamma(y) = x, for positive x (Smyth 2004, appendix: Newton's method on 1/trigamma)."""
    x = np.asarray(values, dtype=float)
    y = 0.5 + 1.0 / x
    for _ in range(50):
        trigamma = special.polygamma(1, y)
        step = trigamma * (1.0 - trigamma / x) / special.polygamma(2, y)
        y = y + step
        if np.all(np.abs(step) <= 1e-10 * y):
            break
    # The ends, where trigamma underflows or the iteration has no digits left, follow from its asymptotes.
    return np.where(x > 1e7, 1.0 / np.sqrt(x), np.where(x < 1e-6, 1.0 / x, y))


def natural_spline_basis(covariate: Array, df: int) -> Array:
    """A basis (nodes x df) of the natural cubic splines with knots at quantiles of ``covariate``; constant included.

    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, equations 5.4 and 5.5. The covariate is
    scaled to 0..1 first, so that the cubes stay small. ``df`` 1 is the constant, 2 a straight line;
    where quantiles coincide there are fewer columns.
    """
    low, high = float(covariate.min()), float(covariate.max())
    x = (covariate - low) / ((high - low) or 1.0)
    knots = np.unique(np.quantile(x, np.linspace(0.0, 1.0, df))) if df > 1 else x[:1]
    columns = [np.ones_like(x), x][: len(knots)]
    if len(knots) > 2:
        last = knots[-1]

        def truncated(knot: float) -> Array:
            excess: Array = (np.maximum(x - knot, 0.0) ** 3 - np.maximum(x - last, 0.0) ** 3) / (last - knot)
            return excess

        columns += [truncated(knot) - truncated(knots[-2]) for knot in knots[:-2]]
    return np.column_stack(columns)


def fit_variance_prior(variances: Array, df: float, covariate: Array | None = None) -> VariancePrior:
    """Fit the prior to sample variances of ``df`` degrees of freedom each, by the moments of their logarithms.

    With a covariate (log sizes) the prior's scale follows a natural spline of it. ``df`` of the result is infinite
    where the variances differ no more than chance makes them.
    """
    count = len(variances)
    variances = np.maximum(variances, SMALLEST_PART_OF_MEDIAN * (float(np.median(variances)) or 1.0))
    centred = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    basis = _basis(covariate, count)
    fitted: Array
    if basis.shape[1] == 1:
        fitted = np.full(count, centred.mean())
    else:
        coefficients = np.linalg.lstsq(basis, centred, rcond=None)[0]
        fitted = basis @ coefficients
    excess = float(np.sum((centred - fitted) ** 2)) / (count - basis.shape[1]) - float(special.polygamma(1, df / 2))
    if excess > 0:
        prior_df = 2.0 * float(trigamma_inverse(excess))
        return VariancePrior(np.exp(fitted + special.digamma(prior_df / 2) - np.log(prior_df / 2)), prior_df)
    if basis.shape[1] == 1:
        return VariancePrior(np.full(count, variances.mean()), np.inf)
    return VariancePrior(np.exp(fitted), np.inf)


def _basis(covariate: Array | None, count: int) -> Array:
    """One degree of freedom for the trend more at 3, 6 and 30 nodes, as limma has it."""
    if covariate is None:
        return np.ones((count, 1))
    df = 1 + (count >= 3) + (count >= 6) + (count >= 30)
    return natural_spline_basis(covariate, df)


def shrink_variances(variances: Array, df: float, prior: VariancePrior) -> tuple[Array, float]:
    """The posterior variances, and the degrees of freedom that a t statistic with them has."""
    if np.isinf(prior.df):
        return prior.scale.copy(), np.inf
    return (prior.df * prior.scale + df * variances) / (prior.df + df), prior.df + df


def shrink_with_stated_prior(
    variances: Array, df: float, log_sizes: Array, stated_scale: Array
) -> tuple[Array, float, VariancePrior]:
    """Shrink towards what the nodes say, or towards ``stated_scale`` where there are too few of them or no replicates.

    :param variances: sample variances; not looked at where ``df`` is 0.
    :param stated_scale: the variance that each node is taken to have before anything was measured.
    :returns: variances, degrees of freedom, and the prior that was used.
    """
    if df <= 0:
        return stated_scale.copy(), STATED_DF, VariancePrior(stated_scale, STATED_DF)
    if len(variances) < FEWEST_NODES:
        prior = VariancePrior(stated_scale, STATED_DF)
    else:
        prior = fit_variance_prior(variances, df, log_sizes)
        # All the nodes together can't know the spread better than their total degrees of freedom.
        prior = VariancePrior(prior.scale, min(prior.df, df * len(variances)))
    posterior, posterior_df = shrink_variances(variances, df, prior)
    return posterior, posterior_df, prior
