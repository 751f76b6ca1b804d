"""Placing containers with fractions of GPUs on nodes: how much of a cluster each policy can give away.

Policies and experiment are those of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
Fragmentation Gradient Descent" (USENIX ATC'23), on the cluster and the pods Alibaba published with it.
"""
