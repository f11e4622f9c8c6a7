"""az's tables and tsv rows as objects in the shape of its JSON.

A table has headings. Rows of tsv have none: az sorts the cells by key, the keys differ between its
versions, so cells are found by what stands beside the resource's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lbbench.inputs.documents import Text
from lbbench.inputs.source import Skipped
from lbbench.inputs.tables import DASHES, Stray, rows

Found = tuple[str, str, dict[str, Any], int]

_MARKS = (
    ("rule", {"LoadDistribution"}),
    ("rule", {"FrontendPort", "BackendPort"}),
    ("probe", {"IntervalInSeconds"}),
    ("outbound rule", {"AllocatedOutboundPorts"}),
    ("route", {"AddressPrefix", "NextHopType"}),
    ("AKS cluster", {"KubernetesVersion"}),
    ("route table", {"DisableBgpRoutePropagation"}),
    ("load balancer", {"Location", "Name", "ProvisioningState", "ResourceGroup"}),
)
_ID = re.compile(r"/subscriptions/[^\t]*/([A-Za-z]+)/([^/\t]+)", re.IGNORECASE)
_IDS = {
    "loadbalancingrules": "rule",
    "probes": "probe",
    "outboundrules": "outbound rule",
    "routes": "route",
}
_WORDS = {"True": True, "False": False, "true": True, "false": False, "None": None, "": None}


def from_table(found: Text, skipped: list[Skipped]) -> Iterator[Found]:
    """Yield (kind, name, data, line) of every row; what cannot be read goes to ``skipped``."""
    if not any(DASHES.fullmatch(line) for line in found.lines):
        yield from _tsv(found, skipped)
        return
    for row in rows(found.lines, found.first_line):
        if isinstance(row, Stray):
            if not row.text.lstrip().startswith("#"):
                shown = row.text.strip()[:60]
                skipped.append((found.name, row.line, f"no row of a table of az: {shown}"))
            continue
        kind = next((kind for kind, marks in _MARKS if marks <= set(row.cells)), "")
        if not kind:
            skipped.append(
                (found.name, row.line, f"a table of columns {', '.join(row.cells)[:60]}")
            )
            continue
        data = {key[:1].lower() + key[1:]: _value(cell) for key, cell in row.cells.items()}
        yield kind, row.cells.get("Name", ""), data, row.line


def _tsv(found: Text, skipped: list[Skipped]) -> Iterator[Found]:
    for i, line in enumerate(found.lines):
        number = found.first_line + i
        if not line.strip():
            continue
        read = _tsv_row(line.rstrip("\r\n").split("\t"))
        if read is None:
            shown = line.strip()[:60]
            skipped.append((found.name, number, f"no row that az prints as tsv: {shown}"))
        else:
            yield (*read, number)


def _tsv_row(cells: list[str]) -> tuple[str, str, dict[str, Any]] | None:
    """Return (kind, name, data) of a row, None when no id tells what it is."""
    for i, cell in enumerate(cells):
        match = _ID.fullmatch(cell)
        if match is None or match[1].lower() not in _IDS:
            continue
        kind, name = _IDS[match[1].lower()], match[2]
        after, before = cells[i + 1 :], cells[:i]
        read = {"rule": _rule, "probe": _probe, "outbound rule": _outbound, "route": _route}[kind]
        data = read(before, after, name)
        return None if data is None else (kind, name, {"name": name, "id": cell, **data})
    return None


def _rule(before: list[str], after: list[str], _name: str) -> dict[str, Any] | None:
    if len(after) < 2 or not after[0].isdecimal():
        return None
    flags = _flags(before)
    ports = [cell for cell in before if re.fullmatch(r"[0-9]{1,5}", cell)]
    data: dict[str, Any] = {"idleTimeoutInMinutes": int(after[0][:9]), "loadDistribution": after[1]}
    if flags:
        data["enableTcpReset"] = flags[-1]
    if ports:
        data["frontendPort"] = int(ports[-1])
    return data


def _probe(_before: list[str], after: list[str], name: str) -> dict[str, Any] | None:
    if not after or not after[0].isdecimal():
        return None
    rest = after[after.index(name) + 1 :] if name in after else after[1:]
    kinds = [i for i, cell in enumerate(rest) if cell.lower() in ("tcp", "http", "https")]
    data: dict[str, Any] = {"intervalInSeconds": int(after[0][:9])}
    if kinds:
        data["protocol"] = rest[kinds[0]]
        numbers = [int(cell[:9]) for cell in rest[: kinds[0]] if cell.isdecimal()]
        names = ("numberOfProbes", "port", "probeThreshold")
        data |= dict(zip(names, numbers, strict=False))
    return data


def _outbound(before: list[str], after: list[str], _name: str) -> dict[str, Any] | None:
    if not after or not after[0].isdecimal() or not before or not before[0].isdecimal():
        return None
    flags = _flags(before)
    return {
        "allocatedOutboundPorts": int(before[0][:9]),
        "idleTimeoutInMinutes": int(after[0][:9]),
        **({"enableTcpReset": flags[-1]} if flags else {}),
    }


def _route(before: list[str], after: list[str], name: str) -> dict[str, Any] | None:
    rest = after[after.index(name) + 1 :] if name in after else after
    prefix = next((cell for cell in before if "/" in cell and cell[:1].isdecimal()), "")
    hop = next((cell for cell in rest if re.fullmatch(r"[0-9a-fA-F.:]{3,45}", cell)), None)
    return {"addressPrefix": prefix, "nextHopIpAddress": hop} if prefix else None


def _flags(cells: list[str]) -> list[bool]:
    return [cell in ("True", "true") for cell in cells if cell.lower() in ("true", "false")]


def _value(cell: str) -> Any:
    if cell in _WORDS:
        return _WORDS[cell]
    return int(cell) if re.fullmatch(r"[0-9]{1,15}", cell) else cell
