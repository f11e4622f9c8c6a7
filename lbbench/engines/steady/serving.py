"""A steady request reaches its pod: when it is served, and when its answer is where."""

from __future__ import annotations

from lbbench.engines.parts import INGRESS
from lbbench.engines.steady.pods import join
from lbbench.engines.steady.slots import stray
from lbbench.engines.steady.world import T_LAST, Steady
from lbbench.engines.timing import TO_CLIENT, jitter
from lbbench.engines.world import Facts


def serve(f: Facts, w: Steady, slot: int, now: float) -> float:
    """Let a request reach its pod; return when the answer reaches the worker, or leaves the pod."""
    request = w.request[slot]
    start, end = join(f, w, request.pod, request.work, now)
    request.at_pod = now
    request.start = start
    request.end = end
    answer = end
    if INGRESS:
        answer = end + 0.5 * f.hop_rtt[f.worker[request.worker].node, f.pod[request.pod].node]
        if answer > request.connected + f.read_timeout:
            stray(w)
    wait = jitter(f.jitter_salt[0], request.number, TO_CLIENT, 0.5 * f.path_jitter)
    request.ends = (answer + 0.5 * request.rtt) + wait
    if f.duration > 0.0 and request.ends > f.duration + f.drain:
        stray(w)
    if request.ends - request.written >= f.flow_idle and (f.flow_reset or request.last == 0):
        stray(w)
    w.clock[T_LAST] = max(w.clock[T_LAST], request.ends)
    return answer
