"""Labelled images beside copies of them in other light, to calibrate for days and cameras that nobody photographed."""

import torch

from index_builder.datasets import Dataset, Photograph, Sample
from index_builder.training.photometry import StrongPhotometry


class WithOtherLight:
    """A data set twice: its images as they are, and after them a copy of each with strong changes of light.

    A copy has the labels of its original, and is always changed in the same way. Name and classes are those of the
    original.
    """

    def __init__(self, original: Dataset) -> None:
        self.original = original
        self.name, self.classes = original.name, original.classes

    def __len__(self) -> int:
        return 2 * len(self.original)

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < len(self):
            raise IndexError(f"image {i} does not exist; the positions are 0..{len(self) - 1}")
        number = i % len(self.original)
        sample = self.original[number]
        if i == number:
            return sample
        image = torch.from_numpy(sample.image.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.random.fork_rng():
            torch.manual_seed(number)
            changed = StrongPhotometry()(image)[0]
        pixels = (changed * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return sample._replace(image=pixels, source=f"{sample.source}, in other light")

    def photograph(self, i: int) -> Photograph:
        """Image i without its labels."""
        sample = self[i]
        return Photograph(sample.image, sample.source)
