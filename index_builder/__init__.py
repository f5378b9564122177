"""Offline work: data sets, training, ONNX export, building of releases, evaluation."""
