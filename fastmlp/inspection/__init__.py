"""What goes on in a network: for those who learn how a network learns."""

from .trace import TracedLayer, TracedStep, trace_step

__all__ = ["TracedLayer", "TracedStep", "trace_step"]
