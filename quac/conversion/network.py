"""A trained conversion network, ready for use from Python."""

import torch

from quac.data.batches import to_pixels, to_square
from quac.models.starganv2.checkpoint import open_checkpoint
from quac.models.starganv2.styles import LatentStyles
from quac.system.device import find_device, repeatable
from quac.system.errors import QuacError

AT_A_TIME = 16  # images, of the size of the training


class ConversionNetwork:
    """Converts images into another class.

        from quac import ConversionNetwork

        network = ConversionNetwork.load("results/mine/checkpoints/100000_nets_ema.ckpt")
        converted = network.convert(images, to="dog", tries=4)

    Attributes:
        classes: their names, in the order of the labels.
        generator, mapping_network, style_encoder: torch modules, in the networks' range, `scale * [0, 1] + shift`:
            (images, styles) -> images, (latents, labels) -> styles, (images, labels) -> styles. Latents are standard
            normal, (B, latent_dim).
        description: what the checkpoint says of itself: `model`, `scale`, `shift`, `channels`, `img_size` and more.
        device: of the networks.
    """

    def __init__(self, description, networks, device):
        self.description, self.classes, self.device = description, description.classes, device
        self.generator = networks["generator"]
        self.mapping_network = networks["mapping_network"]
        self.style_encoder = networks["style_encoder"]

    @classmethod
    def load(cls, path, device="auto"):
        """Load a checkpoint of ours, or what `quac import` made of a published one.

        Args:
            device: `auto` (a GPU where there is one), `cpu`, `cuda`, or a torch.device.

        Raises QuacError where the file is none, or does not say what it is of.
        """
        device = find_device(device)
        return cls(*open_checkpoint(path, device), device)

    @property
    def unit(self):
        """Sides of images are multiples of it, and at least twice it."""
        return self.description.img_size // 16

    @torch.no_grad()
    @repeatable()
    def convert(self, images, to, reference=None, tries=1, seed=0):
        """Convert images into a class.

        Args:
            images: float (B, C, H, W) in [0, 1], C `description.channels`, H and W multiples of `unit`. They should
                show things as large as the training did, where a square had `description.img_size` pixels.
            to: name of the class.
            reference: float (1 or B, C, H, W) in [0, 1]: images of that class whose style is taken, one for all or one
                for each; they are resized to squares. None: the style is drawn at random.
            tries: how many styles are drawn for each image; with a reference there is but 1.
            seed: of the draws. Image i of the batch has the same styles whatever the others are.

        Returns:
            float32 in [0, 1], on the device of `images`: (B, C, H, W), or (tries, B, C, H, W) of several tries.

        Raises QuacError where the shapes or the range are others, or there is no such class.
        """
        self._require_images(images, "images")
        if tries < 1 or (reference is not None and tries > 1):
            raise QuacError(f"tries: is {tries}; give 1 or more, and with a reference, which is one style, 1")
        x = self.to_range(images)
        if reference is None:
            draws = self.latent_styles(seed)
            keys, label = [str(number) for number in range(len(x))], self.label_of(to)
            styles = torch.stack([draws.draw(keys, label, number)[0] for number in range(tries)])
        else:
            self._require_images(reference, "reference", any_size=True)
            if len(reference) not in (1, len(x)):
                raise QuacError(f"reference: holds {len(reference)} images; give 1, or one for each of the {len(x)}")
            styles = self.encode(self.to_range(reference), to).expand(1, len(x), -1)
        features = self.generator.features(x)
        converted = torch.stack([self.from_range(self.generator.render(features, style)) for style in styles])
        converted = converted.to(images.device)
        return converted if tries > 1 else converted[0]

    def label_of(self, name):
        """The label of a class."""
        if name not in self.classes:
            raise QuacError(f"{name}: is no class of this network; there are {', '.join(self.classes)}")
        return self.classes.index(name)

    def latent_styles(self, seed):
        """Styles drawn at random, see `quac.models.starganv2.styles.LatentStyles`."""
        latent_dim = self.description.model.latent_dim
        return LatentStyles(self.mapping_network, self.classes, latent_dim, seed, self.device)

    @torch.no_grad()
    @repeatable()
    def draw(self, digest, to, count, seed):
        """The first styles (count, style_dim) that are drawn for the query of a digest."""
        draws, label = self.latent_styles(seed), self.label_of(to)
        return torch.cat([draws.draw([digest], label, number)[0] for number in range(count)])

    @torch.no_grad()
    @repeatable()
    def encode(self, x, to):
        """Images (B, C, H, W) in the networks' range, and their class -> their styles (B, style_dim)."""
        labels = torch.full((len(x),), self.label_of(to), device=self.device)
        return self.style_encoder(to_square(x, self.description.img_size), labels)

    @torch.no_grad()
    @repeatable()
    def features(self, x):
        """Images (B, C, H, W) in the networks' range -> what `render` takes, (B, channels, height, width)."""
        return self.generator.features(x)

    @torch.no_grad()
    @repeatable()
    def render(self, features, styles):
        """Features of images, and styles (tries, B, style_dim) -> images (tries, B, C, H, W), a few at a time."""
        rows = torch.arange(len(features), device=features.device).repeat(len(styles))
        most = self.at_a_time(*(side * self.unit for side in features.shape[2:]))
        parts = zip(rows.split(most), styles.flatten(0, 1).split(most), strict=True)
        return torch.cat([self.generator.render(features[of], style) for of, style in parts]).unflatten(
            0, styles.shape[:2]
        )

    def at_a_time(self, height, width):
        """How many images of a size are rendered at a time: as large together as a few of the training's."""
        return max(1, min(AT_A_TIME, AT_A_TIME * self.description.img_size**2 // (height * width)))

    def to_range(self, images):
        """[0, 1] -> the networks' range, on their device."""
        return images.to(self.device, torch.float32) * self.description.scale + self.description.shift

    def from_range(self, x):
        """The networks' range -> [0, 1]; what is beyond is clamped."""
        return ((x - self.description.shift) / self.description.scale).clamp(0, 1)

    def to_pixels(self, x):
        """Images (B, C, H, W) in the networks' range -> array (B, H, W, C) uint16 that spans [0, 1]."""
        pixels = to_pixels(x, self.description.scale, self.description.shift, torch.uint16)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def _require_images(self, images, name, any_size=False):
        channels, unit = self.description.channels, self.unit
        if not (torch.is_tensor(images) and images.is_floating_point() and images.ndim == 4 and len(images)):
            raise QuacError(f"{name}: must be a float tensor (B, C, H, W) with values in [0, 1]")
        if images.shape[1] != channels:
            raise QuacError(f"{name}: have {images.shape[1]} channel(s), but the network takes {channels}")
        height, width = images.shape[2:]
        if not any_size and (height % unit or width % unit or min(height, width) < 2 * unit):
            raise QuacError(
                f"{name}: have {height} x {width} pixels, but the network takes multiples of {unit} from {2 * unit} "
                "on; resize them, or use `quac convert`, which does"
            )
        if not ((images >= 0) & (images <= 1)).all():
            raise QuacError(
                f"{name}: have values outside [0, 1]; scale them by the range of their file, and clamp them"
            )
