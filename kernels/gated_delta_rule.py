"""The gated delta rule is ``delta_rule.cpp`` compiled with ``-DGATED=1``."""

from .delta_rule import gated as fused

__all__ = ["fused"]
