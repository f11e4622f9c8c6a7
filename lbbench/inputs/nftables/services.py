"""Services in kube-proxy's own nftables tables (its nftables mode).

A packet's service is looked up in the verdict maps ``service-ips`` and ``service-nodeports``; its
endpoint is drawn by ``numgen random mod N vmap { 0 : goto endpoint-..., ... }`` in a chain
``service-...`` (every endpoint) or ``local-...`` (this node's): kubernetes/kubernetes,
pkg/proxy/nftables/proxier.go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from lbbench.inputs.nftables.text import Block, Key, split_elements
from lbbench.inputs.ruleset import Endpoint, Service
from lbbench.inputs.source import Place

KINDS = ("service", "external", "local", "endpoint", "firewall", "affinity")
PORTS = {"http": 80, "https": 443, "domain": 53, "ssh": 22, "http-alt": 8080}
MOST = 100_000
"""Endpoints in one verdict map; kube-proxy has never been seen with so many."""

_NAME = re.compile(
    rf"^(?:{'|'.join(KINDS)})-[A-Z0-9]+-(?P<namespace>[^/\s]+)/(?P<name>[^/\s]+)/"
    r"(?P<protocol>[a-z]+)/(?P<port>[^/\s_]*)(?:__(?P<host>[^/\s]+)/(?P<number>\d+))?$"
)
_VMAP = re.compile(r"\bnumgen (random|inc) mod (\d{1,9}) vmap \{(.*)\}")
_PICK = re.compile(r"^(\d+)(?:-(\d+))? : (?:goto|jump) (\S+)$")
_GOTO = re.compile(r" : (?:goto|jump) (\S+)$")
_NEXT = re.compile(r"\b(?:goto|jump) (\S+)")
_STICKY = re.compile(r"\bip6? saddr @(\S+) (?:goto|jump) (\S+)")
_DNAT = re.compile(r"\bdnat(?: ip6?)? to (\S+)")
_CIDR = re.compile(r"\bip6? saddr (?:!= )?([0-9a-fA-F.:]+/\d+)\b")
_LASTS = re.compile(r"^timeout (\S+)$")
_COUNTER = re.compile(r"\bcounter packets (\d{1,18})\b")
_TIME = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNIT = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Return the seconds of a time as nft writes it: ``3h``, ``1h30m``, ``10800s``; 0 for none."""
    return round(sum(int(number) * _UNIT[unit] for number, unit in _TIME.findall(text)))


class Native:
    """Reads the services in the blocks of one node and keeps notes of what it inferred."""

    def __init__(self, path: str, blocks: Mapping[Key, Block]) -> None:
        self.path = path
        self.notes: list[str] = []
        self.dangling: list[str] = []
        self.refused: list[str] = []
        self.chains = {name: block for (kind, _, name), block in blocks.items() if kind == "chain"}
        self.sets = {name: block for (kind, _, name), block in blocks.items() if kind != "chain"}
        self._ways: dict[str, list[tuple[list[str], int]]] = {}  # key of the element by service
        for name in ("service-ips", "service-nodeports"):
            for key, chain, number in self._verdicts(name):
                self._ways.setdefault(_identity(chain), []).append(([*key, chain], number))
        for name in ("no-endpoint-services", "no-endpoint-nodeports"):
            self.refused += [" ".join(key) for key, _, _ in self._verdicts(name)]

    def services(self) -> list[Service]:
        """Return every service that a map or a chain of its own names."""
        found = dict.fromkeys(self._ways)
        for name in self.chains:
            if name.startswith(("service-", "local-")) and _NAME.match(name):
                found.setdefault(_identity(name))
        return [self._service(identity) for identity in found]

    def cluster_cidr(self) -> str | None:
        """Return the pods' network, from the rules that masquerade what comes from elsewhere."""
        for name, block in self.chains.items():
            for text, _ in block.rules:
                if name.startswith(("service-", "external-")) and (match := _CIDR.search(text)):
                    return match[1]
        return None

    def _verdicts(self, name: str) -> Iterator[tuple[list[str], str, int]]:
        for text, number in self.sets[name].elements if name in self.sets else ():
            verdict = _GOTO.search(text)
            if verdict:
                key = text[: verdict.start()].partition(" comment ")[0].split(" . ")
                yield [part.strip() for part in key], verdict[1], number

    def _service(self, identity: str) -> Service:
        match = _NAME.match(identity)
        ways = self._ways.get(identity, [])
        chains = {kind: identity.replace("service", kind, 1) for kind in KINDS}
        at = [self.chains[chain].place for chain in chains.values() if chain in self.chains]
        place: Place = (self.path, ways[0][1]) if ways else at[0]
        name, protocol = identity, "tcp"
        if match:
            name = f"{match['namespace']}/{match['name']}" + f":{match['port']}" * bool(
                match["port"]
            )
            protocol = match["protocol"]
        inside: list[str] = []
        outside: list[str] = []
        node_port = port = None
        for key, _ in ways:
            *parts, chain = key
            if len(parts) == 2:
                node_port = port_number(parts[1])
            elif len(parts) == 3:
                (inside if chain.startswith("service-") else outside).append(parts[0])
                port = port or port_number(parts[2])
        endpoints, affinity = self._endpoints(chains["service"])
        local, local_affinity = self._endpoints(chains["local"])
        policy = self._policy(chains, reached=bool(outside) or node_port is not None)
        return Service(
            name=name,
            suffix=identity.split("-")[1] if "-" in identity else identity,
            protocol=protocol,
            port=port,
            cluster_ip=inside[0] if inside else None,
            load_balancer_ips=tuple(outside),
            external_ips=tuple(outside),
            node_port=node_port,
            health_check_node_port=None,
            external_policy=policy,
            affinity_seconds=affinity or local_affinity,
            endpoints=endpoints or local,
            local_endpoints=local if chains["local"] in self.chains else None,
            local_by_file={self.path: tuple(item.address for item in local if item.address)}
            if local
            else {},
            cluster_wide=bool(endpoints),
            place=place,
            proxy="nftables",
        )

    def _policy(self, chains: Mapping[str, str], *, reached: bool) -> str | None:
        block = self.chains.get(chains["external"])
        texts = [text for text, _ in block.rules] if block else []
        local = chains["local"] in self.chains or any(
            "fib saddr type local" in text or chains["local"] in text for text in texts
        )
        if local:
            return "Local"
        return "Cluster" if texts or reached else None

    def _endpoints(self, chain: str) -> tuple[tuple[Endpoint, ...], int | None]:
        """Return the endpoints of a chain with their shares, and the affinity's seconds."""
        block = self.chains.get(chain)
        if block is None:
            if chain in {key[-1] for key, _ in self._ways.get(_identity(chain), [])}:
                self.dangling.append(chain)
            return (), None
        affinity, found = None, list[Endpoint]()
        for text, number in block.rules:
            sticky = _STICKY.search(text)
            if sticky:
                affinity = affinity or self._lasts(sticky[1])
                continue
            drawn = _VMAP.search(text)
            if drawn:
                found = self._drawn(drawn, (self.path, number))
        return tuple(found), affinity

    def _drawn(self, drawn: re.Match[str], place: Place) -> list[Endpoint]:
        """Return the endpoints of one draw; an endpoint with several numbers has their sum."""
        modulus = int(drawn[2])
        numbers: Counter[str] = Counter()
        for element in split_elements(drawn[3])[:MOST]:
            pick = _PICK.match(element)
            if pick is None:
                self.notes.append(f"{place[0]}:{place[1]}: {element[:60]}: no number and endpoint")
                continue
            first, last = int(pick[1]), int(pick[2] or pick[1])
            numbers[pick[3]] += max(0, min(last, modulus - 1) - first + 1)
        share = 1.0 / max(modulus, 1)
        mode = "nth" if drawn[1] == "inc" else "random"
        return [
            Endpoint(name, self._address(name), count * share, count * share, mode,
                     self._packets(name), place)
            for name, count in numbers.items()
            if count
        ]  # fmt: skip

    def _address(self, chain: str) -> str | None:
        """Return where an endpoint's chain leads: its dnat rule, else what its name says."""
        for text, _ in self.chains[chain].rules if chain in self.chains else ():
            if match := _DNAT.search(text):
                return match[1]
        match = _NAME.match(chain)
        if match is None or match["host"] is None:
            return None
        host, colons = match["host"], match["host"].count(".") != 3
        return f"[{host.replace('.', ':')}]:{match['number']}" if colons else (
            f"{host}:{match['number']}"
        )  # fmt: skip

    def _packets(self, chain: str) -> int | None:
        for text, _ in self.chains[chain].rules if chain in self.chains else ():
            if _DNAT.search(text) and (match := _COUNTER.search(text)):
                return int(match[1])
        return None

    def _lasts(self, name: str) -> int:
        block = self.sets.get(name)
        for text, _ in block.rules if block else ():
            if match := _LASTS.match(text):
                return seconds(match[1]) or 10_800
        self.notes.append(
            f"{self.path}: the set {name} is not shown: affinity with the default of 10800 s"
        )
        return 10_800


def _identity(chain: str) -> str:
    """Return the name that the chains of one service share, as its service chain."""
    kind, dash, rest = chain.partition("-")
    return f"service{dash}{rest}" if kind in KINDS else chain


def port_number(text: str) -> int | None:
    """Return the port that a listing writes as a number or by its name; None for another."""
    return int(text) if text.isdecimal() and len(text) < 6 else PORTS.get(text)
