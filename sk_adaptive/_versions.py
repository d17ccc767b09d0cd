"""What a bug report should say about the installation."""

import platform
import sys

import numpy as np
import scipy
import sklearn

from . import _cpu
from ._base import PRECISIONS
from ._build import BUILD
from ._registry import kernel


def show_versions():
    """Print the versions, the compiler and the set of instructions in use.

    ``python -m sk_adaptive`` does the same. Add the output to a bug report.

    Examples
    --------
    >>> import sk_adaptive
    >>> sk_adaptive.show_versions()  # doctest: +SKIP
    """
    # Not before: it is the package that imports this module.
    from . import __version__

    sections = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": f"{platform.platform()}, {platform.machine()}",
        },
        "Versions": {
            "sk_adaptive": __version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "Build": BUILD,
        "Instructions": {
            "processor": ", ".join(_cpu.instruction_sets()),
            **{
                f"kernel of {np.dtype(dtype)}": kernel(dtype).__name__.rpartition("_")[2]
                for dtype in PRECISIONS
            },
        },
    }
    for title, entries in sections.items():
        print(f"\n{title}:")
        for name, value in entries.items():
            print(f"{name:>18}: {value}")
