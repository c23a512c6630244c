"""One parent for all that Sacristy runs on this machine: the services of the stack and the model instances."""

from sacristy.supervision.daemon import ProgramState, Supervisor
from sacristy.supervision.program import Program

__all__ = ["Program", "ProgramState", "Supervisor"]
