"""Reading images for a network, as one import: see `spconvify.data`."""

from spconvify.data.folder import picture_files
from spconvify.data.images import Images
from spconvify.data.pictures import SUFFIXES, open_picture, read_picture
from spconvify.data.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation, Statistics
from spconvify.data.reading import read_images

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "SUFFIXES",
    "Images",
    "Preparation",
    "Statistics",
    "open_picture",
    "picture_files",
    "read_images",
    "read_picture",
]
