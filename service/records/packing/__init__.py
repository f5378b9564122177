"""Answers as compact bytes, without loss: `shapes` packs masks and prototypes, `votes` labels and neighbours."""
