"""The page of results: tables, plots and example images, made from the files of runs."""

from index_builder.report.page_writer import write_headlines, write_page
from index_builder.report.run_copy import collect

__all__ = ["collect", "write_headlines", "write_page"]
