"""``python -m sk_adaptive`` prints what a bug report should say about the installation."""

import sklearn

from sk_adaptive import __version__
from sk_adaptive.kernel._cpu import instruction_set, instruction_sets

print(f"sk_adaptive: {__version__}")
print(f"instructions: {instruction_set()}, of {', '.join(instruction_sets())}")
sklearn.show_versions()
