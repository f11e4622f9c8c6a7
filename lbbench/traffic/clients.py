"""Who sends: client addresses, the addresses that NAT makes clients share, and popularity.

Client c has the address 11.x.y.z, its number in base 256. A share of the clients, spread evenly
over the numbers (so that popular and rare ones are among them), sits behind NAT: they are dealt out
to the NAT addresses 100.64.0.0, 100.64.0.1, ... (shared address space, RFC 6598) in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lbbench.errors import RunError
from lbbench.traffic.streams import pick_index

MAX_CLIENTS = 2**24  # 11.0.0.0/8
MAX_NAT = 2**22  # 100.64.0.0/10

MOST_KEPT = 2**16  # clients whose addresses are kept for the next run, about 6 MB

GUIDE_PER_ITEM = 64  # of 500 items by Zipf 1.5 % of the draws are searched for
MAX_GUIDE = 2**18


def client_address(client: int) -> str:
    """Return the synthetic address of client number ``client``."""
    return f"11.{client >> 16}.{client >> 8 & 255}.{client & 255}"


def nat_address(number: int) -> str:
    """Return the synthetic address of NAT gateway ``number``."""
    return f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def behind_nat(count: int, share: float) -> np.ndarray:
    """Return which of ``count`` clients sit behind NAT, bool[count]: round(share count) of them.

    They are spread evenly: among the first m clients there are floor(m n / count) of the n.
    """
    n = round(share * count)
    before = np.arange(count + 1, dtype=np.int64) * n // max(count, 1)
    spread: np.ndarray = np.diff(before) > 0
    return spread


def addresses_of(
    count: int, *, share_behind_nat: float = 0.0, nat_addresses: int = 1
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (index into the addresses by client, int64[count]; the distinct addresses).

    The addresses of clients that have their own come first, those of NAT gateways after them. The
    index can only be read: the next run of a process gets the same one.

    Raises
    ------
    RunError
        When there are more clients or gateways than addresses.
    """
    for what, n, limit in (
        ("traffic.clients.count", count, MAX_CLIENTS),
        ("traffic.clients.nat_addresses", nat_addresses, MAX_NAT),
    ):
        if n > limit:
            raise RunError(f"{what} = {n}: there are addresses for at most {limit}")
    made = _addresses if count <= MOST_KEPT else _addresses.__wrapped__
    return made(count, share_behind_nat, nat_addresses)


@lru_cache(maxsize=4)
def _addresses(
    count: int, share_behind_nat: float, nat_addresses: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    hidden = behind_nat(count, share_behind_nat)
    own = np.flatnonzero(~hidden)
    n_hidden = count - len(own)
    gateways = min(nat_addresses, n_hidden)
    index = np.empty(count, np.int64)
    index[own] = np.arange(len(own))
    if n_hidden:
        index[hidden] = len(own) + np.arange(n_hidden) % gateways
    texts = [client_address(c) for c in own.tolist()]
    texts += [nat_address(k) for k in range(gateways)]
    index.flags.writeable = False
    return index, tuple(texts)


@dataclass(frozen=True)
class Popularity:
    """How often each of ``count`` items is drawn: uniform, or Zipf with p_k proportional to k^-s.

    Item 0 is the most popular one. A draw takes one uniform number.
    """

    count: int
    exponent: float = 0.0  # 0: uniform

    def shares(self) -> np.ndarray:
        """Return the probability of every item, float64[count]."""
        weights = np.arange(1, self.count + 1, dtype=np.float64) ** -self.exponent
        weights /= weights.sum()
        return weights

    def inverse(self) -> UniformInverse | ZipfInverse:
        """Return what tells the item that a uniform number stands for."""
        return UniformInverse(self.count) if self.exponent == 0.0 else ZipfInverse(self)

    def sampler(self, stream: np.random.Generator) -> Sampler:
        """Return what draws items from ``stream``."""
        return Sampler(self.inverse(), stream)


class Sampler:
    """Draws items."""

    def __init__(self, inverse: UniformInverse | ZipfInverse, stream: np.random.Generator) -> None:
        self.inverse = inverse
        self.stream = stream
        self.uniforms = np.empty(0)  # where they are drawn, block after block

    def draw(self, n: int) -> np.ndarray:
        """Return the next ``n`` items, int64[n]."""
        if len(self.uniforms) < n:
            self.uniforms = np.empty(n)
        return self.inverse.items(self.stream.random(out=self.uniforms[:n]))


class UniformInverse:
    """Items that are equally likely."""

    def __init__(self, count: int) -> None:
        self.count = count

    def items(self, uniforms: np.ndarray) -> np.ndarray:
        """Return the item of each uniform number, int64[n]."""
        return pick_index(uniforms, self.count)


class ZipfInverse:
    """The inverse of the cumulated shares.

    A guide table over equal parts of [0, 1) holds the answer for the parts that lie inside one
    item, which are all but as many as there are items, and -1 for the rest, which is searched for.
    """

    def __init__(self, popularity: Popularity) -> None:
        self.cumulated = np.cumsum(popularity.shares())
        self.cumulated[-1] = 1.0
        wanted = min(max(GUIDE_PER_ITEM * popularity.count, 2), MAX_GUIDE)
        self.parts = 1 << (wanted - 1).bit_length()  # a power of two: u x parts is exact
        edges = np.arange(self.parts + 1) / self.parts
        first = np.searchsorted(self.cumulated, edges, side="right")
        self.guide = np.where(first[1:] == first[:-1], first[:-1], -1).astype(np.int64)

    def items(self, uniforms: np.ndarray) -> np.ndarray:
        """Return the item of each uniform number: the first whose cumulated share exceeds it."""
        part = pick_index(uniforms, self.parts)
        items: np.ndarray = self.guide.take(part)
        unsure = np.flatnonzero(items < 0)
        items[unsure] = np.searchsorted(self.cumulated, uniforms[unsure], side="right")
        return items
