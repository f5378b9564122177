"""The page of results: tables, plots and example images, made from the files of runs."""
