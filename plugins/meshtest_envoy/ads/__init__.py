"""The control plane: Envoy's aggregated discovery service (ADS) over gRPC, with acknowledgement as a barrier.

descriptors_build.py   at build time: the Envoy API into one file
descriptors.py         at run time: that file into a private descriptor pool; JSON to messages
stream.py              one Envoy's subscription state: what it asked for, what it acknowledged
server.py              the gRPC server and `push`
"""
