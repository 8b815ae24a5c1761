"""The images of a store in the memory of the device."""

import numpy as np
import torch

SHARE = 0.5  # of the free memory of a GPU that the images may take; the networks need the rest


def is_cached(store, choice, device):
    """Whether the store is to live on the device: `auto` where it fits beside the networks, on a GPU."""
    if choice == "auto":
        return device.type == "cuda" and store.flat.nbytes < SHARE * torch.cuda.mem_get_info(device)[0]
    return choice == "always"


class DeviceCache:
    """The pixels of a store on a device, images of any sizes one after the other."""

    def __init__(self, store, device):
        self.shapes, self.ends, self.device = store.shapes, store.ends, device
        self.dtype = torch.uint16 if store.flat.dtype == "uint16" else torch.uint8
        signed = store.flat.view("int16" if self.dtype is torch.uint16 else "uint8")  # uint16 cannot be gathered
        self.flat = torch.from_numpy(signed.copy()).to(device)
        self.channels = int(store.shapes[0][0])

    def places(self, rows, corners):
        """Where squares begin, and how far it is to the next row and channel: (3, rows) int64, for `squares`."""
        _, heights, widths = self.shapes[rows].T
        begins = self.ends[rows] - self.channels * heights * widths
        top, left = corners
        return np.stack([begins + top * widths + left, widths, heights * widths])

    def squares(self, places, side):
        """Pixels (rows, channels, side, side) as stored; `places`: a tensor on the device."""
        begin, width, area = places[:, :, None, None, None]
        along = torch.arange(side, device=self.device)
        channel = torch.arange(self.channels, device=self.device)[:, None, None]
        index = begin + channel * area + along[:, None] * width + along
        return self.flat[index].view(self.dtype)
