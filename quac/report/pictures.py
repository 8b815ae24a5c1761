"""Pictures for the report, as data URIs."""

import base64
import io

from PIL import Image

from quac.conversion.image_folder import output_path
from quac.data.decode import decode
from quac.data.images import to_8_bit, to_image


def query_picture(store, row, side):
    """A real image as the networks saw it; its longer side is `side` pixels at most."""
    return data_uri(to_image(to_8_bit(store.images([row])[0])), side)


def generated_picture(folder, entry, side):
    """The generated image of a gallery's entry, out of the folder of its split and kind."""
    return picture_of(f"{folder}/{output_path(entry['query'], entry['source'], entry['target'])}", side)


def picture_of(path, side):
    """An image out of its file, of any depth."""
    return data_uri(to_image(to_8_bit(decode(path).values).transpose(2, 0, 1)), side)


def data_uri(image, side):
    """An image as WebP; it is made smaller where a side is longer than `side`."""
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="webp", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
