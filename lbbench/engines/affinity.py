"""Who went back to the same pod: sessions kept and lost, keys moved by a change of the list."""

from __future__ import annotations

from lbbench.core.held import apart
from lbbench.engines.counters import Counters
from lbbench.engines.parts import COOKIES
from lbbench.engines.steady.world import Steady
from lbbench.engines.world import Facts, World

REQUESTS, KEPT, SESSION_LOSS, FORCED_LOSS, COMPARED, MOVED, MOVED_BY_FORCE = range(7)


@apart
@apart
def begin_session(f: Facts, w: World | Steady, session: int, life: float, now: float) -> None:
    """Let a session whose life is over begin anew."""
    jar = w.jar[session]
    if now >= jar.expires:
        jar.expires = now + life
        jar.cookie = -1
        if f.by_key == 0:
            w.unit[session].last = -1
            w.unit[session].pod = -1
            w.unit[session].before = -1


def remember(f: Facts, w: World | Steady, c: Counters, slot: int) -> None:
    """Compare the pod of an answered request with those before it of its session or key.

    A loss is forced when the pod before has left the cluster. After a change of the worker's list
    answers are compared with the last one before it, so that a remapped key counts with its
    traffic; a worker that does not know the change yet says nothing about it. Where cookies make
    the session, a request without one belongs to none yet.
    """
    request = w.request[slot]
    which = request.key if f.by_key else request.session
    if which < 0:
        return
    comparable = True
    if COOKIES:
        mine = request.new_cookie if request.new_cookie >= 0 else request.cookie
        if w.jar[request.session].cookie != mine:
            return  # the cookie of another answer has taken its place
        comparable = request.cookie >= 0
    unit = w.unit[which]
    pod = request.pod
    if comparable and f.by_key == 0 and unit.last >= 0:
        c.affinity[REQUESTS] += 1
        if unit.last == pod:
            c.affinity[KEPT] += 1
        elif w.site[unit.last].member:
            c.affinity[SESSION_LOSS] += 1
        else:
            c.affinity[FORCED_LOSS] += 1
    unit.last = pod
    version = request.version
    if version > unit.version:
        unit.before = unit.pod
        unit.version = version
    if version == unit.version:
        if comparable and unit.before >= 0:
            c.affinity[COMPARED] += 1
            if unit.before != pod:
                c.affinity[MOVED] += 1
                if w.site[unit.before].member == 0:
                    c.affinity[MOVED_BY_FORCE] += 1
        unit.pod = pod
