"""Room one: a job's Python environment, built with network and without data.

Invariants:
- a lock names for every package one version and one wheel by its SHA-256: whoever builds it can
  only build the same tree, wherever the wheels came from;
- no package code runs while locking or building: wheels only, unpacked and compiled, never imported;
- a built tree is read-only, complete before it becomes visible, and belongs to one tenant;
- what compiled files hold is part of the tree digest, and is the same from every build.
"""
