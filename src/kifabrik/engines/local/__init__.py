"""Launchers as processes of this machine."""

from kifabrik.engines.local.engine import LocalEngine

__all__ = ["LocalEngine"]
