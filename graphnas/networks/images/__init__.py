"""Real images to train networks on: loaded without torchvision and without executing a pickle."""

from graphnas.networks.images.augment import Augmentation, cutout, mixup, random_crop, random_flip
from graphnas.networks.images.base import IMAGES, ImageData, ImageSplit, list_images, load_images
from graphnas.networks.images.cifar import load_cifar10, load_cifar100
from graphnas.networks.images.digits import load_digits
from graphnas.networks.images.imagenet16 import load_imagenet16
from graphnas.networks.images.sources import SOURCES, download

__all__ = [
    "IMAGES",
    "SOURCES",
    "Augmentation",
    "ImageData",
    "ImageSplit",
    "cutout",
    "download",
    "list_images",
    "load_cifar10",
    "load_cifar100",
    "load_digits",
    "load_imagenet16",
    "load_images",
    "mixup",
    "random_crop",
    "random_flip",
]
