"""The page of results: tables, plots and pictures made from what runs left, none of it typed by hand."""
