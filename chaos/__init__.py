"""Faults, workloads, histories and the checkers that judge them.

Drives processes from outside: nothing here imports a component, and no component knows of this
package. A scenario runs a workload against a `live.cluster.Cluster` while it injects faults, writes
every operation to a history, and lets a pure checker judge that history alone.
"""
