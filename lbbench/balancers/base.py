"""What a balancer is: the protocol that built-in and users' own balancers share, and the registry.

A balancer is a set of small plain functions on a NamedTuple of arrays. The reference engine calls
them as Python, the fast engine compiles them; both get the same draws from the same streams.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import lbbench.balancers as package
from lbbench.errors import BalancerError


class Endpoint(NamedTuple):
    """One target of a stage, as the stage's balancer sees it."""

    address: str  # "10.244.0.4:8080"; what hashes see
    weight: int = 1


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """One algorithm that chooses an endpoint.

    Attributes
    ----------
    name
        The operator's word for it, as in scenarios.
    level
        ``"l4"``: asked once per connection; ``"l7"``: asked once per attempt of a request.
    summary, source, cost
        One sentence; the original (repository, path, commit) or paper; cost per pick in words.
    state
        ``state(params, endpoints) -> NamedTuple of arrays``, plain Python. ``endpoints`` is the
        sorted tuple of every :class:`Endpoint` that exists at any time of the run; its positions
        are the endpoint ids. Arrays are C-contiguous, at least one-dimensional, and their shapes
        depend on nothing but the arguments. One such state is made per instance (see ``scope``).
        Into a field ``pid`` (int64[1]) the engine puts the worker's process number, 30 + its number
        in the replica, into ``dispatcher`` (int64[2]) the worker's number among all and how many
        they are; ``lock_hold`` (float64[1], seconds) tells it how long a sample keeps its
        endpoint's lock against those of other workers.
    pick
        ``pick(state, rng, now, key, busy, tried) -> int``: position in the current endpoint list of
        this instance, -1 for none. ``rng`` is uint64[4], ``now`` seconds, ``key`` an int64 that
        holds a uint32 hash, or what `digest` makes (-1: none), ``busy`` int64[n] the attempts that
        are outstanding at each listed endpoint (see ``sees``), ``tried`` int64[k] the positions
        where this request failed already. ``n = len(busy)`` may be 0. A node's kube-proxy gets the
        connections that are open through the node as ``busy``, the client's address as ``key``.
    done
        ``done(state, endpoint, now, rtt, ok)``: an answer came back. ``endpoint`` is the endpoint
        *id*. None: the balancer takes no feedback.
    on_endpoints
        ``on_endpoints(state, rng, old, new, now)``: the instance's list changes; ``old`` and
        ``new`` are int64 arrays of endpoint ids in list order (sorted by address). It is called
        once before the first pick, with an empty ``old``. None: nothing to do.
    on_busy
        ``on_busy(state, endpoint, busy)``: the endpoint *id*, listed or not, has ``busy`` (int64)
        from now on, as ``pick`` would see it. At layer 7 it is called after every change of the
        number, for every state whose ``busy`` shows it, and after a restart, before
        `on_endpoints`, for every endpoint that has any; at the load balancer it is told all numbers
        before a pick, known ones too. All are 0 at first. kube-proxy's balancers are not told.
        A state ``"shared"`` by instances can be told only what is the same for all of them:
        ``sees`` must be ``"pods"``. None: the balancer keeps no order by it.
    switches
        By option: another one, while whose value is the default it has no effect.
    digest
        ``digest(params) -> (text -> int)``: makes the key of a text (bytes) that the scenario's
        ``hash_by`` gives; plain Python, called once per distinct text. None: its crc32.
    hash_by
        What is hashed whatever the scenario says, for instance ``"$remote_addr"``; "": its
        ``hash_by``.
    hashes
        While nothing fails, a pick follows from the key and the list alone, whatever the scope.
    by_port
        A kube-proxy's balancer whose key is 65536 x address + source port.
    reads_busy
        ``pick`` looks at ``busy``. Only for balancers of kube-proxy and of the load balancer: where
        none does, layer 4 can be done for many connections at once.
    params
        The balancer's options with their defaults.
    sees
        ``"own"``: ``busy`` holds this instance's outstanding attempts; ``"replica"``: those of all
        workers of its replica; ``"pods"``: the pods' true number of requests in the system;
        ``"work"``: the time that the work left at each pod takes, ``"free"``: the time until one
        more request would begin there, both in whole nanoseconds (int64).
    scope
        Who shares one state: ``"worker"``, ``"replica"`` (all workers of one ingress replica),
        ``"shared"`` (a pure function of the endpoint list and either the key or the pods' true
        numbers: one state per distinct list), for L4 balancers ``"node"``.
    common
        Fields of the state that the instances of one scope have in common, while every worker has
        the others for itself because workers learn of a change at different times: what
        ingress-nginx keeps in shared dictionaries, or what never changes. With scope ``"replica"``
        and none named, all fields are common: the replica is one process with one list.
    threads
        With scope ``"replica"``: the workers are threads, each of which has the fields that are not
        in ``common``, and a stream, for itself always, also while all lists are alike.
    any_answer
        `done`'s ``ok`` is true for every answer, one of 5xx too: only silence and resets fail.
    accounts
        Which attempt of a request `done` hears of: the ``"last"`` or the ``"first"``.
    clock
        ``"ms"``: ``now`` and ``rtt`` come from nginx's millisecond clock; ``"exact"``: float64.
    cookies
        The balancer reads the key as a session cookie and may set one: its state has a field
        ``set_cookie`` (int64[1]), -1 or the value of the new cookie after a pick.
    independent
        Successive picks are independent draws with the expected shares, so a chi-square test of
        the counts means something.
    shares
        ``shares(state, n) -> float64[n]``: expected shares of the current list by the rules alone;
        None: 1/n.
    compiled
        False: it is not to be compiled. It runs in the readable engine, many times slower, and its
        state may be any object, such as a dict: one for each instance of scope ``"worker"`` or
        ``"replica"``.
    differs
        (name of a relative in the registry, one sentence on how this one differs from it): what
        ``lbbench balancers NAME`` says, with the difference that the league measured beside it.
    """

    name: str
    level: Literal["l4", "l7"]
    summary: str
    source: str
    state: Callable[[Mapping[str, Any], Sequence[Endpoint]], Any]
    pick: Callable[..., int]
    done: Callable[..., None] | None = None
    on_endpoints: Callable[..., None] | None = None
    on_busy: Callable[..., None] | None = None
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    switches: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    digest: Callable[[Mapping[str, Any]], Callable[[bytes], int]] | None = None
    hash_by: str = ""
    hashes: bool = False
    by_port: bool = False
    reads_busy: bool = True
    sees: Literal["own", "replica", "pods", "work", "free"] = "own"
    scope: Literal["worker", "replica", "shared", "node"] = "worker"
    common: tuple[str, ...] = ()
    threads: bool = False
    any_answer: bool = False
    accounts: Literal["last", "first"] = "last"
    clock: Literal["ms", "exact"] = "exact"
    cookies: bool = False
    independent: bool = False
    shares: Callable[[Any, int], Any] | None = None
    compiled: bool = True
    cost: str = "O(1)"
    differs: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.on_busy is not None and self.sees in ("work", "free"):
            raise BalancerError(
                f"balancer {self.name}: on_busy with sees = {self.sees}: what is left to do "
                "changes all the time and is not told; read busy at the pick, or use sees = pods"
            )
        if self.on_busy is not None and self.scope == "shared" and self.sees != "pods":
            raise BalancerError(
                f"balancer {self.name}: on_busy with scope = shared needs sees = pods, because "
                "what an instance has outstanding is its own; or use scope = worker or replica"
            )

    @property
    def follows_key(self) -> bool:
        """Whether the pick follows from the request's key and the endpoint list alone."""
        sees_own = self.sees in ("own", "replica")
        by_list = self.scope == "shared" and sees_own and not self.cookies
        return by_list or self.hashes

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters: the defaults overlaid with ``given``; unknown names are errors."""
        unknown = sorted(set(given) - set(self.params))
        if unknown:
            allowed = ", ".join(sorted(self.params)) or "none"
            raise BalancerError(
                f"balancer {self.name} has no option {unknown[0]!r}; its options are: {allowed}"
            )
        return {**self.params, **given}


@cache
def registry() -> Mapping[str, Balancer]:
    """Return every built-in balancer by name, found by looking through this package."""
    found: dict[str, Balancer] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, Balancer):
                found[value.name] = value
    return MappingProxyType(found)


def find(name: str, folder: Path | None = None) -> Balancer:
    """Return the balancer called ``name``: built in, ``FILE.py:NAME``, or of an installed package.

    Raises
    ------
    BalancerError
        When there is no such balancer, or it cannot be loaded; the sentence names near misses.
    """
    from lbbench.balancers.installed import from_package, installed
    from lbbench.balancers.own import from_file

    if ":" in name and name.rsplit(":", 1)[0].endswith(".py"):
        return from_file(name, folder or Path.cwd())
    known = registry()
    if name in known:
        return known[name]
    if name in installed():
        return from_package(name)
    there = [*known, *installed()]
    if name.endswith(".py"):
        raise BalancerError(f"{name}: which balancer of it? write {name}:NAME, as in {name}:mine")
    family = [other for other in known if name and other.startswith(f"{name}_")]
    if family:
        raise BalancerError(f"there is no balancer {name!r}; there are {', '.join(family)}")
    near = difflib.get_close_matches(name, there, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(there)}"
    raise BalancerError(f"there is no balancer {name!r}; {hint}")
