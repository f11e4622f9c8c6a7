"""Which print format of kube-proxy gives these probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

U31 = 2**31
"""The kernel keeps a probability as a 31-bit number (xt_statistic)."""

FORMATS = ("%0.5f", "%0.10f")
"""Before kubernetes/kubernetes pull request 83599 (2019) and since."""

PRINTED = 6e-12  # iptables-save prints 11 decimals


def format_of(chains: Iterable[Sequence[float]]) -> str | None:
    """Return the one format that explains every probability of every chain, None if not one does.

    A rule that leaves ``k`` endpoints to choose from carries 1/k in that format. The kernel keeps
    31 bits of it, and iptables-save prints those; the input of iptables-restore holds the format
    itself. Both are accepted.
    """
    fits = set(FORMATS)
    for probabilities in chains:
        n = len(probabilities)
        for index, probability in enumerate(probabilities[:-1]):
            fits = {form for form in fits if _gives(form, n - index, probability)}
    return fits.pop() if len(fits) == 1 else None


def _gives(form: str, left: int, probability: float) -> bool:
    written = float(form % (1.0 / left))
    kept = round(written * U31) / U31
    return abs(probability - written) < PRINTED or abs(probability - kept) < PRINTED
