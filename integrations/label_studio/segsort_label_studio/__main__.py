"""python -m segsort_label_studio."""

from segsort_label_studio.command import main

main()
