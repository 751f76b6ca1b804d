"""A soak: mixed runs while processes of every kind are killed; `make soak`."""
