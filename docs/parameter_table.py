"""The directive `parameter-table`: every parameter of the estimators, from what the code says."""

import inspect
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from numpydoc.docscrape import NumpyDocString
from sklearn.linear_model import SGDClassifier, SGDRegressor

import sk_adaptive
from sk_adaptive.kernel.optimizers import OPTIMIZERS

PAIRS = (
    (sk_adaptive.AdaptiveSGDClassifier, SGDClassifier),
    (sk_adaptive.AdaptiveSGDRegressor, SGDRegressor),
)
KINDS = ("classifier", "regressor")
TITLES = ("Parameter", "Meaning", "Default", "Optimizers", "In SGDClassifier, SGDRegressor")


def first_sentence(lines):
    """Of a parameter's description; a full stop within quotes or a number ends none."""
    paragraph = " ".join("\n".join(lines).split("\n\n")[0].split())
    paragraph = re.sub(r" \[\d+\]_", "", paragraph)
    return re.split(r"(?<=[.:]) (?=[A-Z'`])", paragraph)[0].rstrip(":. ") + "."


def rows():
    """One row for each parameter: its name and the cells, as reStructuredText."""
    defaults, peers, meaning = {}, {}, {}
    for estimator, peer in PAIRS:
        described = {
            name: text.desc
            for text in NumpyDocString(inspect.getdoc(estimator))["Parameters"]
            for name in text.name.split(", ")
        }
        in_peer = _names(peer)
        for name, parameter in _names(estimator).items():
            defaults.setdefault(name, []).append(parameter.default)
            peers.setdefault(name, []).append(
                in_peer[name].default if name in in_peer else inspect.Parameter.empty
            )
            meaning.setdefault(name, first_sentence(described[name]))
    for name in defaults:
        owners = [
            kind for kind, (ours, _) in zip(KINDS, PAIRS, strict=True) if name in _names(ours)
        ]
        yield (
            f"``{name}``" + (f" ({owners[0]} only)" if len(owners) == 1 else ""),
            meaning[name],
            _values(defaults[name]),
            _users(name),
            _values(peers[name]),
        )


def _names(estimator):
    return inspect.signature(estimator).parameters


def _users(name):
    """The optimizers that use a parameter."""
    uses = {
        "sparse_update": lambda spec: spec.ages,
        "power_t": lambda spec: "invscaling" in spec.learning_rates,
    }.get(name, lambda spec: name in spec.parameters)
    special = any(name in spec.parameters for spec in OPTIMIZERS.values())
    using = [title for title, spec in OPTIMIZERS.items() if uses(spec)]
    if not special and len(using) in (0, len(OPTIMIZERS)):
        return "all"
    return ", ".join(f"``{title}``" for title in using)


def _values(values):
    """A default, or two where the estimators differ; none where a peer lacks the parameter."""
    if all(value is inspect.Parameter.empty for value in values):
        return "no"
    shown = ["no" if value is inspect.Parameter.empty else f"``{value!r}``" for value in values]
    return ", ".join(dict.fromkeys(shown))


class ParameterTable(Directive):
    def run(self):
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 14 38 16 14 18", ""]
        for cells in (TITLES, *rows()):
            for number, cell in enumerate(cells):
                lines.append(f"   {'*' if number == 0 else ' '} - {cell}")
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=__file__), self.content_offset, container)
        return container.children


def setup(app):
    # the code of the estimators may have changed since the last build
    app.connect("env-get-outdated", lambda *_: ["parameters"])
    app.add_directive("parameter-table", ParameterTable)
    return {"parallel_read_safe": True}
