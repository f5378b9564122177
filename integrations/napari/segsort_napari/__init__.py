"""napari plugin of segsort. Importing it imports neither napari nor Qt."""
