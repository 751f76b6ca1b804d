"""The governor: how much IT power river, cooling and heat demand permit now, and what follows for what runs.

Plain Python without any of the plant's libraries: a factory follows it that has none of them installed.
"""
