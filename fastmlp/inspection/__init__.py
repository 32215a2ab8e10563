"""Look inside a network while it trains."""

from .trace import TracedLayer, TracedStep, trace_step

__all__ = ["TracedLayer", "TracedStep", "trace_step"]
