"""Whole clusters in one process, on simulated clock, network and disk, driven by one seed.

What runs is the real member: `raftstore.node.Node` with its journal, snapshots, state machine and
services. Only its edges are ours (`raftstore.engine.host`). The same seed gives the same run.
"""
