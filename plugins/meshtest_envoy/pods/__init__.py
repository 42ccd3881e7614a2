"""Pods as processes: a supervisor that outlives nobody, a small kubelet, and the stand-in service.

 runner                          supervisor (python -I -S, one thread)            its children
 client.Supervisor  ◄─ channel ─► supervisor ─► kubelet ─► containers ─────zygote─►  stand-in pods
 spec, runtime, heal              └──────────► children ────────────────fork+exec─►  programs, Envoy

Modules of the supervisor and of the stand-in import little: no dataclasses, pathlib, inspect or shutil (each costs the
start of every mesh 3-40 ms). So this file re-exports nothing; import the modules by name.
"""
