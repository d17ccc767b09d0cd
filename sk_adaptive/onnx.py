"""Conversion to ONNX, by skl2onnx.

After `register()`, ``skl2onnx.to_onnx`` and ``convert_sklearn`` know the estimators, alone
and in pipelines. The package itself does not need skl2onnx.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from .estimators.classifier import AdaptiveSGDClassifier
from .estimators.regressor import AdaptiveSGDRegressor
from .estimators.search import AdaptiveGridSearchCV
from .kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

__all__ = ["register"]


def register():
    """Tell skl2onnx how to convert the estimators. It may be called again.

    A search becomes its best estimator.

    The options of a classifier are those of ``SGDClassifier``: ``zipmap``, ``raw_scores``, ``nocl``
    and ``output_class_labels``. A loss without probabilities gives raw predictions
    instead. With several labels per row `zipmap` must be False: the outputs are then the
    labels, as 0 and 1, and the probability of each.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import sk_adaptive.onnx
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> sk_adaptive.onnx.register()  # doctest: +SKIP
    >>> model = to_onnx(classifier, X[:1], options={"zipmap": False})  # doctest: +SKIP
    """
    from skl2onnx import update_registered_converter, update_registered_parser

    update_registered_converter(
        AdaptiveSGDClassifier,
        "SkAdaptiveSGDClassifier",
        _classifier_shapes,
        _convert_classifier,
        options={
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "output_class_labels": [False, True],
            "raw_scores": [True, False],
        },
    )
    update_registered_converter(
        AdaptiveSGDRegressor, "SkAdaptiveSGDRegressor", _regressor_shapes, _convert_regressor
    )
    update_registered_parser(AdaptiveGridSearchCV, _parse_search)


def _parse_search(scope, model, inputs, custom_parsers=None):
    """The outputs of a search, which is its best estimator."""
    from skl2onnx._parse import parse_sklearn

    check_is_fitted(model)
    best = model.best_estimator_
    options = scope.get_options(model, fail=False)
    if options:
        scope.add_options(id(best), options)
    return parse_sklearn(scope, best, inputs, custom_parsers=custom_parsers)


def _check(operator):
    """The model, if it is trained and takes such an input."""
    from skl2onnx.common.data_types import (
        BooleanTensorType,
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
    )
    from skl2onnx.common.utils import check_input_and_output_types

    check_is_fitted(operator.raw_operator)
    check_input_and_output_types(
        operator, [BooleanTensorType, DoubleTensorType, FloatTensorType, Int64TensorType]
    )
    model = operator.raw_operator
    # the softmax has outputs without a class, and two classes have two outputs
    grows = isinstance(model, ClassifierMixin) and model._places is not None
    few = grows and model._label_format is None and model.classes_.size < 3
    if few or (grows and model._targets.loss.couples_outputs):
        raise NotImplementedError(
            "There is no conversion of a softmax, or of two classes, with classes='grow'."
        )
    return model


def _dtype(operator):
    """What is computed with: float64 where the input is, else float32."""
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    return np.float64 if is_double else np.float32


def _tensor(operator, n_columns):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if _dtype(operator) is np.float64 else FloatTensorType
    return kind([operator.inputs[0].get_first_dimension(), n_columns])


def _raw_predictions(operator, version):
    from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxCast, OnnxGather, OnnxMatMul
    from skl2onnx.common.data_types import guess_proto_type

    model, dtype = operator.raw_operator, _dtype(operator)
    coef = sp.csc_matrix(model.coef_)
    rows = operator.inputs[0]
    # one, if there is none
    features = np.flatnonzero(np.diff(coef.indptr)) if coef.nnz else np.zeros(1, np.int64)
    # Without the features of no weight, if those of a weight are so few that this is smaller.
    sizes = np.array([coef.shape[1], features.size]) * coef.shape[0] * np.dtype(dtype).itemsize
    if sizes[1] + features.nbytes < sizes[0]:
        rows, coef = OnnxGather(rows, features, axis=1, op_version=version), coef[:, features]
    coef = coef.toarray().T.astype(dtype)
    rows = OnnxCast(rows, to=guess_proto_type(_tensor(operator, 1)), op_version=version)
    products = OnnxMatMul(rows, coef, op_version=version)
    return OnnxAdd(products, model.intercept_.astype(dtype), op_version=version)


def _regressor_shapes(operator):
    model = _check(operator)
    operator.outputs[0].type = _tensor(operator, model.intercept_.size)


def _convert_regressor(scope, operator, container):
    from skl2onnx.algebra.onnx_ops import OnnxExp, OnnxIdentity, OnnxSigmoid

    version = container.target_opset
    inverse_links = {"identity": OnnxIdentity, "log": OnnxExp, "logit": OnnxSigmoid}
    inverse_links[REGRESSION_LOSSES[operator.raw_operator.loss].make.link](
        _raw_predictions(operator, version), op_version=version, output_names=operator.outputs
    ).add_to(scope, container)


def _classifier_shapes(operator):
    from skl2onnx.common.data_types import Int64TensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    model = _check(operator)
    if model._label_format is None:
        # It knows strings from numbers.
        calculate_linear_classifier_output_shapes(operator)
        return
    options = operator.scope_inst.get_options(model, {"zipmap": True, "nocl": False})
    if options["zipmap"] or options["nocl"]:
        raise ValueError(
            "A model of several labels per row can only be converted with "
            "options={'zipmap': False} and without the option 'nocl'."
        )
    n_labels = model.intercept_.size
    operator.outputs[0].type = Int64TensorType([operator.inputs[0].get_first_dimension(), n_labels])
    operator.outputs[1].type = _tensor(operator, n_labels)


def _convert_classifier(scope, operator, container):
    from skl2onnx.algebra.onnx_ops import (
        OnnxArgMax,
        OnnxCast,
        OnnxConcat,
        OnnxGather,
        OnnxGreater,
        OnnxIdentity,
        OnnxNeg,
    )
    from skl2onnx.common.data_types import Int64TensorType, guess_proto_type
    from skl2onnx.common.utils_classifier import get_label_classes

    version, model = container.target_opset, operator.raw_operator
    labels, scores = operator.outputs
    raw = _raw_predictions(operator, version)
    if model._label_format is not None:
        OnnxCast(
            OnnxGreater(raw, np.zeros(1, _dtype(operator)), op_version=version),
            to=guess_proto_type(Int64TensorType()),
            op_version=version,
            output_names=[labels],
        ).add_to(scope, container)
    else:
        if model.classes_.size == 2:
            # The first of equal ones is found, and a raw prediction of zero is no second class.
            raw = OnnxConcat(OnnxNeg(raw, op_version=version), raw, axis=1, op_version=version)
        classes = get_label_classes(scope, model)
        if classes.dtype.kind in "biuf":
            classes = classes.astype(np.int64)
        OnnxGather(
            classes,
            OnnxArgMax(raw, axis=1, keepdims=0, op_version=version),
            op_version=version,
            output_names=[labels],
        ).add_to(scope, container)
    if not container.get_options(model, {"raw_scores": False})["raw_scores"]:
        raw = _probabilities(model, raw, _dtype(operator), version)
    OnnxIdentity(raw, op_version=version, output_names=[scores]).add_to(scope, container)


def _probabilities(model, raw, dtype, version):
    """As `predict_proba`; raw predictions for a loss that has none."""
    from skl2onnx.algebra.onnx_ops import (
        OnnxAdd,
        OnnxClip,
        OnnxDiv,
        OnnxEqual,
        OnnxMul,
        OnnxReduceSumApi11,
        OnnxSigmoid,
        OnnxSoftmax,
        OnnxWhere,
    )

    half = np.full(1, 0.5, dtype)
    if model.loss == "log_loss":
        if model._targets.loss.couples_outputs:
            return OnnxSoftmax(raw, axis=1, op_version=version)
        each = OnnxSigmoid(raw, op_version=version)
    elif model.loss == "modified_huber":
        clipped = OnnxClip(raw, np.array(-1, dtype), np.array(1, dtype), op_version=version)
        each = OnnxAdd(OnnxMul(clipped, half, op_version=version), half, op_version=version)
    elif not CLASSIFICATION_LOSSES[model.loss].make.has_probabilities:
        return raw
    else:
        raise NotImplementedError(f"There is no conversion of loss={model.loss!r}.")
    if model._label_format is not None or model.classes_.size == 2:
        return each
    total = OnnxReduceSumApi11(each, axes=[1], keepdims=1, op_version=version)
    # where every class says no, all are as likely
    return OnnxWhere(
        OnnxEqual(total, np.zeros(1, dtype), op_version=version),
        np.full((1, model.classes_.size), 1 / model.classes_.size, dtype),
        OnnxDiv(each, total, op_version=version),
        op_version=version,
    )
