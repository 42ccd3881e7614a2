"""The translator: a Topology and the pods that run become Envoy resources, as JSON. Pure: no sockets, no processes.

    names.py      how clusters, listeners and sockets are called (Istio's names)
    clusters.py   services and policies to clusters; pods to endpoints
    routes.py     virtual hosts to route configurations
    listeners.py  one outbound listener a caller, one inbound a replica and port, one a gateway port
    snapshot.py   all of it together, with the references checked
    bootstrap.py  the static configuration Envoy starts with

Defaults are Istio's where the user's YAML is silent; each is named where it is set.
"""
