"""Offline: data sets, training, ONNX export, building a release, evaluation."""
