"""What single families promise: nothing lost, nothing on top of another, nothing for nothing."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from charting import (
    AFFINITY,
    SPECTRUM,
    axes,
    busy,
    cells,
    checks,
    flows,
    homes,
    load_rows,
    marks,
    needed,
    pods,
    rows_of,
    texts,
    way,
    windows,
)

from lbbench.model.natural import natural
from lbbench.report.charts.flow_layout import Link, layout, ribbons
from lbbench.report.charts.latency_against_load import latency_against_load
from lbbench.report.charts.latency_percentiles import latency_percentiles, spectrum_of
from lbbench.report.charts.leaves import axis_of
from lbbench.report.charts.load_and_pods import load_and_pods
from lbbench.report.charts.pick_cost_against_quality import pick_cost_against_quality
from lbbench.report.charts.pod_utilisation import pod_utilisation
from lbbench.report.charts.pods_against_rate import pods_against_rate, pods_by_hour, pods_needed
from lbbench.report.charts.session_loss import keys_moved, session_loss
from lbbench.report.charts.shares_over_time import MOST_COLUMNS, shares_over_time
from lbbench.report.charts.shares_per_stage import MOST, shares_per_stage
from lbbench.report.charts.verify_coverage import verify_coverage

LOAD, _ = axis_of("traffic.utilisation", [50.0, 70.0, 90.0])


def columns():
    """Return three columns of a flow, its links and the plan of both."""
    links = [Link(0, "all", "a", 30.0), Link(0, "all", "b", 70.0)]
    links += [Link(1, "a", "x", 10.0), Link(1, "a", "y", 20.0), Link(1, "b", "y", 70.0)]
    given = [{"all": 100.0}, {"a": 30.0, "b": 70.0}, {"x": 10.0, "y": 90.0, "z": 0.0}]
    return links, layout(given, links, {})


def test_blocks_are_as_high_as_their_share_and_do_not_overlap():
    """All columns have one scale; what had nothing has no height."""
    _, plan = columns()
    for row in plan.blocks:
        assert sum(block.bottom - block.top for block in row) == pytest.approx(plan.scale)
        for block in row:
            assert block.bottom - block.top == pytest.approx(plan.scale * block.requests / 100.0)
        for above, below in itertools.pairwise(row):
            assert below.top > above.bottom
        assert row[0].top >= -1e-9
        assert row[-1].bottom <= plan.height + 1e-9


def test_ribbons_fill_the_blocks_that_they_join():
    """At a block's edge its ribbons lie side by side, from its top to its bottom, without a gap."""
    links, plan = columns()
    edges = defaultdict(list)
    for point in ribbons(plan):
        link = sorted(links, key=lambda one: (one.column, one.begin, one.end))[point["ribbon"]]
        if point["x"] == link.column:
            edges[link.column, link.begin, "leaves"].append((point["low"], point["high"]))
        if point["x"] == link.column + 1:
            edges[link.column + 1, link.end, "arrives"].append((point["low"], point["high"]))
    blocks = {(block.column, block.name): block for row in plan.blocks for block in row}
    for (column, name, _), found in edges.items():
        found.sort()
        block = blocks[column, name]
        assert found[0][0] == pytest.approx(block.top, abs=0.11)
        assert found[-1][1] == pytest.approx(block.bottom, abs=0.11)
        for (_, high), (low, _) in itertools.pairwise(found):
            assert low == pytest.approx(high, abs=0.11)


def test_names_sort_as_people_count():
    """pod-2 stands before pod-10."""
    assert sorted(["pod-10", "pod-2"], key=natural) == ["pod-2", "pod-10"]


def test_a_flow_tells_all_requests_of_every_column():
    """The shares of each column add up to all, whoever is taken together."""
    for many in (4, MOST + 10):
        picture = shares_per_stage(flows(2, 12, many), homes=homes(many))
        blocks = {(row["x"], row["name"]): row for row in rows_of(picture) if "share" in row}
        by_column = defaultdict(float)
        for (column, _), row in blocks.items():
            by_column[column] += row["share"]
        assert len(by_column) == 4
        assert all(whole == pytest.approx(1.0) for whole in by_column.values())


def test_many_pods_and_workers_are_taken_together_by_node_and_said_so():
    """40 pods on two nodes are two blocks with their number; the caption tells."""
    picture = shares_per_stage(flows(2, 12, 40), homes=homes(40))
    assert {"node-0 (20)", "node-1 (20)", "node-0 (12)"} <= set(texts(picture))
    assert "those of one node are one block" in picture.caption
    assert "one block" not in shares_per_stage(flows(), homes=homes()).caption


def test_a_pod_without_a_request_is_there():
    """A pod that nobody was sent to has its block, of 0 %."""
    picture = shares_per_stage(flows(pods=3), homes=homes(4))
    assert any("pod-3  0.0 %" in text for text in texts(picture))


def test_the_service_path_has_three_columns():
    """Client, node, pod: what kube-proxy chose are the pods."""
    ways = [way("azure_lb", "node-0", "kube_proxy", f"pod-{k}", 10) for k in range(2)]
    picture = shares_per_stage(ways, choosers={"kube_proxy": "iptables"})
    heads = [row["what"] for row in rows_of(picture) if "what" in row]
    assert heads[:3] == ["clients", "nodes", "pods"]
    assert "by iptables" in texts(picture)


def test_without_flows_there_is_no_picture():
    """Results of old versions, and of very many pods, have none."""
    assert shares_per_stage([]) is None


def test_an_objective_is_a_line_with_its_limit():
    """Drawn where it lies when it is in sight; never when there is none."""
    with_line = latency_against_load(load_rows(), x=LOAD, objective=0.7)
    assert "objective 700 ms" in texts(with_line)
    assert "The dashed line is the objective." in with_line.caption
    assert "objective" not in str(latency_against_load(load_rows(), x=LOAD).spec["layer"])


def test_intervals_are_bands_where_they_are_known():
    """No interval, no band, and no word about bands."""
    banded = latency_against_load(load_rows(), x=LOAD)
    assert "area" in marks(banded)
    bare = latency_against_load([{**row, "ci95_s": None} for row in load_rows()], x=LOAD)
    assert "area" not in marks(bare)
    assert "Bands" not in bare.caption


def test_few_lines_carry_their_names_many_a_legend():
    """Up to eight names stand at the ends, in the order of the ends; nine get a legend."""
    eight = latency_against_load(load_rows(tuple(f"policy_{k}" for k in range(8))), x=LOAD)
    nine = latency_against_load(load_rows(tuple(f"policy_{k}" for k in range(9))), x=LOAD)
    assert "text" in marks(eight)
    assert "text" not in marks(nine)
    assert '"orient": "bottom"' in str(nine.spec).replace("'", '"')


def test_names_at_line_ends_do_not_touch():
    """Eight lines that end at one place have names 15 pixels apart."""
    rows = [{**row, "value_s": 0.5} for row in load_rows(tuple("abcdefgh"))]
    picture = latency_against_load(rows, x=LOAD)
    names = {row["series"]: row["at"] for row in rows_of(picture) if "at" in row}
    domain = next(domain for channel, _, domain in axes(picture) if channel == "y")
    pixels = sorted(320.0 * at / (domain[1] - domain[0]) for at in names.values())
    assert len(pixels) == 8
    assert min(b - a for a, b in itertools.pairwise(pixels)) >= 15.0 - 1e-6


def test_charts_that_are_compared_have_one_scale():
    """Facets of a study share their vertical axis, so that heights can be compared."""
    low, high = load_rows(), [{**row, "value_s": 5.0 * row["value_s"]} for row in load_rows()]
    pictures = [latency_against_load(rows, x=LOAD, shared=[*low, *high]) for rows in (low, high)]
    domains = [
        next(domain for channel, _, domain in axes(picture) if channel == "y")
        for picture in pictures
    ]
    assert domains[0] == domains[1]


def test_a_result_of_an_old_version_shows_its_seven_figures():
    """Without the whole distribution the percentiles of the table are the line."""
    block = {"p50": 0.02, "p90": 0.05, "p95": None, "p99": 0.2, "p999": 0.4, "p9999": 0.5,
             "max": 0.6}  # fmt: skip
    assert spectrum_of(block) == [(0.5, 0.02), (0.9, 0.05), (0.99, 0.2), (0.999, 0.4),
                                  (0.9999, 0.5), (1.0, 0.6)]  # fmt: skip
    assert spectrum_of({**block, "spectrum": SPECTRUM}) == [tuple(pair) for pair in SPECTRUM]


def test_the_percentile_axis_gives_every_nine_the_same_room():
    """A quantile q stands at 1 / (1 - q) on a logarithmic axis; the slowest of n at n."""
    row = {"series": "ewma", "n": 4000, "spectrum": SPECTRUM, "ci95_s": {}}
    picture = latency_percentiles([row])
    places = sorted({entry["x"] for entry in rows_of(picture) if "share" in entry})
    assert places == pytest.approx([1.0, 2.0, 10.0, 100.0, 1000.0, 4000.0])


def test_the_border_parts_what_meets_the_objective_from_what_does_not():
    """Edges between cells of two verdicts, and no others."""
    chart = load_and_pods(cells(), titles=("rate (requests/s)", "pods (number)"), objective=0.25)
    edges = [row for row in rows_of(chart) if set(row) == {"x0", "x1", "y0", "y1"}]
    # 10/4 = .25 met, 20/4 = .5 not, 10/8 met, 20/8 = .25 met: one cell, lower right
    assert sorted(tuple(row.values()) for row in edges) == [(1, 1, 0, 1), (1, 2, 1, 1)]
    assert "The thick line parts" in chart.caption


def test_a_cell_too_close_to_the_objective_is_marked():
    """Its interval holds the limit: ~ before the figure, and a word in the caption."""
    close = [{**cell, "ci95_s": (0.2, 0.3)} for cell in cells()]
    chart = load_and_pods(close, titles=("rate (requests/s)", "pods (number)"), objective=0.25)
    assert any(text.startswith("~") for text in texts(chart))
    assert "too close" in chart.caption


def test_shares_of_every_moment_add_up_to_all():
    """A hundred percent at any time, however windows are taken together."""
    picture = shares_over_time(windows(3, 400), pods=pods(3))
    moments = defaultdict(float)
    for row in rows_of(picture):
        if "share" in row:
            moments[row["x0"]] += row["share"]
    assert len(moments) <= MOST_COLUMNS
    assert all(whole == pytest.approx(100.0, abs=0.01) for whole in moments.values())


def test_around_a_change_nothing_of_it_is_cut_off():
    """A minute before the first change and two behind the last one, at least, of a long run."""
    change = {"at_s": 2000.0, "what": "rollout", "reroute_s": 30.0}
    picture = shares_over_time(windows(3, 600), pods=pods(3), changes=[change])
    begins = [row["x0"] for row in rows_of(picture) if "share" in row]
    assert 0.0 < min(begins) <= 1940.0
    assert 2150.0 <= max(begins) < 5990.0


def test_a_pod_that_is_not_there_has_no_strip():
    """From its coming to its going; before and after the row is empty, not zero."""
    some = [{"name": "pod-0", "node": "node-0"},
            {"name": "pod-1", "node": "node-0", "from_s": 100.0, "to_s": 200.0}]  # fmt: skip
    given = [{**one, "per_pod": [10, 5 if 100.0 <= one["start_s"] < 200.0 else 0]}
             for one in windows(2, 30)]  # fmt: skip
    picture = shares_over_time(given, pods=some)
    begins = [row["x0"] for row in rows_of(picture) if row.get("who") == "pod-1 on node-0"]
    assert (min(begins), max(begins)) == (100.0, 190.0)


def test_many_pods_are_strips_of_their_nodes():
    """Fifty pods are summed by node, and the caption says so."""
    picture = shares_over_time(windows(50), pods=pods(50))
    assert "the sum of its pods" in picture.caption
    assert len({row["y0"] for row in rows_of(picture) if "share" in row}) == 2


def test_pods_are_bars_and_many_of_them_points():
    """Up to thirty of one run have bars with their figures; of more, or of several runs, points."""
    assert "bar" in marks(pod_utilisation(busy()))
    assert "bar" not in marks(pod_utilisation(busy(("ewma", "p2c"))))
    many = [row | {"utilisation": 0.5} for row in busy(n=31)]
    assert "bar" not in marks(pod_utilisation(many))
    assert pod_utilisation([{**row, "utilisation": None} for row in busy()]) is None


def test_what_sessions_lost_is_told_apart_by_need():
    """6 % went with their pods, 4 % moved though theirs was there; of the keys 20 % and 10 %."""
    rows = [{"series": "chash", "affinity": AFFINITY}]
    assert "6.00 % + 4.00 %" in texts(session_loss(rows))
    assert "20.0 % + 10.0 %" in texts(keys_moved(rows))
    nobody = {**AFFINITY, "requests": 0, "remap_fraction": None}
    assert session_loss([{"series": "chash", "affinity": nobody}]) is None
    assert keys_moved([{"series": "chash", "affinity": nobody}]) is None


def test_needs_that_cannot_be_met_are_left_out_of_the_line():
    """A rate that no number is enough for has no point."""
    rows = [*needed(), {**needed()[0], "rate_per_s": 900.0, "needed": None}]
    xs = {row["x"] for row in rows_of(pods_against_rate(rows)) if "y" in row}
    assert xs == {100.0, 200.0, 300.0}


def test_the_last_hour_lasts_an_hour():
    """A step reaches to the end of its hour, the last one's too."""
    xs = [row["x"] for row in rows_of(pods_by_hour(needed())) if "y" in row]
    assert max(xs) == 3.0


def test_an_undecided_answer_names_both():
    """12 (perhaps 11): the plan is sure of the larger only."""
    rows = [{"series": "p2c", "needed": 12, "undecided": [11, 12]}]
    picture = pods_needed(rows, central=9.0)
    assert "12 (perhaps 11)" in texts(picture)
    assert "Erlang C" in texts(picture)


def test_names_of_points_do_not_cover_each_other():
    """Points in a row have their names on sides where nothing is in the way."""
    names = [f"a_balancer_with_a_long_name_{k}" for k in range(4)]
    rows = [{"balancer": name, "ns": 5.0 * 1.1**k, "quality": 1.2} for k, name in enumerate(names)]
    picture = pick_cost_against_quality(rows)
    assert set(names) <= set(texts(picture))
    sides = {layer["mark"].get("dx") for layer in picture.spec["layer"]} - {None}
    assert len(sides) > 1


def test_a_check_that_fails_is_named():
    """Its id stands at its point, left of the level; what is exact stands right of 1."""
    picture = verify_coverage(checks(), level=0.001)
    by_id = {row["id"]: row for row in rows_of(picture) if "id" in row}
    assert by_id["mm1-2"]["x"] < 0.001 < by_id["mm1-1"]["x"] < 1.0 < by_id["ring-1"]["x"]
    assert "2 of 3 checks pass" in picture.caption
    assert marks(picture).count("text") == 3  # the level's label, the name and its halo
    assert marks(verify_coverage([checks()[0]], level=0.001)).count("text") == 1
