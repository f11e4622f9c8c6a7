"""iptables has the kernel's thresholds, shares, sequences and lists of recent clients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from feeding import NO_TRIES, Counted, Script, assert_compiled_agrees, fed, golden, history
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare

from lbbench.balancers import iptables
from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.iptables import (
    ALWAYS,
    FORMATS,
    IPTABLES,
    IPTABLES_NTH,
    IptablesState,
    nth_matches,
    nth_start,
    printed_probability,
    rule_shares,
    shares,
    shares_of,
    state_shares,
    threshold,
    written_probability,
)
from lbbench.core.rng import next_u64, stream, upper31, wrapping
from lbbench.errors import BalancerError

VECTORS = golden("iptables.json")
NO_RNG = np.zeros(4, np.uint64)
FALSE_ALARM = 1e-5  # of each chi-square test


def state_of(
    n: int, balancer: Balancer = IPTABLES, *, listed: bool = True, **options: Any
) -> IptablesState:
    state = balancer.state(
        balancer.options(options), [Endpoint(f"10.244.0.{i}:80") for i in range(n)]
    )
    if listed:
        change(state, [], range(n))
    return state


def change(state: IptablesState, old: Sequence[int], new: Sequence[int], now: float = 0.0) -> None:
    iptables.on_endpoints(state, NO_RNG, np.array(old, np.int64), np.array(new, np.int64), now)


def pick(state: IptablesState, bits: Sequence[int] = (), *, key: int = 1, now: float = 0.0) -> int:
    """Return the pick when the draws give these 31 bits, all of them used."""
    script = Script(bits)
    found = fed(iptables.pick, upper31=script)(state, NO_RNG, now, key, NO_TRIES, NO_TRIES)
    assert not script.waiting
    return int(found)


# --- thresholds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number_format", FORMATS)
def test_every_threshold_of_the_kernel_comes_back(number_format: str):
    """For m = 2 .. 200: the text kube-proxy writes, the u32 in the kernel, what is printed."""
    rows = VECTORS["formats"][number_format]["threshold"]
    assert [row[0] for row in rows] == list(range(2, 201))
    for m, text, value, printed in rows:
        assert written_probability(m, number_format) == text
        assert threshold(text) == value
        assert printed_probability(value) == printed
        assert threshold(printed) == value  # an imported rule set has the same rules


@pytest.mark.parametrize("number_format", FORMATS)
def test_thresholds_are_rounded_from_the_written_decimal(number_format: str):
    """For m = 2 .. 1000: round(p 2^31) of the decimal, which often is not that of 1/m."""
    part, differing = VECTORS["formats"][number_format], []
    low, high = part["checked_m_range"]
    for m in range(low, high + 1):
        text = written_probability(m, number_format)
        value, exact = threshold(text), math.floor(Fraction(text) * ALWAYS + Fraction(1, 2))
        assert value == exact
        if value != round(Fraction(ALWAYS, m)):
            differing.append([m, value, round(Fraction(ALWAYS, m))])
    assert len(differing) == part["count_differing"]
    listed = part["thresholds_differing_from_round_2pow31_over_m"]
    assert differing[: len(listed)] == listed


def test_where_neighbouring_sizes_become_one():
    """The formats and thresholds stop telling m from m - 1 where the vectors say."""
    first = VECTORS["first_m_with_repeated_value"]
    found = {
        "string_0_5f": lambda m: written_probability(m, "%0.5f"),
        "string_0_10f": written_probability,
        "kernel_threshold_from_0_10f": lambda m: threshold(written_probability(m)),
    }
    for name, value in found.items():
        m, before = 2, None
        while value(m) != before:
            m, before = m + 1, value(m)
        assert m == first[name]


def test_halves_are_rounded_away_from_zero():
    """As lround does: 0.5, 1.5 and 2.5 units of 2^-31 become 1, 2 and 3."""
    assert [threshold(repr(k / 2**32)) for k in (1, 3, 5)] == [1, 2, 3]
    assert threshold(repr((1 - 2**-53) / 2**32)) == 0  # x + 0.5 would round up
    assert [threshold(text) for text in ("0", "0.00000", "1", "1.0000000000")] == [
        0,
        0,
        2**31,
        2**31,
    ]


@pytest.mark.parametrize("text", ["1.1", "-0.1", "nan", "half", ""])
def test_a_probability_outside_0_to_1_is_refused(text: str):
    """One sentence with the text."""
    with pytest.raises(BalancerError, match=f"probability {text}: must be a number from 0 to 1"):
        threshold(text)


# --- shares ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number_format", FORMATS)
def test_exact_shares_come_back(number_format: str):
    """Shares of every recorded n, and their bias: smallest, largest, and where."""
    part = VECTORS["formats"][number_format]
    for n, expected in part["exact_probabilities"].items():
        found = shares(int(n), number_format)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        state = state_of(int(n), probability_format=number_format)
        np.testing.assert_array_equal(state_shares(state, int(n)), found)
        assert found.sum() == pytest.approx(1.0, abs=1e-12)
    rows = part["per_n_relative_error_of_endpoint_probability_min_max_argmin_argmax"]
    for n, low, high, at_low, at_high in (*rows, *part["larger_n"]):
        bias = shares(n, number_format) * n - 1.0
        assert (bias.min(), bias.max()) == (
            pytest.approx(low, abs=1e-12),
            pytest.approx(high, abs=1e-12),
        )
        # several positions may have one bias up to the last bits
        assert bias[at_low] == pytest.approx(low, abs=1e-12)
        assert bias[at_high] == pytest.approx(high, abs=1e-12)


def test_the_old_format_is_visibly_biased_and_the_new_one_is_not():
    """Below 1e-7 with ten decimals up to 200 endpoints; 0.1 % with five, 0.5 % at 1000."""
    assert max(abs(shares(n) * n - 1.0).max() for n in range(2, 201)) < 1e-7
    assert abs(shares(200, "%0.5f") * 200 - 1.0).max() == pytest.approx(0.001, rel=0.1)
    assert abs(shares(1000, "%0.5f") * 1000 - 1.0).max() == pytest.approx(0.005, rel=0.1)
    assert threshold(written_probability(300_000, "%0.5f")) == 0  # never matches


@pytest.mark.parametrize(
    "run", VECTORS["random_mode_runs"], ids=lambda run: f"{run['tool']}-{run['n']}"
)
def test_counts_of_real_connections_fit_our_shares(run: dict[str, Any]):
    """Chi-square of the kernel's counts against the exact shares, p as recorded."""
    expected = shares(run["n"]) * run["connections"]
    found = chisquare(run["counts"], expected)
    assert found.statistic == pytest.approx(run["chi2"], abs=1e-4)
    assert found.pvalue > FALSE_ALARM


def simulated(n: int, connections: int, **options: Any) -> np.ndarray:
    state, rng = state_of(n, **options), stream(11, 0, "kube_proxy", f"node-{n}")
    with wrapping():
        return np.array(
            [iptables.pick(state, rng, 0.0, 1, NO_TRIES, NO_TRIES) for _ in range(connections)]
        )


@pytest.mark.parametrize(("n", "number_format"), [(3, "%0.10f"), (10, "%0.10f"), (7, "%0.5f")])
def test_our_picks_fit_the_exact_shares_and_are_independent(n: int, number_format: str):
    """Chi-square of 20 000 picks, and of successive pairs; a false alarm in 100 000 each."""
    found = simulated(n, 20_000, probability_format=number_format)
    share = shares(n, number_format)
    assert chisquare(np.bincount(found, minlength=n), share * len(found)).pvalue > FALSE_ALARM
    pairs = np.bincount(n * found[:-1] + found[1:], minlength=n * n)
    expected = np.outer(share, share).ravel() * (len(found) - 1)
    statistic = ((pairs - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, n * n - 1) > FALSE_ALARM


# --- picks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 200])
def test_a_rule_matches_below_its_threshold_and_draws_once(n: int):
    """Rule i matches T - 1 and not T; every rule reached draws once, the last one never."""
    state = state_of(n)
    limits = [threshold(written_probability(n - i)) for i in range(n - 1)]
    for i in range(n - 1):
        assert pick(state, [*limits[:i], limits[i] - 1]) == i
    assert pick(state, limits) == n - 1
    assert pick(state, [ALWAYS - 1] * (n - 1)) == n - 1


def test_the_mean_number_of_draws_is_linear_in_n():
    """(n - 1)(n + 2) / (2 n) draws per pick; 5000 picks, z = 4, a false alarm in 16 000."""
    n, connections = 12, 5000
    state, counted, rng = state_of(n), Counted(upper31), stream(1, 0, "kube_proxy", "draws")
    ours = fed(iptables.pick, upper31=counted)
    with wrapping():
        for _ in range(connections):
            ours(state, rng, 0.0, 1, NO_TRIES, NO_TRIES)
    draws = np.array([*range(1, n), n - 1])  # by the rule that matches, 1/n each
    expected = (n - 1) * (n + 2) / (2 * n)
    assert draws.mean() == pytest.approx(expected)
    assert abs(counted.calls / connections - expected) < 4 * draws.std() / math.sqrt(connections)


@given(n=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_pick_leaves_the_stream_after_its_draws(n: int, seed: int):
    """A pick of rule i has used i + 1 numbers of the stream, the last rule n - 1, and no other."""
    state, rng = state_of(n), stream(seed, 0, "kube_proxy", "draws")
    expected = rng.copy()
    with wrapping():
        rule = iptables.pick(state, rng, 0.0, 1, NO_TRIES, NO_TRIES)
        drawn = [upper31(next_u64(expected)) for _ in range(min(rule + 1, n - 1))]
    assert rng.tolist() == expected.tolist()
    limits = [threshold(written_probability(n - i)) for i in range(len(drawn))]
    matches = [bits < limit for bits, limit in zip(drawn, limits, strict=True)]
    assert matches == [i == rule for i in range(len(drawn))]


def test_without_endpoints_there_is_none():
    """-1, without a draw, in both modes."""
    for balancer in (IPTABLES, IPTABLES_NTH):
        state = state_of(2, balancer)
        change(state, [0, 1], [])
        assert pick(state) == -1
    state = state_of(2, probabilities=(0.5, None))
    change(state, [0, 1], [])
    assert pick(state) == -1


def test_probabilities_as_written_are_used_when_they_fit_the_list():
    """An imported chain keeps its own numbers; a list of another length gets kube-proxy's."""
    state = state_of(3, probabilities=(0.25, 0.5, 1.0))
    np.testing.assert_array_equal(state_shares(state, 3), [0.25, 0.375, 0.375])
    np.testing.assert_array_equal(shares_of((0.25, 0.5, None)), [0.25, 0.375, 0.375])
    assert pick(state, [2**29 - 1]) == 0
    assert pick(state, [2**29, 2**30 - 1]) == 1
    assert pick(state, [2**29, 2**30]) == 2
    change(state, [0, 1, 2], [0, 1])
    assert pick(state, [2**29]) == 0
    np.testing.assert_array_equal(state_shares(state, 2), shares(2))


def test_a_connection_can_pass_all_rules():
    """Where the last rule is conditional too, -1 stands for no match, and shares miss a part."""
    state = state_of(2, probabilities=(0.5, 0.5))
    assert pick(state, [2**30, 2**30 - 1]) == 1
    assert pick(state, [2**30, 2**30]) == -1
    assert shares_of((0.5, 0.5)).sum() == state_shares(state, 2).sum() == 0.75


def test_shares_are_those_of_a_chain():
    """The share of rule i is its probability times that of passing all before it."""
    assert rule_shares([]).size == 0
    np.testing.assert_array_equal(rule_shares([2**30, 2**29, ALWAYS]), [0.5, 0.125, 0.375])


# --- nth ------------------------------------------------------------------------------------------

CHAINED = "chained_every_n-i_packet_0"


@pytest.mark.parametrize(
    "run", VECTORS["nth_mode_runs"], ids=lambda run: f"{run['scheme']}-{run['n']}"
)
def test_every_nth_sequence_of_the_kernel_comes_back(run: dict[str, Any]):
    """Every chain and single rule of the recorded runs, by the kernel's counter."""
    conditional = [rule for rule in run["rules"] if "every" in rule]
    starts = [[r["every"] - 1, r["packet"], nth_start(**r)] for r in conditional]
    if run["kernel_every_packet_count_at_install"] is not None:
        assert starts == run["kernel_every_packet_count_at_install"]
    counter = np.array([start for _, _, start in starts], np.int64)

    def first_match() -> int:
        for i, rule in enumerate(run["rules"]):
            if "every" not in rule or nth_matches(counter, i, rule["every"]):
                return i
        return -1

    if run["scheme"] == "one_rule":
        assert [int(first_match() == 0) for _ in run["matched"]] == run["matched"]
        return
    assert [first_match() for _ in run["sequence"]] == run["sequence"]
    if run["scheme"] == CHAINED:
        state = state_of(run["n"], IPTABLES_NTH)
        assert [pick(state) for _ in run["sequence"]] == run["sequence"]


@given(st.integers(1, 12), st.integers(0, 40))
def test_nth_is_a_round_robin_and_restarts_with_the_rules(n: int, before: int):
    """Successive connections go to 0, 1, .. n - 1, 0, ..; a rewrite of the rules begins at 0."""
    state = state_of(n, IPTABLES_NTH)
    assert [pick(state) for _ in range(before)] == [i % n for i in range(before)]
    change(state, range(n), range(n))
    assert [pick(state) for _ in range(n + 1)] == [*range(n), 0]
    np.testing.assert_array_equal(state_shares(state, n), np.full(n, 1 / n))


# --- options and agreement ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probability_format": "%d"}, "probability_format = %d: must be one of %0.10f, %0.5f"),
        ({"affinity_timeout": -1.0}, "affinity_timeout = -1"),
        ({"recent_list_size": 0}, "recent_list_size = 0: must be at least 1"),
        ({"probabilities": (0.5, 1.5)}, "probability 1.5"),
        ({"timeout": 1.0}, "no option 'timeout'"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, Any], words: str):
    """The sentence names the option and its value."""
    with pytest.raises(BalancerError, match=words):
        state_of(2, **options)


@pytest.mark.parametrize(
    ("balancer", "options"),
    [
        (IPTABLES, {}),
        (IPTABLES, {"affinity_timeout": 4.0, "recent_list_size": 3}),
        (IPTABLES_NTH, {}),
    ],
    ids=["random", "affinity", "nth"],
)
def test_compiled_and_plain_agree(balancer: Balancer, options: Any, monkeypatch, tmp_path):
    """Picks, lists, counters and draws of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.244.0.{i}:80") for i in range(6)]
    calls = history(4, calls=3000, endpoints=6, keys=30)
    picked = assert_compiled_agrees(balancer, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}


def test_states_depend_on_the_endpoints_alone():
    """Shapes and numbers are functions of the arguments, so states of nodes can be stacked."""
    one, other = state_of(5, listed=False), state_of(5, listed=False)
    assert [a.tobytes() for a in one] == [b.tobytes() for b in other]
    assert all(field.flags.c_contiguous and field.ndim >= 1 for field in one)
