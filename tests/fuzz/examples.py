"""Real files of every kind of import, in full or their beginning: what fuzzing begins with."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import kubectl

DATA = Path(__file__).parents[1] / "data"
SEED = Path(__file__).parents[2] / "lbbench" / "scenarios" / "seed"
MOST = 24_000  # bytes: what is longer takes time and finds nothing more

FILES = {
    "iptables": [
        *(f"files/F{n}" for n in ("01", "02", "04", "05", "07", "08", "09", "12", "22", "24")),
        "ipvs/node.save",
    ],
    "nftables": ["files/F11", "nft/kube-proxy.nft"],
    "ipvs": ["ipvs/node.ipvs", "ipvs/node.stats", "ipvs/node.save", "ipvs/names.ipvs"],
    "conntrack": ["files/F17"],
    "kubernetes": ["files/F18", "files/F27", "pasted.txt"],
    "azure": ["files/F13", "files/F14", "files/F16"],
    "nginx.conf": ["nginx/plain.conf", "nginx/ingress-nginx.conf"],
    "counts": ["files/F26"],
    "access-log": ["files/F19", "logs/ewma/access.log.gz"],
}
"""Files below tests/data by kind; those of files/ by the beginning of their names."""

SEEDS = {"iptables": "iptables-save.rules", "access-log": "access.log"}


@cache
def examples(kind: str) -> tuple[bytes, ...]:
    """Return the content of the real files of a kind, longer ones cut at a line's end."""
    found = [_content(name) for name in FILES[kind]]
    if kind in SEEDS:
        found.append((SEED / SEEDS[kind]).read_bytes())
    if kind == "kubernetes":
        found.append(kubectl.as_list(kubectl.cluster()).encode())
    return tuple(found)


def _content(name: str) -> bytes:
    path = DATA / name
    if not path.exists():
        (path,) = path.parent.glob(f"{path.name}*")
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return content if len(content) <= MOST else content[: content.rindex(b"\n", 0, MOST) + 1]
