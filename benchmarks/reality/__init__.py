"""A live bed: real rules, real proxies and real connections, run anew on this machine.

    scenario + trace ──► Bed (network namespaces) ──► client ──► folder ──► lbbench verify --reality
                         client ── node ── pods
                                    └ iptables rules by `lbbench export-rules`, nginx or HAProxy

A case takes a scenario and a trace, lets a client send the requests through the real chain, and
writes what was seen as `lbbench verify --reality` reads it.
"""
