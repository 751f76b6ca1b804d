"""Industrial workloads that run alone or as sealed recipes in a factory; none of them knows the factory."""
