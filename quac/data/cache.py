"""The images of a store in the memory of the device."""

import torch

SHARE = 0.5  # of the free memory of a GPU that the images may take; the networks need the rest


def is_cached(store, choice, device):
    """Whether the store is to live on the device: `auto` where it fits beside the networks, on a GPU."""
    if choice == "auto":
        return device.type == "cuda" and store.flat.nbytes < SHARE * torch.cuda.mem_get_info(device)[0]
    return choice == "always"


class DeviceCache:
    """`cache[rows]`: pixels (rows, channels, height, width) as stored, on the device. All images have one size."""

    def __init__(self, store, device):
        shape = (len(store), *map(int, store.shapes[0]))
        self.dtype = torch.uint16 if store.flat.dtype == "uint16" else torch.uint8
        signed = store.flat.view("int16" if self.dtype is torch.uint16 else "uint8")  # uint16 cannot be gathered
        self.pixels = torch.from_numpy(signed.copy()).to(device).reshape(shape)

    def __getitem__(self, rows):
        return self.pixels[rows].view(self.dtype)
