"""The concurrent structures that pychat is built on, holding any Python objects. Documented in structures.pyi."""

from collections.abc import Mapping

from pychat._core import Full, MpscQueue, RcuMap, ShardedMap

__all__ = ["Full", "MpscQueue", "RcuMap", "ShardedMap"]

Mapping.register(RcuMap)
Mapping.register(ShardedMap)
