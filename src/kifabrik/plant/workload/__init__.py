"""The workload: traces of jobs, how they are scheduled on a fleet, and the power that makes.

A `Trace` is read (`reading`), made up (`synthetic`) or scaled to a fleet (`filling`); `scheduling.schedule` decides
when and where each job runs; `power.load_of` turns that into the `Load` the physics integrates.
"""
