"""Images in and out: decoding, drawing, polygons."""
