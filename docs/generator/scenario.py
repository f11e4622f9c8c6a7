"""docs/reference/scenario.md: every key with its values, default and meaning, from the schema."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

import lbbench.model.cluster
import lbbench.model.demand
import lbbench.model.objectives
import lbbench.model.ranges
import lbbench.model.scenario
import lbbench.model.stages
import lbbench.model.timeline
from docs.generator.markdown import anchor, page, prose, table
from lbbench.inputs.schema import json_schema
from lbbench.model.distributions import FIGURES
from lbbench.model.fields import RATE_SCHEMA, SHARE_SCHEMA, TIME_SCHEMA
from lbbench.model.objectives import METRICS
from lbbench.model.presets import PRESETS

INTRO = """
Every key is optional, except that `traffic` gives exactly one of `arrivals.rate` (or the figures of
its process), `utilisation` and `trace`. What is not written has the default of the tables; nothing
else is on. Unknown keys, wrong units and impossible values are errors that name file, line and what
is allowed. `lbbench check FILE` prints a scenario with all its keys, `lbbench schema` the JSON
Schema that makes an editor propose keys and explain them.

Forms of values: a **time** is written with its unit (`250ms`, `4min`, `30us`), a **rate** per s,
min or h (`400/s`, `2k/s`), a **share** as `0.8` or `80%`. A null is a key left out. A leaf is named
by its path: `stages.ingress.balancer`, `cluster.pods[3].speed`; `--set`, `sweep.axes` and
`Scenario.with_` take such paths.
"""

SECTIONS = {
    "Scenario": ("The whole file", ""),
    "Cluster": ("cluster", "cluster"),
    "Node": ("One of cluster.nodes", "cluster.nodes[]"),
    "Pod": ("One of cluster.pods", "cluster.pods[]"),
    "PodSpec": ("cluster.pod", "cluster.pod"),
    "ColdStart": ("cluster.pod.cold_start", "cluster.pod.cold_start"),
    "Readiness": ("cluster.pod.readiness", "cluster.pod.readiness"),
    "Cfs": ("cluster.pod.cfs", "cluster.pod.cfs"),
    "Antagonist": ("cluster.pod.antagonist", "cluster.pod.antagonist"),
    "Ingress": ("cluster.ingress", "cluster.ingress"),
    "Replica": ("One of cluster.ingress.replicas", "cluster.ingress.replicas[]"),
    "Network": ("cluster.network", "cluster.network"),
    "Stages": ("stages", "stages"),
    "AzureLb": ("stages.azure_lb", "stages.azure_lb"),
    "Probe": ("stages.azure_lb.probe", "stages.azure_lb.probe"),
    "KubeProxy": ("stages.kube_proxy", "stages.kube_proxy"),
    "IngressStage": ("stages.ingress", "stages.ingress"),
    "Keepalive": ("stages.ingress.keepalive", "stages.ingress.keepalive"),
    "Timeouts": ("stages.ingress.timeouts", "stages.ingress.timeouts"),
    "NextUpstream": ("stages.ingress.next_upstream", "stages.ingress.next_upstream"),
    "Sync": ("stages.ingress.sync", "stages.ingress.sync"),
    "HealthCheck": ("stages.ingress.health_check", "stages.ingress.health_check"),
    "Canary": ("stages.ingress.canary", "stages.ingress.canary"),
    "Demand": ("traffic", "traffic"),
    "Arrivals": ("traffic.arrivals", "traffic.arrivals"),
    "Distribution": ("A distribution of times", "{distribution: ..., mean: ...}"),
    "Clients": ("traffic.clients", "traffic.clients"),
    "Zipf": ("A popularity by rank", "{zipf: ...}"),
    "Connections": ("traffic.connections", "traffic.connections"),
    "Keys": ("traffic.keys", "traffic.keys"),
    "Sessions": ("traffic.sessions", "traffic.sessions"),
    "Run": ("run", "run"),
    "Precision": ("run.precision", "run.precision"),
    "Change": ("One entry of timeline", "timeline[]"),
    "Scale": ("scale", "timeline[].scale"),
    "Rollout": ("rollout", "timeline[].rollout"),
    "Sweep": ("sweep", "sweep"),
    "Range": ("A range of values", "{from: ..., to: ...}"),
    "Observed": ("observed", "observed"),
}
"""The parts in the order of the page: heading, and where their keys stand."""

MODULES = (
    lbbench.model.cluster,
    lbbench.model.demand,
    lbbench.model.objectives,
    lbbench.model.ranges,
    lbbench.model.scenario,
    lbbench.model.stages,
    lbbench.model.timeline,
)

FORMS = {
    json.dumps(TIME_SCHEMA, sort_keys=True): "time",
    json.dumps(RATE_SCHEMA, sort_keys=True): "rate",
    json.dumps(SHARE_SCHEMA, sort_keys=True): "share",
}


def build() -> str:
    """Return the page.

    Raises
    ------
    ValueError
        When the schema has a part that `SECTIONS` does not know, or the other way round.
    """
    schema = json_schema()
    parts = {"Scenario": schema, **schema["$defs"]}
    if set(parts) != set(SECTIONS):
        raise ValueError(f"docs/generator/scenario.py: {sorted(set(parts) ^ set(SECTIONS))}")
    contents = [f"- [{title}](#{anchor(title)})" for title, _ in SECTIONS.values()]
    made = [_section(name, parts[name]) for name in SECTIONS]
    closing = ["- [Presets](#presets)", "- [Metrics](#metrics)"]
    return page(
        "Scenario keys",
        "the models of `lbbench/model` and `lbbench/inputs/meanings.py`",
        [INTRO, "\n".join([*contents, *closing]), *made, _presets(), _metrics()],
    )


def _section(name: str, part: Mapping[str, Any]) -> str:
    title, place = SECTIONS[name]
    rows = [
        [f"`{key}`", _kind(rule), _default(rule, key, part), prose(str(rule["description"]))]
        for key, rule in part["properties"].items()
    ]
    lines = [f"## {title}", prose(_docstring(name))]
    if place and place != title:
        lines.append(f"`{place}`")
    lines.append(table(["key", "value", "default", "meaning"], rows))
    if name == "Distribution":
        kinds = [[f"`{kind}`", ", ".join(f"`{key}`" for key in keys)]
                 for kind, keys in FIGURES.items()]  # fmt: skip
        lines.append("Each kind has the figures that it needs and no other:")
        lines.append(table(["distribution", "needs"], kinds))
    return "\n\n".join(lines)


def _docstring(name: str) -> str:
    for module in MODULES:
        if hasattr(module, name):
            return inspect.getdoc(getattr(module, name)) or ""
    raise ValueError(f"docs/generator/scenario.py: {name} is in none of its modules")


def _default(rule: Mapping[str, Any], key: str, part: Mapping[str, Any]) -> str:
    if key in part.get("required", ()):
        return "needed"
    if "default" not in rule:
        return "the part's own" if "$ref" in rule else "–"
    value = rule["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`" if value != "" else "–"


def _kind(rule: Mapping[str, Any]) -> str:
    """Return the forms of a value in words: `none`, time or list of names."""
    *most, last = dict.fromkeys(_forms(rule))
    return f"{', '.join(most)} or {last}" if most else last


def _forms(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield every form in which a value can be written."""
    bare = {key: rule[key] for key in ("anyOf", "type", "pattern") if key in rule}
    known = FORMS.get(json.dumps(bare, sort_keys=True))
    if known:
        yield known
    elif "$ref" in rule:
        name = str(rule["$ref"]).rpartition("/")[2]
        word = name.lower() if name in ("Distribution", "Zipf", "Range") else "keys"
        yield f"[{word}](#{anchor(SECTIONS[name][0])})"
    elif "anyOf" in rule:
        yield from _choices(rule["anyOf"])
    elif "enum" in rule:
        yield from (f"`{word}`" for word in rule["enum"])
    elif "const" in rule:
        yield f"`{json.dumps(rule['const']).strip(chr(34))}`"
    elif rule.get("type") == "array":
        yield f"list: {_kind(rule['items'])}" if rule.get("items") else "list"
    elif rule.get("type") == "object":
        yield _mapping(rule)
    else:
        yield _plain(rule)


def _choices(choices: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the forms of alternatives; those of a time or a share may stand among others."""
    rest = [choice for choice in choices if choice.get("type") != "null"]
    for form in (TIME_SCHEMA, SHARE_SCHEMA):
        if all(item in rest for item in form["anyOf"]):
            yield FORMS[json.dumps(form, sort_keys=True)]
            rest = [item for item in rest if item not in form["anyOf"]]
    for choice in rest:
        yield from _forms(choice)


def _mapping(rule: Mapping[str, Any]) -> str:
    names = list(rule.get("properties", {}))
    if rule.get("additionalProperties") is False and names:
        return f"`{{{names[0]}: ...}}`"
    return "mapping"


def _plain(rule: Mapping[str, Any]) -> str:
    kind = rule.get("type")
    if isinstance(kind, list):
        return "text"
    least = rule.get("minimum", rule.get("exclusiveMinimum"))
    words = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`",
             "string": "text"}  # fmt: skip
    said = words.get(str(kind), "value")
    if kind in ("integer", "number") and least is not None:
        said += f" {'above' if 'exclusiveMinimum' in rule else 'from'} {least}"
    return said


def _presets() -> str:
    from lbbench.inputs.yaml import dump

    blocks = [f"`preset: {name}`\n\n```yaml\n{dump(values)}```"
              for name, values in PRESETS.items()]  # fmt: skip
    text = "A preset lies under the keys of the file: what the file says wins."
    return "\n\n".join(["## Presets", text, *blocks])


def _metrics() -> str:
    text = (
        "What `slo`, `run.precision` and `lbbench plan` take; latencies are times, the others "
        "shares. `attainment` is the share of the requests that were answered within the largest "
        "of the latency limits, `utilisation.max` that of the busiest pod."
    )
    return f"## Metrics\n\n{text}\n\n" + ", ".join(f"`{name}`" for name in METRICS) + "."
