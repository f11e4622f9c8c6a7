"""The page of one result: were the objectives met, where the time goes, who got how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.inputs.yaml import dump
from lbbench.model.result import Result
from lbbench.report.changes import affinity_table, changes_table, losses_text
from lbbench.report.observed import Observed
from lbbench.report.page.cells import (
    cut,
    from_grid,
    of_chance,
    of_count,
    of_moment,
    of_ratio,
    of_share,
    of_time,
    words,
)
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Table
from lbbench.report.page.figures import figures_of
from lbbench.report.page.provenance import of_results
from lbbench.report.page.reproduce import question_of, stem, steps
from lbbench.report.page.words import (
    EVEN,
    PARTS,
    between,
    figure_name,
    limit_text,
    listed,
    runs_text,
    warned,
)
from lbbench.report.tables import (
    STAGE_TITLES,
    balance_text,
    breakdown_table,
    errors_table,
    latency_table,
    objectives_table,
)
from lbbench.report.terminal import headline
from lbbench.report.units import count, digits_for, percent, ratio, seconds
from lbbench.studies.leading import headline_of


def content(result: Result) -> Page:
    """Return what stands on the page of a result."""
    from lbbench.report.charts.of_result import pictures

    chain, *_ = headline(result)
    return Page(
        kind="Result",
        title=result.name,
        question=question_of(result.scenario),
        answers=[
            Answer("Result", verdict(result), _tone(result)),
            Answer("Why", [*reasons(result), *sessions(result), *events(result)]),
            Answer("How sure", certainty(result)),
        ],
        warnings=result.warnings,
        facts=facts(result, chain),
        sections=[
            Section("pictures", "Pictures", figures=figures_of(pictures(result))),
            Section("tables", "Tables", tables=tables_of(result), paragraphs=losses(result)),
        ],
        scenario=dump(result.scenario),
        steps=steps(
            result.scenario,
            "run",
            [
                *(["--engine reference"] if result.engine == "reference" else []),
                f"--out {stem(result.name)}",
            ],
            version=result.version,
        ),
        provenance=of_results({"": result}),
    )


def verdict(result: Result) -> list[str]:
    """Return how the objectives stand, what is missed first, or the latency in words."""
    block, figure = result.latency_s, headline_of(result.scenario)
    if not block["n"]:
        return ["No request was answered after the warm-up."]
    items = sorted((result.slo or {}).get("objectives", ()), key=lambda item: item["met"] is True)
    if items:
        return [_standing(result, item) for item in items]
    if figure == "mean":
        return [f"A request takes {seconds(block['mean'])}{_interval(result, figure)} on average."]
    return [
        (
            f"Half of the requests are answered within {seconds(block['p50'])}, {_share(figure)} "
            f"within {seconds(block[figure])}{_interval(result, figure)}."
        )
    ]


def _standing(result: Result, item: Mapping[str, Any]) -> str:
    """Return how one objective stands, and whether its interval leaves doubt."""
    metric, value, limit = item["metric"], item["value"], item["limit"]
    name = figure_name(metric)
    name = name if name.startswith("p") else f"The {name}"
    if value is None:
        return f"{name}: nothing was counted."
    stands = "within" if item["met"] else "beyond"
    text = f"{name} is {limit_text(metric, value)}{_interval(result, metric)}, {stands} its limit "
    text += f"of {limit_text(metric, limit)}"
    ci = result.latency_s["ci95"].get(metric.removeprefix("latency."))
    if ci is not None and ci[0] <= limit < ci[1]:
        text += "; the interval holds the limit, so this may be chance"
    return f"{text}."


def reasons(result: Result) -> list[str]:
    """Return where the time goes, and whether the load arrives evenly."""
    parts = {name: part["mean"] or 0.0 for name, part in result.latency_by_stage_s.items()}
    whole = sum(parts.values())
    said = []
    if whole and result.latency_s["mean"]:
        ranked = sorted(parts, key=lambda name: -parts[name])[:3]
        told = [
            f"{percent(parts[name] / whole, 0)} % {'is ' * (i == 0)}{PARTS.get(name, name)}"
            for i, name in enumerate(ranked)
            if parts[name] >= 0.01 * whole
        ]
        said.append(f"Of the mean of {seconds(result.latency_s['mean'])}, {listed(told)}.")
    balance = result.stages[-1]["balance"] if result.stages else {}
    if balance.get("max_over_mean") is not None:
        text = f"The busiest pod gets {ratio(balance['max_over_mean'])} times the mean share"
        busiest = result.metric("utilisation.max")
        if busiest is not None:
            text += f"; the highest load of a pod is {percent(busiest)} %"
        said.append(f"{text}{_chance(balance)}.")
    uneven = [
        f"{STAGE_TITLES.get(stage['name'], stage['name']).partition(',')[0]} "
        f"{ratio(stage['balance']['max_over_mean'])}"
        for stage in result.stages[:-1]
        if (stage["balance"]["max_over_mean"] or 1.0) > EVEN and len(stage["targets"]) > 1
    ]
    if uneven:
        said.append(f"Before that the largest share over the mean is: {listed(uneven)}.")
    return said


def events(result: Result) -> list[str]:
    """Return what the changes of the cluster did, the first three of them."""
    said = []
    for change in result.changes[:3]:
        followed, back = change["reroute_s"], change["recover_s"]
        dead = change["dead"]["attempts"]
        told = [
            f"everybody had followed after {seconds(followed)}"
            if followed is not None
            else "somebody never followed"
        ]
        told += [f"{count(dead)} attempts went to pods that took none"] if dead else []
        told += [f"all was as before after {seconds(back)}"] if back else []
        text = f"{change['what']} at {change['at_s']:g} s: {listed(told)}."
        said.append(f"{text[0].upper()}{text[1:]}")
    if len(result.changes) > 3:
        said.append(f"{len(result.changes) - 3:,} more changes stand in the table.")
    return said


def sessions(result: Result) -> list[str]:
    """Return how many requests of a session left their pod, when there are sessions."""
    known = result.affinity
    if not known["requests"]:
        return []
    unit = known.get("unit", "session")
    text = f"Of {count(known['requests'])} requests whose {unit} had an answer before, "
    text += (
        f"{percent(known['session_loss'] / known['requests'], 2)} % went to another pod although "
    )
    text += (
        f"the old one was there, {percent(known['forced_loss'] / known['requests'], 2)} % because "
    )
    return [f"{text}it was gone."]


def certainty(result: Result) -> list[str]:
    """Return on how much the figures rest."""
    n = result.requests["offered"]
    text = f"{count(n)} requests, {runs_text([result])}."
    kept = [name for name, ci in result.latency_s["ci95"].items() if ci and name != "from"]
    if kept and kept != ["mean"]:
        highest = kept[-1]
        wide = result.latency_s["ci95"][highest]
        text += (
            f" The highest percentile with an interval is {figure_name(highest)}, "
            f"{seconds(wide[0])} to {seconds(wide[1])}."
        )
    return [text, *([warned(len(result.warnings))] if result.warnings else [])]


def facts(result: Result, chain: str) -> list[tuple[str, str]]:
    """Return what was run, in a few figures."""
    requests = result.requests
    found = [
        ("path", chain.replace(" -> ", " → ")),
        ("requests", count(requests["offered"])),
        ("failed", count(requests["failed"])),
        ("simulated", seconds(result.time_s["simulated"])),
        ("warm-up", seconds(result.time_s["warmup"])),
        ("replications", str(result.scenario.get("run", {}).get("replications", 1))),
        ("seed", str(result.seed)),
    ]
    if requests["unfinished"]:
        found.insert(3, ("unfinished", count(requests["unfinished"])))
    if requests["retried"]:
        found.insert(3, ("retried", count(requests["retried"])))
    return found


def tables_of(result: Result) -> list[Table]:
    """Return the tables of a result, those without content left out."""
    made = [from_grid(latency_table(result), "latency", "figure")]
    if result.slo:
        made.append(from_grid(objectives_table(result.slo), "objectives", "objective"))
    if result.changes:
        made.append(from_grid(changes_table(result.changes), "changes", "change"))
    made.append(from_grid(breakdown_table(result), "parts", "part"))
    made.append(pods_table(result))
    made += [stage_table(stage) for stage in result.stages]
    if result.requests["failed"]:
        made.append(from_grid(errors_table(result), "errors", "class"))
    affinity = affinity_table(result.affinity)
    if affinity is not None:
        made.append(from_grid(affinity, "affinity", "requests"))
    if result.windows:
        made.append(windows_table(result.windows))
    return made


def losses(result: Result) -> list[str]:
    """Return what the network lost, in a sentence."""
    text = losses_text(result.network)
    if text is None:
        return []
    plain = text.plain
    return [f"{plain[0].upper()}{plain[1:]}."]


def stage_table(stage: Mapping[str, Any]) -> Table:
    """Return the shares of the targets of a stage, its balance in the note."""
    targets, left = cut(sorted_by_share(stage["targets"]))
    with_connections = any(target["connections"] is not None for target in targets)
    with_expected = any(target["expected_share"] is not None for target in targets)
    columns = [Column("target", is_text=True)]
    columns += [Column("connections")] if with_connections else []
    columns += [Column("requests"), Column("share", "%")]
    columns += [Column("expected", "%")] if with_expected else []
    rows = []
    for target in targets:
        row = [words(target["name"])]
        row += [of_count(target["connections"])] if with_connections else []
        row += [of_count(target["requests"]), of_share(target["share"], 2)]
        row += [of_share(target["expected_share"], 2)] if with_expected else []
        rows.append(row)
    who = "" if stage["name"] == stage["balancer"] else f" {stage['balancer']}"
    title = STAGE_TITLES.get(stage["name"], stage["name"])
    note = f"Balance per {stage['unit'].removesuffix('s')}: {balance_text(stage['balance'])}."
    return Table(
        f"stage-{stage['name']}", f"{title}{who}", columns, rows, note + _left(left, "targets")
    )


def pods_table(result: Result) -> Table:
    """Return requests, share, load and latency of the pods; beside it what was observed."""
    observed = Observed.of(result)
    pods, left = cut(sorted_by_share(result.pods))
    digits = digits_for(pod["latency_s"]["mean"] for pod in pods)
    lives = any("from_s" in pod for pod in pods)
    columns = [Column("pod", is_text=True), Column("node", is_text=True)]
    columns += [Column("from", "s"), Column("to", "s")] if lives else []
    columns += [Column("requests"), Column("share", "%")]
    columns += [Column("observed", "%")] if observed.pods else []
    columns += [Column("load", "%"), Column("in flight"), Column("mean", "ms"), Column("p99", "ms")]
    columns += [Column("errors")]
    rows = []
    for pod in pods:
        row: list[Cell] = [words(pod["name"]), words(pod["node"])]
        row += [of_moment(pod.get("from_s")), of_moment(pod.get("to_s"))] if lives else []
        row += [of_count(pod["requests"]), of_share(pod["share"], 2)]
        row += [of_share(observed.share(str(pod["name"])), 2)] if observed.pods else []
        row += [of_share(pod["utilisation"]), of_ratio(pod["in_flight"]["mean"], 2)]
        row += [of_time(pod["latency_s"][name], digits) for name in ("mean", "p99")]
        rows.append([*row, of_count(pod["errors"])])
    seen = f" Observed: {observed.title}." if observed.pods else ""
    return Table("pods", "Pods", columns, rows, (_left(left, "pods") + seen).strip())


def windows_table(windows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the run window by window."""
    columns = [Column("from", "s"), Column("to", "s"), Column("requests"), Column("failed"),
               Column("p99", "ms"), Column("max/mean")]  # fmt: skip
    digits = digits_for(window["latency_p99_s"] for window in windows)
    rows = [
        [
            of_moment(window["start_s"]),
            of_moment(window["end_s"]),
            of_count(window["requests"]),
            of_count(window["failed"]),
            of_time(window["latency_p99_s"], digits),
            of_ratio(window["max_over_mean"]),
        ]
        for window in windows
    ]
    return Table("windows", "The run window by window", columns, rows, is_folded=True)


def balance_row(stage: Mapping[str, Any]) -> list[Cell]:
    """Return the balance of a stage as the cells of a row."""
    balance = stage["balance"]
    return [
        of_ratio(balance["max_over_mean"]),
        of_ratio(balance["cov"], 4),
        of_ratio(balance["jain"], 4),
        of_chance(balance["p_value"]),
    ]


def sorted_by_share(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return rows as they are, or many of them by share, so that a cut leaves out the smallest."""
    from lbbench.report.page.cells import MOST_ROWS

    if len(rows) <= MOST_ROWS:
        return list(rows)
    return sorted(rows, key=lambda row: -(row.get("share") or 0.0))


def _left(left: int, what: str) -> str:
    return f" {left:,} more {what} with smaller shares are in the JSON." if left else ""


def _tone(result: Result) -> str:
    met = (result.slo or {}).get("met")
    return {True: "good", False: "bad"}.get(met, "") if met is not None else ""


def _interval(result: Result, metric: str) -> str:
    return between(result.latency_s["ci95"].get(metric.removeprefix("latency.")))


def _share(figure: str) -> str:
    digits = figure.removeprefix("p")
    return f"{digits[:2]}{'.' + digits[2:] if len(digits) > 2 else ''} %"


def _chance(balance: Mapping[str, Any]) -> str:
    """Say how the shares stand to those that chance makes, where it has been worked out."""
    p = balance.get("p_value")
    if p is None or not balance.get("df"):
        return ""
    low = balance.get("p_value_low")
    if low is not None and low < 0.05:
        return ", more even than chance"
    return ", within chance" if p >= 0.05 else ", which chance does not explain"
