"""The factory's HTTP API as Python calls, one class per noun.

Every call is idempotent: signed statements are known by their digest and objects by theirs, so a call
that got no answer is simply made again. Errors of the service arrive as the same error classes.
"""
