"""SegSort (Hwang et al., ICCV 2019): segmentation by sorting pixels and retrieving labelled segments.

Arrays in, arrays out: nothing here reads a file, speaks HTTP or knows a database. Importing the package does nothing.
Where to find the paper's steps:

- pixel sorting, with the E-step and the M-step: `segsort.pixel_sorting`
- segments of an image and their prototypes: `segsort.segments`
- segment sorting, the vMF and vMF-NCA losses: `segsort.segment_sorting`
- memory bank: `segsort.memory_bank`
- vote: `segsort.retrieval`; the search for the nearest exemplars is `model_store.index.ExemplarIndex`
- the network: `segsort.network`
"""
