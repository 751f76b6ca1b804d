"""HTTP bodies and mailbox messages: the contract between the factory's service and everybody else.

Binary is base64 in JSON and raw in object and tile bodies. Signed things travel as DSSE JSON text, so
what was signed is what arrives. Every error answers `Problem` with the status of its class.
"""
