"""SegSort (Hwang et al., ICCV 2019): segmentation by sorting pixels and retrieving labelled segments.

Arrays in, arrays out: nothing here reads a file, speaks HTTP or knows a database.
"""
