"""Where the seed's post is wrong, imprecise or outdated: notes by walk and kind of hop."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NOT_MEASURED = "The post did not measure the way between client and Azure: it counts as 0 here."
OUTDATED = (
    "Since then kubenet, the Basic load balancer, KUBE-XLB, KUBE-MARK-DROP, extensions/v1beta1, "
    "the http_application_routing add-on and Docker have gone."
)
MARK_BITS = (
    "Correction: the marks are bits 14 (0x4000, masquerade) and 15 (0x8000, drop) of a 32-bit "
    "word, not bits of its first byte."
)
HAIRPIN = (
    "Correction: the first rule does not translate return traffic. It marks a pod that calls its "
    "own Service (hairpin); conntrack undoes translations on the way back."
)
TCP_PROBE = (
    "The probe of a node port is itself spread over all pods by kube-proxy: a node without pods, "
    "or with a broken one, still looks healthy."
)
NO_HASH = (
    "Correction: statistic random is no hash. It draws a new number for every new flow; the "
    "5-tuple plays no part, and conntrack keeps the choice."
)
BRIDGE = (
    "Correction: 10.244.0.1 in the post's listing is no nginx pod but cbr0, the address that "
    "MASQUERADE took; the VIP is 23.101.73.47, not 23.125.120.58."
)
SERVICE_TIME = "Service time: GET / of the same image in the post's access log, less the network."
HTTP_PROBE = (
    "Correction: under externalTrafficPolicy Local the probe does not go to the node ports 30321 "
    "and 30286 but to the Service's own health-check port 31924, which kube-proxy answers."
)
HIDDEN_RULE = (
    "The rule that keeps the cluster's own pods out is missing in the post: its comment lacks the "
    "name of the Service, so grep hid it."
)
NO_SNAT = (
    "Correction: nginx needs no SNAT. It ends the client's TCP connection and opens one of its own."
)
NOT_DIALLED = (
    "The ClusterIP of whereami-ingress is never dialled: Lua knows the pods' addresses, so "
    "kube-proxy does not balance this leg."
)
LUA = (
    "The post leaves the algorithm open: it is Lua round_robin with one state per worker, not "
    "nginx's own."
)
TWO_WORKERS = (
    "The post's log shows it: .13 .9 .13 | .9 .13 .9 .13 .13, the cycle broken once, as two "
    "workers produce it."
)
LOST_BLANK = (
    "Correction: the first line of the post's log has lost a blank: "
    "2007db4e626c2149b6ac4213ba5335485cc is status 200 and a request id of 32 digits."
)

BOTH: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"client": (NOT_MEASURED, OUTDATED), "mark": (MARK_BITS,), "dnat": (HAIRPIN,)}
)

SEED_LB: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **BOTH,
        "azure_lb": (TCP_PROBE,),
        "endpoints": (NO_HASH,),
        "untranslate": (BRIDGE,),
        "served": (SERVICE_TIME,),
    }
)

SEED_INGRESS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **BOTH,
        "azure_lb": (HTTP_PROBE,),
        "endpoints": (HIDDEN_RULE,),
        "connect": (NO_SNAT, NOT_DIALLED),
        "balancer": (LUA, TWO_WORKERS),
        "answer": (LOST_BLANK,),
    }
)
