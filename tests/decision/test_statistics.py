"""The tests against limma, scipy, and numerical integration; ``golden/limma.json`` was made by golden/limma.R."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from pytest_ptreetime.decision.shrinkage import (
    STATED_DF,
    fit_variance_prior,
    natural_spline_basis,
    shrink_variances,
    shrink_with_stated_prior,
    trigamma_inverse,
)
from pytest_ptreetime.decision.statistics import (
    benjamini_hochberg,
    detectable_effect,
    huber_location,
    leave_one_out,
    tail_df,
    treat_p_values,
    two_sided_quantile,
    upper_tail,
)

Array = npt.NDArray[np.float64]

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "limma.json").read_text())
DF = 5.0


def golden(name: str) -> Array:
    return np.array(GOLDEN[name], dtype=float)


def test_trigamma_inverse_over_sixteen_decades_is_limmas() -> None:
    np.testing.assert_allclose(trigamma_inverse(golden("trigamma")), golden("trigamma_inverse"), rtol=1e-9)


def test_variance_prior_without_trend_is_limmas() -> None:
    prior = fit_variance_prior(golden("variances"), DF)
    np.testing.assert_allclose([prior.scale[0], prior.df], golden("prior"), rtol=1e-9)


def test_variance_prior_with_a_trend_over_size_is_limmas() -> None:
    prior = fit_variance_prior(golden("variances"), DF, golden("sizes"))
    np.testing.assert_allclose(prior.scale, golden("trend_prior_scale"), rtol=1e-9)
    np.testing.assert_allclose(prior.df, golden("trend_prior_df")[0], rtol=1e-9)


@pytest.mark.parametrize(("trend", "name"), [(False, "shrunk"), (True, "trend_shrunk")])
def test_shrunk_variances_are_limmas(trend: bool, name: str) -> None:
    prior = fit_variance_prior(golden("variances"), DF, golden("sizes") if trend else None)
    np.testing.assert_allclose(shrink_variances(golden("variances"), DF, prior)[0], golden(name), rtol=1e-9)


def test_moderated_t_is_limmas() -> None:
    variances, df = shrink_variances(golden("variances"), DF, fit_variance_prior(golden("variances"), DF))
    errors = np.sqrt(variances / 6)
    np.testing.assert_allclose(golden("effects") / errors, golden("moderated_t"), rtol=1e-9)
    np.testing.assert_allclose(df, golden("moderated_df")[0], rtol=1e-9)
    np.testing.assert_allclose(treat_p_values(golden("effects"), errors, df, 0.0), golden("moderated_p"), rtol=1e-9)


@pytest.mark.parametrize(("trend", "name"), [(False, "treat_p"), (True, "trend_treat_p")])
def test_treat_is_limmas(trend: bool, name: str) -> None:
    prior = fit_variance_prior(golden("variances"), DF, golden("sizes") if trend else None)
    variances, df = shrink_variances(golden("variances"), DF, prior)
    p_values = treat_p_values(golden("effects"), np.sqrt(variances / 6), df, np.log2(1.05))
    np.testing.assert_allclose(p_values, golden(name), rtol=1e-9)


def test_benjamini_hochberg_is_that_of_r() -> None:
    np.testing.assert_allclose(benjamini_hochberg(golden("treat_p")), golden("treat_q"), rtol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_benjamini_hochberg_of_any_p_values_is_that_of_scipy(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values)
    np.testing.assert_allclose(benjamini_hochberg(np.array(p_values)), expected, rtol=1e-12, atol=1e-300)


def test_shrinkage_is_bayes_theorem_done_by_numerical_integration() -> None:
    """The posterior mean of 1/variance under the prior is 1 / the shrunk variance: Smyth 2004, section 4."""
    prior_scale, prior_df, variance = 0.02, 7.0, 0.05

    def weight(precision: float) -> float:
        prior = stats.chi2.pdf(precision * prior_df * prior_scale, prior_df)
        likelihood = stats.chi2.pdf(DF * variance * precision, DF) * precision
        return float(prior * likelihood)

    total, _ = integrate.quad(weight, 0, np.inf)
    mean, _ = integrate.quad(lambda precision: precision * weight(precision), 0, np.inf)
    prior = fit_variance_prior(np.array([1.0, 1.0]), DF)
    prior = type(prior)(np.array([prior_scale]), prior_df)
    shrunk, df = shrink_variances(np.array([variance]), DF, prior)
    assert shrunk[0] == pytest.approx(total / mean, rel=1e-6)
    assert df == prior_df + DF


def test_variance_prior_of_simulated_variances_finds_their_parameters() -> None:
    random = np.random.default_rng(3)
    true = 0.04 * 8 / random.chisquare(8, 20_000)
    prior = fit_variance_prior(true * random.chisquare(4, 20_000) / 4, 4)
    assert prior.df == pytest.approx(8, rel=0.1)
    assert prior.scale[0] == pytest.approx(0.04, rel=0.03)


def test_natural_spline_beyond_its_knots_is_straight_at_both_ends() -> None:
    x = np.linspace(0, 1, 401)
    basis = natural_spline_basis(x, 4)
    curvature = np.diff(basis, 2, axis=0)
    assert np.abs(curvature[[0, -1]]).max() < 0.01 * np.abs(curvature).max()
    assert np.linalg.matrix_rank(basis) == 4


def test_natural_spline_of_nodes_of_one_size_is_a_constant() -> None:
    assert natural_spline_basis(np.full(50, 2.0), 4).shape == (50, 1)


def test_stated_prior_with_too_few_nodes_is_used() -> None:
    stated = np.array([1e-4, 2e-4])
    shrunk, df, _ = shrink_with_stated_prior(np.array([3e-4, 3e-4]), 4, np.array([0.0, 1.0]), stated)
    np.testing.assert_allclose(shrunk, [2e-4, 2.5e-4])
    assert df == STATED_DF + 4


def test_stated_prior_without_replicates_is_all_there_is() -> None:
    shrunk, df, _ = shrink_with_stated_prior(np.zeros(50), 0, np.arange(50.0), np.full(50, 1e-4))
    np.testing.assert_array_equal(shrunk, 1e-4)
    assert df == STATED_DF


def test_equal_variances_are_shrunk_to_one_value() -> None:
    shrunk, df, _ = shrink_with_stated_prior(np.full(50, 2e-4), 4, np.arange(50.0), np.full(50, 1.0))
    np.testing.assert_allclose(shrunk, shrunk[0], rtol=1e-6)
    assert df > 100


@given(df=st.floats(1, 200), t=st.floats(0, 30))
def test_upper_tail_is_that_of_scipy(df: float, t: float) -> None:
    assert upper_tail(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-8)


def test_detectable_effect_at_its_level_is_found_with_that_power() -> None:
    random = np.random.default_rng(5)
    error, df, threshold, alpha = 0.01, 20, 0.01, 1e-4
    effect = float(detectable_effect(np.array([error]), df, threshold, alpha=alpha, power=0.9)[0])
    estimated = effect + error * random.standard_normal(100_000)
    errors = error * np.sqrt(random.chisquare(df, 100_000) / df)
    assert np.mean(treat_p_values(estimated, errors, df, threshold) <= alpha) == pytest.approx(0.9, abs=0.01)


def test_huber_location_of_normal_values_is_nearly_as_sharp_as_the_mean() -> None:
    values = np.random.default_rng(1).standard_normal((10, 20_000))
    location, variances = huber_location(values, np.ones(20_000))
    assert location.std() == pytest.approx(10**-0.5, rel=0.02)
    assert variances.mean() == pytest.approx(1, rel=0.06)


def test_huber_location_with_an_outlier_stays() -> None:
    values = np.array([[1.0], [1.01], [0.99], [1.0], [9.0]])
    location, _ = huber_location(values, np.array([0.01]))
    assert location[0] == pytest.approx(1.005, abs=0.005)


def test_huber_location_of_one_round_is_that_round() -> None:
    location, variances = huber_location(np.array([[1.0, 2.0]]), np.ones(2))
    assert location.tolist() == [1, 2]
    assert variances.tolist() == [0, 0]


def test_leave_one_out_of_normal_sessions_is_students_t() -> None:
    sessions = 0.01 * np.random.default_rng(2).standard_normal((6, 30_000))
    statistics, df = leave_one_out(sessions, np.full(30_000, 1e-4), 0.0)
    assert statistics is not None
    assert df == 4
    assert np.mean(np.abs(statistics) > two_sided_quantile(0.01, df)) == pytest.approx(0.01, abs=0.002)


def test_leave_one_out_of_three_sessions_says_nothing() -> None:
    assert leave_one_out(np.zeros((3, 5)), np.ones(5), 3.0) == (None, None)


def test_tail_df_of_normal_noise_is_left_alone() -> None:
    assert tail_df(np.random.default_rng(4).standard_normal(10_000), np.inf) == np.inf


@pytest.mark.parametrize("df", [2.0, 3.0, 5.0])
def test_tail_df_of_heavy_tails_is_about_theirs(df: float) -> None:
    draws = np.random.default_rng(4).standard_t(df, 20_000)
    assert 0.5 * df <= tail_df(draws, np.inf) <= 1.3 * df


def test_tail_df_of_rare_spikes_is_small() -> None:
    draws = np.random.default_rng(4).standard_normal(10_000)
    draws[:20] = 50
    assert tail_df(draws, np.inf) < 2
