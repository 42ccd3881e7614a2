"""From files to meaning: the reader, the dialects, and who can reach what. Pure but for reading files.

files ──reader.py──► documents ──compiler.py, a dialect at a time──► topology ──hosts.py──► what each proxy knows
                                                                                └ decide.py: where a request goes

a dialect     kubernetes/, istio/, istio_security/, gateway_api/, linkerd/; it reads by view.py and fields.py
an edit       traffic.py chooses the dialect, patch.py changes documents, diff.py shows it
"""
