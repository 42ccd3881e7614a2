"""The translator: a Topology and the pods that run become Envoy resources, as JSON. Pure: no sockets, no processes.

    snapshot.py   all of it together, with the references checked
    names.py      how clusters, listeners and sockets are called (Istio's names)
    clusters.py   services and policies to clusters
    endpoints.py  pods, and addresses that are no pods, to endpoints
    localities.py which endpoints callers in one place prefer
    routes.py     virtual hosts to route configurations
    streams.py    routes of connections: TCP, and TLS that stays encrypted
    listeners.py  one outbound listener a caller, one inbound a replica and port
    outside.py    the way in for a client without a proxy
    gateways.py   one listener a gateway port, a filter chain a server
    tls.py        certificates, and what is done with them
    mutual.py     who shows which identity, where mutual TLS is in force
    security.py   the filters that guard a listener, of rbac.py (who may) and jwt.py (whose tokens)
    stats.py      what is counted of each request: counted.py puts it in, peers.py names who called
    tracing.py    what is told of each request, and to whom
    patches.py    EnvoyFilters, last of all; protos.py merges as protobuf does
    bootstrap.py  the static configuration Envoy starts with

Defaults are Istio's where the user's YAML is silent; each is named where it is set.
"""
