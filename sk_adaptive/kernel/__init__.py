"""One record, one step: optimizers and losses, and the loop over the rows.

Compiled modules are imported here, too, as programs that freeze others cannot look into those that
import them.
"""

from .. import _cyutility
from . import _cpu, _kernel_float32, _kernel_float64, _losses, _tail

__all__ = ["_cpu", "_cyutility", "_kernel_float32", "_kernel_float64", "_losses", "_tail"]
