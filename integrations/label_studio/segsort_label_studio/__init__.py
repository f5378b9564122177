"""Label Studio's ML backend of segsort: predictions that name their examples, and corrections that teach."""
